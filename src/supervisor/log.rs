//! What the supervisor says of itself. PID 1 must not wait for a console, nor die of one: inside the loop lines
//! are queued for the scribe; outside they go to `simple_logger`, whose panics on a full or closed stderr end here.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use crate::config::plan::LogLevel;
use crate::sys::clock;

/// Bytes that may wait for the scribe; later lines are dropped.
const BYTES_MAX: usize = 64 * 1024;

/// The logger of this process.
struct Logger {
    /// For stderr, while nothing is lost by waiting for it.
    simple: SimpleLogger,
    /// Whether lines are queued instead.
    queueing: AtomicBool,
    /// The queue.
    lines: Mutex<String>,
}

/// The one logger.
static LOGGER: OnceLock<Logger> = OnceLock::new();

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("mcp_init")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if !self.queueing.load(Ordering::Relaxed) {
            // A closed or full stderr makes `eprintln!` panic; what cannot be said is not worth dying for.
            let _said = std::panic::catch_unwind(|| self.simple.log(record));
            return;
        }
        let mut lines = lock(&self.lines);
        if lines.len() < BYTES_MAX {
            let stamp = clock::now().stamp;
            let level = record.level().as_str().to_ascii_lowercase();
            // Writing to a string does not fail.
            let _written = writeln!(lines, "{stamp} {level:<5} {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Begins to log, at this level.
pub(super) fn begin(level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    };
    let logger = LOGGER.get_or_init(|| Logger {
        simple: SimpleLogger::new().with_level(level),
        queueing: AtomicBool::new(false),
        lines: Mutex::default(),
    });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(level);
    }
}

/// Queues lines from now on, or stops to do so.
pub(super) fn queue(on: bool) {
    if let Some(logger) = LOGGER.get() {
        logger.queueing.store(on, Ordering::Relaxed);
    }
}

/// The lines that wait.
pub(super) fn lines() -> String {
    LOGGER.get().map(|logger| std::mem::take(&mut *lock(&logger.lines))).unwrap_or_default()
}

/// The queue; a panic while it was held leaves it whole.
fn lock(lines: &Mutex<String>) -> MutexGuard<'_, String> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
