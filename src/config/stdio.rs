//! Transport `stdio` of `mcpConfig`: a server that clients reach through `mcp-init attach`, by a socket of its own that
//! only the supervisor's user may connect to. Checked here; opened elsewhere.

use std::path::Path;

use serde_json::Value;

use super::error::Problems;
use super::item::Item;
use super::plan::{Address, Listen};
use super::server::plain;

/// The value of `transport`.
pub(super) const NAME: &str = "stdio";

/// How the endpoint of such a server begins; its socket follows.
pub(crate) const SCHEME: &str = "stdio:";

/// Keys of `mcpConfig` that are about HTTP.
const HTTP_KEYS: [&str; 4] = ["port", "host", "endpoint", "clients"];

/// Sockets of the supervisor's own in that folder.
const OWN: [&str; 2] = ["control", "notify"];

/// Longest path of a Unix socket.
const PATH_BYTES_MAX: usize = 107;

/// Who may connect.
const MODE: u32 = 0o600;

/// Tells of keys that are about clients of another kind.
pub(super) fn read_together(config: &Item<'_>, problems: &mut Problems) {
    for item in HTTP_KEYS.iter().filter_map(|key| config.get(key)) {
        item.wrong_key(problems, "does not go with \"stdio\": clients come through mcp-init attach");
    }
}

/// The socket of a server that has not said one, as its runner is told of it.
pub(super) fn socket(config: &Item<'_>, folder: &Path, id: &str, problems: &mut Problems) -> Option<Value> {
    let transport = config.get("transport")?;
    if OWN.contains(&id) {
        transport.wrong(problems, &format!("{id}.sock is a socket of the supervisor's own: say socket"));
        return None;
    }
    let path = folder.join(format!("{id}.sock"));
    if path.as_os_str().len() > PATH_BYTES_MAX {
        let reason =
            format!("its socket {} is longer than {PATH_BYTES_MAX} bytes: say socket", path.display());
        transport.wrong(problems, &reason);
        return None;
    }
    path.to_str().map(|path| plain(path).into())
}

/// Where such a server listens.
pub(super) fn listen(name: &str, path: &str) -> Listen {
    let address = Address::Path { path: path.into(), mode: MODE };
    Listen { name: name.into(), address, datagrams: false }
}
