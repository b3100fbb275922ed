//! The child's side of a spawn: from the moment it exists to the moment it is another program. It shares our
//! memory, so nothing here allocates, locks, logs or panics: raw system calls on values made ready before.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::os::fd::RawFd;

use super::setup::Setup;
use super::stage::{Failed, Stage};
use super::{identity, limits, sandbox};

/// Where the child finds the first descriptor beyond stdio, if it gets one.
pub(crate) const EXTRA_FD: RawFd = 3;

/// Most digits of a pid.
pub(super) const PID_DIGITS_MAX: usize = 10;

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
    /// What becomes which descriptor beyond these. No source has the number of a target.
    pub(super) passed: Vec<(RawFd, RawFd)>,
    /// Where it takes hold of what it is given, and from where; none if its table of descriptors is its own.
    pub(super) taken: Vec<(RawFd, RawFd)>,
    /// First number beyond all places where it may take hold of something.
    pub(super) beyond: RawFd,
    /// Variables of its environment that end with the digits of its own pid: room for them behind so many bytes.
    pub(super) own_pid: Vec<(usize, Box<[Cell<u8>]>)>,
    /// Whether it leads a session of its own.
    pub(super) session: bool,
    /// Signals to set back to their default: those that are caught or ignored here.
    pub(super) reset: &'static [c_int],
    /// `RLIMIT_NOFILE` as we found it.
    pub(super) nofile: Option<libc::rlimit>,
    /// The file of its control group that it writes itself to; null if it was made there, or has none.
    pub(super) procs: *const c_char,
    /// What it is to become beyond that.
    pub(super) setup: *const Setup<'static>,
    /// The first failure: written by the child, read by the parent.
    pub(super) failure: Cell<Option<Failed>>,
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

/// Everything before exec, in order: what may fail for want of permission comes while we still have it, and what
/// takes permissions away comes last.
fn prepare(call: &Call) -> Result<(), Failed> {
    // SAFETY: `spawn` passes a pointer that is valid while the parent is suspended.
    let setup = unsafe { &*call.setup };
    detach(call)?;
    cgroup(call)?;
    session(call)?;
    reset_signals(call.reset)?;
    descriptors(call)?;
    let files = limits::Files::open(&setup.limits);
    root(setup)?;
    sandbox::enter(setup)?;
    umask(setup);
    directory(call)?;
    nofile(call)?;
    limits::apply(&setup.limits, &files)?;
    identity::assume(&setup.identity)?;
    sandbox::seal(setup)
}

/// A table of descriptors of its own: until now it had ours. What it is given is put where it has to be first, so
/// that all others need not be copied for it, to be closed by exec one by one.
fn detach(call: &Call) -> Result<(), Failed> {
    if call.taken.is_empty() {
        return Ok(());
    }
    for (target, source) in &call.taken {
        // SAFETY: plain numbers; the parent keeps the target for this.
        check(Stage::Descriptors, unsafe { libc::dup3(*source, *target, libc::O_CLOEXEC) })?;
    }
    // SAFETY: plain numbers; what is closed is a copy.
    let closed =
        unsafe { libc::syscall(libc::SYS_close_range, call.beyond, u32::MAX, libc::CLOSE_RANGE_UNSHARE) };
    if closed == 0 {
        return Ok(());
    }
    // A kernel before 5.9, or somebody forbids it: all are copied then.
    // SAFETY: a plain number.
    check(Stage::Descriptors, unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_FILES) })
}

/// Its control group, on a kernel that could not make it there. Only here the kernel may wait a little: it moves
/// a process.
fn cgroup(call: &Call) -> Result<(), Failed> {
    if call.procs.is_null() {
        return Ok(());
    }
    // SAFETY: a C string made ready by the parent.
    let file = unsafe { libc::open(call.procs, libc::O_WRONLY | libc::O_CLOEXEC) };
    check(Stage::Cgroup, file)?;
    // SAFETY: one valid byte.
    let written = unsafe { libc::write(file, c"0".as_ptr().cast(), 1) };
    if written == -1 { Err((Stage::Cgroup, errno())) } else { Ok(()) }
}

/// A session and process group of its own.
fn session(call: &Call) -> Result<(), Failed> {
    if !call.session {
        return Ok(());
    }
    // SAFETY: no arguments.
    check(Stage::Session, unsafe { libc::setsid() })
}

/// stdin, stdout, stderr and what else it is given; and its pid, where it is to find that.
fn descriptors(call: &Call) -> Result<(), Failed> {
    for (target, source) in (0..).zip(call.stdio) {
        place(source, target)?;
    }
    for (target, source) in &call.passed {
        place(*source, *target)?;
    }
    sign(&call.own_pid);
    Ok(())
}

/// Another root; where it stands in that is said next.
fn root(setup: &Setup) -> Result<(), Failed> {
    let Some(root) = &setup.root else { return Ok(()) };
    // SAFETY: a C string made ready by the parent.
    check(Stage::Root, unsafe { libc::chroot(root.as_ptr()) })
}

/// The mask of new files.
fn umask(setup: &Setup) {
    if let Some(mask) = setup.umask {
        // SAFETY: a plain number.
        unsafe { libc::umask(mask) };
    }
}

/// Its working directory.
fn directory(call: &Call) -> Result<(), Failed> {
    // SAFETY: a C string made ready by the parent.
    check(Stage::Directory, unsafe { libc::chdir(call.directory) })
}

/// The limit of descriptors as we found it: ours is higher.
fn nofile(call: &Call) -> Result<(), Failed> {
    let Some(nofile) = &call.nofile else { return Ok(()) };
    // SAFETY: a valid rlimit.
    check(Stage::Limits, unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, nofile) })
}

/// Writes the pid of this very process where its environment has room for it: nobody knew it before.
fn sign(variables: &[(usize, Box<[Cell<u8>]>)]) {
    // SAFETY: no arguments.
    let mut rest = unsafe { libc::getpid() }.unsigned_abs();
    let mut digits = [b'0'; PID_DIGITS_MAX];
    for digit in digits.iter_mut().rev() {
        *digit = u8::try_from(rest % 10).unwrap_or(0).saturating_add(b'0');
        rest /= 10;
    }
    for (before, room) in variables {
        let significant = digits.iter().skip_while(|digit| **digit == b'0');
        for (place, digit) in room.iter().skip(*before).zip(significant) {
            place.set(*digit);
        }
    }
}

/// Default dispositions first, then the empty mask: a signal that waits must not run a handler of ours.
fn reset_signals(numbers: &[c_int]) -> Result<(), Failed> {
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
fn place(source: RawFd, target: RawFd) -> Result<(), Failed> {
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
pub(super) fn check(stage: Stage, result: impl Into<c_long>) -> Result<(), Failed> {
    if result.into() == -1 { Err((stage, errno())) } else { Ok(()) }
}

/// The last call's errno.
pub(super) fn errno() -> c_int {
    // SAFETY: no arguments.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: always a valid place; the parent that shares it is suspended.
    unsafe { *place }
}
