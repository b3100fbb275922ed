//! `mcpConfig`: what an MCP server serves, checked, and as its runner is told of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::auth;
use super::bridge;
use super::document::{can_read, reason};
use super::error::Problems;
use super::item::{Choice, Item};
use super::json::Kind;
use super::plan::{Listen, Server};
use super::reach;
use super::said::set;
use super::stdio;
use super::tools::{self, Tools};

/// Keys of `mcpConfig`.
pub(super) const KEYS: [&str; 24] = [
    "transport",
    "port",
    "host",
    "endpoint",
    "openApiData",
    "overlay",
    "tools",
    "resources",
    "reloadInterval",
    "cacheDir",
    "baseUrl",
    "authConfig",
    "customHeaders",
    "debugHeaders",
    "socket",
    "clients",
    "forwardHeaders",
    "upstream",
    "command",
    "env",
    "cwd",
    "mode",
    "maxSessions",
    "idleTimeout",
];

/// The value of `transport`.
const STREAMABLE: &str = "streamable";

/// Values of `transport`.
const TRANSPORT: Choice<&str> = Choice {
    known: &[
        (STREAMABLE, STREAMABLE),
        ("sse", "sse"),
        ("websocket", "websocket"),
        (stdio::NAME, stdio::NAME),
    ],
    later: &[],
};

/// The name of the socket that a server's clients connect to.
const SOCKET: &str = "mcp";

/// Most headers a person gives.
const HEADERS_MAX: usize = 100;

/// Longest credential or header value, in characters.
pub(super) const VALUE_CHARS_MAX: usize = 16 * 1024;

/// What a runner's file holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RunnerFile<'a> {
    /// The service's id.
    server_id: &'a str,
    /// Words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<Plain<'a>>,
    /// What is served.
    mcp_config: McpConfig<'a>,
}

/// A string without references: what looks like one in it stands for itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain<'a>(pub(super) &'a str);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The runner fills in references too, and it must find none that a value brought in.
        serializer.serialize_str(&plain(self.0))
    }
}

/// A string in which nothing is a reference.
pub(super) fn plain(text: &str) -> String {
    text.replace("${", "$${")
}

/// `mcpConfig`, checked.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct McpConfig<'a> {
    /// `streamable` unless said.
    transport: Option<&'a str>,
    /// TCP port.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// `127.0.0.1` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    /// `/mcp` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    /// The document itself, or a string: an absolute path or a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_api_data: Option<Box<RawValue>>,
    /// Changes to the document: themselves, or absolute paths and URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overlay: Vec<Box<RawValue>>,
    /// Which operations become tools, and how they are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Tools<'a>>,
    /// Whether the document's own words are resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<bool>,
    /// How often the document is looked at for changes, in milliseconds; 0 is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    reload_interval: Option<u64>,
    /// Where copies of the document are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_dir: Option<String>,
    /// Where calls go.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<Plain<'a>>,
    /// See the runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_config: Option<Value>,
    /// For every upstream request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    custom_headers: BTreeMap<&'a str, Plain<'a>>,
    /// See the runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    debug_headers: Option<bool>,
    /// Who reaches it, and how it reaches its upstream; or the command behind it.
    #[serde(flatten)]
    reach: BTreeMap<&'a str, Value>,
}

/// Where a server listens, as its URL has it; two of them cannot share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address(String);

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> McpConfig<'a> {
    /// Reads `mcpConfig`.
    pub(super) fn read(item: &Item<'a>, problems: &mut Problems) -> Self {
        let mut config = Self::default();
        for item in item.members(problems) {
            config.read_key(&item, problems);
        }
        config.read_together(item, problems);
        if !config.is_stdio() {
            config.endpoint.get_or_insert("/mcp");
        }
        // Another transport may have no need of a port: one problem is enough then.
        let has_transport = config.transport.is_some() || item.get("transport").is_none();
        let needs_port = has_transport && !config.is_stdio();
        config.transport.get_or_insert(STREAMABLE);
        if matches!(item.node.kind, Kind::Object(_)) {
            if !bridge::read_together(item, problems) {
                config.debug_headers.get_or_insert(false);
            }
            if needs_port && item.get("port").is_none() && item.get("socket").is_none() {
                item.wrong(problems, "has no port: clients connect to one");
            }
        }
        config
    }

    /// Reads one of its keys.
    fn read_key(&mut self, item: &Item<'a>, problems: &mut Problems) {
        match item.key {
            "transport" => set(&mut self.transport, item.choice(problems, &TRANSPORT)),
            "port" => {
                let port = item.whole(problems, 1..=65535, "a port from 1 to 65535");
                set(&mut self.port, port.and_then(|port| u16::try_from(port).ok()));
            }
            "host" => {
                let wanted = "an address like \"127.0.0.1\" or \"::1\", or \"localhost\"";
                set(&mut self.host, item.matching(problems, wanted, is_host));
            }
            "endpoint" => {
                let wanted = "a path that begins with \"/\"";
                set(&mut self.endpoint, item.matching(problems, wanted, is_endpoint));
            }
            "openApiData" => set(&mut self.open_api_data, document(item, problems)),
            "overlay" => self.overlay = tools::overlays(item, problems),
            "tools" => self.tools = Some(tools::tools(item, problems)),
            "resources" => set(&mut self.resources, item.boolean(problems)),
            "reloadInterval" => {
                let interval = item.duration(problems, Duration::ZERO);
                self.reload_interval = interval.and_then(|interval| interval.as_millis().try_into().ok());
            }
            "cacheDir" => {
                let path = item.path(problems);
                self.cache_dir = path.and_then(|path| Some(path.to_str()?.replace("${", "$${")));
            }
            "baseUrl" => {
                let wanted = "\"mock\" or an http or https URL";
                let good = |text: &str| text == "mock" || is_url(text);
                set(&mut self.base_url, item.matching(problems, wanted, good).map(Plain));
            }
            "authConfig" => set(&mut self.auth_config, auth::read(item, problems)),
            "customHeaders" => self.custom_headers = headers(item, problems),
            "debugHeaders" => set(&mut self.debug_headers, item.boolean(problems)),
            key if reach::KEYS.contains(&key) => {
                self.reach.extend(reach::read(item, problems).map(|value| (key, value)));
            }
            key if bridge::KEYS.contains(&key) => {
                self.reach.extend(bridge::read(item, problems).map(|value| (key, value)));
            }
            "args" => bridge::no_args(item, problems),
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }

    /// Tells of what is right by itself and wrong together.
    fn read_together(&mut self, item: &Item<'a>, problems: &mut Problems) {
        let clients = item.get("clients");
        if let Some(host) = self.host.filter(|host| !is_loopback(host) && !reach::guards(clients.as_ref())) {
            let reason =
                "is reached by other machines: say who may connect with clients.token or clients.tls.ca";
            item.get("host").iter().for_each(|item| item.wrong(problems, &format!("{host} {reason}")));
        }
        let authorization = |names: &Value| {
            let mut names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
            names.any(|name| name.eq_ignore_ascii_case("authorization"))
        };
        let forwards = self.reach.get("forwardHeaders").is_some_and(authorization);
        if forwards && clients.is_some_and(|clients| clients.get("token").is_some()) {
            item.wrong(problems, "forwards authorization, so the upstream would learn clients.token");
        }
        if self.is_stdio() {
            stdio::read_together(item, problems);
        } else if self.reach.contains_key("socket") {
            for item in ["host", "port"].into_iter().filter_map(|key| item.get(key)) {
                item.wrong_key(problems, "contradicts socket, which takes its place");
            }
        } else {
            self.host.get_or_insert("127.0.0.1");
        }
    }

    /// Whether its clients come through `mcp-init attach`.
    fn is_stdio(&self) -> bool {
        self.transport == Some(stdio::NAME)
    }

    /// Gives a server that has no address the socket that is its own by its id.
    pub(super) fn settle(&mut self, item: &Item<'a>, runtime_dir: &Path, id: &str, problems: &mut Problems) {
        if self.is_stdio() && !self.reach.contains_key("socket") {
            let socket = stdio::socket(item, runtime_dir, id, problems);
            self.reach.extend(socket.map(|socket| ("socket", socket)));
        }
    }

    /// Where it listens, if it does.
    pub(super) fn address(&self) -> Option<Address> {
        if let Some(socket) = self.reach.get("socket") {
            let path = socket.as_str()?.replace("$${", "${");
            return Some(Address(if self.is_stdio() { path } else { format!("unix:{path}:") }));
        }
        let host = self.host.map(|host| if host == "localhost" { "127.0.0.1" } else { host })?;
        Some(Address(format!("{}:{}", bracketed(host), self.port?)))
    }

    /// The server as the plan has it; `None` if something is missing, which is told then.
    pub(super) fn server(self, id: &str, name: Option<&str>) -> Option<Server> {
        let scheme = if self.transport == Some("websocket") { "ws" } else { "http" };
        let private = self.reach.get("clients").is_some_and(|clients| clients.get("tls").is_some());
        let s = if private { "s" } else { "" };
        let address = self.address()?.to_string();
        let (endpoint, listen) = if self.is_stdio() {
            (format!("{}{address}", stdio::SCHEME), Some(stdio::listen(SOCKET, &address)))
        } else {
            let net = address.parse().ok().map(super::plan::Address::Net);
            let listen = net.map(|address| Listen { name: SOCKET.into(), address, datagrams: false });
            (format!("{scheme}{s}://{address}{}", self.endpoint?), listen)
        };
        let file = RunnerFile { server_id: id, server_name: name.map(Plain), mcp_config: self };
        let config = serde_json::to_string(&file).ok()?;
        Some(Server { endpoint: endpoint.into(), config: config.into(), listen })
    }
}

/// A host as it stands in a URL.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Whether only this host reaches an address. Names but one would need DNS.
pub(super) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        // One spelling is enough, and a pattern can say it.
        Ok(IpAddr::V6(_)) => host == "::1",
        Err(_) => host == "localhost",
    }
}

/// Whether a text is an address. Names but one would need DNS.
fn is_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok()
}

/// Whether a text is a path for an endpoint.
pub(super) fn is_endpoint(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.starts_with('/') && path.len() <= 256 && path.bytes().all(plain)
}

/// Whether a text is a URL that an HTTP client takes.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let starts_well = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    starts_well && text.len() <= 2048 && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a text is a token of HTTP: the name of a header or cookie.
pub(super) fn is_token(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(good)
}

/// `openApiData`: a document, a URL or the path of a file that can be read.
fn document(item: &Item<'_>, problems: &mut Problems) -> Option<Box<RawValue>> {
    if let Some(text) = item.opaque() {
        return RawValue::from_string(text.to_owned()).ok();
    }
    let text = item.matching(problems, "an object, a path or a URL", |text| {
        !text.is_empty() && !text.chars().any(|c| c < ' ' || c == '\u{7f}')
    })?;
    if text.starts_with("http://") || text.starts_with("https://") {
        return item
            .matching(problems, "an http or https URL", is_url)
            .and_then(|url| to_raw_value(&Plain(url)).ok());
    }
    let path = item.path(problems)?;
    if let Err(error) = can_read(&path) {
        item.wrong(problems, &format!("cannot read the document: {}", reason(&error)));
        return None;
    }
    path.to_str().and_then(|path| to_raw_value(&Plain(path)).ok())
}

/// `customHeaders`
fn headers<'a>(item: &Item<'a>, problems: &mut Problems) -> BTreeMap<&'a str, Plain<'a>> {
    let members = item.members(problems);
    if members.len() > HEADERS_MAX {
        item.wrong(problems, &format!("has more than {HEADERS_MAX} headers"));
        return BTreeMap::new();
    }
    let mut headers = BTreeMap::new();
    for header in members {
        if !is_token(header.key) {
            header.wrong_key(problems, "is not the name of a header");
        } else if let Some(value) = header.line(problems, 0..=VALUE_CHARS_MAX) {
            headers.insert(header.key, Plain(value));
        }
    }
    headers
}
