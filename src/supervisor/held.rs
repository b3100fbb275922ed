//! What is kept for a service while one process follows the other: the sockets that it listens on, and what it
//! gave us to keep for it. How a process is given them is said here too; the process itself is made elsewhere.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::channel::{FD_VARIABLE, NODE_FD_VARIABLE};
use crate::config::plan::{Address, Listen, Readiness, Service};
use crate::sys::child::EXTRA_FD;
use crate::sys::sockets::Place;
use crate::sys::{pipe, sockets};

/// Most descriptors that a service may have kept for it: as many as travel in one message.
pub(super) const KEPT_MAX: usize = 253;

/// Where a process finds how many descriptors it was given, from 3 on.
const COUNT_VARIABLE: &str = "LISTEN_FDS";
/// Where it finds their names, with colons between them.
const NAMES_VARIABLE: &str = "LISTEN_FDNAMES";
/// Where it finds for whom they are.
const PID_VARIABLE: &str = "LISTEN_PID";
/// Where it finds how often it has to say that it is well, in microseconds.
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";
/// Where it finds who has to.
const WATCHDOG_PID_VARIABLE: &str = "WATCHDOG_PID";
/// Where it finds the socket to say so on.
const NOTIFY_VARIABLE: &str = "NOTIFY_SOCKET";

/// A socket that is open.
#[derive(Debug)]
pub(super) struct Socket {
    /// What the plan says of it.
    pub(super) listen: Listen,
    /// The socket.
    pub(super) fd: OwnedFd,
}

/// A descriptor that a service gave us.
#[derive(Debug)]
pub(super) struct Kept {
    /// What it calls it.
    pub(super) name: Box<str>,
    /// The descriptor.
    pub(super) fd: OwnedFd,
    /// Whether it goes when its other side does.
    pub(super) polled: bool,
}

/// What is kept for a service.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Its sockets, in the order of the plan.
    pub(super) sockets: Vec<Socket>,
    /// Whether they are being looked at for somebody who connects.
    pub(super) is_watched: bool,
    /// What it gave us, in this order.
    pub(super) kept: Vec<Kept>,
}

/// What is made for one process alone.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Both ends of its channel.
    pub(super) channel: Option<(UnixStream, OwnedFd)>,
    /// Both ends of the pipe on which it says that it is ready: ours, and its own.
    pub(super) newline: Option<(OwnedFd, OwnedFd)>,
}

/// Where a socket listens, as the kernel is told.
pub(super) fn place(listen: &Listen) -> Place<'_> {
    match &listen.address {
        Address::Net(address) => Place::Net(*address),
        Address::Path { path, mode } => Place::Path(path, *mode),
        Address::Abstract(name) => Place::Abstract(name),
    }
}

/// Whether a service speaks `sd_notify`.
pub(super) fn notifies(plan: &Service) -> bool {
    plan.readiness == Readiness::Notify || plan.watchdog.is_some()
}

impl Held {
    /// What is passed on from 3 on, with the names of these: sockets first. A descriptor that a service wants for
    /// its newline ends the row.
    fn row(&self, plan: &Service) -> Vec<(&str, BorrowedFd<'_>)> {
        let sockets = self.sockets.iter().map(|socket| (&*socket.listen.name, socket.fd.as_fd()));
        let kept = self.kept.iter().map(|kept| (&*kept.name, kept.fd.as_fd()));
        let most = match plan.readiness {
            Readiness::Fd(number) => usize::try_from(number.saturating_sub(EXTRA_FD)).unwrap_or(0),
            Readiness::Started | Readiness::Channel | Readiness::Asked | Readiness::Notify => usize::MAX,
        };
        sockets.chain(kept).take(most).collect()
    }
}

impl Parcel {
    /// Makes what this service's next process needs.
    pub(super) fn new(plan: &Service) -> io::Result<Self> {
        let channel = if plan.channel { Some(pipe::channel()?) } else { None };
        let newline = match plan.readiness {
            Readiness::Fd(_) => Some(pipe::saying()?),
            Readiness::Started | Readiness::Channel | Readiness::Asked | Readiness::Notify => None,
        };
        Ok(Self { channel, newline })
    }

    /// Every descriptor that the process gets beyond its input and output, by number. The channel goes behind
    /// the sockets, which have to begin at 3.
    pub(super) fn list<'a>(&'a self, held: &'a Held, plan: &Service) -> Vec<(RawFd, BorrowedFd<'a>)> {
        let row = held.row(plan);
        let mut all: Vec<_> = (EXTRA_FD..).zip(row.into_iter().map(|(_, fd)| fd)).collect();
        for (_, fd) in &all {
            sockets::let_wait(*fd);
        }
        if let Some((_, theirs)) = &self.channel {
            all.push((channel_number(held, plan), theirs.as_fd()));
        }
        if let (Some((_, theirs)), Readiness::Fd(number)) = (&self.newline, plan.readiness) {
            all.push((number, theirs.as_fd()));
        }
        all
    }

    /// The variables that tell the process of all this; what is returned are those that hold its pid.
    pub(super) fn tell(
        &self,
        held: &Held,
        plan: &Service,
        notify: &str,
        variables: &mut BTreeMap<&str, String>,
    ) -> Vec<&'static str> {
        let mut own_pid = Vec::new();
        if self.channel.is_some() {
            let number = channel_number(held, plan).to_string();
            variables.insert(FD_VARIABLE, number.clone());
            variables.insert(NODE_FD_VARIABLE, number);
        }
        let row = held.row(plan);
        if !row.is_empty() {
            let names: Vec<_> = row.iter().map(|(name, _)| *name).collect();
            variables.insert(COUNT_VARIABLE, row.len().to_string());
            variables.insert(NAMES_VARIABLE, names.join(":"));
            own_pid.push(PID_VARIABLE);
        }
        if notifies(plan) {
            variables.insert(NOTIFY_VARIABLE, notify.to_owned());
        }
        if let Some(every) = plan.watchdog {
            variables.insert(WATCHDOG_VARIABLE, every.as_micros().to_string());
            own_pid.push(WATCHDOG_PID_VARIABLE);
        }
        for name in &own_pid {
            variables.remove(name);
        }
        own_pid
    }
}

/// The number of the channel: the first that is free.
fn channel_number(held: &Held, plan: &Service) -> RawFd {
    let behind = i32::try_from(held.row(plan).len()).unwrap_or(i32::MAX).saturating_add(EXTRA_FD);
    if plan.readiness == Readiness::Fd(behind) { behind.saturating_add(1) } else { behind }
}
