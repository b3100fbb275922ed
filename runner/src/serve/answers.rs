//! What stands behind the transports: the tools of a document, or a bridged server. No transport here.

use rmcp::ServerHandler;

/// What answers clients. The protocol library's own trait says how; this one says to whom.
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
}
