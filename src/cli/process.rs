//! What the kernel says of all processes of a service, for services that say nothing of themselves. Read by the
//! client while somebody looks, in its own time; the supervisor is not asked.

use super::report::Service;
use crate::control::client::Client;
use crate::life::policy::Pid;
use crate::sys::forest::Forest;
use crate::sys::{halves, tree};

/// Clock ticks a second in `/proc`, on every architecture there is a Rust for.
const TICKS_PER_SECOND: u64 = 100;
/// So many services are worth a second thread: the kernel takes its time to write about each.
const SHARED_MIN: usize = 32;

/// Who fills in what services do not say.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Where their processes are found.
    forest: Forest,
}

impl Kernel {
    /// Looks around below the supervisor at the other end; best while that is busy with an answer.
    pub(super) fn below(client: &Client) -> Self {
        Self { forest: Forest::below(client.supervisor()) }
    }

    /// Fills in all of them.
    pub(super) fn fill_in_all(&self, services: &mut [Service]) {
        halves::each(services, SHARED_MIN, |service| self.fill_in(service));
    }

    /// Fills in memory and CPU of a service that runs and did not say.
    fn fill_in(&self, service: &mut Service) {
        if service.memory_usage.is_some() && service.cpu_usage.is_some() {
            return;
        }
        // A pid alone may by now be anybody's, or mean another process in our own namespace.
        let (Some(pid), Some(start)) = (service.pid, service.start_ticks) else { return };
        let processes = self.forest.of((Pid(pid), start));
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
