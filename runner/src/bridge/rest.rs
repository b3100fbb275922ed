//! How long a bridged server rests before it is started again. Numbers only; nobody sleeps here.

use std::time::Duration;

/// A server that lived this long is started again at once.
pub(super) const SOUND_LIFE: Duration = Duration::from_secs(5);

/// The first rest after a short life; each further one is twice as long.
const REST: Duration = Duration::from_millis(250);

/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(30);

/// The rest after so many short lives in a row.
pub(super) fn rest(short_lives: u32) -> Duration {
    match short_lives.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => REST.saturating_mul(1 << doublings.min(8)).min(REST_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_a_bound_and_a_sound_life_needs_none() {
        let rests: Vec<u128> = (0..12).map(|lives| rest(lives).as_millis()).collect();
        assert_eq!(rests, [0, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000]);
        assert_eq!(rest(u32::MAX), REST_MAX);
    }
}
