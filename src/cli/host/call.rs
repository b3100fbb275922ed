//! A command of the host that an init is told something by. What it means is the init's concern.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::super::failure::{FAILED, Failure};
use crate::life::service::later;
use crate::sys::clock;
use crate::sys::own::reason;
use crate::sys::wait::pause;

/// Between two attempts of a command that an init may not be ready for.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Lines of what it said that are told.
const LINES_MAX: usize = 3;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The program and its arguments.
    argv: Vec<String>,
    /// For so long it is tried again.
    patience: Duration,
}

/// A command of these words.
pub(super) fn call(words: &[&str]) -> Call {
    Call { argv: words.iter().map(|word| (*word).to_owned()).collect(), patience: Duration::ZERO }
}

impl Call {
    /// The same, tried again for so long.
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What a person would type.
    pub(super) fn typed(&self) -> String {
        self.argv.join(" ")
    }

    /// Runs it.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let end = later(clock::now().instant, self.patience);
        loop {
            match (self.once(), clock::now().instant < end) {
                (Ok((status, _)), _) if status.success() => return Ok(()),
                (Ok(_) | Err(_), true) => pause(AGAIN_AFTER),
                (Ok((status, said)), false) => return Err(self.failure(&ended(status, &said))),
                (Err(error), false) => return Err(self.failure(&reason(&error))),
            }
        }
    }

    /// Whether it ends well.
    pub(super) fn succeeds(&self) -> bool {
        self.once().is_ok_and(|(status, _)| status.success())
    }

    /// Runs it once: how it ended, and what it said. What it leaves running may keep its output open, so that is a
    /// file and no pipe.
    fn once(&self) -> io::Result<(ExitStatus, String)> {
        let Some((program, arguments)) = self.argv.split_first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut said = File::from(memfd_create("said", MFdFlags::MFD_CLOEXEC)?);
        let status = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?)
            .status()?;
        let mut text = Vec::new();
        said.rewind()?;
        said.read_to_end(&mut text)?;
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }

    /// It did not end well.
    fn failure(&self, why: &str) -> Failure {
        Failure::new(FAILED, format!("cannot run \"{}\": {why}", self.typed()))
    }
}

/// How it ended, and the last that it said.
fn ended(status: ExitStatus, said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LINES_MAX)..).unwrap_or_default();
    if last.is_empty() { status.to_string() } else { format!("{status}: {}", last.join(" | ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_told_with_its_last_words() {
        assert!(call(&["true"]).succeeds());
        let failure = call(&["sh", "-c", "echo one; echo two >&2; exit 3"]).run().unwrap_err();
        assert_eq!(
            failure.text,
            "cannot run \"sh -c echo one; echo two >&2; exit 3\": exit status: 3: one | two"
        );
        let failure = call(&["/nowhere"]).patient(Duration::from_millis(1)).run().unwrap_err();
        assert!(failure.text.starts_with("cannot run \"/nowhere\": "), "{}", failure.text);
    }
}
