//! One program from its start to its end: the loop of an entrypoint. It waits in one place and reaps in one place.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use super::options::Options;
use super::voice::{Level, Voice};
use crate::life::policy::{Exit, Pid};
use crate::sys::entry::{self, Heard};
use crate::sys::{clock, own, reap, signal};

/// Nothing could be run.
const FAILED: u8 = 1;
/// What is added to the number of the signal that ended the program.
const BY_SIGNAL: i32 = 128;

/// What to tell a user whose orphans go elsewhere.
const NO_REAPER: &str = "not PID 1 and no child subreaper: orphans are reaped by somebody else; \
    use -s, or set TINI_SUBREAPER, to adopt them";

/// An entrypoint whose program runs.
#[derive(Debug)]
struct Entrypoint {
    /// How it is to be run.
    options: Options,
    /// What is said of it.
    voice: Voice,
    /// The program.
    child: Pid,
    /// Our exit code, once the program has ended.
    code: Option<u8>,
}

/// Runs the program; the exit code.
pub(super) fn run(mut options: Options, voice: Voice) -> u8 {
    let voice = voice.with(options.verbosity);
    let command = std::mem::take(&mut options.command);
    let command: Vec<CString> =
        command.into_iter().filter_map(|word| CString::new(word.into_vec()).ok()).collect();
    let Some(program) = command.first() else { return FAILED };
    // From here on no signal is lost, and none but the deadly ones ends us.
    let inherited = entry::take_signals();
    if let Some(number) = options.parent_death
        && let Err(error) = entry::on_parent_death(number)
    {
        voice.error(&format!("cannot ask for the parent's death: {}", own::reason(&error)));
        return FAILED;
    }
    if options.subreaper {
        if let Err(error) = own::become_reaper() {
            voice.error(&format!("cannot adopt orphans: {}", own::reason(&error)));
            return FAILED;
        }
        voice.tell(Level::Trace, || "Registered as child subreaper".to_owned());
    }
    if !own::is_first() && !entry::is_subreaper() {
        voice.tell(Level::Warn, || NO_REAPER.to_owned());
    }
    let child = match entry::spawn(&command, &inherited) {
        Ok(child) => child,
        Err(error) => {
            voice.error(&format!("cannot make a process: {}", own::reason(&error)));
            return FAILED;
        }
    };
    let name = program.to_string_lossy();
    let pid = child.pid.0;
    voice.tell(Level::Info, || format!("Spawned child process '{name}' with pid '{pid}'"));
    if let Some((step, error)) = child.failure {
        let object = if step.has_object() { format!(" {name}") } else { String::new() };
        voice.error(&format!("cannot {}{object}: {}", step.words(), own::reason(&error)));
    }
    drop(command);
    Entrypoint { options, voice, child: child.pid, code: None }.live()
}

impl Entrypoint {
    /// Until the program has ended.
    fn live(mut self) -> u8 {
        loop {
            if let Some(heard) = entry::next_signal(None) {
                self.heed(heard);
            }
            self.reap();
            if let Some(code) = self.code {
                self.see_off();
                self.voice.tell(Level::Trace, || "Exiting: child has exited".to_owned());
                return code;
            }
        }
    }

    /// Forwards a signal; a death is seen by reaping.
    fn heed(&self, heard: Heard) {
        let Heard { number, is_own } = heard;
        if number == libc::SIGCHLD {
            self.voice.tell(Level::Debug, || "Received SIGCHLD".to_owned());
            return;
        }
        // Words of ours that nobody wanted to read are not the program's trouble.
        if number == libc::SIGPIPE && is_own {
            return;
        }
        self.voice.tell(Level::Debug, || format!("Passing signal: '{}'", signal::words(number)));
        let sent = if self.options.group {
            signal::to_group(self.child, None, number)
        } else {
            signal::to_process(self.child, None, number)
        };
        if let Err(error) = sent {
            let words = || format!("cannot pass on signal {number}: {}", own::reason(&error));
            self.voice.tell(Level::Warn, words);
        }
    }

    /// Reaps whoever has ended.
    fn reap(&mut self) {
        while let Some((pid, exit)) = reap::next() {
            self.voice.tell(Level::Debug, || format!("Reaped child with pid: '{}'", pid.0));
            if pid == self.child && self.code.is_none() {
                self.ended(exit);
            } else if self.options.warn {
                self.voice.tell(Level::Warn, || format!("Reaped zombie process with pid={}", pid.0));
            }
        }
        let rest = || if reap::is_childless() { "No child to wait" } else { "No child to reap" };
        self.voice.tell(Level::Trace, || rest().to_owned());
    }

    /// The program has ended.
    fn ended(&mut self, exit: Exit) {
        let code = match exit {
            Exit::Code(code) => {
                let words = || format!("Main child exited normally (with status '{code}')");
                self.voice.tell(Level::Info, words);
                code
            }
            Exit::Signal { number, .. } => {
                let signal = || signal::words(number);
                let words = || format!("Main child exited with signal (with signal '{}')", signal());
                self.voice.tell(Level::Info, words);
                number.saturating_add(BY_SIGNAL)
            }
        };
        let code = u8::try_from(code & 0xff).unwrap_or(FAILED);
        self.code = Some(if self.options.remapped.contains(&code) { 0 } else { code });
    }

    /// What the program left running is asked to end before it is killed; as PID 1 only, whose own end is what
    /// kills it. Where nothing is left this costs one question.
    fn see_off(&mut self) {
        if self.options.grace.is_zero() || !own::is_first() || reap::is_childless() {
            return;
        }
        self.voice.tell(Level::Debug, || "Ending what is left".to_owned());
        let begun = clock::now().instant;
        signal::to_everybody(libc::SIGTERM);
        signal::to_everybody(libc::SIGCONT);
        while !reap::is_childless() {
            match entry::next_signal(Some(self.left(begun))) {
                // Whoever asks us to end has no time for more.
                Some(Heard { number: libc::SIGTERM | libc::SIGINT | libc::SIGQUIT, .. }) => return,
                Some(_) => self.reap(),
                None if self.left(begun).is_zero() => return,
                None => {}
            }
        }
    }

    /// What is left of the grace.
    fn left(&self, begun: Instant) -> Duration {
        self.options.grace.saturating_sub(clock::now().instant.saturating_duration_since(begun))
    }
}
