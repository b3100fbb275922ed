//! The child's side of how much of the machine it gets. As in `child`: no allocation, no lock, raw system calls.

use std::ffi::{CStr, c_int};
use std::os::fd::RawFd;

use super::child::{check, errno};
use super::setup::Limits;
use super::stage::{Failed, Stage};

/// `ioprio_set`: for one process.
const IOPRIO_WHO_PROCESS: c_int = 1;

/// Files by which the kernel takes two of the limits. They are opened before the limit of descriptors is set, which
/// may leave no room for them.
pub(super) struct Files {
    /// Of the nice value of the session, without which that of a process in it means little.
    autogroup: Result<RawFd, c_int>,
    /// Of the OOM score.
    oom_score: Result<RawFd, c_int>,
}

impl Files {
    /// Opens those that are needed.
    pub(super) fn open(limits: &Limits) -> Self {
        let unneeded = Err(0);
        let autogroup = if limits.nice.is_some() { open(c"/proc/self/autogroup") } else { unneeded };
        let oom_score = if limits.oom_score.is_some() { open(c"/proc/self/oom_score_adj") } else { unneeded };
        Self { autogroup, oom_score }
    }
}

/// Applies all limits, in the order of their stages.
pub(super) fn apply(limits: &Limits, files: &Files) -> Result<(), Failed> {
    resources(limits)?;
    nice(limits, files)?;
    scheduling(limits)?;
    affinity(limits)?;
    io_priority(limits)?;
    oom_score(limits, files)
}

/// Resource limits.
fn resources(limits: &Limits) -> Result<(), Failed> {
    for (resource, limit) in &limits.rlimits {
        let old = std::ptr::null_mut::<libc::rlimit64>();
        // SAFETY: a valid limit; the old one is not asked for.
        let set = unsafe { libc::syscall(libc::SYS_prlimit64, 0, *resource, &raw const *limit, old) };
        check(Stage::Limits, set)?;
    }
    Ok(())
}

/// The nice value, and that of the session: with autogroups the kernel compares sessions, not processes.
fn nice(limits: &Limits, files: &Files) -> Result<(), Failed> {
    let Some(nice) = limits.nice else { return Ok(()) };
    // SAFETY: plain numbers.
    check(Stage::Nice, unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) })?;
    if let Ok(file) = files.autogroup {
        let mut digits = [0; 4];
        // Who may not do this may still have the nice value itself; not every kernel knows it.
        let _taken = write(file, decimal(nice, &mut digits));
    }
    Ok(())
}

/// The scheduling policy. By number: the C library of some systems refuses to make this call.
fn scheduling(limits: &Limits) -> Result<(), Failed> {
    let Some((policy, priority)) = limits.scheduling else { return Ok(()) };
    // SAFETY: plain numbers, and a pointer to one that is the whole of the kernel's `struct sched_param`.
    let set = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    check(Stage::Scheduling, set)
}

/// The processors it may run on.
fn affinity(limits: &Limits) -> Result<(), Failed> {
    let mask = limits.affinity.as_slice();
    if mask.is_empty() {
        return Ok(());
    }
    // SAFETY: the mask is valid for so many bytes.
    let set = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) };
    check(Stage::Affinity, set)
}

/// Class and level of I/O.
fn io_priority(limits: &Limits) -> Result<(), Failed> {
    let Some(priority) = limits.io_priority else { return Ok(()) };
    // SAFETY: plain numbers.
    let set = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) };
    check(Stage::IoPriority, set)
}

/// The OOM score.
fn oom_score(limits: &Limits, files: &Files) -> Result<(), Failed> {
    let Some(text) = &limits.oom_score else { return Ok(()) };
    let file = files.oom_score.map_err(|errno| (Stage::OomScore, errno))?;
    write(file, text).map_err(|errno| (Stage::OomScore, errno))
}

/// Opens a file of the kernel's to be written; it does not survive exec.
fn open(path: &CStr) -> Result<RawFd, c_int> {
    // SAFETY: a C string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if fd == -1 { Err(errno()) } else { Ok(fd) }
}

/// Writes a short text at once.
fn write(fd: RawFd, text: &[u8]) -> Result<(), c_int> {
    // SAFETY: the text is valid for so many bytes.
    let written = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
    if written == -1 { Err(errno()) } else { Ok(()) }
}

/// A nice value as text, without allocating.
fn decimal(nice: c_int, digits: &mut [u8; 4]) -> &[u8] {
    let mut rest = nice.unsigned_abs().min(99);
    let mut at = digits.len();
    loop {
        at = at.saturating_sub(1);
        if let (Some(place), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
            *place = b'0'.saturating_add(digit);
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if nice < 0 {
        at = at.saturating_sub(1);
        if let Some(place) = digits.get_mut(at) {
            *place = b'-';
        }
    }
    digits.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nice_values_are_written_as_people_do() {
        for nice in -20..=19 {
            assert_eq!(decimal(nice, &mut [0; 4]), nice.to_string().as_bytes());
        }
    }
}
