//! The sockets of services: opened before they are needed, kept while one process follows the other, looked at
//! while nobody is there to accept. When that is the case is decided in `life`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Token};

use crate::config::plan::{Listen, Program};
use crate::life::policy::{Blame, Event};
use crate::life::roster::Id;
use crate::sys::{own, sockets};

use super::held::{Socket, place};
use super::{SOCKETS, Supervisor};

/// The name of the runner that takes its port as a descriptor. Any other opens it itself.
const RUNNER: &str = "mcp-runner";

/// The token of a service's sockets.
fn token(id: Id) -> Token {
    Token(SOCKETS.saturating_add(id.index()))
}

impl Supervisor {
    /// Opens what the plan wants open and is not, closes what it no longer wants; what is open stays as it is.
    ///
    /// # Errors
    /// Whose trouble it is that one of them cannot be opened, and why.
    pub(super) fn open_sockets(&mut self, id: Id) -> Result<(), (Blame, String)> {
        self.look_away(id);
        let wanted = self.wanted_sockets(id);
        let Some(unit) = self.unit_mut(id) else { return Ok(()) };
        let mut had = std::mem::take(&mut unit.held.sockets);
        let known: Vec<_> = wanted.iter().map(|listen| take(&mut had, listen)).collect();
        // Two at one address cannot be open at once.
        drop(had);
        let (mut open, mut failed) = (Vec::with_capacity(wanted.len()), None);
        for (listen, known) in wanted.into_iter().zip(known) {
            let fd = match known.or_else(|| self.bequeathed(&listen)) {
                Some(socket) => Ok(socket.fd),
                None => sockets::open(place(&listen), listen.datagrams),
            };
            match fd {
                Ok(fd) => open.push(Socket { listen, fd }),
                Err(error) => failed = failed.or_else(|| Some((blame(&error), why_not(&listen, &error)))),
            }
        }
        if let Some(unit) = self.unit_mut(id) {
            unit.held.sockets = open;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Opens its sockets before anything else is done for it, so that its clients wait rather than being
    /// refused. What cannot be opened is tried again, and told, when it is started.
    pub(super) fn open_early(&mut self, id: Id) {
        if let Err((_, error)) = self.open_sockets(id)
            && let Some(unit) = self.unit(id)
        {
            ::log::warn!("{}: {error}", unit.plan.id);
        }
    }

    /// Closes its sockets and lets go of what it gave us: it is down, and who connects is to know that.
    pub(super) fn close_sockets(&mut self, id: Id) {
        // Whoever connects while it is updated is answered by what comes of that.
        if self.is_updated(id) {
            return;
        }
        self.look_away(id);
        self.forget_kept(id, |_| true);
        if let Some(unit) = self.unit_mut(id) {
            unit.held.sockets = Vec::new();
        }
    }

    /// The sockets that the plan wants: those of `listen`, and the port of a server whose runner takes it.
    fn wanted_sockets(&self, id: Id) -> Vec<Listen> {
        let Some(unit) = self.unit(id) else { return Vec::new() };
        let mut wanted = unit.plan.listen.clone();
        let takes_port = self.settings.runner.file_name().is_some_and(|name| name == RUNNER);
        if let Program::Server(server) = &unit.plan.program
            && let Some(port) = server.listen.as_ref().filter(|_| takes_port)
            && !wanted.iter().any(|listen| is_same(listen, port))
        {
            wanted.push(port.clone());
        }
        wanted
    }

    /// A socket of a service that the configuration no longer has: it may have another name now.
    fn bequeathed(&mut self, listen: &Listen) -> Option<Socket> {
        let removed = self.units.iter_mut().flatten().filter(|unit| unit.is_removed);
        removed.map(|unit| &mut unit.held.sockets).find_map(|sockets| take(sockets, listen))
    }

    /// Looks at its sockets from now on, for somebody who connects.
    ///
    /// # Errors
    /// Whose trouble it is that this cannot be done, and why.
    fn look_out(&mut self, id: Id) -> Result<(), (Blame, String)> {
        self.open_sockets(id)?;
        let Some(unit) = self.unit(id) else { return Ok(()) };
        if unit.held.sockets.is_empty() {
            let error = "cannot wait for clients: its runner opens its port itself";
            return Err((Blame::Service, error.to_owned()));
        }
        for socket in &unit.held.sockets {
            if let Err(error) = self.register(socket.fd.as_raw_fd(), token(id), Interest::READABLE) {
                let error = format!("cannot wait on {}: {}", socket.listen, own::reason(&error));
                self.look_away(id);
                return Err((Blame::Machine, error));
            }
        }
        if let Some(unit) = self.unit_mut(id) {
            unit.held.is_watched = true;
        }
        Ok(())
    }

    /// Looks at its sockets from now on, or says why that cannot be done.
    pub(super) fn listen_for(&mut self, id: Id) {
        if let Err((blame, error)) = self.look_out(id) {
            self.fault(id, &error);
            self.answer(id, Event::NotSpawned(blame));
        }
    }

    /// Looks at its sockets no longer: whoever connects is its process's to accept.
    pub(super) fn look_away(&mut self, id: Id) {
        let registry = self.poll.registry();
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return };
        for socket in &unit.held.sockets {
            // One that was not looked at is no fault: the last attempt may have ended half-way.
            drop(registry.deregister(&mut SourceFd(&socket.fd.as_raw_fd())));
        }
        unit.held.is_watched = false;
    }

    /// Whether somebody really waits at one of its sockets.
    pub(super) fn is_called(&self, id: Id) -> bool {
        self.unit(id).is_some_and(|unit| {
            unit.held.is_watched
                && unit.held.sockets.iter().any(|socket| sockets::is_wanted(socket.fd.as_fd()))
        })
    }
}

/// Whether two mean one socket, whatever it is called.
fn is_same(one: &Listen, other: &Listen) -> bool {
    one.address == other.address && one.datagrams == other.datagrams
}

/// Takes a socket out of those that are open.
fn take(open: &mut Vec<Socket>, listen: &Listen) -> Option<Socket> {
    let index = open.iter().position(|socket| is_same(&socket.listen, listen))?;
    Some(open.swap_remove(index))
}

/// Whose trouble it is: what may pass by itself is the machine's.
fn blame(error: &io::Error) -> Blame {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EINTR) => Blame::Machine,
        _ => Blame::Service,
    }
}

/// One line.
fn why_not(listen: &Listen, error: &io::Error) -> String {
    format!("cannot listen on {listen}: {}", own::reason(error))
}
