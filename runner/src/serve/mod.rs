//! Transports: how clients reach the tools. Nothing here knows a document or an upstream's credentials.

mod answers;
mod body;
mod crowd;
mod gate;
mod handler;
mod http;
mod inherited;
mod listener;
mod metrics;
mod pages;
mod short;
mod sse;
mod stall;
mod stdio;
mod stop;
mod talk;
mod tls;
mod websocket;

use std::time::Duration;

pub(crate) use answers::Answers;
pub(crate) use body::{Body, Timed};
pub(crate) use handler::Handler;
pub(crate) use http::Door;
pub(crate) use inherited::listener as inherited_listener;
pub(crate) use listener::{Address, Listener, PRIVATE_MODE, SOCKET_MODE};
pub(crate) use stdio::{serve as serve_stdio, serve_socket};
pub(crate) use stop::Stop;

/// How long a stop waits for what is in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
