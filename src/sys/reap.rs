//! The one waiter: every child that has ended is reaped here and nowhere else. What it means is not known here.

use crate::life::policy::{Exit, Pid};

/// Reaps one child that has ended, ours or adopted; `None` when there is none just now.
#[expect(unsafe_code, reason = "the safe wrapper refuses real-time signals, and those end processes too")]
pub(crate) fn next() -> Option<(Pid, Exit)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for one int.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
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
        // Stopped or continued: not an end.
    }
}
