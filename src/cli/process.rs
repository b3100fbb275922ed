//! What the kernel says of all processes of a service, for services that say nothing of themselves. Read by the
//! client while somebody looks, in its own time; the supervisor is not asked.

use std::cell::OnceCell;

use super::report::Service;
use crate::life::policy::Pid;
use crate::sys::tree::{self, Forest, Process, Seen};

/// Clock ticks a second in `/proc`, on every architecture there is a Rust for.
const TICKS_PER_SECOND: u64 = 100;

/// Who fills in what services do not say.
#[derive(Debug)]
pub(super) struct Kernel {
    /// All processes, once somebody asks for one.
    forest: OnceCell<Forest>,
    /// Whether it is about one service only: the others are not worth a look then.
    is_for_one: bool,
}

impl Kernel {
    /// Nobody has asked yet.
    pub(super) const fn new(is_for_one: bool) -> Self {
        Self { forest: OnceCell::new(), is_for_one }
    }

    /// All processes of a service.
    fn processes(&self, leader: Seen) -> Vec<Process> {
        let alone = if self.is_for_one { tree::of_one(leader) } else { None };
        alone.unwrap_or_else(|| self.forest.get_or_init(Forest::grown).of(leader))
    }

    /// Fills in memory and CPU of a service that runs and did not say.
    pub(super) fn fill_in(&self, service: &mut Service) {
        if service.memory_usage.is_some() && service.cpu_usage.is_some() {
            return;
        }
        // A pid alone may by now be anybody's, or mean another process in our own namespace.
        let (Some(pid), Some(start)) = (service.pid, service.start_ticks) else { return };
        let processes = self.processes((Pid(pid), start));
        if processes.is_empty() {
            return;
        }
        service.memory_usage = service.memory_usage.or_else(|| Some(tree::memory(&processes)));
        let ticks = processes.iter().fold(0_u64, |sum, process| sum.saturating_add(process.ticks));
        let percent = service.uptime.and_then(|uptime| percent(ticks, uptime));
        service.cpu_usage = service.cpu_usage.or(percent);
    }
}

/// Percent of one core over a life.
fn percent(cpu_ticks: u64, uptime_ms: u64) -> Option<f64> {
    let cpu_ms = cpu_ticks.saturating_mul(1000).checked_div(TICKS_PER_SECOND)?;
    let tenths = cpu_ms.saturating_mul(1000).checked_div(uptime_ms)?;
    Some(f64::from(u32::try_from(tenths).ok()?) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_of_one_core() {
        assert_eq!(percent(100, 1000), Some(100.0));
        assert_eq!(percent(5, 10_000), Some(0.5));
        assert_eq!(percent(5, 0), None);
    }
}
