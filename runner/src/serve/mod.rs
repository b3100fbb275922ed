//! Transports: how clients reach the tools. Nothing here knows a document or an upstream's credentials.

mod answers;
mod handler;
mod http;
mod stdio;
mod stop;

use std::time::Duration;

pub(crate) use answers::Answers;
pub(crate) use handler::Handler;
pub(crate) use http::Bound;
pub(crate) use stdio::serve as serve_stdio;
pub(crate) use stop::Stop;

/// How long a stop waits for what is in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
