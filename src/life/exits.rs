//! What an exit means: well, badly, or so badly that a restart cannot help. Values and one judgement; what
//! follows from it is decided in `ending`.

use super::policy::{Exit, Kind, OnExit};

/// A set of numbers from 0 to 255: exit codes, or signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers([u64; 4]);

impl Numbers {
    /// These and no others; a number beyond 255 is none.
    pub(crate) fn of(numbers: &[i32]) -> Self {
        let mut set = Self::default();
        for number in numbers {
            if let Some((word, bit)) = place(*number)
                && let Some(word) = set.0.get_mut(word)
            {
                *word |= bit;
            }
        }
        set
    }

    /// Whether it is one of them.
    pub(crate) fn has(self, number: i32) -> bool {
        place(number).is_some_and(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }
}

/// Where a number's bit is.
fn place(number: i32) -> Option<(usize, u64)> {
    let number = u8::try_from(number).ok()?;
    Some((usize::from(number >> 6), 1 << (number & 63)))
}

/// Which exits are good ones, and which are for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exits {
    /// Codes that mean success, beside 0.
    pub(crate) good_codes: Numbers,
    /// Signals whose death means that nothing went wrong.
    pub(crate) good_signals: Numbers,
    /// Codes after which it is not started again.
    pub(crate) permanent_codes: Numbers,
}

/// What an exit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It did what it was there for.
    Well,
    /// It failed.
    Badly,
    /// It failed, and says itself that another try cannot help.
    ForGood,
}

impl Exits {
    /// What an exit of this kind of service means. Somebody's SIGTERM is a polite way to end a daemon, and
    /// leaves a task undone.
    pub(crate) fn meaning(&self, exit: Exit, kind: Kind) -> Meaning {
        match exit {
            Exit::Code(code) if self.permanent_codes.has(code) => Meaning::ForGood,
            Exit::Code(code) if code == 0 || self.good_codes.has(code) => Meaning::Well,
            Exit::Signal { number, .. } if self.good_signals.has(number) => Meaning::Well,
            Exit::Signal { number, core: false } if kind == Kind::Daemon && is_polite(number) => {
                Meaning::Well
            }
            Exit::Code(_) | Exit::Signal { .. } => Meaning::Badly,
        }
    }
}

/// Signals by which people and programs ask a daemon to end: HUP, INT, TERM.
const fn is_polite(number: i32) -> bool {
    matches!(number, 1 | 2 | 15)
}

/// The exit code of the whole when a service's end ends it; `None` when it does not.
pub(super) fn of_the_whole(policy: OnExit, exit: Option<Exit>, failed: bool) -> Option<u8> {
    let code = match exit {
        None => 1,
        Some(Exit::Code(code)) => u8::try_from(code & 255).unwrap_or(1),
        Some(Exit::Signal { number, .. }) => u8::try_from(number).unwrap_or(0).saturating_add(128),
    };
    // One that failed with a good code (it was not ready, or not well) has failed all the same.
    let code = if failed { code.max(1) } else { code };
    match policy {
        OnExit::Nothing => None,
        OnExit::Shutdown => Some(code),
        OnExit::ShutdownOnFailure => failed.then_some(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal { number: 9, core: false };

    #[test]
    fn an_exit_means_what_the_policy_says() {
        let exits = Exits {
            good_codes: Numbers::of(&[3, 255]),
            good_signals: Numbers::of(&[10]),
            permanent_codes: Numbers::of(&[125]),
        };
        let signal = |number| Exit::Signal { number, core: false };
        for (exit, meaning) in [
            (Exit::Code(0), Meaning::Well),
            (Exit::Code(3), Meaning::Well),
            (Exit::Code(255), Meaning::Well),
            (Exit::Code(1), Meaning::Badly),
            (Exit::Code(125), Meaning::ForGood),
            (signal(10), Meaning::Well),
            (signal(15), Meaning::Well),
            (Exit::Signal { number: 15, core: true }, Meaning::Badly),
            (KILLED, Meaning::Badly),
        ] {
            assert_eq!(exits.meaning(exit, Kind::Daemon), meaning, "{exit:?}");
        }
        assert_eq!(exits.meaning(signal(15), Kind::Task), Meaning::Badly);
        assert!(!Numbers::of(&[256, -1]).has(0) && !exits.good_codes.has(259));
    }

    #[test]
    fn the_whole_ends_as_its_service_did() {
        let of = of_the_whole;
        assert_eq!(of(OnExit::Nothing, Some(Exit::Code(7)), true), None);
        assert_eq!(of(OnExit::Shutdown, Some(Exit::Code(7)), false), Some(7));
        assert_eq!(of(OnExit::Shutdown, Some(KILLED), true), Some(137));
        assert_eq!(of(OnExit::Shutdown, Some(Exit::Code(0)), true), Some(1));
        assert_eq!(of(OnExit::Shutdown, None, true), Some(1));
        assert_eq!(of(OnExit::ShutdownOnFailure, Some(Exit::Code(0)), false), None);
        assert_eq!(of(OnExit::ShutdownOnFailure, Some(Exit::Code(2)), true), Some(2));
    }
}
