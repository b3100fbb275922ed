//! All processes of a service where there is no control group to tell: whoever descends from its leader, shares its
//! session, or was seen to. Read from `/proc`, which is no disk; what is too much is not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
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
    let mut all: Vec<Process> = numbers("/proc").filter_map(living).collect();
    all.sort_unstable_by_key(|process| process.parent.0);
    all
}

/// The numbers that a folder of `/proc` has names for.
fn numbers(folder: &str) -> impl Iterator<Item = Pid> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid))
}

/// A process, if it lives.
fn living(pid: Pid) -> Option<Process> {
    read(pid).filter(|process| !process.is_dead)
}

/// Those that [`Forest::of`] finds, without reading all the others: for whoever asks for one leader. `None` where
/// the kernel lists no children.
pub(crate) fn of_one(leader: Seen) -> Option<Vec<Process>> {
    proc::text("/proc/thread-self/children")?;
    let mut open: Vec<Pid> = numbers("/proc").filter(|pid| proc::session(*pid) == Some(leader.0)).collect();
    if open.is_empty() {
        open.push(leader.0);
    }
    let (mut known, mut found) = (BTreeSet::new(), Vec::new());
    while let Some(pid) = open.pop() {
        let Some(process) = known.insert(pid.0).then(|| living(pid)).flatten() else { continue };
        if pid == leader.0 && process.start != leader.1 {
            return Some(Vec::new());
        }
        found.push(process);
        let tasks = format!("/proc/{}/task", pid.0);
        for thread in numbers(&tasks) {
            let children = proc::text(&format!("{tasks}/{}/children", thread.0)).unwrap_or_default();
            open.extend(children.split_whitespace().filter_map(|word| word.parse().ok().map(Pid)));
        }
    }
    Some(found)
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

/// All processes, in the order in which those of many leaders are found.
#[derive(Debug)]
pub(crate) struct Forest {
    /// By parent.
    children: BTreeMap<i32, Vec<Process>>,
    /// By session.
    sessions: BTreeMap<i32, Vec<Process>>,
}

impl Forest {
    /// As they are now.
    pub(crate) fn grown() -> Self {
        let (mut children, mut sessions) = (BTreeMap::new(), BTreeMap::new());
        for process in all() {
            let of =
                |map: &mut BTreeMap<i32, Vec<Process>>, key: Pid| map.entry(key.0).or_default().push(process);
            of(&mut children, process.parent);
            of(&mut sessions, process.session);
        }
        Self { children, sessions }
    }

    /// Those that belong to the leader of a session, by that or by descent; nobody if another has its number.
    pub(crate) fn of(&self, leader: Seen) -> Vec<Process> {
        let mut open = self.sessions.get(&leader.0.0).cloned().unwrap_or_default();
        if open.is_empty() {
            // One that leads no session: a main process that another one started.
            open.extend(self.children.values().flatten().filter(|process| process.pid == leader.0));
        }
        if open.iter().any(|process| process.pid == leader.0 && process.start != leader.1) {
            return Vec::new();
        }
        let (mut known, mut found) = (BTreeSet::new(), Vec::new());
        while let Some(process) = open.pop() {
            if known.insert(process.pid.0) {
                found.push(process);
                open.extend(self.children.get(&process.pid.0).into_iter().flatten());
            }
        }
        found
    }
}

/// Bytes of memory that these processes have for themselves: what no file holds. Shared memory counts once.
pub(crate) fn memory(processes: &[Process]) -> u64 {
    let (mut own, mut shared) = (0_u64, 0_u64);
    for process in processes {
        let text = proc::text(&format!("/proc/{}/status", process.pid.0)).unwrap_or_default();
        let kilobytes = |key: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        own = own.saturating_add(kilobytes("RssAnon:")).saturating_add(kilobytes("VmSwap:"));
        shared = shared.max(kilobytes("RssShmem:"));
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
    parse(pid, &proc::text(&format!("/proc/{}/stat", pid.0))?)
}

/// The same, from the line. The name in it may hold blanks and brackets; it ends at the last bracket.
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |place: usize| -> Option<u64> { fields.get(place)?.parse().ok() };
    let person = |place: usize| -> Option<Pid> { fields.get(place)?.parse().ok().map(Pid) };
    let ticks = [11, 12, 13, 14].into_iter().filter_map(number).fold(0, u64::saturating_add);
    Some(Process {
        pid,
        start: number(19)?,
        parent: person(1)?,
        group: person(2)?,
        session: person(3)?,
        ticks,
        threads: number(17)?,
        is_dead: matches!(fields.first(), Some(&("Z" | "X"))),
    })
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
        let leader = all.iter().find(|process| process.pid == own).unwrap().session;
        if let Some(leader) = all.iter().find(|process| process.pid == leader) {
            let session = Forest::grown().of(leader.seen());
            assert!(session.iter().any(|process| process.pid == own));
            assert!(Forest::grown().of((leader.pid, leader.start + 1)).is_empty());
        }
        assert!(memory(&tree) > 100_000);
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for by its number")]
    fn one_tree_is_found_alone_as_it_is_among_all() {
        use std::process::{Command, Stdio};
        let script = "sleep 60 & setsid sleep 60 & (sleep 60 &); wait";
        let child = Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::null()).spawn().unwrap();
        let leader = Pid(i32::try_from(child.id()).unwrap());
        let start = proc::start_ticks(leader).unwrap();
        let sorted = |processes: Vec<Process>| {
            let mut pids: Vec<i32> = processes.iter().map(|process| process.pid.0).collect();
            pids.sort_unstable();
            pids
        };
        let grown = || sorted(Forest::grown().of((leader, start)));
        // Until all have come, one of them to a session of its own, and what made one of them has gone.
        let is_settled = |pids: &[i32]| {
            let sessions = pids.iter().filter_map(|pid| proc::session(Pid(*pid)));
            pids.len() == 4 && sessions.filter(|session| *session == leader).count() == 3
        };
        while !is_settled(&grown()) {
            std::hint::spin_loop();
        }
        assert_eq!(of_one((leader, start)).map(sorted), Some(grown()));
        assert_eq!(of_one((leader, start + 1)).map(sorted), Some(Vec::new()));
        signal(&Forest::grown().of((leader, start)), libc::SIGKILL);
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(leader.0), None).unwrap();
    }
}
