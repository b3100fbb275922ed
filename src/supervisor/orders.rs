//! What clients asked for: taken, and answered once it is done. Who they are and how bytes reach them is the
//! matter of `control`.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use mio::{Interest, Token};

use crate::control::server::ClientId;
use crate::control::wire::{Answer, Named, Order, Request};
use crate::life::policy::Event;
use crate::life::roster::Id;
use crate::life::state::State;
use crate::scribe::wire::Kind;
use crate::sys::{own, signal};

use super::reports::{Extent, Reporting};
use super::scribes::Purpose;
use super::{CLIENTS, LISTENER, Supervisor};

/// `EX_USAGE`.
const EXIT_USAGE: u8 = 64;
/// It did not work.
const EXIT_FAILED: u8 = 1;
/// LSB `status`: no such service.
pub(super) const EXIT_UNKNOWN: u8 = 4;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// They run, or it is known that they will not soon.
    Up,
    /// Nothing of them is left.
    Down,
    /// Nothing is on its way.
    Settled,
    /// And the log has told it.
    Told,
    /// They are well, or the one attempt was in vain: there are more restarts than so many.
    Well(u64),
    /// Nothing: the answer is not awaited.
    Nothing,
}

/// An order that is not answered yet.
#[derive(Debug)]
struct Waiting {
    /// Who asked.
    client: ClientId,
    /// The request.
    request: u64,
    /// What for.
    ids: Vec<Id>,
    /// What is waited for.
    goal: Goal,
}

/// Orders that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Those that wait for something to happen.
    waiting: Vec<Waiting>,
    /// Those that are being answered.
    reporting: Vec<Reporting>,
}

impl Orders {
    /// Begins to report services.
    pub(super) fn begin(&mut self, client: ClientId, request: u64, ids: Vec<Id>, what: Extent) {
        self.reporting.push(Reporting { client, request, what, ids: ids.into_iter() });
    }

    /// Whether a client is owed something.
    fn owes(&self, client: ClientId) -> bool {
        self.waiting.iter().any(|waiting| waiting.client == client) || self.is_reporting(client)
    }

    /// Whether a client gets a report just now: its next request waits.
    fn is_reporting(&self, client: ClientId) -> bool {
        self.reporting.iter().any(|reporting| reporting.client == client)
    }
}

impl Supervisor {
    /// Takes in whoever wants to connect.
    pub(super) fn accept(&mut self) {
        let registry = self.poll.registry();
        let mut come = Vec::new();
        let all = self.clients.accept(&mut |client, fd| {
            let token = Token(CLIENTS.saturating_add(client));
            come.push(client);
            registry.register(
                &mut mio::unix::SourceFd(&fd),
                token,
                Interest::READABLE.add(Interest::WRITABLE),
            )
        });
        if !all {
            self.leave(LISTENER);
        }
        self.tell_turned_away();
        // Most have said already what they want.
        for client in come {
            self.heed_client(client);
        }
    }

    /// A client sent something, or can take more.
    pub(super) fn heed_client(&mut self, client: ClientId) {
        if !self.clients.read(client) {
            return;
        }
        self.take_requests(client);
    }

    /// Takes the requests of a client that are there whole.
    fn take_requests(&mut self, client: ClientId) {
        while !self.orders.is_reporting(client) && self.clients.may_ask(client) {
            match self.clients.request(client) {
                None => {
                    if self.clients.is_unread(client) {
                        self.leave(Token(CLIENTS.saturating_add(client)));
                    }
                    break;
                }
                Some(Ok(request)) if self.may(client, &request) => self.obey(client, request),
                Some(Ok(_)) => {}
                Some(Err(error)) => self.refuse(client, 0, error, EXIT_USAGE),
            }
        }
    }

    /// Does what a request asks for.
    fn obey(&mut self, client: ClientId, request: Request) {
        let id = request.id;
        match request.order {
            Order::Status { services, brief } => self.report(client, id, &services, brief),
            Order::Schedule { services } => self.report_schedules(client, id, &services),
            Order::Start(named) => self.order(client, id, &named, Event::Start, Goal::Up),
            Order::Stop(named) => self.order(client, id, &named, Event::Stop, Goal::Down),
            Order::Restart(named) => self.order(client, id, &named, Event::Restart, Goal::Up),
            Order::Recover(named) => {
                let restarts = self.find(&named.services).map_or(0, |ids| self.restarts_of(&ids));
                self.order(client, id, &named, Event::Recover, Goal::Well(restarts));
            }
            Order::Reset(named) => self.obey_reset(client, id, &named),
            Order::Signal { services, signal, group } => {
                match self.signal_services(&services, signal, group) {
                    Ok(()) => self.answer_done(client, id, "done"),
                    Err((error, exit)) => self.refuse(client, id, error, exit),
                }
            }
            Order::Update { service, check } => self.order_update(client, id, &service, check),
            Order::Tell(news) => self.heed_news(client, id, &news),
            Order::Reload => self.begin_reload(Some((client, id))),
            Order::Alert(alert) => self.obey_alert(client, id, &alert),
            Order::Settled => {
                self.orders.waiting.push(Waiting {
                    client,
                    request: id,
                    ids: Vec::new(),
                    goal: Goal::Settled,
                });
            }
            Order::Shutdown => {
                self.end();
                let ids = self.ids().collect();
                self.orders.waiting.push(Waiting { client, request: id, ids, goal: Goal::Down });
            }
        }
    }

    /// Tells the services what is asked of them, and remembers who waits for it.
    fn order(&mut self, client: ClientId, request: u64, named: &Named, event: Event, goal: Goal) {
        let mut ids = match self.find(&named.services) {
            Ok(ids) => ids,
            Err(error) => return self.refuse(client, request, error, EXIT_UNKNOWN),
        };
        if self.roster.is_ending() && event != Event::Stop {
            let error = "cannot start services: the supervisor is stopping".to_owned();
            return self.refuse(client, request, error, EXIT_FAILED);
        }
        if event != Event::Stop {
            // What the configuration no longer has only ends.
            ids.retain(|id| self.unit(*id).is_some_and(|unit| !unit.is_removed));
        }
        for id in &ids {
            self.roster.on(*id, event, self.now.instant, &mut self.todo);
        }
        let goal = if named.wait { goal } else { Goal::Nothing };
        self.orders.waiting.push(Waiting { client, request, ids, goal });
    }

    /// Sends a signal on behalf of a client: to all of the services, or, if one has no process, to none.
    fn signal_services(&self, names: &[Box<str>], signal: i32, group: bool) -> Result<(), (String, u8)> {
        let mut targets = Vec::new();
        for id in self.find(names).map_err(|error| (error, EXIT_UNKNOWN))? {
            let Some(unit) = self.unit(id) else { continue };
            match (self.roster.get(id).and_then(|life| life.state().pid()), &unit.present) {
                (Some(pid), Some(present)) => targets.push((unit, pid, present.pidfd.as_ref())),
                // Of all services, those that run are meant.
                _ if names.is_empty() => {}
                _ => {
                    let error = format!("cannot signal {}: it is not running", unit.plan.id);
                    return Err((error, EXIT_FAILED));
                }
            }
        }
        for (unit, pid, pidfd) in targets {
            let pidfd = pidfd.map(AsFd::as_fd);
            let to = if group { signal::to_group } else { signal::to_process };
            let sent = to(pid, pidfd, signal);
            let failed =
                |error| (format!("cannot signal {}: {}", unit.plan.id, own::reason(&error)), EXIT_FAILED);
            sent.map_err(failed)?;
            ::log::info!("{}: {} was sent to it on request", unit.plan.id, signal::name(signal));
        }
        Ok(())
    }

    /// The services with these ids; all for none.
    pub(super) fn find(&self, names: &[Box<str>]) -> Result<Vec<Id>, String> {
        if names.is_empty() {
            return Ok(self.ids().collect());
        }
        let one = |name: &str| {
            let is_it =
                |id: &Id| self.unit(*id).is_some_and(|unit| &*unit.plan.id == name && !unit.is_removed);
            self.ids().find(is_it).ok_or_else(|| format!("cannot find service {name}: it is not configured"))
        };
        names.iter().map(|name| one(name)).collect()
    }

    /// Answers what can be answered now, and sends what clients take.
    pub(super) fn answer_orders(&mut self) {
        let mut waiting = std::mem::take(&mut self.orders.waiting);
        waiting.retain_mut(|one| self.clients.is_there(one.client) && !self.settle(one));
        self.orders.waiting.append(&mut waiting);
        let mut reporting = std::mem::take(&mut self.orders.reporting);
        reporting.retain_mut(|one| self.clients.is_there(one.client) && !self.report_more(one));
        self.orders.reporting.append(&mut reporting);
        for client in self.clients.ids() {
            let busy = self.orders.owes(client);
            self.clients.flush(client, busy);
            self.take_requests(client);
        }
    }

    /// Answers an order if what it waits for has come; whether it has.
    fn settle(&mut self, waiting: &mut Waiting) -> bool {
        if waiting.goal == Goal::Settled && self.roster.is_settled() && self.todo.is_empty() {
            // What the log says of the way there stands above the table that follows.
            self.publish_lines();
            self.scribe.ask(Kind::Drain, Path::new(""), &[], Purpose::Tell);
            self.scribe.flush();
            waiting.goal = Goal::Told;
        }
        let lives = || waiting.ids.iter().filter_map(|id| self.roster.get(*id).map(|life| (*id, life)));
        let (done, failed): (bool, Vec<Id>) = match waiting.goal {
            Goal::Nothing => (true, Vec::new()),
            Goal::Settled => (false, Vec::new()),
            Goal::Told => (!self.scribe.owes(Purpose::Tell), Vec::new()),
            Goal::Down => {
                let down = |id, state: &State| state.is_at_rest() && self.is_drained(id);
                // What does not end by SIGKILL is told: nobody can wait for that.
                let stuck = lives().filter(|(_, life)| life.state().is_stuck()).map(|(id, _)| id).collect();
                let mut all = lives().map(|(id, life)| (id, life.state()));
                (all.all(|(id, state)| down(id, state) || state.is_stuck()), stuck)
            }
            Goal::Well(restarts) => self.attempted(&waiting.ids, restarts),
            Goal::Up => {
                let down = lives().filter(|(_, life)| !life.is_up_or_done()).map(|(id, _)| id).collect();
                (lives().all(|(_, life)| !life.is_coming()), down)
            }
        };
        if !done {
            return false;
        }
        match failed.first().and_then(|id| self.unit(*id)) {
            None => self.answer_done(waiting.client, waiting.request, "done"),
            Some(unit) => {
                let why = unit.last_error.as_deref().unwrap_or("it has ended");
                let what = match waiting.goal {
                    Goal::Down => "stop",
                    Goal::Well(_) => "recover",
                    Goal::Up | Goal::Settled | Goal::Told | Goal::Nothing => "start",
                };
                let error = format!("cannot {what} {}: {why}", unit.plan.id);
                self.refuse(waiting.client, waiting.request, error, EXIT_FAILED);
            }
        }
        true
    }

    /// Whether the last words of a service are written, or had their time.
    fn is_drained(&self, id: Id) -> bool {
        self.unit(id).and_then(|unit| unit.drained_by).is_none_or(|by| self.now.instant >= by)
    }

    /// When an answer stops to wait for last words.
    pub(super) fn drain_deadline(&self) -> Option<Instant> {
        let waiting = self.orders.waiting.iter().filter(|waiting| waiting.goal == Goal::Down);
        let ids = waiting.flat_map(|waiting| &waiting.ids);
        ids.filter_map(|id| self.unit(*id)?.drained_by).filter(|by| *by > self.now.instant).min()
    }

    /// The end of an answer: it is done.
    pub(super) fn answer_done(&mut self, client: ClientId, request: u64, what: &str) {
        let answer = Answer { id: request, done: Some(what.into()), ..Answer::default() };
        self.clients.answer(client, &answer);
    }

    /// The end of an answer: it is not.
    pub(super) fn refuse(&mut self, client: ClientId, request: u64, error: String, exit: u8) {
        let answer = Answer { id: request, error: Some(error.into()), exit: Some(exit), ..Answer::default() };
        self.clients.answer(client, &answer);
    }
}
