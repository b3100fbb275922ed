//! Making a process: the parent's side. What the child does is in `child`; why it is made is not known here.
//!
//! `clone` with `CLONE_VM | CLONE_VFORK` costs what `vfork` costs, far less than a fork of us; the child runs on
//! a stack of its own, and we are suspended until it has become another program or has failed.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::cgroup::Group;
use super::child::{Call, PID_DIGITS_MAX, enter};
use super::hatch::Hatch;
use super::reap;
use super::setup::Setup;
use super::signal::Held;
use super::stage::Stage;
use super::{clock, clone};
use crate::life::policy::{Blame, Pid};

/// The child's stack until exec: a page would do.
const STACK_BYTES: usize = 32 * 1024;

/// What is started, and with what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Launch<'a> {
    /// Paths to try in order.
    pub(crate) programs: &'a [CString],
    /// Its arguments, its own name first.
    pub(crate) argv: &'a [CString],
    /// `NAME=VALUE` each.
    pub(crate) envp: &'a [CString],
    /// Where it runs.
    pub(crate) directory: &'a CStr,
    /// What become stdin, stdout and stderr.
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// What becomes which descriptor beyond these three.
    pub(crate) passed: &'a [(RawFd, BorrowedFd<'a>)],
    /// Variables that are set to the pid of the new process.
    pub(crate) own_pid: &'a [&'a str],
    /// Whether it leads a session and process group of its own.
    pub(crate) session: bool,
    /// What it is to become beyond that.
    pub(crate) setup: &'a Setup<'a>,
}

/// A process that was made.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: Pid,
    /// A hold on it that no later process of the same number can take over; kernels before 5.2 give none.
    pub(crate) pidfd: Option<OwnedFd>,
    /// When it was made, in clock ticks since boot, if that is certain without a look at `/proc`: a process that
    /// was looked at there is dearer to reap.
    pub(crate) born: Option<u64>,
    /// Whether it is in the control group that it was to be made in, if there was one.
    pub(crate) is_placed: bool,
}

/// Why a process could not be made, or could not become the program.
#[derive(Debug)]
pub(crate) struct SpawnError {
    /// What failed.
    pub(crate) stage: Stage,
    /// Why.
    pub(crate) source: io::Error,
}

impl SpawnError {
    /// Whose trouble it is: what may pass by itself is the machine's.
    pub(crate) fn blame(&self) -> Blame {
        match self.source.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::EINTR | libc::ETXTBSY) => {
                Blame::Machine
            }
            _ => Blame::Service,
        }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = Errno::from_raw(self.source.raw_os_error().unwrap_or(0));
        // They may be lacking to our user, to our control group or to the machine.
        let lacks_processes = errno == Errno::EAGAIN && self.stage == Stage::Clone;
        let why = if lacks_processes {
            "no more processes may be made (ulimit -u, pids.max)"
        } else {
            errno.desc()
        };
        write!(f, "cannot {}: {why}", self.stage.words())
    }
}

/// Makes processes; owns the stack they begin on.
pub(crate) struct Spawner {
    /// Reused: only one child is ever on it.
    stack: Vec<u8>,
    /// Where it takes hold of its descriptors.
    hatch: Hatch,
    /// Signals that a child sets back to their default.
    reset: &'static [c_int],
    /// `RLIMIT_NOFILE` as we found it, before we raised our own.
    nofile: Option<libc::rlimit>,
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

impl Spawner {
    /// `reset` and `nofile` come from [`super::own`].
    pub(crate) fn new(reset: &'static [c_int], nofile: Option<libc::rlimit>) -> Self {
        Self { stack: vec![0; STACK_BYTES], hatch: Hatch::new(), reset, nofile }
    }

    /// Makes a process that has become the program by the time this returns.
    ///
    /// # Errors
    /// The first stage that failed; the child is gone then.
    pub(crate) fn spawn(&mut self, launch: &Launch<'_>) -> Result<Process, SpawnError> {
        let own_pid: Vec<_> = launch.own_pid.iter().map(|name| room_for_pid(name)).collect();
        let (programs, argv) = (ends(launch.programs), ends(launch.argv));
        let mut envp = ends(launch.envp);
        envp.splice(0..0, own_pid.iter().map(|(_, room)| room.as_ptr().cast()));
        let (mut passed, _moved) = out_of_the_way(launch.passed)
            .map_err(|source| SpawnError { stage: Stage::Descriptors, source })?;
        let mut stdio = launch.stdio.map(|fd| fd.as_raw_fd());
        let taken = self.hatch.through(&mut stdio, &mut passed);
        let mut call = Call {
            programs: programs.as_ptr(),
            argv: argv.as_ptr(),
            envp: envp.as_ptr(),
            directory: launch.directory.as_ptr(),
            stdio,
            passed,
            beyond: self.hatch.beyond(),
            taken,
            own_pid,
            session: launch.session,
            reset: self.reset,
            nofile: self.nofile,
            procs: std::ptr::null(),
            setup: (&raw const *launch.setup).cast(),
            failure: Cell::new(None),
        };
        let namespaces = launch.setup.sandbox.as_ref().map_or(0, |sandbox| sandbox.namespaces);
        let shared = if call.taken.is_empty() { 0 } else { libc::CLONE_FILES };
        let flags = namespaces | shared;
        let group = launch.setup.group;
        let held = Held::new();
        let before = clock::boot_ticks();
        let made = group.map_or(Err(Errno::ENOSYS.into()), |group| self.within(group, flags, &mut call));
        let mut is_placed = true;
        let made = match made {
            // No such call, or none that knows of groups: the child goes there by itself.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::E2BIG | libc::EINVAL)) => {
                call.procs = group.map_or(std::ptr::null(), |group| group.procs.as_ptr());
                self.anywhere(flags, &mut call)
            }
            // A group that takes nobody: whom it was to hold to nothing is started without it.
            Err(error) if stage_of(&error, 0) == Stage::Cgroup && group.is_some_and(Group::is_unlimited) => {
                is_placed = false;
                self.anywhere(flags, &mut call)
            }
            made => made,
        };
        let born = before.filter(|before| clock::boot_ticks() == Some(*before));
        drop(held);
        self.hatch.close(&call.taken);
        let (pid, pidfd) =
            made.map_err(|source| SpawnError { stage: stage_of(&source, namespaces), source })?;
        // SAFETY: the kernel just made this descriptor for us.
        let pidfd = (pidfd != -1).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        match call.failure.get() {
            Some((stage, errno)) => {
                reap::this(Pid(pid));
                Err(SpawnError { stage, source: io::Error::from_raw_os_error(errno) })
            }
            None => Ok(Process { pid: Pid(pid), pidfd, born, is_placed }),
        }
    }

    /// Makes a process in a control group.
    fn within(&mut self, group: &Group, flags: c_int, call: &mut Call) -> io::Result<(i32, c_int)> {
        let argument: *mut c_void = (&raw mut *call).cast();
        let folder = group.folder().as_raw_fd();
        // SAFETY: the stack is only ever used by one child at a time, and `call` is what `enter` expects; both
        // outlive the child's use of them, because we are suspended until it has left our memory.
        unsafe { clone::into_group(&mut self.stack, folder, flags, enter, argument) }
    }

    /// Makes a process where we are.
    fn anywhere(&mut self, flags: c_int, call: &mut Call) -> io::Result<(i32, c_int)> {
        let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        let mut pidfd: c_int = -1;
        let argument: *mut c_void = (&raw mut *call).cast();
        let top = self.stack.as_mut_ptr_range().end;
        let top: *mut c_void = top.map_addr(|address| address & !15).cast();
        // SAFETY: the stack outlives the child's use of it, as do `call` and what it points to: CLONE_VFORK
        // suspends us until the child has left our memory. `pidfd` is a valid place for one int.
        let pid = unsafe { libc::clone(enter, top, flags, argument, &raw mut pidfd) };
        if pid == -1 { Err(io::Error::last_os_error()) } else { Ok((pid, pidfd)) }
    }
}

/// What it was that failed, when no process was made.
fn stage_of(error: &io::Error, namespaces: c_int) -> Stage {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EINVAL | libc::ENOSPC | libc::EUSERS | libc::ENOSYS) if namespaces != 0 => {
            Stage::Namespaces
        }
        Some(libc::EBUSY | libc::EOPNOTSUPP | libc::ENODEV | libc::EACCES | libc::EBADF) => Stage::Cgroup,
        _ => Stage::Clone,
    }
}

/// Targets and sources, and copies that live as long as they are needed.
type Moved = (Vec<(RawFd, RawFd)>, Vec<OwnedFd>);

/// What is passed on, by target and source: a source whose number is a target's is copied to another first, so
/// that the child can place one after the other. The copies live as long as the second part does.
fn out_of_the_way(passed: &[(RawFd, BorrowedFd<'_>)]) -> io::Result<Moved> {
    let free = passed.iter().map(|(target, _)| target.saturating_add(1)).max().unwrap_or(0);
    let (mut plain, mut moved) = (Vec::with_capacity(passed.len()), Vec::new());
    for (target, source) in passed {
        let mut raw = source.as_raw_fd();
        if raw < free {
            raw = fcntl(source, FcntlArg::F_DUPFD_CLOEXEC(free))?;
            // SAFETY: the kernel just made this descriptor for us.
            moved.push(unsafe { OwnedFd::from_raw_fd(raw) });
        }
        plain.push((*target, raw));
    }
    Ok((plain, moved))
}

/// `NAME=` and room for the digits of a pid, ended by a NUL whatever is written there.
fn room_for_pid(name: &str) -> (usize, Box<[Cell<u8>]>) {
    let text = format!("{name}=").into_bytes();
    let before = text.len();
    let room = std::iter::repeat_n(0, PID_DIGITS_MAX.saturating_add(1));
    (before, text.into_iter().chain(room).map(Cell::new).collect())
}

/// Pointers to C strings with a null at the end, as exec wants them.
fn ends(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::{own, pipe, proc, signal};

    fn launch(programs: &[&str], directory: &CStr) -> Result<Process, SpawnError> {
        let c = |text: &&str| CString::new(*text).unwrap();
        let null = pipe::null().unwrap();
        let programs: Vec<_> = programs.iter().map(c).collect();
        Spawner::new(own::to_reset(), None).spawn(&Launch {
            programs: &programs,
            argv: &[c(&"sh"), c(&"-c"), c(&"sleep 60 & exit 7")],
            envp: &[],
            directory,
            stdio: [null.as_fd(); 3],
            passed: &[],
            own_pid: &[],
            session: true,
            setup: &Setup::NONE,
        })
    }

    #[test]
    fn a_failing_stage_is_told_by_name() {
        let error = launch(&["/nowhere", "/bin/sh"], c"/nowhere").unwrap_err();
        assert_eq!(error.to_string(), "cannot enter the working directory: No such file or directory");
        let error = launch(&["/nowhere"], c"/").unwrap_err();
        assert_eq!((error.stage, error.blame()), (Stage::Exec, Blame::Service));
        let error = launch(&["/nowhere", "/etc/passwd", "/nowhere"], c"/").unwrap_err();
        assert_eq!(error.to_string(), "cannot execute: Permission denied");
    }

    #[test]
    fn the_time_of_its_birth_is_the_kernels_own() {
        let mut certain = 0;
        while certain < 3 {
            let process = launch(&["/bin/sh"], c"/").unwrap();
            if let Some(born) = process.born {
                assert_eq!(proc::start_ticks(process.pid), Some(born));
                certain += 1;
            }
            let group = process.pidfd.as_ref().map(AsFd::as_fd);
            signal::to_group(process.pid, group, libc::SIGKILL).unwrap();
            nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(process.pid.0), None).unwrap();
        }
    }

    #[test]
    fn a_group_is_known_to_be_left_when_its_leader_is_reaped() {
        let process = launch(&["/nowhere", "/bin/sh"], c"/").unwrap();
        let pidfd = process.pidfd.as_ref().map(AsFd::as_fd);
        // Only this test's own child may be taken: others run beside it.
        let mut status = nix::sys::wait::WaitStatus::StillAlive;
        while status == nix::sys::wait::WaitStatus::StillAlive {
            status = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(process.pid.0), None).unwrap();
        }
        assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 7)));
        assert!(signal::is_group_left(process.pid, pidfd));
        signal::to_group(process.pid, pidfd, libc::SIGKILL).unwrap();
        while signal::is_group_left(process.pid, pidfd) {
            std::hint::spin_loop();
        }
    }
}
