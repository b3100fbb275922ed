//! How much of the machine a service gets: `limits`, `memoryLimit`, `cpuLimit`, `pidsLimit`. Read here and handed
//! on as data; nothing is enforced here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::item::{Choice, Item};
use super::said::set;
use super::seldom::Part;
use super::units;
use crate::sys::setup::{CAPABILITIES, RESOURCES};

/// Keys of `limits`.
pub(super) const LIMITS: [&str; 9] = [
    "rlimits",
    "nice",
    "ioClass",
    "ioLevel",
    "oomScoreAdj",
    "cpuAffinity",
    "scheduling",
    "capabilities",
    "noNewPrivileges",
];

/// Keys of `limits.scheduling`.
pub(super) const SCHEDULING: [&str; 2] = ["policy", "priority"];

/// Keys of `limits.capabilities`.
pub(super) const CAPABILITY_SETS: [&str; 2] = ["bounding", "ambient"];

/// Values of `limits.ioClass`.
const IO_CLASS: Choice<IoClass> = Choice {
    known: &[("realtime", IoClass::Realtime), ("best-effort", IoClass::BestEffort), ("idle", IoClass::Idle)],
    later: &[],
};

/// Values of `limits.scheduling.policy`.
const POLICY: Choice<Policy> = Choice {
    known: &[
        ("other", Policy::Other),
        ("batch", Policy::Batch),
        ("idle", Policy::Idle),
        ("fifo", Policy::Fifo),
        ("rr", Policy::RoundRobin),
    ],
    later: &[],
};

/// Largest `cpuLimit`, in percent: all of a thousand processors.
const PERCENT_MAX: u32 = 100_000;

/// Largest `pidsLimit`: there are no more numbers.
const PIDS_MAX: u32 = 4_194_304;

/// Processors there can be.
const PROCESSORS_MAX: u16 = 1024;

/// How much of the machine a service gets; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Bytes that all of its processes may have in memory.
    pub(crate) memory: Option<u64>,
    /// Percent of one processor that all of its processes may use.
    pub(crate) cpu: Option<u32>,
    /// Processes and threads it may have.
    pub(crate) pids: Option<u32>,
    /// Resource limits of each process, by name.
    pub(crate) rlimits: BTreeMap<Box<str>, Rlimit>,
    /// Nice value.
    pub(crate) nice: Option<i32>,
    /// Class of I/O.
    pub(crate) io_class: Option<IoClass>,
    /// Level in that class, 0 (first) to 7.
    pub(crate) io_level: Option<i32>,
    /// Who is killed first for want of memory, -1000 (never) to 1000.
    pub(crate) oom_score_adj: Option<i32>,
    /// Processors it may run on.
    pub(crate) cpu_affinity: Option<Vec<u16>>,
    /// How its processor time is dealt out.
    pub(crate) scheduling: Option<Scheduling>,
    /// Capabilities it can have at all, a bit for each.
    pub(crate) bounding: Option<u64>,
    /// Capabilities it has whoever it runs as.
    pub(crate) ambient: Option<u64>,
    /// Whether it can gain no privileges.
    pub(crate) no_new_privileges: Option<bool>,
}

impl Part for Limits {
    const UNSAID: &'static Self = &Self {
        memory: None,
        cpu: None,
        pids: None,
        rlimits: BTreeMap::new(),
        nice: None,
        io_class: None,
        io_level: None,
        oom_score_adj: None,
        cpu_affinity: None,
        scheduling: None,
        bounding: None,
        ambient: None,
        no_new_privileges: None,
    };
}

/// A resource limit; [`u64::MAX`] is without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rlimit {
    /// In force; the service may raise it.
    pub(crate) soft: u64,
    /// As far as that.
    pub(crate) hard: u64,
}

/// Class of I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IoClass {
    /// Before everybody else.
    Realtime,
    /// In turn.
    BestEffort,
    /// When nobody else wants the disk.
    Idle,
}

/// How processor time is dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheduling {
    /// The kernel's policy.
    pub(crate) policy: Policy,
    /// 1 to 99 where the policy is one of real time, else 0.
    pub(crate) priority: i32,
}

/// The kernel's policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Policy {
    /// As usual.
    Other,
    /// For work that nobody waits for.
    Batch,
    /// When nobody else wants the processor.
    Idle,
    /// Real time, until it gives way.
    Fifo,
    /// Real time, in turn.
    RoundRobin,
}

impl Policy {
    /// Whether it is one of real time.
    const fn is_real_time(self) -> bool {
        matches!(self, Self::Fifo | Self::RoundRobin)
    }
}

/// Reads `limits`.
pub(super) fn read(limits: &mut Limits, item: &Item<'_>, problems: &mut Problems) {
    for item in item.members(problems) {
        match item.key {
            "rlimits" => rlimits(limits, &item, problems),
            "nice" => set(&mut limits.nice, integer(&item, problems, -20, 19)),
            "ioClass" => set(&mut limits.io_class, item.choice(problems, &IO_CLASS)),
            "ioLevel" => set(&mut limits.io_level, integer(&item, problems, 0, 7)),
            "oomScoreAdj" => set(&mut limits.oom_score_adj, integer(&item, problems, -1000, 1000)),
            "cpuAffinity" => set(&mut limits.cpu_affinity, cpu_affinity(&item, problems)),
            "scheduling" => set(&mut limits.scheduling, scheduling(&item, problems)),
            "capabilities" => capabilities(limits, &item, problems),
            "noNewPrivileges" => set(&mut limits.no_new_privileges, item.boolean(problems)),
            _ => item.unknown(problems, &LIMITS, &[]),
        }
    }
}

/// `cpuLimit`
pub(super) fn cpu(item: &Item<'_>, problems: &mut Problems) -> Option<u32> {
    item.count(problems, 1..=PERCENT_MAX, ": percent of one processor")
}

/// `pidsLimit`
pub(super) fn pids(item: &Item<'_>, problems: &mut Problems) -> Option<u32> {
    item.count(problems, 1..=PIDS_MAX, "")
}

/// `limits.rlimits`
fn rlimits(limits: &mut Limits, item: &Item<'_>, problems: &mut Problems) {
    let names: Vec<_> = RESOURCES.iter().map(|(name, _)| *name).collect();
    for item in item.members(problems) {
        if !names.contains(&item.key) {
            item.unknown(problems, &names, &[]);
        } else if let Some(limit) = rlimit(&item, problems) {
            limits.rlimits.insert(item.key.into(), limit);
        }
    }
}

/// One resource limit: a value for both, or a pair.
fn rlimit(item: &Item<'_>, problems: &mut Problems) -> Option<Rlimit> {
    if !item.is_list() {
        return amount(item, problems).map(|both| Rlimit { soft: both, hard: both });
    }
    let items = item.items(problems, 2)?;
    let [soft, hard] = items.as_slice() else {
        item.wrong(problems, "must be two values: soft and hard");
        return None;
    };
    let (soft, hard) = (amount(soft, problems), amount(hard, problems));
    let limit = Rlimit { soft: soft?, hard: hard? };
    if limit.soft > limit.hard {
        item.wrong(problems, "has a soft limit that is over the hard one");
        return None;
    }
    Some(limit)
}

/// A number, a size, or `unlimited`.
fn amount(item: &Item<'_>, problems: &mut Problems) -> Option<u64> {
    match item.node.text() {
        Some(super::keys::UNLIMITED) => return Some(u64::MAX),
        Some(text) if units::size(text).is_some() => return units::size(text),
        Some(_) | None => {}
    }
    let wanted = "a number, a size like \"8M\", or \"unlimited\"";
    item.whole(problems, 0..=units::BYTES_MAX, wanted)
}

/// An integer that may be below 0.
fn integer(item: &Item<'_>, problems: &mut Problems, least: i32, most: i32) -> Option<i32> {
    let number = item.number(problems, f64::from(least)..=f64::from(most))?;
    if number.fract() != 0.0 {
        item.wrong(problems, "must be an integer");
        return None;
    }
    // A whole float is printed as the integer it is.
    format!("{number:.0}").trim_start_matches("-0").parse().ok().or(Some(0))
}

/// `limits.cpuAffinity`: numbers and ranges
fn cpu_affinity(item: &Item<'_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let items = item.items(problems, usize::from(PROCESSORS_MAX))?;
    if items.is_empty() {
        item.wrong(problems, "is empty: it could run nowhere");
        return None;
    }
    let mut processors = Vec::new();
    for item in items {
        if let Some(range) = item.node.text().and_then(range) {
            processors.extend(range);
            continue;
        }
        let wanted = "a processor from 0 to 1023, or a range like \"0-3\"";
        let number = item.whole(problems, 0..=u64::from(PROCESSORS_MAX.saturating_sub(1)), wanted)?;
        processors.extend(u16::try_from(number));
    }
    processors.sort_unstable();
    processors.dedup();
    Some(processors)
}

/// `0-3`
fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number < PROCESSORS_MAX);
    let (first, last) = text.split_once('-')?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = (number(first).filter(|_| plain(first))?, number(last).filter(|_| plain(last))?);
    (first <= last).then_some(first..=last)
}

/// `limits.scheduling`
fn scheduling(item: &Item<'_>, problems: &mut Problems) -> Option<Scheduling> {
    for item in item.members(problems) {
        if !SCHEDULING.contains(&item.key) {
            item.unknown(problems, &SCHEDULING, &[]);
        }
    }
    let Some(policy) = item.get("policy") else {
        if item.is_object() {
            item.wrong(problems, "has no policy");
        }
        return None;
    };
    let policy = policy.choice(problems, &POLICY)?;
    let priority = match item.get("priority") {
        None => i32::from(policy.is_real_time()),
        Some(priority) if policy.is_real_time() => integer(&priority, problems, 1, 99)?,
        Some(priority) => {
            priority.wrong_key(problems, "goes with the policies fifo and rr");
            return None;
        }
    };
    Some(Scheduling { policy, priority })
}

/// `limits.capabilities`
fn capabilities(limits: &mut Limits, item: &Item<'_>, problems: &mut Problems) {
    for item in item.members(problems) {
        match item.key {
            "bounding" => set(&mut limits.bounding, capability_set(&item, problems)),
            "ambient" => set(&mut limits.ambient, capability_set(&item, problems)),
            _ => item.unknown(problems, &CAPABILITY_SETS, &[]),
        }
    }
    if limits.bounding.is_some_and(|bounding| limits.ambient.unwrap_or(0) & !bounding != 0) {
        item.wrong(problems, "has an ambient capability that is not in the bounding set");
    }
}

/// A list of capabilities by their names.
fn capability_set(item: &Item<'_>, problems: &mut Problems) -> Option<u64> {
    let number = |text: &str| {
        let name = text.strip_prefix("CAP_").unwrap_or(text);
        (0_u32..).zip(CAPABILITIES).find(|(_, known)| *known == name).map(|(number, _)| number)
    };
    let mut all = 0_u64;
    for item in item.items(problems, CAPABILITIES.len())? {
        let wanted = "a capability, like \"NET_BIND_SERVICE\"";
        let name = item.matching(problems, wanted, |text| number(text).is_some())?;
        all |= number(name).and_then(|number| 1_u64.checked_shl(number)).unwrap_or(0);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_plain_and_in_order() {
        assert_eq!(range("0-3"), Some(0..=3));
        assert_eq!(range("7-7"), Some(7..=7));
        for text in ["", "3", "-3", "3-", "3-1", "0-1024", "+1-2", "1-+2", "a-b", "1-2-3", " 1-2"] {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
