//! The runner's configuration: its file and its flags, flags beating the file. No server is started here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::flags::{self, Flags};
use crate::nearest::nearest;

/// What is served and how. The file's strings are substituted already when the supervisor wrote it.
#[derive(Debug)]
pub(crate) struct RunnerConfig {
    /// Id of the server; empty unless said.
    pub(crate) server_id: Box<str>,
    /// Words for people.
    pub(crate) server_name: Option<Box<str>>,
    /// How clients reach it.
    pub(crate) transport: Transport,
    /// Loopback address to bind.
    pub(crate) host: IpAddr,
    /// TCP port; 0 lets the system choose.
    pub(crate) port: u16,
    /// Path of the endpoint, from its slash on.
    pub(crate) endpoint: Box<str>,
    /// The document: an object (inline), or a string (a path, or an `http(s)` URL).
    pub(crate) document: Value,
    /// Where a relative path in `document` starts.
    pub(crate) origin: Origin,
    /// Where calls go: a URL, or `mock`; the document's first server unless said.
    pub(crate) base_url: Option<String>,
    /// Credentials for the upstream.
    pub(crate) auth: Option<AuthConfig>,
    /// Headers for every upstream request.
    pub(crate) custom_headers: BTreeMap<String, String>,
    /// Logs each upstream request's headers, secrets masked.
    pub(crate) debug_headers: bool,
}

/// How clients reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Streamable HTTP.
    Streamable,
    /// stdin and stdout.
    Stdio,
}

impl Transport {
    /// Its name in configuration and on the channel.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Streamable => "streamable",
            Self::Stdio => "stdio",
        }
    }
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
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) PathBuf);

/// Reads the file the flags name, if they name one, and lays the flags over it.
pub(crate) fn read(flags: Flags) -> Result<RunnerConfig, Failure> {
    let top = match &flags.file {
        Some(file) => read_file(file)?,
        None => Map::new(),
    };
    resolve(top, flags)
}

/// The file's JSON object.
fn read_file(file: &Path) -> Result<Map<String, Value>, Failure> {
    let cannot = |reason: String| format!("cannot read {}: {reason}", file.display());
    let text = std::fs::read(file).map_err(|error| Failure::Start(cannot(error.to_string())))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(top)) => Ok(top),
        Ok(_) => Err(Failure::Usage(cannot("it holds no JSON object".to_owned()))),
        Err(error) => Err(Failure::Usage(cannot(error.to_string()))),
    }
}

/// Checks every key, of either source, in one place.
fn resolve(top: Map<String, Value>, flags: Flags) -> Result<RunnerConfig, Failure> {
    let file = flags.file.as_deref();
    let mut top = Keys::new("", top, flags.top, file);
    // Of no use here; with them, a supervisor's file of a server is a runner's file as well.
    top.text("$schema")?;
    top.text("description")?;
    let server_id = top.text("serverId")?.unwrap_or_default().into();
    let server_name = top.text("serverName")?.map(Into::into);
    let mcp = match top.take("mcpConfig") {
        Some(Value::Object(mcp)) => mcp,
        None => Map::new(),
        Some(_) => return Err(top.wrong("mcpConfig", "must be an object")),
    };
    top.finish()?;
    let mut mcp = Keys::new("mcpConfig.", mcp, flags.mcp, file);
    let document = mcp.take("openApiData");
    let config = RunnerConfig {
        server_id,
        server_name,
        transport: transport(&mut mcp)?,
        host: host(&mut mcp)?,
        port: port(&mut mcp)?,
        endpoint: endpoint(&mut mcp)?,
        origin: mcp.origin("openApiData"),
        document: document.unwrap_or_default(),
        base_url: mcp.text("baseUrl")?,
        auth: auth(&mut mcp)?,
        custom_headers: headers(&mut mcp)?,
        debug_headers: match mcp.take("debugHeaders") {
            None => false,
            Some(Value::Bool(on)) => on,
            Some(_) => return Err(mcp.wrong("debugHeaders", "must be true or false")),
        },
    };
    // A key that is missing has often only been mistyped: what is unknown is said first.
    mcp.finish()?;
    match config.document {
        Value::Object(_) | Value::String(_) => Ok(config),
        Value::Null => Err(mcp.wrong("openApiData", "is missing: it names the OpenAPI document")),
        _ => Err(mcp.wrong("openApiData", "must be a path, a URL or an object")),
    }
}

/// `transport`.
fn transport(mcp: &mut Keys<'_>) -> Result<Transport, Failure> {
    match mcp.text("transport")?.as_deref() {
        None | Some("streamable") => Ok(Transport::Streamable),
        Some("stdio") => Ok(Transport::Stdio),
        Some(other) => Err(Failure::Start(format!(
            "cannot serve {other:?}: unsupported transport, this runner has streamable and stdio"
        ))),
    }
}

/// `host`. Nobody is asked to resolve a name: `localhost` is what it always is.
fn host(mcp: &mut Keys<'_>) -> Result<IpAddr, Failure> {
    let Some(text) = mcp.text("host")? else {
        return Ok(Ipv4Addr::LOCALHOST.into());
    };
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    match text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(host) if host.is_loopback() => Ok(host),
        // Without authorisation of clients, whoever reaches the port may spend the upstream's credentials.
        _ => Err(mcp.wrong("host", "must be a loopback address (127.0.0.1, ::1 or localhost)")),
    }
}

/// `port`.
fn port(mcp: &mut Keys<'_>) -> Result<u16, Failure> {
    let Some(value) = mcp.take("port") else {
        return Ok(0);
    };
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| mcp.wrong("port", "must be a whole number from 0 to 65535"))
}

/// `endpoint`.
fn endpoint(mcp: &mut Keys<'_>) -> Result<Box<str>, Failure> {
    let endpoint = mcp.text("endpoint")?.unwrap_or_else(|| "/mcp".to_owned());
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    if !endpoint.starts_with('/') || !endpoint.bytes().all(plain) {
        return Err(mcp.wrong("endpoint", "must be a path that starts with /"));
    }
    Ok(endpoint.into())
}

/// `authConfig`. What it holds is never part of a message.
fn auth(mcp: &mut Keys<'_>) -> Result<Option<AuthConfig>, Failure> {
    let Some(value) = mcp.take("authConfig") else {
        return Ok(None);
    };
    let reason = match value.get("type").and_then(Value::as_str) {
        Some("bearer") => "of type bearer has exactly: type, token",
        Some("basic") => "of type basic has exactly: type, username, password",
        Some("apiKey") => "of type apiKey has exactly: type, in (header, query or cookie), name, value",
        _ => "needs a type: bearer, basic or apiKey",
    };
    serde_json::from_value(value).map(Some).map_err(|_| mcp.wrong("authConfig", reason))
}

/// `customHeaders`. As secret as `authConfig`.
fn headers(mcp: &mut Keys<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let value = mcp.take("customHeaders").unwrap_or_else(|| Map::new().into());
    serde_json::from_value(value).map_err(|_| mcp.wrong("customHeaders", "must be an object of strings"))
}

/// The keys of one object, taken one by one; what is left at the end is unknown.
struct Keys<'a> {
    /// Its path, with the dot.
    path: &'static str,
    /// What is left of the file's and the flags' keys together.
    left: Map<String, Value>,
    /// Which of them flags said.
    flagged: Vec<String>,
    /// What was asked for: all the valid names.
    asked: Vec<&'static str>,
    /// The config file.
    file: Option<&'a Path>,
}

impl<'a> Keys<'a> {
    /// The file's keys with the flags' laid over them.
    fn new(
        path: &'static str,
        mut left: Map<String, Value>,
        flags: Map<String, Value>,
        file: Option<&'a Path>,
    ) -> Self {
        let flagged = flags.keys().cloned().collect();
        left.extend(flags);
        Self { path, left, flagged, asked: Vec::new(), file }
    }

    /// The key's value; `null` says nothing.
    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.left.swap_remove(key).filter(|value| !value.is_null())
    }

    /// The key's value, which must be a string.
    fn text(&mut self, key: &'static str) -> Result<Option<String>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "must be a string")),
        }
    }

    /// Where a relative path in this key's value starts.
    fn origin(&self, key: &str) -> Origin {
        let folder = self.file.filter(|_| !self.is_flagged(key)).and_then(Path::parent);
        Origin(folder.unwrap_or_else(|| Path::new("")).to_owned())
    }

    /// Whether a flag said it.
    fn is_flagged(&self, key: &str) -> bool {
        self.flagged.iter().any(|flagged| flagged == key)
    }

    /// What is wrong, where, and in which source.
    fn wrong(&self, key: &str, reason: &str) -> Failure {
        Failure::Usage(match (self.file, flags::name_of(key)) {
            (Some(file), _) if !self.is_flagged(key) => {
                format!("cannot read {}: {}{key} {reason}", file.display(), self.path)
            }
            (_, Some(flag)) => format!("cannot read the command line: {flag} {reason}"),
            (_, None) => format!("cannot read the configuration: {}{key} {reason}", self.path),
        })
    }

    /// Refuses what nobody asked for.
    fn finish(&self) -> Result<(), Failure> {
        let Some(key) = self.left.keys().next() else {
            return Ok(());
        };
        Err(self.wrong(
            key,
            &match nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("is no key, did you mean {near}"),
                None => format!("is no key, there are {}", self.asked.join(", ")),
            },
        ))
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
