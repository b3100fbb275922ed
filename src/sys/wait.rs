//! Waiting, for children of the supervisor that have nothing else to do. PID 1 itself sleeps in its poll only.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until one of these can be read or has ended, for so long at most.
pub(crate) fn for_any<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>, within: Duration) {
    let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    // Rounded up: a wait that is over too early would be begun again at once.
    let within = within.saturating_add(Duration::from_micros(999));
    let _ready = poll(&mut fds, PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX));
}

/// Waits for so long.
pub(crate) fn pause(time: Duration) {
    for_any(std::iter::empty(), time);
}

/// Ends our process group, us included, if we lead it.
pub(crate) fn end_own_group() {
    let own = nix::unistd::getpid();
    if nix::unistd::getpgrp() == own {
        let _gone = nix::sys::signal::killpg(own, nix::sys::signal::Signal::SIGKILL);
    }
}
