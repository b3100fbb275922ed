//! All services: the earliest deadline, who owns a pid, and the end of everything. No clock, no fd.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::policy::{Action, Event, Pid, Policy};
use super::service::{Service, later};
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

/// All services.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// By place; a removed service leaves its place empty for the next one.
    services: Vec<Option<Service>>,
    /// Set once everything ends: it is over then, whoever is left.
    over_at: Option<Instant>,
}

impl Roster {
    /// Takes a service in.
    pub(crate) fn add(&mut self, policy: Policy, seed: u64) -> Id {
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
    pub(crate) fn govern(&mut self, id: Id, policy: Policy) {
        if let Some(service) = self.service(id) {
            service.govern(policy);
        }
    }

    /// Something happened to a service.
    pub(crate) fn on(&mut self, id: Id, event: Event, now: Instant, todo: &mut Todo) {
        // Once everything ends, nothing is started any more.
        if self.over_at.is_some() && matches!(event, Event::Start | Event::Restart) {
            return;
        }
        let kill_by = self.kill_by();
        if let Some(service) = self.service(id) {
            service.on(event, now, &mut |action| todo.push_back((id, action)));
            kill_by.inspect(|by| service.hasten(*by));
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant, todo: &mut Todo) {
        let kill_by = self.kill_by();
        for (index, service) in (0_u32..).zip(&mut self.services) {
            if let Some(service) = service
                && service.state().deadline().is_some_and(|at| now >= at)
            {
                service.tick(now, &mut |action| todo.push_back((Id(index), action)));
                kill_by.inspect(|by| service.hasten(*by));
            }
        }
    }

    /// When the roster next needs a tick.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let services = self.services.iter().flatten().filter_map(|service| service.state().deadline());
        services.chain(self.over_at).min()
    }

    /// Whose process this is; `None` for a stranger: an adopted orphan.
    pub(crate) fn owner(&self, pid: Pid) -> Option<Id> {
        self.find(|state| state.pid() == Some(pid))
    }

    /// The groups without leader that have to go, and whose they are.
    pub(crate) fn leftovers(&self) -> impl Iterator<Item = (Id, Pid)> + '_ {
        (0_u32..).zip(&self.services).filter_map(|(index, service)| {
            service.as_ref().and_then(|service| service.state().leftover()).map(|group| (Id(index), group))
        })
    }

    /// Stops everything, within this time altogether.
    pub(crate) fn shutdown(&mut self, now: Instant, within: Duration, todo: &mut Todo) {
        if self.over_at.is_some() {
            return;
        }
        self.over_at = Some(later(now, within));
        for index in 0_u32..u32::try_from(self.services.len()).unwrap_or(u32::MAX) {
            self.on(Id(index), Event::Stop, now, todo);
        }
    }

    /// Kills what still runs at the latest then.
    pub(crate) fn escalate(&mut self, by: Instant) {
        for service in self.services.iter_mut().flatten() {
            service.hasten(by);
        }
    }

    /// It is over, whoever is left.
    pub(crate) const fn over_now(&mut self, now: Instant) {
        self.over_at = Some(now);
    }

    /// Whether no process of any service is left.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.services.iter().flatten().all(|service| service.state().is_at_rest())
    }

    /// Whether everything was told to end.
    pub(crate) const fn is_ending(&self) -> bool {
        self.over_at.is_some()
    }

    /// Whether everything has ended, or had its time.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.over_at.is_some_and(|at| now >= at || self.is_at_rest())
    }

    /// Whether no service is on its way.
    pub(crate) fn is_settled(&self) -> bool {
        !self.services.iter().flatten().any(|service| service.state().is_moving())
    }

    /// While everything ends, each is killed early enough for the kill to be confirmed before it is over.
    fn kill_by(&self) -> Option<Instant> {
        const CONFIRM_WITHIN: Duration = Duration::from_millis(500);
        self.over_at.and_then(|at| at.checked_sub(CONFIRM_WITHIN))
    }

    /// The first service in a state like this.
    fn find(&self, is: impl Fn(&State) -> bool) -> Option<Id> {
        let index =
            self.services.iter().position(|service| service.as_ref().is_some_and(|s| is(s.state())))?;
        u32::try_from(index).ok().map(Id)
    }

    /// A service, to be changed.
    fn service(&mut self, id: Id) -> Option<&mut Service> {
        self.services.get_mut(id.index())?.as_mut()
    }
}
