//! Whether anybody uses a service that runs on demand: as it says itself, or as its sockets show. What follows is
//! decided in `life`.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::channel::{Metrics, ToService};
use crate::config::plan::Start;
use crate::life::policy::Event;
use crate::life::roster::Id;
use crate::sys::{connections, sockets};

use super::Supervisor;
use super::held::place;

impl Supervisor {
    /// Sees since when nobody has used it: a server is asked, of any other the sockets tell.
    pub(super) fn look_for_use(&mut self, id: Id) {
        let Some(unit) = self.unit_mut(id) else { return };
        let server_id = unit.plan.id.clone();
        let is_server = unit.is_server();
        let channel = unit.present.as_mut().and_then(|present| present.channel.as_mut());
        match channel.filter(|_| is_server) {
            Some(channel) => channel.ask(&ToService::CollectMetrics { server_id }),
            None => self.look_at_connections(id),
        }
    }

    /// A server's figures say whether anything is in flight, and if not, since when.
    pub(super) fn heed_usage(&mut self, id: Id, metrics: &Metrics) {
        if self.unit(id).is_none_or(|unit| unit.plan.start != Start::OnDemand) {
            return;
        }
        match (metrics.in_flight, metrics.idle) {
            (Some(in_flight), _) if in_flight > 0.0 => {}
            (Some(_), Some(idle)) if !self.is_somebody_waiting(id) => {
                let idle = Duration::try_from_secs_f64(idle / 1000.0).unwrap_or_default();
                self.roster.on(id, Event::Unused(idle), self.now.instant, &mut self.todo);
            }
            (Some(_), _) => {}
            // One that does not say is looked at from outside.
            (None, _) => self.look_at_connections(id),
        }
    }

    /// Somebody is connected, or nobody is since the last time that somebody was.
    fn look_at_connections(&mut self, id: Id) {
        let now = self.now.instant;
        let is_used = self.is_somebody_waiting(id)
            || self.unit(id).is_some_and(|unit| {
                unit.held.sockets.iter().any(|socket| connections::is_any(place(&socket.listen)))
            });
        let Some(present) = self.unit_mut(id).and_then(|unit| unit.present.as_mut()) else { return };
        if is_used {
            present.used_at = now;
        } else {
            let idle = now.saturating_duration_since(present.used_at);
            self.roster.on(id, Event::Unused(idle), now, &mut self.todo);
        }
    }

    /// Whether somebody waits to be accepted.
    fn is_somebody_waiting(&self, id: Id) -> bool {
        self.unit(id)
            .is_some_and(|unit| unit.held.sockets.iter().any(|socket| sockets::is_wanted(socket.fd.as_fd())))
    }
}
