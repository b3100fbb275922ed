//! How long to wait before a restart, and when to give up. Pure arithmetic; no clock, no random source.

use std::time::Duration;

use super::policy::BackoffPolicy;

/// Failures in a row so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Restarts asked for since the service was last well.
    tries: u32,
}

impl Backoff {
    /// The delay before the next start, after a life of `lived`; `None` when it is time to give up.
    /// `random` is 0 to 1.
    pub(crate) fn after(&mut self, policy: &BackoffPolicy, lived: Duration, random: f64) -> Option<Duration> {
        if lived >= policy.forget_after {
            self.tries = 0;
        }
        if policy.tries.is_some_and(|most| self.tries >= most) {
            return None;
        }
        let delay = delay(policy, self.tries, random);
        self.tries = self.tries.saturating_add(1);
        Some(delay)
    }

    /// The same where it is tried on: longer than the one before, and never the end.
    pub(crate) fn longer(&mut self, policy: &BackoffPolicy, lived: Duration, random: f64) -> Duration {
        let endless = BackoffPolicy { tries: None, ..*policy };
        self.after(&endless, lived, random).unwrap_or(policy.longest)
    }

    /// Forgets all failures: somebody asked for a start.
    pub(crate) const fn forget(&mut self) {
        self.tries = 0;
    }
}

/// `first * factor^tries`, at most `longest`, plus a random share of at most `jitter`.
fn delay(policy: &BackoffPolicy, tries: u32, random: f64) -> Duration {
    let exponent = i32::try_from(tries).unwrap_or(i32::MAX);
    let longest = policy.longest.max(policy.first).as_secs_f64();
    // Not infinity: times a first delay of 0 that would be no number.
    let growth = policy.factor.powi(exponent).min(f64::MAX);
    let grown = (policy.first.as_secs_f64() * growth).clamp(0.0, longest);
    let share = 1.0 + policy.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(grown * share).unwrap_or(policy.longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy {
        first: Duration::from_secs(1),
        factor: 2.0,
        longest: Duration::from_secs(5),
        jitter: 0.1,
        tries: Some(4),
        forget_after: Duration::from_mins(1),
    };

    #[test]
    fn delays_grow_to_the_longest_and_then_it_gives_up() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> =
            std::iter::from_fn(|| backoff.after(&POLICY, Duration::ZERO, 0.0)).map(|d| d.as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5]);
    }

    #[test]
    fn only_sustained_uptime_forgets() {
        let mut backoff = Backoff::default();
        for _ in 0..4 {
            assert!(backoff.after(&POLICY, Duration::from_secs(59), 0.0).is_some());
        }
        assert_eq!(backoff.after(&POLICY, Duration::from_secs(59), 0.0), None);
        assert_eq!(backoff.after(&POLICY, Duration::from_mins(1), 0.0), Some(Duration::from_secs(1)));
    }

    #[test]
    fn jitter_only_adds_and_nothing_overflows() {
        let policy = BackoffPolicy { tries: None, factor: 100.0, ..POLICY };
        let mut backoff = Backoff::default();
        for random in [0.0, 0.5, 1.0] {
            for _ in 0..2_000 {
                let delay = backoff.after(&policy, Duration::ZERO, random).unwrap();
                assert!(delay >= policy.first && delay <= policy.longest.mul_f64(1.1), "{delay:?}");
            }
        }
        let at_once = BackoffPolicy { first: Duration::ZERO, ..policy };
        assert_eq!(Backoff { tries: u32::MAX }.after(&at_once, Duration::ZERO, 1.0), Some(Duration::ZERO));
    }
}
