//! Random lives: a million of them, played without a process, against what must always hold.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a test may panic, and its numbers are small"
)]

use std::time::{Duration, Instant};

use super::exits::{Exits, Numbers};
use super::policy::{
    Action, BackoffPolicy, Blame, Bound, CheckPolicy, Demand, Event, Exit, Kind, Note, OnExit, Pid, Policy,
    Readiness, Restart, Why,
};
use super::service::Service;
use super::state::{Load, State, Want};

/// Lives played by `cargo test`.
const LIVES: u64 = 1_000_000;
/// Events in a life, before it is told to end.
const EVENTS: u32 = 20;

/// A xorshift generator, so that a life can be played again by its number.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    pub(super) fn ms(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.roll(most + 1))
    }
}

/// The world a service lives in: what the kernel would know.
struct World {
    now: Instant,
    next_pid: i32,
    /// The process that runs, and since when.
    leader: Option<(Pid, Instant)>,
    /// The group whose leader was reaped while others of it were left.
    group: Option<Pid>,
    /// How its last process ended.
    last_exit: Option<Exit>,
    /// Whether it said at its end that another try cannot help.
    for_good: bool,
    /// When it was asked to end.
    asked: Option<Instant>,
    policy: Policy,
    /// Attempts to recover it that were in vain so far.
    attempts: u32,
    preparing: bool,
    asked_health: bool,
    /// Whether requests are in flight in it, and until when that spares it.
    load: Load,
    /// What a look at it has shown; it is told once all else is done.
    seen: Option<Event>,
    dice: Dice,
}

pub(super) fn policy(dice: &mut Dice) -> Policy {
    Policy {
        kind: [Kind::Daemon, Kind::Task][dice.roll(2) as usize],
        exits: Exits { permanent_codes: Numbers::of(&[125]), ..Exits::default() },
        on_exit: [OnExit::Nothing, OnExit::Shutdown, OnExit::ShutdownOnFailure][dice.roll(3) as usize],
        restart: [Restart::Always, Restart::OnFailure, Restart::Never][dice.roll(3) as usize],
        backoff: BackoffPolicy {
            first: dice.ms(20),
            factor: 1.0 + dice.roll(3) as f64,
            longest: dice.ms(100),
            jitter: 0.1,
            tries: (dice.roll(3) > 0).then(|| dice.roll(4) as u32),
            forget_after: dice.ms(50),
        },
        prepare: dice.roll(2) == 0,
        demand: (dice.roll(3) == 0).then(|| Demand { idle_within: (dice.roll(2) == 0).then(|| dice.ms(30)) }),
        watchdog: (dice.roll(3) == 0).then(|| Duration::from_millis(1 + dice.roll(30))),
        readiness: [Readiness::Started, Readiness::Told][dice.roll(2) as usize],
        ready_within: dice.ms(50),
        stop_within: dice.ms(50),
        check: (dice.roll(2) == 0).then(|| CheckPolicy {
            every: Duration::from_millis(1 + dice.roll(20)),
            within: dice.ms(10),
            retries: dice.roll(3) as u32,
            grace: dice.ms(20),
            busy: dice.ms(60),
        }),
        attempts: dice.roll(4) as u32,
    }
}

/// Gives an event, obeys the actions, checks the promises.
fn step(service: &mut Service, world: &mut World, event: Option<Event>) {
    let mut actions = Vec::new();
    if event == Some(Event::Reset) {
        world.attempts = 0;
    }
    match event {
        Some(event) => service.on(event, world.now, &mut |action| actions.push(action)),
        None => service.tick(world.now, &mut |action| actions.push(action)),
    }
    for action in actions {
        obey(service, world, action);
    }
    if let Some(event) = world.seen.take() {
        return step(service, world, Some(event));
    }
    promises(service, world);
}

fn obey(service: &mut Service, world: &mut World, action: Action) {
    let ours = |pid: Pid| world.leader.is_some_and(|(leader, _)| leader == pid) || world.group == Some(pid);
    match action {
        Action::Prepare => {
            assert!(world.leader.is_none(), "files are written while a process runs");
            world.preparing = true;
        }
        Action::Spawn => {
            assert!(world.leader.is_none() && world.group.is_none(), "two processes");
            world.for_good = false;
            let answer = match world.dice.roll(8) {
                0 => Event::NotSpawned(Blame::Service),
                1 => {
                    let restarts = service.restarts();
                    step(service, world, Some(Event::NotSpawned(Blame::Machine)));
                    assert_eq!(service.restarts(), restarts, "the machine's trouble is its failure");
                    return;
                }
                _ => {
                    world.next_pid += 1;
                    let pid = Pid(world.next_pid);
                    world.leader = Some((pid, world.now));
                    world.load = Load::None;
                    world.asked = None;
                    Event::Spawned(pid)
                }
            };
            step(service, world, Some(answer));
        }
        Action::Ask(pid) => {
            assert!(ours(pid), "a stranger was asked to end");
            world.asked = world.asked.or(Some(world.now));
        }
        Action::Kill(pid) => {
            assert!(ours(pid), "a stranger was killed");
            assert!(world.asked.is_some(), "killed without being asked to end");
        }
        Action::Look(pid) => assert_eq!(world.group, Some(pid), "a look at a stranger"),
        Action::LookIfFrozen(pid) => look_if_frozen(world, pid),
        Action::Listen => {
            world.for_good = false;
            assert!(world.policy.demand.is_some(), "a socket is looked at that nobody asked for");
            assert!(world.leader.is_none() && world.group.is_none(), "a socket is taken from its process");
            if world.dice.roll(8) == 0 {
                let blame = [Blame::Service, Blame::Machine][world.dice.roll(2) as usize];
                step(service, world, Some(Event::NotSpawned(blame)));
            }
        }
        Action::LookForUse => assert!(world.leader.is_some(), "nobody can use what does not run"),
        Action::Check => {
            assert!(!world.asked_health, "a check overlaps itself");
            world.asked_health = true;
        }
        Action::End(code) => {
            assert!(world.leader.is_none() && world.group.is_none(), "the end of all while it lives");
            assert!(world.policy.on_exit != OnExit::Nothing, "the end of all that nobody asked for");
            assert!(world.policy.on_exit == OnExit::Shutdown || code > 0, "a failure that looks like none");
        }
        Action::Note(note) => note_holds(service, world, note),
    }
}

/// It is spared; now and then it turns out to be frozen.
fn look_if_frozen(world: &mut World, pid: Pid) {
    assert_eq!(world.leader.map(|(leader, _)| leader), Some(pid), "a look at a stranger");
    let Load::Busy { due } = &mut world.load else { panic!("spared without a request in flight") };
    let busy = world.policy.check.expect("spared without a check").busy;
    assert!(world.now < *due.get_or_insert(world.now + busy), "spared beyond the end of its requests");
    if world.dice.roll(4) == 0 {
        world.load = Load::None;
        world.seen = Some(Event::Frozen);
    }
}

fn note_holds(service: &Service, world: &mut World, note: Note) {
    match note {
        Note::GaveUp => {
            assert!(world.leader.is_none() && world.group.is_none(), "given up with a process");
            let may = world.policy.restart == Restart::Never
                || world.policy.backoff.tries.is_some()
                || (world.attempts > 0 && world.attempts == world.policy.attempts)
                || world.last_exit == Some(Exit::Code(125));
            assert!(may, "given up although it may try without end");
        }
        Note::Stopped => assert_eq!(service.want(), Want::Down, "stopped while it is wanted up"),
        Note::Stopping(why) => {
            world.asked = world.asked.or(matches!(why, Why::Itself | Why::Exceeded(_)).then_some(world.now));
            world.asked_health &= why == Why::Itself;
        }
        Note::NoAnswer => world.asked_health = false,
        Note::Ended { exit, why, .. } => {
            world.asked_health = false;
            world.for_good = why == Why::Itself && exit == Exit::Code(125);
        }
        Note::Retry { .. } => assert!(!world.for_good, "it fails for good and is tried again"),
        Note::Attempt { number, .. } => {
            world.attempts += 1;
            assert_eq!(number, world.attempts, "an attempt is not counted");
            assert!(number <= world.policy.attempts, "more attempts than it may have");
            assert!(!world.for_good, "it fails for good and is tried again");
        }
        Note::Recovered { attempts } => {
            assert_eq!(attempts, world.attempts, "attempts were forgotten without a reason");
            assert!(world.leader.is_some(), "it is well without a process");
            world.attempts = 0;
        }
        Note::OutOfRestarts => assert!(world.attempts < world.policy.attempts, "nothing follows"),
        Note::Started(_)
        | Note::Ready
        | Note::Listening
        | Note::Killed
        | Note::Unkillable
        | Note::Leaving
        | Note::Later { .. }
        | Note::NotPrepared => {}
        Note::Waits(_) | Note::Blocked(_) => panic!("it needs nobody"),
    }
}

fn promises(service: &Service, world: &World) {
    let state = service.state();
    assert_eq!(state.pid(), world.leader.map(|(pid, _)| pid), "it does not know its process: {state:?}");
    assert_eq!(state.leftover(), world.group, "it does not know its group: {state:?}");
    let waits_for_the_world = matches!(
        state,
        State::Stopped | State::Failed | State::Listening { from: None } | State::Running { .. }
    );
    assert!(waits_for_the_world || state.deadline().is_some(), "nothing will ever move it: {state:?}");
    if service.want() == Want::Down {
        let ends = matches!(state, State::Stopped | State::Stopping { .. } | State::Sweeping { .. });
        assert!(ends, "it is not wanted and does not end: {state:?}");
    }
    if let (State::Stopping { .. } | State::Sweeping { .. }, None) = (state, world.asked) {
        panic!("it waits for an end that nobody asked for");
    }
}

/// Something the world may do now.
fn happening(world: &mut World) -> Option<Event> {
    match world.dice.roll(17) {
        0 | 1 => Some(Event::Start),
        2 => Some(Event::Stop),
        3 => Some(Event::Restart),
        4 if world.dice.roll(4) == 0 => Some(Event::Ready),
        4 | 5 if world.leader.is_some() => Some(Event::Ready),
        6 if world.preparing => {
            world.preparing = false;
            Some(Event::Prepared { ok: world.dice.roll(5) > 0 })
        }
        6 => Some(Event::Prepared { ok: world.dice.roll(2) == 0 }),
        7 | 8 => {
            let healthy = world.dice.roll(2) == 0;
            if healthy && std::mem::take(&mut world.asked_health) {
                world.load = if world.load == Load::None { Load::None } else { Load::Busy { due: None } };
            }
            world.asked_health = false;
            let is_late = !healthy && world.dice.roll(2) == 0;
            Some(if is_late { Event::Late } else { Event::Answered { healthy } })
        }
        9 | 10 => die(world),
        11 => world.group.take().map(|_| Event::Empty),
        12 => Some(if world.dice.roll(6) == 0 { Event::Exceeded(Bound::Memory) } else { word(world) }),
        _ => {
            world.now += Duration::from_millis(world.dice.roll(40));
            None
        }
    }
}

/// Something that it says of itself, or that its sockets show.
fn word(world: &mut World) -> Event {
    let time = world.dice.ms(40);
    match world.dice.roll(11) {
        0..4 => Event::Came,
        4 => Event::Unused(time),
        5 => Event::Fed,
        6 => Event::Starved,
        7 => Event::FedEvery(time),
        8 => Event::Extend(time),
        9 => {
            let is_busy = world.dice.roll(3) > 0;
            world.load = match world.load {
                _ if !is_busy => Load::None,
                Load::Busy { due } => Load::Busy { due },
                Load::None => Load::Busy { due: None },
            };
            Event::Busy(is_busy)
        }
        _ => {
            let words = [Event::Forget, Event::Ending, Event::Unasked, Event::Recover, Event::Reset];
            let said = words[world.dice.roll(5) as usize];
            world.asked_health &= said != Event::Unasked;
            said
        }
    }
}

/// The leader dies, alone or leaving others behind.
fn die(world: &mut World) -> Option<Event> {
    let (pid, _) = world.leader.take()?;
    let left = world.dice.roll(3) == 0;
    if left {
        world.group = Some(pid);
    }
    let exit = match world.dice.roll(5) {
        0 => Exit::Code(0),
        1 => Exit::Code(1),
        2 => Exit::Code(125),
        3 => Exit::Signal { number: 15, core: false },
        _ => Exit::Signal { number: 9, core: false },
    };
    world.last_exit = Some(exit);
    Some(Event::Exited { exit, left })
}

#[test]
fn a_million_random_lives_keep_every_promise() {
    let start = Instant::now();
    for life in 1..=LIVES {
        let mut dice = Dice(life.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let policy = policy(&mut dice);
        let mut service = Service::new(&policy, life);
        let mut world = World {
            now: start,
            next_pid: 1,
            leader: None,
            group: None,
            last_exit: None,
            for_good: false,
            asked: None,
            policy,
            attempts: 0,
            preparing: false,
            asked_health: false,
            load: Load::None,
            seen: None,
            dice,
        };
        step(&mut service, &mut world, Some(Event::Start));
        for _ in 0..EVENTS {
            let event = happening(&mut world);
            step(&mut service, &mut world, event);
        }
        ends(&mut service, &mut world, policy.stop_within);
    }
}

/// Told to stop, it does: when time passes and the world obeys SIGKILL.
fn ends(service: &mut Service, world: &mut World, stop_within: Duration) {
    step(service, world, Some(Event::Stop));
    let by = world.now + stop_within;
    while let Some(at) = service.state().deadline() {
        world.now = world.now.max(at);
        step(service, world, None);
        if world.now >= by {
            if let Some(event) = die(world) {
                step(service, world, Some(event));
            }
            if world.group.take().is_some() {
                step(service, world, Some(Event::Empty));
            }
        }
        assert!(world.now <= by + Duration::from_secs(2), "a stop does not end: {:?}", service.state());
    }
    assert!(matches!(service.state(), State::Stopped), "stopped is {:?}", service.state());
    assert!(world.leader.is_none() && world.group.is_none());
}
