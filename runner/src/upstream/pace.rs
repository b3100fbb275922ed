//! How many calls at a time and how many in a time: what comes too early waits. Nothing is sent here.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::config::Rate;

/// The pace of calls to one upstream.
#[derive(Debug)]
pub(super) struct Pace {
    /// Places for calls that are under way.
    places: Semaphore,
    /// So many in a time, where that is said.
    bucket: Option<Bucket>,
}

/// Lets calls through in bursts of so many, and then in their rhythm.
#[derive(Debug)]
struct Bucket {
    /// Between two calls, in the long run.
    interval: Duration,
    /// How far ahead of their rhythm calls may be.
    ahead_max: Duration,
    /// When the rhythm has the next one.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Nothing is under way yet.
    pub(super) fn new(concurrency: usize, rate: Option<Rate>) -> Self {
        let bucket = rate.map(|rate| {
            let interval = rate.per / rate.calls.max(1);
            Bucket { interval, ahead_max: rate.per.saturating_sub(interval), next: Mutex::new(None) }
        });
        Self { places: Semaphore::new(concurrency), bucket }
    }

    /// Waits for a call's turn. The place is its own until it is done.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.ok();
        if let Some(bucket) = &self.bucket {
            tokio::time::sleep_until(bucket.take(Instant::now())).await;
        }
        place
    }
}

impl Bucket {
    /// Takes the next turn, and says when it is.
    fn take(&self, now: Instant) -> Instant {
        let Ok(mut next) = self.next.lock() else {
            return now;
        };
        let due = next.unwrap_or(now).max(now);
        *next = Some(due + self.interval);
        due.checked_sub(self.ahead_max).map_or(now, |turn| turn.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rhythm_rules() {
        let rate = Rate { calls: 3, per: Duration::from_secs(3) };
        let Pace { bucket: Some(bucket), .. } = Pace::new(1, Some(rate)) else { panic!() };
        let start = Instant::now() + Duration::from_mins(1);
        let waits: Vec<u64> = (0..5).map(|_| (bucket.take(start) - start).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 1, 2]);
        // After a rest a burst passes again.
        let later = start + Duration::from_mins(1);
        let waits: Vec<u64> = (0..4).map(|_| (bucket.take(later) - later).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 1]);
    }

    #[tokio::test]
    async fn so_many_at_a_time_and_no_more() {
        let pace = Pace::new(2, None);
        let held = (pace.turn().await, pace.turn().await);
        assert!(tokio::time::timeout(Duration::from_millis(5), pace.turn()).await.is_err());
        drop(held);
        assert!(pace.turn().await.is_some());
    }
}
