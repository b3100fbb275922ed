//! `healthCheck`, and what `readiness` has in common with it: questions that a child puts to the service. Nothing is
//! asked here.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Problems;
use super::item::{Choice, Item};
use super::keys::{SOME, Seen};
use super::plan::Program;
use super::probe::{Place, Probe};
use super::said::{Said, set};
use super::{server, service, stdio};

/// Keys of `healthCheck`.
pub(super) const HEALTH_CHECK: [&str; 11] = [
    "type",
    "interval",
    "timeout",
    "retries",
    "startPeriod",
    "busyTimeout",
    "host",
    "port",
    "path",
    "socket",
    "command",
];

/// Keys of a `readiness` that a child asks for.
pub(super) const READINESS: [&str; 4] = ["type", "host", "port", "command"];

/// What is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// A connection.
    #[default]
    Tcp,
    /// An answer of 2xx.
    Http,
    /// An answer of the protocol.
    Mcp,
    /// A program.
    Exec,
}

impl Kind {
    /// The keys that say more of it.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["host", "port"],
            Self::Http | Self::Mcp => &["host", "port", "path", "socket"],
            Self::Exec => &["command"],
        }
    }
}

/// How health is known.
#[derive(Debug, Clone, Copy)]
enum How {
    /// Not at all.
    Never,
    /// The service is asked on its channel.
    Channel,
    /// A child asks.
    Asked(Kind),
}

/// Values of `healthCheck.type`.
const TYPE: Choice<How> = Choice {
    known: &[
        ("channel", How::Channel),
        ("mcp", How::Asked(Kind::Mcp)),
        ("http", How::Asked(Kind::Http)),
        ("tcp", How::Asked(Kind::Tcp)),
        ("exec", How::Asked(Kind::Exec)),
        ("none", How::Never),
    ],
    later: &[],
};

/// A question as it is written; what is missing may follow from `mcpConfig`.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    /// What is asked.
    kind: Kind,
    /// An address of this host.
    host: Option<Box<str>>,
    /// TCP port.
    port: Option<u16>,
    /// Of the URL.
    path: Option<Box<str>>,
    /// In place of host and port.
    socket: Option<PathBuf>,
    /// Program and arguments.
    command: Vec<Box<str>>,
}

impl Ask {
    /// Reads one of the keys beside `type`; `false` if it is none of them.
    fn read(&mut self, item: &Item<'_>, problems: &mut Problems) -> bool {
        match item.key {
            "host" => {
                let wanted = "an address of this host alone: \"127.0.0.1\", \"::1\" or \"localhost\"";
                let host = item.matching(problems, wanted, server::is_loopback);
                set(&mut self.host, host.map(Into::into));
            }
            "port" => {
                let port = item.whole(problems, 1..=65535, "a port from 1 to 65535");
                set(&mut self.port, port.and_then(|port| u16::try_from(port).ok()));
            }
            "path" => {
                let path = item.matching(problems, "a path that begins with \"/\"", server::is_endpoint);
                set(&mut self.path, path.map(Into::into));
            }
            "socket" => set(&mut self.socket, item.path(problems)),
            "command" => self.command = service::command(item, None, problems).unwrap_or_default(),
            _ => return false,
        }
        true
    }

    /// Tells of keys that do not belong together, or are missing.
    fn tell(&self, item: &Item<'_>, problems: &mut Problems) {
        let all = ["host", "port", "path", "socket", "command"];
        for other in all.iter().filter(|key| !self.kind.keys().contains(key)) {
            if let Some(other) = item.get(other) {
                other.wrong_key(problems, "does not go with this type");
            }
        }
        if self.kind == Kind::Exec && item.get("command").is_none() {
            item.wrong(problems, "has no command: the program to run");
        }
        if let Some(socket) = item.get("socket").filter(|_| self.kind != Kind::Exec)
            && (item.get("port").is_some() || item.get("host").is_some())
        {
            socket.wrong_key(problems, "contradicts host and port: one of them is enough");
        }
    }

    /// Whether only the service's own address can say where to ask.
    const fn lacks_place(&self) -> bool {
        !matches!(self.kind, Kind::Exec) && self.port.is_none() && self.socket.is_none()
    }

    /// The question, with every gap filled in; `None` if there is no place to ask at.
    pub(super) fn complete(self, program: &Program) -> Option<Probe> {
        if self.kind == Kind::Exec {
            return Some(Probe::Exec(self.command));
        }
        let own = match program {
            Program::Server(server) => of_url(&server.endpoint),
            Program::Command(_) => None,
        };
        let (own_host, own_port, own_path) = own.map_or((None, None, None), |(host, port, path)| {
            (Some(host), Some(port), Some(path).filter(|_| self.port.is_none_or(|other| other == port)))
        });
        let host = self.host.or(own_host).unwrap_or_else(|| "127.0.0.1".into());
        let place = match self.socket {
            Some(path) => Place::Socket(path),
            None => Place::Net(host, self.port.or(own_port)?),
        };
        Some(match self.kind {
            Kind::Http => Probe::Http(place, self.path.unwrap_or_else(|| "/".into())),
            Kind::Mcp => Probe::Mcp(place, self.path.or(own_path).unwrap_or_else(|| "/mcp".into())),
            Kind::Tcp | Kind::Exec => Probe::Tcp(place),
        })
    }
}

/// Host, port and path of `http://HOST:PORT/PATH`.
fn of_url(url: &str) -> Option<(Box<str>, u16, Box<str>)> {
    let (place, path) = url.strip_prefix("http://")?.split_once('/')?;
    let (host, port) = place.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.into(), port.parse().ok()?, format!("/{path}").into()))
}

/// `healthCheck`
pub(super) fn read(said: &mut Said, item: &Item<'_>, seen: &mut Seen, problems: &mut Problems) {
    let (mut how, mut ask) = (None, Ask::default());
    for item in item.members(problems) {
        match item.key {
            "type" => {
                if seen.first("healthCheck.type", &item, problems) {
                    how = item.choice(problems, &TYPE);
                }
            }
            "interval" => interval(said, &item, seen, problems),
            "timeout" => timeout(said, &item, seen, problems),
            "retries" => set(&mut said.health_retries, item.count(problems, 1..=1000, "")),
            "startPeriod" => set(&mut said.health_start_period, item.duration(problems, Duration::ZERO)),
            "busyTimeout" => set(&mut said.health_busy_timeout, item.duration(problems, Duration::ZERO)),
            _ if ask.read(&item, problems) => {}
            _ => item.unknown(problems, &HEALTH_CHECK, &[]),
        }
    }
    match how {
        Some(How::Asked(kind)) => {
            ask.kind = kind;
            ask.tell(item, problems);
            said.health_checked = Some(true);
            said.health_probe = Some(ask);
        }
        Some(other @ (How::Channel | How::Never)) => {
            for key in ["host", "port", "path", "socket", "command"] {
                if let Some(key) = item.get(key) {
                    key.wrong_key(problems, "does not go with this type");
                }
            }
            said.health_checked = Some(matches!(other, How::Channel));
            said.health_probe = None;
        }
        None => untyped(item, problems),
    }
}

/// Without a type nothing says what the other keys are for.
fn untyped(item: &Item<'_>, problems: &mut Problems) {
    if item.get("type").is_some() {
        return;
    }
    for key in ["host", "port", "path", "socket", "command"] {
        if let Some(key) = item.get(key) {
            key.wrong_key(problems, "needs a type beside it: \"mcp\", \"http\", \"tcp\" or \"exec\"");
        }
    }
}

/// `healthCheck.interval` and its alias
pub(super) fn interval(said: &mut Said, item: &Item<'_>, seen: &mut Seen, problems: &mut Problems) {
    if seen.first("healthCheck.interval", item, problems) {
        set(&mut said.health_interval, item.duration(problems, SOME));
    }
}

/// `healthCheck.timeout` and its alias
pub(super) fn timeout(said: &mut Said, item: &Item<'_>, seen: &mut Seen, problems: &mut Problems) {
    if seen.first("healthCheck.timeout", item, problems) {
        set(&mut said.health_timeout, item.duration(problems, SOME));
    }
}

/// Whether a `readiness` is one that a child asks for.
pub(super) fn is_asked(item: &Item<'_>) -> bool {
    let asked = |item: &Item<'_>| matches!(item.node.text(), Some("tcp" | "exec"));
    asked(item) || item.get("type").is_some_and(|kind| asked(&kind))
}

/// Reads such a `readiness`.
pub(super) fn readiness(item: &Item<'_>, problems: &mut Problems) -> Option<Ask> {
    if let Some(word) = item.node.text() {
        let example = if word == "tcp" { "\"port\": 8080" } else { "\"command\": [\"./is-ready\"]" };
        item.wrong(problems, &format!("needs more said: {{ \"type\": \"{word}\", {example} }}"));
        return None;
    }
    let mut ask = Ask::default();
    for item in item.members(problems) {
        match item.key {
            "type" if item.text(problems) == Some("exec") => ask.kind = Kind::Exec,
            "type" => {}
            "host" | "port" | "command" => drop(ask.read(&item, problems)),
            _ => item.unknown(problems, &READINESS, &[]),
        }
    }
    ask.tell(item, problems);
    Some(ask)
}

/// Tells of a question in the service's own file that has no place to be put at; one of the defaults is not for
/// such a service.
pub(super) fn settle(said: &mut Said, root: &Item<'_>, program: &Program, problems: &mut Problems) {
    let problem = match program {
        Program::Server(server) if server.endpoint.starts_with(stdio::SCHEME) => {
            "has no port, and \"stdio\" has none either: its channel says how it is"
        }
        Program::Server(_) => return,
        Program::Command(_) => "has no port: only an mcpConfig says where else to ask",
    };
    if said.health_probe.as_ref().is_some_and(Ask::lacks_place) {
        let own = root.get("healthCheck").filter(|item| item.get("type").is_some());
        (said.health_checked, said.health_probe) = (Some(false), None);
        if let Some(item) = own {
            item.wrong(problems, problem);
        }
    }
    if said.ready_probe.as_ref().is_some_and(Ask::lacks_place) {
        (said.readiness, said.ready_probe) = (None, None);
        if let Some(item) = root.get("readiness") {
            item.wrong(problems, problem);
        }
    }
}
