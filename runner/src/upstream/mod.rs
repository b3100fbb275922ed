//! Calls: credentials, one client, limits, and replies as answers. A request comes here ready but for its
//! base; nothing here knows a schema.

mod answer;
mod credentials;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use http_body_util::Full;

use crate::client::{Client, Limits, USER_AGENT};
use crate::config::AuthConfig;
use crate::openapi::Base;
use crate::tools::{Answer, Arguments, Catalogue, Prepared};
use credentials::Credentials;

/// What one call may cost.
const LIMITS: Limits = Limits { time_max: Duration::from_secs(30), body_bytes_max: 8 << 20 };

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
    /// The pools.
    client: Client,
    /// What the configuration adds to every request.
    credentials: Credentials,
    /// Whether each request's headers are logged.
    logs_headers: bool,
}

impl Upstream {
    /// Checks what the configuration adds to requests. Opens nothing.
    pub(crate) fn new(
        auth: Option<&AuthConfig>,
        custom_headers: &BTreeMap<String, String>,
        logs_headers: bool,
    ) -> Result<Self, UpstreamError> {
        let credentials = Credentials::new(auth, custom_headers).map_err(UpstreamError)?;
        Ok(Self { client: Client::default(), credentials, logs_headers })
    }

    /// Calls a tool. Whatever goes wrong is an answer that a model can act on.
    pub(crate) async fn call(
        &self,
        catalogue: &Catalogue,
        tool_index: usize,
        arguments: Arguments,
    ) -> Answer {
        let prepared = match catalogue.prepare(tool_index, arguments) {
            Ok(prepared) => prepared,
            Err(reason) => return Answer::error(reason),
        };
        if let Some(mock) = prepared.mock {
            return answer::mock(&prepared, mock);
        }
        let Some(base) = prepared.base else {
            return Answer::error("this tool has no server to call");
        };
        let asked = format!("{} {base}{}", prepared.method, prepared.path());
        let request = match self.request(base, prepared) {
            Ok(request) => request,
            Err(reason) => return Answer::error(format!("cannot call {asked}: {reason}")),
        };
        if self.logs_headers {
            log_headers(&asked, request.headers());
        }
        match self.client.send(request, LIMITS).await {
            Ok(reply) => answer::real(&asked, &reply, &self.credentials),
            Err(reason) => Answer::error(format!("cannot call {asked}: {reason}")),
        }
    }

    /// Puts a request together. The base is pinned: a URL that came out elsewhere is never sent.
    fn request(&self, base: &Base, prepared: Prepared<'_>) -> Result<Request<Full<Bytes>>, String> {
        let mut target = format!("{}{}", base.prefix, prepared.target);
        if let Some(pair) = self.credentials.query() {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(pair);
        }
        let target: PathAndQuery =
            target.parse().map_err(|_| "the arguments make no valid URL".to_owned())?;
        let uri: Uri = base.uri(target).map_err(|_| "the arguments make no valid URL".to_owned())?;
        if uri.scheme() != Some(&base.scheme) || uri.authority() != Some(&base.authority) {
            return Err("the arguments lead to another server".to_owned());
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.8"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(prepared.headers);
        let body = match prepared.body {
            None => Vec::new(),
            Some((media_type, body)) => {
                let media_type = HeaderValue::from_str(media_type);
                let media_type = media_type.unwrap_or(HeaderValue::from_static("application/json"));
                headers.insert(header::CONTENT_TYPE, media_type);
                body
            }
        };
        // After the arguments: what the configuration says cannot be argued with.
        self.credentials.apply(&mut headers);
        // Some servers answer 411 to a POST that says no length, and hyper says none for an empty body.
        if body.is_empty() && matches!(*prepared.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = prepared.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
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
