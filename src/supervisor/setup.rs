//! From what the configuration says of a service's limits and user to what its process is made with. Nothing is
//! applied here.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::{getegid, geteuid};

use crate::config::identity::Identity;
use crate::config::limits::{IoClass, Limits, Policy};
use crate::config::plan::Service;
use crate::sys::own;
use crate::sys::setup::{self, RESOURCES, Setup};

use super::enforce::Hold;

/// Level of I/O unless said: the middle.
const IO_LEVEL: i32 = 4;
/// Where in the kernel's number the class of I/O begins.
const IO_CLASS_SHIFT: u32 = 13;

/// Who owns the files that a service's process alone may read; `None` for ourselves.
pub(super) fn owner(plan: &Service) -> Option<u32> {
    identity(&plan.identity, &plan.limits).uid
}

/// What a service's process is made with.
pub(super) fn of<'a>(plan: &Service, hold: Option<&'a Hold>) -> Setup<'a> {
    Setup {
        group: hold.and_then(|hold| hold.group.as_deref()),
        umask: Some(plan.umask),
        root: plan.chroot.as_ref().map(|root| CString::new(root.as_os_str().as_bytes()).unwrap_or_default()),
        sandbox: None,
        limits: limits(&plan.limits, hold.and_then(|hold| hold.nproc)),
        identity: identity(&plan.identity, &plan.limits),
    }
}

/// How much of the machine it gets. `nproc` is a limit of processes that is held by that of its user.
fn limits(limits: &Limits, nproc: Option<u64>) -> setup::Limits {
    let mut rlimits: Vec<_> = RESOURCES
        .iter()
        .filter_map(|(name, number)| {
            let limit = limits.rlimits.get(*name)?;
            Some((*number, libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard }))
        })
        .collect();
    let said = limits.rlimits.contains_key("nproc");
    let nproc = nproc.filter(|_| !said);
    if let (Some(nproc), Some((_, number))) = (nproc, RESOURCES.iter().find(|(name, _)| *name == "nproc")) {
        rlimits.push((*number, libc::rlimit64 { rlim_cur: nproc, rlim_max: nproc }));
    }
    setup::Limits {
        rlimits,
        nice: limits.nice,
        scheduling: limits.scheduling.map(|it| (policy(it.policy), it.priority)),
        affinity: limits.cpu_affinity.as_deref().map(mask).unwrap_or_default(),
        io_priority: io_priority(limits),
        // What protects us from the kernel's OOM killer, if whoever started us saw to that, is not for services.
        oom_score: limits
            .oom_score_adj
            .or_else(|| own::is_oom_protected().then_some(0))
            .map(|score| score.to_string().into_bytes().into()),
    }
}

/// The kernel's number.
const fn policy(policy: Policy) -> i32 {
    match policy {
        Policy::Other => libc::SCHED_OTHER,
        Policy::Batch => libc::SCHED_BATCH,
        Policy::Idle => libc::SCHED_IDLE,
        Policy::Fifo => libc::SCHED_FIFO,
        Policy::RoundRobin => libc::SCHED_RR,
    }
}

/// The kernel's number of class and level. A level alone is one of the usual class.
fn io_priority(limits: &Limits) -> Option<i32> {
    let class = limits.io_class.or_else(|| limits.io_level.map(|_| IoClass::BestEffort))?;
    let level = limits.io_level.unwrap_or(IO_LEVEL);
    let (class, level) = match class {
        IoClass::Realtime => (1, level),
        IoClass::BestEffort => (2, level),
        IoClass::Idle => (3, 0),
    };
    Some(class << IO_CLASS_SHIFT | level)
}

/// A bit for each processor.
fn mask(processors: &[u16]) -> Vec<u64> {
    let last = processors.iter().copied().max().unwrap_or(0);
    let mut mask = vec![0_u64; usize::from(last / 64).saturating_add(1)];
    for processor in processors {
        if let Some(word) = mask.get_mut(usize::from(processor / 64)) {
            *word |= 1_u64 << (processor % 64);
        }
    }
    mask
}

/// Who it runs as. Who we are already we need not become, which only root could.
fn identity(identity: &Identity, limits: &Limits) -> setup::Identity {
    let (uid, gid) = (identity.uid(), identity.gid());
    let is_own = !geteuid().is_root()
        && uid.is_none_or(|uid| uid == geteuid().as_raw())
        && gid.is_none_or(|gid| gid == getegid().as_raw());
    let groups = if is_own { identity.groups.as_deref() } else { identity.supplementary() };
    setup::Identity {
        groups: groups.map(<[u32]>::to_vec),
        gid: gid.filter(|_| !is_own),
        uid: uid.filter(|_| !is_own),
        dropped: limits.bounding.map(|kept| own::possible_capabilities() & !kept),
        is_powerless: false,
        ambient: limits.ambient.unwrap_or(0),
        no_new_privileges: limits.no_new_privileges.unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_a_bit_for_each_processor() {
        assert_eq!(mask(&[0, 2]), [0b101]);
        assert_eq!(mask(&[1, 64]), [0b10, 1]);
    }

    #[test]
    fn class_and_level_make_one_number() {
        let of = |io_class, io_level| io_priority(&Limits { io_class, io_level, ..Limits::default() });
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some(7)), Some(2 << 13 | 7));
        assert_eq!(of(Some(IoClass::Realtime), None), Some(1 << 13 | 4));
        assert_eq!(of(Some(IoClass::Idle), Some(3)), Some(3 << 13));
    }
}
