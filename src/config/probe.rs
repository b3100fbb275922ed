//! A question that a child of the supervisor puts to a service from outside. Data only: it is read in `health` and
//! put in the room `probe`.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Probe {
    /// Whether it takes a connection.
    Tcp(Place),
    /// Whether it answers GET with 2xx.
    Http(Place, Box<str>),
    /// Whether it answers as an MCP server does.
    Mcp(Place, Box<str>),
    /// Whether this program, told of nothing, ends with 0.
    Exec(Vec<Box<str>>),
}

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// TCP: an address of this host and a port.
    Net(Box<str>, u16),
    /// A Unix socket.
    Socket(PathBuf),
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Net(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}
