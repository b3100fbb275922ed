//! What services say on their channels, and what the scribe says. What follows is decided in `life`.

use mio::Token;

use crate::channel::FromService;
use crate::life::policy::Event;
use crate::life::roster::Id;

use super::scribes::{Purpose, Said};
use super::talk::{Heard, Progress};
use super::unit::Health;
use super::{CHANNELS, CLIENTS, Supervisor};

impl Supervisor {
    /// Reads a service's channel, if that is whose token it is.
    pub(super) fn hear_channel(&mut self, token: Token) {
        if (CHANNELS..CLIENTS).contains(&token.0)
            && let Ok(number) = u32::try_from(token.0.saturating_sub(CHANNELS))
        {
            self.hear_service(Id(number), token);
        }
    }

    /// Reads what a service said before its end: it may say why.
    pub(super) fn read_last_words(&mut self, id: Id) {
        self.hear_service(id, super::launch::channel_token(id));
    }

    /// Reads what a service says, within a turn's bound.
    fn hear_service(&mut self, id: Id, token: Token) {
        let mut all = Vec::new();
        let present = self.unit_mut(id).and_then(|unit| unit.present.as_mut());
        let Some(channel) = present.and_then(|present| present.channel.as_mut()) else { return };
        channel.flush();
        let progress = channel.read(&mut |heard| all.push(heard));
        match progress {
            Progress::Drained => {}
            Progress::Unfinished => self.unfinished.push_back(token),
            // Closed is no death: the service goes on without a channel.
            Progress::Closed => self.close_channel(id),
        }
        for heard in all {
            match heard {
                Heard::Message(message) => self.heed_message(id, message),
                Heard::Unknown => self.ignore(id, None),
                Heard::Garbage => self.ignore(id, Some("sent garbage on its channel")),
                Heard::Handle => {
                    self.ignore(id, None);
                    let present = self.unit_mut(id).and_then(|unit| unit.present.as_mut());
                    if let Some(channel) = present.and_then(|present| present.channel.as_mut()) {
                        channel.refuse_handle();
                    }
                }
            }
        }
    }

    /// Our end of its channel is of no use any more.
    fn close_channel(&mut self, id: Id) {
        let present = self.unit_mut(id).and_then(|unit| unit.present.as_mut());
        // Dropping the stream also takes it out of the poll.
        drop(present.and_then(|present| present.channel.take()));
    }

    /// A message that means nothing to us is counted; garbage is a fault of its sender, told once for each
    /// process.
    fn ignore(&mut self, id: Id, fault: Option<&str>) {
        let now = self.now;
        let Some(unit) = self.unit_mut(id) else { return };
        unit.ignored_messages = unit.ignored_messages.saturating_add(1);
        if let Some(fault) = fault
            && unit.last_error.as_deref() != Some(fault)
        {
            ::log::warn!("{}: {fault}", unit.plan.id);
            unit.fault(fault, now);
            self.tell_error(id, fault);
        }
    }

    /// A message of the channel.
    fn heed_message(&mut self, id: Id, message: FromService) {
        let now = self.now;
        let Some(unit) = self.unit_mut(id) else { return };
        match message {
            FromService::ServerStarted { endpoint, .. } => {
                if let Some(present) = &mut unit.present {
                    present.endpoint = endpoint;
                }
                self.roster.on(id, Event::Ready, now.instant, &mut self.todo);
            }
            FromService::ServerError { error, .. } => {
                let line: String =
                    error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
                unit.fault(&line, now);
                if let Some(present) = &mut unit.present {
                    present.said_why = true;
                }
                ::log::warn!("{}: {line}", unit.plan.id);
                self.tell_error(id, &line);
            }
            FromService::HealthCheckResponse { healthy, reason, .. } => {
                self.note_health(id, healthy, reason.as_deref());
                self.roster.on(id, Event::Answered { healthy }, now.instant, &mut self.todo);
            }
            FromService::ProcessMetrics { metrics, .. } => {
                unit.metrics = Some(metrics);
                unit.touch(now);
            }
        }
    }

    /// The result of a health check, for the files.
    pub(super) fn note_health(&mut self, id: Id, healthy: bool, reason: Option<&str>) {
        let now = self.now;
        let Some(unit) = self.unit_mut(id) else { return };
        unit.health = if healthy { Health::Healthy } else { Health::Unhealthy };
        unit.checked = Some(now.stamp);
        unit.touch(now);
        self.tell_health(id, healthy, reason);
    }

    /// What the scribe said.
    pub(super) fn heed_scribe(&mut self, said: Said) {
        let now = self.now;
        match said {
            Said::Done(Purpose::Prepare(id), errno) => {
                if errno != 0
                    && let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut)
                {
                    let reason = crate::sys::own::reason(&std::io::Error::from_raw_os_error(errno));
                    let path = unit.config_file(&self.settings);
                    unit.fault(&format!("cannot write {}: {reason}", path.display()), now);
                }
                self.roster.on(id, Event::Prepared { ok: errno == 0 }, now.instant, &mut self.todo);
            }
            Said::Done(Purpose::Finish, _) => {}
            Said::Drained(id) => {
                if let Some(unit) = self.unit_mut(id) {
                    unit.drained_by = None;
                }
            }
            Said::Degraded(0, _) => {
                ::log::warn!("the disk takes files again");
                self.degraded = None;
            }
            Said::Degraded(errno, path) => {
                let reason = crate::sys::own::reason(&std::io::Error::from_raw_os_error(errno));
                let words = format!("cannot write {path}: {reason}");
                ::log::error!("running from memory: {words}");
                self.degraded = Some(words.into());
            }
            Said::Dropped(id, lines) => {
                if let Some(unit) = self.unit_mut(id) {
                    unit.dropped_lines = unit.dropped_lines.saturating_add(lines);
                    unit.touch(now);
                }
            }
        }
    }
}
