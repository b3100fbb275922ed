//! How much memory and processor time all processes of a service have, of those that ask for it: a look a second.
//! What follows from too much is an alert, and nothing else.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::life::alerts::{Key, Kind, Level};
use crate::life::policy::Pid;
use crate::life::roster::Id;
use crate::life::service::later;
use crate::life::state::State;
use crate::sys::cgroup::Group;
use crate::sys::tree::{self, Process, Seen};

use super::Supervisor;

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Processor time is that of so many looks: whatever starts is busy for a while.
const LOOKS: usize = 5;
/// Microseconds of a clock tick of `/proc`, on every architecture there is a Rust for.
const TICK_MICROS: u64 = 10_000;

/// What was seen of the processes of a service.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// Those that were there at the last look: one that leaves its session stays known.
    seen: Vec<Seen>,
    /// Microseconds of processor time that were used by then, of the last looks.
    used: VecDeque<(Instant, u64)>,
    /// Bytes in memory.
    pub(super) memory: Option<u64>,
    /// Percent of one processor.
    pub(super) cpu: Option<u32>,
    /// What was too much at the last look.
    over: Over,
}

/// What is too much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Over {
    /// Of memory.
    memory: bool,
    /// Of processor time.
    cpu: bool,
}

impl Gauge {
    /// What is too much, in words.
    pub(super) fn over(&self) -> Vec<Box<str>> {
        let each = [(self.over.memory, "memory"), (self.over.cpu, "cpu")];
        each.into_iter().filter(|(is_over, _)| *is_over).map(|(_, word)| word.into()).collect()
    }

    /// Takes in what a process and all that belong to it have.
    fn look(&mut self, leader: Pid, group: Option<&Group>, all: &[Process], now: Instant) {
        let (memory, micros) = group.and_then(Group::usage).unwrap_or_else(|| {
            let start = all.iter().find(|process| process.pid == leader).map_or(0, |process| process.start);
            let tree = tree::of((leader, start), &self.seen, all);
            self.seen = tree.iter().map(Process::seen).collect();
            let ticks = tree.iter().fold(0_u64, |sum, process| sum.saturating_add(process.ticks));
            (tree::memory(&tree), ticks.saturating_mul(TICK_MICROS))
        });
        self.memory = Some(memory);
        self.used.push_back((now, micros));
        if self.used.len() > LOOKS
            && let Some((then, before)) = self.used.pop_front()
        {
            let time = u64::try_from(now.saturating_duration_since(then).as_micros()).unwrap_or(u64::MAX);
            // Whose parent was not among them takes its time along when it ends.
            let used = micros.saturating_sub(before).saturating_mul(100).checked_div(time).unwrap_or(0);
            self.cpu = Some(u32::try_from(used).unwrap_or(u32::MAX));
        }
    }
}

impl Supervisor {
    /// A service has a new process: it is looked at if it asks for that.
    pub(super) fn begin_gauge(&mut self, id: Id) {
        let now = self.now.instant;
        let Some(unit) = self.unit_mut(id) else { return };
        let asks = unit.plan.alerts.as_ref().is_some_and(|it| it.memory.is_some() || it.cpu.is_some());
        if asks && let Some(present) = &mut unit.present {
            present.gauge = Some(Box::default());
            self.alerts.look_at.get_or_insert(later(now, EVERY));
        }
    }

    /// Looks at all that ask for it, once a second.
    pub(super) fn look_at_gauges(&mut self) {
        let now = self.now.instant;
        if self.alerts.look_at.is_none_or(|at| now < at) {
            return;
        }
        self.alerts.look_at = None;
        let all = self.everybody();
        for id in self.ids() {
            let state = self.roster.get(id).map(crate::life::service::Service::state);
            let leader = state.filter(|state| state.is_watched()).and_then(State::pid);
            let present = self.unit_mut(id).and_then(|unit| unit.present.as_mut());
            if let (Some(leader), Some(present)) = (leader, present)
                && let Some(gauge) = &mut present.gauge
            {
                gauge.look(leader, present.hold.group.as_deref(), &all, now);
                self.alerts.look_at = Some(later(now, EVERY));
                self.judge(id);
            }
        }
        self.give_back(all);
    }

    /// Says what is too much, and what no longer is.
    fn judge(&mut self, id: Id) {
        let Some(unit) = self.unit_mut(id) else { return };
        let Some(most) = unit.plan.alerts.as_deref().copied() else { return };
        let Some(gauge) = unit.present.as_mut().and_then(|present| present.gauge.as_mut()) else { return };
        let (memory, cpu) = (gauge.memory.zip(most.memory), gauge.cpu.zip(most.cpu));
        let is_over = Over {
            memory: memory.is_some_and(|(has, most)| has > most),
            cpu: cpu.is_some_and(|(has, most)| has > most),
        };
        let was_over = std::mem::replace(&mut gauge.over, is_over);
        if let Some((has, most)) = memory {
            let (has, most) = (size(has), size(most));
            let text = format!("has {has} of memory: more than {most}");
            let end = format!("has {has} of memory: no longer more than {most}");
            self.tell_of_too_much(id, Kind::Memory, (was_over.memory, is_over.memory), &text, &end);
        }
        if let Some((has, most)) = cpu {
            let text = format!("uses {has} % of a processor: more than {most} %");
            let end = format!("uses {has} % of a processor: no longer more than {most} %");
            self.tell_of_too_much(id, Kind::Cpu, (was_over.cpu, is_over.cpu), &text, &end);
        }
    }

    /// Too much of something begins, lasts or ends. What lasts is told again when its time has come, but does not
    /// count as another.
    fn tell_of_too_much(&mut self, id: Id, kind: Kind, over: (bool, bool), text: &str, end: &str) {
        let (was_over, is_over) = over;
        let key = Key { about: Some(id), kind, level: Level::Warning };
        if !is_over {
            self.relieve(key.about, &[kind], end);
        } else if !was_over || !self.alerts.is_quiet(key, self.now.instant) {
            ::log::warn!("{}: {text}", self.name(id));
            self.alert(key.about, key.level, kind, text);
        }
    }
}

/// A number of bytes as a configuration would say it.
fn size(bytes: u64) -> String {
    const K: u64 = 1024;
    const M: u64 = 1024 * K;
    if bytes < 10 * M { format!("{}K", bytes / K) } else { format!("{}M", bytes / M) }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's clock begins somewhere")]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_the_last_looks() {
        let own = Pid(i32::try_from(std::process::id()).unwrap());
        let (mut gauge, mut now) = (Gauge::default(), Instant::now());
        for look in 0..8 {
            gauge.look(own, None, &tree::all(), now);
            assert_eq!(gauge.cpu.is_some(), look >= LOOKS, "{look}");
            now += EVERY;
        }
        assert!(gauge.memory.unwrap() > 100_000);
        assert_eq!((size(4096), size(512 << 20)), ("4K".to_owned(), "512M".to_owned()));
    }
}
