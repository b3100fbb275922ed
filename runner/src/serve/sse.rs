//! HTTP+SSE, the transport of 2024-11-05: a stream of events down, a POST for each message up. It is kept for
//! clients that know nothing newer; either era's messages pass over it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming};
use rmcp::model::{ClientJsonRpcMessage, GetExtensions};
use rmcp::transport::common::server_side_http::session_id;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Interval;

use super::body::{Body, Timed, plain};
use super::metrics::Traffic;
use super::talk::{self, Pair};
use super::{Answers, Stop};

/// Messages that wait in either direction.
const WAITING_MAX: usize = 16;

/// How long a message may wait for the conversation to take it.
const TAKEN_MAX: Duration = Duration::from_secs(10);

/// A comment is sent so often: whoever is in between must not think the connection dead.
const BEAT: Duration = Duration::from_secs(15);

/// The sessions by their ids, each with its way in.
type Sessions = Arc<Mutex<HashMap<Arc<str>, mpsc::Sender<ClientJsonRpcMessage>>>>;

/// The transport.
pub(super) struct Sse<A> {
    /// What answers.
    answers: A,
    /// Path of the stream.
    endpoint: Box<str>,
    /// Path that messages are posted to.
    messages: Box<str>,
    /// Who is connected.
    sessions: Sessions,
}

impl<A: Answers> Sse<A> {
    /// Nobody is connected yet.
    pub(super) fn new(answers: A, endpoint: &str) -> Self {
        let messages = format!("{}/messages", endpoint.trim_end_matches('/')).into();
        Self { answers, endpoint: endpoint.into(), messages, sessions: Sessions::default() }
    }

    /// One request; `None` if its path is none of ours.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        traffic: &Arc<Traffic>,
        stop: &Stop,
    ) -> Option<Response<Body>> {
        let path = request.uri().path();
        Some(match (path == &*self.endpoint, path == &*self.messages, request.method()) {
            (true, _, &Method::GET) => self.open(Arc::clone(traffic), stop.clone()),
            (_, true, &Method::POST) => self.take(request).await,
            (true, _, _) => not_allowed("GET"),
            (_, true, _) => not_allowed("POST"),
            (false, false, _) => return None,
        })
    }

    /// Begins a session: its first event says where to post.
    fn open(&self, traffic: Arc<Traffic>, stop: Stop) -> Response<Body> {
        let id = session_id();
        let (way_in, incoming) = mpsc::channel(WAITING_MAX);
        let (outgoing, events) = mpsc::channel(WAITING_MAX);
        let (alive, gone) = oneshot::channel::<Infallible>();
        if let Ok(mut sessions) = self.sessions.lock() {
            sessions.insert(Arc::clone(&id), way_in);
        }
        let first = event("endpoint", &format!("{}?session={id}", self.messages));
        let events = Events { first: Some(first), rest: events, beat: beat(), _alive: alive };
        let (answers, sessions) = (self.answers.clone(), Arc::clone(&self.sessions));
        tokio::spawn(async move {
            let _one_more = traffic.conversation();
            let pair = Pair { incoming, outgoing, frame: |json| event("message", &json) };
            talk::hold(&answers, pair, async { drop(gone.await) }, stop).await;
            if let Ok(mut sessions) = sessions.lock() {
                sessions.remove(&id);
            }
        });
        let mut response = Response::new(events.boxed());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx would keep events back until it has a page of them.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    /// Takes a message to its session.
    async fn take(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        let id = query.split('&').find_map(|pair| pair.strip_prefix("session=")).unwrap_or_default();
        let way_in = self.sessions.lock().ok().and_then(|sessions| sessions.get(id).cloned());
        let Some(way_in) = way_in else {
            return plain(StatusCode::NOT_FOUND, "there is no such session\n");
        };
        let bytes = match Timed::new(body).read().await {
            Ok(bytes) => bytes,
            Err(refusal) => return refusal,
        };
        let Ok(mut message) = serde_json::from_slice::<ClientJsonRpcMessage>(&bytes) else {
            return plain(StatusCode::BAD_REQUEST, "the body is no JSON-RPC message\n");
        };
        // Whoever answers may want to know what the request said of itself.
        match &mut message {
            ClientJsonRpcMessage::Request(asked) => drop(asked.request.extensions_mut().insert(head)),
            ClientJsonRpcMessage::Notification(told) => drop(told.notification.extensions_mut().insert(head)),
            ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
        }
        match way_in.send_timeout(message, TAKEN_MAX).await {
            Ok(()) => plain(StatusCode::ACCEPTED, ""),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "the session takes no more messages\n")
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                plain(StatusCode::NOT_FOUND, "the session has ended\n")
            }
        }
    }
}

/// The answer to a method that a path does not have.
fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "no such method here\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// An event. JSON has no line end of its own.
fn event(kind: &str, data: &str) -> Bytes {
    format!("event: {kind}\ndata: {data}\n\n").into()
}

/// The rhythm of comments, the first one after a while.
fn beat() -> Interval {
    tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT)
}

/// The stream of events of a session. It ends with the conversation, and the conversation with it.
struct Events {
    /// Says where to post.
    first: Option<Bytes>,
    /// What is to be sent.
    rest: mpsc::Receiver<Bytes>,
    /// When to say that we live.
    beat: Interval,
    /// Dropped with the stream, which is how the conversation knows.
    _alive: oneshot::Sender<Infallible>,
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Poll::Ready(event) = self.rest.poll_recv(cx) {
            return Poll::Ready(event.map(|event| Ok(Frame::data(event))));
        }
        self.beat.poll_tick(cx).map(|_| Some(Ok(Frame::data(Bytes::from_static(b": here\n\n")))))
    }
}
