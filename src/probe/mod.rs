//! The child that asks a service from outside how it is, so that PID 1 opens no connection. It reads one question
//! from its input, says at most a line or two on its output, and its exit code is the answer. It starts and stops
//! nothing but a command of its own.

mod exec;
mod http;
mod mcp;
mod stream;

use std::fmt::{self, Display, Formatter};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::duration_text;
pub(crate) use crate::config::probe::Probe;
use crate::life::service::later;
use crate::sys::{clock, wait};

/// The service is well, or ready.
const WELL: u8 = 0;
/// It is not; the last line says why.
const UNWELL: u8 = 1;
/// It did not answer in time, which it may have no time for.
pub(crate) const LATE: u8 = 2;
/// There is no question.
const USAGE: u8 = 64;

/// Longest question, in bytes: what a pipe holds.
pub(crate) const QUESTION_BYTES_MAX: usize = 60 * 1024;
/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 300;
/// Reasons said at most while waiting for readiness: nobody reads them until the end.
const REASONS_MAX: usize = 50;
/// From one try to the next, while waiting for readiness: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// For one try, while waiting for readiness.
const TRY_WITHIN: Duration = Duration::from_secs(5);

/// What PID 1 asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    /// What is asked of the service.
    pub(crate) probe: Probe,
    /// For the answer.
    pub(crate) within: Duration,
    /// Whether to ask again until it is well.
    pub(crate) patient: bool,
}

/// Why a service is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// It does not answer in time.
    Late,
    /// Anything else, in words.
    Said(String),
}

impl Fault {
    /// In words.
    fn said(words: impl Into<String>) -> Self {
        Self::Said(words.into())
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("no answer"),
            Self::Said(words) => f.write_str(words),
        }
    }
}

/// Answers the question on standard input; the exit code.
pub(crate) fn run() -> u8 {
    let mut text = Vec::new();
    let most = u64::try_from(QUESTION_BYTES_MAX).unwrap_or(u64::MAX);
    let read = io::stdin().take(most).read_to_end(&mut text);
    let Some(question) = read.ok().and_then(|_| serde_json::from_slice::<Question>(&text).ok()) else {
        say("cannot ask: only a supervisor says what");
        return USAGE;
    };
    answer(&question)
}

/// The exit code.
fn answer(question: &Question) -> u8 {
    let begun = clock::now().instant;
    let by = later(begun, question.within);
    let mut pause = PAUSE.0;
    let (mut last, mut said) = (None, 0_usize);
    loop {
        let now = clock::now().instant;
        let until = if question.patient { by.min(later(now, TRY_WITHIN)) } else { by };
        let Err(fault) = ask(&question.probe, until) else { return WELL };
        let words = match &fault {
            Fault::Late => {
                let took =
                    if question.patient { until.saturating_duration_since(now) } else { question.within };
                format!("no answer within {}", duration_text(millis(took)))
            }
            Fault::Said(words) => words.clone(),
        };
        if last.as_ref() != Some(&words) && said < REASONS_MAX {
            say(&words);
            said = said.saturating_add(1);
        }
        last = Some(words);
        let left = by.saturating_duration_since(clock::now().instant);
        if !question.patient || left.is_zero() {
            // The supervisor ends what is left of our group, and has to hear of this first.
            if fault == Fault::Late {
                return LATE;
            }
            // What a command left running goes with us.
            wait::end_own_group();
            return UNWELL;
        }
        wait::pause(pause.min(left));
        pause = pause.saturating_mul(2).min(PAUSE.1);
    }
}

/// Asks once, for whoever is no PID 1 either.
///
/// # Errors
/// Why it is not well, in words.
pub(crate) fn once(probe: &Probe, within: Duration) -> Result<(), String> {
    let by = later(clock::now().instant, within);
    ask(probe, by).map_err(|fault| fault.to_string())
}

/// Asks once.
fn ask(probe: &Probe, by: Instant) -> Result<(), Fault> {
    match probe {
        Probe::Tcp(place) => stream::connect(place, by).map(drop),
        Probe::Http(place, path) => http::get(place, path, by),
        Probe::Mcp(place, path) => mcp::ask(place, path, by),
        Probe::Exec(command) => exec::run(command, by),
    }
}

/// One line for PID 1, of bounded length.
fn say(words: &str) {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = words.trim().chars().map(clean).take(REASON_CHARS_MAX).collect();
    line.push('\n');
    let mut out = io::stdout();
    drop(out.write_all(line.as_bytes()).and_then(|()| out.flush()));
}

/// A duration in whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is left until `by`; late if nothing is.
fn left(by: Instant) -> Result<Duration, Fault> {
    let left = by.saturating_duration_since(clock::now().instant);
    if left.is_zero() { Err(Fault::Late) } else { Ok(left) }
}
