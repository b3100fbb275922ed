//! What runs by the clock: the schedules of all services and of the whole, their one alarm, and what is remembered
//! of them. When an entry is due is decided in `life`; its processes are the matter of `runs`.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Instant;

use mio::Interest;
use serde_json::value::to_raw_value;

use crate::config::schedule::Entry;
use crate::control::schedule::{ClockReport, EntryReport, LastRun, ScheduleReport};
use crate::control::server::ClientId;
use crate::control::wire::Answer;
use crate::life::agenda::{Due, Job, Rules};
use crate::life::roster::Id;
use crate::life::zone::Zone;
use crate::scribe::wire::Kind;
use crate::sys::alarm::Alarm;
use crate::sys::own::reason;

use super::events::Event;
use super::orders::EXIT_UNKNOWN;
use super::reports::Extent;
use super::runs::Running;
use super::{ALARM, Supervisor};

/// So many run at a time; the others wait their turn, so that midnight is no storm.
const RUNS_MAX: usize = 8;

/// The file that remembers the last runs.
const FILE: &str = "schedule.json";

/// Whose entry it is, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The service; none is the whole.
    pub(super) owner: Option<Owner>,
    /// Its place in the list.
    pub(super) place: usize,
}

/// A service, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner(pub(super) u32);

/// An entry and its course.
#[derive(Debug)]
pub(super) struct Planned {
    /// Whose.
    pub(super) key: Key,
    /// What is written.
    pub(super) entry: Entry,
    /// When it is due.
    pub(super) job: Job,
    /// The last time.
    pub(super) last: Option<LastRun>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    /// What the whole has.
    whole: Box<[Entry]>,
    /// Local time.
    zone: Box<Zone>,
    /// Made for the first entry.
    alarm: Option<Alarm>,
    /// What it is set to.
    armed: Option<i64>,
    /// Every entry.
    pub(super) entries: Vec<Planned>,
    /// Those that are due and wait for others to end.
    pub(super) waiting: VecDeque<Key>,
    /// What runs.
    pub(super) running: Vec<Running>,
    /// Whose last runs are not written yet.
    unwritten: BTreeSet<Option<Owner>>,
    /// The latest time that was seen.
    seen: i64,
}

impl Schedules {
    /// None is known yet.
    pub(super) fn of(whole: Box<[Entry]>, zone: Option<Box<Zone>>) -> Self {
        Self { whole, zone: zone.unwrap_or_default(), ..Self::default() }
    }

    /// What a plan says of the whole.
    pub(super) fn take(&mut self, whole: Box<[Entry]>, zone: Option<Box<Zone>>) {
        self.whole = whole;
        self.zone = zone.unwrap_or_default();
    }

    /// When something about a run has to be done.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.iter().map(|run| run.until).min()
    }

    /// An entry.
    pub(super) fn entry(&mut self, key: Key) -> Option<&mut Planned> {
        self.entries.iter_mut().find(|planned| planned.key == key)
    }
}

impl Supervisor {
    /// Takes in the schedules of the plan. Of one that was there before, and is the same, what is known stays so;
    /// at boot that is what the files say.
    pub(super) fn begin_schedules(&mut self, at_boot: bool) {
        let mut owners: Vec<Option<Id>> = self.ids().map(Some).collect();
        owners.push(None);
        let now = self.now.stamp.seconds();
        let mut before = std::mem::take(&mut self.schedules.entries);
        for owner in owners {
            let entries = match owner.map(|id| self.unit(id)) {
                None => self.schedules.whole.to_vec(),
                Some(Some(unit)) if !unit.is_removed => unit.plan.schedule.to_vec(),
                Some(_) => continue,
            };
            let remembered = if at_boot && !entries.is_empty() { self.remembered(owner) } else { Vec::new() };
            let owner = owner.map(|id| Owner(id.0));
            for (place, entry) in entries.into_iter().enumerate() {
                let key = Key { owner, place };
                let is_it = |planned: &Planned| planned.key == key && planned.entry == entry;
                let last = match before.iter().position(is_it) {
                    Some(place) => {
                        let mut known = before.swap_remove(place);
                        known.job.replan(now, &self.schedules.zone);
                        self.schedules.entries.push(known);
                        continue;
                    }
                    None => {
                        remembered.iter().find(|one| one.cron == entry.text && *one.run == *entry.run.name())
                    }
                };
                let last = last.and_then(|known| known.last.clone());
                let (overlap, catch_up) = (entry.overlap, entry.catch_up);
                let rules = Rules { cron: entry.cron.clone(), overlap, catch_up };
                let planned = last.as_ref().map(|last| last.planned);
                let job = Job::new(rules, planned, now, &self.schedules.zone);
                self.schedules.entries.push(Planned { key, entry, job, last });
            }
        }
        // What is left of these belongs to nobody now; it may end by itself.
        for planned in before {
            self.schedules.waiting.retain(|key| *key != planned.key);
            for run in self.schedules.running.iter_mut().filter(|run| run.key == Some(planned.key)) {
                run.key = None;
            }
        }
        if !self.schedules.entries.is_empty() {
            self.look_at_schedules();
        }
    }

    /// What the file says of the last runs; one that is torn says nothing. Only at boot.
    fn remembered(&self, owner: Option<Id>) -> Vec<EntryReport> {
        let path = self.schedule_file(owner);
        let text = path.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        serde_json::from_slice::<ScheduleReport>(&text).map(|report| report.schedule).unwrap_or_default()
    }

    /// The file of a service's last runs, or of the whole's.
    fn schedule_file(&self, owner: Option<Id>) -> Option<PathBuf> {
        match owner {
            None => Some(self.settings.state_dir.join(FILE)),
            Some(id) => self.unit(id).map(|unit| unit.state_file(&self.settings, FILE)),
        }
    }

    /// The alarm has gone off, or there is a new plan: does what is due, and sets it anew.
    pub(super) fn look_at_schedules(&mut self) {
        if let Some(alarm) = &self.schedules.alarm
            && alarm.was_clock_set()
        {
            ::log::info!("the clock was set: schedules are looked at again");
        }
        if self.roster.is_ending() {
            return self.set_alarm(None);
        }
        let now = self.now.stamp.seconds();
        let is_back = now < std::mem::replace(&mut self.schedules.seen, now);
        let mut due = Vec::new();
        let Schedules { entries, zone, .. } = &mut self.schedules;
        for planned in entries {
            if is_back {
                planned.job.replan(now, zone);
            }
            if let Some(what) = planned.job.look(now, zone) {
                due.push((planned.key, what));
            }
        }
        for (key, what) in due {
            self.heed_due(key, what);
        }
        let next = self.schedules.entries.iter().filter_map(|planned| planned.job.next()).min();
        self.set_alarm(next);
    }

    /// An entry is due.
    fn heed_due(&mut self, key: Key, due: Due) {
        match due {
            Due::Run => self.schedules.waiting.push_back(key),
            Due::Queued => {}
            Due::Kill => self.end_run(key),
            Due::Overlaps => self.leave_out(key, "the run before it is not over"),
            Due::Missed => self.leave_out(key, "its time was missed"),
        }
    }

    /// It does not run this time.
    fn leave_out(&mut self, key: Key, why: &str) {
        let Some(planned) = self.schedules.entry(key) else { return };
        let at = planned.job.planned().unwrap_or_default();
        // What runs still has an outcome of its own to come.
        if planned.last.as_ref().is_none_or(|last| last.ended.is_some() || last.started.is_none()) {
            planned.last = Some(LastRun { planned: at, outcome: Some(why.into()), ..LastRun::default() });
        }
        self.tell_run(key, &Event { event: "schedule.skipped", reason: Some(why), ..Event::default() });
        self.schedules.unwritten.insert(key.owner);
    }

    /// An event about an entry, with what they all have.
    pub(super) fn tell_run(&mut self, key: Key, event: &Event<'_>) {
        let Some(planned) = self.schedules.entries.iter().find(|planned| planned.key == key) else { return };
        let (run, name) = (planned.entry.run.name().to_owned(), self.owner_name(key));
        let time = self.now.stamp.to_string();
        self.tell(&Event { time, server_id: name.as_deref(), run: Some(&run), ..*event });
    }

    /// The service that an entry is of.
    pub(super) fn owner_name(&self, key: Key) -> Option<Box<str>> {
        Some(self.unit(Id(key.owner?.0))?.plan.id.clone())
    }

    /// What is remembered of an entry has changed.
    pub(super) fn remember_run(&mut self, key: Key) {
        self.schedules.unwritten.insert(key.owner);
    }

    /// Sets the alarm, which costs nothing until it goes off.
    fn set_alarm(&mut self, at: Option<i64>) {
        if self.schedules.alarm.is_none() {
            if at.is_none() {
                return;
            }
            let alarm = Alarm::new().and_then(|alarm| {
                self.register(alarm.fd(), ALARM, Interest::READABLE)?;
                Ok(alarm)
            });
            match alarm {
                Ok(alarm) => self.schedules.alarm = Some(alarm),
                Err(error) => return ::log::error!("cannot keep schedules: {}", reason(&error)),
            }
        }
        self.schedules.armed = at;
        if let Some(alarm) = &self.schedules.alarm
            && let Err(error) = alarm.set(at)
        {
            ::log::error!("cannot keep schedules: {}", reason(&error));
        }
    }

    /// Starts what waits, ends what takes too long, and has written what is to be remembered.
    pub(super) fn tick_schedules(&mut self) {
        if self.schedules.entries.is_empty() && self.schedules.running.is_empty() {
            return;
        }
        self.end_late_runs();
        while self.schedules.running.len() < RUNS_MAX && !self.roster.is_ending() {
            let Some(key) = self.schedules.waiting.pop_front() else { break };
            self.start_run(key);
        }
        while self.scribe.is_listening() {
            let Some(owner) = self.schedules.unwritten.pop_first() else { break };
            let Some(path) = self.schedule_file(owner.map(|owner| Id(owner.0))) else { continue };
            if !self.write_runs(owner, &path) {
                self.schedules.unwritten.insert(owner);
                break;
            }
        }
    }

    /// Tells the scribe of the last runs; whether it took that.
    fn write_runs(&mut self, owner: Option<Owner>, path: &Path) -> bool {
        let Ok(mut body) = serde_json::to_vec(&self.schedule_report(owner)) else { return true };
        body.push(b'\n');
        self.scribe.put(Kind::Replace, path, &body)
    }

    /// A new scribe knows nothing: all last runs are told again.
    pub(super) fn tell_all_runs(&mut self) {
        let known = self.schedules.entries.iter().filter(|planned| planned.last.is_some());
        let owners: Vec<_> = known.map(|planned| planned.key.owner).collect();
        self.schedules.unwritten.extend(owners);
    }

    /// Begins to report schedules to a client.
    pub(super) fn report_schedules(&mut self, client: ClientId, request: u64, names: &[Box<str>]) {
        match self.find(names) {
            Err(error) => self.refuse(client, request, error, EXIT_UNKNOWN),
            Ok(ids) => {
                let zone = (*self.schedules.zone).clone();
                let clock = ClockReport { zone, now: self.now.stamp.seconds() };
                let clock = to_raw_value(&clock).ok();
                let answer = Answer { id: request, supervisor: clock.as_deref(), ..Answer::default() };
                self.clients.answer(client, &answer);
                if names.is_empty() {
                    self.answer_schedule(client, request, None);
                }
                self.orders.begin(client, request, ids, Extent::Schedules);
            }
        }
    }

    /// One schedule, if it has anything in it.
    pub(super) fn answer_schedule(&mut self, client: ClientId, request: u64, id: Option<Id>) {
        let report = self.schedule_report(id.map(|id| Owner(id.0)));
        if report.schedule.is_empty() {
            return;
        }
        let report = to_raw_value(&report).ok();
        let answer = Answer { id: request, service: report.as_deref(), ..Answer::default() };
        self.clients.answer(client, &answer);
        self.clients.flush(client, true);
    }

    /// The schedule of a service, or of the whole.
    fn schedule_report(&self, owner: Option<Owner>) -> ScheduleReport {
        let server_id = owner.and_then(|owner| Some(self.unit(Id(owner.0))?.plan.id.clone()));
        let own = self.schedules.entries.iter().filter(|planned| planned.key.owner == owner);
        let report = |planned: &Planned| EntryReport {
            cron: planned.entry.text.clone(),
            run: planned.entry.run.name().into(),
            next: planned.job.next(),
            running: self.schedules.running.iter().any(|run| run.key == Some(planned.key)),
            last: planned.last.clone(),
        };
        ScheduleReport { server_id, schedule: own.map(report).collect() }
    }
}
