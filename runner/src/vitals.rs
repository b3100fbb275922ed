//! The figures a runner keeps about itself. Nothing here reads a request or writes to the channel.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_init::channel::Metrics;
use tokio::time::Instant;

/// The kernel counts a process's time in hundredths of a second (`USER_HZ`), on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// The shortest time over which CPU usage is told.
const SAMPLE_MIN: Duration = Duration::from_secs(1);

/// Counters since the start.
#[derive(Debug)]
pub(crate) struct Vitals {
    /// When the process began.
    started: Instant,
    /// Requests that reached the tools: lists and calls. Probes and handshakes are not work.
    requests: AtomicU64,
    /// Those that are not answered yet.
    in_flight: AtomicU64,
    /// When the last of them was answered, in milliseconds since the start.
    used_at: AtomicU64,
    /// Of these, how many failed.
    errors: AtomicU64,
    /// The time they took together.
    microseconds: AtomicU64,
    /// What CPU usage is measured from.
    before: Mutex<Sample>,
    /// Why it cannot serve, while it cannot.
    trouble: Mutex<Option<Box<str>>>,
}

/// What a monitor reads.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Lists and calls.
    pub(crate) requests: u64,
    /// Of these, how many failed.
    pub(crate) errors: u64,
    /// The time they took together.
    pub(crate) seconds: f64,
    /// Resident memory.
    pub(crate) resident_bytes: u64,
    /// CPU time used.
    pub(crate) cpu_seconds: f64,
    /// When the process began, in seconds since the epoch.
    pub(crate) started: u64,
}

/// The CPU time at a point in time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// When.
    at: Instant,
    /// Ticks used by then.
    ticks: u64,
}

impl Vitals {
    /// All counters at zero.
    pub(crate) fn new() -> Self {
        let started = Instant::now();
        Self {
            started,
            requests: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            used_at: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            microseconds: AtomicU64::new(0),
            before: Mutex::new(Sample { at: started, ticks: 0 }),
            trouble: Mutex::default(),
        }
    }

    /// It cannot serve for this reason, or it can again.
    pub(crate) fn set_trouble(&self, reason: Option<&str>) {
        if let Ok(mut trouble) = self.trouble.lock() {
            *trouble = reason.map(Into::into);
        }
    }

    /// Why it cannot serve, if it cannot.
    pub(crate) fn trouble(&self) -> Option<Box<str>> {
        self.trouble.lock().ok().and_then(|trouble| trouble.clone())
    }

    /// A request is in flight as long as what is returned lives.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Milliseconds since the start.
    fn age(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Counts a request that took `time`.
    pub(crate) fn count(&self, time: Duration, failed: bool) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// The counters, for a monitor that does its own arithmetic.
    pub(crate) fn totals(&self) -> Totals {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Totals {
            requests: self.requests.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            seconds: float(self.microseconds.load(Ordering::Relaxed)) / 1e6,
            resident_bytes: resident_bytes(),
            cpu_seconds: float(cpu_ticks()) / TICKS_PER_SECOND,
            started: now.saturating_sub(self.started.elapsed()).as_secs(),
        }
    }

    /// The figures now; CPU usage is since the last time somebody asked.
    pub(crate) fn measure(&self) -> Metrics {
        let requests = float(self.requests.load(Ordering::Relaxed));
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let idle = self.age().saturating_sub(self.used_at.load(Ordering::Relaxed));
        let milliseconds_in_all = float(self.microseconds.load(Ordering::Relaxed)) / 1000.0;
        Metrics {
            memory_usage: Some(float(resident_bytes())),
            cpu_usage: self.cpu_percent(),
            uptime: Some(milliseconds(self.started.elapsed())),
            request_count: Some(requests),
            error_count: Some(float(self.errors.load(Ordering::Relaxed))),
            in_flight: Some(float(in_flight)),
            idle: Some(float(if in_flight > 0 { 0 } else { idle })),
            average_response_time: Some(milliseconds_in_all / requests.max(1.0)),
        }
    }

    /// Percent of one core since the last sample, which this replaces; nothing after so short a time that the
    /// answer would be about the start alone.
    fn cpu_percent(&self) -> Option<f64> {
        let now = Sample { at: Instant::now(), ticks: cpu_ticks() };
        let mut before = self.before.lock().ok()?;
        let elapsed = now.at.duration_since(before.at);
        if elapsed < SAMPLE_MIN {
            return None;
        }
        let used = float(now.ticks.saturating_sub(before.ticks)) / TICKS_PER_SECOND;
        *before = now;
        Some(used / elapsed.as_secs_f64() * 100.0)
    }
}

/// A request that is in flight.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Vitals>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.used_at.store(self.0.age(), Ordering::Relaxed);
    }
}

/// Resident memory; 0 where the kernel does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// CPU time used, in ticks: fields 14 and 15, counted behind the name, which may hold anything.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
    fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// A duration in milliseconds.
fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A counter as the wire carries it.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact up to 2^53, and a statistic")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_true() {
        let vitals = Arc::new(Vitals::new());
        vitals.count(Duration::from_millis(10), false);
        vitals.count(Duration::from_millis(30), true);
        let metrics = vitals.measure();
        assert_eq!((metrics.request_count, metrics.error_count), (Some(2.0), Some(1.0)));
        assert!((metrics.average_response_time.unwrap() - 20.0).abs() < 1e-9);
        assert!(metrics.memory_usage.unwrap() > 100_000.0);
        let uptime = metrics.uptime.unwrap();
        assert!(uptime > 0.0 && (metrics.cpu_usage.is_none() || uptime >= 1000.0));
        let busy = vitals.busy();
        let metrics = vitals.measure();
        assert_eq!((metrics.in_flight, metrics.idle), (Some(1.0), Some(0.0)));
        drop(busy);
        assert_eq!(vitals.measure().in_flight, Some(0.0));
    }

    #[test]
    fn cpu_usage_is_told_over_a_second_or_more() {
        let at = Instant::now().checked_sub(SAMPLE_MIN).unwrap();
        let vitals = Vitals { before: Mutex::new(Sample { at, ticks: 0 }), ..Vitals::new() };
        assert!(vitals.cpu_percent().is_some_and(|percent| percent >= 0.0));
        assert_eq!(vitals.cpu_percent(), None);
    }
}
