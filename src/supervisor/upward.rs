//! What we tell whoever started us, by `sd_notify`: a service manager, or the one outside of a container. Nothing
//! of it is passed on to services.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::config::Environment;
use crate::life::service::later;
use crate::sys::letters;

use super::Supervisor;

/// Where we find whom to tell.
const VARIABLE: &str = "NOTIFY_SOCKET";
/// Before a letter is sent again for which there was no room.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Whom we tell.
#[derive(Debug)]
pub(super) struct Upward {
    /// Ours.
    socket: OwnedFd,
    /// Theirs.
    address: String,
    /// Whether they know that we are ready.
    is_ready: bool,
    /// What they were last told of our services.
    status: String,
    /// What there was no room for yet.
    owed: String,
    /// When it is sent again.
    again_at: Option<Instant>,
}

impl Upward {
    /// Whoever wants to be told.
    pub(super) fn new(environment: &Environment) -> Option<Self> {
        let address = environment.get(VARIABLE)?.to_str()?.to_owned();
        let socket = letters::sender().ok()?;
        let (status, owed) = (String::new(), String::new());
        Some(Self { socket, address, is_ready: false, status, owed, again_at: None })
    }

    /// When something is to be sent again.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.again_at
    }

    /// Tells them; what there is no room for is told later, before anything else.
    fn tell(&mut self, lines: &str, now: Instant) {
        self.owed.push_str(lines);
        self.send(now);
    }

    /// Sends what is owed.
    fn send(&mut self, now: Instant) {
        self.again_at = None;
        if self.owed.is_empty() {
            return;
        }
        match letters::send(&self.socket, &self.address, &self.owed) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.again_at = Some(later(now, AGAIN_AFTER));
            }
            // Where nobody listens there is nobody to tell.
            Ok(()) | Err(_) => self.owed.clear(),
        }
    }
}

impl Supervisor {
    /// Tells that we are ready, once no service is on its way any more, and how many of them are up.
    pub(super) fn tell_upward(&mut self) {
        let now = self.now.instant;
        if self.upward.is_none() {
            return;
        }
        if !self.roster.is_ending() && self.roster.is_settled() && self.todo.is_empty() {
            let status = self.summary();
            if let Some(upward) = self.upward.as_mut().filter(|upward| upward.status != status) {
                let ready = if upward.is_ready { "" } else { "READY=1\n" };
                upward.is_ready = true;
                upward.tell(&format!("{ready}STATUS={status}\n"), now);
                upward.status = status;
            }
        }
        if let Some(upward) =
            self.upward.as_mut().filter(|upward| upward.again_at.is_some_and(|at| now >= at))
        {
            upward.send(now);
        }
    }

    /// Tells that we are about to end.
    pub(super) fn tell_upward_of_stop(&mut self) {
        let now = self.now.instant;
        if let Some(upward) = &mut self.upward {
            upward.tell("STOPPING=1\nSTATUS=Stopping all services\n", now);
        }
    }

    /// Tells the exit code that we are about to end with.
    pub(super) fn tell_upward_of_end(&mut self, code: u8) {
        let now = self.now.instant;
        if let Some(upward) = &mut self.upward {
            upward.tell(&format!("EXIT_STATUS={code}\n"), now);
        }
    }

    /// How many services are up, and which one is not.
    fn summary(&self) -> String {
        let (mut up, mut all, mut down) = (0_usize, 0_usize, None);
        for id in self.ids() {
            let Some((unit, life)) = self.unit(id).zip(self.roster.get(id)) else { continue };
            all = all.saturating_add(1);
            if life.state().is_up() {
                up = up.saturating_add(1);
            } else if unit.plan.enabled {
                down =
                    down.or_else(|| Some(format!("; {} is in state {}", unit.plan.id, life.state().word())));
            }
        }
        format!("{up} of {all} services are up{}", down.unwrap_or_default())
    }
}
