//! A command of an update: run to its end, or ended with its time. What it says goes to the service's log; the end of
//! it is kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::config::duration_text;
use crate::life::policy::Pid;
use crate::life::service::later;
use crate::sys::own::reason;
use crate::sys::{clock, pipe, signal, wait};

/// So much of what it says is kept.
const WORDS_BYTES_MAX: usize = 4096;
/// Where the kernel tells of no end, we look this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The variable that marks every process of an update.
pub(super) const MARK: &str = "MCP_INIT_UPDATE";
/// For those that an earlier child left to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// How a command is run.
#[derive(Debug)]
pub(super) struct Room<'a> {
    /// Its environment.
    pub(super) variables: &'a BTreeMap<Box<str>, Box<str>>,
    /// More of it.
    pub(super) more: Vec<(&'static str, String)>,
    /// Where it runs.
    pub(super) directory: &'a Path,
    /// Its time.
    pub(super) within: Duration,
    /// Whoever hangs up here ends everything.
    pub(super) line: BorrowedFd<'a>,
}

/// Runs a command; the last line that it has said.
///
/// # Errors
/// Why it failed, in words.
pub(super) fn run(words: &[Box<str>], room: &Room<'_>) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("there is no command".to_owned());
    };
    let cannot = |error: io::Error| format!("cannot execute {program}: {}", reason(&error));
    let (read, write) = pipe::saying().map_err(cannot)?;
    let mut output = File::from(read);
    let mut child = Command::new(&**program)
        .args(arguments.iter().map(|argument| &**argument))
        .env_clear()
        .envs(room.variables.iter().map(|(name, value)| (&**name, &**value)))
        .envs(room.more.iter().map(|(name, value)| (*name, value)))
        .current_dir(room.directory)
        .stdin(Stdio::null())
        .stdout(write.try_clone().map_err(cannot)?)
        .stderr(write)
        .spawn()
        .map_err(cannot)?;
    let mut said = Vec::new();
    let ended = attend(&mut child, &mut output, &mut said, room);
    let line = last_line(&said);
    match ended {
        Ok(()) => Ok(line),
        Err(fault) if line.is_empty() => Err(format!("{program}: {fault}")),
        Err(fault) => Err(format!("{program}: {fault}: {line}")),
    }
}

/// Waits for its end.
fn attend(child: &mut Child, output: &mut File, said: &mut Vec<u8>, room: &Room<'_>) -> Result<(), String> {
    let by = later(clock::now().instant, room.within);
    let held = i32::try_from(child.id()).ok().and_then(|pid| signal::hold(Pid(pid)).ok());
    loop {
        let more = hear(output, said);
        if let Some(status) = child.try_wait().map_err(|error| reason(&error))? {
            hear(output, said);
            return if status.success() { Ok(()) } else { Err(status.to_string()) };
        }
        if has_hung_up(room.line) {
            // There is nobody for whom to go on; what is half done is brought to an end by the next supervisor.
            wait::end_own_group();
        }
        let left = by.saturating_duration_since(clock::now().instant);
        if left.is_zero() {
            drop(child.kill());
            drop(child.try_wait());
            end_marked(room);
            return Err(format!("it did not end within {}", duration_text(millis(room.within))));
        }
        let within = if held.is_some() { left } else { left.min(LOOK_EVERY) };
        let (output, held) = (more.then_some(output.as_fd()), held.as_ref().map(AsFd::as_fd));
        wait::for_any(output.into_iter().chain(held).chain([room.line]), within);
    }
}

/// Hands on what it says, and keeps the end of it; whether more may come.
fn hear(from: &mut File, said: &mut Vec<u8>) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) => {
                let bytes = bytes.get(..count).unwrap_or_default();
                drop(io::stderr().write_all(bytes));
                said.extend_from_slice(bytes);
                let over = said.len().saturating_sub(WORDS_BYTES_MAX);
                said.drain(..over);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Whether the other end of a connection is gone. Nobody says anything on it that was not asked for.
fn has_hung_up(line: BorrowedFd<'_>) -> bool {
    let mut fds = [nix::poll::PollFd::new(line, nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, 0_u8).is_ok_and(|count| count > 0)
}

/// The last line that is not empty.
fn last_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().chars().filter(|letter| !letter.is_control()).take(300).collect()
}

/// Ends what carries the mark of this update.
fn end_marked(room: &Room<'_>) {
    let mark = room.more.iter().find(|(name, _)| *name == MARK);
    if let Some((_, mark)) = mark {
        end_all(mark);
    }
}

/// Ends every process of an update's commands, and waits until they are gone: two of them at once would be between.
pub(super) fn end_all(mark: &str) {
    let by = later(clock::now().instant, GONE_WITHIN);
    let wanted = format!("{MARK}={mark}");
    loop {
        let found = marked(wanted.as_bytes());
        if found.is_empty() || clock::now().instant >= by {
            return;
        }
        for (pid, held) in found {
            // Asked again now that we hold it: no other can have taken its number in between.
            if carries(pid, wanted.as_bytes()) {
                drop(signal::to_process(Pid(pid), Some(held.as_fd()), libc::SIGKILL));
            }
        }
        wait::pause(Duration::from_millis(20));
    }
}

/// Processes with this variable, but not us.
fn marked(wanted: &[u8]) -> Vec<(i32, std::os::fd::OwnedFd)> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found = pids.filter(|pid| *pid != own && carries(*pid, wanted));
    found.filter_map(|pid| Some((pid, signal::hold(Pid(pid)).ok()?))).collect()
}

/// Whether a process has a variable.
fn carries(pid: i32, wanted: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|variable| variable == wanted))
}

/// A duration in whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
