//! `readiness`: what counts as ready, by a word or by an object that says more. Nothing waits here.

use super::error::Problems;
use super::item::{Choice, Item};
use super::json::Kind;
use super::plan::Readiness;
use super::said::set;

/// Keys of the object.
pub(super) const KEYS: [&str; 2] = ["type", "fd"];

/// Numbers that a service may be told to write its newline to. Those below are its input and output.
const FD_MIN: u64 = 3;
/// See [`FD_MIN`]; below the limit of descriptors that a process usually has.
const FD_MAX: u64 = 1023;

/// Values of `readiness` that need no more said.
const PLAIN: Choice<Readiness> = Choice {
    known: &[("started", Readiness::Started), ("channel", Readiness::Channel), ("notify", Readiness::Notify)],
    later: &[],
};

/// Values of `readiness.type`; the number follows.
const TYPES: Choice<Readiness> = Choice {
    known: &[
        ("started", Readiness::Started),
        ("channel", Readiness::Channel),
        ("notify", Readiness::Notify),
        ("fd", Readiness::Fd(0)),
    ],
    later: &[],
};

/// Reads `readiness`.
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Readiness> {
    if !matches!(item.node.kind, Kind::Object(_)) {
        return plain(item, problems);
    }
    let (mut kind, mut fd) = (None, None);
    for item in item.members(problems) {
        match item.key {
            "type" => set(&mut kind, item.choice(problems, &TYPES)),
            "fd" => {
                let wanted = format!("the number of a descriptor from {FD_MIN} to {FD_MAX}");
                let number = item.whole(problems, FD_MIN..=FD_MAX, &wanted);
                set(&mut fd, number.and_then(|number| i32::try_from(number).ok()));
            }
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }
    if item.get("type").is_none() {
        item.wrong(problems, "has no type");
        return None;
    }
    match (kind?, item.get("fd")) {
        (Readiness::Fd(_), Some(_)) => fd.map(Readiness::Fd),
        (Readiness::Fd(_), None) => {
            item.wrong(problems, "has no fd: the number of the descriptor that it writes its newline to");
            None
        }
        (_, Some(fd_item)) => {
            fd_item.wrong_key(problems, "goes with type \"fd\"");
            None
        }
        (kind, None) => Some(kind),
    }
}

/// A word alone.
fn plain(item: &Item<'_>, problems: &mut Problems) -> Option<Readiness> {
    if item.node.text() == Some("fd") {
        item.wrong(problems, "needs a number: { \"type\": \"fd\", \"fd\": 3 }");
        return None;
    }
    item.choice(problems, &PLAIN)
}
