//! Limits held without control groups: a service that has one is looked at, and what is over it is ended or made to
//! pause. Only those that ask for it cost a look.

use std::time::{Duration, Instant};

use crate::life::policy::{Bound, Event, Pid};
use crate::life::roster::Id;
use crate::life::service::later;
use crate::sys::cgroup::Bounds;
use crate::sys::proc;
use crate::sys::tree::{self, Process, Seen};

use super::Supervisor;

/// From the start of a process to the first look, and between two looks at anybody.
const FIRST: Duration = Duration::from_millis(20);
/// From one look to the next while nothing is near its limit.
const CALM: Duration = Duration::from_millis(500);
/// The same while processes are counted: they can double in milliseconds.
const COUNT: Duration = Duration::from_millis(250);
/// The same when something is near its limit.
const NEAR: Duration = Duration::from_millis(100);
/// The same while processor time that is limited is being used.
const BUSY: Duration = Duration::from_millis(40);
/// The shortest pause: any shorter one costs more than it gives.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause, however much was used: whoever asks it something has to get an answer.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Whoever is to be looked at so soon after others is looked at with them: it is reading everybody that costs.
const TOGETHER: Duration = Duration::from_millis(100);
/// Processor time that may be saved up, as time of the wall.
const SAVED: Duration = Duration::from_millis(100);
/// Microseconds of a clock tick of `/proc`, on every architecture there is a Rust for.
const TICK_MICROS: u64 = 10_000;
/// Rounds in which a tree that grows is stopped before it is killed.
const ROUNDS: usize = 64;

/// Everybody on the machine, as they were at the last look.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// The turn and the time of it.
    when: Option<(u64, Instant)>,
    /// All processes, while that turn lasts.
    all: Vec<Process>,
}

/// What is known of a service that is looked at.
#[derive(Debug)]
pub(super) struct Watch {
    /// What it is held to in this way.
    pub(super) bounds: Bounds,
    /// The process that was started.
    leader: Option<Seen>,
    /// Its processes when they were last looked at: one that leaves its session stays known.
    seen: Vec<Seen>,
    /// The next look; `None` when there is nothing to look for.
    look_at: Option<Instant>,
    /// The last look.
    looked: Instant,
    /// Whether it is stopped to pay for what it used.
    is_paused: bool,
    /// Clock ticks it had used by then.
    ticks: u64,
    /// Processor time it may use, in microseconds; below 0 it has used too much.
    credit: i64,
    /// Bytes it had in memory.
    pub(super) memory: Option<u64>,
}

impl Watch {
    /// Of a process that is new.
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            leader: None,
            seen: Vec::new(),
            look_at: (bounds != Bounds::default()).then(|| later(now, FIRST)),
            looked: now,
            is_paused: false,
            ticks: 0,
            credit: 0,
            memory: None,
        }
    }

    /// It has a process; `born` is when it was made, if that is known.
    pub(super) fn begin(&mut self, pid: Pid, born: Option<u64>) {
        self.leader = born.or_else(|| proc::start_ticks(pid)).map(|start| (pid, start));
    }

    /// Those among all who belong to it.
    fn tree(&self, all: &[Process]) -> Vec<Process> {
        self.leader.map_or_else(Vec::new, |leader| tree::of(leader, &self.seen, all))
    }

    /// Takes in what its processes have, and says what is over its limit; the next look is set.
    fn look(&mut self, tree: &[Process], now: Instant) -> Option<Bound> {
        self.seen = tree.iter().map(Process::seen).collect();
        let elapsed = now.saturating_duration_since(self.looked);
        self.looked = now;
        let mut every = CALM;
        if let Some(most) = self.bounds.pids {
            let threads = tree.iter().fold(0_u64, |sum, process| sum.saturating_add(process.threads));
            every = every.min(if threads.saturating_mul(4) > most.into() { BUSY } else { COUNT });
            if threads > most.into() {
                return Some(Bound::Pids);
            }
        }
        if let Some(most) = self.bounds.memory {
            let memory = tree::memory(tree);
            self.memory = Some(memory);
            if memory > most {
                return Some(Bound::Memory);
            }
            if memory > most / 2 {
                every = every.min(NEAR);
            }
        }
        if let Some(percent) = self.bounds.cpu {
            every = every.min(self.charge(tree, percent, elapsed));
        }
        self.look_at = Some(later(now, every));
        None
    }

    /// Charges what was used since the last look: the time to the next one, which is the end of a pause if it is
    /// to pause.
    fn charge(&mut self, tree: &[Process], percent: u32, elapsed: Duration) -> Duration {
        let ticks = tree.iter().fold(0_u64, |sum, process| sum.saturating_add(process.ticks));
        // Whose parent was not among them takes its time along when it ends.
        let used = micros(ticks.saturating_sub(self.ticks).saturating_mul(TICK_MICROS));
        self.ticks = ticks;
        let earns = |time: Duration| share(micros_of(time), percent);
        self.credit = self.credit.saturating_add(earns(elapsed)).min(earns(SAVED)).saturating_sub(used);
        self.is_paused = self.credit < 0;
        if self.is_paused {
            let debt = self.credit.unsigned_abs();
            let pause = debt.saturating_mul(100).checked_div(u64::from(percent)).unwrap_or(debt);
            return Duration::from_micros(pause).clamp(PAUSE_MIN, PAUSE_MAX);
        }
        if used > 0 { BUSY } else { CALM }
    }
}

/// So many percent of a time.
fn share(micros: i64, percent: u32) -> i64 {
    micros.saturating_mul(percent.into()).checked_div(100).unwrap_or(0)
}

/// A time in microseconds.
fn micros_of(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A number of microseconds as a signed one.
fn micros(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Supervisor {
    /// The next look at anybody: not at once after the last one, so that one serves many.
    pub(super) fn watch_deadline(&self) -> Option<Instant> {
        let next = self.units.iter().flatten().filter_map(|unit| unit.watch()?.look_at).min()?;
        let last = self.enforcement.looked.when.map(|(_, at)| later(at, FIRST));
        Some(last.map_or(next, |last| next.max(last)))
    }

    /// All processes, as they are in this turn.
    pub(super) fn everybody(&mut self) -> Vec<Process> {
        let looked = &mut self.enforcement.looked;
        if looked.when.is_none_or(|(turn, _)| turn != self.turns) {
            looked.when = Some((self.turns, self.now.instant));
            looked.all = tree::all();
        }
        std::mem::take(&mut looked.all)
    }

    /// Gives them back, for whoever wants to see them in this turn.
    pub(super) fn give_back(&mut self, all: Vec<Process>) {
        self.enforcement.looked.all = all;
    }

    /// Looks at those whose time has come.
    pub(super) fn hold_limits(&mut self) {
        let now = self.now.instant;
        if self.watch_deadline().is_none_or(|at| now < at) {
            return;
        }
        let all = self.everybody();
        for id in self.ids() {
            let is_watched = self.roster.get(id).is_some_and(|life| life.state().is_watched());
            let Some(watch) = self.unit_mut(id).and_then(super::Unit::watch_mut) else { continue };
            let by = if watch.is_paused { now } else { later(now, TOGETHER) };
            if watch.look_at.is_none_or(|at| by < at) {
                continue;
            }
            if !is_watched {
                // It is ending, and has its own time for that.
                watch.look_at = None;
                continue;
            }
            let tree = watch.tree(&all);
            let was_paused = watch.is_paused;
            let over = watch.look(&tree, now);
            let is_paused = watch.is_paused;
            if let Some(bound) = over {
                watch.look_at = None;
                self.roster.on(id, Event::Exceeded(bound), now, &mut self.todo);
            } else if is_paused {
                tree::signal(&tree, libc::SIGSTOP);
            } else if was_paused {
                tree::signal(&tree, libc::SIGCONT);
            }
        }
        self.enforcement.looked.all = all;
    }

    /// Remembers all processes of a service that is about to end, and lets them run: once its leader is gone,
    /// nobody can tell any more that they were its children.
    pub(super) fn remember(&mut self, id: Id) {
        if self.unit(id).and_then(super::Unit::watch).is_none() {
            return;
        }
        let all = self.everybody();
        if let Some(watch) = self.unit_mut(id).and_then(super::Unit::watch_mut) {
            let tree = watch.tree(&all);
            watch.seen = tree.iter().map(Process::seen).collect();
            if std::mem::take(&mut watch.is_paused) {
                tree::signal(&tree, libc::SIGCONT);
            }
        }
        self.enforcement.looked.all = all;
    }

    /// Kills a whole tree. First all of it is stopped, those too who come to it meanwhile: a process that is killed
    /// while it makes another leaves one behind that nobody can tell to be its child.
    pub(super) fn kill_tree(&mut self, id: Id) {
        let Some(watch) = self.unit_mut(id).and_then(super::Unit::watch_mut) else { return };
        let mut stopped: Vec<Seen> = Vec::new();
        for _ in 0..ROUNDS {
            let tree = watch.tree(&tree::all());
            watch.seen = tree.iter().map(Process::seen).collect();
            let (known, new): (Vec<Process>, Vec<Process>) =
                tree.into_iter().partition(|process| stopped.contains(&process.seen()));
            if new.is_empty() {
                tree::signal_groups(&known, libc::SIGKILL);
                return;
            }
            tree::signal_groups(&new, libc::SIGSTOP);
            stopped.extend(new.iter().map(Process::seen));
        }
        // It still grows: those who are known go, the others at the next try.
        tree::signal_groups(&watch.tree(&tree::all()), libc::SIGKILL);
    }
}
