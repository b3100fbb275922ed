//! What a running service is watched for beyond its health checks: that it says in time that it is well, and
//! that somebody uses it; and what it says of its own course. No question is put here: actions go out.

use std::time::{Duration, Instant};

use super::policy::{Action, Note, Why};
use super::service::{Act, Service, later};
use super::state::State;

/// Looks for use within the time without any after which a service is stopped: it may be idle for a quarter
/// longer than that, and costs four looks in that time.
const LOOKS: u32 = 4;

/// What is due for a service that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vigil {
    /// It says so within each such time.
    fed_every: Option<Duration>,
    /// It has to until then.
    fed_by: Option<Instant>,
    /// The next look whether anybody uses it.
    look_at: Option<Instant>,
}

impl Vigil {
    /// When the next of them is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.fed_by.into_iter().chain(self.look_at).min()
    }
}

impl Service {
    /// It is ready: it is watched from now on.
    pub(super) fn vigil(&self, now: Instant) -> Vigil {
        let fed_every = self.policy.watchdog;
        let fed_by = fed_every.map(|every| later(now, every));
        Vigil { fed_every, fed_by, look_at: self.next_look(now) }
    }

    /// The next look for use, of a service that is stopped when there is none.
    fn next_look(&self, now: Instant) -> Option<Instant> {
        let within = self.policy.demand?.idle_within?;
        let every = within.checked_div(LOOKS).unwrap_or_default();
        Some(later(now, every.max(Duration::from_millis(1))))
    }

    /// Something may be due.
    pub(super) fn watch(&mut self, now: Instant, act: Act<'_>) {
        let next_look = self.next_look(now);
        if let State::Running { pid, born, vigil, .. } = &mut self.state {
            if vigil.fed_by.is_some_and(|by| now >= by) {
                let (pid, born) = (*pid, *born);
                return self.end(pid, born, Why::Silent, now, act);
            }
            if vigil.look_at.is_some_and(|at| now >= at) {
                vigil.look_at = next_look;
                act(Action::LookForUse);
            }
        }
    }

    /// It says that it is well; before it is ready, and after its end began, nobody waits for that.
    pub(super) fn fed(&mut self, now: Instant) {
        if let State::Running { vigil, .. } = &mut self.state {
            vigil.fed_by = vigil.fed_every.map(|every| later(now, every));
        }
    }

    /// It says that it is not well.
    pub(super) fn starved(&mut self, now: Instant, act: Act<'_>) {
        if let State::Running { pid, born, .. } = self.state {
            self.end(pid, born, Why::Silent, now, act);
        }
    }

    /// It chooses how often it says that it is well; only if somebody asked for that at all.
    pub(super) fn fed_every(&mut self, every: Duration, now: Instant) {
        if let State::Running { vigil, .. } = &mut self.state
            && vigil.fed_every.is_some()
        {
            vigil.fed_every = Some(every);
            vigil.fed_by = Some(later(now, every));
        }
    }

    /// Nobody has used it for so long: enough is enough.
    pub(super) fn unused(&mut self, idle: Duration, now: Instant, act: Act<'_>) {
        let within = self.policy.demand.and_then(|demand| demand.idle_within);
        if let State::Running { pid, born, .. } = self.state
            && within.is_some_and(|within| idle >= within)
        {
            self.end(pid, born, Why::Idle, now, act);
        }
    }

    /// It needs so much more time from now on, to be ready or to end. Once it was killed it gets none.
    pub(super) fn extend(&mut self, by: Duration, now: Instant) {
        match &mut self.state {
            State::Starting { ready_by, .. } => *ready_by = (*ready_by).max(later(now, by)),
            State::Stopping { kill_at, kills: 0, .. } => *kill_at = (*kill_at).max(later(now, by)),
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It says that it is about to end by itself: it has as long for that as for a stop.
    pub(super) fn ending(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Starting { pid, born, .. } | State::Running { pid, born, .. } => {
                let kill_at = later(now, self.policy.stop_within);
                self.state = State::Stopping { pid, born, why: Why::Itself, kill_at, kills: 0 };
                act(Action::Note(Note::Stopping(Why::Itself)));
            }
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic, and its numbers are small")]
mod tests {
    use super::*;
    use crate::life::backoff::Backoff;
    use crate::life::policy::{
        BackoffPolicy, Demand, Event, Exit, Kind, OnExit, Pid, Policy, Readiness, Restart,
    };

    const MS: Duration = Duration::from_millis(1);

    /// A service on demand that may be idle for 100 ms and has a watchdog of 20 ms; and what it wants done.
    struct Life {
        service: Service,
        now: Instant,
        todo: Vec<Action>,
    }

    impl Life {
        #[expect(clippy::disallowed_methods, reason = "a test's clock begins somewhere")]
        fn new() -> Self {
            let policy = Policy {
                kind: Kind::Daemon,
                exits: crate::life::exits::Exits::default(),
                on_exit: OnExit::Nothing,
                restart: Restart::Always,
                backoff: BackoffPolicy {
                    first: MS * 10,
                    factor: 1.0,
                    longest: MS * 10,
                    jitter: 0.0,
                    tries: Some(2),
                    forget_after: MS * 1000,
                },
                prepare: false,
                demand: Some(Demand { idle_within: Some(MS * 100) }),
                watchdog: Some(MS * 20),
                readiness: Readiness::Told,
                ready_within: MS * 50,
                stop_within: MS * 50,
                check: None,
                attempts: 0,
            };
            Self { service: Service::new(&policy, 7), now: Instant::now(), todo: Vec::new() }
        }

        fn on(&mut self, event: Event) -> &mut Self {
            let todo = &mut self.todo;
            self.service.on(event, self.now, &mut |action| todo.push(action));
            self
        }

        /// Time passes, and the ticks that are due come.
        fn pass(&mut self, time: Duration) -> &mut Self {
            let end = self.now + time;
            while let Some(at) = self.service.state().deadline().filter(|at| *at <= end) {
                self.now = self.now.max(at);
                let todo = &mut self.todo;
                self.service.tick(self.now, &mut |action| todo.push(action));
            }
            self.now = end;
            self
        }

        fn did(&mut self, action: Action) -> bool {
            std::mem::take(&mut self.todo).contains(&action)
        }

        fn word(&self) -> &'static str {
            self.service.state().word()
        }

        fn run() -> Self {
            let mut life = Self::new();
            life.on(Event::Start).on(Event::Came).on(Event::Spawned(Pid(5))).on(Event::Ready);
            assert_eq!(life.word(), "running");
            life.todo.clear();
            life
        }
    }

    const DEAD: Event = Event::Exited { exit: Exit::Code(1), left: false };
    const DONE: Event = Event::Exited { exit: Exit::Code(0), left: false };

    #[test]
    fn it_starts_for_whoever_comes_and_listens_again_once_nobody_uses_it() {
        let mut life = Life::new();
        assert!(life.on(Event::Start).did(Action::Listen) && life.word() == "listening");
        assert!(life.on(Event::Came).did(Action::Spawn));
        life.on(Event::Spawned(Pid(5))).on(Event::Ready);
        for _ in 0..10 {
            assert!(
                life.on(Event::Fed).pass(MS * 10).todo.iter().all(|action| *action != Action::Ask(Pid(5)))
            );
        }
        assert!(life.did(Action::LookForUse));
        assert!(!life.on(Event::Unused(MS * 99)).did(Action::Ask(Pid(5))));
        assert!(life.on(Event::Unused(MS * 100)).did(Action::Ask(Pid(5))));
        assert!(
            life.on(DONE).did(Action::Listen) && life.word() == "listening" && life.service.restarts() == 0
        );
        assert!(life.on(Event::Stop).did(Action::Note(Note::Stopped)));
        assert!(!life.on(Event::Came).did(Action::Spawn));
    }

    #[test]
    fn one_that_ends_well_at_once_is_started_at_a_pace() {
        let mut life = Life::run();
        assert!(!life.pass(MS * 5).on(DONE).did(Action::Listen) && life.word() == "listening");
        assert!(!life.pass(MS * 94).did(Action::Listen));
        assert!(life.pass(MS * 2).did(Action::Listen));
    }

    #[test]
    fn one_that_ends_badly_listens_after_its_delay_until_it_is_given_up() {
        let mut life = Life::run();
        for _ in 0..2 {
            assert!(!life.on(DEAD).did(Action::Listen) && life.word() == "backoff");
            assert!(life.pass(MS * 10).did(Action::Listen));
            life.on(Event::Came).on(Event::Spawned(Pid(5)));
        }
        assert!(life.on(DEAD).did(Action::Note(Note::GaveUp)));
    }

    #[test]
    fn a_watchdog_that_is_not_fed_ends_it() {
        let mut life = Life::run();
        assert!(!life.pass(MS * 19).did(Action::Ask(Pid(5))));
        assert!(!life.on(Event::Fed).pass(MS * 19).did(Action::Ask(Pid(5))));
        assert!(life.pass(MS).did(Action::Note(Note::Stopping(Why::Silent))));
        let mut life = Life::run();
        assert!(!life.on(Event::FedEvery(MS * 40)).pass(MS * 39).did(Action::Ask(Pid(5))));
        assert!(life.on(Event::Starved).did(Action::Ask(Pid(5))));
        assert_eq!(life.on(DEAD).word(), "backoff");
    }

    #[test]
    fn it_may_take_longer_if_it_says_so_and_say_that_it_ends() {
        let mut life = Life::new();
        life.on(Event::Start).on(Event::Came).on(Event::Spawned(Pid(5)));
        life.pass(MS * 40).on(Event::Extend(MS * 100)).pass(MS * 99);
        assert_eq!(life.word(), "starting");
        assert!(life.pass(MS).did(Action::Note(Note::Stopping(Why::NotReady))));
        assert!(!life.on(Event::Extend(MS * 100)).pass(MS * 99).did(Action::Kill(Pid(5))));
        assert!(life.pass(MS).did(Action::Kill(Pid(5))));
        let mut life = Life::run();
        assert!(!life.on(Event::Ending).did(Action::Ask(Pid(5))) && life.word() == "stopping");
        assert_eq!(life.on(DONE).word(), "listening");
        life.service.backoff.clone_from(&Backoff::default());
        life.on(Event::Forget);
    }
}
