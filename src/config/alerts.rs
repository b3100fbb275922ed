//! `alerts` and `recovery` of a service: when somebody is told, and how often it is tried to recover it. Data only;
//! nothing is watched here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::item::Item;
use super::limits;
use super::plan::{Program, Restart};
use super::said::{Retries, Said, set};

/// Keys of `alerts`.
pub(super) const ALERTS: [&str; 3] = ["memory", "cpu", "repeatAfter"];

/// Keys of `recovery`.
pub(super) const RECOVERY: [&str; 1] = ["maxAttempts"];

/// The same alert is not told again before this.
pub(crate) const REPEAT_AFTER: Duration = Duration::from_mins(5);

/// Attempts to recover a service whose health is known.
const ATTEMPTS: u32 = 3;

/// Most attempts that can be asked for.
const ATTEMPTS_MAX: u32 = 1000;

/// When somebody is told of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alerts {
    /// Bytes that all of its processes have in memory.
    pub(crate) memory: Option<u64>,
    /// Percent of one processor that all of its processes use.
    pub(crate) cpu: Option<u32>,
    /// The same alert is not told again before.
    pub(crate) repeat_after: Option<Duration>,
}

/// `alerts`
pub(super) fn read(alerts: &mut Alerts, item: &Item<'_>, problems: &mut Problems) {
    for item in item.members(problems) {
        match item.key {
            "memory" => set(&mut alerts.memory, item.size(problems)),
            "cpu" => set(&mut alerts.cpu, limits::cpu(&item, problems)),
            "repeatAfter" => set(&mut alerts.repeat_after, item.duration(problems, Duration::ZERO)),
            _ => item.unknown(problems, &ALERTS, &[]),
        }
    }
}

/// `recovery`
pub(super) fn recovery(attempts: &mut Option<u32>, item: &Item<'_>, problems: &mut Problems) {
    for item in item.members(problems) {
        match item.key {
            "maxAttempts" => set(attempts, item.count(problems, 0..=ATTEMPTS_MAX, "")),
            _ => item.unknown(problems, &RECOVERY, &[]),
        }
    }
}

/// Tells of attempts in the service's own file whose success nobody could see; those of the defaults are not for
/// such a service.
pub(super) fn agree(said: &mut Said, root: &Item<'_>, program: &Program, problems: &mut Problems) {
    let is_checked = said.health_checked.unwrap_or(matches!(program, Program::Server(_)));
    if is_checked || said.recovery.is_none_or(|attempts| attempts == 0) {
        return;
    }
    said.recovery = None;
    if let Some(item) = root.get("recovery") {
        item.wrong_key(problems, "needs a healthCheck: only that can tell whether it has recovered");
    }
}

/// So often it is tried to recover a service; 0 is never.
pub(super) fn attempts(said: &Said, is_checked: bool, restart: Restart) -> u32 {
    // Whoever wants no restarts wants none of these.
    let is_wanted = restart != Restart::Never && said.max_retries != Some(Retries::AtMost(0));
    let default = if is_checked && is_wanted { ATTEMPTS } else { 0 };
    said.recovery.filter(|_| is_checked && restart != Restart::Never).unwrap_or(default)
}
