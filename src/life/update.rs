//! The update of a service as a course of steps. Each is written down before it is done, so that whoever comes after a
//! crash knows what may be half done. No file and no process: what became of a step comes in, the next one goes out.
//!
//! ```text
//!   Backup ──► Apply ──► Probation ──► Record          the new version
//!     │          │           │
//!     ▼          └─────┬─────┘
//!    kept              ▼
//!                   Rollback ──► Return ──► Pin        the old version
//! ```

use serde::{Deserialize, Serialize};

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// The configuration is copied.
    Backup,
    /// The new version is put in place.
    Apply,
    /// It is started, and has to be well for a time.
    Probation,
    /// It is noted as the one that is installed.
    Record,
    /// The old version is put in place again, and the old configuration.
    Rollback,
    /// It is started, and has to be well.
    Return,
    /// The new version is noted as one that is not tried again.
    Pin,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another step.
    Step(Step),
    /// It is over.
    End(End),
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The new version is there.
    Updated,
    /// Nothing was changed.
    Kept,
    /// The old version is there again.
    Back,
    /// The old version could not be put back, or is not well: a person has to look.
    Stuck,
}

impl Step {
    /// What follows a step that was done well, or was not.
    pub(crate) const fn after(self, well: bool) -> Next {
        match (self, well) {
            (Self::Backup, true) => Next::Step(Self::Apply),
            (Self::Backup, false) => Next::End(End::Kept),
            (Self::Apply, true) => Next::Step(Self::Probation),
            (Self::Probation, true) => Next::Step(Self::Record),
            (Self::Apply | Self::Probation, false) => Next::Step(Self::Rollback),
            (Self::Record, _) => Next::End(End::Updated),
            (Self::Rollback, true) => Next::Step(Self::Return),
            (Self::Rollback | Self::Return, false) => Next::End(End::Stuck),
            (Self::Return, true) => Next::Step(Self::Pin),
            (Self::Pin, _) => Next::End(End::Back),
        }
    }

    /// What is done when whoever did this step has died in it. What may be half applied is rolled back; all else can
    /// be done twice.
    pub(crate) const fn resumed(self) -> Next {
        match self {
            Self::Backup => Next::End(End::Kept),
            Self::Apply => Next::Step(Self::Rollback),
            Self::Probation | Self::Record | Self::Rollback | Self::Return | Self::Pin => Next::Step(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on the disk.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Files {
        Old,
        New,
        Between,
    }

    /// Does a step, all of it or half of it.
    fn act(step: Step, whole: bool, files: &mut Files) {
        match step {
            Step::Apply => *files = if whole { Files::New } else { Files::Between },
            Step::Rollback => *files = if whole { Files::Old } else { Files::Between },
            Step::Backup | Step::Probation | Step::Record | Step::Return | Step::Pin => {}
        }
    }

    /// Lives through a course: each choice says whether a step goes well, fails, or is cut off by a death.
    fn live(choices: &mut dyn FnMut() -> u8) -> (End, Files) {
        let (mut step, mut files) = (Step::Backup, Files::Old);
        loop {
            let next = match choices() {
                0 => {
                    act(step, true, &mut files);
                    step.after(true)
                }
                1 => {
                    // To fail to put a version in place may leave anything there.
                    act(step, false, &mut files);
                    step.after(false)
                }
                // Before the step, in it, and after it.
                death => {
                    if death > 2 {
                        act(step, death > 3, &mut files);
                    }
                    step.resumed()
                }
            };
            match next {
                Next::Step(next) => step = next,
                Next::End(end) => return (end, files),
            }
        }
    }

    #[test]
    fn wherever_it_is_cut_off_it_ends_in_old_or_new_and_says_which() {
        let mut ends = [0_u32; 4];
        for seed in 1..200_000_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let (end, files) = live(&mut || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                u8::try_from(state % 7).unwrap().saturating_sub(2)
            });
            let (wanted, place) = match end {
                End::Updated => (Files::New, 0),
                End::Kept => (Files::Old, 1),
                End::Back => (Files::Old, 2),
                End::Stuck => (files, 3),
            };
            assert_eq!(files, wanted, "{end:?}");
            ends[place] += 1;
        }
        assert!(ends.iter().all(|count| *count > 100), "{ends:?}");
    }
}
