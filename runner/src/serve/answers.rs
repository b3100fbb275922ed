//! What stands behind the transports: the tools of a document, or a bridged server. No transport here.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use rmcp::transport::Transport;
use rmcp::{RoleServer, ServerHandler};

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

    /// Answers a request to the endpoint of streamable HTTP; given back, it is the library's to answer.
    fn answer<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<BoxBody<Bytes, Infallible>>, Request<B>>> + Send
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        ready(Err(request))
    }

    /// Nothing is to wait for a client any more: what only listens is to end.
    fn stopping(&self) {}
}
