//! The last things: the end of the scribe, of strangers, and, should this program have a fault, of everything in
//! good order. No service is started here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use crate::life::service::later;
use crate::scribe::wire::Kind;
use crate::sys::{clock, own, reap, signal};

use super::scribes::{Purpose, Said};
use super::{FINISH_WITHIN, Supervisor, log};

/// Exit code of a program that found a fault in itself.
const EXIT_BUG: u8 = 101;
/// For services and strangers to end before they are killed, when we cannot look after them any more.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the loop. When PID 1 dies the kernel kills everybody at once; so a panic is caught, here and only here,
/// and everybody is asked to end first.
pub(super) fn guard(supervisor: &mut Supervisor, run: fn(&mut Supervisor) -> u8) -> u8 {
    if let Ok(code) = catch_unwind(AssertUnwindSafe(|| run(supervisor))) {
        return code;
    }
    for number in [libc::SIGTERM, libc::SIGKILL] {
        supervisor.signal_all(number);
        let until = later(clock::now().instant, GRACE);
        while !supervisor.is_everybody_gone() && clock::now().instant < until {
            supervisor.nap(Duration::from_millis(50));
            while reap::next().is_some() {}
        }
    }
    EXIT_BUG
}

impl Supervisor {
    /// Signals every service, and strangers too if nobody else can be meant.
    fn signal_all(&self, number: i32) {
        for id in self.ids() {
            if let Some(state) = self.roster.get(id).map(crate::life::service::Service::state)
                && let Some(group) = state.pid().or_else(|| state.leftover())
            {
                drop(signal::to_group(group, None, number));
            }
        }
        if own::is_first() {
            signal::to_everybody(number);
        }
    }

    /// Whether no service has a process.
    fn is_everybody_gone(&self) -> bool {
        self.ids().all(|id| {
            let state = self.roster.get(id).map(crate::life::service::Service::state);
            state
                .and_then(|state| state.pid().or_else(|| state.leftover()))
                .is_none_or(|group| !signal::is_group_left(group, None))
        })
    }

    /// Waits for anything to happen, for so long at most.
    fn nap(&mut self, most: Duration) {
        let mut ready = mio::Events::with_capacity(16);
        // Whatever came of it, the caller looks again.
        drop(self.poll.poll(&mut ready, Some(most)));
    }

    /// The services are gone: strangers are asked to end, the scribe writes what is left.
    pub(super) fn finish(&mut self) {
        log::queue(false);
        self.todo.clear();
        self.publish();
        self.tick_hooks();
        if own::is_first() {
            signal::to_everybody(libc::SIGTERM);
        }
        let until = later(clock::now().instant, FINISH_WITHIN);
        let mut asked = false;
        let mut is_written = false;
        while clock::now().instant < until
            && (!is_written || self.hooks.is_any_running() || (own::is_first() && signal::is_anybody_left()))
        {
            is_written |= self.scribe.pid().is_none();
            self.publish();
            if !asked && self.scribe.is_up_to_date() {
                asked = self.scribe.ask(Kind::Finish, Path::new(""), &[], Purpose::Finish);
                self.scribe.flush();
            }
            self.nap(Duration::from_millis(50));
            let said = self.scribe.hear();
            if said.iter().any(|said| matches!(said, Said::Done(Purpose::Finish, _))) {
                is_written = true;
            }
            while let Some((pid, exit)) = reap::next() {
                is_written |= self.scribe.pid() == Some(pid);
                self.hook_ended(pid, exit);
            }
        }
        self.end_hooks();
        if own::is_first() {
            signal::to_everybody(libc::SIGKILL);
        }
    }
}
