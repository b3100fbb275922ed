//! Promises of services and rosters that random lives meet too seldom, played one by one.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_wrap,
    clippy::disallowed_methods,
    reason = "a test may panic, and its numbers are small"
)]

use std::time::{Duration, Instant};

use super::lives::{Dice, policy};
use super::need::{Condition, Need};
use super::policy::{
    Action, BackoffPolicy, CheckPolicy, Event, Exit, Note, Pid, Policy, Readiness, Restart, Why,
};
use super::roster::{Id, Roster, Todo};
use super::service::Service;
use super::state::State;

/// What governs a service that is restarted, and of which nothing else is asked.
pub(super) fn quiet() -> Policy {
    let mut dice = Dice(1);
    Policy {
        restart: Restart::Always,
        readiness: Readiness::Started,
        prepare: false,
        check: None,
        attempts: 0,
        demand: None,
        watchdog: None,
        backoff: BackoffPolicy {
            first: Duration::from_millis(10),
            factor: 2.0,
            longest: Duration::from_secs(1),
            jitter: 0.0,
            tries: Some(3),
            forget_after: Duration::from_mins(1),
        },
        ..policy(&mut dice)
    }
}

/// A roster of so many services, all running; the pid of each is its place and one.
fn running(count: u32, now: Instant) -> (Roster, Todo) {
    let (mut roster, mut todo) = (Roster::new(10), Todo::new());
    for index in 0..count {
        let mut policy = quiet();
        policy.backoff.first = Duration::ZERO;
        policy.backoff.tries = None;
        let id = roster.add(&policy, 1);
        roster.on(id, Event::Start, now, &mut todo);
        roster.on(id, Event::Spawned(Pid(index as i32 + 1)), now, &mut todo);
    }
    todo.clear();
    (roster, todo)
}

#[test]
fn restarts_share_a_bound_and_nobody_starves() {
    let begun = Instant::now();
    let mut now = begun;
    let (mut roster, mut todo) = running(50, now);
    let mut spawned = vec![0; 50];
    for index in 0..50 {
        roster.on(Id(index), Event::Exited { exit: Exit::Code(1), left: false }, now, &mut todo);
    }
    while now < begun + Duration::from_secs(20) {
        roster.tick(now, &mut todo);
        while let Some((id, action)) = todo.pop_front() {
            if action == Action::Spawn {
                spawned[id.index()] += 1;
                roster.on(id, Event::Spawned(Pid(id.0 as i32 + 1)), now, &mut todo);
                roster.on(id, Event::Exited { exit: Exit::Code(1), left: false }, now, &mut todo);
            }
        }
        let next = roster.deadline().unwrap();
        assert!(next > now, "it turns without end");
        now = next;
    }
    let all: u32 = spawned.iter().sum();
    assert!((200..=211).contains(&all), "{all} in 20 seconds, of 10 a second and a second saved up");
    assert!(spawned.iter().all(|count| (3..=6).contains(count)), "{spawned:?}");
}

#[test]
fn one_that_cannot_be_killed_does_not_hold_what_it_needs() {
    let mut now = Instant::now();
    let (mut roster, mut todo) = running(2, now);
    roster.depend(Id(1), vec![Need { of: Id(0), condition: Condition::Ready }]);
    roster.on(Id(0), Event::Stop, now, &mut todo);
    assert!(todo.contains(&(Id(1), Action::Ask(Pid(2)))) && !todo.contains(&(Id(0), Action::Ask(Pid(1)))));
    // It is asked, killed, killed again and again: all in vain.
    let mut kills = 0;
    while !todo.contains(&(Id(0), Action::Ask(Pid(1)))) {
        now = roster.deadline().unwrap();
        roster.tick(now, &mut todo);
        kills = todo.iter().filter(|(id, action)| (*id, *action) == (Id(1), Action::Kill(Pid(2)))).count();
        assert!(kills <= 6, "it is held by what will never end");
    }
    assert_eq!(kills, 6, "each of them had its second");
    assert_eq!(roster.get(Id(1)).unwrap().state().word(), "stopping");
}

/// Plays a service that dies at once each time; how often it was started.
#[test]
fn it_gives_up_after_as_many_restarts_as_the_policy_says_and_an_order_forgets() {
    let mut now = Instant::now();
    let mut service = Service::new(&quiet(), 7);
    for round in 1..=2 {
        let mut spawned = 0;
        let mut event = Some(Event::Start);
        while !matches!(service.state(), State::Failed) || event.is_some() {
            let mut spawn = false;
            let mut act = |action| spawn |= action == Action::Spawn;
            match event.take() {
                Some(event) => service.on(event, now, &mut act),
                None => service.tick(now, &mut act),
            }
            if spawn {
                spawned += 1;
                service.on(Event::Spawned(Pid(spawned)), now, &mut |_| ());
                event = Some(Event::Exited { exit: Exit::Code(1), left: false });
            }
            now += Duration::from_millis(5);
        }
        assert_eq!(spawned, 4, "round {round}: the first start and three restarts");
    }
}

#[test]
fn an_ordered_restart_is_not_a_failure_and_two_make_one() {
    let now = Instant::now();
    let mut service = Service::new(&quiet(), 7);
    service.on(Event::Start, now, &mut |_| ());
    service.on(Event::Spawned(Pid(5)), now, &mut |_| ());
    let mut asked = 0;
    for _ in 0..2 {
        service.on(Event::Restart, now, &mut |action| asked += i32::from(action == Action::Ask(Pid(5))));
    }
    let mut spawned = 0;
    service.on(Event::Exited { exit: Exit::Code(0), left: false }, now, &mut |action| {
        spawned += i32::from(action == Action::Spawn);
    });
    assert_eq!((asked, spawned, service.restarts()), (1, 1, 0));
}

#[test]
fn a_leader_that_dies_first_does_not_hide_its_group() {
    let now = Instant::now();
    let mut service = Service::new(&quiet(), 7);
    service.on(Event::Start, now, &mut |_| ());
    service.on(Event::Spawned(Pid(5)), now, &mut |_| ());
    let mut actions = Vec::new();
    service.on(Event::Exited { exit: Exit::Code(0), left: true }, now, &mut |action| actions.push(action));
    assert!(actions.contains(&Action::Ask(Pid(5))), "{actions:?}");
    assert_eq!(service.state().word(), "stopping");
    service.on(Event::Empty, now, &mut |_| ());
    assert_eq!(service.state().word(), "backoff");
}

/// A service that is asked every 10 ms, `count` times, each with this answer; the reason it was ended for, if it was.
fn asked(answer: Event, busy: Duration, events: &[(usize, Event)], count: usize) -> Option<Why> {
    let mut now = Instant::now();
    let ms = Duration::from_millis;
    let check = CheckPolicy { every: ms(10), within: ms(5), retries: 2, grace: Duration::ZERO, busy };
    let mut service = Service::new(&Policy { check: Some(check), ..quiet() }, 7);
    let mut actions = Vec::new();
    service.on(Event::Start, now, &mut |_| ());
    service.on(Event::Spawned(Pid(1)), now, &mut |_| ());
    for turn in 0..count {
        service.tick(now, &mut |action| actions.push(action));
        for (_, event) in events.iter().filter(|(at, _)| *at == turn) {
            service.on(*event, now, &mut |action| actions.push(action));
        }
        service.on(answer, now, &mut |action| actions.push(action));
        now += ms(10);
    }
    let ended = |why: &Why| actions.contains(&Action::Note(Note::Stopping(*why)));
    [Why::Unhealthy].into_iter().find(ended)
}

#[test]
fn a_busy_service_is_spared_until_its_requests_are_due() {
    let checked = |busy, events: &[(usize, Event)], count| asked(Event::Late, busy, events, count);
    let (busy, minute) = ([(0, Event::Busy(true))], Duration::from_mins(1));
    assert_eq!(checked(minute, &[], 1), None, "one failure is not two");
    assert_eq!(checked(minute, &[], 2), Some(Why::Unhealthy));
    assert_eq!(checked(minute, &busy, 1000), None, "ten seconds are no minute");
    assert_eq!(checked(Duration::ZERO, &busy, 2), Some(Why::Unhealthy));
    let no = Event::Answered { healthy: false };
    assert_eq!(asked(no, minute, &busy, 2), Some(Why::Unhealthy), "it had the time to say so");
    // Due after 50 ms, in which others came: then two failures, and that is all.
    let always: Vec<(usize, Event)> = (0..100).map(|turn| (turn, Event::Busy(true))).collect();
    assert_eq!(checked(Duration::from_millis(50), &always, 6), None);
    assert_eq!(checked(Duration::from_millis(50), &always, 7), Some(Why::Unhealthy));
    // What is done, or frozen, is no reason any more.
    let done = [(0, Event::Busy(true)), (5, Event::Busy(false))];
    assert_eq!((checked(minute, &done, 6), checked(minute, &done, 7)), (None, Some(Why::Unhealthy)));
    let frozen = [(0, Event::Busy(true)), (1, Event::Frozen)];
    assert_eq!(checked(minute, &frozen, 2), Some(Why::Unhealthy));
    // One that is well in between has its time anew.
    let well = [(0, Event::Busy(true)), (4, Event::Answered { healthy: true })];
    assert_eq!(checked(Duration::from_millis(50), &well, 8), None);
}
