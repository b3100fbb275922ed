//! A service that is started when somebody connects: its sockets listen, and it has no process. No socket is
//! looked at here: actions go out.

use std::time::{Duration, Instant};

use super::policy::{Action, Note};
use super::service::{Act, Service, later};
use super::state::State;

/// From one start of a service by a connection to the next: one that ends well at once and leaves its client
/// waiting would be started again without end.
const PACE: Duration = Duration::from_millis(100);

impl Service {
    /// The first step up: a process, or a look at the sockets of a service that is started on demand.
    pub(super) fn rise(&mut self, now: Instant, act: Act<'_>) {
        if self.policy.demand.is_some() {
            self.listen(PACE, now, act);
        } else {
            self.begin(now, act);
        }
    }

    /// Its sockets listen; `lived` is how long its last process did.
    pub(super) fn listen(&mut self, lived: Duration, now: Instant, act: Act<'_>) {
        let rest = PACE.saturating_sub(lived);
        act(Action::Note(Note::Listening));
        if rest.is_zero() {
            self.state = State::Listening { from: None };
            act(Action::Listen);
        } else {
            self.state = State::Listening { from: Some(later(now, rest)) };
        }
    }

    /// The time has come to look at its sockets.
    pub(super) fn look_out(&mut self, from: Instant, now: Instant, act: Act<'_>) {
        if now >= from {
            self.state = State::Listening { from: None };
            act(Action::Listen);
        }
    }

    /// Somebody connects.
    pub(super) fn came(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Listening { .. } => self.begin(now, act),
            // It is on its way, or will be when its end is complete: whoever came waits at the socket.
            State::Stopped
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }
}
