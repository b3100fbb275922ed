//! What stands behind the transports: the tools of a document, or a bridged server. No transport here.

use std::future::ready;

use http::{Request, Response};
use rmcp::transport::Transport;
use rmcp::{RoleServer, ServerHandler};

use super::{Body, Timed};

/// What answers clients. The protocol library's own trait says how; this one says to whom. Who speaks the
/// protocol without the library overrides `attend` and `answer`, and is never asked for the rest.
pub(crate) trait Answers: ServerHandler + Clone {
    /// What answers one conversation: a stdin, a WebSocket, an SSE stream, a session of streamable HTTP; or,
    /// where nothing is kept between two requests, one request.
    fn converse(&self) -> Self {
        self.clone()
    }

    /// Whether streamable HTTP keeps sessions for clients of the revisions that have them.
    fn keeps_sessions(&self) -> bool {
        false
    }

    /// Answers a whole conversation, until its transport ends. Neither a client that left before it said
    /// anything nor one that broke off is a fault of ours.
    fn attend<T>(&self, transport: T) -> impl Future<Output = ()> + Send
    where
        T: Transport<RoleServer> + 'static,
    {
        let conversation = self.converse();
        async move {
            if let Ok(running) = rmcp::serve_server(conversation, transport).await {
                drop(running.waiting().await);
            }
        }
    }

    /// Answers a request to the endpoint of streamable HTTP, where clients may have sessions or may not; given back,
    /// it is the library's to answer, which keeps them.
    fn answer(
        &self,
        request: Request<Timed>,
        _has_sessions: bool,
    ) -> impl Future<Output = Result<Response<Body>, Request<Timed>>> + Send {
        ready(Err(request))
    }

    /// Nothing is to wait for a client any more: what only listens is to end.
    fn stopping(&self) {}
}
