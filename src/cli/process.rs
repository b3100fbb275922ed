//! What the kernel says of a process, for services that say nothing of themselves. Read by the client, in its
//! own time; the supervisor is not asked.

use std::fs::File;
use std::io::Read;

use super::report::Service;

/// Clock ticks a second in `/proc`, on every architecture there is a Rust for.
const TICKS_PER_SECOND: u64 = 100;

/// `AT_PAGESZ`: the entry of the auxiliary vector that has the size of a page.
const AUXV_PAGE_SIZE: u64 = 6;

/// Fields of `/proc/PID/stat` behind the name: user time, system time, start and pages in memory.
const FIELDS: [usize; 4] = [11, 12, 19, 21];

/// Who fills in what services do not say.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The size of a page.
    page_bytes: u64,
}

impl Kernel {
    /// Asks the kernel about itself.
    pub(super) fn new() -> Self {
        Self { page_bytes: page_bytes() }
    }

    /// Fills in memory and CPU of a service that runs and did not say.
    pub(super) fn fill_in(&self, service: &mut Service) {
        if service.memory_usage.is_some() && service.cpu_usage.is_some() {
            return;
        }
        let Some(usage) = service.pid.and_then(usage) else { return };
        // A pid alone may by now be anybody's, or mean another process in our own namespace.
        if service.start_ticks.is_some_and(|ticks| ticks != usage.start_ticks) {
            return;
        }
        service.memory_usage = service.memory_usage.or(Some(usage.pages.saturating_mul(self.page_bytes)));
        let percent = service.uptime.and_then(|uptime| percent(usage.cpu_ticks, uptime));
        service.cpu_usage = service.cpu_usage.or(percent);
    }
}

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Usage {
    /// User and system time.
    cpu_ticks: u64,
    /// When it was started.
    start_ticks: u64,
    /// Memory it holds.
    pages: u64,
}

/// Reads what the kernel says of a process, if it is there.
fn usage(pid: i32) -> Option<Usage> {
    let mut bytes = [0; 1024];
    let count = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut bytes).ok()?;
    parse(bytes.get(..count)?)
}

/// Reads a line of `/proc/PID/stat`. The name in it may hold spaces and brackets; nothing after it does.
fn parse(line: &[u8]) -> Option<Usage> {
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(name_end.checked_add(2)?..)?).ok()?;
    let mut fields = rest.split(' ').enumerate();
    let mut number =
        |wanted: usize| fields.find(|(at, _)| *at == wanted).and_then(|(_, text)| text.parse::<u64>().ok());
    let [user, system, start, pages] = FIELDS.map(&mut number);
    Some(Usage { cpu_ticks: user?.saturating_add(system?), start_ticks: start?, pages: pages? })
}

/// Percent of one core over a life.
fn percent(cpu_ticks: u64, uptime_ms: u64) -> Option<f64> {
    let cpu_ms = cpu_ticks.saturating_mul(1000).checked_div(TICKS_PER_SECOND)?;
    let tenths = cpu_ms.saturating_mul(1000).checked_div(uptime_ms)?;
    Some(f64::from(u32::try_from(tenths).ok()?) / 10.0)
}

/// The size of a page.
fn page_bytes() -> u64 {
    let mut bytes = [0; 1024];
    let count = File::open("/proc/self/auxv").and_then(|mut file| file.read(&mut bytes)).unwrap_or(0);
    let (pairs, _) = bytes.get(..count).unwrap_or_default().as_chunks::<8>();
    let (pairs, _) = pairs.as_chunks::<2>();
    let sizes = pairs.iter().map(|pair| pair.map(u64::from_ne_bytes));
    let size = sizes.into_iter().find(|[key, _]| *key == AUXV_PAGE_SIZE);
    size.map_or(4096, |[_, value]| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lie_about_the_fields() {
        let line =
            b"12 (a) R 7 ) (b) S 1 12 12 0 -1 4194560 95 0 0 0 30 12 0 0 20 0 1 0 8814 2961408 250 184 1\n";
        assert_eq!(parse(line), Some(Usage { cpu_ticks: 42, start_ticks: 8814, pages: 250 }));
        for cut in 0..line.len() {
            let _ = parse(&line[..cut]);
        }
    }

    #[test]
    fn the_kernel_knows_this_process() {
        let usage = usage(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(usage.pages > 10 && usage.start_ticks > 0);
        assert!(page_bytes() >= 4096 && page_bytes().is_power_of_two());
    }

    #[test]
    fn percent_is_of_one_core() {
        assert_eq!(percent(100, 1000), Some(100.0));
        assert_eq!(percent(5, 10_000), Some(0.5));
        assert_eq!(percent(5, 0), None);
    }
}
