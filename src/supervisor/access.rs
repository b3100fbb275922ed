//! What clients are refused because of who they are: said to them, and told as an event. What they may is decided
//! in `control`.

use std::time::{Duration, Instant};

use crate::control::access::{self, EXIT_REFUSED};
use crate::control::server::ClientId;
use crate::control::wire::Request;
use crate::life::service::later;

use super::Supervisor;
use super::events::Event;

/// Whoever asks again and again is told of this often.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// What was refused lately.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// None is told until then.
    quiet_until: Option<Instant>,
    /// Those that were not told.
    untold: u64,
}

impl Supervisor {
    /// Whether a client may ask for this; it is refused if not.
    pub(super) fn may(&mut self, client: ClientId, request: &Request) -> bool {
        let (level, what) = access::needed(&request.order);
        if self.clients.level(client).is_some_and(|granted| granted >= level) {
            return true;
        }
        let uid = self.clients.uid(client).unwrap_or(u32::MAX);
        let error = format!("cannot {what}: user {uid} may not, says control of mcp-init.json");
        self.refuse(client, request.id, error, EXIT_REFUSED);
        self.tell_refused(uid, what);
        false
    }

    /// Tells of those who were turned away at the door.
    pub(super) fn tell_turned_away(&mut self) {
        for uid in self.clients.take_turned_away() {
            self.tell_refused(uid, "connect");
        }
    }

    /// Tells that somebody was refused something, but not without end.
    fn tell_refused(&mut self, uid: u32, what: &str) {
        let now = self.now;
        if self.refusals.quiet_until.is_some_and(|until| now.instant < until) {
            self.refusals.untold = self.refusals.untold.saturating_add(1);
            return;
        }
        let untold = std::mem::take(&mut self.refusals.untold);
        self.refusals.quiet_until = Some(later(now.instant, TELL_AFTER));
        let before = if untold > 0 { format!(" ({untold} more before that)") } else { String::new() };
        let summary = format!("user {uid} may not {what}{before}");
        ::log::warn!("refused: {summary}");
        let event = "control.refused";
        let time = now.stamp.to_string();
        self.tell(&Event { time, event, uid: Some(uid), summary: Some(&summary), ..Event::default() });
    }
}
