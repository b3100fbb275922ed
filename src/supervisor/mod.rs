//! Joins: the loop, the one place that knows both `life` and `sys`. It matches on no state of a service.
//!
//! A turn waits once, reads the clocks once, takes in what happened (channels before deaths: last words count;
//! then the scribe, then orders, then time), and only then acts.

mod access;
mod alarm;
mod alerts;
mod askers;
mod boot;
mod deaths;
mod enforce;
mod errand;
mod events;
mod gauge;
mod hear;
mod held;
mod hooks;
mod kin;
mod launch;
mod leftovers;
mod letter;
mod listen;
mod log;
mod mainpid;
mod newline;
mod notify;
mod order;
mod orders;
mod perform;
mod present;
mod records;
mod recovery;
mod reload;
mod reports;
mod rites;
mod runs;
mod schedule;
mod scribes;
mod setup;
mod shortage;
mod socket;
mod stopper;
mod talk;
mod unit;
mod updates;
mod upward;
mod usage;
mod walls;
mod watch;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};

use crate::config::Environment;
use crate::config::plan::Settings;
use crate::control::server::Clients;
use crate::life::roster::{Id, Roster, Todo};
use crate::sys::clock::{self, Now};
use crate::sys::signal::Signals;
use crate::sys::spawn::Spawner;
use crate::sys::{memory, own};

pub(crate) use boot::{RunOptions, run};
pub(crate) use kin::marks;
pub(crate) use reload::read;

use alerts::Alerts;
use askers::Askers;
use deaths::Ends;
use hooks::Hooks;
use notify::Office;
use orders::Orders;
use reload::Reload;
use schedule::Schedules;
use scribes::Scribe;
use unit::Unit;
use updates::Updates;
use upward::Upward;

/// Signals.
const SIGNALS: Token = Token(0);
/// A client wants to connect.
const LISTENER: Token = Token(1);
/// The scribe said something, or can take more.
const SCRIBE: Token = Token(2);
/// The errand that reads the configuration said something.
const RELOAD: Token = Token(3);
/// The errand that reads the marks of orphans said something.
const KIN: Token = Token(4);
/// Services said something by `sd_notify`.
const NOTIFY: Token = Token(5);
/// Something is due by the clock, or the clock was set.
const ALARM: Token = Token(6);
/// The first client's; the others follow.
const CLIENTS: usize = 1 << 20;
/// The first service's channel; the others follow.
const CHANNELS: usize = 1 << 16;
/// The first service's sockets; the others follow.
const SOCKETS: usize = 1 << 17;
/// What is kept for the first service; the others follow.
const KEPT: usize = 1 << 18;
/// The first service's pipe for its newline; the others follow.
const NEWLINES: usize = 1 << 19;

/// Processes made in one turn: so many that a turn stays short, so that orders and deaths are heard between.
const SPAWNS_PER_TURN: usize = 16;
/// For the scribe to write what is left, at the end.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// The supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// What the configuration says of it.
    settings: Settings,
    /// Where the configuration is.
    config_dir: PathBuf,
    /// Our own environment, as we found it.
    environment: Environment,
    /// The lives of the services.
    roster: Roster,
    /// What else is known of them; the same places as in the roster.
    units: Vec<Option<Unit>>,
    /// What is to be done.
    todo: Todo,
    /// Makes processes.
    spawner: Spawner,
    /// The only sleep.
    poll: Poll,
    /// Signals heard.
    signals: Signals,
    /// Clients of the control socket.
    clients: Clients,
    /// What they asked for and is not answered yet.
    orders: Orders,
    /// What they were refused.
    refusals: access::Refusals,
    /// What holds the limits of the services.
    enforcement: enforce::Enforcement,
    /// The scribe.
    scribe: Scribe,
    /// Children that ask services how they are.
    askers: Askers,
    /// What runs by the clock.
    schedules: Schedules,
    /// Services that are being updated.
    updates: Updates,
    /// Where services speak `sd_notify`.
    office: Office,
    /// Letters of nobody who may write one.
    strange_letters: u64,
    /// Whom we tell ourselves.
    upward: Option<Upward>,
    /// A reload that is on its way.
    reload: Option<Reload>,
    /// What was told of troubles.
    alerts: Alerts,
    /// What is run when something happens.
    hooks: Hooks,
    /// Sources that wait to be read further.
    unfinished: Vec<Token>,
    /// When they are.
    resume_at: Option<Instant>,
    /// Events of this turn, a line each.
    events: Vec<u8>,
    /// When what is gathering has to be written.
    publish_at: Option<Instant>,
    /// Until when files wait for processes that are still to be made.
    held_until: Option<Instant>,
    /// Whether the configuration no longer has some of the services.
    has_removed: bool,
    /// Whether what only the start or a reload needed was given back.
    is_slim: bool,
    /// Given to services as their input, and as their output where that goes nowhere.
    null: OwnedFd,
    /// The clocks, as read in this turn.
    now: Now,
    /// Since when.
    born: Instant,
    /// Exit code that a service's end gives us.
    exit: Option<u8>,
    /// Processes of services that came to us as orphans.
    family: kin::Family,
    /// What the machine lacks to make processes.
    shortage: Option<shortage::Shortage>,
    /// Requests to end so far; each further one is more urgent.
    ends_asked: u32,
    /// What does not work for now.
    degraded: Option<Box<str>>,
    /// Children that have ended.
    ends: Ends,
    /// Turns of the loop.
    turns: u64,
    /// Whether SIGHUP means the end (a terminal went away) rather than a reload.
    hangup_ends: bool,
}

impl Supervisor {
    /// One turn; `false` when everything is over.
    fn turn(&mut self, ready: &mut mio::Events) -> io::Result<bool> {
        self.wait(ready)?;
        self.now = clock::now();
        self.turns = self.turns.wrapping_add(1);
        let ready = self.ready(ready);
        for token in &ready {
            self.hear_words(*token);
        }
        self.reap();
        for token in &ready {
            self.heed(*token);
        }
        self.roster.tick(self.now.instant, &mut self.todo);
        self.tick_reload();
        self.tick_kin();
        self.tick_askers();
        self.tick_schedules();
        self.tick_updates();
        self.hold_limits();
        self.look_at_gauges();
        self.perform();
        self.renew_scribe();
        if self.has_removed {
            self.drop_removed();
        }
        self.answer_orders();
        self.tell_upward();
        self.publish();
        self.tick_hooks();
        self.attend_scribe();
        self.scribe.look_after(self.now.instant);
        self.slim();
        Ok(!self.roster.is_over(self.now.instant))
    }

    /// The only sleep: until something happens or the earliest deadline.
    fn wait(&mut self, ready: &mut mio::Events) -> io::Result<()> {
        let timeout = if self.todo.is_empty() && !self.ends.has_more {
            let next = [
                self.roster.deadline(),
                self.scribe.deadline(),
                self.reload_deadline(),
                self.kin_deadline(),
                self.askers.deadline(),
                self.schedules.deadline(),
                self.updates.deadline(),
                self.drain_deadline(),
                self.watch_deadline(),
                self.publish_at,
                self.alerts.deadline(),
                self.hooks.deadline(),
                self.resume_at,
                self.upward.as_ref().and_then(Upward::deadline),
            ];
            next.into_iter().flatten().min().map(|at| {
                // The poll counts whole milliseconds: rounded up, so that a deadline is never met too early.
                at.saturating_duration_since(clock::now().instant).saturating_add(Duration::from_micros(999))
            })
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(ready, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Who has something, each once; a source that was left before its end waits until it is resumed.
    fn ready(&mut self, events: &mio::Events) -> Vec<Token> {
        let mut ready = Vec::new();
        if self.resume_at.is_some_and(|at| self.now.instant >= at) {
            self.resume_at = None;
            ready = std::mem::take(&mut self.unfinished);
        }
        for event in events {
            if !self.unfinished.contains(&event.token()) && !ready.contains(&event.token()) {
                ready.push(event.token());
            }
        }
        ready
    }

    /// Orders, signals and the scribe.
    fn heed(&mut self, token: Token) {
        match token {
            SIGNALS => self.heed_signals(),
            LISTENER => self.accept(),
            SCRIBE => {
                for said in self.scribe.hear() {
                    self.heed_scribe(said);
                }
            }
            RELOAD => self.read_plan(),
            KIN => self.hear_kin(),
            ALARM => self.look_at_schedules(),
            Token(number) if number >= CLIENTS => self.heed_client(number.saturating_sub(CLIENTS)),
            Token(number) if (SOCKETS..NEWLINES).contains(&number) => self.heed_socket(number),
            Token(_) => {}
        }
    }

    /// What was asked of us by signal.
    fn heed_signals(&mut self) {
        for number in self.signals.pending() {
            match number {
                libc::SIGTERM | libc::SIGINT | libc::SIGQUIT => self.end(),
                libc::SIGHUP if self.hangup_ends => self.end(),
                libc::SIGHUP => self.begin_reload(None),
                libc::SIGUSR1 => self.renew_socket(),
                // SIGCHLD is answered by the reaper in every turn; the others only must not stop us.
                _ => {}
            }
        }
    }

    /// Ends everything: the first time politely, the second time at once, the third time without waiting.
    fn end(&mut self) {
        self.ends_asked = self.ends_asked.saturating_add(1);
        match self.ends_asked {
            1 => {
                ::log::info!("stopping all services");
                self.tell_upward_of_stop();
                self.end_all_runs();
                self.end_all_updates();
                self.roster.shutdown(self.now.instant, self.settings.shutdown_timeout, &mut self.todo);
            }
            2 => self.roster.escalate(self.now.instant),
            _ => self.roster.over_now(self.now.instant),
        }
    }

    /// Hears a descriptor from now on.
    fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), token, interest)
    }

    /// What else is known of a service.
    fn unit(&self, id: Id) -> Option<&Unit> {
        self.units.get(id.index())?.as_ref()
    }

    /// The same, to be changed.
    fn unit_mut(&mut self, id: Id) -> Option<&mut Unit> {
        self.units.get_mut(id.index())?.as_mut()
    }

    /// All services, by place.
    fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        let places: Vec<Id> =
            (0..).zip(&self.units).filter(|(_, unit)| unit.is_some()).map(|(index, _)| Id(index)).collect();
        places.into_iter()
    }

    /// Takes a service in; it does nothing yet.
    fn take_in(&mut self, plan: crate::config::plan::Service, now: Now) -> Id {
        let unit = Unit::new(plan, now);
        let id = self.roster.add(&unit.policy(), unit::random());
        if self.units.len() <= id.index() {
            self.units.resize_with(id.index().saturating_add(1), || None);
        }
        if let Some(place) = self.units.get_mut(id.index()) {
            *place = Some(unit);
        }
        id
    }

    /// Once it is quiet after a start or a reload, what only these needed is given back.
    fn slim(&mut self) {
        if !self.is_slim && self.roster.is_settled() && self.todo.is_empty() && self.scribe.is_up_to_date() {
            self.is_slim = true;
            memory::give_back();
            memory::hold_text();
        }
    }

    /// Starts the scribe when it is due, and tells it all it has to know.
    fn renew_scribe(&mut self) {
        if !self.scribe.is_due(self.now.instant) {
            return;
        }
        if let Err(error) = self.scribe.start(&mut self.spawner, self.now.instant) {
            ::log::error!("cannot start the scribe: {}", own::reason(&error));
            return;
        }
        if let Some(fd) = self.scribe.fd().map(|fd| fd.as_raw_fd())
            && let Err(error) = self.register(fd, SCRIBE, Interest::READABLE)
        {
            ::log::error!("cannot hear the scribe: {}", own::reason(&error));
        }
        self.tell_all();
    }
}
