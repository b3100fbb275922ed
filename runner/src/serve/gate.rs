//! Who may ask at all: the host a request names, the page it comes from, and the token it shows. What it asks
//! for is not known here.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};

use super::body::{Body, plain};
use super::listener::Address;
use crate::config::Clients;

/// What a page of an allowed origin may read of an answer.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("mcp-session-id, mcp-protocol-version, www-authenticate");

/// The methods a page may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");

/// How long a browser may remember what a page may do, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// What requests are held against.
#[derive(Debug)]
pub(super) struct Gate {
    /// Hosts that are us, lower case; `None` takes every host.
    hosts: Option<Vec<Box<str>>>,
    /// Pages that may call us, lower case, with their port.
    origins: Vec<Box<str>>,
    /// What clients must show.
    token: Option<Box<str>>,
}

impl Gate {
    /// The rules of an address.
    pub(super) fn new(address: &Address, clients: &Clients) -> Self {
        let mut hosts: Vec<Box<str>> =
            clients.hosts.iter().map(|host| host.to_ascii_lowercase().into()).collect();
        let said = !hosts.is_empty();
        let mut origins: Vec<Box<str>> =
            clients.origins.iter().map(|origin| origin.to_ascii_lowercase().into()).collect();
        let is_checked = match address {
            Address::Tcp(address) => {
                let (ip, port) = (address.ip(), address.port());
                let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned(), in_url(ip)];
                let scheme = if clients.tls.is_some() { "https" } else { "http" };
                // A page that this very server's address names is not foreign; every other one is.
                origins.extend(own.iter().map(|host| format!("{scheme}://{host}:{port}").into()));
                hosts.extend(own.map(Into::into));
                // Other machines know this one by names of theirs; they are asked for a token instead.
                said || ip.is_loopback()
            }
            // A page cannot reach it.
            Address::Unix(_) => said,
        };
        Self { hosts: is_checked.then_some(hosts), origins, token: clients.token.as_deref().map(Into::into) }
    }

    /// The answer to a request that may not pass, or that a browser sent only to ask whether another may.
    pub(super) fn refusal<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        if let Some(hosts) = &self.hosts {
            match host(request.uri().authority(), headers) {
                None => {
                    return Some(plain(StatusCode::BAD_REQUEST, "the Host header is missing or not valid\n"));
                }
                Some(host) if !hosts.iter().any(|own| **own == *host) => {
                    return Some(plain(StatusCode::FORBIDDEN, "this server is not that host\n"));
                }
                Some(_) => {}
            }
        }
        if let Some(origin) = headers.get(header::ORIGIN) {
            if !self.admits(origin) {
                return Some(plain(StatusCode::FORBIDDEN, "pages of that origin may not call this server\n"));
            }
            if request.method() == Method::OPTIONS {
                return Some(preflight(headers));
            }
        }
        if self.token.as_deref().is_some_and(|token| !shows(headers, token)) {
            let mut response = plain(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Some(response);
        }
        None
    }

    /// Tells a browser that the page may read the answer.
    pub(super) fn share(&self, origin: Option<&HeaderValue>, response: &mut Response<Body>) {
        if let Some(origin) = origin.filter(|origin| self.admits(origin)) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
    }

    /// Whether pages of an origin may call us.
    fn admits(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        self.origins.iter().any(|own| **own == *origin)
    }
}

/// A host as it stands in a URL.
fn in_url(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The host a request names, lower case, without its port: exactly one, and a valid one.
fn host(target: Option<&Authority>, headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(header::HOST).iter();
    let named = all.next();
    if all.next().is_some() {
        return None;
    }
    let authority = match (named, target) {
        (Some(named), _) => named.to_str().ok()?.parse::<Authority>().ok()?,
        (None, Some(target)) => target.clone(),
        (None, None) => return None,
    };
    // `user@host` is no host, and a rebound name could hide behind it.
    (!authority.as_str().contains('@')).then(|| authority.host().to_ascii_lowercase())
}

/// Whether a request shows the token. Compared whole, so that the time it takes tells nothing.
fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((scheme, shown)) = shown.split_once(' ') else {
        return false;
    };
    let shown = shown.trim();
    let differences = shown.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    scheme.eq_ignore_ascii_case("bearer") && shown.len() == token.len() && differences == 0
}

/// Tells a browser what a page of an allowed origin may send.
fn preflight(headers: &HeaderMap) -> Response<Body> {
    let mut response = plain(StatusCode::NO_CONTENT, "");
    let wanted = headers.get(HeaderName::from_static("access-control-request-headers")).cloned();
    let answer = response.headers_mut();
    if let Some(wanted) = wanted {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status a request with these headers gets from a server at `address`.
    fn asked(address: &str, clients: &Clients, headers: &[(&str, &str)]) -> u16 {
        let gate = Gate::new(&Address::Tcp(address.parse().unwrap()), clients);
        let mut request = Request::builder().uri("/mcp");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        gate.refusal(&request.body(()).unwrap()).map_or(200, |response| response.status().as_u16())
    }

    #[test]
    fn a_rebound_name_is_refused() {
        let at = |host| asked("127.0.0.1:3001", &Clients::default(), &[("host", host)]);
        for host in ["127.0.0.1:3001", "LOCALHOST", "localhost:1", "[::1]:3001"] {
            assert_eq!(at(host), 200, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:3001", "0.0.0.0", "localhost."] {
            assert_eq!(at(host), 403, "{host}");
        }
        for host in ["", "a b", "127.0.0.1@evil.example", "localhost:x:1"] {
            assert_eq!(at(host), 400, "{host}");
        }
        let none = Clients::default();
        assert_eq!(asked("127.0.0.1:3001", &none, &[]), 400);
        assert_eq!(asked("127.0.0.1:3001", &none, &[("host", "localhost"), ("host", "evil.example")]), 400);
    }

    #[test]
    fn foreign_pages_are_refused_and_named_ones_are_told_so() {
        let clients = Clients { origins: vec!["https://App.example".into()], ..Clients::default() };
        let at = |origin| asked("127.0.0.1:3001", &clients, &[("host", "localhost"), ("origin", origin)]);
        assert_eq!((at("http://localhost:3001"), at("https://app.example")), (200, 200));
        for origin in [
            "http://localhost",
            "http://localhost:3002",
            "null",
            "https://app.example.evil.example",
            "\u{e9}",
        ] {
            assert_eq!(at(origin), 403, "{origin}");
        }
        let gate = Gate::new(&Address::Tcp("127.0.0.1:3001".parse().unwrap()), &clients);
        let mut response = plain(StatusCode::OK, "");
        gate.share(Some(&HeaderValue::from_static("https://app.example")), &mut response);
        assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    }

    #[test]
    fn a_token_is_asked_for_where_there_is_one() {
        let clients = Clients { token: Some("a-long-enough-token".into()), ..Clients::default() };
        let at =
            |shown| asked("0.0.0.0:3001", &clients, &[("host", "pets.internal"), ("authorization", shown)]);
        assert_eq!((at("Bearer a-long-enough-token"), at("bearer  a-long-enough-token ")), (200, 200));
        for shown in [
            "Bearer a-long-enough-tokem",
            "Bearer a-long-enough-token2",
            "Bearer ",
            "Basic a-long-enough-token",
            "",
        ] {
            assert_eq!(at(shown), 401, "{shown}");
        }
    }
}
