//! `listen`: the sockets that the supervisor opens for a service, checked. None is opened here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::error::{Place, Problems};
use super::item::{Choice, Item};
use super::plan::{Address, Listen, Readiness, Start};
use super::said::{Said, set};

/// Keys of one socket.
pub(super) const KEYS: [&str; 4] = ["name", "address", "type", "mode"];

/// Most sockets of a service.
const SOCKETS_MAX: usize = 64;

/// Longest path or name of a Unix socket.
const NAME_BYTES_MAX: usize = 107;

/// Who may connect to a path unless it is said: everybody who may pass its folders.
const MODE: u32 = 0o666;

/// Values of `type`: whether it takes datagrams.
const TYPE: Choice<bool> = Choice { known: &[("stream", false), ("datagram", true)], later: &[] };

/// What an address is, in words.
const WANTED: &str = "HOST:PORT with a numeric HOST or \"localhost\", a path, or \"@\" and a name";

/// An address that two services cannot share, and where it is written.
#[derive(Debug)]
pub(super) struct Taken {
    /// The address, as one word.
    pub(super) address: String,
    /// The field that says it.
    pub(super) field: String,
    /// Where that is.
    pub(super) at: Place,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.datagrams { "datagrams to " } else { "" };
        match &self.address {
            Address::Net(address) => write!(f, "{kind}{address}"),
            Address::Path { path, .. } => write!(f, "{kind}{}", path.display()),
            Address::Abstract(name) => write!(f, "{kind}@{name}"),
        }
    }
}

/// Reads what the service listens on, the port of an MCP server included, and tells of keys that make no sense with
/// that; what no other service may listen on.
pub(super) fn settle(
    said: &mut Said,
    root: &Item<'_>,
    id: &str,
    port: Option<(impl fmt::Display, Place)>,
    problems: &mut Problems,
) -> Vec<Taken> {
    let mut taken = Vec::new();
    if let Some(item) = root.get("listen") {
        (said.listen, taken) = read(&item, id, problems);
    }
    if let Some((address, at)) = port.map(|(address, at)| (address.to_string(), at))
        && !taken.iter().any(|taken| taken.address == address)
    {
        taken.push(Taken { address, field: "mcpConfig.port".to_owned(), at });
    }
    let on_demand = said.course.start == Some(Start::OnDemand);
    if on_demand && taken.is_empty() {
        let at = root.get("start").map_or(root.node.at, |start| start.node.at);
        let problem = "\"on-demand\" waits for a connection, and there is nothing to connect to: say listen";
        problems.push(root.page.error(at, "start", problem));
    }
    if let Some(item) = root.get("idleTimeout").filter(|_| !on_demand) {
        item.wrong_key(problems, "goes with \"start\": \"on-demand\"");
    }
    // The sockets come first, from 3 on.
    let sockets = i32::try_from(said.listen.len()).unwrap_or(i32::MAX);
    if let (Some(Readiness::Fd(fd)), Some(item)) = (said.readiness, root.get("readiness"))
        && fd.saturating_sub(3) < sockets
    {
        item.wrong(problems, &format!("cannot be descriptor {fd}: that is one of the sockets of listen"));
    }
    taken
}

/// Reads `listen`; `id` names what has no name.
fn read(item: &Item<'_>, id: &str, problems: &mut Problems) -> (Vec<Listen>, Vec<Taken>) {
    let (mut sockets, mut taken) = (Vec::new(), Vec::<Taken>::new());
    for item in item.items(problems, SOCKETS_MAX).unwrap_or_default() {
        let Some(socket) = one(&item, id, problems) else { continue };
        let address = socket.to_string();
        let field = format!("{}.address", item.field);
        let at = item.page.place(item.get("address").map_or(item.node.at, |address| address.node.at));
        if taken.iter().any(|other| other.address == address) {
            problems.push(at.error(&field, "is the address of another socket of this service"));
            continue;
        }
        taken.push(Taken { address, field, at });
        sockets.push(socket);
    }
    (sockets, taken)
}

/// Reads one socket.
fn one(item: &Item<'_>, id: &str, problems: &mut Problems) -> Option<Listen> {
    let (mut name, mut address, mut datagrams, mut mode) = (None, None, None, None);
    let before = problems.count();
    for item in item.members(problems) {
        match item.key {
            "name" => set(&mut name, item.matching(problems, "1 to 64 of A-Z a-z 0-9 . _ -", is_name)),
            "address" => set(&mut address, read_address(&item, problems)),
            "type" => set(&mut datagrams, item.choice(problems, &TYPE)),
            "mode" => {
                let wanted = "a mode like \"660\"";
                let text = item.matching(problems, wanted, |text| octal(text).is_some());
                set(&mut mode, text.and_then(octal));
            }
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }
    if problems.count() > before {
        return None;
    }
    if item.get("address").is_none() {
        item.wrong(problems, &format!("has no address: {WANTED}"));
    }
    let mut address = address?;
    if let Some(wanted) = mode {
        let Address::Path { mode, .. } = &mut address else {
            item.wrong(problems, "has a mode, which only the path of a socket has");
            return None;
        };
        *mode = wanted;
    }
    Some(Listen { name: name.unwrap_or(id).into(), address, datagrams: datagrams.unwrap_or(false) })
}

/// `address`
fn read_address(item: &Item<'_>, problems: &mut Problems) -> Option<Address> {
    let good = |text: &str| text.starts_with('@') || is_path(text) || net(text).is_some();
    let text = item.matching(problems, WANTED, good)?;
    if let Some(name) = text.strip_prefix('@') {
        let good = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0');
        if !good {
            item.wrong(problems, &format!("has a name of more than {NAME_BYTES_MAX} bytes, or of none"));
        }
        return good.then(|| Address::Abstract(name.into()));
    }
    if !is_path(text) {
        return net(text).map(Address::Net);
    }
    let path: PathBuf = item.path(problems)?;
    if path.as_os_str().len() > NAME_BYTES_MAX {
        item.wrong(problems, &format!("is longer than {NAME_BYTES_MAX} bytes once it is absolute"));
        return None;
    }
    Some(Address::Path { path, mode: MODE })
}

/// Whether a text is meant as a path: it has a slash.
fn is_path(text: &str) -> bool {
    text.contains('/') && !text.starts_with('@')
}

/// `HOST:PORT`
fn net(text: &str) -> Option<SocketAddr> {
    let text =
        text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().ok().filter(|address: &SocketAddr| address.port() > 0)
}

/// A mode: up to four octal digits.
fn octal(text: &str) -> Option<u32> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    plain.then(|| u32::from_str_radix(text, 8).ok()).flatten().filter(|mode| *mode <= 0o777)
}

/// Whether a text can stand between the colons of `LISTEN_FDNAMES`.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numeric_and_modes_octal() {
        let shown = |text: &str| net(text).map(|address| address.to_string());
        assert_eq!(shown("localhost:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(shown("[::1]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(shown("0.0.0.0:65535").as_deref(), Some("0.0.0.0:65535"));
        for text in ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", ":80", "80", "example.org:80", "::1:80"] {
            assert_eq!(shown(text), None, "{text}");
        }
        assert_eq!(
            (octal("660"), octal("0600"), octal("8"), octal("1777"), octal("")),
            (Some(0o660), Some(0o600), None, None, None)
        );
    }
}
