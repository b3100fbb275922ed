//! The runner's configuration: its file and its flags, flags beating the file. No server is started here.

mod auth;
mod bridge;
mod clients;
mod document;
mod keys;
mod references;
mod upstream;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use http::HeaderName;
use serde_json::{Map, Value};

use crate::bridge::BridgeConfig;
use crate::failure::Failure;
use crate::flags::Flags;
pub(crate) use auth::{Auth, AuthConfig, ClientAuth, KeyPlace, NEVER_SET, OAuth2};
pub(crate) use clients::{ClientTls, Clients};
pub(crate) use document::DocumentConfig;
use keys::Keys;
pub(crate) use upstream::{Proxy, Rate, Redirects, UpstreamConfig};

/// What is served and how.
#[derive(Debug)]
pub(crate) struct RunnerConfig {
    /// Id of the server; empty unless said.
    pub(crate) server_id: Box<str>,
    /// Words for people.
    pub(crate) server_name: Option<Box<str>>,
    /// How clients reach it.
    pub(crate) transport: Transport,
    /// Where it listens.
    pub(crate) listen: Listen,
    /// Who may be a client.
    pub(crate) clients: Clients,
    /// Path of the endpoint, from its slash on.
    pub(crate) endpoint: Box<str>,
    /// The server to bridge, instead of a document.
    pub(crate) bridge: Option<BridgeConfig>,
    /// The document, and how tools are made of it.
    pub(crate) document: DocumentConfig,
    /// Where calls go: a URL, or `mock`; the document's first server unless said.
    pub(crate) base_url: Option<String>,
    /// Credentials for the upstream.
    pub(crate) auth: Auth,
    /// Headers of a client's request that go on to the upstream.
    pub(crate) forward_headers: Vec<HeaderName>,
    /// How the upstream is reached.
    pub(crate) upstream: UpstreamConfig,
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
    /// HTTP+SSE.
    Sse,
    /// WebSocket.
    Websocket,
    /// stdin and stdout.
    Stdio,
}

impl Transport {
    /// Its name in configuration and on the channel.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Streamable => "streamable",
            Self::Sse => "sse",
            Self::Websocket => "websocket",
            Self::Stdio => "stdio",
        }
    }
}

/// Where the server listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Address and TCP port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
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
    let (top, flags) = references::fill(top, flags)?;
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
    let config = RunnerConfig {
        server_id,
        server_name,
        transport: transport(&mut mcp)?,
        clients: Clients::read(&mut mcp)?,
        listen: listen(&mut mcp)?,
        endpoint: endpoint(&mut mcp)?,
        bridge: bridge::read(&mut mcp)?,
        document: DocumentConfig::read(&mut mcp)?,
        base_url: mcp.text("baseUrl")?,
        auth: Auth::read(&mut mcp)?,
        forward_headers: forward_headers(&mut mcp)?,
        upstream: UpstreamConfig::read(&mut mcp)?,
        custom_headers: headers(&mut mcp)?,
        debug_headers: mcp.boolean("debugHeaders")?,
    };
    // A key that is missing has often only been mistyped: what is unknown is said first.
    mcp.finish()?;
    config.check_together(&mcp)?;
    if config.bridge.is_none() {
        let uses_stdin = config.transport == Transport::Stdio && matches!(config.listen, Listen::Tcp(_));
        config.document.check(&mcp, uses_stdin)?;
    }
    Ok(config)
}

impl RunnerConfig {
    /// Refuses what is right by itself and wrong together.
    fn check_together(&self, mcp: &Keys<'_>) -> Result<(), Failure> {
        let has_token = self.clients.token.is_some();
        let is_guarded = has_token || self.clients.tls.as_ref().is_some_and(|tls| tls.ca.is_some());
        if let Listen::Tcp(address) = self.listen
            && !address.ip().is_loopback()
            && !is_guarded
        {
            // Whoever reaches the port may spend the upstream's credentials.
            let reason =
                "is reached by other machines: say who may connect with clients.token or clients.tls.ca";
            return Err(mcp.wrong("host", reason));
        }
        if has_token && self.forward_headers.contains(&http::header::AUTHORIZATION) {
            let reason = "cannot have authorization beside clients.token: the upstream would learn the token";
            return Err(mcp.wrong("forwardHeaders", reason));
        }
        Ok(())
    }
}

/// `transport`.
fn transport(mcp: &mut Keys<'_>) -> Result<Transport, Failure> {
    match mcp.text("transport")?.as_deref() {
        None | Some("streamable") => Ok(Transport::Streamable),
        Some("sse") => Ok(Transport::Sse),
        Some("websocket") => Ok(Transport::Websocket),
        Some("stdio") => Ok(Transport::Stdio),
        Some(other) => Err(Failure::Start(format!(
            "cannot serve {other:?}: unsupported transport, this runner has streamable, sse, websocket and stdio"
        ))),
    }
}

/// `host`, `port` and `socket`. Nobody is asked to resolve a name: `localhost` is what it always is.
fn listen(mcp: &mut Keys<'_>) -> Result<Listen, Failure> {
    let (host, port) = (mcp.text("host")?, mcp.take("port"));
    if let Some(path) = mcp.path("socket")? {
        return match (host, port) {
            (None, None) => Ok(Listen::Unix(path)),
            _ => Err(mcp.wrong("socket", "takes the place of host and port")),
        };
    }
    let host = match host.as_deref() {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(text) if text.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
        Some(text) => match text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(host) => host,
            Err(_) => {
                return Err(mcp.wrong("host", "must be an address, like 127.0.0.1 or ::1, or localhost"));
            }
        },
    };
    let port = port.map_or(Some(0), |port| keys::whole(&port).and_then(|port| u16::try_from(port).ok()));
    let port = port.ok_or_else(|| mcp.wrong("port", "must be a whole number from 0 to 65535"))?;
    Ok(Listen::Tcp(SocketAddr::new(host, port)))
}

/// `forwardHeaders`.
fn forward_headers(mcp: &mut Keys<'_>) -> Result<Vec<HeaderName>, Failure> {
    let mut headers = Vec::new();
    for name in mcp.texts("forwardHeaders")? {
        match name.parse::<HeaderName>() {
            Ok(name) if !NEVER_SET.contains(&name) => headers.push(name),
            Ok(_) => return Err(mcp.wrong("forwardHeaders", "names a header that belongs to one connection")),
            Err(_) => return Err(mcp.wrong("forwardHeaders", "must be a list of headers' names")),
        }
    }
    Ok(headers)
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

/// `customHeaders`. As secret as `authConfig`.
fn headers(mcp: &mut Keys<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let value = mcp.take("customHeaders").unwrap_or_else(|| Map::new().into());
    serde_json::from_value(value).map_err(|_| mcp.wrong("customHeaders", "must be an object of strings"))
}

#[cfg(test)]
mod tests;
