//! The channel's messages: what a service and the supervisor say to each other, defined once for both.
//! No socket, no buffer, no opinion on what a message leads to.
//!
//! The wire is Node's own `process.send`: one JSON value a line, UTF-8, never an empty line.

use serde::{Deserialize, Serialize};

/// Longest line either side may send, newline included.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Where a child finds its end of the channel (the number of a descriptor).
pub const FD_VARIABLE: &str = "MCP_INIT_CHANNEL_FD";

/// Where Node looks for the same thing.
pub const NODE_FD_VARIABLE: &str = "NODE_CHANNEL_FD";

/// What a service tells the supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FromService {
    /// It accepts connections: it is ready.
    ServerStarted {
        /// The service's id.
        server_id: Box<str>,
        /// TCP port, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// `streamable`, `stdio`, …
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transport: Option<Box<str>>,
        /// URL a client connects to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<Box<str>>,
    },
    /// It could not start; becomes `lastError`.
    ServerError {
        /// The service's id.
        server_id: Box<str>,
        /// One line.
        error: Box<str>,
    },
    /// The answer to `health-check`.
    HealthCheckResponse {
        /// The service's id.
        server_id: Box<str>,
        /// Whether it is well.
        healthy: bool,
        /// Milliseconds since the epoch, or RFC 3339: the sender's choice, kept as it came.
        #[serde(default)]
        timestamp: serde_json::Value,
        /// Why it is not well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Box<str>>,
    },
    /// The answer to `collect-metrics`.
    ProcessMetrics {
        /// The service's id.
        server_id: Box<str>,
        /// The figures.
        metrics: Metrics,
    },
}

/// What the supervisor asks of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ToService {
    /// Answered by `health-check-response` within the check's timeout.
    HealthCheck {
        /// The service's id.
        server_id: Box<str>,
    },
    /// Answered by `process-metrics` within the check's timeout.
    CollectMetrics {
        /// The service's id.
        server_id: Box<str>,
    },
}

/// A service's own figures, each optional: a script sends what it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metrics {
    /// Resident memory, in bytes.
    pub memory_usage: Option<f64>,
    /// CPU, in percent of one core, since the previous answer.
    pub cpu_usage: Option<f64>,
    /// Time since start, in milliseconds.
    pub uptime: Option<f64>,
    /// Requests served.
    pub request_count: Option<f64>,
    /// Of these, how many failed.
    pub error_count: Option<f64>,
    /// Requests that are not answered yet.
    pub in_flight: Option<f64>,
    /// Time since the last one was answered, or since start, in milliseconds; 0 while any is in flight.
    pub idle: Option<f64>,
    /// Mean time of a request, in milliseconds.
    pub average_response_time: Option<f64>,
}
