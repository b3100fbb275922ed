//! Recovery: a service that fails its health checks, or whose restarts gave up, is started again a few times more.
//! Only a passed check makes that good; after so many attempts in vain nothing more is tried. Nothing is started
//! here: actions go out.

use std::time::{Duration, Instant};

use super::policy::{Action, Exit, Note};
use super::service::{Act, Service, later};
use super::state::{State, Want};

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Attempts since it was last known to be well.
    pub(crate) attempts: u32,
    /// Whether one is on its way: nobody knows yet whether it is well.
    pub(crate) is_trying: bool,
    /// Whether all were in vain.
    pub(crate) is_spent: bool,
}

impl Service {
    /// How far its recovery has come.
    pub(crate) const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Restarts do not cure it, or may not any more: an attempt, or the end of all attempts.
    pub(super) fn recover(&mut self, exit: Option<Exit>, lived: Duration, now: Instant, act: Act<'_>) {
        let most = self.policy.attempts;
        self.recovery.is_trying = false;
        if self.recovery.attempts >= most {
            self.recovery.is_spent = most > 0;
            return self.give_up(exit, act);
        }
        self.recovery.attempts = self.recovery.attempts.saturating_add(1);
        self.recovery.is_trying = true;
        self.restarts = self.restarts.saturating_add(1);
        let random = self.random();
        let after = self.backoff.longer(&self.policy.backoff, lived, random);
        self.state = State::Backoff { until: later(now, after) };
        act(Action::Note(Note::Attempt { number: self.recovery.attempts, after }));
    }

    /// It is known to be well: all attempts are forgotten.
    pub(super) fn is_well(&mut self, act: Act<'_>) {
        let Recovery { attempts, is_trying, .. } = std::mem::take(&mut self.recovery);
        if attempts > 0 || is_trying {
            act(Action::Note(Note::Recovered { attempts }));
        }
    }

    /// It is ready; where nobody checks its health, that is all there is to know.
    pub(super) fn is_ready(&mut self, act: Act<'_>) {
        act(Action::Note(Note::Ready));
        if self.policy.check.is_none() && self.recovery.is_trying {
            self.is_well(act);
        }
    }

    /// Somebody wants one attempt, whatever was tried before.
    pub(super) fn attempt(&mut self, now: Instant, act: Act<'_>) {
        self.restart(now, act);
        self.recovery.is_trying = true;
    }

    /// The attempts are forgotten. One that waits for nothing else is tried again.
    pub(super) fn reset(&mut self, now: Instant, act: Act<'_>) {
        let was_spent = self.recovery.is_spent;
        self.recovery = Recovery { is_trying: self.recovery.is_trying, ..Recovery::default() };
        if was_spent && self.want == Want::Up && matches!(self.state, State::Failed) {
            self.recover(None, Duration::ZERO, now, act);
        }
    }

    /// What an earlier supervisor knew of it. One whose attempts were all in vain waits for an order.
    pub(super) const fn recall(&mut self, attempts: u32, is_spent: bool) {
        if matches!(self.state, State::Stopped) && self.policy.attempts > 0 {
            self.recovery = Recovery { attempts, is_trying: false, is_spent };
            if is_spent {
                self.want = Want::Up;
                self.state = State::Failed;
            }
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic, and its numbers are small"
)]
mod tests {
    use super::*;
    use crate::life::examples::quiet;
    use crate::life::policy::{CheckPolicy, Event, Pid, Policy};

    const MS: Duration = Duration::from_millis(1);

    /// A service whose health is checked, with three attempts; and what it was told about.
    struct Life {
        service: Service,
        now: Instant,
        notes: Vec<Note>,
        /// Its processes so far, and whether one runs.
        pids: i32,
        runs: bool,
    }

    impl Life {
        fn new(restarts: u32) -> Self {
            let mut policy = Policy {
                attempts: 3,
                check: Some(CheckPolicy {
                    every: MS * 10,
                    within: MS * 5,
                    retries: 2,
                    grace: Duration::ZERO,
                    busy: MS * 40,
                }),
                ..quiet()
            };
            policy.backoff.tries = Some(restarts);
            let service = Service::new(&policy, 7);
            let mut life = Self { service, now: Instant::now(), notes: Vec::new(), pids: 0, runs: false };
            life.on(Event::Start);
            life
        }

        fn on(&mut self, event: Event) {
            let mut actions = Vec::new();
            self.service.on(event, self.now, &mut |action| actions.push(action));
            self.obey(actions);
        }

        fn obey(&mut self, actions: Vec<Action>) {
            for action in actions {
                match action {
                    Action::Spawn => {
                        self.pids += 1;
                        self.runs = true;
                        self.on(Event::Spawned(Pid(self.pids)));
                    }
                    Action::Ask(_) => {
                        self.runs = false;
                        self.on(Event::Exited { exit: Exit::Code(0), left: false });
                    }
                    Action::Note(note) => self.notes.push(note),
                    Action::Prepare
                    | Action::Kill(_)
                    | Action::Look(_)
                    | Action::Check
                    | Action::LookIfFrozen(_)
                    | Action::Listen
                    | Action::LookForUse
                    | Action::End(_) => {}
                }
            }
        }

        /// Time passes; each question is answered so.
        fn pass(&mut self, time: Duration, is_well: bool) {
            let end = self.now + time;
            while let Some(at) = self.service.state().deadline().filter(|at| *at <= end) {
                self.now = self.now.max(at);
                let mut actions = Vec::new();
                self.service.tick(self.now, &mut |action| actions.push(action));
                let is_asked = actions.contains(&Action::Check);
                self.obey(actions);
                if is_asked {
                    self.on(Event::Answered { healthy: is_well });
                }
            }
            self.now = end;
        }

        fn die(&mut self) {
            self.runs = false;
            self.on(Event::Exited { exit: Exit::Code(1), left: false });
        }

        fn attempts(&self) -> usize {
            self.notes.iter().filter(|note| matches!(note, Note::Attempt { .. })).count()
        }
    }

    #[test]
    fn one_that_stays_ill_has_three_attempts_and_then_waits_for_a_person() {
        let mut life = Life::new(9);
        life.pass(MS * 600_000, false);
        assert_eq!((life.pids, life.attempts()), (4, 3));
        assert_eq!(*life.service.state(), State::Failed);
        assert_eq!(life.service.recovery(), Recovery { attempts: 3, is_trying: false, is_spent: true });
        // A start is one life more, and no attempt.
        life.on(Event::Start);
        life.pass(MS * 600_000, false);
        assert_eq!((life.pids, life.attempts()), (5, 3));
        // To forget them is to try again.
        life.on(Event::Reset);
        life.pass(MS * 600_000, false);
        assert_eq!((life.pids, life.attempts()), (8, 6));
    }

    #[test]
    fn success_forgets_the_attempts_and_is_told_once() {
        let mut life = Life::new(9);
        life.pass(MS * 25, false);
        assert_eq!(life.service.recovery().attempts, 1);
        life.pass(MS * 1000, true);
        assert!(life.runs);
        assert_eq!(life.service.recovery(), Recovery::default());
        let told = life.notes.iter().filter(|note| **note == Note::Recovered { attempts: 1 });
        assert_eq!(told.count(), 1);
    }

    #[test]
    fn restarts_come_first_and_one_that_dies_before_it_was_well_has_failed_its_attempt() {
        let mut life = Life::new(2);
        for _ in 0..9 {
            if life.runs {
                life.die();
            }
            life.pass(MS * 5000, true);
            if life.runs {
                // It passed a check: that was no attempt in vain.
                assert_eq!(life.service.recovery(), Recovery::default());
            }
        }
        let mut life = Life::new(2);
        while life.runs {
            life.die();
            while let Some(at) = life.service.state().retry_at() {
                life.now = at;
                let mut actions = Vec::new();
                life.service.tick(at, &mut |action| actions.push(action));
                life.obey(actions);
            }
        }
        assert_eq!((life.pids, life.attempts()), (6, 3), "itself, two restarts, three attempts");
        assert!(life.notes.contains(&Note::OutOfRestarts));
        assert_eq!(life.notes.last(), Some(&Note::GaveUp));
    }

    #[test]
    fn a_persons_attempt_does_not_count_and_what_was_known_before_does() {
        let mut life = Life::new(2);
        life.on(Event::Stop);
        life.on(Event::Recall { attempts: 3, is_spent: true });
        assert_eq!((*life.service.state(), life.service.want()), (State::Failed, Want::Up));
        life.on(Event::Recover);
        assert!(life.runs && life.service.recovery().is_trying);
        life.pass(MS * 600_000, false);
        assert_eq!((life.pids, life.attempts()), (2, 0));
        assert!(life.service.recovery().is_spent);
        life.on(Event::Recover);
        life.pass(MS * 100, true);
        assert_eq!(life.service.recovery(), Recovery::default());
        assert_eq!(life.notes.last(), Some(&Note::Recovered { attempts: 3 }));
    }
}
