//! Where a server may send a request on to, and what goes with it. Nothing is sent here.

use http::header::{self, HeaderMap};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};

use crate::config::Redirects;

/// How often one call may be sent on.
pub(crate) const FOLLOWED_MAX: usize = 5;

/// A call that is sent on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Onward {
    /// Where to.
    pub(crate) uri: Uri,
    /// Whether it becomes a GET, without its body.
    pub(crate) is_get: bool,
    /// Whether another server gets it: nothing secret goes with it then.
    pub(crate) is_elsewhere: bool,
}

/// Where a reply sends a call on to, if it may.
pub(crate) fn onward(
    method: &Method,
    from: &Uri,
    status: StatusCode,
    headers: &HeaderMap,
    allowed: Redirects,
) -> Option<Onward> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let is_get = match status.as_u16() {
        307 | 308 => false,
        303 => !is_read,
        // What else than reading was meant is not guessed.
        301 | 302 if is_read => false,
        _ => return None,
    };
    let uri = target(from, headers.get(header::LOCATION)?.to_str().ok()?)?;
    let is_elsewhere = (uri.scheme(), place(&uri)) != (from.scheme(), place(from));
    // What was private stays private.
    let is_bared = from.scheme() == Some(&Scheme::HTTPS) && uri.scheme() != Some(&Scheme::HTTPS);
    let is_allowed = match allowed {
        Redirects::None => false,
        Redirects::Same => !is_elsewhere,
        Redirects::Any => !is_bared,
    };
    is_allowed.then_some(Onward { uri, is_get, is_elsewhere })
}

/// Host and port, said or not.
fn place(uri: &Uri) -> Option<(String, u16)> {
    let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(usual)))
}

/// A location as seen from a URL (RFC 3986, 5.2); `None` if it is none that we call.
fn target(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let absolute = |text: &str| {
        let uri = text.parse::<Uri>().ok()?;
        let is_ours = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().filter(|authority| is_ours && !authority.as_str().contains('@'))?;
        (!authority.host().is_empty()).then_some(uri)
    };
    if location.starts_with("//") {
        return absolute(&format!("{}:{location}", from.scheme_str()?));
    }
    let scheme = location.split(['/', '?']).next().unwrap_or_default();
    if scheme.contains(':') {
        return absolute(location);
    }
    let (path, query) =
        location.split_once('?').map_or((location, None), |(path, query)| (path, Some(query)));
    let path = match path {
        "" => from.path().to_owned(),
        path if path.starts_with('/') => settled(path),
        path => {
            let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            settled(&format!("{folder}/{path}"))
        }
    };
    let whole = query.map_or(path.clone(), |query| format!("{path}?{query}"));
    let (scheme, authority): (Scheme, Authority) = (from.scheme()?.clone(), from.authority()?.clone());
    let path: PathAndQuery = whole.parse().ok()?;
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
}

/// A path without `.` and `..`.
fn settled(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    for part in &parts {
        match *part {
            "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    if matches!(parts.last(), Some(&("." | ".."))) {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `GET https://a.example/b/c?d` is sent on to.
    fn sent(status: u16, location: &str, allowed: Redirects) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
        let from = Uri::from_static("https://a.example/b/c?d");
        let status = StatusCode::from_u16(status).unwrap();
        onward(&Method::GET, &from, status, &headers, allowed).map(|onward| onward.uri.to_string())
    }

    #[test]
    fn locations_are_seen_from_where_they_were_said() {
        for (location, uri) in [
            ("/x", "https://a.example/x"),
            ("x?y=/..", "https://a.example/b/x?y=/.."),
            ("../../../x/.", "https://a.example/x/"),
            ("?z", "https://a.example/b/c?z"),
            ("//A.example:443/x#y", "https://A.example:443/x"),
            ("https://a.example/x", "https://a.example/x"),
        ] {
            assert_eq!(sent(302, location, Redirects::Same).as_deref(), Some(uri), "{location}");
        }
    }

    #[test]
    fn other_servers_are_only_called_if_that_is_wanted() {
        for location in ["https://b.example/x", "//b.example/x", "https://a.example:8443/x"] {
            assert_eq!(sent(302, location, Redirects::Same), None, "{location}");
            assert!(sent(302, location, Redirects::Any).is_some(), "{location}");
        }
        for location in
            ["http://a.example/x", "ftp://a.example/", "javascript:x", "https://u:p@b.example/", "https:///x"]
        {
            assert_eq!(sent(302, location, Redirects::Any), None, "{location}");
        }
        assert_eq!(sent(302, "/x", Redirects::None), None);
        assert_eq!(sent(304, "/x", Redirects::Any), None);
    }

    #[test]
    fn a_write_is_not_guessed_into_a_read() {
        let headers = HeaderMap::from_iter([(header::LOCATION, "/x".parse().unwrap())]);
        let from = Uri::from_static("https://a.example/b");
        let sent = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            onward(&Method::POST, &from, status, &headers, Redirects::Same).map(|onward| onward.is_get)
        };
        assert_eq!([301, 302, 303, 307, 308].map(sent), [None, None, Some(true), Some(false), Some(false)]);
    }
}
