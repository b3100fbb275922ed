//! An errand: a child of ours that does what the loop may not. Our hold on it and on what it started, and the last line
//! it said. What it is for, and what follows from its end, is not known here.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use crate::life::policy::Pid;
use crate::sys::signal;
use crate::sys::spawn::Process;

use super::hear::quote;

/// So much of what it said is looked at: it says little.
const WORDS_BYTES_MAX: usize = 16 * 1024;

/// A child that runs an errand.
#[derive(Debug)]
pub(super) struct Errand {
    /// Its process, which leads a group.
    pub(super) pid: Pid,
    /// A hold on it.
    pidfd: Option<OwnedFd>,
    /// What it says, if that is heard.
    words: Option<File>,
}

impl Errand {
    /// A process that was just made, and the end of the pipe on which it is heard.
    pub(super) fn new(process: Process, words: Option<OwnedFd>) -> Self {
        Self { pid: process.pid, pidfd: process.pidfd, words: words.map(File::from) }
    }

    /// Whether its number still means it and its group once it is reaped.
    pub(super) const fn is_held(&self) -> bool {
        self.pidfd.is_some()
    }

    /// Signals it and what it started.
    pub(super) fn signal(&self, number: i32) {
        drop(signal::to_group(self.pid, self.pidfd.as_ref().map(AsFd::as_fd), number));
    }

    /// Ends it, and what it started.
    pub(super) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// The last line that it has said.
    pub(super) fn last_words(&mut self) -> Option<String> {
        let mut bytes = vec![0; WORDS_BYTES_MAX];
        let count = self.words.as_mut()?.read(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default());
        text.lines().rfind(|line| !line.trim().is_empty()).map(quote)
    }
}
