//! What the supervisor does to itself before its first child. Nothing here is undone.

use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;

use super::child::{Action, SET_BYTES};

/// What the standard library's own start would have done for a verb: a closed pipe is an error and not a death,
/// and nothing that is opened becomes 0, 1 or 2.
pub(crate) fn settle() {
    // SAFETY: no handler of ours is involved.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    for number in 0..3 {
        // SAFETY: plain numbers.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
            // SAFETY: a C string; the lowest number that is free is this one, and it stays open.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        }
    }
}

/// Makes sure that 0, 1 and 2 are open, so that no descriptor of ours gets one of these numbers, and closes
/// what whoever started us left open beyond them.
pub(crate) fn tidy_descriptors() {
    // Until a number beyond 2 comes back; what is opened stays open.
    while let Ok(fd) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) {
        use std::os::fd::{AsRawFd, IntoRawFd};
        if fd.as_raw_fd() > 2 {
            break;
        }
        let _stays_open = fd.into_raw_fd();
    }
    // SAFETY: before anything else was opened: nobody owns a descriptor beyond 2.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// A descriptor that whoever started us left for us at this number.
///
/// # Errors
/// EBADF when there is none.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    Errno::result(flags)?;
    // SAFETY: it is open, as was just seen, and nobody else in this program knows its number.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(fd)
}

/// Adopts the orphans of its services, unless it is PID 1 and does so anyway.
pub(crate) fn become_reaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Whether this is the first process of its PID namespace.
pub(crate) fn is_first() -> bool {
    nix::unistd::getpid().as_raw() == 1
}

/// The user whom we act as.
pub(crate) fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether it is the first of the machine, and no container's.
pub(crate) fn is_init() -> bool {
    /// What the kernel always calls the namespace that it began with.
    const FIRST_NAMESPACE: &str = "pid:[4026531836]";
    is_first()
        && std::fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() == FIRST_NAMESPACE)
}

/// Whether a person's terminal is our input: its end is ours.
pub(crate) fn has_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stdin())
}

/// Raises our own limit of descriptors as far as it goes; what it was before, for the children.
pub(crate) fn raise_descriptors() -> Option<libc::rlimit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok()?;
    Some(libc::rlimit { rlim_cur: soft, rlim_max: hard })
}

/// So many processes of a user, or as many as we may grant.
pub(crate) fn at_most_processes(wanted: u32) -> u64 {
    let hard = getrlimit(Resource::RLIMIT_NPROC).map_or(u64::MAX, |(_, hard)| hard);
    hard.min(wanted.into())
}

/// Signals a child has to set back to their default: those we catch, and those that are ignored here. Asked of
/// the kernel once.
pub(crate) fn to_reset() -> &'static [c_int] {
    static NUMBERS: OnceLock<Vec<c_int>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        (1..=libc::SIGRTMAX())
            .filter(|number| {
                let mut action: Action = [libc::SIG_DFL; 8];
                let (none, place) = (std::ptr::null::<Action>(), &raw mut action);
                // SAFETY: only asks; a valid place for the answer.
                let asked = unsafe { libc::syscall(libc::SYS_rt_sigaction, *number, none, place, SET_BYTES) };
                asked == 0 && action.first() != Some(&libc::SIG_DFL)
            })
            .collect()
    })
}

/// The text of an errno, without the number that `io::Error` adds.
pub(crate) fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |raw| Errno::from_raw(raw).desc().to_owned())
}

/// Whether the kernel's OOM killer spares us more than others: our children are not to inherit that. Asked once.
pub(crate) fn is_oom_protected() -> bool {
    static PROTECTED: OnceLock<bool> = OnceLock::new();
    *PROTECTED.get_or_init(|| {
        std::fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|text| text.starts_with('-'))
    })
}

/// Capabilities that we and our children can have at all, a bit for each. Asked once.
pub(crate) fn possible_capabilities() -> u64 {
    static POSSIBLE: OnceLock<u64> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        // SAFETY: plain numbers; the kernel knows no more of them when it does not answer.
        let is_in = |number: u32| unsafe { libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) };
        let answers =
            (0..u64::BITS).map(|number| (number, is_in(number))).take_while(|(_, is_in)| *is_in != -1);
        answers.filter(|(_, is_in)| *is_in == 1).fold(0, |set, (number, _)| set | 1 << number)
    })
}
