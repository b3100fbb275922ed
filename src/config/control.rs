//! Who may command: `control` of `mcp-init.json`. Names become numbers here; whoever asks is known by the kernel
//! elsewhere.

use serde::{Deserialize, Serialize};

use super::accounts;
use super::error::Problems;
use super::identity::number;
use super::item::Item;

/// Keys of `control`.
pub(super) const CONTROL: [&str; 3] = ["read", "operate", "administer"];

/// Most entries of one of them.
const ENTRIES_MAX: usize = 256;

/// Who may command, beyond root and the supervisor's own user, who may do everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Control {
    /// May see.
    pub(crate) read: Vec<Peer>,
    /// May see, and start and stop services.
    pub(crate) operate: Vec<Peer>,
    /// May do everything.
    pub(crate) administer: Vec<Peer>,
}

/// Somebody who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Peer {
    /// Anybody on this machine.
    Everyone,
    /// A user.
    User(u32),
    /// Whoever is in this group.
    Group(u32),
}

impl Control {
    /// Whether anybody but root and our own user may do anything.
    pub(crate) const fn is_open(&self) -> bool {
        !(self.read.is_empty() && self.operate.is_empty() && self.administer.is_empty())
    }
}

/// Reads `control`.
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Control> {
    let mut control = Control::default();
    for item in item.members(problems) {
        let peers = match item.key {
            "read" => &mut control.read,
            "operate" => &mut control.operate,
            "administer" => &mut control.administer,
            _ => {
                item.unknown(problems, &CONTROL, &[]);
                continue;
            }
        };
        for item in item.items(problems, ENTRIES_MAX).unwrap_or_default() {
            peers.extend(peer(&item, problems));
        }
    }
    item.is_object().then_some(control)
}

/// `user:NAME`, `group:NAME`, or `everyone`
fn peer(item: &Item<'_>, problems: &mut Problems) -> Option<Peer> {
    let parts = |text: &str| {
        let (kind, name) = text.split_once(':')?;
        let good = accounts::is_name(name) || number(name).is_some();
        (good && matches!(kind, "user" | "group")).then(|| (kind == "user", name.to_owned()))
    };
    let wanted = "\"user:NAME\", \"group:NAME\" (or their numbers) or \"everyone\"";
    let text = item.matching(problems, wanted, |text| text == "everyone" || parts(text).is_some())?;
    let Some((is_user, name)) = parts(text) else { return Some(Peer::Everyone) };
    let known = match (number(&name), is_user) {
        (Some(number), _) => Some(number),
        (None, true) => accounts::user(&name).map(|user| user.uid),
        (None, false) => accounts::group(&name),
    };
    let Some(known) = known else {
        let (kind, file) = if is_user { ("user", "/etc/passwd") } else { ("group", "/etc/group") };
        item.wrong(problems, &format!("is no {kind} that {file} knows"));
        return None;
    };
    Some(if is_user { Peer::User(known) } else { Peer::Group(known) })
}
