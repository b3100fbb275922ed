//! The supervisor's side of the control socket: clients, their request lines in, answer lines out. No client
//! can slow it or make it grow. What an order leads to is not known here.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

use serde::Serialize;

use super::access::{EXIT_REFUSED, Level, granted};
use super::wire::{Answer, REQUEST_BYTES_MAX, Request};
use crate::config::control::Control;
use crate::sys::peer;

/// Clients at a time; a further one takes the place of one that asks nothing, or is turned away.
const CLIENTS_MAX: usize = 64;
/// Answer bytes that may wait for a client before it gets no more to wait for.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
/// Of a long answer so much is sent at once: it can be read while the rest is written.
const PIECE_BYTES: usize = 16 * 1024;
/// Requests of one client that may wait for their answers.
const OWED_MAX: usize = 64;
/// Descriptors kept for clients.
const SPARE: usize = 2;

/// A client, by the order in which it came.
pub(crate) type ClientId = usize;

/// A connected client.
#[derive(Debug)]
struct Client {
    /// Nonblocking.
    stream: UnixStream,
    /// Its user.
    uid: u32,
    /// How far it may go.
    level: Level,
    /// What it sent and was not yet looked at.
    received: Vec<u8>,
    /// What it has not taken yet.
    unsent: Vec<u8>,
    /// Requests that are not answered yet.
    owed: usize,
    /// Whether there may be more to read.
    unread: bool,
    /// Whether the rest of an overlong line is being passed over.
    skipping: bool,
    /// Whether its last bytes were read.
    at_end: bool,
}

/// All clients.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Where they come from; nonblocking.
    listener: UnixListener,
    /// Who is connected.
    connected: BTreeMap<ClientId, Client>,
    /// The next one's id.
    next: ClientId,
    /// Descriptors kept for clients: with all others taken by services, somebody must be able to stop some.
    spare: Vec<UnixListener>,
    /// Who may what.
    control: Control,
    /// Users who were turned away and are not told of yet.
    turned_away: Vec<u32>,
}

/// What a client is registered with.
pub(crate) type Register<'a> = &'a mut dyn FnMut(ClientId, i32) -> io::Result<()>;

impl Clients {
    /// Clients of a socket that listens already.
    pub(crate) fn new(listener: UnixListener, control: Control) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut clients = Self {
            listener,
            connected: BTreeMap::new(),
            next: 0,
            spare: Vec::new(),
            control,
            turned_away: Vec::new(),
        };
        clients.refill();
        Ok(clients)
    }

    /// From now on they come from another socket.
    pub(crate) fn listen(&mut self, listener: UnixListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        self.spare.clear();
        self.listener = listener;
        self.refill();
        Ok(())
    }

    /// What becomes readable when a client comes.
    pub(crate) fn fd(&self) -> i32 {
        self.listener.as_raw_fd()
    }

    /// Takes in whoever waits; `false` when somebody still does, for whom there is no descriptor just now.
    /// Whoever may do nothing is told so and let go.
    pub(crate) fn accept(&mut self, register: Register<'_>) -> bool {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) if self.spare.pop().is_some() => continue,
                Err(_) => return false,
            };
            let (uid, level) = self.identify(&stream);
            if let Some(level) = level
                && self.connected.len() >= CLIENTS_MAX
            {
                self.make_room(level);
            }
            if stream.set_nonblocking(true).is_err() || register(self.next, stream.as_raw_fd()).is_err() {
                continue;
            }
            let mut client = Client::new(stream, uid, level.unwrap_or(Level::Read));
            if level.is_none() {
                self.turned_away.push(uid);
                client.turn_away(
                    &format!("cannot serve user {uid}: it may not command this supervisor"),
                    EXIT_REFUSED,
                );
            } else if self.connected.len() >= CLIENTS_MAX {
                client.turn_away("cannot take a further client: there are too many", 75);
            } else {
                self.connected.insert(self.next, client);
                self.next = self.next.wrapping_add(1);
            }
        }
    }

    /// Who is there, and how far they may go.
    fn identify(&self, stream: &UnixStream) -> (u32, Option<Level>) {
        let own = nix::unistd::geteuid().as_raw();
        peer::of(stream).map_or((u32::MAX, None), |peer| (peer.uid, granted(&self.control, &peer, own)))
    }

    /// How far a client may go.
    pub(crate) fn level(&self, id: ClientId) -> Option<Level> {
        self.connected.get(&id).map(|client| client.level)
    }

    /// A client's user.
    pub(crate) fn uid(&self, id: ClientId) -> Option<u32> {
        self.connected.get(&id).map(|client| client.uid)
    }

    /// Users who were turned away since the last time.
    pub(crate) fn take_turned_away(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.turned_away)
    }

    /// Lets a client go.
    fn dismiss(&mut self, id: ClientId) {
        self.connected.remove(&id);
        self.refill();
    }

    /// Keeps descriptors for clients to come, as far as there are any.
    fn refill(&mut self) {
        while self.spare.len() < SPARE
            && let Ok(spare) = self.listener.try_clone()
        {
            self.spare.push(spare);
        }
    }

    /// Lets the oldest client go that asked nothing, or else the oldest that may do less than the one who comes:
    /// who only holds a place must not keep others out.
    fn make_room(&mut self, level: Level) {
        let idle = |client: &Client| client.owed == 0 && client.unsent.is_empty();
        let lesser = |client: &Client| client.level < level;
        let mut all = self.connected.iter();
        let found = all.clone().find(|(_, client)| idle(client)).or_else(|| all.find(|(_, it)| lesser(it)));
        if let Some(id) = found.map(|(id, _)| *id) {
            self.connected.remove(&id);
        }
    }

    /// Reads what a client sent; `false` when it is gone.
    pub(crate) fn read(&mut self, id: ClientId) -> bool {
        let Some(client) = self.connected.get_mut(&id) else { return false };
        let mut bytes = [0; 4096];
        client.unread = true;
        while client.received.len() <= REQUEST_BYTES_MAX {
            match client.stream.read(&mut bytes) {
                Ok(0) => {
                    client.at_end = true;
                    client.unread = false;
                    return true;
                }
                Ok(count) => client.received.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    client.unread = false;
                    return true;
                }
                Err(_) => {
                    self.dismiss(id);
                    return false;
                }
            }
        }
        true
    }

    /// The next request of a client, if one is there whole; `Err` holds what is wrong with the line.
    pub(crate) fn request(&mut self, id: ClientId) -> Option<Result<Request, String>> {
        let client = self.connected.get_mut(&id)?;
        let line = loop {
            let Some(end) = client.received.iter().position(|byte| *byte == b'\n') else {
                let too_long = client.received.len() > REQUEST_BYTES_MAX;
                if too_long || client.skipping || client.at_end {
                    client.received = Vec::new();
                }
                if !too_long || std::mem::replace(&mut client.skipping, true) {
                    return None;
                }
                client.owed = client.owed.saturating_add(1);
                return Some(Err("cannot read request: the line is too long".to_owned()));
            };
            let line: Vec<u8> = client.received.drain(..=end).collect();
            if client.received.is_empty() {
                client.received = Vec::new();
            }
            if !std::mem::take(&mut client.skipping) {
                break line;
            }
        };
        client.owed = client.owed.saturating_add(1);
        Some(serde_json::from_slice(&line).map_err(|error| format!("cannot read request: {error}")))
    }

    /// Whether a client may ask for more: it has room for the answer, and not too many are still to come.
    pub(crate) fn may_ask(&self, id: ClientId) -> bool {
        self.has_room(id) && self.connected.get(&id).is_some_and(|client| client.owed < OWED_MAX)
    }

    /// Whether it may have sent more than was read.
    pub(crate) fn is_unread(&self, id: ClientId) -> bool {
        self.connected.get(&id).is_some_and(|client| client.unread)
    }

    /// Whether a client can be given more to wait for.
    pub(crate) fn has_room(&self, id: ClientId) -> bool {
        self.connected.get(&id).is_some_and(|client| client.unsent.len() < UNSENT_BYTES_MAX)
    }

    /// Whether it is still there.
    pub(crate) fn is_there(&self, id: ClientId) -> bool {
        self.connected.contains_key(&id)
    }

    /// Sends an answer's line, or keeps it until the client takes it.
    pub(crate) fn answer(&mut self, id: ClientId, answer: &Answer<'_>) {
        if let Some(client) = self.connected.get_mut(&id) {
            write_line(&mut client.unsent, answer);
            client.flush_much();
            if answer.done.is_some() || answer.error.is_some() {
                client.owed = client.owed.saturating_sub(1);
            }
        }
    }

    /// Sends a service's report.
    pub(crate) fn report(&mut self, id: ClientId, request: u64, service: &impl Serialize) {
        /// What is an [`Answer`] to its reader, written at once.
        #[derive(Serialize)]
        struct Line<'a, T> {
            /// The request's.
            id: u64,
            /// The service.
            service: &'a T,
        }
        if let Some(client) = self.connected.get_mut(&id) {
            write_line(&mut client.unsent, &Line { id: request, service });
            client.flush_much();
        }
    }

    /// Sends what a client takes now; lets it go when it is gone, or has ended and owes and is owed nothing
    /// (`busy` says that an answer is still to come).
    pub(crate) fn flush(&mut self, id: ClientId, busy: bool) {
        let Some(client) = self.connected.get_mut(&id) else { return };
        let alive = client.flush();
        if client.unsent.is_empty() {
            client.unsent = Vec::new();
        }
        if !alive || (client.at_end && client.unsent.is_empty() && client.received.is_empty() && !busy) {
            self.dismiss(id);
        }
    }

    /// Everybody who is connected.
    pub(crate) fn ids(&self) -> Vec<ClientId> {
        self.connected.keys().copied().collect()
    }
}

impl Client {
    /// It has said nothing yet.
    const fn new(stream: UnixStream, uid: u32, level: Level) -> Self {
        Self {
            stream,
            uid,
            level,
            received: Vec::new(),
            unsent: Vec::new(),
            owed: 0,
            unread: false,
            skipping: false,
            at_end: false,
        }
    }

    /// Says why it is not served.
    fn turn_away(&mut self, error: &str, exit: u8) {
        let answer = Answer { error: Some(error.into()), exit: Some(exit), ..Answer::default() };
        write_line(&mut self.unsent, &answer);
        self.flush();
    }

    /// Sends what there is once it is much.
    fn flush_much(&mut self) {
        if self.unsent.len() >= PIECE_BYTES {
            // One that is gone is noticed the next time.
            let _alive = self.flush();
        }
    }

    /// Sends what it takes now; `false` when it is gone.
    fn flush(&mut self) -> bool {
        let mut sent = 0;
        let alive = loop {
            let rest = self.unsent.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break true;
            }
            match self.stream.write(rest) {
                Ok(count) => sent = sent.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(_) => break false,
            }
        };
        self.unsent.drain(..sent);
        alive
    }
}

/// Adds an answer as a line.
fn write_line(unsent: &mut Vec<u8>, answer: &impl Serialize) {
    let before = unsent.len();
    if serde_json::to_writer(&mut *unsent, answer).is_err() {
        unsent.truncate(before);
    }
    unsent.push(b'\n');
}
