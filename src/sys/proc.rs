//! What `/proc` says of a process. It is asked only when somebody looks; `/proc` is no disk.

use std::fs::{self, File};
use std::io::Read;

use nix::unistd::{getpgid, getsid};

use crate::life::policy::Pid;

/// What is read of a file of `/proc` at once, and most of the time all of it.
const USUAL_BYTES: usize = 4096;
/// No file of `/proc` is taken to be longer.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The text of a file of `/proc`. These have no size that could be asked for: each read makes the kernel write
/// the text again, so there are few of them.
pub(crate) fn text(path: &str) -> Option<String> {
    let mut text = String::with_capacity(USUAL_BYTES);
    File::open(path).ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What the kernel writes of a process in one piece: the text of a file of its folder, for which one read is enough as
/// long as it does not fill the room there is.
pub(crate) fn record(pid: Pid, name: &str) -> Option<String> {
    let mut file = File::open(format!("/proc/{}/{name}", pid.0)).ok()?;
    let mut bytes = vec![0; USUAL_BYTES];
    let count = file.read(&mut bytes).ok()?;
    bytes.truncate(count);
    if count == USUAL_BYTES {
        file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    }
    String::from_utf8(bytes).ok()
}

/// The children of one thread of a process. `None` where the kernel does not tell (no `/proc`, not to us, or not made
/// with `CONFIG_PROC_CHILDREN`).
pub(crate) fn children(pid: Pid, thread: Pid) -> Option<Vec<Pid>> {
    let text = text(&format!("/proc/{}/task/{}/children", pid.0, thread.0))?;
    Some(text.split_ascii_whitespace().filter_map(|word| word.parse().ok().map(Pid)).collect())
}

/// The threads of a process.
pub(crate) fn threads(pid: Pid) -> Vec<Pid> {
    numbers(&format!("/proc/{}/task", pid.0))
}

/// The numbers that a folder of `/proc` has names for.
pub(super) fn numbers(folder: &str) -> Vec<Pid> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid)).collect()
}

/// When the process was started, in clock ticks since boot: field 22 of `/proc/PID/stat`. With its pid it names
/// one process for as long as the machine is up.
pub(crate) fn start_ticks(pid: Pid) -> Option<u64> {
    let stat = record(pid, "stat")?;
    // The name (field 2) may hold blanks and brackets; it ends at the last bracket.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Whether a signal would do anything to the first process of a PID namespace: the kernel keeps from it what it
/// neither handles nor ignores. One that cannot be asked is gone, or as good as any.
pub(crate) fn heeds(pid: Pid, signal: i32) -> bool {
    let Some(status) = record(pid, "status") else { return true };
    let has = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        let bit = u32::try_from(signal).unwrap_or(0).saturating_sub(1);
        mask.is_none_or(|mask| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
    };
    has("SigIgn:") || has("SigCgt:")
}

/// The process that made it, or took it in: field 4 of `/proc/PID/stat`.
pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    let stat = record(pid, "stat")?;
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    (parent > 0).then_some(Pid(parent))
}

/// Whether a signal has stopped it: field 3 of `/proc/PID/stat`. A debugger does the same to it.
pub(crate) fn is_frozen(pid: Pid) -> bool {
    let stat = text(&format!("/proc/{}/stat", pid.0));
    let state =
        stat.as_deref().and_then(|stat| stat.rsplit_once(')')).and_then(|(_, rest)| rest.trim().get(..1));
    matches!(state, Some("T" | "t"))
}

/// The session it is in.
pub(crate) fn session(pid: Pid) -> Option<Pid> {
    getsid(Some(nix::unistd::Pid::from_raw(pid.0))).ok().map(|session| Pid(session.as_raw()))
}

/// The group it is in.
pub(crate) fn group(pid: Pid) -> Option<Pid> {
    getpgid(Some(nix::unistd::Pid::from_raw(pid.0))).ok().map(|group| Pid(group.as_raw()))
}

/// Whether there is such a process, dead but unreaped ones included.
pub(crate) fn is_there(pid: Pid) -> bool {
    group(pid).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_was_started_after_boot() {
        let own = Pid(i32::try_from(std::process::id()).unwrap());
        assert!(start_ticks(own).unwrap() > 0);
        assert_eq!(start_ticks(Pid(i32::MAX)), None);
        // The runtime ignores one, and nothing handles the other.
        assert!(heeds(own, libc::SIGPIPE) && !heeds(own, libc::SIGVTALRM));
        assert!(parent(own).is_some() && session(own).is_some() && is_there(own));
        assert_eq!((parent(Pid(i32::MAX)), is_there(Pid(i32::MAX))), (None, false));
    }
}
