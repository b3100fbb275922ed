//! A bound on how often something happens, for all services together. Pure arithmetic; the time is an argument.

use std::time::{Duration, Instant};

use super::service::later;

/// At most so many a second, and as many at once after a second of rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// From one to the next.
    every: Duration,
    /// How far ahead of its time the next one may be.
    slack: Duration,
    /// When the next one would be if they came evenly.
    even_at: Option<Instant>,
}

impl Rate {
    /// So many a second, at least one.
    pub(crate) fn per_second(count: u32) -> Self {
        let every = Duration::from_secs(1).checked_div(count.max(1)).unwrap_or(Duration::from_secs(1));
        Self { every, slack: Duration::from_secs(1).saturating_sub(every), even_at: None }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.free_at().is_some_and(|at| now < at) {
            return false;
        }
        let even_at = self.even_at.map_or(now, |at| at.max(now));
        self.even_at = Some(later(even_at, self.every));
        true
    }

    /// When there is one again; `None`, or a time in the past, when there is one.
    pub(crate) fn free_at(&self) -> Option<Instant> {
        self.even_at.and_then(|at| at.checked_sub(self.slack))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some time to begin with")]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_as_many_as_it_may_and_the_first_one_twice() {
        let start = Instant::now() + Duration::from_mins(1);
        let mut rate = Rate::per_second(50);
        let at_once = (0..1_000).filter(|_| rate.take(start)).count();
        assert_eq!(at_once, 50);
        let mut taken = 0;
        let mut now = start;
        while now < start + Duration::from_secs(10) {
            taken += u32::from(rate.take(now));
            now = rate.free_at().unwrap().max(now + Duration::from_micros(1));
        }
        assert!((495..=505).contains(&taken), "{taken}");
        // Rest is not saved up.
        let later = now + Duration::from_hours(1);
        assert_eq!((0..1_000).filter(|_| rate.take(later)).count(), 50);
    }
}
