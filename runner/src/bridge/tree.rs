//! Which processes belong together, as the kernel tells it in /proc. Nothing here starts one.

use std::collections::HashMap;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process.
struct Seen {
    /// It.
    pid: i32,
    /// Its parent.
    parent: i32,
    /// Its session.
    session: i32,
}

/// All processes that can be seen.
fn all() -> Vec<Seen> {
    let Ok(folder) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| seen(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// What a line of `stat` tells; a name may hold anything, so it is read from its end on.
fn seen(pid: i32, stat: &str) -> Option<Seen> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let dead = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    (!dead).then_some(Seen { pid, parent, session })
}

/// Sends a signal to every descendant of this process. Those whose parent died are its own children already,
/// since it is the one that they are left to.
pub(super) fn signal_descendants(signal: Signal) {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut next = vec![Pid::this().as_raw()];
    while let Some(pid) = next.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            // It may be gone already: then it needs no signal.
            _ = kill(Pid::from_raw(child), signal);
            next.push(child);
        }
    }
}

/// Kills whatever still belongs to a session; `true` if there was anything.
pub(super) fn kill_session(session: i32) -> bool {
    let mut any = false;
    for process in all().into_iter().filter(|process| process.session == session) {
        any |= kill(Pid::from_raw(process.pid), Signal::SIGKILL).is_ok();
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let process = seen(7, "7 (a) R 1 (b)) S 5 6 4 0 -1").unwrap();
        assert_eq!((process.parent, process.session), (5, 4));
        assert!(seen(7, "7 (x) Z 5 6 4 0").is_none());
        assert!(seen(7, "").is_none());
    }

    #[test]
    fn this_very_process_is_seen() {
        let me = Pid::this().as_raw();
        assert!(all().iter().any(|process| process.pid == me));
    }
}
