//! The child that updates a service, so that PID 1 runs no script and touches no disk. It reads its job from its
//! input, writes each step down before it does it, has the supervisor restart the service and tell what happens, and
//! says at the end how it went. Which step follows which is decided in `life`.

mod command;
mod journal;
mod trial;

use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use command::Room;
pub(crate) use journal::JOURNAL;
use journal::Record;

use crate::control::client::Client;
use crate::control::update::{Happened, Job, News, Task};
use crate::control::wire::{Named, Order};
use crate::life::update::{End, Next, Step};
use journal::Journal;
use trial::Fault;

/// It is done, or there is nothing to do.
const DONE: u8 = 0;
/// It is not.
const FAILED: u8 = 1;
/// There is no job.
const USAGE: u8 = 64;
/// The supervisor is gone; the next one resumes.
const GONE: u8 = 75;

/// An update.
#[derive(Debug)]
struct Cycle {
    /// What to do.
    job: Job,
    /// The supervisor.
    client: Client,
    /// What is written down.
    journal: Journal,
}

/// Puts back the configuration of services whose updates were cut off, for a supervisor that cannot read the one that
/// is there; whether that has changed anything.
pub(crate) fn put_back(state_dir: &std::path::Path) -> bool {
    Journal::restore_all(state_dir)
}

/// Does the job on standard input; the exit code.
pub(crate) fn run() -> u8 {
    let mut text = Vec::new();
    let read = io::stdin().read_to_end(&mut text);
    let Some(job) = read.ok().and_then(|_| serde_json::from_slice::<Job>(&text).ok()) else {
        say("cannot update: only a supervisor says what");
        return USAGE;
    };
    let client = match Client::connect(&job.socket) {
        Ok(client) => client,
        Err(error) => {
            say(&error.to_string());
            return GONE;
        }
    };
    let result = match job.task {
        Task::Check => begin(job, client, true),
        Task::Update => begin(job, client, false),
        Task::Resume => resume(job, client),
    };
    match result {
        Ok(words) => {
            say(&words);
            DONE
        }
        Err(Fault::Version(words)) => {
            say(&words);
            FAILED
        }
        Err(Fault::Gone(error)) => {
            say(&error.to_string());
            GONE
        }
    }
}

/// Looks for a newer version, and begins an update if there is one.
fn begin(job: Job, mut client: Client, only_look: bool) -> Result<String, Fault> {
    let record = Record::read(&job.folder);
    let ask = |words: &[Box<str>], what: &str| {
        let room = room(&job, &client, Vec::new());
        let version = command::run(words, &room).map_err(|error| format!("cannot learn {what}: {error}"))?;
        let is_version = !version.is_empty() && version.len() <= 200;
        if is_version {
            Ok(Box::<str>::from(version))
        } else {
            Err(format!("cannot learn {what}: nothing was said"))
        }
    };
    let found = ask(&job.update.check, "the newest version").and_then(|newest| {
        let current = if job.update.current.is_empty() {
            record.version.clone()
        } else {
            Some(ask(&job.update.current, "the installed version")?)
        };
        Ok((current, newest))
    });
    let (from, to) = match found {
        Ok(found) => found,
        Err(error) => {
            tell(&mut client, &job, Happened::Checked, (None, None), &error)?;
            return Err(Fault::Version(error));
        }
    };
    let versions = (from.clone(), Some(to.clone()));
    let shown = from.as_deref().unwrap_or("unknown").to_owned();
    let is_pinned = record.pinned.contains(&to);
    let words = if from.as_ref() == Some(&to) {
        format!("{to} is installed and is the newest")
    } else if is_pinned {
        format!("{shown} is installed; {to} is newer, but was no good and is not tried again")
    } else {
        format!("{shown} is installed, {to} is the newest")
    };
    tell(&mut client, &job, Happened::Checked, versions.clone(), &words)?;
    if only_look || is_pinned || from.as_ref() == Some(&to) {
        return Ok(words);
    }
    let journal = Journal {
        mark: uuid().into(),
        step: Step::Backup,
        from,
        to,
        update: job.update.clone(),
        copies: Vec::new(),
        fault: None,
        is_bad: false,
        is_up: job.is_up,
    };
    let mut cycle = Cycle { job, client, journal };
    cycle.tell(Happened::Started, &format!("updating {shown} to {}", cycle.journal.to))?;
    cycle.go(Step::Backup)
}

/// Brings an update to its end whose child has died.
fn resume(mut job: Job, mut client: Client) -> Result<String, Fault> {
    let Some(journal) = Journal::read(&job.folder) else {
        trial::run(&mut client, &job, false)?;
        return Ok("nothing was under way".to_owned());
    };
    command::end_all(&journal.mark);
    job.update = journal.update.clone();
    job.is_up |= journal.is_up;
    let next = journal.step.resumed();
    let mut cycle = Cycle { job, client, journal };
    if cycle.journal.step == Step::Apply {
        cycle.fail("it was cut off while it was applied", false)?;
    }
    match next {
        Next::Step(step) => cycle.go(step),
        Next::End(end) => {
            if cycle.job.is_up {
                let named = Named { services: vec![cycle.job.service.clone()], wait: false };
                trial::order(&mut cycle.client, Order::Start(named), None)?;
            }
            cycle.end(end)
        }
    }
}

impl Cycle {
    /// Does one step after the other.
    fn go(&mut self, first: Step) -> Result<String, Fault> {
        let mut step = first;
        loop {
            self.journal.step = step;
            if let Err(error) = self.journal.write(&self.job.folder) {
                let fault = format!("cannot write down what is done: {}", crate::sys::own::reason(&error));
                // Without that nothing is begun; what was begun goes on.
                if step == Step::Backup {
                    return Err(Fault::Version(fault));
                }
                say(&fault);
            }
            let well = self.act(step)?;
            match step.after(well) {
                Next::Step(next) => step = next,
                Next::End(end) => return self.end(end),
            }
        }
    }

    /// Does a step; whether it went well.
    fn act(&mut self, step: Step) -> Result<bool, Fault> {
        match step {
            Step::Backup => match self.journal.copy(&self.job.backups, &self.job.service) {
                Ok(()) => Ok(true),
                Err(error) => {
                    self.fail(
                        &format!("cannot copy its configuration: {}", crate::sys::own::reason(&error)),
                        false,
                    )?;
                    Ok(false)
                }
            },
            Step::Apply => match self.command(true) {
                Ok(_) => {
                    self.tell(
                        Happened::Applied,
                        &format!("{} is in place and on probation", self.journal.to),
                    )?;
                    Ok(true)
                }
                Err(error) => {
                    self.fail(&format!("cannot apply {}: {error}", self.journal.to), true)?;
                    Ok(false)
                }
            },
            Step::Probation => self.try_version(),
            Step::Record => {
                let mut record = Record::read(&self.job.folder);
                record.version = Some(self.journal.to.clone());
                Ok(record.write(&self.job.folder).is_ok())
            }
            Step::Rollback => {
                self.halt()?;
                let rolled = self.command(false);
                let restored = self.journal.restore().map_err(|error| crate::sys::own::reason(&error));
                if let Err(error) = rolled.map(drop).and(restored.map(drop)) {
                    self.note_fault(&format!("cannot roll back: {error}"));
                    return Ok(false);
                }
                Ok(true)
            }
            Step::Return => match trial::run(&mut self.client, &self.job, true) {
                Ok(()) => Ok(true),
                Err(Fault::Version(words)) => {
                    self.note_fault(&format!("the old version is not well either: {words}"));
                    Ok(false)
                }
                Err(gone) => Err(gone),
            },
            Step::Pin => Ok(self.pin()),
        }
    }

    /// Ends what runs of the new version, so that nothing half put back is started. Clients wait meanwhile.
    fn halt(&mut self) -> Result<(), Fault> {
        if !self.job.is_up {
            return Ok(());
        }
        let named = Named { services: vec![self.job.service.clone()], wait: true };
        match trial::order(&mut self.client, Order::Stop(named), None) {
            Ok(()) | Err(Fault::Version(_)) => Ok(()),
            Err(gone) => Err(gone),
        }
    }

    /// Tries the new version.
    fn try_version(&mut self) -> Result<bool, Fault> {
        let has_changed = self.journal.is_changed();
        match trial::run(&mut self.client, &self.job, has_changed) {
            Ok(()) => Ok(true),
            Err(Fault::Version(words)) => {
                self.fail(&format!("{} is no good: {words}", self.journal.to), true)?;
                Ok(false)
            }
            Err(gone) => Err(gone),
        }
    }

    /// Runs what puts the new version in place, or the old one.
    fn command(&self, forward: bool) -> Result<String, String> {
        let update = &self.journal.update;
        let more = vec![
            (command::MARK, self.journal.mark.to_string()),
            ("MCP_INIT_UPDATE_FROM", self.journal.from.as_deref().unwrap_or_default().to_owned()),
            ("MCP_INIT_UPDATE_TO", self.journal.to.to_string()),
        ];
        let words = if forward { &update.apply } else { &update.rollback };
        command::run(words, &room(&self.job, &self.client, more))
    }

    /// It has failed.
    fn fail(&mut self, why: &str, is_bad: bool) -> Result<(), Fault> {
        self.journal.is_bad |= is_bad;
        self.note_fault(why);
        self.tell(Happened::Failed, why)
    }

    /// One more thing that went wrong.
    fn note_fault(&mut self, why: &str) {
        let before = self.journal.fault.take();
        let whole = before.map_or_else(|| why.to_owned(), |before| format!("{before}; {why}"));
        self.journal.fault = Some(whole.into());
    }

    /// The new version is not tried again, if it is to blame.
    fn pin(&self) -> bool {
        let mut record = Record::read(&self.job.folder);
        record.version.clone_from(&self.journal.from);
        if self.journal.is_bad {
            record.pin(&self.journal.to);
        }
        record.write(&self.job.folder).is_ok()
    }

    /// It is over: what there is to say.
    fn end(&mut self, end: End) -> Result<String, Fault> {
        let Journal { from, to, fault, is_bad, .. } = &self.journal;
        let from = from.as_deref().unwrap_or("the old version");
        let fault = fault.as_deref().unwrap_or("it was cut off");
        let (happened, words) = match end {
            End::Updated => (Happened::Succeeded, format!("updated from {from} to {to}")),
            End::Kept => (Happened::Kept, format!("still {from}: {fault}")),
            End::Back => {
                let again = if *is_bad { format!("; {to} is not tried again") } else { String::new() };
                (Happened::RolledBack, format!("back to {from}: {fault}{again}"))
            }
            End::Stuck => {
                self.pin();
                (
                    Happened::RollbackFailed,
                    format!("neither {to} nor {from} is well: {fault}; manual intervention needed"),
                )
            }
        };
        // What is told twice after a crash is better than what is not told.
        self.tell(happened, &words)?;
        if let Err(error) = Journal::remove(&self.job.folder) {
            say(&format!("cannot end the journal: {}", crate::sys::own::reason(&error)));
        }
        if end == End::Updated { Ok(words) } else { Err(Fault::Version(words)) }
    }

    /// Has the supervisor tell something.
    fn tell(&mut self, happened: Happened, words: &str) -> Result<(), Fault> {
        let versions = (self.journal.from.clone(), Some(self.journal.to.clone()));
        tell(&mut self.client, &self.job, happened, versions, words)
    }
}

/// Old and new version, as far as they are known.
type Versions = (Option<Box<str>>, Option<Box<str>>);

/// Has the supervisor tell something.
fn tell(
    client: &mut Client,
    job: &Job,
    happened: Happened,
    versions: Versions,
    words: &str,
) -> Result<(), Fault> {
    let (from, to) = versions;
    let news = News { service: job.service.clone(), happened, from, to, text: words.into() };
    trial::order(client, Order::Tell(news), None)
}

/// How commands are run.
fn room<'a>(job: &'a Job, client: &'a Client, more: Vec<(&'static str, String)>) -> Room<'a> {
    Room {
        variables: &job.variables,
        more,
        directory: &job.directory,
        within: job.update.timeout,
        line: client.as_fd(),
    }
}

/// A name that no other update has.
fn uuid() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_or_else(
        |_| format!("{}-{}", std::process::id(), crate::sys::clock::now().stamp),
        |text| text.trim().to_owned(),
    )
}

/// The line with which this ends.
fn say(words: &str) {
    let line: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let mut out = io::stdout();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}
