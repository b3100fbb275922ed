//! Credentials for the upstream, as they are written. What they hold is never part of a message.

use std::collections::BTreeMap;

use http::header::{self, HeaderName};
use serde::Deserialize;
use serde_json::Value;

use super::keys::Keys;
use crate::failure::Failure;

/// Headers that HTTP itself decides, or that speak of one connection only.
pub(crate) const NEVER_SET: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Which requests get which credentials.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Auth {
    /// None does.
    #[default]
    None,
    /// All get these.
    All(AuthConfig),
    /// Those whose operation asks for a security scheme get the ones of that name.
    Schemes(BTreeMap<String, AuthConfig>),
}

/// Credentials for the upstream.
#[derive(PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum AuthConfig {
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: String,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// Who.
        username: String,
        /// The secret.
        password: String,
    },
    /// A key in a header, the query or a cookie.
    ApiKey {
        /// Where it goes.
        #[serde(rename = "in")]
        place: KeyPlace,
        /// Name of the header, parameter or cookie.
        name: String,
        /// The secret.
        value: String,
    },
    /// A token that is fetched, kept, and fetched anew before it ends.
    Oauth2(OAuth2),
}

/// Where a token comes from, and what it is given for.
#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OAuth2 {
    /// The token endpoint. Never the document's: it learns the secret.
    pub(crate) token_url: String,
    /// Who.
    pub(crate) client_id: String,
    /// The secret.
    #[serde(default)]
    pub(crate) client_secret: String,
    /// What for, where the server asks.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Whom for, where the server asks.
    #[serde(default)]
    pub(crate) audience: Option<String>,
    /// Given, it is what tokens are fetched with; otherwise the client's own credentials are.
    #[serde(default)]
    pub(crate) refresh_token: Option<String>,
    /// How the client says who it is.
    #[serde(default)]
    pub(crate) client_auth: ClientAuth,
}

/// How a client says who it is to a token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuth {
    /// With a header, which every server must understand.
    #[default]
    Basic,
    /// In the body.
    Post,
}

/// Says the kind only: what it holds is secret.
impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer { .. } => "bearer",
            Self::Basic { .. } => "basic",
            Self::ApiKey { .. } => "apiKey",
            Self::Oauth2(_) => "oauth2",
        })
    }
}

/// Where an API key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyPlace {
    /// A header.
    Header,
    /// The query string.
    Query,
    /// A cookie.
    Cookie,
}

impl Auth {
    /// `authConfig`.
    pub(super) fn read(mcp: &mut Keys<'_>) -> Result<Self, Failure> {
        match mcp.take("authConfig") {
            None => Ok(Self::None),
            // A scheme may be called "type", but then it is an object.
            Some(Value::Object(schemes)) if !schemes.is_empty() && schemes.values().all(Value::is_object) => {
                let read = |(name, value)| {
                    let auth =
                        one(value).map_err(|reason| mcp.wrong(&format!("authConfig.{name}"), reason))?;
                    Ok((name, auth))
                };
                schemes.into_iter().map(read).collect::<Result<_, Failure>>().map(Self::Schemes)
            }
            Some(value) => one(value).map(Self::All).map_err(|reason| mcp.wrong("authConfig", reason)),
        }
    }

    /// All credentials there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = &AuthConfig> {
        let (one, schemes) = match self {
            Self::None => (None, None),
            Self::All(auth) => (Some(auth), None),
            Self::Schemes(schemes) => (None, Some(schemes)),
        };
        one.into_iter().chain(schemes.into_iter().flat_map(BTreeMap::values))
    }
}

/// One set of credentials, or what it lacks.
fn one(value: Value) -> Result<AuthConfig, &'static str> {
    let reason = match value.get("type").and_then(Value::as_str) {
        Some("bearer") => "of type bearer has exactly: type, token",
        Some("basic") => "of type basic has exactly: type, username, password",
        Some("apiKey") => "of type apiKey has exactly: type, in (header, query or cookie), name, value",
        Some("oauth2") => {
            "of type oauth2 has: type, tokenUrl, clientId, and if wanted clientSecret, scopes, audience, \
             refreshToken, clientAuth (basic or post)"
        }
        _ => "needs a type: bearer, basic, apiKey or oauth2",
    };
    // What serde says may show a secret.
    serde_json::from_value(value).map_err(|_| reason)
}
