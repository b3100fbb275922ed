//! What a client may do: who it is comes from the kernel, who may from the configuration. No socket here.

use super::wire::Order;
use crate::config::control::{Control, Peer as Entry};
use crate::sys::peer::Peer;

/// `EX_NOPERM`: the exit code with which a refusal is answered.
pub(crate) const EXIT_REFUSED: u8 = 77;

/// How far a client may go; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// See what there is.
    Read,
    /// Start and stop services.
    Operate,
    /// Everything.
    Administer,
}

/// What an order needs, and the words for it.
pub(crate) const fn needed(order: &Order) -> (Level, &'static str) {
    match order {
        Order::Status { .. } => (Level::Read, "see services"),
        Order::Schedule { .. } => (Level::Read, "see schedules"),
        Order::Settled => (Level::Read, "wait for services"),
        Order::Start(_) => (Level::Operate, "start services"),
        Order::Stop(_) => (Level::Operate, "stop services"),
        Order::Restart(_) => (Level::Operate, "restart services"),
        Order::Recover(_) => (Level::Operate, "recover services"),
        Order::Reset(_) => (Level::Operate, "reset services"),
        Order::Signal { .. } => (Level::Operate, "signal services"),
        Order::Alert(_) => (Level::Administer, "raise alerts"),
        Order::Update { .. } => (Level::Operate, "update services"),
        Order::Tell(_) => (Level::Administer, "tell of updates"),
        Order::Reload => (Level::Administer, "reload the configuration"),
        Order::Shutdown => (Level::Administer, "shut down"),
    }
}

/// How far somebody may go; `own` is the user that the supervisor runs as.
pub(crate) fn granted(control: &Control, peer: &Peer, own: u32) -> Option<Level> {
    if peer.uid == 0 || peer.uid == own {
        return Some(Level::Administer);
    }
    let is_named = |entries: &[Entry]| {
        entries.iter().any(|entry| match *entry {
            Entry::Everyone => true,
            Entry::User(uid) => uid == peer.uid,
            Entry::Group(gid) => peer.groups.contains(&gid),
        })
    };
    [
        (Level::Administer, &control.administer),
        (Level::Operate, &control.operate),
        (Level::Read, &control.read),
    ]
    .into_iter()
    .find_map(|(level, entries)| is_named(entries).then_some(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_level_that_names_somebody_counts() {
        let control = Control {
            read: vec![Entry::Everyone],
            operate: vec![Entry::Group(50), Entry::User(7)],
            administer: vec![Entry::User(7)],
        };
        let level = |uid, groups: &[u32]| granted(&control, &Peer { uid, groups: groups.to_vec() }, 1000);
        assert_eq!(level(0, &[]), Some(Level::Administer));
        assert_eq!(level(1000, &[]), Some(Level::Administer));
        assert_eq!(level(7, &[]), Some(Level::Administer));
        assert_eq!(level(8, &[4, 50]), Some(Level::Operate));
        assert_eq!(level(8, &[4]), Some(Level::Read));
        let nobody = Control::default();
        assert_eq!(granted(&nobody, &Peer { uid: 8, groups: vec![0] }, 1000), None, "group 0 is not root");
        assert!(!nobody.is_open() && control.is_open());
    }
}
