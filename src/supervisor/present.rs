//! What is known of a service only as long as one process of it. Nothing is decided here.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Instant;

use crate::life::policy::Pid;
use crate::sys::clock::{Now, Stamp};

use super::enforce::Hold;
use super::gauge::Gauge;
use super::mainpid::Main;
use super::talk::Channel;
use super::walls::Walled;

/// What a service says of itself by `sd_notify`.
#[derive(Debug)]
pub(super) struct Told {
    /// One line.
    pub(super) status: Option<Box<str>>,
    /// Whether it is reading its configuration again.
    pub(super) is_reloading: bool,
}

/// What only lasts as long as one process.
#[derive(Debug)]
pub(super) struct Present {
    /// A hold on the process, and on its group after it.
    pub(super) pidfd: Option<OwnedFd>,
    /// The walls around it.
    pub(super) walled: Option<Box<Walled>>,
    /// What holds its limits.
    pub(super) hold: Hold,
    /// What all its processes use, if it asks for that.
    pub(super) gauge: Option<Box<Gauge>>,
    /// When it was started.
    pub(super) started: Stamp,
    /// The same as the kernel counts it; if it was not known at once, read when first asked for.
    pub(super) ticks: Option<u64>,
    /// Our end of its channel.
    pub(super) channel: Option<Channel>,
    /// Our end of the pipe on which it says that it is ready.
    pub(super) newline: Option<File>,
    /// Its main process, where that is another one than was started.
    pub(super) main: Option<Main>,
    /// What it says of itself.
    pub(super) told: Told,
    /// When somebody last used it, of a service that runs on demand.
    pub(super) used_at: Instant,
    /// Whether it ever was ready.
    pub(super) was_ready: bool,
    /// URL a client connects to, as it said itself.
    pub(super) endpoint: Option<Box<str>>,
    /// Whether it said itself what is wrong: that says more than how it ended.
    pub(super) said_why: bool,
    /// The program that asks it to end, while that runs.
    pub(super) stopper: Option<Pid>,
    /// Whether its pid file does not name it yet.
    pub(super) owes_pid: bool,
    /// Until when no more faults are quoted that it tells or shows itself.
    pub(super) quoted_by: Option<Instant>,
    /// Until when its figures are not written again.
    pub(super) metered_by: Option<Instant>,
}

impl Present {
    /// Of a process that was just made.
    pub(super) const fn new(pidfd: Option<OwnedFd>, channel: Option<Channel>, now: Now) -> Self {
        Self {
            pidfd,
            walled: None,
            hold: Hold::NONE,
            gauge: None,
            started: now.stamp,
            ticks: None,
            channel,
            newline: None,
            main: None,
            told: Told { status: None, is_reloading: false },
            used_at: now.instant,
            was_ready: false,
            endpoint: None,
            said_why: false,
            stopper: None,
            owes_pid: false,
            quoted_by: None,
            metered_by: None,
        }
    }

    /// Limit, or what its sandbox walls in → what holds it, in words.
    pub(super) fn enforced_by(&self) -> BTreeMap<Box<str>, Box<str>> {
        let mut words = self.hold.words();
        words.extend(self.walled.iter().flat_map(|walled| walled.words()));
        words
    }
}
