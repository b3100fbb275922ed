//! What the configuration adds to every request, and how it is kept out of everything that is said.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::is_secret;
use super::oauth::TokenSource;
use crate::base64;
use crate::client::Client;
use crate::config::{Auth, AuthConfig, KeyPlace, NEVER_SET};
use crate::tools::{Security, encoded};

/// Shortest text that is looked for in replies: a shorter one is everywhere.
const SECRET_BYTES_MIN: usize = 4;

/// Checked once, added to each request.
#[derive(Default)]
pub(super) struct Credentials {
    /// Custom headers.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Who we are to the upstream.
    keys: Keys,
    /// Texts that no answer may hold.
    secrets: Vec<String>,
    /// The last token that was used, which no answer may hold either.
    token: Mutex<Option<Arc<str>>>,
}

/// Who gets which key.
#[derive(Default)]
enum Keys {
    /// Nobody gets any.
    #[default]
    None,
    /// Every request gets this one.
    All(Key),
    /// Operations say which.
    Schemes(BTreeMap<String, Key>),
}

/// One set of credentials, ready for use.
enum Key {
    /// A header.
    Header(HeaderName, HeaderValue),
    /// `name=value`, encoded, for the query.
    Query(String),
    /// `name=value`.
    Cookie(String),
    /// A token that is fetched.
    Token(Box<TokenSource>),
}

/// What one request gets.
#[derive(Default)]
pub(super) struct Given<'a> {
    /// The keys.
    keys: Vec<&'a Key>,
    /// The token of the last of them that is fetched.
    pub(super) token: Option<(&'a TokenSource, Arc<str>)>,
}

/// Says nothing: all of it may be secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// From the configuration. An error names a key, never a value.
    pub(super) fn new(auth: Auth, custom_headers: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut all = Self::default();
        for (name, value) in custom_headers {
            let cannot = |reason: &str| format!("cannot use customHeaders.{name}: {reason}");
            let header = name.parse::<HeaderName>().map_err(|_| cannot("it is not a header's name"))?;
            // Some gateways route by Host; what belongs to a connection stays ours.
            if NEVER_SET.contains(&header) && header != header::HOST {
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
        all.keys = match auth {
            Auth::None => Keys::None,
            Auth::All(auth) => Keys::All(all.key(auth)?),
            Auth::Schemes(schemes) => {
                let keys = schemes.into_iter().map(|(name, auth)| Ok((name, all.key(auth)?)));
                Keys::Schemes(keys.collect::<Result<_, String>>()?)
            }
        };
        all.secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        Ok(all)
    }

    /// Makes credentials ready for use.
    fn key(&mut self, auth: AuthConfig) -> Result<Key, String> {
        match auth {
            AuthConfig::Bearer { token } => {
                let value = authorization(&format!("Bearer {token}"), "token")?;
                self.secrets.push(token);
                Ok(Key::Header(header::AUTHORIZATION, value))
            }
            AuthConfig::Basic { username, password } => {
                let pair = base64::encoded(format!("{username}:{password}").as_bytes());
                let value = authorization(&format!("Basic {pair}"), "username")?;
                self.secrets.extend([password, pair]);
                Ok(Key::Header(header::AUTHORIZATION, value))
            }
            AuthConfig::ApiKey { place, name, value } => self.api_key(place, &name, &value),
            AuthConfig::Oauth2(config) => {
                let source = TokenSource::new(config)?;
                self.secrets.extend(source.secrets().cloned());
                Ok(Key::Token(Box::new(source)))
            }
        }
    }

    /// Puts an API key in its place.
    fn api_key(&mut self, place: KeyPlace, name: &str, value: &str) -> Result<Key, String> {
        let key = encoded(value);
        self.secrets.extend([value.to_owned(), key.clone()]);
        Ok(match place {
            KeyPlace::Query => Key::Query(format!("{}={key}", encoded(name))),
            KeyPlace::Cookie => Key::Cookie(format!("{}={key}", encoded(name))),
            KeyPlace::Header => {
                let header = name.parse::<HeaderName>();
                let header = header.map_err(|_| "cannot use authConfig.name: it is not a header's name")?;
                if NEVER_SET.contains(&header) {
                    return Err("cannot use authConfig.name: the runner decides this header".to_owned());
                }
                let value = header_value(value, true);
                Key::Header(header, value.ok_or("cannot use authConfig.value: a header cannot hold it")?)
            }
        })
    }

    /// What a request gets, its token fetched where it needs one.
    pub(super) async fn give(&self, security: &Security, client: &Client) -> Result<Given<'_>, String> {
        let keys = match &self.keys {
            Keys::None => Vec::new(),
            Keys::All(key) => vec![key],
            Keys::Schemes(schemes) => chosen(security, schemes),
        };
        let mut token = None;
        for key in &keys {
            if let Key::Token(source) = key {
                // Apart: few calls fetch one, and what that takes need not be in every call's way.
                let text = Box::pin(source.token(client)).await?;
                if let Ok(mut last) = self.token.lock() {
                    *last = Some(Arc::clone(&text));
                }
                token = Some((&**source, text));
            }
        }
        Ok(Given { keys, token })
    }

    /// Sets the custom headers, whatever was there.
    pub(super) fn set_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// A text without any secret. Upstreams like to repeat a refused key in their answer.
    pub(super) fn redact(&self, text: String) -> String {
        let token = self.token.lock().ok().and_then(|token| token.clone());
        let token = token.as_deref().filter(|token| token.len() >= SECRET_BYTES_MIN);
        let secrets = self.secrets.iter().map(String::as_str).chain(token);
        secrets
            .fold(text, |text, secret| if text.contains(secret) { text.replace(secret, "***") } else { text })
    }
}

impl Given<'_> {
    /// What comes behind a query.
    pub(super) fn query(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| if let Key::Query(pair) = key { Some(pair.as_str()) } else { None })
    }

    /// Sets the headers, whatever was there; cookies come beside those that are there.
    pub(super) fn set_headers(&self, headers: &mut HeaderMap) {
        for key in &self.keys {
            match key {
                Key::Header(name, value) => drop(headers.insert(name.clone(), value.clone())),
                Key::Cookie(pair) => add_cookie(headers, pair),
                Key::Query(_) | Key::Token(_) => {}
            }
        }
        if let Some((_, token)) = &self.token
            && let Some(value) = header_value(&format!("Bearer {token}"), true)
        {
            headers.insert(header::AUTHORIZATION, value);
        }
    }
}

/// The keys of an operation: those of its first alternative that has all of its own; failing that, of the first
/// that has any.
fn chosen<'a>(security: &Security, schemes: &'a BTreeMap<String, Key>) -> Vec<&'a Key> {
    let keys = |names: &[Box<str>]| -> Vec<&'a Key> {
        names.iter().filter_map(|name| schemes.get(&**name)).collect()
    };
    let whole = security.iter().map(|names| keys(names)).find(|found| !found.is_empty());
    let complete = security.iter().find(|names| keys(names).len() == names.len());
    complete.map(|names| keys(names)).or(whole).unwrap_or_default()
}

/// Adds a cookie, in the place of any other of its name.
fn add_cookie(headers: &mut HeaderMap, pair: &str) {
    fn name(pair: &[u8]) -> &[u8] {
        pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
    }
    let before = headers.get(header::COOKIE).map(|value| value.as_bytes().to_vec());
    let others = before.iter().flat_map(|all| all.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let others = others.filter(|other| name(other) != name(pair.as_bytes()));
    let parts: Vec<&[u8]> = others.chain([pair.as_bytes()]).collect();
    if let Ok(mut value) = HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
        value.set_sensitive(true);
        headers.insert(header::COOKIE, value);
    }
}

/// `Authorization`.
fn authorization(value: &str, field: &str) -> Result<HeaderValue, String> {
    header_value(value, true).ok_or_else(|| format!("cannot use authConfig.{field}: a header cannot hold it"))
}

/// A header's value; `None` when it holds line breaks or other controls.
fn header_value(text: &str, is_secret: bool) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(is_secret);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Credentials of a configuration without custom headers.
    fn with(auth: AuthConfig) -> Result<Credentials, String> {
        Credentials::new(Auth::All(auth), &BTreeMap::new())
    }

    /// The headers and the query that an operation's request gets.
    async fn given(credentials: &Credentials, security: &Security) -> (HeaderMap, Vec<String>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("mine=1; k=mine"));
        let given = credentials.give(security, &Client::default()).await.unwrap();
        given.set_headers(&mut headers);
        (headers, given.query().map(str::to_owned).collect())
    }

    /// An API key.
    fn key(place: KeyPlace, value: &str) -> AuthConfig {
        AuthConfig::ApiKey { place, name: "k".into(), value: value.into() }
    }

    #[tokio::test]
    async fn keys_go_where_they_belong() {
        let none = Security::default();
        let (_, query) = given(&with(key(KeyPlace::Query, "a b/secret")).unwrap(), &none).await;
        assert_eq!(query, ["k=a%20b%2Fsecret"]);
        let (headers, _) = given(&with(key(KeyPlace::Cookie, "a b/secret")).unwrap(), &none).await;
        assert_eq!(headers[header::COOKIE], "mine=1; k=a%20b%2Fsecret");
        let (headers, _) = given(&with(key(KeyPlace::Header, "a b/secret")).unwrap(), &none).await;
        assert_eq!(headers["k"], "a b/secret");
        assert!(headers["k"].is_sensitive());
    }

    #[tokio::test]
    async fn operations_get_the_keys_of_their_schemes() {
        let schemes = [("a", key(KeyPlace::Header, "secret-a")), ("b", key(KeyPlace::Query, "secret-b"))];
        let schemes = schemes.map(|(name, auth)| (name.to_owned(), auth)).into();
        let credentials = Credentials::new(Auth::Schemes(schemes), &BTreeMap::new()).unwrap();
        for (security, has_header, has_query) in [
            (vec![], false, false),
            (vec![vec!["a"]], true, false),
            (vec![vec!["x", "a"], vec!["b"]], false, true),
            (vec![vec!["a", "b"]], true, true),
            (vec![vec!["x"], vec!["x", "b"]], false, true),
            (vec![vec!["x"]], false, false),
            (vec![vec![], vec!["a"]], false, false),
        ] {
            let alternatives =
                security.iter().map(|names| names.iter().map(|name| Box::from(*name)).collect());
            let security: Security = alternatives.collect();
            let (headers, query) = given(&credentials, &security).await;
            assert_eq!(
                (headers.contains_key("k"), !query.is_empty()),
                (has_header, has_query),
                "{security:?}"
            );
        }
    }

    #[test]
    fn errors_and_debug_say_no_value() {
        let error = with(AuthConfig::Bearer { token: "sec\r\nret".into() }).unwrap_err();
        assert_eq!(error, "cannot use authConfig.token: a header cannot hold it");
        let custom = BTreeMap::from([("X-A".to_owned(), "b\nc".to_owned())]);
        let error = Credentials::new(Auth::None, &custom).unwrap_err();
        assert_eq!(error, "cannot use customHeaders.X-A: a header cannot hold its value");
        let custom = BTreeMap::from([("content-length".to_owned(), "1".to_owned())]);
        assert!(Credentials::new(Auth::None, &custom).is_err());
        let basic = with(AuthConfig::Basic { username: "me".into(), password: "hunter22".into() }).unwrap();
        assert_eq!(format!("{basic:?}"), "Credentials");
        assert_eq!(basic.redact("bad hunter22 bWU6aHVudGVyMjI=".into()), "bad *** ***");
    }
}
