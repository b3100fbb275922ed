//! Calls: credentials, one client, limits, and replies as answers. A request comes here ready but for its
//! base; nothing here knows a schema.

mod answer;
mod call;
mod credentials;
mod cut;
mod oauth;
mod pace;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri};

use crate::client::{Client, Guard, Options, USER_AGENT};
use crate::config::{Auth, Redirects, UpstreamConfig};
use crate::openapi::Base;
use crate::tools::{Answer, Arguments, Catalogue, Prepared};
use answer::Expected;
use call::Call;
use credentials::Credentials;
use pace::Pace;

/// What is accepted where the document does not say.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.8");

/// Why the configuration of the upstream cannot be used. Never says a value: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UpstreamError(String);

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UpstreamError {}

/// The way to the API behind the tools.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Where the operator or the document sends calls.
    client: Client,
    /// Where an upstream sends them on to: nobody there is told who we are.
    stranger: Client,
    /// Where tokens come from.
    tokens: Client,
    /// What the configuration adds to every request.
    credentials: Credentials,
    /// Headers of a client's request that go on.
    forwarded: Vec<HeaderName>,
    /// How many calls there may be.
    pace: Pace,
    /// How long a call may take, with all that is tried.
    timeout: Duration,
    /// How often a call is tried again.
    retries: u32,
    /// Where a call may be sent on to.
    redirects: Redirects,
    /// Whether each request's headers are logged.
    logs_headers: bool,
}

/// What the configuration says of the upstream.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Credentials.
    pub(crate) auth: Auth,
    /// Headers for every request.
    pub(crate) custom_headers: BTreeMap<String, String>,
    /// Headers of a client's request that go on.
    pub(crate) forward_headers: Vec<HeaderName>,
    /// How it is reached.
    pub(crate) reach: UpstreamConfig,
    /// Whether the operator chose where calls go, rather than the document.
    pub(crate) is_chosen: bool,
    /// Whether each request's headers are logged.
    pub(crate) logs_headers: bool,
}

impl Upstream {
    /// Checks what the configuration says. Opens nothing but the files it names.
    pub(crate) fn new(settings: Settings) -> Result<Self, UpstreamError> {
        let Settings { auth, custom_headers, forward_headers, reach, is_chosen, logs_headers } = settings;
        let credentials = Credentials::new(auth, &custom_headers).map_err(UpstreamError)?;
        let needs_files = reach.ca.is_some() || reach.identity.is_some();
        let (ca, connect_timeout) = (reach.ca.clone(), reach.connect_timeout);
        let beside = |guard| {
            let (ca, proxy) = (ca.clone(), reach.proxy.clone());
            Client::new(Options { ca, proxy, connect_timeout, guard, ..Options::default() })
        };
        let (stranger, tokens) = (beside(Guard::Public), beside(Guard::Open));
        let guard = if is_chosen { Guard::Open } else { Guard::Document };
        let UpstreamConfig { ca, identity, proxy, socket, .. } = reach;
        let client = Client::new(Options { ca, identity, proxy, socket, connect_timeout, guard });
        if needs_files {
            client.check().map_err(UpstreamError)?;
        }
        Ok(Self {
            client,
            stranger,
            tokens,
            credentials,
            forwarded: forward_headers,
            pace: Pace::new(reach.concurrency, reach.rate),
            timeout: reach.timeout,
            retries: reach.retries,
            redirects: reach.redirects,
            logs_headers,
        })
    }

    /// Calls a tool. Whatever goes wrong is an answer that a model can act on. `client` is what the client's own
    /// request said of itself, where it said something.
    pub(crate) async fn call(
        &self,
        catalogue: &Catalogue,
        tool_index: usize,
        arguments: Arguments,
        client: Option<&HeaderMap>,
    ) -> Answer {
        let prepared = match catalogue.prepare(tool_index, arguments) {
            Ok(prepared) => prepared,
            Err(reason) => return Answer::error(reason),
        };
        let tool = Arc::clone(&prepared.tool);
        if let Some(mock) = tool.mock() {
            return answer::mock(&prepared, mock);
        }
        let Some(base) = prepared.base else {
            return Answer::error("this tool has no server to call");
        };
        let asked = format!("{} {base}{}", prepared.method, prepared.path());
        let cannot =
            |reason: String| Answer::error(self.credentials.redact(format!("cannot call {asked}: {reason}")));
        let expected = Expected::of(&tool);
        let call = match self.assemble(base, prepared, client) {
            Ok(call) => call,
            Err(reason) => return cannot(reason),
        };
        match self.make(&asked, call).await {
            Ok(reply) => answer::real(&asked, &reply, expected, &self.credentials),
            Err(error) if error.is_large => {
                cannot(format!("{}.{}", error.reason, cut::advice(expected.narrowing)))
            }
            Err(error) => cannot(error.reason),
        }
    }

    /// Puts a call together. The base is pinned: a URL that came out elsewhere is never called.
    fn assemble(
        &self,
        base: &Base,
        prepared: Prepared<'_>,
        client: Option<&HeaderMap>,
    ) -> Result<Call, String> {
        let target: PathAndQuery = format!("{}{}", base.prefix, prepared.target)
            .parse()
            .map_err(|_| "the arguments make no valid URL".to_owned())?;
        let uri: Uri = base.uri(target).map_err(|_| "the arguments make no valid URL".to_owned())?;
        if uri.scheme() != Some(&base.scheme) || uri.authority() != Some(&base.authority) {
            return Err("the arguments lead to another server".to_owned());
        }
        let mut headers = HeaderMap::new();
        let accept = prepared.tool.accept.clone();
        headers.insert(header::ACCEPT, accept.unwrap_or(ACCEPT));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(prepared.headers);
        let body = match prepared.body {
            None => Vec::new(),
            Some((media_type, body)) => {
                let media_type = HeaderValue::from_str(&media_type);
                let media_type = media_type.unwrap_or(HeaderValue::from_static("application/json"));
                headers.insert(header::CONTENT_TYPE, media_type);
                body
            }
        };
        // After the arguments: what the configuration says cannot be argued with.
        self.credentials.set_headers(&mut headers);
        // Some servers answer 411 to a POST that says no length, and hyper says none for an empty body.
        if body.is_empty() && matches!(prepared.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut forwarded = HeaderMap::new();
        if let Some(client) = client {
            for name in &self.forwarded {
                forwarded.extend(client.get_all(name).iter().map(|value| (name.clone(), value.clone())));
            }
        }
        let (method, tool) = (prepared.method, prepared.tool);
        Ok(Call { method, uri, headers, forwarded, body: body.into(), tool })
    }
}

/// Tells stderr a request's headers, all in one write. Nobody may be there to read, which ends nothing.
fn log_headers(asked: &str, headers: &HeaderMap) {
    let mut lines = format!("mcp-runner: upstream request: {asked}\n");
    for (name, value) in headers {
        let value = if value.is_sensitive() || is_secret(name) {
            "***".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        lines.extend(["mcp-runner:   ", name.as_str(), ": ", &*value, "\n"]);
    }
    let _nobody_reads = std::io::stderr().write_all(lines.as_bytes());
}

/// Whether a header's name says that its value is a secret.
fn is_secret(name: &HeaderName) -> bool {
    let marks = ["auth", "cookie", "credential", "key", "pass", "secret", "session", "signature", "token"];
    marks.iter().any(|mark| name.as_str().contains(mark))
}

#[cfg(test)]
mod tests;
