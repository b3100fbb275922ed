//! The child's side of a spawn: from the moment it exists to the moment it is another program. It shares our
//! memory, so nothing here allocates, locks, logs or panics: raw system calls on values made ready before.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::RawFd;

/// What a child does in which order; the first that fails is told to the parent by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A process of its own could not be made at all.
    Clone,
    /// A session and process group of its own.
    Session,
    /// Default dispositions, empty mask.
    Signals,
    /// Its working directory.
    Directory,
    /// Its limits.
    Limits,
    /// stdin, stdout, stderr and the channel.
    Descriptors,
    /// The program itself.
    Exec,
}

impl Stage {
    /// As the object of "cannot".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Clone => "make a process",
            Self::Session => "make a session",
            Self::Signals => "reset signals",
            Self::Directory => "enter the working directory",
            Self::Limits => "set limits",
            Self::Descriptors => "set up descriptors",
            Self::Exec => "execute",
        }
    }
}

/// Where the child finds its fourth descriptor, if it gets one.
pub(crate) const EXTRA_FD: RawFd = 3;

/// The kernel's `struct sigaction`, which is no longer than this and begins with the handler; all zero is the
/// default. The library's own call is of no use: it hides the two signals that it keeps for itself, and whoever
/// started us may have left them ignored.
pub(super) type Action = [usize; 8];

/// The kernel's size of a set of signals.
pub(super) const SET_BYTES: usize = 8;

/// Everything the child needs, made ready by the parent; pointers are null-ended arrays of C strings.
pub(super) struct Call {
    /// Paths to try in order.
    pub(super) programs: *const *const c_char,
    /// Its arguments.
    pub(super) argv: *const *const c_char,
    /// Its environment.
    pub(super) envp: *const *const c_char,
    /// Where it runs.
    pub(super) directory: *const c_char,
    /// What become 0, 1 and 2.
    pub(super) stdio: [RawFd; 3],
    /// What becomes 3.
    pub(super) extra: Option<RawFd>,
    /// Whether it leads a session of its own.
    pub(super) session: bool,
    /// Signals to set back to their default: those that are caught or ignored here.
    pub(super) reset: &'static [c_int],
    /// `RLIMIT_NOFILE` as we found it.
    pub(super) nofile: Option<libc::rlimit>,
    /// The first failure: written by the child, read by the parent.
    pub(super) failure: Cell<Option<(Stage, c_int)>>,
}

/// The child. It returns only when it could not become another program.
///
/// `argument` is a [`Call`] that outlives the child's time in our memory: the parent is suspended meanwhile.
pub(super) extern "C" fn enter(argument: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes a pointer to a `Call` on the stack of the suspended parent.
    let call = unsafe { &*argument.cast::<Call>() };
    let failure = prepare(call).err().unwrap_or_else(|| (Stage::Exec, exec(call)));
    call.failure.set(Some(failure));
    127
}

/// Everything before exec, in order.
fn prepare(call: &Call) -> Result<(), (Stage, c_int)> {
    if call.session {
        // SAFETY: no arguments.
        check(Stage::Session, unsafe { libc::setsid() })?;
    }
    reset_signals(call.reset)?;
    // SAFETY: a C string made ready by the parent.
    check(Stage::Directory, unsafe { libc::chdir(call.directory) })?;
    if let Some(nofile) = &call.nofile {
        // SAFETY: a valid rlimit.
        check(Stage::Limits, unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, nofile) })?;
    }
    for (target, source) in (0..).zip(call.stdio) {
        place(source, target)?;
    }
    if let Some(extra) = call.extra {
        place(extra, EXTRA_FD)?;
    }
    Ok(())
}

/// Default dispositions first, then the empty mask: a signal that waits must not run a handler of ours.
fn reset_signals(numbers: &[c_int]) -> Result<(), (Stage, c_int)> {
    for number in numbers {
        let default: Action = [libc::SIG_DFL; 8];
        let old = std::ptr::null_mut::<Action>();
        // SAFETY: a valid action of the kernel's own form; the old one is not asked for.
        let set =
            unsafe { libc::syscall(libc::SYS_rt_sigaction, *number, &raw const default, old, SET_BYTES) };
        if set == -1 {
            return Err((Stage::Signals, errno()));
        }
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a valid place for a set, which this call fills.
    check(Stage::Signals, unsafe { libc::sigemptyset(none.as_mut_ptr()) })?;
    // SAFETY: the set was filled above; the old one is not asked for.
    check(Stage::Signals, unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    })
}

/// Makes `target` a copy of `source` that survives exec. No source is below 3 unless it is in its place.
fn place(source: RawFd, target: RawFd) -> Result<(), (Stage, c_int)> {
    if source == target {
        // SAFETY: plain numbers.
        check(Stage::Descriptors, unsafe { libc::fcntl(target, libc::F_SETFD, 0) })
    } else {
        // SAFETY: plain numbers.
        check(Stage::Descriptors, unsafe { libc::dup2(source, target) })
    }
}

/// Tries each path; the errno that says most. A file that is there but may not be executed says more than one
/// that is not there.
fn exec(call: &Call) -> c_int {
    let mut said = libc::ENOENT;
    let mut program = call.programs;
    loop {
        // SAFETY: within the null-ended array.
        let path = unsafe { *program };
        if path.is_null() {
            return said;
        }
        // SAFETY: C strings and null-ended arrays made ready by the parent.
        unsafe { libc::execve(path, call.argv, call.envp) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => said = libc::EACCES,
            other => return other,
        }
        // SAFETY: the entry was not the null that ends the array, so there is a next one.
        program = unsafe { program.add(1) };
    }
}

/// The errno of a call that failed.
fn check(stage: Stage, result: c_int) -> Result<(), (Stage, c_int)> {
    if result == -1 { Err((stage, errno())) } else { Ok(()) }
}

/// The last call's errno.
fn errno() -> c_int {
    // SAFETY: no arguments.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: always a valid place; the parent that shares it is suspended.
    unsafe { *place }
}
