//! `OAuth2` tokens: fetched once for all who wait, kept, fetched anew before they end. What they are for is not
//! known here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Uri};
use http_body_util::Full;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::base64;
use crate::client::{Client, Limits, USER_AGENT};
use crate::config::{ClientAuth, OAuth2};
use crate::openapi::bounded;
use crate::tools::encoded;

/// What fetching a token may cost.
const LIMITS: Limits = Limits { time_max: Duration::from_secs(20), body_bytes_max: 1 << 20 };

/// How long before its end a token is fetched anew, at most: clocks differ and calls take time.
const MARGIN: Duration = Duration::from_mins(1);

/// How long a token is kept that does not say when it ends.
const UNSAID: Duration = Duration::from_mins(10);

/// Characters of a refusal's own words.
const REFUSAL_CHARS_MAX: usize = 200;

/// Where tokens come from.
pub(super) struct TokenSource {
    /// How they are asked for.
    config: OAuth2,
    /// The endpoint.
    endpoint: Uri,
    /// Whoever holds it fetches; all others wait for what comes of it.
    kept: Mutex<Kept>,
}

/// What is kept between two calls.
#[derive(Default)]
struct Kept {
    /// The token in use.
    token: Option<Token>,
    /// The refresh token, which the server may replace each time.
    refresh: Option<String>,
}

/// A token.
struct Token {
    /// Itself.
    text: Arc<str>,
    /// When it is to be fetched anew.
    stale: Instant,
}

/// What a token endpoint answers.
#[derive(Deserialize)]
struct Granted {
    /// The token.
    access_token: String,
    /// How long it lasts, in seconds.
    #[serde(default)]
    expires_in: Option<f64>,
    /// The refresh token from now on.
    #[serde(default)]
    refresh_token: Option<String>,
}

/// What a token endpoint says when it grants none.
#[derive(Default, Deserialize)]
struct Refused {
    /// A word.
    #[serde(default)]
    error: String,
    /// More words.
    #[serde(default)]
    error_description: String,
}

impl TokenSource {
    /// Checks the endpoint; an error names the key.
    pub(super) fn new(config: OAuth2) -> Result<Self, String> {
        let endpoint = config.token_url.parse::<Uri>().ok();
        let is_url = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        let is_safe = |uri: &Uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let Some(endpoint) = endpoint.filter(|uri| is_url(uri) && is_safe(uri)) else {
            return Err("cannot use authConfig.tokenUrl: it is not an http or https URL".to_owned());
        };
        let refresh = config.refresh_token.clone();
        Ok(Self { config, endpoint, kept: Mutex::new(Kept { token: None, refresh }) })
    }

    /// Secrets of the configuration.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &String> {
        [Some(&self.config.client_secret), self.config.refresh_token.as_ref()].into_iter().flatten()
    }

    /// A token that is good for a while. Whoever comes while one is fetched waits for that one.
    pub(super) async fn token(&self, client: &Client) -> Result<Arc<str>, String> {
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.token.as_ref().filter(|token| Instant::now() < token.stale) {
            return Ok(Arc::clone(&token.text));
        }
        kept.token = None;
        let granted = self.fetch(client, kept.refresh.as_deref()).await?;
        if granted.refresh_token.is_some() && kept.refresh.is_some() {
            kept.refresh = granted.refresh_token;
        }
        let text: Arc<str> = granted.access_token.into();
        let stale = Instant::now() + useful(granted.expires_in);
        kept.token = Some(Token { text: Arc::clone(&text), stale });
        Ok(text)
    }

    /// Forgets a token that the upstream refused, unless there is another by now.
    pub(super) async fn forget(&self, refused: &str) {
        let mut kept = self.kept.lock().await;
        kept.token = kept.token.take().filter(|token| *token.text != *refused);
    }

    /// Asks the endpoint. What it is told is never part of an error.
    async fn fetch(&self, client: &Client, refresh: Option<&str>) -> Result<Granted, String> {
        let cannot = |reason: &str| format!("cannot get a token from {}: {reason}", self.endpoint);
        let reply = client.send(self.request(refresh), LIMITS).await;
        let reply = reply.map_err(|error| cannot(&error.to_string()))?;
        if !reply.status.is_success() {
            let said: Refused = serde_json::from_slice(&reply.body).unwrap_or_default();
            let mut words = format!("{} {}", said.error, said.error_description);
            for secret in
                self.secrets().chain(refresh.map(str::to_owned).as_ref()).filter(|secret| secret.len() > 3)
            {
                words = words.replace(secret.as_str(), "***");
            }
            return Err(cannot(bounded(&format!("{} {words}", reply.status), REFUSAL_CHARS_MAX).trim()));
        }
        let granted: Granted =
            serde_json::from_slice(&reply.body).map_err(|_| cannot("the reply holds none"))?;
        let is_token =
            HeaderValue::from_str(&granted.access_token).is_ok() && !granted.access_token.is_empty();
        if is_token { Ok(granted) } else { Err(cannot("what it gave is no token")) }
    }

    /// The request for a token (RFC 6749, 4.4 and 6).
    fn request(&self, refresh: Option<&str>) -> Request<Full<Bytes>> {
        let config = &self.config;
        let mut form = match refresh {
            Some(token) => {
                vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())]
            }
            None => vec![("grant_type", "client_credentials".to_owned())],
        };
        if !config.scopes.is_empty() {
            form.push(("scope", config.scopes.join(" ")));
        }
        form.extend(config.audience.iter().map(|audience| ("audience", audience.clone())));
        let is_public = config.client_secret.is_empty();
        if is_public || config.client_auth == ClientAuth::Post {
            form.push(("client_id", config.client_id.clone()));
        }
        if !is_public && config.client_auth == ClientAuth::Post {
            form.push(("client_secret", config.client_secret.clone()));
        }
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let mut request = Request::post(self.endpoint.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(body.join("&")))
            .unwrap_or_default();
        if !is_public && config.client_auth == ClientAuth::Basic {
            // Encoded first, says the RFC: a colon in an id must not end it.
            let pair = format!("{}:{}", encoded(&config.client_id), encoded(&config.client_secret));
            let value = HeaderValue::from_str(&format!("Basic {}", base64::encoded(pair.as_bytes())));
            request.headers_mut().extend(value.ok().map(|value| (header::AUTHORIZATION, value)));
        }
        request
    }
}

/// How long a token is used that lasts so many seconds.
fn useful(expires_in: Option<f64>) -> Duration {
    let Some(whole) = expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
        return UNSAID;
    };
    // A short-lived one is still used for most of its life; a bound keeps clocks from overflowing.
    whole.saturating_sub(MARGIN.min(whole / 10)).min(Duration::from_hours(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_fetched_anew_before_their_end() {
        let seconds = |expires_in| useful(expires_in).as_secs();
        assert_eq!((seconds(Some(3600.0)), seconds(Some(10.0)), seconds(None)), (3540, 9, 600));
        assert_eq!((seconds(Some(-1.0)), seconds(Some(1e300)), seconds(Some(0.0))), (600, 600, 0));
    }
}
