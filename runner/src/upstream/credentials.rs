//! What the configuration adds to every request, and how it is kept out of everything that is said.

use std::collections::BTreeMap;
use std::fmt;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::is_secret;
use crate::config::{AuthConfig, KeyPlace};
use crate::tools::encoded;

/// Shortest text that is looked for in replies: a shorter one is everywhere.
const SECRET_BYTES_MIN: usize = 4;
/// Headers that HTTP itself decides.
const HEADERS_NEVER_SET: [HeaderName; 4] =
    [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::UPGRADE];

/// Checked once, added to each request.
#[derive(Default)]
pub(super) struct Credentials {
    /// Custom headers, then that of the credentials.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// `name=value`, encoded.
    query: Option<String>,
    /// `name=value`.
    cookie: Option<String>,
    /// Texts that no answer may hold.
    secrets: Vec<String>,
}

/// Says nothing: all of it may be secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// From the configuration. An error names a key, never a value.
    pub(super) fn new(
        auth: Option<&AuthConfig>,
        custom_headers: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let mut all = Self::default();
        for (name, value) in custom_headers {
            let cannot = |reason: &str| format!("cannot use customHeaders.{name}: {reason}");
            let header = name.parse::<HeaderName>().map_err(|_| cannot("it is not a header's name"))?;
            if HEADERS_NEVER_SET.contains(&header) {
                return Err(cannot("the runner decides this header"));
            }
            let is_secret = is_secret(&header);
            if is_secret {
                all.secrets.push(value.clone());
            }
            let value =
                header_value(value, is_secret).ok_or_else(|| cannot("a header cannot hold its value"))?;
            all.headers.push((header, value));
        }
        match auth {
            None => {}
            Some(AuthConfig::Bearer { token }) => {
                all.secrets.push(token.clone());
                all.authorization(&format!("Bearer {token}"), "token")?;
            }
            Some(AuthConfig::Basic { username, password }) => {
                let pair = base64(format!("{username}:{password}").as_bytes());
                all.secrets.extend([password.clone(), pair.clone()]);
                all.authorization(&format!("Basic {pair}"), "username")?;
            }
            Some(AuthConfig::ApiKey { place, name, value }) => all.key(*place, name, value)?,
        }
        all.secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        Ok(all)
    }

    /// Sets `Authorization`.
    fn authorization(&mut self, value: &str, field: &str) -> Result<(), String> {
        let value = header_value(value, true)
            .ok_or_else(|| format!("cannot use authConfig.{field}: a header cannot hold it"))?;
        self.headers.push((header::AUTHORIZATION, value));
        Ok(())
    }

    /// Puts an API key in its place.
    fn key(&mut self, place: KeyPlace, name: &str, value: &str) -> Result<(), String> {
        let key = encoded(value);
        self.secrets.extend([value.to_owned(), key.clone()]);
        match place {
            KeyPlace::Query => self.query = Some(format!("{}={key}", encoded(name))),
            KeyPlace::Cookie => self.cookie = Some(format!("{}={key}", encoded(name))),
            KeyPlace::Header => {
                let header = name.parse::<HeaderName>();
                let header = header.map_err(|_| "cannot use authConfig.name: it is not a header's name")?;
                if HEADERS_NEVER_SET.contains(&header) {
                    return Err("cannot use authConfig.name: the runner decides this header".to_owned());
                }
                let value = header_value(value, true);
                self.headers
                    .push((header, value.ok_or("cannot use authConfig.value: a header cannot hold it")?));
            }
        }
        Ok(())
    }

    /// The pair to add to a query.
    pub(super) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Sets the headers, whatever was there; cookies come beside those that are there.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(cookie) = &self.cookie {
            let before = headers.get(header::COOKIE).map(|value| value.as_bytes().to_vec());
            let parts: Vec<&[u8]> = before.iter().map(Vec::as_slice).chain([cookie.as_bytes()]).collect();
            if let Ok(mut value) = HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
                value.set_sensitive(true);
                headers.insert(header::COOKIE, value);
            }
        }
    }

    /// A text without any secret. Upstreams like to repeat a refused key in their answer.
    pub(super) fn redact(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), "***") } else { text }
        })
    }
}

/// A header's value; `None` when it holds line breaks or other controls.
fn header_value(text: &str, is_secret: bool) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(is_secret);
    Some(value)
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| (bits << 8) | usize::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * at)) & 63).copied().unwrap_or(b'=');
            out.push(char::from(if at <= group.len() { letter } else { b'=' }));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Credentials of a configuration without custom headers.
    fn with(auth: &AuthConfig) -> Result<Credentials, String> {
        Credentials::new(Some(auth), &BTreeMap::new())
    }

    #[test]
    fn base64_is_padded() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn keys_go_where_they_belong() {
        let key = |place| AuthConfig::ApiKey { place, name: "k".into(), value: "a b/secret".into() };
        assert_eq!(with(&key(KeyPlace::Query)).unwrap().query(), Some("k=a%20b%2Fsecret"));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("mine=1"));
        with(&key(KeyPlace::Cookie)).unwrap().apply(&mut headers);
        assert_eq!(headers[header::COOKIE], "mine=1; k=a%20b%2Fsecret");
        with(&key(KeyPlace::Header)).unwrap().apply(&mut headers);
        assert_eq!(headers["k"], "a b/secret");
        assert!(headers["k"].is_sensitive());
    }

    #[test]
    fn errors_and_debug_say_no_value() {
        let error = with(&AuthConfig::Bearer { token: "sec\r\nret".into() }).unwrap_err();
        assert_eq!(error, "cannot use authConfig.token: a header cannot hold it");
        let custom = BTreeMap::from([("X-A".to_owned(), "b\nc".to_owned())]);
        let error = Credentials::new(None, &custom).unwrap_err();
        assert_eq!(error, "cannot use customHeaders.X-A: a header cannot hold its value");
        let custom = BTreeMap::from([("content-length".to_owned(), "1".to_owned())]);
        assert!(Credentials::new(None, &custom).is_err());
        let basic = with(&AuthConfig::Basic { username: "me".into(), password: "hunter22".into() }).unwrap();
        assert_eq!(format!("{basic:?}"), "Credentials");
        assert_eq!(basic.redact("bad hunter22 bWU6aHVudGVyMjI=".into()), "bad *** ***");
    }
}
