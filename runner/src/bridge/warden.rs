//! The process between the runner and the command it bridges. It owns the command's whole tree, however deep
//! and however detached, and ends it when the command ends, when the runner wants so, and when the runner is
//! no more. It never looks at what the two say to each other.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, alarm, dup2_stdin, dup2_stdout, getppid, setsid};
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::tree;
use crate::failure::words;

/// The runner's first argument when it is to be this. Not for people, and so not in the help.
pub(crate) const FLAG: &str = "--warden";

/// Seconds from SIGTERM to SIGKILL.
pub(super) const TERM_SECONDS: u32 = 3;

/// Seconds for what outlives the command.
const REST_SECONDS: u32 = 1;

/// The exit code when the command could not be run, as shells have it.
const CANNOT_RUN: u8 = 127;

/// Runs until nothing of the tree is left. The arguments: the runner's process id, and the command.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let Some((parent, [program, rest @ ..])) = arguments.split_first() else {
        return ExitCode::from(CANNOT_RUN);
    };
    match watch(parent, program, rest) {
        Ok(status) => ExitCode::from(code(status)),
        Err(reason) => {
            crate::say(&format!("cannot run {program}: {}", words(&reason)));
            ExitCode::from(CANNOT_RUN)
        }
    }
}

/// Starts the command, and ends its tree when it is time.
fn watch(parent: &str, program: &str, arguments: &[String]) -> Result<ExitStatus, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    prctl::set_name(c"mcp-warden").map_err(|errno| text(&errno.desc()))?;
    // Handlers, not a blocked mask: the command must not inherit any of this.
    let mut signals = Signals::new([SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGALRM]).map_err(|e| text(&e))?;
    // A terminal's signals are the runner's to hear, and all of the tree is found by this session.
    setsid().map_err(|errno| text(&errno.desc()))?;
    prctl::set_child_subreaper(true).map_err(|errno| text(&errno.desc()))?;
    prctl::set_pdeathsig(Signal::SIGHUP).map_err(|errno| text(&errno.desc()))?;
    if parent.parse() != Ok(getppid().as_raw()) {
        return Err("the runner is gone".to_owned());
    }
    let nothing = File::options().read(true).write(true).open("/dev/null").map_err(|error| text(&error))?;
    let command = Command::new(program).args(arguments).spawn().map_err(|error| text(&error))?;
    let command = i32::try_from(command.id()).map_err(|error| text(&error))?;
    // What the two say to each other is theirs: who hangs up is noticed by the other.
    _ = dup2_stdin(&nothing).and_then(|()| dup2_stdout(&nothing));
    let mut ended = None;
    let mut ending = false;
    for signal in signals.forever() {
        match signal {
            SIGCHLD => {}
            SIGALRM => {
                tree::signal_descendants(Signal::SIGKILL);
                alarm::set(REST_SECONDS);
            }
            _ if !ending => {
                ending = true;
                tree::signal_descendants(Signal::SIGTERM);
                alarm::set(TERM_SECONDS);
            }
            _ => {}
        }
        let before = ended.is_some();
        if reap(Pid::from_raw(command), &mut ended) {
            break;
        }
        if ended.is_some() && !before && !ending {
            tree::signal_descendants(Signal::SIGTERM);
            alarm::set(REST_SECONDS);
        }
    }
    ended.ok_or_else(|| "it is gone".to_owned())
}

/// Takes leave of all that have ended; `true` when nobody is left.
fn reap(command: Pid, ended: &mut Option<ExitStatus>) -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == command => {
                *ended = Some(ExitStatus::from_raw(code << 8));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => {
                #[expect(clippy::as_conversions, reason = "the number of a signal")]
                let number = signal as i32;
                *ended = Some(ExitStatus::from_raw(number));
            }
            Ok(WaitStatus::StillAlive) => return false,
            Err(Errno::ECHILD) => return true,
            Ok(_) | Err(_) => {}
        }
    }
}

/// The exit code that tells how the command ended, as shells have it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
