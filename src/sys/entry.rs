//! An entrypoint's system calls: signals taken over as they were found, and given to the one program as they were
//! found. Sets of signals are the kernel's own, as the library keeps two of them to itself.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::child::{Action, SET_BYTES};
use crate::life::policy::Pid;

/// Runs scripts without "#!".
const SHELL: &CStr = c"/bin/sh";

/// Signals that are not forwarded: a fault is whose it is, and those of a terminal's output must not stop us.
const NOT_TAKEN: [c_int; 9] = [
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Dispositions that are changed here: a terminal must not stop us, and deaths must be told to us whatever our
/// parent thought of its own children's.
const CHANGED: [(c_int, usize); 3] =
    [(libc::SIGTTIN, libc::SIG_IGN), (libc::SIGTTOU, libc::SIG_IGN), (libc::SIGCHLD, libc::SIG_DFL)];

/// The child's stack until exec, beside what its arguments take: the library may put two paths on it.
const STACK_BYTES: usize = 64 * 1024;

/// A set of signals: signal N is bit N - 1.
type Set = u64;

/// What we found, for the program.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// Blocked signals.
    mask: Set,
    /// What is changed here.
    actions: [(c_int, Action); CHANGED.len()],
}

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Which.
    pub(crate) number: i32,
    /// Whether something we did ourselves brought it.
    pub(crate) is_own: bool,
}

/// The program's process.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its number.
    pub(crate) pid: Pid,
    /// Why it has not become the program; it ends with the code for that then.
    pub(crate) failure: Option<(Step, io::Error)>,
}

/// What the child does before it is the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A process group of its own.
    Group,
    /// The terminal is its.
    Terminal,
    /// Signals as we found them.
    Signals,
    /// The program itself.
    Exec,
}

impl Step {
    /// As the object of "cannot".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Group => "make a process group",
            Self::Terminal => "hand over the terminal",
            Self::Signals => "restore signals",
            Self::Exec => "execute",
        }
    }

    /// Whether the program's name belongs behind the words.
    pub(crate) const fn has_object(self) -> bool {
        matches!(self, Self::Exec)
    }
}

/// The set of what we take.
fn taken() -> Set {
    NOT_TAKEN.iter().fold(Set::MAX, |set, number| set & !bit(*number))
}

/// A signal's bit.
const fn bit(number: c_int) -> Set {
    Set::MAX.wrapping_shr(63) << (number.wrapping_sub(1) & 63)
}

/// Blocks what is to be forwarded, so that it waits for [`next_signal`]; what was there before.
pub(crate) fn take_signals() -> Inherited {
    let mut inherited = Inherited { mask: 0, actions: CHANGED.map(|(number, _)| (number, [0; 8])) };
    let set = taken();
    mask(&set, Some(&mut inherited.mask));
    for ((number, old), (_, new)) in inherited.actions.iter_mut().zip(CHANGED) {
        let mut action: Action = [0; 8];
        if let Some(handler) = action.first_mut() {
            *handler = new;
        }
        act(*number, &action, Some(old));
    }
    inherited
}

/// `rt_sigprocmask`, with a set of the kernel's own form.
fn mask(set: &Set, old: Option<&mut Set>) -> bool {
    let old = old.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    let set = std::ptr::from_ref(set);
    // SAFETY: both places are valid for a set, or null.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, set, old, SET_BYTES) == 0 }
}

/// `rt_sigaction`, likewise.
fn act(number: c_int, action: &Action, old: Option<&mut Action>) -> bool {
    let old = old.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    let action = std::ptr::from_ref(action);
    // SAFETY: both places are valid for an action of the kernel's own form, or null.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, number, action, old, SET_BYTES) == 0 }
}

/// Waits for a signal, for so long at most; `None` if none came, or the wait was cut short.
pub(crate) fn next_signal(within: Option<Duration>) -> Option<Heard> {
    let set = taken();
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let time = within.map(|within| libc::timespec {
        tv_sec: i32::try_from(within.as_secs()).unwrap_or(i32::MAX).into(),
        tv_nsec: libc::c_long::from(within.subsec_nanos()),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let (set, place) = (&raw const set, info.as_mut_ptr());
    // SAFETY: a set of the kernel's own form, a place for the facts, a time or null for none.
    let number = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, place, time, SET_BYTES) };
    let number = c_int::try_from(number).ok().filter(|number| *number > 0)?;
    // SAFETY: the kernel has filled it; all zero was a valid one before.
    let info = unsafe { info.assume_init() };
    // SAFETY: a signal that a process sends carries its pid there, and we ask of no other kind.
    let sender = unsafe { info.si_pid() };
    let is_own = info.si_code == libc::SI_USER && u32::try_from(sender) == Ok(std::process::id());
    Some(Heard { number, is_own })
}

/// We get this signal when our parent dies.
pub(crate) fn on_parent_death(number: i32) -> io::Result<()> {
    let number = nix::sys::signal::Signal::try_from(number)?;
    Ok(nix::sys::prctl::set_pdeathsig(number)?)
}

/// Whether orphans below us come to us.
pub(crate) fn is_subreaper() -> bool {
    nix::sys::prctl::get_child_subreaper().unwrap_or(false)
}

/// What the child needs, made ready by the parent.
struct Call<'a> {
    /// Its arguments, the program first: a null-ended array of C strings.
    argv: *const *const c_char,
    /// The same for a shell, which runs a script without "#!".
    script: *const *const c_char,
    /// For the program.
    inherited: &'a Inherited,
    /// The first failure: written by the child, read by the parent.
    failure: Cell<Option<(Step, c_int)>>,
}

/// Makes the process of the program, which leads a group of its own and has the terminal if there is one. By the
/// time this returns it has become the program, or it ends with 127, 126 or 1.
///
/// # Errors
/// No process could be made.
pub(crate) fn spawn(command: &[CString], inherited: &Inherited) -> io::Result<Child> {
    let argv: Vec<*const c_char> =
        command.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    let found = command.first().map(|program| found(program));
    let words = argv.iter().copied().skip(1);
    let script: Vec<*const c_char> =
        [SHELL.as_ptr()].into_iter().chain(found.iter().map(|file| file.as_ptr())).chain(words).collect();
    let mut call = Call { argv: argv.as_ptr(), script: script.as_ptr(), inherited, failure: Cell::new(None) };
    // A library that runs scripts itself does it with a copy of the arguments, which is on this stack.
    // Only reserved: what is never touched is no memory.
    let mut stack = Vec::<u8>::with_capacity(STACK_BYTES.saturating_add(argv.len().saturating_mul(16)));
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
    let top: *mut c_void = top.map_addr(|address| address & !15).cast();
    let argument: *mut c_void = (&raw mut call).cast();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack and `call` outlive the child's use of them: CLONE_VFORK suspends us until it has left our
    // memory. We have no handler that could run in it.
    let pid = unsafe { libc::clone(enter, top, flags, argument) };
    Errno::result(pid)?;
    let failure = call.failure.get();
    Ok(Child {
        pid: Pid(pid),
        failure: failure.map(|(step, errno)| (step, io::Error::from_raw_os_error(errno))),
    })
}

/// The child: raw system calls on values made ready before, as it shares our memory. What it returns is the exit
/// code of one that has not become the program.
extern "C" fn enter(argument: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes a pointer to a `Call` on the stack of the suspended parent.
    let call = unsafe { &*argument.cast::<Call<'_>>() };
    let (step, errno) = prepare(call).err().unwrap_or_else(|| (Step::Exec, exec(call)));
    call.failure.set(Some((step, errno)));
    match (step, errno) {
        (Step::Exec, libc::ENOENT) => 127,
        (Step::Exec, libc::EACCES) => 126,
        (Step::Exec | Step::Group | Step::Terminal | Step::Signals, _) => 1,
    }
}

/// Everything before exec, in order.
fn prepare(call: &Call<'_>) -> Result<(), (Step, c_int)> {
    // SAFETY: plain numbers.
    if unsafe { libc::setpgid(0, 0) } == -1 {
        return Err((Step::Group, Errno::last_raw()));
    }
    // SAFETY: no arguments.
    let group = unsafe { libc::getpgrp() };
    // SAFETY: plain numbers. SIGTTOU is ignored, so that it does not stop who is in the background still.
    if unsafe { libc::tcsetpgrp(0, group) } == -1 {
        match Errno::last_raw() {
            // No terminal, a zone's idea of one, nothing at all.
            libc::ENOTTY | libc::ENXIO | libc::EBADF => {}
            other => return Err((Step::Terminal, other)),
        }
    }
    let inherited = call.inherited;
    let restored = inherited.actions.iter().all(|(number, action)| act(*number, action, None));
    // The mask last: a signal that waits must find the program's own dispositions.
    if restored && mask(&inherited.mask, None) {
        return Ok(());
    }
    Err((Step::Signals, Errno::last_raw()))
}

/// Becomes the program, found as a shell finds it; the errno if that cannot be.
fn exec(call: &Call<'_>) -> c_int {
    // SAFETY: the array is ended by a null, so it has a first entry.
    let program = unsafe { *call.argv };
    // SAFETY: C strings and a null-ended array made ready by the parent.
    unsafe { libc::execvp(program, call.argv) };
    let errno = Errno::last_raw();
    if errno == libc::ENOEXEC {
        // glibc has done so already; musl leaves it to a shell.
        // SAFETY: as above.
        unsafe { libc::execv(SHELL.as_ptr(), call.script) };
    }
    errno
}

/// The file of a program, found as a shell finds it; the name itself if there is none.
fn found(program: &CStr) -> Cow<'_, CStr> {
    let name = program.to_bytes();
    let path = std::env::var_os("PATH").filter(|_| !name.contains(&b'/')).unwrap_or_default();
    let files = path.as_bytes().split(|byte| *byte == b':').filter_map(|folder| {
        CString::new([if folder.is_empty() { b"." } else { folder }, b"/", name].concat()).ok()
    });
    let is_program = |file: &CString| access(file.as_c_str(), AccessFlags::X_OK).is_ok();
    files.into_iter().find(is_program).map_or(Cow::Borrowed(program), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_all_but_faults_and_terminal_stops() {
        let set = taken();
        assert_eq!(set.count_ones(), 55);
        assert_eq!(set & bit(libc::SIGSEGV), 0);
        assert_eq!(set & bit(libc::SIGTERM), 1 << 14);
        assert_eq!(set & bit(64), 1 << 63);
    }
}
