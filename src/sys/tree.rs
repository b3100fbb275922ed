//! All processes of a service where there is no control group to tell: whoever descends from its leader, shares its
//! session, or was seen to. Read from `/proc`, which is no disk; what is too much is not known here.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use crate::life::policy::Pid;

use super::{proc, signal};

/// One process, as it was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: Pid,
    /// When it was started; with the number it names one process for as long as the machine is up.
    pub(crate) start: u64,
    /// Its parent.
    parent: Pid,
    /// Its process group.
    group: Pid,
    /// Its session.
    session: Pid,
    /// Clock ticks that it and its children that have ended had of the processors.
    pub(crate) ticks: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Whether it has ended.
    is_dead: bool,
}

/// A process that was seen once: its number and its start.
pub(crate) type Seen = (Pid, u64);

impl Process {
    /// What it is known by.
    pub(crate) const fn seen(&self) -> Seen {
        (self.pid, self.start)
    }
}

/// All processes that live, the children of one beside each other.
pub(crate) fn all() -> Vec<Process> {
    let mut all: Vec<Process> = proc::numbers("/proc").into_iter().filter_map(living).collect();
    all.sort_unstable_by_key(|process| process.parent.0);
    all
}

/// A process, if it lives.
pub(super) fn living(pid: Pid) -> Option<Process> {
    read(pid).filter(|process| !process.is_dead)
}

/// Those of them that belong to a leader: by descent, by group or session, or because they were seen before.
///
/// Its number can mean another process once nobody is left in its group and session; then only those count who
/// were seen. They are in the order of [`all`].
pub(crate) fn of(leader: Seen, seen: &[Seen], all: &[Process]) -> Vec<Process> {
    let (number, start) = leader;
    let is_taken = all.iter().any(|process| process.pid == number && process.start != start);
    let children = |parent: Pid| {
        let first = all.partition_point(|process| process.parent.0 < parent.0);
        let rest = all.get(first..).into_iter().flatten();
        rest.take_while(move |process| process.parent == parent)
    };
    let is_root = |process: &&Process| {
        let is_its = [process.pid, process.group, process.session].contains(&number);
        (is_its && !is_taken) || seen.contains(&process.seen())
    };
    let mut open: Vec<&Process> = all.iter().filter(is_root).collect();
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(process) = open.pop() {
        if known.insert(process.pid.0) {
            found.push(*process);
            open.extend(children(process.pid));
        }
    }
    found
}

/// Bytes of memory that these processes have for themselves: what no file holds. Shared memory counts once.
pub(crate) fn memory(processes: &[Process]) -> u64 {
    let (mut own, mut shared) = (0_u64, 0_u64);
    for process in processes {
        let text = proc::record(process.pid, "status").unwrap_or_default();
        let figure = |line: &str, key: &str| -> Option<u64> {
            line.strip_prefix(key)?.split_ascii_whitespace().next()?.parse().ok()
        };
        for line in text.lines() {
            if let Some(kilobytes) = figure(line, "RssAnon:").or_else(|| figure(line, "VmSwap:")) {
                own = own.saturating_add(kilobytes);
            } else if let Some(kilobytes) = figure(line, "RssShmem:") {
                shared = shared.max(kilobytes);
            }
        }
    }
    own.saturating_add(shared).saturating_mul(1024)
}

/// Sends a signal to each of them that is still the one that was read.
pub(crate) fn signal(processes: &[Process], number: i32) {
    for process in processes {
        if let Ok(pidfd) = signal::hold(process.pid)
            && read(process.pid).is_some_and(|now| now.start == process.start)
        {
            // Whoever has ended meanwhile needs no signal.
            drop(signal::to_process(process.pid, Some(pidfd.as_fd()), number));
        }
    }
}

/// The same by the process groups they are in: those of one group at once, so that none of them can make another
/// meanwhile. Whoever shares a group shares a session, and that is the service's own.
pub(crate) fn signal_groups(processes: &[Process], number: i32) {
    let groups: BTreeSet<i32> = processes.iter().map(|process| process.group.0).collect();
    for group in groups.into_iter().filter(|group| *group > 1) {
        // Nobody left to signal is what we want anyway.
        drop(signal::to_group(Pid(group), None, number));
    }
    signal(processes, number);
}

/// What `/proc` says of a process.
fn read(pid: Pid) -> Option<Process> {
    parse(pid, &proc::record(pid, "stat")?)
}

/// The same, from the line. The name in it may hold blanks and brackets; it ends at the last bracket.
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let mut person = || -> Option<Pid> { fields.next()?.parse().ok().map(Pid) };
    let (parent, group, session) = (person()?, person()?, person()?);
    let mut number = |skipped: usize| -> Option<u64> { fields.nth(skipped)?.parse().ok() };
    let mut ticks = number(7)?;
    for _ in 0..3 {
        ticks = ticks.saturating_add(number(0)?);
    }
    Some(Process { pid, parent, group, session, ticks, threads: number(2)?, start: number(1)?, is_dead })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process of this number, parent, group and session.
    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        let line =
            format!("{pid} (a) b) S {parent} {group} {session} 0 -1 0 0 0 0 0 1 2 3 4 20 0 5 0 {pid}0 0");
        parse(Pid(pid), &line).unwrap()
    }

    #[test]
    fn who_belongs_to_a_leader_is_found_wherever_it_went() {
        let mut all = [
            process(5, 1, 5, 5),
            process(6, 5, 6, 6), // a child in a session of its own
            process(7, 6, 6, 6), // and that one's
            process(8, 1, 8, 5), // an orphan of its session
            process(9, 1, 9, 9), // an orphan in a session of its own
            process(10, 9, 9, 9),
            process(11, 1, 11, 11), // nobody's
        ];
        all.sort_by_key(|process| process.parent.0);
        let found = |seen: &[Seen]| {
            let mut pids: Vec<i32> =
                of((Pid(5), 50), seen, &all).iter().map(|process| process.pid.0).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(found(&[]), [5, 6, 7, 8]);
        assert_eq!(found(&[(Pid(9), 90)]), [5, 6, 7, 8, 9, 10], "one that was seen before it went");
        assert_eq!(found(&[(Pid(11), 7)]), [5, 6, 7, 8], "another has its number now");
        assert_eq!(of((Pid(5), 7), &[(Pid(9), 90)], &all).len(), 2, "the leader's number is another's");
        assert_eq!((all[0].ticks, all[0].threads, all[0].start), (10, 5, 50));
    }

    #[test]
    fn this_process_is_there_and_has_memory() {
        let own = Pid(i32::try_from(std::process::id()).unwrap());
        let all = all();
        let start = all.iter().find(|process| process.pid == own).unwrap().start;
        let tree = of((own, start), &[], &all);
        assert!(tree.iter().any(|process| process.pid == own));
        assert!(memory(&tree) > 100_000);
    }
}
