//! The processes of what runs by the clock: one of our own verbs, or a command. A run has its time; what is left of
//! it goes with it. When it is started is the matter of `schedule`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use crate::config::schedule::{Run, Task};
use crate::control::schedule::LastRun;
use crate::life::policy::{Exit, Pid, Why};
use crate::life::roster::Id;
use crate::life::service::later;
use crate::sys::own::reason;
use crate::sys::setup::Setup;
use crate::sys::spawn::{Launch, Process};
use crate::sys::{pipe, signal};

use super::askers::as_its_user;
use super::errand::Errand;
use super::events::{Event, fault};
use super::kin::Whose;
use super::launch::{allowed, c_string, candidates, pairs, variables};
use super::schedule::Key;
use super::scribes::own_path;
use super::unit::millis;
use super::{Supervisor, reload};

/// From the request to end to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// A run.
#[derive(Debug)]
pub(super) struct Running {
    /// What it is a run of; nothing any more if the plan has changed.
    pub(super) key: Option<Key>,
    /// It; what one of our own verbs says is heard.
    errand: Errand,
    /// Since when.
    born: Instant,
    /// It is asked to end then, and killed if it was asked before.
    pub(super) until: Instant,
    /// Why it is ended, if it is.
    ended_for: Option<&'static str>,
}

impl Running {
    /// Asks it to end.
    fn end(&mut self, why: &'static str, now: Instant) {
        let number = if self.ended_for.is_some() { libc::SIGKILL } else { libc::SIGTERM };
        self.ended_for.get_or_insert(why);
        self.errand.signal(number);
        self.until = later(now, GRACE);
    }
}

impl Supervisor {
    /// Starts an entry's run.
    pub(super) fn start_run(&mut self, key: Key) {
        let now = self.now;
        let Some(planned) = self.schedules.entry(key) else { return };
        let at = planned.job.planned().unwrap_or_else(|| now.stamp.seconds());
        let timeout = planned.entry.timeout;
        let run = planned.entry.run.clone();
        let started = Some(now.stamp.to_string().into());
        planned.last = Some(LastRun { planned: at, started, ..LastRun::default() });
        let launched = match &run {
            Run::Verb(task) => self.launch_verb(*task, key),
            Run::Command(words) => self.launch_command(words, key).map(|process| (process, None)),
        };
        self.remember_run(key);
        match launched {
            Ok((process, words)) => {
                self.acknowledge(process.pid, Whose::Ours);
                let pid = Some(process.pid.0);
                self.tell_run(key, &Event { event: "schedule.started", pid, ..Event::default() });
                self.schedules.running.push(Running {
                    key: Some(key),
                    errand: Errand::new(process, words),
                    born: now.instant,
                    until: later(now.instant, timeout),
                    ended_for: None,
                });
            }
            Err(error) => self.note_end(key, Err(format!("cannot start it: {error}")), None),
        }
    }

    /// Starts one of our own verbs.
    fn launch_verb(&mut self, task: Task, key: Key) -> Result<(Process, Option<OwnedFd>), String> {
        let text = |error: io::Error| reason(&error);
        let (read, write) = pipe::saying().map_err(text)?;
        let dir = CString::new(self.config_dir.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        let mut argv = vec![c"mcp-init".to_owned(), c"-c".to_owned(), dir, c_string(task.verb())];
        match (self.owner_name(key), task) {
            (Some(name), _) => argv.push(c_string(&*name)),
            (None, Task::Update | Task::Restart | Task::Reset) => argv.push(c"--all".to_owned()),
            (None, Task::Health | Task::Cleanup) => {}
        }
        let process = self
            .spawner
            .spawn(&Launch {
                programs: &[c"/proc/self/exe".to_owned(), own_path()],
                argv: &argv,
                envp: &reload::whole_environment(&self.environment),
                directory: c"/",
                stdio: [self.null.as_fd(), write.as_fd(), write.as_fd()],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &Setup::NONE,
            })
            .map_err(|error| error.to_string())?;
        Ok((process, Some(read)))
    }

    /// Starts a command: as the service's user, where it runs, into its log; of the whole, as we are.
    fn launch_command(&mut self, words: &[Box<str>], key: Key) -> Result<Process, String> {
        let id = key.owner.map(|owner| Id(owner.0));
        if let Some(id) = id {
            self.make_output(id).map_err(|error| reason(&error))?;
        }
        let argv: Vec<CString> = words.iter().map(|word| c_string(&**word)).collect();
        let unit = id.and_then(|id| self.units.get(id.index())?.as_ref());
        let mut variables = match unit {
            Some(unit) => variables(&self.environment, unit),
            None => allowed(&self.environment),
        };
        // It is none of the service's processes: a stop does not look for it.
        variables.remove(crate::sys::kin::MARK);
        let programs = candidates(argv.first(), variables.get("PATH").map_or("", |path| path));
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let null = self.null.as_fd();
        let (out, err) = match unit {
            None => (stdout.as_fd(), stderr.as_fd()),
            Some(unit) => {
                unit.output.as_ref().map_or((null, null), |it| (it.write.as_fd(), it.write.as_fd()))
            }
        };
        let folder = match unit {
            Some(unit) if unit.plan.chroot.is_none() => c_string(unit.plan.working_directory.as_os_str()),
            Some(_) | None => c"/".to_owned(),
        };
        let setup = unit.map_or(Setup::NONE, |unit| as_its_user(&unit.plan));
        self.spawner
            .spawn(&Launch {
                programs: &programs,
                argv: &argv,
                envp: &pairs(&variables),
                directory: &folder,
                stdio: [null, out, err],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &setup,
            })
            .map_err(|error| error.to_string())
    }

    /// Ends an entry's run, because the next one is due.
    pub(super) fn end_run(&mut self, key: Key) {
        let now = self.now.instant;
        let runs = self.schedules.running.iter_mut();
        for run in runs.filter(|run| run.key == Some(key) && run.ended_for.is_none()) {
            run.end("the next run was due", now);
        }
    }

    /// Ends runs that take too long.
    pub(super) fn end_late_runs(&mut self) {
        let now = self.now.instant;
        for run in self.schedules.running.iter_mut().filter(|run| run.until <= now) {
            run.end("it took too long", now);
        }
    }

    /// Everything ends: so do they.
    pub(super) fn end_all_runs(&mut self) {
        let now = self.now.instant;
        self.schedules.waiting.clear();
        for run in &mut self.schedules.running {
            run.end("everything ends", now);
        }
    }

    /// A child has ended: whether it was a run.
    pub(super) fn run_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(place) = self.schedules.running.iter().position(|run| run.errand.pid == pid) else {
            return false;
        };
        let mut run = self.schedules.running.swap_remove(place);
        self.forget_kin(pid);
        // Without a hold its number may be somebody else's by now.
        if run.errand.is_held() {
            run.errand.signal(libc::SIGKILL);
        }
        let words = run.errand.last_words();
        let Some(key) = run.key else { return true };
        let fault = match (run.ended_for, fault(exit, Why::Itself)) {
            (Some(why), _) => Some(format!("was ended: {why}")),
            (None, fault) => fault,
        };
        let outcome = match (fault, words) {
            (None, words) => Ok(words),
            (Some(fault), None) => Err(fault),
            (Some(fault), Some(words)) => Err(format!("{fault}: {words}")),
        };
        let lived = millis(self.now.instant.saturating_duration_since(run.born));
        self.note_end(key, outcome, Some((exit, lived)));
        true
    }

    /// How a run ended, for the files; and the next one, if it waits for that.
    fn note_end(&mut self, key: Key, outcome: Result<Option<String>, String>, end: Option<(Exit, u64)>) {
        let stamp = self.now.stamp.to_string();
        let Some(planned) = self.schedules.entry(key) else { return };
        let is_again = planned.job.ended();
        let (ok, words) = match outcome {
            Ok(words) => (true, words),
            Err(words) => (false, Some(words)),
        };
        if let Some(last) = &mut planned.last {
            last.ended = Some(stamp.into());
            last.ok = Some(ok);
            last.outcome = words.as_deref().map(Into::into);
        }
        let (code, number) = match end {
            Some((Exit::Code(code), _)) => (Some(code), None),
            Some((Exit::Signal { number, .. }, _)) => (None, Some(signal::name(number))),
            None => (None, None),
        };
        let error = words.as_deref().filter(|_| !ok);
        if let Some(error) = error {
            let whose = self.owner_name(key).map_or(String::new(), |name| format!("{name}: "));
            let run = self.schedules.entry(key).map(|planned| planned.entry.run.name().to_owned());
            ::log::warn!("{whose}scheduled {} failed: {error}", run.unwrap_or_default());
        }
        let (signal, lived) = (number.as_deref(), end.map(|(_, lived)| lived));
        let summary = words.as_deref().filter(|_| ok);
        let event =
            Event { event: "schedule.ended", code, signal, lived, error, summary, ..Event::default() };
        self.tell_run(key, &event);
        self.remember_run(key);
        if is_again {
            self.schedules.waiting.push_back(key);
        }
    }
}
