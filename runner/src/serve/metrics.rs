//! What a monitor may read: the counters of the server and of its traffic, as `OpenMetrics` text.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::body::{Body, whole};
use crate::vitals::Vitals;

/// How `OpenMetrics` is called.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What passes through the transports.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Connections taken since the start.
    pub(super) connections: AtomicU64,
    /// HTTP requests since the start.
    pub(super) requests: AtomicU64,
    /// HTTP requests that were not let in since the start.
    pub(super) refusals: AtomicU64,
    /// Conversations now, where a transport has them.
    conversations: AtomicU64,
}

impl Traffic {
    /// One conversation more, until what is returned is dropped.
    pub(super) fn conversation(self: &Arc<Self>) -> Conversation {
        self.conversations.fetch_add(1, Ordering::Relaxed);
        Conversation(Arc::clone(self))
    }
}

/// A conversation that is counted.
pub(super) struct Conversation(Arc<Traffic>);

impl Drop for Conversation {
    fn drop(&mut self) {
        self.0.conversations.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One more of something.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// All of it.
pub(super) fn answer(vitals: &Vitals, traffic: &Traffic, connections: usize) -> Response<Body> {
    let totals = vitals.totals();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut page = Page(String::with_capacity(2048));
    page.counter("mcp_requests", "Tool lists and tool calls answered.", totals.requests);
    page.counter("mcp_errors", "Those of them that failed.", totals.errors);
    page.counter("mcp_request_seconds", "Time they took together.", totals.seconds);
    page.counter("mcp_http_requests", "HTTP requests.", read(&traffic.requests));
    page.counter("mcp_http_refusals", "HTTP requests that were not let in.", read(&traffic.refusals));
    page.counter("mcp_connections", "Connections taken.", read(&traffic.connections));
    page.gauge("mcp_open_connections", "Connections now.", connections);
    page.gauge("mcp_conversations", "SSE streams and WebSockets now.", read(&traffic.conversations));
    page.gauge("process_resident_memory_bytes", "Resident memory.", totals.resident_bytes);
    page.counter("process_cpu_seconds", "CPU time used.", totals.cpu_seconds);
    page.gauge("process_start_time_seconds", "When the process began, since the epoch.", totals.started);
    page.0.push_str("# EOF\n");
    whole(StatusCode::OK, KIND, Bytes::from(page.0))
}

/// The text so far.
struct Page(String);

impl Page {
    /// A figure that only grows.
    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# TYPE {name} counter\n# HELP {name} {help}\n{name}_total {value}\n");
    }

    /// A figure of the moment.
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        let _ = write!(self.0, "# TYPE {name} gauge\n# HELP {name} {help}\n{name} {value}\n");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn figures_are_openmetrics() {
        let (vitals, traffic) = (Vitals::new(), Arc::new(Traffic::default()));
        vitals.count(Duration::from_millis(1500), true);
        let talk = traffic.conversation();
        let body = answer(&vitals, &traffic, 3).into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        for line in [
            "mcp_requests_total 1",
            "mcp_errors_total 1",
            "mcp_request_seconds_total 1.5",
            "mcp_conversations 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("mcp_open_connections 3\n") || text.contains("\nmcp_open_connections 3\n"));
        assert!(text.ends_with("# EOF\n"));
        drop(talk);
        assert_eq!(traffic.conversations.load(Ordering::Relaxed), 0);
    }
}
