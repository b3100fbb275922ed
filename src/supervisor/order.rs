//! Who needs whom, from names to places and back, and the end that a service brings about. Nothing is decided
//! here.

use crate::config::plan::{self, Dependency};
use crate::life::need::{Condition, Need};
use crate::life::roster::Id;

use super::Supervisor;

impl Supervisor {
    /// Tells `life` what each service needs. What the configuration no longer has keeps its needs: it is still to
    /// be stopped before them.
    pub(super) fn set_needs(&mut self) {
        let ids: std::collections::BTreeMap<Box<str>, Id> = self
            .ids()
            .filter_map(|id| {
                let unit = self.unit(id).filter(|unit| !unit.is_removed)?;
                Some((unit.plan.id.clone(), id))
            })
            .collect();
        for id in ids.values() {
            let Some(unit) = self.unit(*id) else { continue };
            let needs =
                unit.plan.depends_on.iter().filter_map(|need| {
                    Some(Need { of: *ids.get(&need.service)?, condition: condition(need) })
                });
            let needs = needs.collect();
            self.roster.depend(*id, needs);
        }
    }

    /// The service's name.
    pub(super) fn name(&self, id: Id) -> Box<str> {
        self.unit(id).map_or_else(|| "a service that is gone".into(), |unit| unit.plan.id.clone())
    }

    /// Whom a service waits for.
    pub(super) fn waits_for(&self, id: Id) -> Option<Box<str>> {
        self.roster.get(id).and_then(|life| life.state().waits_for()).map(|other| self.name(other))
    }

    /// It will not start: what it needs will not come.
    pub(super) fn note_blocked(&mut self, id: Id, other: Id) {
        self.clear_present(id);
        let word = self.roster.get(other).map_or("gone", |life| life.state().word());
        let why = self.unit(other).and_then(|unit| unit.last_error.as_deref()).filter(|_| word == "error");
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let is = if word == "error" { "has failed" } else { "is stopped" };
        let fault = format!("needs {}, which {is}{why}", self.name(other));
        self.fault(id, &fault);
    }

    /// Everything ends, because a service has.
    pub(super) fn end_with(&mut self, id: Id, code: u8) {
        if self.roster.is_ending() {
            return;
        }
        ::log::info!("{}: its end is the end of everything (exit code {code})", self.name(id));
        self.exit = Some(code);
        self.end();
    }
}

/// How far another service has to be, in the words of `life`.
const fn condition(need: &Dependency) -> Condition {
    match need.condition {
        plan::Condition::Started => Condition::Started,
        plan::Condition::Ready => Condition::Ready,
        plan::Condition::Completed => Condition::Completed,
    }
}
