//! The one waiter: every child that has ended is reaped here and nowhere else. What it means is not known here.

use crate::life::policy::{Exit, Pid};

/// Reaps one child that has ended, ours or adopted; `None` when there is none just now.
pub(crate) fn next() -> Option<(Pid, Exit)> {
    wait(-1, libc::WNOHANG)
}

/// Whether there is no child at all, neither living nor dead.
pub(crate) fn is_childless() -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: a valid place for the facts, which are not looked at.
    let asked = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) };
    asked == -1 && nix::errno::Errno::last() == nix::errno::Errno::ECHILD
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
