//! Children that have ended: whose they were, and who is told. What follows is decided in `life`.

use crate::life::policy::{Event, Exit, Pid, Why};
use crate::sys::reap;

use super::kin::Whose;
use super::{Supervisor, events};

/// Deaths heard in one turn: so many that what they mean is told to the scribe, which writes it while the others
/// die.
const DEATHS_PER_TURN: usize = 16;

/// Children that have ended.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Reaped so far.
    pub(super) reaped: u64,
    /// Of these, strangers.
    pub(super) orphans: u64,
    /// Whether there may be more to reap at once.
    pub(super) has_more: bool,
}

impl Supervisor {
    /// Children that have ended: all of them, some a turn.
    pub(super) fn reap(&mut self) {
        self.ends.has_more = true;
        // Who has written a letter can be known as long as it is not reaped.
        if self.office.is_used {
            self.hear_letters();
        }
        // All of this turn first: whoever they leave behind is our child by then.
        let deaths: Vec<_> = (0..DEATHS_PER_TURN).map_while(|_| reap::next()).collect();
        self.ends.has_more = deaths.len() == DEATHS_PER_TURN;
        for (pid, exit) in deaths {
            self.ends.reaped = self.ends.reaped.wrapping_add(1);
            if let Some(id) = self.roster.owner(pid) {
                self.read_last_words(id);
                if self.outlives_its_leader(id) {
                    continue;
                }
                self.tell_oom(id, exit);
                let left = self.is_anybody_left(id, pid);
                if left {
                    self.ask_rest(id);
                }
                self.roster.on(id, Event::Exited { exit, left }, self.now.instant, &mut self.todo);
            } else if let Some(id) = self.main_of(pid) {
                self.main_ended(id, pid, exit);
            } else if self.updater_ended(pid, exit) || self.run_ended(pid, exit) {
                // What it was for knows.
            } else if self.asker_ended(pid, exit) {
                // Its end was its answer.
            } else if self.hook_ended(pid, exit) {
                // Nobody waits for it.
            } else if self.scribe.pid() == Some(pid) {
                let how = events::fault(exit, Why::Itself).unwrap_or_else(|| "has ended".to_owned());
                ::log::error!("the scribe {how}: another follows");
                for said in self.scribe.died(self.now.instant) {
                    self.heed_scribe(said);
                }
            } else {
                self.stranger_ended(pid, exit);
            }
        }
    }

    /// A stranger has ended: a helper of ours, or an orphan; perhaps the last of a service that has to go.
    fn stranger_ended(&mut self, pid: Pid, exit: Exit) {
        match self.forget_kin(pid) {
            Whose::Ours => return,
            Whose::Of(id) => self.kin_ended(id, pid, exit),
            Whose::Stranger => {}
        }
        self.ends.orphans = self.ends.orphans.wrapping_add(1);
        self.look_at_leftovers();
    }
}
