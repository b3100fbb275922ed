//! Random lives of several services that need each other: a roster, played without a process, against what must
//! always hold between them.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and its numbers are small"
)]

use std::time::{Duration, Instant};

use super::lives::{Dice, policy};
use super::need::{Condition, Need};
use super::policy::{Action, Blame, Event, Exit, Kind, Note, OnExit, Pid, Policy};
use super::roster::{Id, Roster, Todo};
use super::state::{State, Want};

/// Crowds played by `cargo test`.
const CROWDS: u64 = 50_000;
/// Events in the life of a crowd, before it is told to end.
const EVENTS: u32 = 30;
/// Restarts a second.
const RATE: u32 = 20;

/// What the kernel would know of a service.
#[derive(Debug, Default)]
struct Body {
    leader: Option<Pid>,
    group: Option<Pid>,
    /// Its last process: an action may come a turn later than its end.
    last: Option<Pid>,
    asked: bool,
    policy: Option<Policy>,
    needs: Vec<Need>,
    preparing: bool,
    /// Nobody can kill it.
    is_immortal: bool,
}

/// A roster and the world it lives in.
struct Crowd {
    now: Instant,
    roster: Roster,
    todo: Todo,
    bodies: Vec<Body>,
    next_pid: i32,
    dice: Dice,
    /// When services were started again that nobody ordered.
    again: Vec<Instant>,
    /// Whom nobody ordered to start since their last end.
    failed: Vec<bool>,
    /// Who was on the way to a process when somebody last looked.
    on_way: Vec<bool>,
    ended_by: Option<u8>,
}

impl Crowd {
    fn new(seed: u64, start: Instant) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut roster = Roster::new(RATE);
        let mut bodies = Vec::new();
        for index in 0..2 + dice.roll(4) {
            let rules = policy(&mut dice);
            let id = roster.add(&rules, seed + index);
            // Only those before it: there is no circle.
            let needs: Vec<Need> = (0..index)
                .filter_map(|other| {
                    let of = Id(other as u32);
                    let conditions = [Condition::Started, Condition::Ready, Condition::Completed];
                    (dice.roll(2) == 0).then(|| Need { of, condition: conditions[dice.roll(3) as usize] })
                })
                .collect();
            roster.depend(id, needs.clone());
            let is_immortal = dice.roll(40) == 0;
            bodies.push(Body { policy: Some(rules), needs, is_immortal, ..Body::default() });
        }
        let (failed, on_way) = (vec![false; bodies.len()], vec![false; bodies.len()]);
        let (todo, again) = (Todo::new(), Vec::new());
        Self { now: start, roster, todo, bodies, next_pid: 1, dice, again, failed, on_way, ended_by: None }
    }

    fn body(&mut self, id: Id) -> &mut Body {
        &mut self.bodies[id.index()]
    }

    fn state(&self, id: Id) -> State {
        *self.roster.get(id).unwrap().state()
    }

    fn on(&mut self, id: Id, event: Event) {
        match event {
            Event::Start | Event::Restart => self.failed.fill(false),
            _ => {}
        }
        self.tell(id, event);
        self.obey();
    }

    fn tell(&mut self, id: Id, event: Event) {
        self.roster.on(id, event, self.now, &mut self.todo);
        self.begins();
    }

    /// Who begins the way to a process has what it needs.
    fn begins(&mut self) {
        for index in 0..self.bodies.len() {
            let state = self.state(Id(index as u32));
            let is_on_way = matches!(state, State::Preparing { .. } | State::Spawning);
            if is_on_way && !std::mem::replace(&mut self.on_way[index], is_on_way) {
                let missing = self.bodies[index].needs.iter().find(|need| !self.is_met(**need));
                assert!(
                    missing.is_none(),
                    "it begins without what it needs: {missing:?} {:?}",
                    self.states()
                );
            }
            self.on_way[index] = is_on_way;
        }
    }

    /// Does some of what is to be done: the rest waits for the next turn, as in the loop.
    fn obey(&mut self) {
        let most = self.dice.roll(6);
        let mut spawns = 0;
        while let Some((id, action)) = self.todo.pop_front() {
            if action == Action::Spawn {
                spawns += 1;
                if spawns > most {
                    self.todo.push_front((id, action));
                    break;
                }
            }
            self.act(id, action);
        }
        self.promises();
    }

    fn act(&mut self, id: Id, action: Action) {
        match action {
            Action::Prepare => self.body(id).preparing = true,
            Action::Spawn => self.spawn(id),
            Action::Ask(pid) => {
                self.order_of_ends(id);
                let body = self.body(id);
                assert_eq!(body.last, Some(pid), "a stranger was asked to end");
                body.asked = true;
            }
            Action::Kill(pid) => {
                let body = self.body(id);
                assert_eq!(body.last, Some(pid), "a stranger was killed");
                let is_there = body.leader.take_if(|_| !body.is_immortal).is_some()
                    | body.group.take_if(|_| !body.is_immortal).is_some();
                if is_there {
                    let exit = Exit::Signal { number: 9, core: false };
                    let state = self.state(id);
                    let event = match state.pid() {
                        Some(_) => Event::Exited { exit, left: false },
                        None => Event::Empty,
                    };
                    self.tell(id, event);
                }
            }
            Action::Listen => {
                let event = match self.dice.roll(8) {
                    0 => Event::NotSpawned(Blame::Service),
                    1..5 => Event::Came,
                    _ => return,
                };
                self.tell(id, event);
            }
            Action::Look(_) | Action::Check | Action::LookIfFrozen(_) | Action::LookForUse => {}
            Action::End(code) => {
                assert!(self.body(id).policy.unwrap().on_exit != OnExit::Nothing, "nobody asked for the end");
                if !self.roster.is_ending() {
                    self.ended_by = Some(code);
                    self.roster.shutdown(self.now, Duration::from_secs(1), &mut self.todo);
                }
            }
            Action::Note(note) => self.note(id, note),
        }
    }

    fn note(&mut self, id: Id, note: Note) {
        match note {
            Note::Retry { .. } | Note::Attempt { .. } => self.failed[id.index()] = true,
            Note::Blocked(other) | Note::Waits(other) => {
                assert!(
                    self.bodies[id.index()].needs.iter().any(|need| need.of == other),
                    "it needs another"
                );
            }
            _ => {}
        }
    }

    /// A process is made: everything that it needs is there.
    fn spawn(&mut self, id: Id) {
        assert!(!self.roster.is_ending(), "a process is made while everything ends");
        assert_eq!(self.roster.get(id).unwrap().want(), Want::Up, "a process that nobody wants");
        if std::mem::take(&mut self.failed[id.index()]) {
            self.again.push(self.now);
        }
        let body = &self.bodies[id.index()];
        assert!(body.leader.is_none() && body.group.is_none(), "two processes");
        let answer = match self.dice.roll(10) {
            0 => Event::NotSpawned(Blame::Service),
            1 => Event::NotSpawned(Blame::Machine),
            _ => {
                self.next_pid += 1;
                let pid = Pid(self.next_pid);
                let body = self.body(id);
                body.leader = Some(pid);
                body.last = Some(pid);
                body.asked = false;
                Event::Spawned(pid)
            }
        };
        self.roster.answer(id, answer, self.now, &mut self.todo);
        self.begins();
    }

    /// A need that was met when the way to a process began.
    fn is_met(&self, need: Need) -> bool {
        let other = &self.bodies[need.of.index()];
        let state = self.state(need.of);
        let runs = matches!(state, State::Running { .. } | State::Listening { .. });
        let lives = runs || matches!(state, State::Starting { .. });
        let kind = other.policy.unwrap().kind;
        let done = self.roster.get(need.of).unwrap().has_completed();
        match need.condition {
            Condition::Started => lives || (kind == Kind::Task && done),
            Condition::Ready if kind == Kind::Daemon => runs,
            Condition::Ready | Condition::Completed => done,
        }
    }

    /// Somebody is asked to end: whoever uses it was before, unless nobody can end that one, or it ends alone.
    fn order_of_ends(&self, id: Id) {
        let is_late = self.bodies[id.index()].leader.is_none();
        if is_late || self.roster.get(id).unwrap().want() == Want::Up || self.roster.is_ending() {
            return;
        }
        for (index, body) in self.bodies.iter().enumerate() {
            if body.needs.iter().any(|need| need.of == id) && body.leader.is_some() && !body.is_immortal {
                let user = Id(index as u32);
                panic!("{id:?} ends while {user:?} uses it: {:?}", self.state(user));
            }
        }
    }

    fn promises(&self) {
        for (index, body) in self.bodies.iter().enumerate() {
            let id = Id(index as u32);
            let state = self.state(id);
            assert_eq!(state.pid(), body.leader, "it does not know its process: {state:?}");
            match state {
                // Whoever waits, waits for somebody that is not there.
                State::Waiting { on } => {
                    let on = on.expect("it waits for somebody");
                    let need = body.needs.iter().find(|need| need.of == on).expect("one that it needs");
                    assert!(!self.is_met(*need), "it waits for what is there: {on:?} {:?}", self.state(on));
                    assert_eq!(self.roster.get(on).unwrap().want(), Want::Up, "it waits for ever");
                    let hopeless = matches!(self.state(on), State::Failed | State::Blocked { .. });
                    assert!(!hopeless, "it waits for what has failed");
                }
                State::Blocked { on } => {
                    let need = body.needs.iter().find(|need| need.of == on).expect("one that it needs");
                    assert!(!self.is_met(*need), "it misses what is there: {on:?} {:?}", self.state(on));
                }
                State::Leaving { .. } => {
                    let is_used = self.bodies.iter().enumerate().any(|(index, user)| {
                        user.needs.iter().any(|need| need.of == id)
                            && (user.leader.is_some()
                                || user.group.is_some()
                                || self.state(Id(index as u32)) == State::Spawning)
                    });
                    assert!(is_used, "it waits with its end for nobody");
                }
                _ => {}
            }
        }
        let last: Vec<_> = self.again.iter().filter(|at| self.now - **at < Duration::from_secs(1)).collect();
        assert!(last.len() <= 2 * RATE as usize, "{} restarts in a second", last.len());
    }

    /// Something the world may do now.
    fn happens(&mut self) {
        let id = Id(self.dice.roll(self.bodies.len() as u64) as u32);
        match self.dice.roll(16) {
            0..=2 => self.on(id, Event::Start),
            3 => self.on(id, Event::Stop),
            4 => self.on(id, Event::Restart),
            5 | 6 => self.on(id, Event::Ready),
            7 | 8 => {
                if std::mem::take(&mut self.body(id).preparing) {
                    let ok = self.dice.roll(5) > 0;
                    self.on(id, Event::Prepared { ok });
                }
            }
            9 | 10 => self.die(id),
            11 => {
                if !self.body(id).is_immortal && self.body(id).group.take().is_some() {
                    self.on(id, Event::Empty);
                }
            }
            12 => self.obey(),
            _ => {
                self.now += self.dice.ms(40);
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        self.roster.tick(self.now, &mut self.todo);
        self.begins();
        self.obey();
    }

    /// A leader dies, alone or leaving others behind.
    fn die(&mut self, id: Id) {
        if self.body(id).is_immortal && self.body(id).asked {
            return;
        }
        let Some(pid) = self.body(id).leader.take() else { return };
        let left = self.dice.roll(3) == 0;
        self.body(id).group = left.then_some(pid);
        let exit = [Exit::Code(0), Exit::Code(1), Exit::Code(125)][self.dice.roll(3) as usize];
        self.on(id, Event::Exited { exit, left });
    }

    /// Told to end, all of them do, whatever they wait for; those that cannot be killed hold nobody for ever.
    fn ends(&mut self) {
        let within = Duration::from_millis(100 + self.dice.roll(1_000));
        self.roster.shutdown(self.now, within, &mut self.todo);
        self.obey();
        let begun = self.now;
        let mut turns = 0;
        while !self.roster.is_over(self.now) {
            let next = self.roster.deadline().expect("there is an end");
            self.now = self.now.max(next);
            self.tick();
            turns += 1;
            assert!(turns < 10_000, "it turns for ever: {:?}", self.states());
        }
        assert!(self.now - begun <= Duration::from_millis(1_200), "too late: {:?}", self.now - begun);
        for (index, body) in self.bodies.iter().enumerate() {
            let is_gone = body.leader.is_none() && body.group.is_none();
            assert!(is_gone || body.is_immortal, "left: {:?}", self.state(Id(index as u32)));
        }
    }

    fn states(&self) -> Vec<State> {
        (0..self.bodies.len()).map(|index| self.state(Id(index as u32))).collect()
    }
}

#[test]
fn fifty_thousand_random_crowds_keep_every_promise() {
    let start = Instant::now();
    for seed in 1..=CROWDS {
        let mut crowd = Crowd::new(seed, start);
        for id in 0..crowd.bodies.len() {
            crowd.on(Id(id as u32), Event::Start);
        }
        for _ in 0..EVENTS {
            crowd.happens();
        }
        crowd.ends();
    }
}
