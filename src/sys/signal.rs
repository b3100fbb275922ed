//! Signals: heard through a socketpair, sent to process groups. What they mean is not known here.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::life::policy::Pid;

/// The signals that are heard. Whoever must not stop or end us by the others is ignored (SIGPIPE) or listed.
const HEARD: [i32; 9] = [
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// `pidfd_send_signal`: to the whole process group (Linux 6.9).
const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

/// Blocks every signal: from the first moment on none is lost, they wait until [`Signals::new`].
pub(crate) fn block_all() {
    let _valid = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
}

/// Lets signals through.
fn unblock_all() {
    let _valid = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Blocks every signal while it lives: no handler of ours may run in a child that shares our memory.
pub(super) struct Held(SigSet);

impl Held {
    /// From now on.
    pub(super) fn new() -> Self {
        let mut before = SigSet::empty();
        let _valid = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
        Self(before)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _valid = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

/// The signals that have arrived.
#[derive(Debug)]
pub(crate) struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    /// Installs the handlers, then lets through what was blocked until now.
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, HEARD)?;
        unblock_all();
        Ok(Self(delivery))
    }

    /// What becomes readable when a signal arrives.
    pub(crate) fn fd(&self) -> RawFd {
        self.0.get_read().as_raw_fd()
    }

    /// The signals since the last time, each once.
    pub(crate) fn pending(&mut self) -> impl Iterator<Item = i32> + use<> {
        let pending: Vec<i32> = self.0.pending().collect();
        pending.into_iter()
    }
}

/// Sends `signal` to the process group that `leader` leads or led. `pidfd` is the leader's: with it the kernel
/// cannot mistake a later process of the same number for it, not even once the leader is reaped.
///
/// # Errors
/// ESRCH when nobody of the group is left.
pub(crate) fn to_group(leader: Pid, pidfd: Option<BorrowedFd<'_>>, signal: i32) -> io::Result<()> {
    if let Some(pidfd) = pidfd {
        match by_pidfd(pidfd, signal, PIDFD_SIGNAL_PROCESS_GROUP) {
            // A kernel before 6.9, or a filter of system calls that does not know this one.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {}
            sent => return Ok(sent?),
        }
    }
    kill(leader.0.saturating_neg(), signal)
}

/// Sends `signal` to the process alone; see [`to_group`].
///
/// # Errors
/// ESRCH when it is gone.
pub(crate) fn to_process(pid: Pid, pidfd: Option<BorrowedFd<'_>>, signal: i32) -> io::Result<()> {
    match pidfd {
        Some(pidfd) => Ok(by_pidfd(pidfd, signal, 0)?),
        None => kill(pid.0, signal),
    }
}

/// Whether anybody of that process group is left, dead but unreaped ones included.
pub(crate) fn is_group_left(leader: Pid, pidfd: Option<BorrowedFd<'_>>) -> bool {
    // Whom we may not signal is there all the same.
    let is_denied = |error: io::Error| error.raw_os_error() == Some(libc::EPERM);
    to_group(leader, pidfd, 0).map_or_else(is_denied, |()| true)
}

/// Sends `signal` to a child of ours that is not reaped, and to the group that it leads, if it does.
pub(crate) fn to_child(child: Pid, signal: i32) {
    drop(kill(child.0.saturating_neg(), signal));
    drop(kill(child.0, signal));
}

/// Sends `signal` to every process that may be signalled, except this one: the end of PID 1.
pub(crate) fn to_everybody(signal: i32) {
    drop(kill(-1, signal));
}

/// A hold on a process that is not our child.
pub(crate) fn hold(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.0, 0) };
    let number = Errno::result(result)?;
    let number = RawFd::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Waits for the end of a process that is held, for so long at most; whether it has ended.
pub(crate) fn ends_by(pidfd: BorrowedFd<'_>, within: Duration) -> bool {
    let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], timeout).is_ok_and(|ready| ready > 0)
}

/// Whether there is any process but this one: for PID 1 to know when it is alone.
pub(crate) fn is_anybody_left() -> bool {
    kill(-1, 0).is_ok()
}

/// `pidfd_send_signal`.
fn by_pidfd(pidfd: BorrowedFd<'_>, signal: i32, flags: u32) -> Result<(), Errno> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: all arguments are plain numbers but the info, which may be null.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, no_info, flags) };
    Errno::result(result).map(drop)
}

/// `kill(2)`, with any number for a signal.
fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    let result = unsafe { libc::kill(pid, signal) };
    Ok(Errno::result(result).map(drop)?)
}

/// `SIGKILL` for 9; `SIG42` for a number without a name.
pub(crate) fn name(number: i32) -> Box<str> {
    nix::sys::signal::Signal::try_from(number)
        .map_or_else(|_| format!("SIG{number}").into_boxed_str(), |signal| Box::from(signal.as_str()))
}

/// 9 for `SIGKILL`.
pub(crate) fn number(name: &str) -> Option<i32> {
    let is_it =
        |number: i32| nix::sys::signal::Signal::try_from(number).is_ok_and(|signal| signal.as_str() == name);
    (1..=libc::SIGRTMAX()).find(|number| is_it(*number))
}

/// `Killed` for 9, as the library says it.
pub(crate) fn words(number: i32) -> String {
    // SAFETY: any number will do; the answer is a C string, or null.
    let words = unsafe { libc::strsignal(number) };
    if words.is_null() {
        return number.to_string();
    }
    // SAFETY: not null, and valid until the next call; nobody else calls it.
    unsafe { std::ffi::CStr::from_ptr(words) }.to_string_lossy().into_owned()
}
