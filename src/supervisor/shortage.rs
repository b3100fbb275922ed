//! Times in which the machine has no process, memory or descriptor to spare: the supervisor's trouble, told once,
//! and no failure of the services that have to wait. When they are tried again is decided in `life`.

use std::time::{Duration, Instant};

use crate::life::roster::Id;
use crate::life::service::later;

use super::Supervisor;

/// A shortage is over once nothing was lacking for so long.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// Something is lacking.
#[derive(Debug)]
pub(super) struct Shortage {
    /// What, in one line.
    words: Box<str>,
    /// When it was last lacking.
    last: Instant,
}

impl Supervisor {
    /// A service's process could not be made just now.
    pub(super) fn lacks(&mut self, id: Id, error: &str) {
        let now = self.now;
        if let Some(unit) = self.unit_mut(id)
            && unit.last_error.as_deref() != Some(error)
        {
            unit.fault(error, now);
        }
        if self.shortage_now().is_none() {
            ::log::error!("{}: {error}: tried again every second", self.name(id));
            self.tell_error(id, error);
        }
        self.shortage = Some(Shortage { words: error.into(), last: now.instant });
    }

    /// A process was made.
    pub(super) fn made_one(&mut self) {
        if self.shortage.is_some() && self.shortage_now().is_none() {
            ::log::warn!("processes can be made again");
            self.shortage = None;
        }
    }

    /// What is lacking these days.
    pub(super) fn shortage_now(&self) -> Option<Box<str>> {
        let shortage = self.shortage.as_ref()?;
        (self.now.instant < later(shortage.last, OVER_AFTER)).then(|| shortage.words.clone())
    }
}
