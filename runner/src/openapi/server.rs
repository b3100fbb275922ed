//! Where calls go: server objects, their variables, and URLs relative to the document's own. No socket here.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use serde_json::Value;

use super::Node;

/// Scheme, host, port and the path in front of every operation's. The first three are pinned: no argument
/// of a call can change them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// `http` or `https`.
    pub(crate) scheme: Scheme,
    /// Host and port.
    pub(crate) authority: Authority,
    /// Empty, or begins with a slash and ends without one.
    pub(crate) prefix: Box<str>,
}

impl Base {
    /// Reads an absolute URL.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let refused = |reason: &str| Err(format!("{url:?} {reason}"));
        let url_before_fragment = url.trim().split('#').next().unwrap_or_default();
        let Ok(uri) = url_before_fragment.parse::<Uri>() else {
            return refused("is not a URL");
        };
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return refused("is not an absolute URL");
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return refused("is neither http nor https");
        }
        if authority.as_str().contains('@') {
            return Err("the URL carries credentials, which belong in authConfig".to_owned());
        }
        if authority.host().is_empty() {
            return refused("names no host");
        }
        if uri.query().is_some() {
            return refused("has a query, which a base URL cannot have");
        }
        let prefix = uri.path().trim_end_matches('/').into();
        Ok(Self { scheme: scheme.clone(), authority: authority.clone(), prefix })
    }

    /// The URL of a path below this base.
    pub(crate) fn uri(&self, path_and_query: PathAndQuery) -> Result<Uri, http::Error> {
        let builder = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        builder.path_and_query(path_and_query).build()
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// Whether a source of a document is a URL rather than a path.
pub(crate) fn is_url(source: &str) -> bool {
    let starts = |scheme: &str| source.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    starts("http://") || starts("https://")
}

/// The first server of a `servers` list: variables filled in, relative URLs made absolute by the
/// document's own. `None` when the list is absent or empty.
pub(super) fn first(holder: Node<'_>, document_url: Option<&str>) -> Option<Result<Base, String>> {
    let server = holder.get("servers")?.as_array()?.next()?;
    let url = server.get("url").and_then(Node::as_str).unwrap_or("/");
    let url = fill(url, server.get("variables"));
    if is_url(&url) {
        return Some(Base::parse(&url));
    }
    if url.starts_with("//") {
        let scheme = document_url.filter(|from| !from.starts_with("http:")).map_or("https", |_| "https");
        return Some(Base::parse(&format!("{scheme}:{url}")));
    }
    Some(relative(&url, document_url))
}

/// A relative URL as seen from the document's.
pub(super) fn relative(url: &str, document_url: Option<&str>) -> Result<Base, String> {
    let Some(document_url) = document_url else {
        return Err(format!("its server URL {url:?} is relative and it was not read from a URL"));
    };
    let without_query = document_url.split(['?', '#']).next().unwrap_or_default();
    let mut base = Base::parse(without_query)?;
    let folder = match base.prefix.rfind('/') {
        Some(slash) if !url.starts_with('/') => base.prefix.get(..slash).unwrap_or_default(),
        _ => "",
    };
    let mut kept: Vec<&str> = folder.split('/').collect();
    for part in url.split(['?', '#']).next().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    kept.retain(|part| !part.is_empty());
    let path: String = kept.iter().flat_map(|part| ["/", part]).collect();
    if !path.is_empty() && path.parse::<PathAndQuery>().is_err() {
        return Err(format!("its server URL {url:?} is not a URL"));
    }
    base.prefix = path.into();
    Ok(base)
}

/// Puts each variable's default (else its first allowed value) in its place.
fn fill(url: &str, variables: Option<Node<'_>>) -> String {
    let Some(variables) = variables.and_then(Node::as_object) else {
        return url.to_owned();
    };
    // Built from the template in one pass: what a variable brings in is never looked at again.
    let mut filled = String::with_capacity(url.len());
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        let variable = variables.get(name);
        let value = variable.and_then(|v| v.get("default").or_else(|| v.get("enum")?.as_array()?.next()));
        match value.map(Node::value) {
            Some(Value::String(text)) => filled.push_str(&text),
            Some(Value::Number(number)) => filled.push_str(&number.to_string()),
            _ => {
                filled.push('{');
                filled.push_str(name);
                filled.push('}');
            }
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::Document;

    /// The first server of a document, as text.
    fn base(holder: &Value, document_url: Option<&str>) -> String {
        match first(Document::from(holder.clone()).root(), document_url) {
            None => "none".to_owned(),
            Some(Ok(base)) => base.to_string(),
            Some(Err(reason)) => reason,
        }
    }

    #[test]
    fn variables_take_their_defaults() {
        let server = json!({"servers": [{"url": "https://{host}:{port}/{v}/", "variables":
            {"host": {"default": "api.example.com"}, "port": {"default": 8443}, "v": {"enum": ["v2"]}}}]});
        assert_eq!(base(&server, None), "https://api.example.com:8443/v2");
    }

    #[test]
    fn relative_urls_start_at_the_document() {
        let at = |url: &str, from| base(&json!({"servers": [{"url": url}]}), from);
        let from = Some("https://example.com:8443/api/docs/openapi.json?x=1");
        assert_eq!(at("/v3", from), "https://example.com:8443/v3");
        assert_eq!(at("v3", from), "https://example.com:8443/api/docs/v3");
        assert_eq!(at("./v3/", from), "https://example.com:8443/api/docs/v3");
        assert_eq!(at("../../../v3", from), "https://example.com:8443/v3");
        assert_eq!(at("/", from), "https://example.com:8443");
        assert_eq!(at("//other.example/x", from), "https://other.example/x");
        assert!(at("/v3", None).contains("is relative"));
    }

    #[test]
    fn what_is_no_base_is_refused() {
        assert!(Base::parse("ftp://example.com").is_err());
        assert!(Base::parse("https://user:secret@example.com").is_err_and(|e| !e.contains("secret")));
        assert!(Base::parse("https://{host}/x").is_err());
        assert!(Base::parse("https://example.com/x?y=1").is_err());
        assert!(Base::parse("mailto:x").is_err());
        assert_eq!(Base::parse("HTTP://example.com/").unwrap().to_string(), "http://example.com");
    }
}
