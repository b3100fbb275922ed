//! The course of a service's health checks. No question is put here: actions go out.

use std::time::{Duration, Instant};

use super::policy::{Action, Note, Why};
use super::service::{Act, Service, later};
use super::state::{Check, Load, State};

impl Service {
    /// It answered a question for its health; an answer that nobody waits for does not count.
    pub(super) fn answered(&mut self, healthy: bool, now: Instant, act: Act<'_>) {
        match self.state {
            State::Running { check: Check::Asked(_), .. } => {
                if healthy {
                    self.well(now, act);
                } else {
                    self.next_check(now);
                    self.failed_check(now, act);
                }
            }
            State::Running { check: Check::Never | Check::Due(_), .. }
            | State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// The time of its health check has come, or the time for its answer has passed.
    pub(super) fn check(&mut self, check: Check, now: Instant, act: Act<'_>) {
        match check {
            Check::Due(at) if now >= at => {
                let within = self.policy.check.map_or(Duration::ZERO, |policy| policy.within);
                self.set_check(Check::Asked(later(now, within)));
                act(Action::Check);
            }
            Check::Asked(by) if now >= by => {
                act(Action::Note(Note::NoAnswer));
                self.unanswered(now, act);
            }
            Check::Never | Check::Due(_) | Check::Asked(_) => {}
        }
    }

    /// A check passed.
    pub(super) fn well(&mut self, now: Instant, act: Act<'_>) {
        self.next_check(now);
        if let State::Running { failures, load, .. } = &mut self.state {
            *failures = 0;
            if let Load::Busy { due } = load {
                *due = None;
            }
        }
        self.is_well(act);
    }

    /// It could not be asked: that says nothing of it.
    pub(super) fn unasked(&mut self, now: Instant) {
        if self.is_asked() {
            self.next_check(now);
        }
    }

    /// Whoever was to ask it had no answer in time.
    pub(super) fn late(&mut self, now: Instant, act: Act<'_>) {
        if self.is_asked() {
            self.unanswered(now, act);
        }
    }

    /// It did not answer. That counts as a failure, unless it is busy: one that works on a request may have no time
    /// for a question, until the request is due.
    fn unanswered(&mut self, now: Instant, act: Act<'_>) {
        self.next_check(now);
        let patience = self.policy.check.map_or(Duration::ZERO, |policy| policy.busy);
        if let State::Running { pid, spared_until, load: Load::Busy { due }, .. } = &mut self.state
            && now >= *spared_until
            && now < *due.get_or_insert_with(|| later(now, patience))
        {
            act(Action::LookIfFrozen(*pid));
        } else {
            self.failed_check(now, act);
        }
    }

    /// Its process was stopped by a signal while it was spared.
    pub(super) fn frozen(&mut self, now: Instant, act: Act<'_>) {
        if let State::Running { load: load @ Load::Busy { .. }, .. } = &mut self.state {
            *load = Load::None;
            self.failed_check(now, act);
        }
    }

    /// A check failed, which counts unless it is one of the first: the last of several in a row ends the process.
    fn failed_check(&mut self, now: Instant, act: Act<'_>) {
        let retries = self.policy.check.map_or(1, |policy| policy.retries);
        if let State::Running { pid, born, spared_until, failures, .. } = &mut self.state
            && now >= *spared_until
        {
            *failures = failures.saturating_add(1);
            if *failures >= retries.max(1) {
                let (pid, born) = (*pid, *born);
                self.end(pid, born, Why::Unhealthy, now, act);
            }
        }
    }

    /// It says whether requests are in flight in it. While any is, they are due together: what came later than the
    /// first failure gets no time of its own, or one that hangs would be spared for ever.
    pub(super) const fn busy(&mut self, is_busy: bool) {
        if let State::Running { load, .. } = &mut self.state {
            match (is_busy, &load) {
                (true, Load::None) => *load = Load::Busy { due: None },
                (true, Load::Busy { .. }) => {}
                (false, Load::None | Load::Busy { .. }) => *load = Load::None,
            }
        }
    }

    /// The next question is due one interval from now.
    pub(super) fn next_check(&mut self, now: Instant) {
        let next = self.policy.check.map_or(Check::Never, |policy| Check::Due(later(now, policy.every)));
        self.set_check(next);
    }

    /// Changes where the check stands, while it runs.
    pub(super) const fn set_check(&mut self, next: Check) {
        if let State::Running { check, .. } = &mut self.state {
            *check = next;
        }
    }
}
