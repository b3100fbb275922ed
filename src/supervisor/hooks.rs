//! Programs that are run when something happens: a few at once, each for a bounded time, with a bounded number of
//! them waiting. Nobody waits for them. Which events they are for is said by the configuration.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::life::policy::{Blame, Exit, Pid, Why};
use crate::life::service::later;
use crate::sys::own::reason;
use crate::sys::pipe;
use crate::sys::setup::Setup;
use crate::sys::spawn::Launch;

use super::errand::Errand;
use super::events::Event;
use super::kin::Whose;
use super::launch::{allowed, c_string, candidates, pairs};
use super::{Supervisor, events};

/// So many run at once.
const AT_ONCE: usize = 4;
/// So many wait for their turn.
const QUEUE_MAX: usize = 256;
/// After want of processes, memory or descriptors, before the next try.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Lost ones are told this often.
const TELL_AFTER: Duration = Duration::from_mins(1);
/// What the names of its variables begin with.
const PREFIX: &str = "MCP_EVENT";

/// One that waits for its turn.
#[derive(Debug)]
struct Due {
    /// Its place in the settings.
    hook: usize,
    /// The event, as `events.jsonl` has it.
    facts: Box<[u8]>,
}

/// One that runs.
#[derive(Debug)]
struct Running {
    /// Its place in the settings.
    hook: usize,
    /// It.
    errand: Errand,
    /// It is ended then; not again once it was.
    until: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    /// Those that wait.
    queue: VecDeque<Due>,
    /// Those that run.
    running: Vec<Running>,
    /// None is started before.
    again_at: Option<Instant>,
    /// Lost because too many waited.
    pub(super) dropped: u64,
    /// Until when no more of them are told.
    quiet_until: Option<Instant>,
}

impl Hooks {
    /// When one of them has to be started or ended.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let again = self.again_at.filter(|_| !self.queue.is_empty());
        self.running.iter().filter_map(|one| one.until).chain(again).min()
    }

    /// Whether any runs.
    pub(super) fn is_any_running(&self) -> bool {
        !self.running.is_empty()
    }
}

impl Running {
    /// Ends it, and what it started.
    fn kill(&mut self) {
        self.until = None;
        self.errand.kill();
    }
}

impl Supervisor {
    /// Something has happened: whoever wants to know of it gets a turn.
    pub(super) fn offer(&mut self, event: &Event<'_>, facts: &[u8]) {
        for (hook, plan) in self.settings.hooks.iter().enumerate() {
            if !plan.wants(event.event, event.server_id, event.level) {
                continue;
            }
            if self.hooks.queue.len() < QUEUE_MAX {
                self.hooks.queue.push_back(Due { hook, facts: facts.into() });
                continue;
            }
            self.hooks.dropped = self.hooks.dropped.saturating_add(1);
            if self.hooks.quiet_until.is_none_or(|until| self.now.instant >= until) {
                self.hooks.quiet_until = Some(later(self.now.instant, TELL_AFTER));
                let all = self.hooks.dropped;
                ::log::warn!("commands for events fall behind: {QUEUE_MAX} wait, {all} were lost so far");
            }
        }
    }

    /// Starts those whose turn it is, and ends those whose time is over.
    pub(super) fn tick_hooks(&mut self) {
        let now = self.now.instant;
        for running in &mut self.hooks.running {
            if running.until.is_some_and(|until| now >= until) {
                running.kill();
                let hook = self.settings.hooks.get(running.hook);
                let program = hook.and_then(|hook| hook.command.first()).map_or("", |word| word);
                ::log::warn!("command {program} for an event takes too long: killed");
            }
        }
        if self.hooks.again_at.is_some_and(|at| now < at) {
            return;
        }
        self.hooks.again_at = None;
        while self.hooks.running.len() < AT_ONCE {
            let Some(due) = self.hooks.queue.pop_front() else { return };
            match self.start_hook(&due) {
                Ok(running) => {
                    self.acknowledge(running.errand.pid, Whose::Ours);
                    self.hooks.running.push(running);
                }
                Err((Blame::Machine, _)) => {
                    self.hooks.queue.push_front(due);
                    self.hooks.again_at = Some(later(now, AGAIN_AFTER));
                    return;
                }
                Err((Blame::Service, error)) => ::log::warn!("cannot run a command for an event: {error}"),
            }
        }
    }

    /// Starts one. What it says goes where what we say goes.
    fn start_hook(&mut self, due: &Due) -> Result<Running, (Blame, String)> {
        let machine = |error: io::Error| (Blame::Machine, reason(&error));
        let Some(plan) = self.settings.hooks.get(due.hook) else {
            return Err((Blame::Service, "it is not configured".to_owned()));
        };
        let facts = pipe::holding(&due.facts).map_err(|error| match error.raw_os_error() {
            Some(libc::E2BIG) => (Blame::Service, "the event is too long".to_owned()),
            _ => machine(error),
        })?;
        let argv: Vec<CString> = plan.command.iter().map(|word| c_string(&**word)).collect();
        let own = allowed(&self.environment);
        let programs = candidates(argv.first(), own.get("PATH").map_or("", |path| path));
        let mut envp = pairs(&own);
        envp.extend(variables(&due.facts));
        let stderr = io::stderr();
        let process = self
            .spawner
            .spawn(&Launch {
                programs: &programs,
                argv: &argv,
                envp: &envp,
                directory: c"/",
                stdio: [facts.as_fd(), stderr.as_fd(), stderr.as_fd()],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &Setup::NONE,
            })
            .map_err(|error| {
                let program = plan.command.first().map_or("", |word| word);
                (error.blame(), super::launch::why_not(&error, program, std::path::Path::new("/")))
            })?;
        let until = Some(later(self.now.instant, plan.timeout));
        Ok(Running { hook: due.hook, errand: Errand::new(process, None), until })
    }

    /// A child has ended: whether it was one of these.
    pub(super) fn hook_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(place) = self.hooks.running.iter().position(|one| one.errand.pid == pid) else {
            return false;
        };
        let mut ended = self.hooks.running.swap_remove(place);
        self.forget_kin(pid);
        let was_killed = ended.until.is_none();
        // What it left running goes with it; without a hold its number may be somebody else's by now.
        if ended.errand.is_held() {
            ended.kill();
        }
        if let Some(fault) = events::fault(exit, Why::Itself).filter(|_| !was_killed) {
            let hook = self.settings.hooks.get(ended.hook);
            let program = hook.and_then(|hook| hook.command.first()).map_or("", |word| word);
            ::log::warn!("command {program} for an event {fault}");
        }
        true
    }

    /// Everything is over: nobody is left running.
    pub(super) fn end_hooks(&mut self) {
        for running in &mut self.hooks.running {
            running.kill();
        }
    }
}

/// The facts as variables: `serverId` is `MCP_EVENT_SERVER_ID`, and the event's name `MCP_EVENT`.
fn variables(facts: &[u8]) -> Vec<CString> {
    let facts: BTreeMap<String, Value> = serde_json::from_slice(facts).unwrap_or_default();
    let pair = |(key, value): (&String, &Value)| {
        let name = if key == "event" { PREFIX.to_owned() } else { format!("{PREFIX}_{}", shouted(key)) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        c_string(format!("{name}={text}"))
    };
    facts.iter().map(pair).collect()
}

/// `serverId` as `SERVER_ID`.
fn shouted(key: &str) -> String {
    let mut name = String::new();
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_variables() {
        let facts = br#"{"event":"process.stopped","serverId":"a","code":3,"reason":"x=y z","time":"t"}"#;
        let mut all: Vec<_> = variables(facts).into_iter().map(|it| it.into_string().unwrap()).collect();
        all.sort();
        let wanted = ["=process.stopped", "_CODE=3", "_REASON=x=y z", "_SERVER_ID=a", "_TIME=t"];
        assert_eq!(all, wanted.map(|end| format!("MCP_EVENT{end}")));
        assert!(variables(b"garbage").is_empty());
    }
}
