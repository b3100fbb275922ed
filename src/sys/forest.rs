//! The processes of services for whoever only looks at them, each found from its leader downwards: nobody else on the
//! machine is read. What is summed up of them is not known here.

use std::collections::{BTreeMap, BTreeSet};

use crate::life::policy::Pid;

use super::proc;
use super::tree::{self, Process, Seen};

/// Where those are found who do not descend from their leader any more.
#[derive(Debug)]
pub(crate) enum Forest {
    /// By session: the kernel lists the children of a process, and those that lost their parents are the
    /// supervisor's.
    Listed(BTreeMap<i32, Vec<Pid>>),
    /// Among all: it does not list them, or not to us.
    Read(Vec<Process>),
}

impl Forest {
    /// As it grows below a supervisor, if that is known.
    pub(crate) fn below(supervisor: Option<Pid>) -> Self {
        let Some(children) = supervisor.and_then(|pid| proc::children(pid, pid)) else {
            return Self::Read(tree::all());
        };
        let mut sessions: BTreeMap<i32, Vec<Pid>> = BTreeMap::new();
        for child in children {
            // Who leads a session is found by its number.
            if let Some(session) = proc::session(child).filter(|session| *session != child) {
                sessions.entry(session.0).or_default().push(child);
            }
        }
        Self::Listed(sessions)
    }

    /// Those that belong to a leader, by descent or by session; nobody if another has its number.
    pub(crate) fn of(&self, leader: Seen) -> Vec<Process> {
        let sessions = match self {
            Self::Listed(sessions) => sessions,
            Self::Read(all) => return tree::of(leader, &[], all),
        };
        let mut open: Vec<Pid> = sessions.get(&leader.0.0).into_iter().flatten().copied().collect();
        open.push(leader.0);
        let (mut known, mut found) = (BTreeSet::new(), Vec::new());
        while let Some(pid) = open.pop() {
            let Some(process) = known.insert(pid.0).then(|| tree::living(pid)).flatten() else { continue };
            if pid == leader.0 && process.start != leader.1 {
                return Vec::new();
            }
            found.push(process);
            let threads = if process.threads == 1 { vec![pid] } else { proc::threads(pid) };
            open.extend(threads.into_iter().filter_map(|thread| proc::children(pid, thread)).flatten());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for by its number")]
    fn a_tree_is_found_from_its_leader_as_it_is_among_all() {
        let script = "sleep 60 & setsid sleep 60 & (sleep 60 &); wait";
        let child = Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::null()).spawn().unwrap();
        let leader = Pid(i32::try_from(child.id()).unwrap());
        let start = proc::start_ticks(leader).unwrap();
        let sorted = |processes: Vec<Process>| {
            let mut pids: Vec<i32> = processes.iter().map(|process| process.pid.0).collect();
            pids.sort_unstable();
            pids
        };
        let read = |start| sorted(Forest::Read(tree::all()).of((leader, start)));
        // Until all have come, one of them to a session of its own, and what made one of them has gone.
        let is_settled = |pids: &[i32]| {
            let sessions = pids.iter().filter_map(|pid| proc::session(Pid(*pid)));
            pids.len() == 4 && sessions.filter(|session| *session == leader).count() == 3
        };
        while !is_settled(&read(start)) {
            std::hint::spin_loop();
        }
        // Whoever took the orphan in: these are all there are.
        let listed = |start| {
            let mut sessions: BTreeMap<i32, Vec<Pid>> = BTreeMap::new();
            for pid in proc::numbers("/proc") {
                let session = proc::session(pid).map_or(0, |session| session.0);
                sessions.entry(session).or_default().push(pid);
            }
            sorted(Forest::Listed(sessions).of((leader, start)))
        };
        assert_eq!(listed(start), read(start));
        assert_eq!((listed(start + 1), read(start + 1)), (Vec::new(), Vec::new()));
        tree::signal(&Forest::Read(tree::all()).of((leader, start)), libc::SIGKILL);
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(leader.0), None).unwrap();
    }

    #[test]
    fn a_supervisor_that_is_not_seen_is_done_without() {
        assert!(matches!(Forest::below(None), Forest::Read(_)));
        assert!(matches!(Forest::below(Some(Pid(i32::MAX))), Forest::Read(_)));
        let own = Pid(i32::try_from(std::process::id()).unwrap());
        assert!(matches!(Forest::below(Some(own)), Forest::Listed(_)));
    }
}
