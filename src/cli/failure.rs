//! How a command ends when it does not end well: one line for a person, one number for a script. Nothing is
//! printed here.

use std::fmt::{self, Display, Formatter};
use std::io;

use crate::control::client::ClientError;
use crate::sys::own::reason;

/// All went well.
pub(super) const OK: u8 = 0;
/// What was asked for was not done, or is not so.
pub(super) const FAILED: u8 = 1;
/// LSB, `status` of one service: it is not running.
pub(super) const NOT_RUNNING: u8 = 3;
/// LSB, `status` of one service: there is no such service; `health`: there is no answer.
pub(super) const UNKNOWN: u8 = 4;
/// `health`: a service has more memory than its threshold.
pub(super) const MEMORY: u8 = 2;
/// `health`: a service uses more processor time than its threshold.
pub(super) const CPU: u8 = 3;
/// `EX_USAGE`: the command line makes no sense.
pub(super) const USAGE: u8 = 64;
/// `EX_UNAVAILABLE`: there is no supervisor, or it does not answer.
pub(super) const UNAVAILABLE: u8 = 69;
/// LSB, of an action: it is there, and not for this user.
pub(super) const REFUSED: u8 = UNKNOWN;
/// `EX_NOPERM`: a file is there, and not for this user.
pub(super) const NO_PERMISSION: u8 = 77;
/// `EX_CONFIG`: the configuration has a problem.
pub(super) const CONFIGURATION: u8 = 78;

/// `run`: another supervisor is there already.
pub(super) const SECOND: u8 = 100;
/// `run`: the system does not let it.
pub(super) const SYSTEM: u8 = 111;

/// Why a command ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) code: u8,
    /// One line, or nothing when all is said already.
    pub(super) text: String,
}

impl Failure {
    /// Code and line.
    pub(super) fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The command line makes no sense.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(USAGE, text)
    }

    /// All is said already.
    pub(super) const fn silent(code: u8) -> Self {
        Self { code, text: String::new() }
    }

    /// A file could not be read: `cannot read OBJECT: REASON`.
    pub(super) fn reading(object: impl Display, error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::PermissionDenied { NO_PERMISSION } else { FAILED };
        Self::new(code, format!("cannot read {object}: {}", reason(error)))
    }

    /// The answer could not be printed. A reader that has seen enough is no failure.
    pub(super) fn printing(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::silent(OK);
        }
        Self::new(FAILED, format!("cannot print the answer: {}", reason(error)))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                REFUSED
            }
            ClientError::Connect { .. }
            | ClientError::Talk(_)
            | ClientError::Late(_)
            | ClientError::Closed
            | ClientError::Garbage(_) => UNAVAILABLE,
            ClientError::TooLong => USAGE,
        };
        Self::new(code, error.to_string())
    }
}
