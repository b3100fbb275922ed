//! A stdio MCP server behind the transports: many clients on one process, or a process for each. Messages are
//! passed on as they were written, so what this file has never heard of passes as well. No HTTP upstream here.

mod client;
mod converse;
mod era;
mod events;
mod headers;
mod heard;
mod http;
mod lines;
mod link;
mod listen;
mod lists;
mod message;
mod outbox;
mod process;
mod rest;
mod room;
mod tree;
mod warden;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use ::http::{Request, Response};
use rmcp::transport::Transport;
use rmcp::{RoleServer, ServerHandler};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use crate::memory;
use crate::serve::{Answers, Body, Timed};
use crate::vitals::Vitals;
use client::{Client, Manner};
use era::HANDSHAKE;
use message::{Answer, UNAVAILABLE, fields, raw, text};
use outbox::Outbox;
use room::Room;

pub(crate) use process::Command;
pub(crate) use warden::{FLAG as WARDEN_FLAG, run as run_warden};

/// How often unused sessions are looked for, at most.
const SWEEP_MAX: Duration = Duration::from_secs(30);

/// How long the processes may take to end, all of them together.
const END_MAX: Duration = Duration::from_secs(12);

/// How clients share processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One process for all clients.
    Shared,
    /// One for each session; requests that belong to none have one together.
    PerSession,
}

/// What is bridged and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BridgeConfig {
    /// The server.
    pub(crate) command: Command,
    /// How clients share it.
    pub(crate) mode: Mode,
    /// Most sessions at a time.
    pub(crate) max_sessions: u32,
    /// How long a session may be unused.
    pub(crate) idle_timeout: Duration,
}

/// A bridged server. A clone is a reference.
#[derive(Clone)]
pub(crate) struct Bridge(Arc<Shared>);

/// What all transports share.
struct Shared {
    /// The server's command.
    command: Arc<Command>,
    /// How clients share it.
    mode: Mode,
    /// How long a session may be unused.
    idle_timeout: Duration,
    /// The server that clients share.
    common: Arc<Room>,
    /// The servers of single clients.
    rooms: Mutex<Vec<Weak<Room>>>,
    /// Sessions of streamable HTTP, by id.
    sessions: Mutex<HashMap<Box<str>, Arc<Client>>>,
    /// What only listens.
    listening: Mutex<Vec<Weak<Outbox>>>,
    /// Places for sessions.
    places: Arc<Semaphore>,
    /// Where requests are counted.
    vitals: Arc<Vitals>,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("mode", &self.0.mode).finish_non_exhaustive()
    }
}

impl Bridge {
    /// Starts the server, and returns when it answers.
    pub(crate) async fn start(config: BridgeConfig, vitals: Arc<Vitals>) -> Result<Self, String> {
        let command = Arc::new(config.command);
        let idle = (config.mode == Mode::PerSession).then_some(config.idle_timeout);
        let common = Room::new(Arc::clone(&command), None, idle, Arc::clone(&vitals));
        let places = usize::try_from(config.max_sessions).unwrap_or(Semaphore::MAX_PERMITS);
        let bridge = Self(Arc::new(Shared {
            command,
            mode: config.mode,
            idle_timeout: config.idle_timeout,
            common,
            rooms: Mutex::default(),
            sessions: Mutex::default(),
            listening: Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
            vitals,
        }));
        if let Err(reason) = bridge.0.common.started().await {
            bridge.end().await;
            return Err(reason);
        }
        tokio::spawn(sweep(Arc::downgrade(&bridge.0)));
        // What only the start needed.
        memory::give_back_soon(|| {});
        Ok(bridge)
    }

    /// Ends all processes, and returns when nothing of them is left.
    pub(crate) async fn end(&self) {
        let mut rooms = vec![Arc::clone(&self.0.common)];
        rooms.extend(self.0.rooms.lock().iter().flat_map(|rooms| rooms.iter().filter_map(Weak::upgrade)));
        for room in &rooms {
            room.stop();
        }
        let all = async {
            for room in rooms {
                room.ended().await;
            }
        };
        drop(tokio::time::timeout(END_MAX, all).await);
    }

    /// A client of the era with a handshake, and what its `initialize` is answered.
    async fn initialize(
        &self,
        params: Option<&RawValue>,
        outbox: Arc<Outbox>,
    ) -> Result<(Arc<Client>, Answer), Answer> {
        let shared = &self.0;
        let version = text(params, "protocolVersion").unwrap_or_default();
        let place =
            self.place().ok_or_else(|| Answer::failure(UNAVAILABLE, "too many sessions: try again later"))?;
        if shared.mode == Mode::Shared {
            let hello = shared.common.hello().await?;
            let client = Client::new(Arc::clone(&shared.common), outbox, Manner::Session, Some(place));
            return Ok((client, hello.to_initialize(&version)));
        }
        let mut greeting = params.and_then(fields).unwrap_or_default();
        if era::MODERN == version {
            // It has no handshake: who names it and shakes hands means the one before.
            greeting.insert("protocolVersion".to_owned(), raw(&HANDSHAKE));
        }
        let room =
            Room::new(Arc::clone(&shared.command), Some(raw(&greeting)), None, Arc::clone(&shared.vitals));
        // The room ends with its client.
        let client = Client::new(Arc::clone(&room), outbox, Manner::Session, Some(place));
        if let Ok(mut rooms) = shared.rooms.lock() {
            rooms.retain(|room| room.strong_count() > 0);
            rooms.push(Arc::downgrade(&room));
        }
        let started = room.started().await;
        let hello = started
            .map_err(|reason| Answer::failure(UNAVAILABLE, &format!("the server is down: {reason}")))?;
        Ok((client, hello.verbatim(&version)))
    }

    /// A place for a session. Where sessions cost little, the one that is unused the longest makes room.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let shared = &self.0;
        let place = || Arc::clone(&shared.places).try_acquire_owned().ok();
        place().or_else(|| {
            let unused = (shared.mode == Mode::Shared).then(|| self.longest_unused())??;
            let client = shared.sessions.lock().ok()?.remove(&unused)?;
            client.outbox.close();
            drop(client);
            place()
        })
    }

    /// The session that is unused the longest.
    fn longest_unused(&self) -> Option<Box<str>> {
        let sessions = self.0.sessions.lock().ok()?;
        let unused = sessions.iter().filter(|(_, client)| client.busy.load(Ordering::Relaxed) == 0);
        let used = |client: &Client| client.used.lock().map_or_else(|_| Instant::now(), |used| *used);
        unused.min_by_key(|(_, client)| used(client)).map(|(id, _)| id.clone())
    }

    /// Keeps in mind what only listens, so that a stop need not wait for it.
    fn listens(&self, outbox: &Arc<Outbox>) {
        if let Ok(mut listening) = self.0.listening.lock() {
            listening.retain(|outbox| outbox.strong_count() > 0);
            listening.push(Arc::downgrade(outbox));
        }
    }

    /// A client that asks and is told nothing else.
    fn passer_by(&self, outbox: Arc<Outbox>) -> Arc<Client> {
        Client::new(Arc::clone(&self.0.common), outbox, Manner::Quiet, None)
    }
}

/// The library is never asked: see `attend` and `answer`.
impl ServerHandler for Bridge {}

impl Answers for Bridge {
    fn attend<T>(&self, transport: T) -> impl Future<Output = ()> + Send
    where
        T: Transport<RoleServer> + 'static,
    {
        converse::attend(self.clone(), transport)
    }

    async fn answer(&self, request: Request<Timed>, _: bool) -> Result<Response<Body>, Request<Timed>> {
        Ok(http::answer(self, request).await)
    }

    fn stopping(&self) {
        if let Ok(listening) = self.0.listening.lock() {
            listening.iter().filter_map(Weak::upgrade).for_each(|outbox| outbox.close());
        }
    }
}

/// Ends sessions that are unused for too long, as long as there is a bridge.
async fn sweep(shared: Weak<Shared>) {
    loop {
        let Some(pause) = shared.upgrade().map(|shared| (shared.idle_timeout / 4).min(SWEEP_MAX)) else {
            return;
        };
        sleep(pause.max(Duration::from_millis(10))).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let is_used = |client: &Arc<Client>| {
            client.busy.load(Ordering::Relaxed) > 0
                || client.used.lock().is_ok_and(|used| used.elapsed() < shared.idle_timeout)
        };
        if let Ok(mut sessions) = shared.sessions.lock() {
            sessions.retain(|_, client| is_used(client));
        }
    }
}
