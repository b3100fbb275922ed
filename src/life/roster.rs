//! All services: the earliest deadline, who owns a pid, and the end of everything. Who waits for whom is in
//! `order`. No clock, no fd.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::policy::{Action, Event, Pid, Policy};
use super::rate::Rate;
use super::service::{Act, Service, later};
use super::state::State;

/// A service's place in the roster, kept while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    /// As an index.
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What is to be done, for whom, in order.
pub(crate) type Todo = VecDeque<(Id, Action)>;

/// The end of everything.
#[derive(Debug, Clone, Copy)]
struct End {
    /// It is over then, whoever is left.
    at: Instant,
    /// Until then services that others use wait for these.
    leave_by: Instant,
    /// Then each is killed, early enough for the kill to be confirmed before it is over.
    kill_by: Instant,
}

/// All services.
#[derive(Debug)]
pub(crate) struct Roster {
    /// By place; a removed service leaves its place empty for the next one.
    pub(super) services: Vec<Option<Service>>,
    /// Whether any service needs another.
    pub(super) is_ordered: bool,
    /// How many are started again in a second, of those that nobody ordered.
    rate: Rate,
    /// Set once everything ends.
    end: Option<End>,
}

impl Roster {
    /// Empty; so many services in a second are started again without being ordered.
    pub(crate) fn new(restarts_per_second: u32) -> Self {
        let rate = Rate::per_second(restarts_per_second);
        Self { services: Vec::new(), is_ordered: false, rate, end: None }
    }

    /// Takes a service in.
    pub(crate) fn add(&mut self, policy: &Policy, seed: u64) -> Id {
        let service = Some(Service::new(policy, seed));
        let free = self.services.iter().position(Option::is_none);
        let index = free.unwrap_or(self.services.len());
        match self.services.get_mut(index) {
            Some(place) => *place = service,
            None => self.services.push(service),
        }
        Id(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Lets a service go that is at rest; `false` if it is not.
    pub(crate) fn remove(&mut self, id: Id) -> bool {
        let Some(place) = self.services.get_mut(id.index()) else { return false };
        let at_rest = place.as_ref().is_some_and(|service| service.state().is_at_rest());
        if at_rest {
            *place = None;
        }
        at_rest
    }

    /// A service.
    pub(crate) fn get(&self, id: Id) -> Option<&Service> {
        self.services.get(id.index())?.as_ref()
    }

    /// Changes what governs a service from its next step on.
    pub(crate) fn govern(&mut self, id: Id, policy: &Policy) {
        if let Some(service) = self.service(id) {
            service.govern(policy);
        }
    }

    /// Something happened to a service.
    pub(crate) fn on(&mut self, id: Id, event: Event, now: Instant, todo: &mut Todo) {
        // Once everything ends, nothing is started any more.
        let starts = matches!(event, Event::Start | Event::Restart | Event::Recover | Event::Reset);
        if self.end.is_some() && starts {
            return;
        }
        match event {
            Event::Start | Event::Restart | Event::Recover => self.start(id, event, now, todo),
            Event::Stop => self.stop(id, now, todo),
            Event::Prepared { .. }
            | Event::Spawned(_)
            | Event::NotSpawned(_)
            | Event::Ready
            | Event::Answered { .. }
            | Event::Unasked
            | Event::Late
            | Event::Busy(_)
            | Event::Frozen
            | Event::Reset
            | Event::Recall { .. }
            | Event::Exceeded(_)
            | Event::Exited { .. }
            | Event::Empty
            | Event::Came
            | Event::Unused(_)
            | Event::Fed
            | Event::Starved
            | Event::FedEvery(_)
            | Event::Extend(_)
            | Event::Forget
            | Event::Ending => self.give(id, event, now, todo),
        }
        self.settle(now, todo);
    }

    /// The answer to what was to be done for a service. What follows for it comes before all else that is to be done;
    /// what follows for others comes after that, which may still be about what they were before.
    pub(crate) fn answer(&mut self, id: Id, event: Event, now: Instant, todo: &mut Todo) {
        let rest = std::mem::take(todo);
        self.on(id, event, now, todo);
        let (own, others): (Todo, Todo) = todo.drain(..).partition(|(whose, _)| *whose == id);
        todo.extend(own.into_iter().chain(rest).chain(others));
    }

    /// Gives an event to one service. A process that is still to be made for it is not made when somebody wants
    /// something else meanwhile.
    pub(super) fn give(&mut self, id: Id, event: Event, now: Instant, todo: &mut Todo) {
        if matches!(event, Event::Stop | Event::Restart | Event::Recover) {
            recall(id, todo);
        }
        self.change(id, todo, |service, act| service.on(event, now, act));
    }

    /// Does something to one service; while everything ends, it stays in a hurry.
    pub(super) fn change(&mut self, id: Id, todo: &mut Todo, change: impl FnOnce(&mut Service, Act<'_>)) {
        let end = self.end;
        if let Some(service) = self.service(id) {
            change(service, &mut |action| todo.push_back((id, action)));
            if let Some(end) = end {
                service.hasten(end.leave_by, end.kill_by);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant, todo: &mut Todo) {
        let mut again = Vec::new();
        for (index, service) in (0_u32..).zip(&self.services) {
            let Some(service) = service else { continue };
            if service.state().deadline().is_some_and(|at| now >= at) {
                again.push((service.state().retry_at(), Id(index)));
            }
        }
        // First those that restart nothing; of the others, whoever has waited longest.
        again.sort_unstable();
        for (retry_at, id) in &again {
            if retry_at.is_some() && !self.rate.take(now) {
                break;
            }
            self.change(*id, todo, |service, act| service.tick(now, act));
        }
        if !again.is_empty() {
            self.settle(now, todo);
        }
    }

    /// When the roster next needs a tick.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let free_at = self.rate.free_at();
        let services = self.services.iter().flatten().filter_map(|service| {
            let state = service.state();
            // A restart also waits for its turn.
            let turn = free_at.filter(|_| state.retry_at().is_some());
            state.deadline().map(|at| turn.map_or(at, |turn| at.max(turn)))
        });
        services.chain(self.end.map(|end| end.at)).min()
    }

    /// Whose process this is; `None` for a stranger: an adopted orphan.
    pub(crate) fn owner(&self, pid: Pid) -> Option<Id> {
        self.find(|state| state.pid() == Some(pid))
    }

    /// All processes that services have.
    pub(crate) fn pids(&self) -> impl Iterator<Item = Pid> + '_ {
        self.services.iter().flatten().filter_map(|service| service.state().pid())
    }

    /// The groups without leader that have to go, and whose they are.
    pub(crate) fn leftovers(&self) -> impl Iterator<Item = (Id, Pid)> + '_ {
        (0_u32..).zip(&self.services).filter_map(|(index, service)| {
            service.as_ref().and_then(|service| service.state().leftover()).map(|group| (Id(index), group))
        })
    }

    /// Stops everything, within this time altogether: each after those that use it, of which the slowest leave
    /// a third of the time to the others.
    pub(crate) fn shutdown(&mut self, now: Instant, within: Duration, todo: &mut Todo) {
        const CONFIRM_WITHIN: Duration = Duration::from_millis(500);
        if self.end.is_some() {
            return;
        }
        let at = later(now, within);
        let back = |by: Duration| at.checked_sub(by).map_or(now, |at| at.max(now));
        self.end = Some(End {
            at,
            leave_by: back(within.checked_div(3).unwrap_or_default()),
            kill_by: back(CONFIRM_WITHIN),
        });
        for index in 0_u32..u32::try_from(self.services.len()).unwrap_or(u32::MAX) {
            self.stop(Id(index), now, todo);
        }
        self.settle(now, todo);
    }

    /// Kills what still runs then, whoever needs it.
    pub(crate) fn escalate(&mut self, by: Instant) {
        if let Some(end) = &mut self.end {
            end.leave_by = end.leave_by.min(by);
            end.kill_by = end.kill_by.min(by);
        }
        for service in self.services.iter_mut().flatten() {
            service.hasten(by, by);
        }
    }

    /// It is over, whoever is left.
    pub(crate) const fn over_now(&mut self, now: Instant) {
        self.end = Some(End { at: now, leave_by: now, kill_by: now });
    }

    /// Whether no process of any service is left.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.services.iter().flatten().all(|service| service.state().is_at_rest())
    }

    /// Whether everything was told to end.
    pub(crate) const fn is_ending(&self) -> bool {
        self.end.is_some()
    }

    /// Whether everything has ended, or had its time.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| now >= end.at || self.is_at_rest())
    }

    /// Whether no service is on its way.
    pub(crate) fn is_settled(&self) -> bool {
        !self.services.iter().flatten().any(|service| service.state().is_moving())
    }

    /// The first service in a state like this.
    fn find(&self, is: impl Fn(&State) -> bool) -> Option<Id> {
        let index =
            self.services.iter().position(|service| service.as_ref().is_some_and(|s| is(s.state())))?;
        u32::try_from(index).ok().map(Id)
    }

    /// A service, to be changed.
    pub(super) fn service(&mut self, id: Id) -> Option<&mut Service> {
        self.services.get_mut(id.index())?.as_mut()
    }
}

/// Nobody wants the process any more that was still to be made for a service.
pub(super) fn recall(id: Id, todo: &mut Todo) {
    todo.retain(|(whose, action)| (*whose, action) != (id, &Action::Spawn));
}
