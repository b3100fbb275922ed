//! Reading the configuration again: a child reads the files, the loop only takes in the plan it sends, and
//! touches only what changed.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use mio::Interest;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::config::Environment;
use crate::config::plan::{Plan, Service};
use crate::control::server::ClientId;
use crate::life::policy;
use crate::life::roster::Id;
use crate::life::service::later;
use crate::life::state::Want;
use crate::scribe::wire::Kind;
use crate::sys::clock::Now;
use crate::sys::setup::Setup;
use crate::sys::spawn::Launch;
use crate::sys::{pipe, signal};

use super::events::Event;
use super::scribes::own_path;
use super::{RELOAD, Supervisor};

/// For the child to read the configuration.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Largest plan, in bytes.
const PLAN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// `EX_CONFIG`.
const EXIT_CONFIG: u8 = 78;

/// What the child sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reading {
    /// The configuration is valid.
    Plan(Box<Plan>),
    /// It is not: a line for each fault.
    Problems(Vec<String>),
}

/// A reload that is on its way.
#[derive(Debug)]
pub(super) struct Reload {
    /// The child.
    pid: policy::Pid,
    /// A hold on it: its number may mean somebody else once it is reaped.
    pidfd: Option<OwnedFd>,
    /// What it sends.
    from: File,
    /// What it sent so far.
    received: Vec<u8>,
    /// Who waits for it.
    askers: Vec<(ClientId, u64)>,
    /// It is ended then.
    until: Instant,
}

/// The child's side: reads the configuration.
pub(crate) fn read(dir: &Path, environment: &Environment) -> Reading {
    match config::load(dir, environment) {
        Ok(plan) => Reading::Plan(Box::new(plan)),
        Err(errors) => Reading::Problems(errors.iter().map(ToString::to_string).collect()),
    }
}

impl Reading {
    /// Whether there is a plan.
    pub(crate) const fn is_valid(&self) -> bool {
        matches!(self, Self::Plan(_))
    }
}

impl Supervisor {
    /// When a reload has taken too long.
    pub(super) fn reload_deadline(&self) -> Option<Instant> {
        self.reload.as_ref().map(|reload| reload.until)
    }

    /// Begins to read the configuration again; a reading that is on its way already serves both.
    pub(super) fn begin_reload(&mut self, asker: Option<(ClientId, u64)>) {
        if let Some(reload) = &mut self.reload {
            reload.askers.extend(asker);
            return;
        }
        match self.start_reading() {
            Ok(mut reload) => {
                reload.askers.extend(asker);
                self.acknowledge(reload.pid, super::kin::Whose::Ours);
                self.reload = Some(reload);
            }
            Err(error) => {
                let error = format!("cannot read the configuration: {error}");
                ::log::error!("{error}");
                if let Some((client, request)) = asker {
                    self.refuse(client, request, error, 71); // EX_OSERR
                }
            }
        }
    }

    /// Starts the child.
    fn start_reading(&mut self) -> Result<Reload, String> {
        let text = |error: io::Error| crate::sys::own::reason(&error);
        let (read, write) = pipe::saying().map_err(text)?;
        let dir = CString::new(self.config_dir.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        let stderr = io::stderr();
        let process = self
            .spawner
            .spawn(&Launch {
                programs: &[c"/proc/self/exe".to_owned(), own_path()],
                argv: &[c"mcp-init".to_owned(), c"-c".to_owned(), dir, c"plan".to_owned()],
                envp: &whole_environment(&self.environment),
                directory: c"/",
                stdio: [self.null.as_fd(), write.as_fd(), stderr.as_fd()],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &Setup::NONE,
            })
            .map_err(|error| error.to_string())?;
        self.register(read.as_raw_fd(), RELOAD, Interest::READABLE).map_err(text)?;
        let until = later(self.now.instant, READ_WITHIN);
        let (pid, pidfd) = (process.pid, process.pidfd);
        Ok(Reload { pid, pidfd, from: read.into(), received: Vec::new(), askers: Vec::new(), until })
    }

    /// Reads what the child sent; at its end the plan is taken in.
    pub(super) fn read_plan(&mut self) {
        let Some(reload) = &mut self.reload else { return };
        let mut bytes = [0; 16 * 1024];
        while reload.received.len() < PLAN_BYTES_MAX {
            match reload.from.read(&mut bytes) {
                Ok(0) => return self.end_reload(None),
                Ok(count) => reload.received.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.end_reload(Some("cannot read the configuration: the reader failed")),
            }
        }
        self.end_reload(Some("cannot read the configuration: it is too large"));
    }

    /// Ends a reading that takes too long.
    pub(super) fn tick_reload(&mut self) {
        if self.reload_deadline().is_some_and(|until| self.now.instant >= until) {
            self.end_reload(Some("cannot read the configuration: its reader did not answer in time"));
        }
    }

    /// Takes in what was read, or says why not; the old plan stays in force then.
    fn end_reload(&mut self, error: Option<&str>) {
        let Some(reload) = self.reload.take() else { return };
        drop(signal::to_group(reload.pid, reload.pidfd.as_ref().map(AsFd::as_fd), libc::SIGKILL));
        let result = match (error, serde_json::from_slice(&reload.received)) {
            (Some(error), _) => Err(error.to_owned()),
            (None, Ok(Reading::Plan(plan))) => Ok(self.take_over(*plan)),
            (None, Ok(Reading::Problems(lines))) => Err(lines.join("\n")),
            (None, Err(_)) => Err("cannot read the configuration: its reader died".to_owned()),
        };
        drop(reload.from);
        self.is_slim = false;
        for (client, request) in reload.askers {
            match &result {
                Ok(summary) => self.answer_done(client, request, summary),
                Err(error) => self.refuse(client, request, error.clone(), EXIT_CONFIG),
            }
        }
        match result {
            Ok(summary) => ::log::info!("configuration read again: {summary}"),
            Err(error) => {
                for line in error.lines() {
                    ::log::error!("{line}");
                }
                ::log::error!("cannot reload: the configuration has a problem; nothing has changed");
            }
        }
    }

    /// Makes a new plan true: what is new starts, what is gone stops, what changed restarts, the rest is not
    /// touched. What was done, in words.
    fn take_over(&mut self, plan: Plan) -> String {
        let now = self.now;
        let (mut added, mut changed, mut kept) = (0_usize, 0_usize, 0_usize);
        let mut gone: Vec<Id> = self.ids().collect();
        let mut events = Vec::new();
        for service in plan.services {
            let known =
                gone.iter().position(|id| self.unit(*id).is_some_and(|unit| unit.plan.id == service.id));
            match known.map(|place| gone.swap_remove(place)) {
                None => {
                    added = added.saturating_add(1);
                    let is_first = service.is_started_at_boot();
                    let id = self.take_in(service, now);
                    events.extend(is_first.then_some((id, policy::Event::Start)));
                }
                Some(id) if self.unit(id).is_some_and(|unit| unit.plan == service && !unit.is_removed) => {
                    kept = kept.saturating_add(1);
                }
                Some(id) => {
                    changed = changed.saturating_add(1);
                    events.extend(self.change(id, service, now).map(|event| (id, event)));
                }
            }
        }
        for id in &gone {
            if let Some(unit) = self.unit_mut(*id) {
                unit.is_removed = true;
                self.has_removed = true;
            }
            self.roster.on(*id, policy::Event::Stop, now.instant, &mut self.todo);
        }
        self.set_needs();
        for (id, event) in events {
            if event != policy::Event::Stop {
                self.open_early(id);
            }
            self.roster.on(id, event, now.instant, &mut self.todo);
        }
        self.schedules.take(plan.schedule, plan.zone);
        self.begin_schedules(false);
        let mut summary =
            format!("{added} added, {changed} changed, {} removed, {kept} unchanged", gone.len());
        if plan.settings != self.settings {
            summary
                .push_str("; mcp-init.json's own settings take effect when the supervisor is started again");
        }
        let event = "config.reloaded";
        self.tell(&Event { time: now.stamp.to_string(), event, summary: Some(&summary), ..Event::default() });
        summary
    }

    /// Gives a service its new plan; what has to happen to it: one that is up is started again.
    fn change(&mut self, id: Id, plan: Service, now: Now) -> Option<policy::Event> {
        let unit = self.unit_mut(id)?;
        // One that was removed and is on its way out is as good as new.
        let enabled = (unit.plan.is_started_at_boot() && !unit.is_removed, plan.is_started_at_boot());
        let stays = plan.enabled;
        unit.plan = plan;
        unit.is_removed = false;
        unit.touch(now);
        let policy = unit.policy();
        self.roster.govern(id, &policy);
        self.watch(id);
        // One that somebody stopped stays down, also when its end is not complete yet.
        let is_up = self.roster.get(id).is_some_and(|life| life.want() == Want::Up);
        match (enabled, is_up) {
            (_, true) if !stays => Some(policy::Event::Stop),
            (_, true) => Some(policy::Event::Restart),
            ((false, true), false) => Some(policy::Event::Start),
            ((_, false) | (true, true), false) => None,
        }
    }

    /// Forgets services that the configuration no longer has, once nothing of them is left.
    pub(super) fn drop_removed(&mut self) {
        self.has_removed = false;
        for id in self.ids() {
            if self.unit(id).is_some_and(|unit| unit.is_removed) && self.roster.remove(id) {
                self.scribe.unwatch(id);
                let path = self.unit(id).map(|unit| unit.state_file(&self.settings, "process.json"));
                if let Some(path) = path {
                    self.scribe.put(Kind::Remove, &path, &[]);
                }
                self.forget_alerts(id);
                if let Some(place) = self.units.get_mut(id.index()) {
                    *place = None;
                }
            } else if self.unit(id).is_some_and(|unit| unit.is_removed) {
                self.has_removed = true;
            }
        }
    }
}

/// Our own environment, as exec wants it: a reading of the configuration depends on all of it.
pub(super) fn whole_environment(environment: &Environment) -> Vec<CString> {
    let pair = |(name, value): (&std::ffi::OsString, &std::ffi::OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    };
    environment.variables.iter().filter_map(pair).collect()
}
