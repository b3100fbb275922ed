//! `upstream`: how the API behind the tools is reached, and what one call may cost.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use crate::failure::Failure;

/// How the upstream is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UpstreamConfig {
    /// Authorities to trust instead of the system's: a file in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// What we show an upstream that asks who we are: certificate and key, files in PEM.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Who passes requests on.
    pub(crate) proxy: Proxy,
    /// A Unix socket that leads to the upstream, whatever its URL says.
    pub(crate) socket: Option<PathBuf>,
    /// How long a connection may take to open.
    pub(crate) connect_timeout: Duration,
    /// How long a call may take, with all that is tried.
    pub(crate) timeout: Duration,
    /// How often a call that changes nothing twice is tried again.
    pub(crate) retries: u32,
    /// Calls at a time; more wait.
    pub(crate) concurrency: usize,
    /// Calls in a time; more wait.
    pub(crate) rate: Option<Rate>,
    /// Where an upstream may send a call on to.
    pub(crate) redirects: Redirects,
}

/// Who passes requests on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proxy {
    /// Whom `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name.
    #[default]
    Environment,
    /// Nobody.
    None,
    /// This one, except for whom `NO_PROXY` names. Its URL may hold a password.
    Url(Secret),
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// So many calls in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// How many.
    pub(crate) calls: u32,
    /// In how long.
    pub(crate) per: Duration,
}

/// Where an upstream may send a call on to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// Nowhere.
    None,
    /// Elsewhere on the same server.
    #[default]
    Same,
    /// To other servers too, which get no credentials.
    Any,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            ca: None,
            identity: None,
            proxy: Proxy::default(),
            socket: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retries: 2,
            concurrency: 64,
            rate: None,
            redirects: Redirects::default(),
        }
    }
}

impl UpstreamConfig {
    /// `upstream`.
    pub(super) fn read(mcp: &mut Keys<'_>) -> Result<Self, Failure> {
        let mut config = Self::default();
        let Some(mut keys) = mcp.object("upstream", "mcpConfig.upstream.")? else {
            return Ok(config);
        };
        config.ca = keys.path("ca")?;
        config.identity = match (keys.path("certificate")?, keys.path("key")?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => return Err(keys.wrong("certificate", "needs its key beside it")),
            (None, Some(_)) => return Err(keys.wrong("key", "needs its certificate beside it")),
        };
        config.proxy = match keys.text("proxy")?.as_deref() {
            None => Proxy::Environment,
            Some("none") => Proxy::None,
            Some(url) if is_proxy(url) => Proxy::Url(Secret(url.to_owned())),
            Some(_) => {
                return Err(keys.wrong("proxy", "must be none, or a URL like http://proxy.example:3128"));
            }
        };
        config.socket = keys.path("socket")?;
        config.connect_timeout = keys.time("connectTimeout")?.unwrap_or(config.connect_timeout);
        config.timeout = keys.time("timeout")?.unwrap_or(config.timeout);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        config.retries = keys.whole("retries", 0..=10)?.map_or(config.retries, small);
        if let Some(most) = keys.whole("concurrency", 1..=10_000)? {
            config.concurrency = usize::try_from(most).unwrap_or(config.concurrency);
        }
        config.rate = match keys.text("rate")? {
            None => None,
            Some(text) => {
                let wrong = || keys.wrong("rate", "must be calls in a time, like 10/1s or 1000/1h");
                Some(rate(&text).ok_or_else(wrong)?)
            }
        };
        config.redirects = match keys.text("redirects")?.as_deref() {
            None | Some("same") => Redirects::Same,
            Some("none") => Redirects::None,
            Some("any") => Redirects::Any,
            Some(_) => return Err(keys.wrong("redirects", "must be none, same or any")),
        };
        keys.finish()?;
        Ok(config)
    }
}

/// Whether a text is the URL of a proxy that we can use.
fn is_proxy(url: &str) -> bool {
    url.parse::<Uri>()
        .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some_and(|h| !h.is_empty()))
}

/// `10/1s`
fn rate(text: &str) -> Option<Rate> {
    let (calls, per) = text.split_once('/')?;
    let (calls, per) = (calls.parse().ok()?, mcp_init::duration(per)?);
    (calls > 0 && !per.is_zero()).then_some(Rate { calls, per })
}
