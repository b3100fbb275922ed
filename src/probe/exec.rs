//! A question that a program answers: it ends with 0 where all is well. Its output is read all the time and kept
//! only as far as its last line.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Fault, left};
use crate::life::policy::Pid;
use crate::sys::own::reason;
use crate::sys::{pipe, signal, wait};

/// So much of a line is kept, in bytes.
const LINE_BYTES_MAX: usize = 1024;
/// Where the kernel tells of no end, we look this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs a program.
pub(super) fn run(command: &[Box<str>], by: Instant) -> Result<(), Fault> {
    let Some((program, arguments)) = command.split_first() else { return Err(Fault::said("no command")) };
    let cannot = |error: std::io::Error| Fault::said(format!("cannot execute {program}: {}", reason(&error)));
    let (read, write) = pipe::saying().map_err(cannot)?;
    let mut output = File::from(read);
    let mut child = Command::new(&**program)
        .args(arguments.iter().map(|argument| &**argument))
        .stdin(Stdio::null())
        .stdout(write.try_clone().map_err(cannot)?)
        .stderr(write)
        .spawn()
        .map_err(cannot)?;
    let held = i32::try_from(child.id()).ok().and_then(|pid| signal::hold(Pid(pid)).ok());
    let mut last = LastLine::default();
    loop {
        let more = last.read(&mut output);
        if let Some(status) = child.try_wait().map_err(cannot)? {
            last.read(&mut output);
            if status.success() {
                return Ok(());
            }
            let words = last.words();
            return Err(Fault::said(if words.is_empty() { status.to_string() } else { words }));
        }
        let Ok(left) = left(by) else {
            drop(child.kill());
            drop(child.try_wait());
            return Err(Fault::Late);
        };
        let within = if held.is_some() { left } else { left.min(LOOK_EVERY) };
        let (output, held) = (more.then_some(output.as_fd()), held.as_ref().map(AsFd::as_fd));
        wait::for_any(output.into_iter().chain(held), within);
    }
}

/// The end of what a program says.
#[derive(Debug, Default)]
struct LastLine {
    /// The last line that was not empty.
    done: Vec<u8>,
    /// The one that is not ended.
    open: Vec<u8>,
}

impl LastLine {
    /// Reads what is there; whether more may come.
    fn read(&mut self, from: &mut File) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match from.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => self.take(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// Takes in bytes.
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte != b'\n' {
                if self.open.len() < LINE_BYTES_MAX {
                    self.open.push(*byte);
                }
            } else if !self.open.is_empty() {
                self.done = std::mem::take(&mut self.open);
            }
        }
    }

    /// It.
    fn words(&self) -> String {
        let line = if self.open.is_empty() { &self.done } else { &self.open };
        String::from_utf8_lossy(line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::service::later;
    use crate::sys::clock;

    fn ask(script: &str, ms: u64) -> Result<(), Fault> {
        let by = later(clock::now().instant, Duration::from_millis(ms));
        run(&["/bin/sh".into(), "-c".into(), script.into()], by)
    }

    #[test]
    fn the_last_line_says_why() {
        assert_eq!(ask("echo fine", 5000), Ok(()));
        assert_eq!(ask("echo one; echo two >&2; echo; exit 3", 5000), Err(Fault::said("two")));
        assert_eq!(ask("exit 3", 5000), Err(Fault::said("exit status: 3")));
        assert_eq!(ask("yes | head -c 1000000; exit 1", 5000), Err(Fault::said("y")));
        assert_eq!(ask("exec sleep 60", 50), Err(Fault::Late));
        let nowhere = run(&["/nowhere".into()], later(clock::now().instant, Duration::from_secs(1)));
        assert_eq!(nowhere, Err(Fault::said("cannot execute /nowhere: No such file or directory")));
    }
}
