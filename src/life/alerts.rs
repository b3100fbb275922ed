//! Which alerts are told: the same one of the same service not twice within its time, the end of a trouble once. No
//! clock and no file: what is raised and the time come in, a verdict goes out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::roster::Id;
use super::service::later;

/// How grave an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Level {
    /// Good to know.
    Info,
    /// It works, and may not for long.
    Warning,
    /// Something does not work, and something is done about it.
    Error,
    /// Nothing more is done about it: a person has to.
    Critical,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// More memory than its threshold.
    Memory,
    /// More processor time than its threshold.
    Cpu,
    /// It failed its health checks, or its watchdog.
    Unhealthy,
    /// It ended, and is started again.
    Restarted,
    /// It is not started again by its restart policy.
    GaveUp,
    /// A trouble that was told is over.
    Recovered,
    /// An update went well, or did not.
    Update,
    /// The disk takes nothing.
    Disk,
}

impl Kind {
    /// The event that tells it.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Memory => "alert.memory",
            Self::Cpu => "alert.cpu",
            Self::Unhealthy => "alert.unhealthy",
            Self::Restarted => "alert.restarted",
            Self::GaveUp => "alert.gave-up",
            Self::Recovered => "alert.recovered",
            Self::Update => "alert.update",
            Self::Disk => "alert.disk",
        }
    }
}

/// What makes two alerts the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The service; none: the supervisor.
    pub(crate) about: Option<Id>,
    /// What it is about.
    pub(crate) kind: Kind,
    /// How grave it is.
    pub(crate) level: Level,
}

/// What is remembered of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// It is not told again before.
    pub(crate) quiet_until: Instant,
    /// So often it was not told since it was.
    pub(crate) suppressed: u64,
    /// Whether its end is still to be told.
    pub(crate) stands: bool,
}

/// What becomes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is told.
    Tell {
        /// So often it was not, since it last was.
        suppressed: u64,
    },
    /// It is only counted.
    Suppress,
}

/// All that were told and are not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Alerts(BTreeMap<Key, Memory>);

impl Alerts {
    /// Something is to be told, and not the same again before `repeat_after`.
    pub(crate) fn raise(&mut self, key: Key, repeat_after: Duration, now: Instant) -> Verdict {
        let known = self.0.get_mut(&key);
        if let Some(memory) = known
            && now < memory.quiet_until
        {
            memory.suppressed = memory.suppressed.saturating_add(1);
            return Verdict::Suppress;
        }
        let quiet_until = later(now, repeat_after);
        let stands = key.level > Level::Info;
        let before = self.0.insert(key, Memory { quiet_until, suppressed: 0, stands });
        Verdict::Tell { suppressed: before.map_or(0, |memory| memory.suppressed) }
    }

    /// Whether this would not be told now.
    pub(crate) fn is_quiet(&self, key: Key, now: Instant) -> bool {
        self.0.get(&key).is_some_and(|memory| now < memory.quiet_until)
    }

    /// A trouble is over: whether that is to be told, because the trouble was and its end was not.
    pub(crate) fn relieve(&mut self, about: Option<Id>, kind: Kind) -> bool {
        let key = |level| Key { about, kind, level };
        let mut stood = false;
        for (_, memory) in self.0.range_mut(key(Level::Info)..=key(Level::Critical)) {
            stood |= std::mem::take(&mut memory.stands);
        }
        stood
    }

    /// A service is gone for good.
    pub(crate) fn forget(&mut self, about: Id) {
        self.0.retain(|key, _| key.about != Some(about));
    }

    /// What an earlier supervisor remembered.
    pub(crate) fn recall(&mut self, key: Key, memory: Memory) {
        self.0.insert(key, memory);
    }

    /// All that still means anything; the rest is forgotten.
    pub(crate) fn remembered(&mut self, now: Instant) -> impl Iterator<Item = (Key, Memory)> + '_ {
        self.0.retain(|_, memory| now < memory.quiet_until || memory.stands || memory.suppressed > 0);
        self.0.iter().map(|(key, memory)| (*key, *memory))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's clock begins somewhere")]
mod tests {
    use super::*;
    use crate::life::lives::Dice;

    const KINDS: [Kind; 8] = [
        Kind::Memory,
        Kind::Cpu,
        Kind::Unhealthy,
        Kind::Restarted,
        Kind::GaveUp,
        Kind::Recovered,
        Kind::Update,
        Kind::Disk,
    ];
    const LEVELS: [Level; 4] = [Level::Info, Level::Warning, Level::Error, Level::Critical];
    const REPEAT: Duration = Duration::from_mins(5);

    fn key(about: u32, kind: Kind, level: Level) -> Key {
        Key { about: Some(Id(about)), kind, level }
    }

    #[test]
    fn the_same_is_told_again_after_its_time_with_a_count_and_its_end_once() {
        let (mut alerts, start) = (Alerts::default(), Instant::now());
        let memory = key(1, Kind::Memory, Level::Warning);
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(alerts.raise(memory, REPEAT, at(0)), Verdict::Tell { suppressed: 0 });
        assert_eq!(alerts.raise(memory, REPEAT, at(299)), Verdict::Suppress);
        assert!(alerts.relieve(Some(Id(1)), Kind::Memory));
        assert!(!alerts.relieve(Some(Id(1)), Kind::Memory), "an end is told once");
        assert_eq!(alerts.raise(memory, REPEAT, at(299)), Verdict::Suppress);
        assert!(!alerts.relieve(Some(Id(1)), Kind::Memory), "so is that of a trouble that was not told");
        assert!(alerts.is_quiet(memory, at(299)) && !alerts.is_quiet(memory, at(300)));
        assert_eq!(alerts.raise(memory, REPEAT, at(300)), Verdict::Tell { suppressed: 2 });
        for other in [key(2, Kind::Memory, Level::Warning), key(1, Kind::Cpu, Level::Warning)] {
            assert_eq!(alerts.raise(other, REPEAT, at(300)), Verdict::Tell { suppressed: 0 });
        }
        let worse = key(1, Kind::Memory, Level::Critical);
        assert_eq!(alerts.raise(worse, REPEAT, at(300)), Verdict::Tell { suppressed: 0 });
        assert_eq!(
            alerts.raise(key(1, Kind::Update, Level::Info), REPEAT, at(1)),
            Verdict::Tell { suppressed: 0 }
        );
        assert!(!alerts.relieve(Some(Id(1)), Kind::Update), "good news have no end");
        alerts.forget(Id(1));
        assert_eq!(alerts.remembered(at(300)).count(), 1);
        assert_eq!(alerts.remembered(at(3000)).count(), 1, "its end is still to be told");
    }

    /// Ten thousand faults of twenty kinds, against the rule written down as it is said; what is remembered goes
    /// through a copy now and then, as if the supervisor were another.
    #[test]
    fn a_storm_gives_exactly_the_alerts_of_the_rule() {
        let mut dice = Dice(77);
        let mut now = Instant::now();
        let mut alerts = Alerts::default();
        let all: Vec<Key> = (0..20).map(|n| key(u32::from(n > 9), KINDS[n % 8], LEVELS[n % 4])).collect();
        let mut told: BTreeMap<Key, (Instant, u64)> = BTreeMap::new();
        let (mut tells, mut suppressed) = (0_u64, 0_u64);
        for _ in 0..10_000 {
            let key = all[usize::try_from(dice.roll(20)).unwrap()];
            let verdict = alerts.raise(key, REPEAT, now);
            match told.get_mut(&key) {
                Some((last, count)) if now - *last < REPEAT => {
                    *count += 1;
                    suppressed += 1;
                    assert_eq!(verdict, Verdict::Suppress);
                }
                other => {
                    assert_eq!(verdict, Verdict::Tell { suppressed: other.map_or(0, |(_, count)| *count) });
                    told.insert(key, (now, 0));
                    tells += 1;
                }
            }
            now += dice.ms(500);
            if dice.roll(100) == 0 {
                let memory: Vec<_> = alerts.remembered(now).collect();
                alerts = Alerts::default();
                for (key, memory) in memory {
                    alerts.recall(key, memory);
                }
            }
        }
        assert_eq!(tells + suppressed, 10_000);
        assert!((100..250).contains(&tells), "{tells}");
    }
}
