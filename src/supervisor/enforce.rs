//! How a service's limits are held: by a control group where we have a part of the hierarchy, by the resource
//! limits of a user that is its own, or else by looking. What is limited is said by the configuration.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::config::plan::Service;
use crate::life::policy::{Bound, Event, Exit, Pid};
use crate::life::roster::Id;
use crate::sys::cgroup::{self, Bounds, Group, Hierarchy, OwnKills};
use crate::sys::{own, signal};

use super::Supervisor;
use super::watch::{Looked, Watch};

/// So many processes beyond its limit can a service's user have of others, where only looks hold that limit.
const SPARE: u32 = 4096;

/// What holds limits.
#[derive(Debug)]
pub(super) struct Enforcement {
    /// Our part of the hierarchy of control groups.
    hierarchy: Option<Hierarchy>,
    /// Processes that the kernel had killed for want of memory in the group that we are in.
    own_kills: OwnKills,
    /// Everybody, as they were last looked at: one look serves all who need one in a turn.
    pub(super) looked: Looked,
}

impl Enforcement {
    /// Takes what we are given; only at the start.
    pub(super) fn begin() -> Self {
        let hierarchy = cgroup::claim();
        if hierarchy.is_some() {
            ::log::debug!("services get control groups of their own");
        }
        Self { hierarchy, own_kills: OwnKills::begin(), looked: Looked::default() }
    }

    /// Makes ready what holds the limits of a new process. With `own_user`, nobody else runs as its user.
    pub(super) fn hold(&self, plan: &Service, own_user: bool, now: Instant) -> Hold {
        let limits = &plan.limits;
        let wanted = Bounds { memory: limits.memory, cpu: limits.cpu, pids: limits.pids };
        let group = self.hierarchy.as_ref().and_then(|hierarchy| {
            // One that cannot be had is done without: what it would have held is looked at.
            hierarchy.group(&plan.id, wanted).ok().map(Box::new)
        });
        let held = group.as_ref().map(|group| group.bounds).unwrap_or_default();
        let unheld = wanted.pids.filter(|_| held.pids.is_none());
        let is_counted = unheld.is_some() && own_user;
        let left = Bounds {
            memory: wanted.memory.filter(|_| held.memory.is_none()),
            cpu: wanted.cpu.filter(|_| held.cpu.is_none()),
            pids: unheld.filter(|_| !is_counted),
        };
        let is_bounded = wanted != Bounds::default() || limits.rlimits.contains_key("nproc");
        let watch = (left != Bounds::default() || (is_bounded && group.is_none()))
            .then(|| Box::new(Watch::new(left, now)));
        let nproc = unheld
            .map(|pids| own::at_most_processes(if is_counted { pids } else { pids.saturating_add(SPARE) }));
        Hold { group, nproc, is_counted, watch }
    }
}

/// What holds the limits of one process.
#[derive(Debug)]
pub(super) struct Hold {
    /// Its control group.
    pub(super) group: Option<Box<Group>>,
    /// Processes that its user may have. Root may always have more.
    pub(super) nproc: Option<u64>,
    /// Whether that is the limit itself; otherwise it only bounds what can happen between two looks.
    is_counted: bool,
    /// What is looked at.
    pub(super) watch: Option<Box<Watch>>,
}

impl Hold {
    /// Nothing does.
    pub(super) const NONE: Self = Self { group: None, nproc: None, is_counted: false, watch: None };

    /// There is a process; `born` is when it was made, if that is known.
    pub(super) fn begin(&mut self, pid: Pid, born: Option<u64>) {
        if let Some(watch) = &mut self.watch {
            watch.begin(pid, born);
        }
    }

    /// Limit → what holds it, in words.
    pub(super) fn words(&self) -> BTreeMap<Box<str>, Box<str>> {
        let mut words = BTreeMap::new();
        let mut say = |bounds: Bounds, by: &str| {
            let each = [
                ("memory", bounds.memory.is_some()),
                ("cpu", bounds.cpu.is_some()),
                ("pids", bounds.pids.is_some()),
            ];
            for (name, _) in each.into_iter().filter(|(_, is_held)| *is_held) {
                words.insert(name.into(), by.into());
            }
        };
        say(self.watch.as_deref().map(|watch| watch.bounds).unwrap_or_default(), "watched");
        let counted = self.is_counted.then_some(0);
        say(Bounds { pids: counted, ..Bounds::default() }, "rlimit");
        say(self.group.as_deref().map(|group| group.bounds).unwrap_or_default(), "cgroup");
        words
    }

    /// Bytes it has in memory, where that is known.
    pub(super) fn memory(&self) -> Option<u64> {
        let held = self.group.as_deref().filter(|group| group.bounds.memory.is_some());
        held.and_then(Group::memory).or_else(|| self.watch.as_deref()?.memory)
    }
}

impl Supervisor {
    /// Whether a service has a user that is its own: neither root nor ours, nor any other service's.
    fn has_own_user(&self, id: Id) -> bool {
        let uid = |id: Id| self.unit(id).and_then(|unit| unit.plan.identity.uid());
        let own = nix::unistd::geteuid().as_raw();
        uid(id).is_some_and(|user| {
            user != 0 && user != own && self.ids().all(|other| other == id || uid(other) != Some(user))
        })
    }

    /// Makes ready what holds the limits of a service's next process.
    pub(super) fn new_hold(&mut self, id: Id) -> Hold {
        let own_user = self.has_own_user(id);
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return Hold::NONE };
        // The group of the process before it has its name.
        drop(unit.present.as_mut().and_then(|present| present.hold.group.take()));
        self.enforcement.hold(&unit.plan, own_user, self.now.instant)
    }

    /// What holds the limits of a service's process.
    fn hold(&self, id: Id) -> Option<&Hold> {
        self.unit(id)?.present.as_ref().map(|present| &present.hold)
    }

    /// A process of a service has ended: if the kernel killed it for want of memory, `life` hears of that first.
    pub(super) fn tell_oom(&mut self, id: Id, exit: Exit) {
        if !matches!(exit, Exit::Signal { number: libc::SIGKILL, .. }) {
            return;
        }
        let group = self.hold(id).and_then(|hold| hold.group.as_deref());
        let killed = group.map_or(0, Group::oom_kills);
        if self.enforcement.own_kills.are_more() || killed > 0 {
            let event = Event::Exceeded(Bound::Memory);
            self.roster.on(id, event, self.now.instant, &mut self.todo);
        }
    }

    /// Whether anybody of a service is left.
    pub(super) fn is_group_left(&self, id: Id, leader: Pid) -> bool {
        let present = self.unit(id).and_then(|unit| unit.present.as_ref());
        let pidfd = present.and_then(|present| present.pidfd.as_ref()).map(std::os::fd::AsFd::as_fd);
        signal::is_group_left(leader, pidfd)
            || self.is_main_left(id)
            || self.hold(id).and_then(|hold| hold.group.as_deref()).is_some_and(Group::is_populated)
    }

    /// Whether a control group says who belongs to a service.
    pub(super) fn has_group(&self, id: Id) -> bool {
        self.hold(id).is_some_and(|hold| hold.group.is_some())
    }

    /// Asks those of a service to end whom its leader left behind, wherever they went.
    pub(super) fn ask_rest(&self, id: Id) {
        let Some(unit) = self.unit(id) else { return };
        if let Some(group) = self.hold(id).and_then(|hold| hold.group.as_deref()) {
            group.signal(unit.plan.stop.signal);
        }
    }

    /// Kills all of a service.
    pub(super) fn kill(&mut self, id: Id, leader: Pid) {
        match self.hold(id).and_then(|hold| hold.group.as_deref()) {
            Some(group) => group.kill(),
            None => self.kill_tree(id),
        }
        self.signal(id, leader, libc::SIGKILL);
    }
}
