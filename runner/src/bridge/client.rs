//! One client: what it asked for and is asked, whichever transport it comes by. How bytes reach it is not
//! known here.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::era::{Era, finish};
use super::heard::uri_of;
use super::link::Link;
use super::message::{Answer, Fields, INVALID_PARAMS, METHOD_NOT_FOUND, Message, fields, raw, text};
use super::outbox::Outbox;
use super::room::Room;

/// The levels of log messages, least first.
pub(super) const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What a client hears that did not say: from `info` on.
const LEVEL_UNSAID: usize = 1;

/// Most questions a client owes an answer to.
const ASKED_MAX: usize = 256;

/// What a client wants to hear of.
#[derive(Debug)]
pub(super) enum Manner {
    /// Only answers.
    Quiet,
    /// All that concerns it: a session of the era with a handshake.
    Session,
    /// What it listed when it asked to listen.
    Listener {
        /// The id of the request.
        id: Box<RawValue>,
        /// The notifications by name.
        names: Vec<&'static str>,
    },
}

/// A question of a server: which life of it asked, and its id there.
type Question = (Weak<Link>, Box<RawValue>);

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    /// Its server.
    room: Arc<Room>,
    /// What it is told.
    pub(super) outbox: Arc<Outbox>,
    /// What it wants to hear of.
    manner: Manner,
    /// The lowest level of log messages it asked for.
    level: Mutex<Option<usize>>,
    /// The resources it wants to hear of.
    uris: Mutex<BTreeSet<String>>,
    /// Its requests in work, by their ids as they are written.
    in_flight: Mutex<HashMap<String, Arc<Notify>>>,
    /// What its server asked it: our id, and the server's.
    asked: Mutex<HashMap<u64, Question>>,
    /// The next id for that.
    next: AtomicU64,
    /// Requests and streams it has open, and when the last one was.
    pub(super) busy: AtomicUsize,
    /// See there.
    pub(super) used: Mutex<Instant>,
    /// Its place among those that there may be.
    _place: Option<OwnedSemaphorePermit>,
}

impl Client {
    /// A client of this server.
    pub(super) fn new(
        room: Arc<Room>,
        outbox: Arc<Outbox>,
        manner: Manner,
        place: Option<OwnedSemaphorePermit>,
    ) -> Arc<Self> {
        let hears = !matches!(manner, Manner::Quiet);
        let client = Arc::new(Self {
            room,
            outbox,
            manner,
            level: Mutex::default(),
            uris: Mutex::default(),
            in_flight: Mutex::default(),
            asked: Mutex::default(),
            next: AtomicU64::new(1),
            busy: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            _place: place,
        });
        if hears && let Ok(mut clients) = client.room.clients.lock() {
            clients.push(Arc::downgrade(&client));
        }
        client
    }

    /// Answers a request; nothing if the client took it back.
    pub(super) async fn answer(
        &self,
        era: Era,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
        news: &Arc<Outbox>,
    ) -> Option<Answer> {
        let cancelled = Arc::new(Notify::new());
        let in_flight = InFlight::new(self, id.get(), &cancelled);
        let answer = tokio::select! {
            answer = self.perform(era, method, params, news) => Some(finish(era, method, answer)),
            () = cancelled.notified() => None,
        };
        drop(in_flight);
        answer
    }

    /// What a request comes to.
    async fn perform(&self, era: Era, method: &str, params: Option<&RawValue>, news: &Arc<Outbox>) -> Answer {
        match (era, method) {
            (Era::Handshake, "ping") => Answer::empty(),
            (Era::Handshake, "initialize") => match self.room.hello().await {
                Ok(hello) => hello.to_initialize(&text(params, "protocolVersion").unwrap_or_default()),
                Err(answer) => answer,
            },
            (Era::Handshake, "logging/setLevel") => self.set_level(params, news).await,
            (Era::Handshake, "resources/subscribe" | "resources/unsubscribe") => {
                self.subscribe(method, params, news).await
            }
            (Era::Modern, "server/discover") => match self.room.hello().await {
                Ok(hello) => hello.to_discover(),
                Err(answer) => answer,
            },
            (
                Era::Modern,
                "ping" | "initialize" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe",
            ) => Answer::failure(METHOD_NOT_FOUND, &format!("{method} is not part of 2026-07-28")),
            _ => self.room.call(method, params, news).await,
        }
    }

    /// `logging/setLevel`: the server logs as much as any of its clients wants, and each hears its part.
    async fn set_level(&self, params: Option<&RawValue>, news: &Arc<Outbox>) -> Answer {
        let said = text(params, "level").unwrap_or_default();
        let Some(level) = LEVELS.iter().position(|level| *level == said) else {
            return Answer::failure(INVALID_PARAMS, &format!("level must be one of {}", LEVELS.join(", ")));
        };
        if let Ok(mut mine) = self.level.lock() {
            *mine = Some(level);
        }
        let level = self.room.level().unwrap_or(&said);
        self.room.call("logging/setLevel", Some(&raw(&json!({"level": level}))), news).await
    }

    /// `resources/subscribe` and its opposite, which concerns the server only if no other client is left.
    pub(super) async fn subscribe(
        &self,
        method: &str,
        params: Option<&RawValue>,
        news: &Arc<Outbox>,
    ) -> Answer {
        let Some(uri) = uri_of(params) else {
            return Answer::failure(INVALID_PARAMS, "uri is missing");
        };
        if method == "resources/unsubscribe" {
            if let Ok(mut uris) = self.uris.lock() {
                uris.remove(&uri);
            }
            if self.room.is_subscribed(&uri) {
                return Answer::empty();
            }
            return self.room.call(method, params, news).await;
        }
        let answer = self.room.call(method, params, news).await;
        if let (Answer::Result(_), Ok(mut uris)) = (&answer, self.uris.lock()) {
            uris.insert(uri);
        }
        answer
    }

    /// The client says something that has no answer.
    pub(super) fn says(&self, method: &str, params: Option<&RawValue>) {
        match method {
            "notifications/initialized" => self.room.greeted(),
            "notifications/cancelled" => {
                let id = params.and_then(|params| fields(params)?.remove("requestId"));
                let one = id.and_then(|id| self.in_flight.lock().ok()?.get(id.get()).cloned());
                if let Some(one) = one {
                    one.notify_one();
                }
            }
            // Of one client among several, these would only mislead the server.
            "notifications/progress" | "notifications/roots/list_changed" if !self.room.is_private => {}
            _ => self.room.tell(&Message::notification(method, params)),
        }
    }

    /// The client answers what its server asked.
    pub(super) fn replies(&self, id: &RawValue, answer: &Answer) {
        let number = id.get().parse().ok();
        let asked = number.and_then(|number| self.asked.lock().ok()?.remove(&number));
        if let Some((link, id)) = asked
            && let Some(link) = link.upgrade()
        {
            link.tell(&Message::answer(&id, answer));
        }
    }

    /// The server asks; `false` if the question cannot be put to the client. It goes where the client is
    /// listening for sure: to the stream of the request that the server is at work on, if there is one.
    pub(super) fn is_asked(
        &self,
        link: &Arc<Link>,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
    ) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Ok(mut asked) = self.asked.lock() else {
            return false;
        };
        if asked.len() >= ASKED_MAX {
            return false;
        }
        asked.insert(number, (Arc::downgrade(link), id.to_owned()));
        drop(asked);
        let outbox = link.latest_news().unwrap_or_else(|| Arc::clone(&self.outbox));
        outbox.push(Message::request(&raw(&number), method, params).to_bytes())
    }

    /// The server takes a question back.
    pub(super) fn withdraw(&self, params: Option<&RawValue>) -> Option<()> {
        let mut params: Fields = fields(params?)?;
        let theirs = params.get("requestId")?.get().to_owned();
        let mut asked = self.asked.lock().ok()?;
        let ours = asked.iter().find(|(_, (_, id))| id.get() == theirs).map(|(&ours, _)| ours)?;
        asked.remove(&ours);
        params.insert("requestId".to_owned(), raw(&ours));
        self.outbox.push(Message::notification("notifications/cancelled", Some(&raw(&params))).to_bytes());
        Some(())
    }

    /// The server says something to all; whether this client is to hear of it is decided here.
    pub(super) fn hears(&self, method: &str, params: Option<&RawValue>) {
        let is_wanted = match method {
            "notifications/message" => {
                let level =
                    text(params, "level").and_then(|said| LEVELS.iter().position(|level| *level == said));
                level.is_none_or(|level| level >= self.level().unwrap_or(LEVEL_UNSAID))
            }
            "notifications/resources/updated" => uri_of(params).is_some_and(|uri| self.has_uri(&uri)),
            _ => true,
        };
        let message = match &self.manner {
            Manner::Session if is_wanted => Message::notification(method, params).to_bytes(),
            Manner::Listener { id, names } if is_wanted && names.contains(&method) => {
                let params = marked(params, id);
                Message::notification(method, Some(&params)).to_bytes()
            }
            Manner::Session | Manner::Listener { .. } | Manner::Quiet => return,
        };
        // Who does not read loses it.
        self.outbox.push(message);
    }

    /// The lowest level of log messages it asked for.
    pub(super) fn level(&self) -> Option<usize> {
        self.level.lock().ok().and_then(|level| *level)
    }

    /// The resources it wants to hear of.
    pub(super) fn uris(&self) -> Vec<String> {
        self.uris.lock().map(|uris| uris.iter().cloned().collect()).unwrap_or_default()
    }

    /// Whether it wants to hear of this one.
    pub(super) fn has_uri(&self, uri: &str) -> bool {
        self.uris.lock().is_ok_and(|uris| uris.contains(uri))
    }

    /// How many requests it has in work.
    pub(super) fn load(&self) -> usize {
        self.in_flight.lock().map_or(0, |in_flight| in_flight.len())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.room.is_private {
            self.room.stop();
        } else {
            self.room.left(&self.uris());
        }
    }
}

/// Parameters that say which subscription they belong to.
pub(super) fn marked(params: Option<&RawValue>, id: &RawValue) -> Box<RawValue> {
    let mut said = params.and_then(fields).unwrap_or_default();
    let mut meta = said.get("_meta").and_then(|meta| fields(meta)).unwrap_or_default();
    meta.insert("io.modelcontextprotocol/subscriptionId".to_owned(), id.to_owned());
    said.insert("_meta".to_owned(), raw(&meta));
    raw(&said)
}

/// A request in work, as long as this is there.
struct InFlight<'a> {
    /// Whose.
    client: &'a Client,
    /// Its id.
    id: String,
}

impl<'a> InFlight<'a> {
    /// From now on.
    fn new(client: &'a Client, id: &str, cancelled: &Arc<Notify>) -> Self {
        client.busy.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut in_flight) = client.in_flight.lock() {
            in_flight.insert(id.to_owned(), Arc::clone(cancelled));
        }
        Self { client, id: id.to_owned() }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.client.busy.fetch_sub(1, Ordering::Relaxed);
        if let Ok(mut used) = self.client.used.lock() {
            *used = Instant::now();
        }
        if let Ok(mut in_flight) = self.client.in_flight.lock() {
            in_flight.remove(&self.id);
        }
    }
}
