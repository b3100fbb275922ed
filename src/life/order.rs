//! Who waits for whom: starts bring along what is needed, stops wait for those that use it, and both go on as
//! soon as the others have. Part of the roster; no clock.

use std::time::Instant;

use super::need::{Need, Stand};
use super::policy::Event;
use super::roster::{Id, Roster, Todo, recall};
use super::state::{State, Want};

impl Roster {
    /// Changes what a service needs before its next start.
    pub(crate) fn depend(&mut self, id: Id, needs: Vec<Need>) {
        if let Some(service) = self.service(id) {
            service.depend(needs);
        }
        self.is_ordered = self.services.iter().flatten().any(|service| !service.needs.is_empty());
    }

    /// Starts a service (again), and first what it needs and nobody has started.
    pub(super) fn start(&mut self, id: Id, event: Event, now: Instant, todo: &mut Todo) {
        let mut all = Vec::new();
        self.collect(id, &mut all, &|roster, id| roster.missing(id));
        for other in all {
            self.give(other, if other == id { event } else { Event::Start }, now, todo);
        }
    }

    /// Stops a service, and first those that need it.
    pub(super) fn stop(&mut self, id: Id, now: Instant, todo: &mut Todo) {
        let mut all = Vec::new();
        self.collect(id, &mut all, &|roster, id| roster.wanted_users(id));
        for id in all {
            if self.is_used(id) {
                recall(id, todo);
                self.change(id, todo, |service, act| service.leave(now, act));
            } else {
                self.give(id, Event::Stop, now, todo);
            }
        }
    }

    /// This service behind all that `next` leads to from it, each once, the farthest first.
    fn collect(&self, id: Id, all: &mut Vec<Id>, next: &dyn Fn(&Self, Id) -> Vec<Id>) {
        /// One step deeper or back: whether what lies behind is collected already.
        type Step = (Id, bool);
        let mut steps: Vec<Step> = vec![(id, false)];
        let mut seen = vec![id];
        while let Some((id, is_done)) = steps.pop() {
            if is_done {
                all.push(id);
                continue;
            }
            steps.push((id, true));
            for other in if self.is_ordered { next(self, id) } else { Vec::new() } {
                if !seen.contains(&other) {
                    seen.push(other);
                    steps.push((other, false));
                }
            }
        }
    }

    /// What a service needs, does not have, and will not get by itself.
    fn missing(&self, id: Id) -> Vec<Id> {
        let Some(service) = self.get(id) else { return Vec::new() };
        service.needs.iter().filter(|need| self.stand(**need) == Stand::Lost).map(|need| need.of).collect()
    }

    /// Services that need this one and that somebody wants up, or that still use it.
    fn wanted_users(&self, id: Id) -> Vec<Id> {
        self.users(id, |want, state| {
            (want == Want::Up && !matches!(state, State::Failed)) || state.is_using()
        })
    }

    /// Whether anything runs that needs this service.
    fn is_used(&self, id: Id) -> bool {
        self.is_ordered && !self.users(id, |_, state| state.is_using()).is_empty()
    }

    /// Services that need this one, and are like this.
    fn users(&self, id: Id, are: impl Fn(Want, &State) -> bool) -> Vec<Id> {
        let all = (0_u32..).zip(&self.services);
        let users = all.filter(|(_, service)| {
            service.as_ref().is_some_and(|service| {
                are(service.want(), service.state()) && service.needs.iter().any(|need| need.of == id)
            })
        });
        users.map(|(index, _)| Id(index)).collect()
    }

    /// How a need stands; one of a service that is not there never will.
    fn stand(&self, need: Need) -> Stand {
        self.get(need.of).map_or(Stand::Lost, |other| other.stand(need.condition))
    }

    /// Moves on whoever waited for what has come true by now.
    pub(super) fn settle(&mut self, now: Instant, todo: &mut Todo) {
        let mut has_moved = self.is_ordered;
        while has_moved {
            has_moved = false;
            for index in 0_u32..u32::try_from(self.services.len()).unwrap_or(u32::MAX) {
                has_moved |= self.settle_one(Id(index), now, todo);
            }
        }
    }

    /// The same for one service; whether it has moved.
    fn settle_one(&mut self, id: Id, now: Instant, todo: &mut Todo) -> bool {
        let Some(before) = self.get(id).map(|service| *service.state()) else { return false };
        match before {
            State::Waiting { .. } | State::Blocked { .. } => self.look_at_needs(id, now, todo),
            State::Leaving { .. } => {
                if !self.is_used(id) {
                    self.change(id, todo, |service, act| service.leave_now(now, act));
                }
            }
            State::Stopped
            | State::Listening { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
        self.get(id).is_some_and(|service| *service.state() != before)
    }

    /// Sees whether all that a service needs is there, and if not, for what it waits.
    fn look_at_needs(&mut self, id: Id, now: Instant, todo: &mut Todo) {
        let Some(service) = self.get(id) else { return };
        let find = |stand| service.needs.iter().find(|need| self.stand(**need) == stand).map(|need| need.of);
        let (lost, coming) = (find(Stand::Lost), find(Stand::Coming));
        self.change(id, todo, |service, act| match (lost, coming) {
            (Some(other), _) => service.block(other, act),
            (None, Some(other)) => service.wait_for(other, act),
            (None, None) => service.proceed(now, act),
        });
    }
}
