//! One bridged server over all its lives: started, greeted, heard, started again when it dies. How a process
//! is ended and how clients are reached is known elsewhere.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::process::ChildStdout;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::client::Client;
use super::era::{Era, HANDSHAKE, Hello, ourselves};
use super::lines::Lines;
use super::link::{Gone, Link, write};
use super::lists::Lists;
use super::message::{Answer, Message, UNAVAILABLE, is_repeatable, raw};
use super::outbox::Outbox;
use super::process::{Command, Process};
use super::rest::{SOUND_LIFE, rest};
use crate::vitals::Vitals;

/// How long a server has to answer its first request: `npx` may have to fetch it.
const GREETING_MAX: Duration = Duration::from_mins(2);

/// How long a client's request waits for a server that is being started again.
const CALL_WAIT: Duration = Duration::from_secs(10);

/// One bridged server.
#[derive(Debug)]
pub(super) struct Room {
    /// How it is started.
    command: Arc<Command>,
    /// What `initialize` says to it.
    greeting: Box<RawValue>,
    /// Whether it has one client of its own, who may be asked.
    pub(super) is_private: bool,
    /// How long it runs with nobody there; for ever unless said.
    idle: Option<Duration>,
    /// What is true of it.
    state: watch::Sender<State>,
    /// Whether it is to end.
    stop: watch::Sender<bool>,
    /// Wakes it when it sleeps.
    wanted: Notify,
    /// Requests in work, and when the last one was.
    busy: AtomicUsize,
    /// See there.
    used: Mutex<Instant>,
    /// Its client has said that it is ready.
    greeted: AtomicBool,
    /// Who hears of what it says.
    pub(super) clients: Mutex<Vec<Weak<Client>>>,
    /// What it listed.
    pub(super) lists: Lists,
    /// Where requests are counted, and where it is told how it is.
    vitals: Arc<Vitals>,
}

/// What is true of a server.
#[derive(Debug, Clone)]
enum State {
    /// It is not yet, or again not yet.
    Starting,
    /// It answers.
    Up(Arc<Link>, Arc<Hello>),
    /// It died, or could not be started.
    Down(Arc<str>),
    /// Nobody needed it.
    Asleep,
    /// It is not started again.
    Ended,
}

/// Why a life ended.
enum End {
    /// It was to end.
    Stopped,
    /// Nobody needed it.
    Idle,
    /// By itself; why, if it is not told by how the process ended.
    Died(Option<String>),
}

impl Room {
    /// A room that all clients share, or one for the client whose `initialize` had these parameters.
    pub(super) fn new(
        command: Arc<Command>,
        greeting: Option<Box<RawValue>>,
        idle: Option<Duration>,
        vitals: Arc<Vitals>,
    ) -> Arc<Self> {
        let is_private = greeting.is_some();
        let ours =
            || raw(&json!({"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": ourselves()}));
        let room = Arc::new(Self {
            command,
            greeting: greeting.unwrap_or_else(ours),
            is_private,
            idle,
            state: watch::Sender::new(State::Starting),
            stop: watch::Sender::new(false),
            wanted: Notify::new(),
            busy: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            greeted: AtomicBool::new(false),
            clients: Mutex::default(),
            lists: Lists::default(),
            vitals,
        });
        tokio::spawn(Arc::clone(&room).keep());
        room
    }

    /// Returns when it answers, or with the reason why its first life came to nothing.
    pub(super) async fn started(&self) -> Result<Arc<Hello>, String> {
        let mut state = self.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                State::Up(_, hello) => return Ok(Arc::clone(hello)),
                State::Down(reason) => return Err(reason.to_string()),
                State::Ended => return Err("it is stopping".to_owned()),
                State::Starting | State::Asleep => {}
            }
            state.changed().await.map_err(|error| error.to_string())?;
        }
    }

    /// What it said about itself, as soon as it answers.
    pub(super) async fn hello(&self) -> Result<Arc<Hello>, Answer> {
        self.up().await.map(|(_, hello)| hello)
    }

    /// It is to end; [`Self::ended`] returns when it has.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns when nothing of it is left.
    pub(super) async fn ended(&self) {
        drop(self.state.subscribe().wait_for(|state| matches!(state, State::Ended)).await);
    }

    /// Asks the server, as soon as it is there.
    pub(super) async fn call(&self, method: &str, params: Option<&RawValue>, news: &Arc<Outbox>) -> Answer {
        let began = Instant::now();
        let in_use = InUse::new(self);
        let mut answer = self.attempt(method, params, news).await;
        // What changes nothing may be asked twice.
        if answer.is_err() && is_repeatable(method) {
            answer = self.attempt(method, params, news).await;
        }
        drop(in_use);
        let answer =
            answer.unwrap_or_else(|Gone| Answer::failure(UNAVAILABLE, "the server ended before it answered"));
        self.vitals.count(began.elapsed(), answer.code().is_some());
        answer
    }

    /// One attempt at that.
    async fn attempt(
        &self,
        method: &str,
        params: Option<&RawValue>,
        news: &Arc<Outbox>,
    ) -> Result<Answer, Gone> {
        if let Some(kept) = self.lists.get(method, params) {
            return Ok(kept);
        }
        let (link, hello) = match self.up().await {
            Ok(up) => up,
            Err(answer) => return Ok(answer),
        };
        let edition = self.lists.edition();
        let answer = link.ask(hello.era, method, params, Some(news)).await?;
        self.lists.keep(edition, &hello, method, params, &answer);
        Ok(answer)
    }

    /// The server, as soon as it is there.
    async fn up(&self) -> Result<(Arc<Link>, Arc<Hello>), Answer> {
        let mut state = self.state.subscribe();
        self.wanted.notify_one();
        let is_settled = |state: &State| matches!(state, State::Up(..) | State::Ended);
        let settled = timeout(CALL_WAIT, state.wait_for(is_settled)).await;
        let now = match settled {
            Ok(Ok(now)) => now.clone(),
            Ok(Err(_)) | Err(_) => self.state.borrow().clone(),
        };
        Err(Answer::failure(
            UNAVAILABLE,
            &match now {
                State::Up(link, hello) => return Ok((link, hello)),
                State::Down(reason) => format!("the server is down: {reason}"),
                State::Starting | State::Asleep => "the server is being started".to_owned(),
                State::Ended => "the server is stopping".to_owned(),
            },
        ))
    }

    /// Says something to the server that has no answer, if it is there.
    pub(super) fn tell(&self, message: &Message<'_>) {
        if let State::Up(link, _) = &*self.state.borrow() {
            link.tell(message);
        }
    }

    /// Asks the server for something whose answer nobody needs, if it is there.
    pub(super) fn ask_idly(&self, method: &str, params: &RawValue) {
        if let State::Up(link, hello) = &*self.state.borrow() {
            link.ask_idly(hello.era, method, params);
        }
    }

    /// The client of a room of its own is ready.
    pub(super) fn greeted(&self) {
        if self.is_private && !self.greeted.swap(true, Ordering::Relaxed) {
            self.tell(&Message::notification("notifications/initialized", None));
        }
    }

    /// All its lives.
    async fn keep(self: Arc<Self>) {
        let mut stop = self.stop.subscribe();
        let mut short_lives = 0;
        loop {
            self.state.send_replace(State::Starting);
            let began = Instant::now();
            let reason = match self.live(&mut stop).await {
                End::Stopped => break,
                End::Idle => {
                    self.state.send_replace(State::Asleep);
                    tokio::select! {
                        () = self.wanted.notified() => continue,
                        () = wanted(&mut stop) => break,
                    }
                }
                End::Died(reason) => reason.unwrap_or_default(),
            };
            short_lives = if began.elapsed() < SOUND_LIFE { short_lives + 1 } else { 0 };
            let rest = rest(short_lives);
            crate::say(&format!(
                "the bridged server is down: {reason}; started again in {} ms",
                rest.as_millis()
            ));
            if !self.is_private {
                self.vitals.set_trouble(Some(&reason));
            }
            self.state.send_replace(State::Down(reason.into()));
            tokio::select! {
                () = sleep(rest) => {}
                () = wanted(&mut stop) => break,
            }
        }
        self.state.send_replace(State::Ended);
    }

    /// One life, from the process's start to its end.
    async fn live(&self, stop: &mut watch::Receiver<bool>) -> End {
        let (mut process, stdin, stdout) = match Process::start(&self.command) {
            Ok(started) => started,
            Err(error) => return End::Died(Some(error.to_string())),
        };
        let (link, lines) = Link::new();
        let link = Arc::new(link);
        let writer = tokio::spawn(write(stdin, lines));
        let end = self.converse(&link, &mut process, stdout, stop).await;
        let was_up = matches!(self.state.send_replace(State::Starting), State::Up(..));
        link.close();
        // With it, stdin is closed: the first step of an end.
        writer.abort();
        drop(writer.await);
        let status = process.end().await;
        match end {
            End::Died(None) => End::Died(Some(process.reason(status, was_up).await)),
            other => other,
        }
    }

    /// Greets the server and hears what it says, until one of both ends it.
    async fn converse(
        &self,
        link: &Arc<Link>,
        process: &mut Process,
        stdout: ChildStdout,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        let mut lines = Lines::new(stdout);
        let mut greeting = pin!(timeout(GREETING_MAX, self.greet(link)));
        let (mut is_greeted, mut has_exited) = (false, false);
        loop {
            tokio::select! {
                said = lines.next() => match said {
                    Ok(Some(said)) => self.heard(link, said),
                    Ok(None) | Err(_) => return End::Died(None),
                },
                hello = greeting.as_mut(), if !is_greeted => {
                    is_greeted = true;
                    match hello {
                        Ok(Some(Ok(hello))) => self.is_up(link, hello),
                        // It ends: how is told then.
                        Ok(None) => {}
                        Ok(Some(Err(reason))) => return End::Died(Some(reason)),
                        Err(_) => return End::Died(Some("it does not answer initialize".to_owned())),
                    }
                }
                // Its last words may still be unread: the end of its output is the end.
                _ = process.ended(), if !has_exited => has_exited = true,
                () = wanted(stop) => return End::Stopped,
                () = self.unused(), if is_greeted => return End::Idle,
            }
        }
    }

    /// Asks the server who it is, in one era or the other; nothing if it ended instead.
    async fn greet(&self, link: &Link) -> Option<Result<Hello, String>> {
        let refusal = match link.ask(Era::Handshake, "initialize", Some(&self.greeting), None).await.ok()? {
            Answer::Result(result) => {
                let hello = Hello::initialized(&result);
                return Some(hello.ok_or_else(|| "its answer to initialize makes no sense".to_owned()));
            }
            Answer::Error(error) => error,
        };
        // A server of the new era alone knows no handshake.
        if let Answer::Result(result) = link.ask(Era::Modern, "server/discover", None, None).await.ok()?
            && let Some(hello) = Hello::discovered(&result)
        {
            return Some(Ok(hello));
        }
        Some(Err(format!("it refuses initialize: {}", refusal.get())))
    }

    /// It answers: it is told what the life before knew.
    fn is_up(&self, link: &Arc<Link>, hello: Hello) {
        match hello.era {
            Era::Handshake if !self.is_private || self.greeted.load(Ordering::Relaxed) => {
                link.tell(&Message::notification("notifications/initialized", None));
            }
            Era::Handshake => {}
            Era::Modern => {
                let all = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
                link.ask_idly(hello.era, "subscriptions/listen", &raw(&json!({"notifications": all})));
            }
        }
        self.lists.forget(None);
        for (method, params) in self.wishes() {
            link.ask_idly(hello.era, method, &params);
        }
        crate::say(&format!("the bridged server is up: {}", hello.name()));
        if !self.is_private {
            self.vitals.set_trouble(None);
        }
        self.state.send_replace(State::Up(Arc::clone(link), Arc::new(hello)));
    }

    /// Returns when it has been unused for too long.
    async fn unused(&self) {
        let Some(idle) = self.idle else {
            return std::future::pending().await;
        };
        loop {
            let used = self.used.lock().map_or_else(|_| Instant::now(), |used| *used);
            if self.busy.load(Ordering::Relaxed) == 0 && used.elapsed() >= idle {
                return;
            }
            sleep(idle.saturating_sub(used.elapsed()).max(Duration::from_millis(10))).await;
        }
    }
}

/// Marks the time that a request is in work.
struct InUse<'a>(&'a Room);

impl<'a> InUse<'a> {
    /// From now on.
    fn new(room: &'a Room) -> Self {
        room.busy.fetch_add(1, Ordering::Relaxed);
        Self(room)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        if let Ok(mut used) = self.0.used.lock() {
            *used = Instant::now();
        }
    }
}

/// Returns when a stop is wanted.
async fn wanted(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|&wanted| wanted).await);
}
