//! The runner's configuration: its file and its flags, flags beating the file. No server is started here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// The config file, as the supervisor writes it and as a person may.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RunnerConfig {
    /// Id of the service.
    #[serde(default)]
    pub(crate) server_id: Option<String>,
    /// Words for people.
    #[serde(default)]
    pub(crate) server_name: Option<String>,
    /// What is served.
    pub(crate) mcp_config: McpConfig,
}

/// What is served and how. Strings are substituted already when the supervisor wrote the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct McpConfig {
    /// `streamable` or `stdio`.
    #[serde(default)]
    pub(crate) transport: Transport,
    /// TCP port; 0 lets the system choose.
    #[serde(default)]
    pub(crate) port: Option<u16>,
    /// Address to bind; loopback unless said.
    #[serde(default)]
    pub(crate) host: Option<String>,
    /// Path of the endpoint; `/mcp` unless said.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// The document: an object (inline), or a string (a path, or an `http(s)` URL).
    pub(crate) open_api_data: Option<Value>,
    /// Where calls go: a URL, or `mock`; the document's first server unless said.
    #[serde(default)]
    pub(crate) base_url: Option<String>,
    /// Credentials for the upstream.
    #[serde(default)]
    pub(crate) auth_config: Option<AuthConfig>,
    /// Headers for every upstream request.
    #[serde(default)]
    pub(crate) custom_headers: BTreeMap<String, String>,
    /// Logs each upstream request's headers, secrets masked.
    #[serde(default)]
    pub(crate) debug_headers: bool,
}

/// How clients reach the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// Streamable HTTP.
    #[default]
    Streamable,
    /// stdin and stdout.
    Stdio,
}

/// Credentials for the upstream.
#[derive(Deserialize)]
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
}

/// Says the kind only: what it holds is secret.
impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer { .. } => "bearer",
            Self::Basic { .. } => "basic",
            Self::ApiKey { .. } => "apiKey",
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

/// Where a document's relative path starts: the folder of the config file, or the current one.
#[derive(Debug)]
pub(crate) struct Origin(pub(crate) PathBuf);
