//! Where clients knock as a socket that whoever started us opened: `LISTEN_FDS`, as systemd has it. It was there
//! before us and will be after us, so that clients wait for a server rather than being refused. None is opened here.

use std::os::fd::RawFd;

use super::listener::{Address, Listener};
use crate::channel;
use crate::config::Listen;

/// The first of the descriptors.
const FIRST: RawFd = 3;
/// More of them than this nobody passes on.
const COUNT_MAX: RawFd = 1024;

/// The socket that listens there, if we were given it. What else we were given is closed: nobody here has a use
/// for it.
pub(crate) fn listener(wanted: &Listen) -> Option<Listener> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<i32>().ok());
    let ours = number("LISTEN_PID").is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()));
    let count = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0).clamp(0, COUNT_MAX);
    let wanted = match wanted {
        Listen::Tcp(address) => Address::Tcp(*address),
        Listen::Unix(path) => Address::Unix(path.clone()),
    };
    let given =
        (FIRST..FIRST + count).filter_map(channel::take).filter_map(|fd| Listener::inherited(fd).ok());
    // All of them are taken, so that none is left open.
    let given: Vec<_> = given.collect();
    given.into_iter().find(|listener| *listener.address() == wanted)
}
