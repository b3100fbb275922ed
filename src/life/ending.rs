//! How a service ends and what follows: the sweep of its group, the restart policy, giving up. No clock, no
//! signal is sent here: actions go out.

use std::time::{Duration, Instant};

use super::exits::{self, Meaning};
use super::policy::{Action, Bound, Exit, Note, Pid, Restart, Why};
use super::service::{Act, Service, later};
use super::state::{State, Want};

/// From one SIGKILL to the next while the kernel does not confirm the end.
const KILL_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// So many SIGKILLs are sent, and have had their time, until it counts as stuck: one that has much memory takes seconds
/// to give it back, and where the machine is overloaded any may take seconds to die.
pub(super) const KILLS_UNTIL_STUCK: u32 = 5;
/// First and longest time between two looks whether a group without leader is empty.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// Before a start that failed for lack of processes, memory or descriptors is tried again.
const MACHINE_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Service {
    /// Its process has ended.
    pub(super) fn exited(&mut self, exit: Exit, left: bool, now: Instant, act: Act<'_>) {
        let (pid, born, why, kill_at, kills) = match self.state {
            State::Starting { pid, born, .. } | State::Running { pid, born, .. } => {
                (pid, born, Why::Itself, later(now, self.policy.stop_within), 0)
            }
            State::Leaving { pid, born, .. } => {
                (pid, born, Why::Ordered, later(now, self.policy.stop_within), 0)
            }
            State::Stopping { pid, born, why, kill_at, kills } => (pid, born, why, kill_at, kills),
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => return,
        };
        let lived = now.saturating_duration_since(born);
        act(Action::Note(Note::Ended { exit, why, lived }));
        if !left {
            self.over(exit, why, lived, now, act);
            return;
        }
        if why == Why::Itself {
            act(Action::Ask(pid));
        }
        let look_every = LOOK_AGAIN.0;
        let look_at = later(now, look_every);
        self.state = State::Sweeping { group: pid, exit, why, lived, kill_at, kills, look_at, look_every };
    }

    /// Nobody of the group is left.
    pub(super) fn empty(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Sweeping { exit, why, lived, .. } => self.over(exit, why, lived, now, act),
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Leaving { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It is gone completely: what is wanted, and the restart policy, say what comes next.
    fn over(&mut self, exit: Exit, why: Why, lived: Duration, now: Instant, act: Act<'_>) {
        if self.want == Want::Down {
            self.rest(act);
            return;
        }
        let meaning = self.policy.exits.meaning(exit, self.policy.kind);
        match (why, meaning) {
            (Why::Ordered, _) => self.begin(now, act),
            (Why::Idle, _) => self.rise(now, act),
            (Why::Itself, Meaning::ForGood) => self.give_up(Some(exit), act),
            (Why::Itself, Meaning::Well) if self.policy.demand.is_some() => self.listen(lived, now, act),
            (Why::Itself, Meaning::Well) if self.policy.restart != Restart::Always => {
                self.complete(exit, act);
            }
            (Why::Unhealthy, _) if self.policy.attempts > 0 => self.recover(Some(exit), lived, now, act),
            (Why::Itself, Meaning::Well | Meaning::Badly)
            | (Why::NotReady | Why::Unhealthy | Why::Silent | Why::Exceeded(_), _) => {
                self.failed(Some(exit), lived, now, act);
            }
        }
    }

    /// It has ended well, and that is all it was there for.
    fn complete(&mut self, exit: Exit, act: Act<'_>) {
        self.want = Want::Down;
        self.completed = true;
        self.rest(act);
        self.end_the_whole(Some(exit), false, act);
    }

    /// A failure: again after a delay, or never.
    pub(super) fn failed(&mut self, exit: Option<Exit>, lived: Duration, now: Instant, act: Act<'_>) {
        if self.recovery.is_trying && self.policy.attempts > 0 {
            return self.recover(exit, lived, now, act);
        }
        self.recovery.is_trying = false;
        let random = self.random();
        let after = match self.policy.restart {
            Restart::Always | Restart::OnFailure => self.backoff.after(&self.policy.backoff, lived, random),
            Restart::Never => None,
        };
        match after {
            Some(after) => {
                self.restarts = self.restarts.saturating_add(1);
                self.state = State::Backoff { until: later(now, after) };
                act(Action::Note(Note::Retry { after }));
            }
            None if self.policy.attempts > 0 => {
                if self.recovery.attempts < self.policy.attempts {
                    act(Action::Note(Note::OutOfRestarts));
                }
                self.recover(exit, lived, now, act);
            }
            None => self.give_up(exit, act),
        }
    }

    /// The machine could not do it just now: the same again, without counting.
    pub(super) fn retry_later(&mut self, now: Instant, act: Act<'_>) {
        self.state = State::Backoff { until: later(now, MACHINE_RETRY_AFTER) };
        act(Action::Note(Note::Later { after: MACHINE_RETRY_AFTER }));
    }

    /// It has more than it may: it is killed at once, because it would only take more.
    pub(super) fn exceeded(&mut self, bound: Bound, now: Instant, act: Act<'_>) {
        match self.state {
            State::Starting { pid, born, .. } | State::Running { pid, born, .. } => {
                let why = Why::Exceeded(bound);
                self.state =
                    State::Stopping { pid, born, why, kill_at: later(now, KILL_AGAIN_AFTER), kills: 1 };
                act(Action::Note(Note::Stopping(why)));
                act(Action::Kill(pid));
            }
            // It is about to end, or has.
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Leaving { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It waits for an order.
    pub(super) fn give_up(&mut self, exit: Option<Exit>, act: Act<'_>) {
        self.recovery.is_trying = false;
        self.state = State::Failed;
        act(Action::Note(Note::GaveUp));
        self.end_the_whole(exit, true, act);
    }

    /// It has ended for good, and nobody ordered it: everything may end with it.
    pub(super) fn end_the_whole(&self, exit: Option<Exit>, failed: bool, act: Act<'_>) {
        if let Some(code) = exits::of_the_whole(self.policy.on_exit, exit, failed) {
            act(Action::End(code));
        }
    }

    /// Nothing will happen by itself.
    pub(super) fn rest(&mut self, act: Act<'_>) {
        self.recovery.is_trying = false;
        self.state = State::Stopped;
        act(Action::Note(Note::Stopped));
    }

    /// Asks the process group to end.
    pub(super) fn end(&mut self, pid: Pid, born: Instant, why: Why, now: Instant, act: Act<'_>) {
        let kill_at = later(now, self.policy.stop_within);
        self.state = State::Stopping { pid, born, why, kill_at, kills: 0 };
        act(Action::Note(Note::Stopping(why)));
        act(Action::Ask(pid));
    }

    /// Kills the group, and does so again until the kernel confirms.
    pub(super) fn kill(&mut self, group: Pid, sent: u32, now: Instant, act: Act<'_>) {
        let again = later(now, KILL_AGAIN_AFTER);
        if let State::Stopping { kill_at, kills, .. } | State::Sweeping { kill_at, kills, .. } =
            &mut self.state
        {
            *kill_at = again;
            *kills = sent.saturating_add(1);
        }
        match sent {
            0 => act(Action::Note(Note::Killed)),
            KILLS_UNTIL_STUCK => act(Action::Note(Note::Unkillable)),
            _ => {}
        }
        act(Action::Kill(group));
    }

    /// Looks whether the group is empty, ever more rarely.
    pub(super) fn look(&mut self, now: Instant, act: Act<'_>) {
        if let State::Sweeping { group, look_at, look_every, .. } = &mut self.state {
            *look_every = look_every.saturating_mul(2).min(LOOK_AGAIN.1);
            *look_at = later(now, *look_every);
            let group = *group;
            act(Action::Look(group));
        }
    }
}
