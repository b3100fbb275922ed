//! One conversation, over any transport that lasts as long as it does: it may begin with a notification, it
//! asks so many things at a time and no more, and a stop waits for what was asked before. No bytes here.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use tokio::sync::{Notify, mpsc};

use super::{Answers, STOP_TIMEOUT, Stop};

/// Requests of one conversation that may wait for their answers at a time.
const OPEN_MAX: usize = 256;

/// JSON-RPC leaves these codes to servers.
const BUSY: ErrorCode = ErrorCode(-32000);

/// Holds a conversation until the client leaves (`gone`), says no more, or a stop is wanted. A client that
/// left gets no answers: what it asked for is cancelled.
pub(super) async fn hold<A: Answers>(
    answers: &A,
    transport: impl Transport<RoleServer> + 'static,
    gone: impl Future<Output = ()>,
    stop: Stop,
) {
    tokio::select! {
        () = answers.attend(Patient::new(transport, stop)) => {}
        () = gone => {}
    }
}

/// The requests that wait for their answers.
#[derive(Debug, Default)]
struct Open {
    /// Their ids.
    ids: Mutex<HashSet<RequestId>>,
    /// Woken whenever one is answered.
    fewer: Notify,
}

impl Open {
    /// One more, unless there are too many.
    fn admit(&self, id: &RequestId) -> bool {
        let Ok(mut ids) = self.ids.lock() else {
            return false;
        };
        ids.len() < OPEN_MAX && {
            ids.insert(id.clone());
            true
        }
    }

    /// One less.
    fn close(&self, id: &RequestId) {
        if self.ids.lock().is_ok_and(|mut ids| ids.remove(id)) {
            self.fewer.notify_one();
        }
    }

    /// Waits until all are answered, for as long as a stop waits.
    async fn answered(&self) {
        let answered = async {
            while self.ids.lock().is_ok_and(|ids| !ids.is_empty()) {
                self.fewer.notified().await;
            }
        };
        drop(tokio::time::timeout(STOP_TIMEOUT, answered).await);
    }
}

/// A transport with these manners.
struct Patient<T> {
    /// The transport itself.
    inner: T,
    /// Whether a request has come. What clients say before is nothing to us, but the library would end the
    /// conversation over it.
    begun: bool,
    /// What waits for its answer.
    open: Arc<Open>,
    /// Ready once a stop is wanted.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether nothing more is heard.
    ended: bool,
}

impl<T> Patient<T> {
    /// Nothing has been said yet.
    fn new(inner: T, mut stop: Stop) -> Self {
        let stop = Box::pin(async move { stop.requested().await });
        Self { inner, begun: false, open: Arc::default(), stop, ended: false }
    }
}

impl<T: Transport<RoleServer>> Patient<T> {
    /// Whether a message goes on to whoever answers.
    fn admits(&mut self, message: &ClientJsonRpcMessage) -> bool {
        match message {
            ClientJsonRpcMessage::Request(asked) => {
                self.begun = true;
                // A subscription is answered at its end, which nobody waits for.
                if matches!(asked.request, ClientRequest::SubscriptionsListenRequest(_))
                    || self.open.admit(&asked.id)
                {
                    return true;
                }
                let error = ErrorData::new(BUSY, format!("more than {OPEN_MAX} requests at a time"), None);
                let refused = self.inner.send(ServerJsonRpcMessage::error(error, Some(asked.id.clone())));
                tokio::spawn(async { drop(refused.await) });
                false
            }
            ClientJsonRpcMessage::Notification(told) => {
                if let ClientNotification::CancelledNotification(cancelled) = &told.notification {
                    // It will have no answer.
                    if let Some(id) = &cancelled.params.request_id {
                        self.open.close(id);
                    }
                }
                self.begun
            }
            ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => self.begun,
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Patient<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &item {
            ServerJsonRpcMessage::Response(response) => Some(response.id.clone()),
            ServerJsonRpcMessage::Error(error) => error.id.clone(),
            ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_) => None,
        };
        let (sending, open) = (self.inner.send(item), Arc::clone(&self.open));
        async move {
            let sent = sending.await;
            if let Some(id) = answered {
                open.close(&id);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        while !self.ended {
            let message = tokio::select! {
                message = self.inner.receive() => message,
                () = self.stop.as_mut() => None,
            };
            match message {
                Some(message) if self.admits(&message) => return Some(message),
                Some(_) => {}
                None => self.ended = true,
            }
        }
        self.open.answered().await;
        None
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

/// A transport that somebody else carries the messages of: what it sends are finished frames.
pub(super) struct Pair<F> {
    /// From the client.
    pub(super) incoming: mpsc::Receiver<ClientJsonRpcMessage>,
    /// To the client.
    pub(super) outgoing: mpsc::Sender<F>,
    /// Makes a frame of a message's JSON.
    pub(super) frame: fn(String) -> F,
}

/// The client is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client is gone")
    }
}

impl std::error::Error for Gone {}

impl<F: Send + 'static> Transport<RoleServer> for Pair<F> {
    type Error = Gone;

    fn send(
        &mut self,
        item: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (outgoing, frame) = (self.outgoing.clone(), self.frame);
        async move {
            let json = serde_json::to_string(&item).map_err(|_| Gone)?;
            outgoing.send(frame(json)).await.map_err(|_| Gone)
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.incoming.recv().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
