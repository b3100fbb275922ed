//! Updates as the supervisor sees them: one child for each service that is updated, started again when it dies, told
//! about to whoever asked. What the child does is the matter of `update`.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::plan::HealthCheck;
use crate::control::server::ClientId;
use crate::control::update::{Happened, Job, News, Task};
use crate::life::alerts::{Kind, Level};
use crate::life::policy::{self, Exit, Pid, Why};
use crate::life::roster::Id;
use crate::life::service::later;
use crate::life::state::Want;
use crate::scribe::wire;
use crate::sys::own::reason;
use crate::sys::pipe;
use crate::sys::setup::Setup;
use crate::sys::spawn::Launch;
use crate::update::JOURNAL;

use super::Supervisor;
use super::errand::Errand;
use super::events::{Event, fault};
use super::hear::quote;
use super::kin::Whose;
use super::launch::variables;
use super::orders::EXIT_UNKNOWN;
use super::scribes::own_path;

/// From the death of a child to the next one.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Children that bring one update to its end, before a person has to look.
const TRIES_MAX: u32 = 5;
/// It did not work.
const EXIT_FAILED: u8 = 1;

/// A service that is being updated.
#[derive(Debug)]
struct Cycle {
    /// The service.
    id: Id,
    /// What the child has to do.
    task: Task,
    /// The child; none while the next one is still to be started.
    child: Option<Errand>,
    /// When that is.
    again_at: Option<Instant>,
    /// Children so far.
    tries: u32,
    /// Who waits for it.
    askers: Vec<(ClientId, u64)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Updates(Vec<Cycle>);

/// One line of `updates.jsonl`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    /// RFC 3339, UTC.
    time: &'a str,
    /// What happened.
    event: &'static str,
    /// The service.
    server_id: &'a str,
    /// The old version, if it is known.
    from: Option<&'a str>,
    /// The new one.
    to: Option<&'a str>,
    /// In words.
    text: &'a str,
}

impl Updates {
    /// When the next child is started.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|cycle| cycle.again_at).min()
    }
}

impl Supervisor {
    /// Somebody wants a service updated, or to know whether it can be.
    pub(super) fn order_update(&mut self, client: ClientId, request: u64, name: &str, check: bool) {
        let verb = if check { "check" } else { "update" };
        let id = match self.find(&[name.into()]).map(|ids| ids.first().copied()) {
            Ok(Some(id)) => id,
            Ok(None) => return,
            Err(error) => return self.refuse(client, request, error, EXIT_UNKNOWN),
        };
        if self.unit(id).is_none_or(|unit| unit.plan.update.is_none()) {
            let error = format!("cannot {verb} {name}: it has no \"update\" in its configuration");
            return self.refuse(client, request, error, EXIT_FAILED);
        }
        if self.roster.is_ending() {
            let error = format!("cannot {verb} {name}: the supervisor is stopping");
            return self.refuse(client, request, error, EXIT_FAILED);
        }
        let task = if check { Task::Check } else { Task::Update };
        match self.updates.0.iter_mut().find(|cycle| cycle.id == id) {
            Some(cycle) if cycle.task == task => cycle.askers.push((client, request)),
            Some(cycle) => {
                let under_way = if cycle.task == Task::Check { "a check" } else { "an update" };
                let error = format!("cannot {verb} {name}: {under_way} of it is under way");
                self.refuse(client, request, error, EXIT_FAILED);
            }
            None => self.begin_update(id, task, Some((client, request))),
        }
    }

    /// Begins.
    fn begin_update(&mut self, id: Id, task: Task, asker: Option<(ClientId, u64)>) {
        let askers = asker.into_iter().collect();
        self.updates.0.push(Cycle { id, task, child: None, again_at: None, tries: 0, askers });
        self.start_updater(id);
    }

    /// At boot: updates that the last supervisor left are brought to their end before their services are started, so
    /// that nothing runs that is neither old nor new. Which these are.
    pub(super) fn unfinished_updates(&self) -> Vec<Id> {
        let has_journal = |id: &Id| {
            let unit = self.unit(*id).filter(|unit| unit.plan.update.is_some());
            unit.is_some_and(|unit| unit.state_file(&self.settings, JOURNAL).exists())
        };
        self.ids().filter(has_journal).collect()
    }

    /// Brings an update to its end.
    pub(super) fn resume_update(&mut self, id: Id) {
        ::log::warn!("{}: an update was cut off: it is brought to its end", self.name(id));
        self.begin_update(id, Task::Resume, None);
    }

    /// Starts the child.
    fn start_updater(&mut self, id: Id) {
        let Some(cycle) = self.updates.0.iter_mut().find(|cycle| cycle.id == id) else { return };
        cycle.again_at = None;
        cycle.tries = cycle.tries.saturating_add(1);
        let task = if cycle.tries > 1 { Task::Resume } else { cycle.task };
        match self.launch_updater(id, task) {
            Ok(child) => {
                self.acknowledge(child.pid, Whose::Ours);
                if let Some(cycle) = self.updates.0.iter_mut().find(|cycle| cycle.id == id) {
                    cycle.child = Some(child);
                }
            }
            Err(error) => self.updater_failed(id, &error),
        }
    }

    /// The same, with what went wrong.
    fn launch_updater(&mut self, id: Id, task: Task) -> Result<Errand, String> {
        let text = |error: io::Error| reason(&error);
        self.make_output(id).map_err(text)?;
        let job = self.job(id, task).ok_or_else(|| "it has no \"update\" in its configuration".to_owned())?;
        let job = serde_json::to_vec(&job).map_err(|error| error.to_string())?;
        let asked = pipe::holding(&job).map_err(text)?;
        let (read, write) = pipe::saying().map_err(text)?;
        let output = self.unit(id).and_then(|unit| unit.output.as_ref());
        let said = output.map_or(self.null.as_fd(), |output| output.write.as_fd()).try_clone_to_owned();
        let said = said.map_err(text)?;
        let process = self
            .spawner
            .spawn(&Launch {
                programs: &[c"/proc/self/exe".to_owned(), own_path()],
                argv: &[c"mcp-init".to_owned(), c"cycle".to_owned()],
                envp: &[],
                directory: c"/",
                stdio: [asked.as_fd(), write.as_fd(), said.as_fd()],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &Setup::NONE,
            })
            .map_err(|error| error.to_string())?;
        Ok(Errand::new(process, Some(read)))
    }

    /// What the child has to know.
    fn job(&self, id: Id, task: Task) -> Option<Job> {
        let unit = self.unit(id)?;
        let plan = &unit.plan;
        let mut variables = variables(&self.environment, unit);
        // Its commands are none of the service's processes.
        variables.remove(crate::sys::kin::MARK);
        let check: Option<&HealthCheck> = plan.health_check.as_ref();
        let life = self.roster.get(id)?;
        Some(Job {
            task,
            service: plan.id.clone(),
            update: (**plan.update.as_ref()?).clone(),
            variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            directory: plan.working_directory.clone(),
            folder: unit.state_file(&self.settings, ""),
            backups: self.settings.state_dir.join("backups"),
            socket: self.settings.runtime_dir.join("control.sock"),
            probe: plan.health_probe.as_deref().cloned().zip(check.map(|check| check.timeout)),
            known_within: check.map(|check| {
                // A first failure is no fault yet.
                let once = check.interval.saturating_add(check.timeout);
                once.saturating_mul(2).saturating_add(Duration::from_secs(2))
            }),
            is_up: life.want() == Want::Up || (task == Task::Resume && plan.is_started_at_boot()),
        })
    }

    /// A child has ended: whether it was one that updates.
    pub(super) fn updater_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let is_it = |cycle: &Cycle| cycle.child.as_ref().is_some_and(|child| child.pid == pid);
        let Some(place) = self.updates.0.iter().position(is_it) else { return false };
        self.forget_kin(pid);
        let Some(cycle) = self.updates.0.get_mut(place) else { return true };
        let Some(mut child) = cycle.child.take() else { return true };
        // What it left would go on beside the next one.
        if child.is_held() {
            child.kill();
        }
        let words = child.last_words();
        let id = cycle.id;
        match exit {
            Exit::Code(0) => self.end_update(id, Ok(&words.unwrap_or_else(|| "done".to_owned()))),
            Exit::Code(1) => self.end_update(id, Err(&words.unwrap_or_default())),
            Exit::Code(_) | Exit::Signal { .. } => {
                let how = fault(exit, Why::Itself).unwrap_or_default();
                self.updater_failed(id, &words.unwrap_or(how));
            }
        }
        true
    }

    /// It died, or could not be started: another one brings it to its end.
    fn updater_failed(&mut self, id: Id, why: &str) {
        let now = self.now.instant;
        let Some(cycle) = self.updates.0.iter_mut().find(|cycle| cycle.id == id) else { return };
        if cycle.task == Task::Check {
            return self.end_update(id, Err(why));
        }
        if self.roster.is_ending() {
            return self.end_update(id, Err("the supervisor is stopping; the next one goes on"));
        }
        if cycle.tries < TRIES_MAX {
            cycle.again_at = Some(later(now, AGAIN_AFTER));
            ::log::warn!("{}: its update was cut off ({why}): another child goes on", self.name(id));
            return;
        }
        let text = format!("its update cannot be brought to an end: {why}; manual intervention needed");
        self.alert(Some(id), Level::Critical, Kind::Update, &text);
        self.end_update(id, Err(&text));
        if self.unit(id).is_some_and(|unit| unit.plan.is_started_at_boot()) {
            self.roster.on(id, policy::Event::Start, now, &mut self.todo);
        }
    }

    /// Whether a service is being updated just now.
    pub(super) fn is_updated(&self, id: Id) -> bool {
        self.updates.0.iter().any(|cycle| cycle.id == id && cycle.task != Task::Check)
    }

    /// It is over: whoever asked is told.
    fn end_update(&mut self, id: Id, how: Result<&str, &str>) {
        let Some(place) = self.updates.0.iter().position(|cycle| cycle.id == id) else { return };
        let cycle = self.updates.0.swap_remove(place);
        if self.roster.get(id).is_some_and(|life| life.state().is_at_rest()) {
            self.close_sockets(id);
        }
        let name = self.name(id).clone();
        let verb = if cycle.task == Task::Check { "check" } else { "update" };
        for (client, request) in cycle.askers {
            match how {
                Ok(words) => self.answer_done(client, request, words),
                Err(words) => {
                    self.refuse(client, request, format!("cannot {verb} {name}: {words}"), EXIT_FAILED);
                }
            }
        }
    }

    /// Starts children anew where one has died.
    pub(super) fn tick_updates(&mut self) {
        let now = self.now.instant;
        let due = |cycle: &&Cycle| cycle.again_at.is_some_and(|at| at <= now);
        let due: Vec<Id> = self.updates.0.iter().filter(due).map(|cycle| cycle.id).collect();
        for id in due {
            self.start_updater(id);
        }
    }

    /// Everything ends: what was begun is brought to its end by the next supervisor.
    pub(super) fn end_all_updates(&mut self) {
        for cycle in &mut self.updates.0 {
            cycle.again_at = None;
            if let Some(child) = &cycle.child {
                child.kill();
            }
        }
    }

    /// The child has something to tell.
    pub(super) fn heed_news(&mut self, client: ClientId, request: u64, news: &News) {
        let News { service, happened, from, to, text } = news;
        let id = self.find(std::slice::from_ref(service)).ok().and_then(|ids| ids.first().copied());
        let time = self.now.stamp.to_string();
        let event = happened.event();
        let text = quote(text);
        let line = Line {
            time: &time,
            event,
            server_id: service,
            from: from.as_deref(),
            to: to.as_deref(),
            text: &text,
        };
        if let Ok(mut line) = serde_json::to_vec(&line) {
            line.push(b'\n');
            // The event tells the same.
            let _taken =
                self.scribe.put(wire::Kind::Append, &self.settings.state_dir.join("updates.jsonl"), &line);
        }
        self.tell(&Event {
            time: time.clone(),
            event,
            server_id: Some(service),
            text: Some(&text),
            ..Event::default()
        });
        let level = match happened {
            Happened::Checked | Happened::Started | Happened::Applied | Happened::Kept | Happened::Failed => {
                None
            }
            Happened::Succeeded => Some(Level::Info),
            Happened::RolledBack => Some(Level::Error),
            Happened::RollbackFailed => Some(Level::Critical),
        };
        if let Some(level) = level {
            self.alert(id, level, Kind::Update, &text);
        }
        ::log::info!("{service}: {text}");
        self.answer_done(client, request, "told");
    }
}
