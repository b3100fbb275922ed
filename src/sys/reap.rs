//! The one waiter: every child that has ended is reaped here and nowhere else. What it means is not known here.

use crate::life::policy::{Exit, Pid};

/// Reaps one child that has ended, ours or adopted; `None` when there is none just now.
pub(crate) fn next() -> Option<(Pid, Exit)> {
    wait(-1, libc::WNOHANG)
}

/// Reaps a child that is known to be ending: one that could not become another program.
pub(super) fn this(pid: Pid) {
    wait(pid.0, 0);
}

/// `waitpid`; stops and continuations are no ends.
fn wait(which: i32, options: i32) -> Option<(Pid, Exit)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for one int.
        let pid = unsafe { libc::waitpid(which, &raw mut status, options) };
        if pid == -1 && nix::errno::Errno::last() == nix::errno::Errno::EINTR {
            continue;
        }
        if pid <= 0 {
            return None;
        }
        if libc::WIFEXITED(status) {
            return Some((Pid(pid), Exit::Code(libc::WEXITSTATUS(status))));
        }
        if libc::WIFSIGNALED(status) {
            let exit = Exit::Signal { number: libc::WTERMSIG(status), core: libc::WCOREDUMP(status) };
            return Some((Pid(pid), exit));
        }
    }
}
