//! One life of a bridged server: what was asked of it and waits for its answer. Ids and progress tokens are
//! ours on its side and the client's on the other. When it is started or what clients are is not known here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot};

use super::era::{Era, prepare};
use super::message::{Answer, Fields, Message, fields, raw};
use super::outbox::Outbox;

/// Messages that wait for the server to read them; beyond these, whoever asks waits.
const QUEUE_MAX: usize = 64;

/// The server ended before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// What is said to one process and expected of it.
#[derive(Debug)]
pub(super) struct Link {
    /// To its stdin.
    queue: mpsc::Sender<Bytes>,
    /// What waits for an answer; none when no answer can come any more.
    pending: Mutex<Option<HashMap<u64, Pending>>>,
    /// The next id.
    next: AtomicU64,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Pending {
    /// Where the answer goes.
    answer: oneshot::Sender<Answer>,
    /// Where news of it go.
    news: Option<Arc<Outbox>>,
    /// The client's name for its progress.
    token: Option<Box<RawValue>>,
}

impl Link {
    /// A link, and what is to be written to the server's stdin.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (queue, lines) = mpsc::channel(QUEUE_MAX);
        (Self { queue, pending: Mutex::new(Some(HashMap::new())), next: AtomicU64::new(1) }, lines)
    }

    /// Asks, and waits for the answer. Dropped before it came, the server is told that nobody wants it any more.
    pub(super) async fn ask(
        &self,
        era: Era,
        method: &str,
        params: Option<&RawValue>,
        news: Option<&Arc<Outbox>>,
    ) -> Result<Answer, Gone> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (params, token) = prepare(era, id, params);
        let (sender, receiver) = oneshot::channel();
        let one = Pending { answer: sender, news: news.cloned(), token };
        let waits = self.with(|pending| pending.insert(id, one));
        waits.ok_or(Gone)?;
        let abandoned = Abandoned { link: self, id };
        let line = Message::request(&raw(&id), method, params.as_deref()).to_bytes();
        let sent = self.queue.send(line).await.map_err(|_| Gone);
        let answer = match sent {
            Ok(()) => receiver.await.map_err(|_| Gone),
            Err(gone) => Err(gone),
        };
        drop(abandoned);
        answer
    }

    /// Says something that has no answer, if there is room for it.
    pub(super) fn tell(&self, message: &Message<'_>) -> bool {
        self.queue.try_send(message.to_bytes()).is_ok()
    }

    /// Asks, and lets nobody wait for the answer.
    pub(super) fn ask_idly(&self, era: Era, method: &str, params: &RawValue) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (params, _) = prepare(era, id, Some(params));
        self.tell(&Message::request(&raw(&id), method, params.as_deref()));
    }

    /// Hands over an answer; `false` if nobody waits for it.
    pub(super) fn answered(&self, id: &RawValue, answer: Answer) -> bool {
        let pending = id.get().parse().ok().and_then(|id| self.with(|pending| pending.remove(&id)).flatten());
        pending.is_some_and(|pending| pending.answer.send(answer).is_ok())
    }

    /// Hands over news of the progress of a request, under the client's name for it.
    pub(super) fn progressed(&self, params: &RawValue) -> Option<()> {
        let mut said: Fields = fields(params)?;
        let id = said.get("progressToken")?.get().parse().ok()?;
        let of = |one: &Pending| one.news.clone().zip(one.token.clone());
        let (news, token) = self.with(|pending| pending.get(&id).and_then(of))??;
        said.insert("progressToken".to_owned(), token);
        let params = raw(&said);
        news.push(Message::notification("notifications/progress", Some(&params)).to_bytes());
        Some(())
    }

    /// Whose request is being worked on, for a question that comes in between: the latest that has a client.
    pub(super) fn latest_news(&self) -> Option<Arc<Outbox>> {
        self.with(|pending| {
            let with_news = pending.iter().filter_map(|(id, one)| Some((id, one.news.as_ref()?)));
            with_news.max_by_key(|(id, _)| **id).map(|(_, news)| Arc::clone(news))
        })?
    }

    /// Nothing comes any more: whoever waits is told.
    pub(super) fn close(&self) {
        if let Ok(mut pending) = self.pending.lock() {
            *pending = None;
        }
    }

    /// Does something with what waits, while anything may.
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<u64, Pending>) -> T) -> Option<T> {
        self.pending.lock().ok()?.as_mut().map(change)
    }
}

/// Tells the server, if the answer has not come by the time that this is dropped.
struct Abandoned<'a> {
    /// The server.
    link: &'a Link,
    /// The request.
    id: u64,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.link.with(|pending| pending.remove(&self.id)).flatten().is_some() {
            let params =
                raw(&serde_json::json!({"requestId": self.id, "reason": "the client does not wait for it"}));
            self.link.tell(&Message::notification("notifications/cancelled", Some(&params)));
        }
    }
}

/// Writes to a server's stdin, several messages at once where they wait.
pub(super) async fn write(mut stdin: ChildStdin, mut lines: mpsc::Receiver<Bytes>) {
    while let Some(line) = lines.recv().await {
        // A server that does not read any more ends, and then everybody is told.
        if stdin.write_all(&line).await.is_err() || stdin.write_all(b"\n").await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What was written to the server.
    fn said(lines: &mut mpsc::Receiver<Bytes>) -> Value {
        serde_json::from_slice(&lines.try_recv().unwrap()).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn answers_find_who_asked_in_any_order() {
        let (link, mut lines) = Link::new();
        let asks = async {
            tokio::join!(link.ask(Era::Handshake, "a", None, None), link.ask(Era::Handshake, "b", None, None))
        };
        let server = async {
            tokio::task::yield_now().await;
            let (first, second) = (said(&mut lines), said(&mut lines));
            assert!(link.answered(&raw(&second["id"]), Answer::Result(raw(&second["method"]))));
            assert!(link.answered(&raw(&first["id"]), Answer::Result(raw(&first["method"]))));
            assert!(!link.answered(&raw(&first["id"]), Answer::empty()), "only once");
            assert!(!link.answered(&raw(&"x"), Answer::empty()), "a stranger's id");
        };
        let ((a, b), ()) = tokio::join!(asks, server);
        let text = |answer: Result<Answer, Gone>| format!("{answer:?}");
        assert!(text(a).contains("\"a\"") && text(b).contains("\"b\""));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_token_of_progress_is_the_clients_on_its_side() {
        let (link, mut lines) = Link::new();
        let news = Arc::new(Outbox::default());
        let params = raw(&json!({"name": "x", "_meta": {"progressToken": "mine", "other": 1}}));
        let mut ask = Box::pin(link.ask(Era::Handshake, "tools/call", Some(&params), Some(&news)));
        assert!(futures_poll(&mut ask).await.is_none());
        let request = said(&mut lines);
        assert_eq!(request["params"]["_meta"], json!({"progressToken": 1, "other": 1}));
        link.progressed(&raw(&json!({"progressToken": 1, "progress": 0.5}))).unwrap();
        assert!(link.progressed(&raw(&json!({"progressToken": 2, "progress": 0.5}))).is_none());
        let note: Value = serde_json::from_slice(&news.take().unwrap()).unwrap();
        assert_eq!(note["params"], json!({"progressToken": "mine", "progress": 0.5}));
        // Who does not wait any more says so.
        drop(ask);
        assert_eq!(said(&mut lines)["params"]["requestId"], 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_end_answers_everybody_and_nobody_waits_after_it() {
        let (link, _lines) = Link::new();
        let mut ask = Box::pin(link.ask(Era::Handshake, "a", None, None));
        assert!(futures_poll(&mut ask).await.is_none());
        link.close();
        assert!(matches!(ask.await, Err(Gone)));
        assert!(matches!(link.ask(Era::Handshake, "b", None, None).await, Err(Gone)));
    }

    /// Whether it is ready already.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
