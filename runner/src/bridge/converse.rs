//! A conversation over a transport that carries messages both ways: stdin and stdout, a WebSocket, an SSE
//! stream, a socket. Either era, and a change from one to the other on the way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, CustomNotification, CustomRequest, CustomResult, ServerJsonRpcMessage,
    ServerNotification, ServerRequest, ServerResult,
};
use rmcp::transport::Transport;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Bridge;
use super::client::Client;
use super::era::Era;
use super::headers::{check_body, version_in};
use super::listen::listen;
use super::message::{Answer, Kind, Message, UNAVAILABLE, fields};
use super::outbox::Outbox;

/// Most requests of one client at a time.
const LOAD_MAX: usize = 256;

/// How long a client may take to read a message.
const SEND_MAX: Duration = Duration::from_secs(30);

/// How long requests in work are still answered after the client said its last.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(5);

/// Answers that wait to be sent.
const ANSWERS_MAX: usize = 16;

/// One conversation.
struct Conversation {
    /// The server.
    bridge: Bridge,
    /// What the client is told beside answers.
    outbox: Arc<Outbox>,
    /// The client: a passer-by until it shakes hands.
    client: Arc<Client>,
    /// What it listens to, by the ids of the requests.
    listening: Vec<(Box<str>, Arc<Client>)>,
    /// Requests in work.
    tasks: JoinSet<()>,
    /// Where their answers go.
    answers: mpsc::Sender<Bytes>,
}

/// Holds a conversation until the transport ends.
pub(super) async fn attend<T>(bridge: Bridge, mut transport: T)
where
    T: Transport<RoleServer> + 'static,
{
    let outbox = Arc::new(Outbox::default());
    let (answers, mut answered) = mpsc::channel(ANSWERS_MAX);
    let client = bridge.passer_by(Arc::clone(&outbox));
    let (listening, tasks) = (Vec::new(), JoinSet::new());
    let mut conversation =
        Conversation { bridge, outbox: Arc::clone(&outbox), client, listening, tasks, answers };
    let is_broken = loop {
        tokio::select! {
            biased;
            // What the server said on the way to an answer comes before it.
            Some(message) = outbox.next() => if !send(&mut transport, &message).await { break true },
            Some(message) = answered.recv() => if !send(&mut transport, &message).await { break true },
            Some(_) = conversation.tasks.join_next(), if !conversation.tasks.is_empty() => {}
            message = transport.receive() => match message {
                Some(message) => conversation.hear(&message).await,
                None => break false,
            },
        }
    };
    if !is_broken {
        let last = async {
            while !conversation.tasks.is_empty() {
                tokio::select! {
                    Some(message) = outbox.next() => if !send(&mut transport, &message).await { return },
                    Some(message) = answered.recv() => if !send(&mut transport, &message).await { return },
                    Some(_) = conversation.tasks.join_next() => {}
                }
            }
            while let Some(message) = outbox.take().or_else(|| answered.try_recv().ok()) {
                if !send(&mut transport, &message).await {
                    return;
                }
            }
        };
        drop(timeout(LAST_ANSWERS_MAX, last).await);
    }
    drop(transport.close().await);
}

/// Sends a message; `false` if the client does not take it.
async fn send<T: Transport<RoleServer>>(transport: &mut T, message: &Bytes) -> bool {
    match Message::parse(message).ok().and_then(|message| wrapped(&message)) {
        Some(message) => timeout(SEND_MAX, transport.send(message)).await.is_ok_and(|sent| sent.is_ok()),
        None => true,
    }
}

/// A message in the library's form, which looks into nothing.
fn wrapped(message: &Message<'_>) -> Option<ServerJsonRpcMessage> {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    let params = || message.params.and_then(value);
    Some(match message.kind() {
        Kind::Request(id, method) => ServerJsonRpcMessage::request(
            ServerRequest::CustomRequest(CustomRequest::new(method, params())),
            serde_json::from_str(id.get()).ok()?,
        ),
        Kind::Notification(method) => ServerJsonRpcMessage::notification(
            ServerNotification::CustomNotification(CustomNotification::new(method, params())),
        ),
        Kind::Answer(id, Answer::Result(result)) => ServerJsonRpcMessage::response(
            ServerResult::CustomResult(CustomResult::new(value(&result)?)),
            serde_json::from_str(id.get()).ok()?,
        ),
        Kind::Answer(id, Answer::Error(error)) => ServerJsonRpcMessage::error(
            serde_json::from_str(error.get()).ok()?,
            serde_json::from_str(id.get()).ok(),
        ),
        Kind::Nonsense => return None,
    })
}

impl Conversation {
    /// A message of the client.
    async fn hear(&mut self, message: &ClientJsonRpcMessage) {
        let text = serde_json::to_vec(message).unwrap_or_default();
        let Ok(message) = Message::parse(&text) else {
            return;
        };
        match message.kind() {
            Kind::Request(id, method) => self.hear_request(id, method, message.params).await,
            Kind::Notification(method) => {
                if method == "notifications/cancelled" {
                    let id = message.params.and_then(|params| fields(params)?.remove("requestId"));
                    self.listening
                        .retain(|(listening, _)| id.as_ref().is_none_or(|id| id.get() != &**listening));
                }
                self.client.says(method, message.params);
            }
            Kind::Answer(id, answer) => self.client.replies(id, &answer),
            Kind::Nonsense => {}
        }
    }

    /// A request of the client.
    async fn hear_request(&mut self, id: &RawValue, method: &str, params: Option<&RawValue>) {
        let is_modern =
            method != "initialize" && (method == "server/discover" || version_in(params).is_some());
        if is_modern && let Err(answer) = check_body(params) {
            return self.reply(id, &answer);
        }
        if method == "initialize" {
            match self.bridge.initialize(params, Arc::clone(&self.outbox)).await {
                Ok((client, answer)) => {
                    self.client = client;
                    self.reply(id, &answer);
                }
                Err(answer) => self.reply(id, &answer),
            }
        } else if is_modern && method == "subscriptions/listen" {
            match listen(&self.bridge, id, params, &self.outbox).await {
                Ok(client) => self.listening.push((id.get().into(), client)),
                Err(answer) => self.reply(id, &answer),
            }
        } else if self.tasks.len() >= LOAD_MAX {
            self.reply(id, &Answer::failure(UNAVAILABLE, "too many requests are in work"));
        } else {
            let (client, outbox, answers) =
                (Arc::clone(&self.client), Arc::clone(&self.outbox), self.answers.clone());
            let (id, method, params) = (id.to_owned(), method.to_owned(), params.map(ToOwned::to_owned));
            let era = if is_modern { Era::Modern } else { Era::Handshake };
            self.tasks.spawn(async move {
                if let Some(answer) = client.answer(era, &id, &method, params.as_deref(), &outbox).await {
                    drop(answers.send(Message::answer(&id, &answer).to_bytes()).await);
                }
            });
        }
    }

    /// An answer that is there already. It goes the way of what is told: nobody else could send it meanwhile.
    fn reply(&self, id: &RawValue, answer: &Answer) {
        self.outbox.push(Message::answer(id, answer).to_bytes());
    }
}
