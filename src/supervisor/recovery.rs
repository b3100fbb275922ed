//! Attempts to recover services, as people order them, and what is remembered of them from one supervisor to the
//! next. When one is due, and how many there may be, is decided in `life`.

use std::fs;

use serde::Deserialize;

use crate::config::duration_text;
use crate::control::server::ClientId;
use crate::control::wire::Named;
use crate::life::policy::Event;
use crate::life::roster::Id;
use crate::life::service::Service;

use super::Supervisor;
use super::orders::EXIT_UNKNOWN;
use super::unit::millis;

/// What is read of a `process.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// Attempts so far.
    #[serde(default)]
    recovery_attempts: u32,
    /// Whether all were in vain.
    #[serde(default)]
    needs_intervention: bool,
    /// One line.
    last_error: Option<Box<str>>,
}

impl Supervisor {
    /// Takes in what an earlier supervisor knew of a service, before its first start; whether it may be started.
    pub(super) fn recall_attempts(&mut self, id: Id) -> bool {
        let Some(unit) = self.unit(id).filter(|unit| unit.plan.recovery > 0) else { return true };
        let path = unit.state_file(&self.settings, "process.json");
        let Some(record) = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok())
        else {
            return true;
        };
        let (attempts, is_spent) = (record.recovery_attempts, record.needs_intervention);
        if attempts == 0 && !is_spent {
            return true;
        }
        let event = Event::Recall { attempts, is_spent };
        self.roster.on(id, event, self.now.instant, &mut self.todo);
        if is_spent {
            ::log::error!("{}: not started: manual intervention needed", self.name(id));
            if let Some(unit) = self.unit_mut(id) {
                unit.last_error = record.last_error;
            }
        }
        !is_spent
    }

    /// Forgets the attempts to recover these services; those that were given up are tried again. What a schedule
    /// calls every day.
    pub(super) fn reset_attempts(&mut self, ids: &[Id]) {
        for id in ids {
            if let Some(unit) = self.unit_mut(*id) {
                ::log::info!("{}: attempts to recover it are forgotten", unit.plan.id);
            }
            self.roster.on(*id, Event::Reset, self.now.instant, &mut self.todo);
            let now = self.now;
            if let Some(unit) = self.unit_mut(*id) {
                unit.touch(now);
            }
        }
    }

    /// Restarts of these services that nobody ordered.
    pub(super) fn restarts_of(&self, ids: &[Id]) -> u64 {
        let restarts = ids.iter().filter_map(|id| Some(self.roster.get(*id)?.restarts()));
        restarts.fold(0, u64::saturating_add)
    }

    /// Tells of an attempt that is about to begin.
    pub(super) fn note_attempt(&mut self, id: Id, number: u32, after: std::time::Duration) {
        let Some(unit) = self.unit(id) else { return };
        let after = duration_text(millis(after));
        ::log::warn!("{}: recovery attempt {number} of {} in {after}", unit.plan.id, unit.plan.recovery);
        self.clear_present(id);
    }

    /// Tells that its restarts were in vain.
    pub(super) fn note_out_of_restarts(&mut self, id: Id) {
        let text = format!("restarted {} times in vain: {}", self.restarts_of(&[id]), self.last_error(id));
        ::log::error!("{}: {text}", self.name(id));
        self.tell_error(id, &text);
    }

    /// Tells that it is not started again.
    pub(super) fn note_gave_up(&mut self, id: Id) {
        self.note_spent(id);
        let text = format!("given up after {} restarts: {}", self.restarts_of(&[id]), self.last_error(id));
        ::log::error!("{}: {text}", self.name(id));
        self.clear_present(id);
        self.tell_error(id, &text);
        self.close_sockets(id);
    }

    /// Whether nothing more is to come of attempts that somebody ordered, and those for which they were in vain.
    pub(super) fn attempted(&self, ids: &[Id], restarts: u64) -> (bool, Vec<Id>) {
        let lives: Vec<(Id, &Service)> =
            ids.iter().filter_map(|id| Some((*id, self.roster.get(*id)?))).collect();
        let is_ill = |life: &Service| life.recovery().is_trying || !life.is_up_or_done();
        let ill = lives.iter().filter(|(_, life)| is_ill(life)).map(|(id, _)| *id).collect();
        let is_over = lives.iter().all(|(_, life)| !life.recovery().is_trying && !life.is_coming());
        // Once there are more restarts, which nobody ordered, the attempt was in vain.
        (is_over || self.restarts_of(ids) > restarts, ill)
    }

    /// `reset`.
    pub(super) fn obey_reset(&mut self, client: ClientId, request: u64, named: &Named) {
        match self.find(&named.services) {
            Ok(ids) => {
                self.reset_attempts(&ids);
                self.answer_done(client, request, "done");
            }
            Err(error) => self.refuse(client, request, error, EXIT_UNKNOWN),
        }
    }

    /// All attempts were in vain: that is what is wrong with it now.
    fn note_spent(&mut self, id: Id) {
        let recovery = self.roster.get(id).map(Service::recovery).unwrap_or_default();
        if recovery.is_spent
            && let Some(unit) = self.unit_mut(id)
        {
            let last = unit.last_error.as_deref().unwrap_or("it ended");
            let attempts = recovery.attempts;
            let words = format!("manual intervention needed: {attempts} recovery attempts failed: {last}");
            unit.last_error = Some(words.into());
        }
    }
}
