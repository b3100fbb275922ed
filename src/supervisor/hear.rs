//! What services say on their channels, and what the scribe says. What follows is decided in `life`.

use std::time::Duration;

use mio::Token;

use crate::channel::FromService;
use crate::life::alerts::{Kind, Level};
use crate::life::policy::Event;
use crate::life::roster::Id;
use crate::life::service::{Service, later};

use super::held::notifies;
use super::scribes::{Purpose, Said};
use super::talk::{Heard, Progress};
use super::unit::Health;
use super::{CHANNELS, CLIENTS, KEPT, NEWLINES, NOTIFY, SOCKETS, Supervisor};

/// From a turn's bound on a channel to the next reading of it: a flood gets through at some MB a second.
const RESUME_AFTER: Duration = Duration::from_millis(10);
/// So many turns' worth of what a service said before its end is read: more than a socket holds.
const LAST_TURNS: usize = 16;
/// What a service says unasked is told to the files this often.
const QUOTE_AFTER: Duration = Duration::from_secs(1);
/// So much of a service's words is told.
const QUOTE_CHARS_MAX: usize = 500;

impl Supervisor {
    /// Reads what services say, if that is what this token is for.
    pub(super) fn hear_words(&mut self, token: Token) {
        let id = |first: usize| Id(u32::try_from(token.0.saturating_sub(first)).unwrap_or(u32::MAX));
        match token.0 {
            number if number == NOTIFY.0 => self.hear_letters(),
            CHANNELS..SOCKETS => {
                self.hear_service(id(CHANNELS), token);
            }
            NEWLINES..CLIENTS => self.hear_newline(id(NEWLINES)),
            _ => {}
        }
    }

    /// A service's sockets, or what is kept for it: somebody came, or went.
    pub(super) fn heed_socket(&mut self, number: usize) {
        let first = if number < KEPT { SOCKETS } else { KEPT };
        let Ok(id) = u32::try_from(number.saturating_sub(first)).map(Id) else { return };
        if first == KEPT {
            self.look_at_kept(id);
        } else if self.is_called(id) {
            self.look_away(id);
            self.roster.on(id, Event::Came, self.now.instant, &mut self.todo);
        }
    }

    /// Reads what a service said before its end: it may say why.
    pub(super) fn read_last_words(&mut self, id: Id) {
        let token = super::launch::channel_token(id);
        for _ in 0..LAST_TURNS {
            if !self.hear_service(id, token) {
                break;
            }
        }
        self.hear_newline(id);
        if self.unit(id).is_some_and(|unit| notifies(&unit.plan)) {
            self.hear_letters();
        }
    }

    /// Reads what a service says, within a turn's bound; whether there may be more.
    fn hear_service(&mut self, id: Id, token: Token) -> bool {
        let (mut messages, mut handles, mut unknown, mut garbage) = (Vec::new(), 0_u64, 0_u64, 0_u64);
        let present = self.unit_mut(id).and_then(|unit| unit.present.as_mut());
        let Some(channel) = present.and_then(|present| present.channel.as_mut()) else { return false };
        channel.flush();
        let progress = channel.read(&mut |heard| match heard {
            Heard::Message(message) => messages.push(message),
            Heard::Handle => handles = handles.saturating_add(1),
            Heard::Unknown => unknown = unknown.saturating_add(1),
            Heard::Garbage => garbage = garbage.saturating_add(1),
        });
        for _ in 0..handles {
            channel.refuse_handle();
        }
        match progress {
            Progress::Drained => {}
            Progress::Unfinished => self.leave(token),
            // Closed is no death: the service goes on without a channel.
            Progress::Closed => self.close_channel(id),
        }
        for message in messages {
            self.heed_message(id, message);
        }
        self.ignore(id, unknown.saturating_add(handles).saturating_add(garbage));
        if garbage > 0 {
            self.complain(id, "sent garbage on its channel");
        }
        progress == Progress::Unfinished
    }

    /// The rest of what a source holds is read a little later: a flood costs its sender time, and nobody else.
    pub(super) fn leave(&mut self, token: Token) {
        if !self.unfinished.contains(&token) {
            self.unfinished.push(token);
        }
        self.resume_at = self.resume_at.or_else(|| Some(later(self.now.instant, RESUME_AFTER)));
    }

    /// Our end of its channel is of no use any more.
    fn close_channel(&mut self, id: Id) {
        let present = self.unit_mut(id).and_then(|unit| unit.present.as_mut());
        // Dropping the stream also takes it out of the poll.
        drop(present.and_then(|present| present.channel.take()));
    }

    /// Messages that mean nothing to us are counted.
    fn ignore(&mut self, id: Id, messages: u64) {
        if let Some(unit) = self.unit_mut(id) {
            unit.ignored_messages = unit.ignored_messages.saturating_add(messages);
        }
    }

    /// A fault that a service told us, or showed on its channel. One that does so all the time is quoted now
    /// and then only: the files hold other services' events, too.
    pub(super) fn complain(&mut self, id: Id, fault: &str) {
        let now = self.now;
        let Some(unit) = self.unit_mut(id) else { return };
        let Some(present) = &mut unit.present else { return };
        if present.quoted_by.is_some_and(|at| now.instant < at) {
            return;
        }
        present.quoted_by = Some(later(now.instant, QUOTE_AFTER));
        ::log::warn!("{}: {fault}", unit.plan.id);
        unit.fault(fault, now);
        self.tell_error(id, fault);
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
                let line = quote(&error);
                if let Some(present) = &mut unit.present {
                    present.said_why = true;
                }
                unit.last_error = Some(line.as_str().into());
                self.complain(id, &line);
            }
            FromService::HealthCheckResponse { healthy, reason, .. } => {
                // Only a question makes an answer worth telling.
                let on_channel = unit.plan.health_probe.is_none();
                if on_channel && self.roster.get(id).is_some_and(Service::is_asked) {
                    let reason = reason.as_deref().map(quote);
                    self.heed_health(id, Event::Answered { healthy }, reason.as_deref());
                } else {
                    self.ignore(id, 1);
                }
            }
            FromService::ProcessMetrics { metrics, .. } => {
                unit.metrics = Some(Box::new(metrics));
                let is_busy = metrics.in_flight.is_some_and(|count| count > 0.0);
                self.roster.on(id, Event::Busy(is_busy), now.instant, &mut self.todo);
                self.heed_usage(id, &metrics);
                let Some(unit) = self.unit_mut(id) else { return };
                let Some(present) = &mut unit.present else { return };
                // Figures that nobody asked for are shown, but not written each time.
                if present.metered_by.is_none_or(|at| now.instant >= at) {
                    present.metered_by = Some(later(now.instant, QUOTE_AFTER));
                    unit.touch(now);
                }
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
        if healthy {
            self.note_well(id);
        }
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
            Said::Done(Purpose::Tell | Purpose::Finish, _) => {}
            Said::Drained(id, tail) => {
                if let Some(unit) = self.unit_mut(id) {
                    unit.drained_by = None;
                    unit.last_lines(&tail, now);
                }
            }
            Said::Degraded(0, _) => {
                ::log::warn!("the disk takes files again");
                self.degraded = None;
                self.relieve(None, &[Kind::Disk], "the disk takes files again");
            }
            Said::Degraded(errno, path) => {
                let reason = crate::sys::own::reason(&std::io::Error::from_raw_os_error(errno));
                let words = format!("cannot write {path}: {reason}");
                ::log::error!("running from memory: {words}");
                self.alert(None, Level::Error, Kind::Disk, &words);
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

/// A service's words in one line of bounded length.
pub(super) fn quote(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTE_CHARS_MAX).collect()
}
