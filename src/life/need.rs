//! What a service needs of another before it starts. Values, and whether a need is met; who is asked is the
//! matter of the roster.

use super::policy::Kind;
use super::roster::Id;
use super::service::Service;
use super::state::{State, Want};

/// How far another service has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It has a process.
    Started,
    /// It is ready; a task is when it has completed.
    Ready,
    /// It has ended well.
    Completed,
}

/// One need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Which service.
    pub(crate) of: Id,
    /// How far it has to be.
    pub(crate) condition: Condition,
}

/// How a need stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// It is met.
    Met,
    /// It may be met by itself.
    Coming,
    /// It is not met unless somebody does something.
    Lost,
}

impl Service {
    /// How a need of this service stands.
    pub(super) fn stand(&self, condition: Condition) -> Stand {
        let met = match (condition, self.policy.kind) {
            (Condition::Started, Kind::Daemon) => self.is_started(),
            (Condition::Started, Kind::Task) => self.is_started() || self.has_completed(),
            (Condition::Ready, Kind::Daemon) => self.state.is_up(),
            (Condition::Ready, Kind::Task) | (Condition::Completed, Kind::Daemon | Kind::Task) => {
                self.has_completed()
            }
        };
        match (met, self.want, self.state) {
            (true, _, _) => Stand::Met,
            (false, Want::Down, _) | (false, Want::Up, State::Failed | State::Blocked { .. }) => Stand::Lost,
            (
                false,
                Want::Up,
                State::Stopped
                | State::Listening { .. }
                | State::Waiting { .. }
                | State::Preparing { .. }
                | State::Spawning
                | State::Starting { .. }
                | State::Running { .. }
                | State::Leaving { .. }
                | State::Stopping { .. }
                | State::Sweeping { .. }
                | State::Backoff { .. },
            ) => Stand::Coming,
        }
    }

    /// Whether it has a process that nobody is ending, or gets one as soon as somebody connects.
    const fn is_started(&self) -> bool {
        matches!(self.state, State::Starting { .. } | State::Running { .. } | State::Listening { .. })
    }

    /// Whether it has ended well, by itself, and was not started since.
    pub(crate) const fn has_completed(&self) -> bool {
        self.completed && matches!(self.state, State::Stopped)
    }
}
