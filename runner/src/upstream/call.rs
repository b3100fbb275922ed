//! One call from its first try to its last: turns, tokens, redirects, retries, all within its time. What it
//! asks for and what the reply means is not known here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::time::Instant;

use super::{Upstream, log_headers};
use crate::client::{ClientError, FOLLOWED_MAX, Reply, onward};
use crate::openapi::percent_decoded;
use crate::tools::Callable;

/// The largest reply.
pub(super) const REPLY_BYTES_MAX: usize = 8 << 20;

/// The first pause before another try; each one after is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// What a server may know of a call that goes on to it although it is not the one that was meant.
const PUBLIC_HEADERS: [header::HeaderName; 3] = [header::ACCEPT, header::USER_AGENT, header::CONTENT_TYPE];

/// A call that waits for credentials and a socket.
#[derive(Debug)]
pub(super) struct Call {
    /// Its method.
    pub(super) method: Method,
    /// Where it goes.
    pub(super) uri: Uri,
    /// Its headers, without credentials.
    pub(super) headers: HeaderMap,
    /// The client's own, which take the place of credentials.
    pub(super) forwarded: HeaderMap,
    /// Its body.
    pub(super) body: Bytes,
    /// The tool, which says who may make it.
    pub(super) tool: Arc<Callable>,
}

/// One try.
enum Tried {
    /// A reply, good or bad.
    Reply(Reply),
    /// Nothing, and why.
    Nothing(ClientError),
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) struct CallError {
    /// In words.
    pub(super) reason: String,
    /// Whether asking for less would have helped.
    pub(super) is_large: bool,
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        Self { is_large: matches!(error, ClientError::Large(_)), reason: error.to_string() }
    }
}

impl From<String> for CallError {
    fn from(reason: String) -> Self {
        Self { reason, is_large: false }
    }
}

impl Upstream {
    /// Makes a call within its time.
    pub(super) async fn make(&self, asked: &str, call: Call) -> Result<Reply, CallError> {
        let until = Instant::now() + self.timeout;
        let all = async {
            let _place = self.pace.turn().await;
            self.tries(asked, call, until).await
        };
        let in_time = tokio::time::timeout_at(until, all).await;
        in_time.unwrap_or_else(|_elapsed| Err(ClientError::Slow(self.timeout).into()))
    }

    /// Tries until there is a reply that another try would not better.
    async fn tries(&self, asked: &str, call: Call, until: Instant) -> Result<Reply, CallError> {
        let mut renewed = false;
        let mut again = 0;
        loop {
            let given = self.credentials.give(call.tool.security(), &self.tokens).await?;
            let mut target = call.uri.clone();
            for pair in given.query() {
                target = with_pair(&target, pair)?;
            }
            let mut headers = call.headers.clone();
            given.set_headers(&mut headers);
            for name in call.forwarded.keys() {
                headers.remove(name);
            }
            headers.extend(call.forwarded.clone());
            if self.logs_headers {
                log_headers(asked, &headers);
            }
            let tried = self.follow(call.method.clone(), target, headers, call.body.clone()).await;
            // A token may end before its time; a fresh one is worth one more try.
            if let (Tried::Reply(reply), Some((source, token)), false) = (&tried, &given.token, renewed)
                && reply.status == StatusCode::UNAUTHORIZED
            {
                source.forget(token).await;
                renewed = true;
                continue;
            }
            let pause = pause(&call.method, &tried, again).filter(|_| again < self.retries);
            match pause.filter(|pause| Instant::now() + *pause < until) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return tried.end(),
            }
            again += 1;
        }
    }

    /// Sends a request, and on to where the upstream wants it, if it may.
    async fn follow(
        &self,
        mut method: Method,
        mut uri: Uri,
        mut headers: HeaderMap,
        mut body: Bytes,
    ) -> Tried {
        let mut client = &self.client;
        let mut followed = 0;
        loop {
            let mut request = Request::new(Full::from(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
            let reply = match client.exchange(request, REPLY_BYTES_MAX).await {
                Ok(reply) => reply,
                Err(error) => return Tried::Nothing(error),
            };
            let next = onward(&method, &uri, reply.status, &reply.headers, self.redirects);
            let Some(next) = next.filter(|_| followed < FOLLOWED_MAX) else {
                return Tried::Reply(reply);
            };
            if next.is_elsewhere {
                client = &self.stranger;
                headers = PUBLIC_HEADERS
                    .iter()
                    .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
                    .collect();
            }
            if next.is_get {
                method = Method::GET;
                body = Bytes::new();
                headers.remove(header::CONTENT_TYPE);
                headers.remove(header::CONTENT_LENGTH);
            }
            uri = next.uri;
            followed += 1;
        }
    }
}

impl Tried {
    /// What the call comes to.
    fn end(self) -> Result<Reply, CallError> {
        match self {
            Self::Reply(reply) => Ok(reply),
            Self::Nothing(reason) => Err(reason.into()),
        }
    }
}

/// How long to wait before another try; `None` if it would do no good, or do something twice.
fn pause(method: &Method, tried: &Tried, again: u32) -> Option<Duration> {
    let is_idempotent = method.is_idempotent();
    let usual = || PAUSE.saturating_mul(2_u32.saturating_pow(again)).mul_f64(0.5 + chance() / 2.0);
    match tried {
        Tried::Nothing(ClientError::Unreached(_)) => Some(usual()),
        Tried::Nothing(ClientError::Failed(_)) => is_idempotent.then(usual),
        // It would be no other the next time.
        Tried::Nothing(ClientError::Refused(_) | ClientError::Slow(_) | ClientError::Large(_)) => None,
        Tried::Reply(reply) => {
            let is_passing = matches!(reply.status.as_u16(), 429 | 502 | 503 | 504);
            (is_idempotent && is_passing).then(|| {
                let wanted = reply.headers.get(header::RETRY_AFTER).and_then(retry_after);
                wanted.unwrap_or_default().max(usual())
            })
        }
    }
}

/// How long an upstream wants us to wait: seconds, or a date.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// A number from 0 to 1, so that those who were turned away together do not come back together.
fn chance() -> f64 {
    let byte = ring::rand::generate::<[u8; 1]>(&ring::rand::SystemRandom::new());
    byte.map_or(0.5, |byte| f64::from(byte.expose()[0]) / 255.0)
}

/// A URL with one more pair in its query, in the place of any other of that name.
fn with_pair(uri: &Uri, pair: &str) -> Result<Uri, String> {
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let name = |pair: &str| percent_decoded(pair.split('=').next().unwrap_or_default().as_bytes());
    let others = query.split('&').filter(|other| !other.is_empty() && name(other) != name(pair));
    let query: Vec<&str> = others.chain([pair]).collect();
    let mut parts = uri.clone().into_parts();
    let target = format!("{path}?{}", query.join("&")).parse();
    parts.path_and_query = Some(target.map_err(|_| "the arguments make no valid URL".to_owned())?);
    Uri::from_parts(parts).map_err(|_| "the arguments make no valid URL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply with this status and header.
    fn reply(status: u16, after: &str) -> Tried {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        Tried::Reply(Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() })
    }

    #[test]
    fn only_what_may_be_said_twice_is_said_twice() {
        let failed = Tried::Nothing(ClientError::Failed(String::new()));
        assert!(pause(&Method::GET, &failed, 0).is_some() && pause(&Method::POST, &failed, 0).is_none());
        let unreached = Tried::Nothing(ClientError::Unreached(String::new()));
        assert!(pause(&Method::POST, &unreached, 0).is_some());
        assert!(pause(&Method::GET, &Tried::Nothing(ClientError::Refused(String::new())), 0).is_none());
        assert!(pause(&Method::DELETE, &reply(503, "1"), 0).is_some());
        assert!(pause(&Method::POST, &reply(503, "1"), 0).is_none());
        assert!(pause(&Method::GET, &reply(500, "1"), 0).is_none());
    }

    #[test]
    fn a_key_stands_in_for_what_an_argument_said() {
        let with = |uri: &str| with_pair(&uri.parse().unwrap(), "k=s").unwrap().to_string();
        assert_eq!(with("http://a/b"), "http://a/b?k=s");
        assert_eq!(with("http://a/b?x=1&k=mine&%6b=2&y"), "http://a/b?x=1&y&k=s");
    }

    #[test]
    fn the_upstream_says_when() {
        assert_eq!(pause(&Method::GET, &reply(429, "7"), 0), Some(Duration::from_secs(7)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        let pause_until = pause(&Method::GET, &reply(503, &soon), 0).unwrap();
        assert!(pause_until > Duration::from_secs(25) && pause_until <= Duration::from_secs(30));
        let usual = pause(&Method::GET, &reply(503, "soon"), 2).unwrap();
        assert!(usual >= Duration::from_millis(400) && usual <= Duration::from_millis(800), "{usual:?}");
    }
}
