//! HTTP in: the connections of a listener, and which transport or page a request is for. What messages mean is
//! the library's to say.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::body::{Body, Held, REQUEST_BYTES_MAX, Timed, plain, whole};
use super::crowd::{Crowd, Place};
use super::gate::Gate;
use super::listener::{Listener, Stream};
use super::metrics::{self, Traffic, count};
use super::sse::Sse;
use super::stall::Stall;
use super::tls::Tls;
use super::{Answers, STOP_TIMEOUT, Stop, websocket};
use crate::config::{Clients, Transport};
use crate::vitals::{Busy, Vitals};

/// How long a connection may take to say what it wants, and may be idle.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// The largest head of a request, and what is read ahead of a body.
const REQUEST_HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a session of streamable HTTP may be silent. Two minutes read like a crash to clients.
const SESSION_IDLE_MAX: Duration = Duration::from_mins(30);

/// Rest after the system refused a connection (out of descriptors): trying at once would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener that is ready for HTTP.
pub(crate) struct Door {
    /// Where clients knock.
    listener: Listener,
    /// Makes their connections private.
    tls: Option<Tls>,
    /// Who they may be.
    gate: Gate,
    /// How they talk.
    transport: Transport,
    /// At which path.
    endpoint: Box<str>,
    /// Whether they may have sessions.
    sessions: bool,
}

impl Door {
    /// Reads what TLS needs.
    pub(crate) fn new(
        listener: Listener,
        transport: Transport,
        endpoint: &str,
        clients: &Clients,
    ) -> Result<Self, String> {
        let tls = clients.tls.as_ref().map(Tls::new).transpose()?;
        let gate = Gate::new(listener.address(), clients);
        Ok(Self { listener, tls, gate, transport, endpoint: endpoint.into(), sessions: clients.sessions })
    }

    /// The URL of the endpoint.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.transport == Transport::Websocket { "ws" } else { "http" };
        let s = if self.tls.is_some() { "s" } else { "" };
        format!("{scheme}{s}://{}{}", self.listener.address(), self.endpoint)
    }

    /// The TCP port, where there is one.
    pub(crate) fn port(&self) -> Option<u16> {
        self.listener.address().port()
    }

    /// Serves until a stop is wanted and what was in flight then is finished, or has taken too long.
    pub(crate) async fn serve(self, answers: impl Answers, vitals: Arc<Vitals>, mut stop: Stop) {
        let speech = Speech::new(answers.clone(), self.transport, &self.endpoint, self.sessions);
        let (traffic, crowd) = (Arc::default(), Arc::new(Crowd::new()));
        let (endpoint, gate, tls) = (self.endpoint, self.gate, self.tls);
        let server =
            Server { speech, endpoint, gate, vitals, traffic, crowd: Arc::clone(&crowd), stop: stop.clone() };
        let server = Arc::new(server);
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => break,
                accepted = accept(&self.listener, &crowd) => accepted,
            };
            let Some((stream, place)) = accepted else {
                continue;
            };
            count(&server.traffic.connections);
            let (server, tls) = (Arc::clone(&server), tls.clone());
            tokio::spawn(async move {
                let stream = match tls {
                    None => stream,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => stream,
                        // How a client fails to shake hands is its own affair.
                        Err(_) => return,
                    },
                };
                server.attend(stream, place).await;
            });
        }
        drop(self.listener);
        answers.stopping();
        crowd.empty(STOP_TIMEOUT).await;
    }
}

/// The next connection and its place; none when the system has no room for it.
pub(super) async fn accept(listener: &Listener, crowd: &Crowd) -> Option<(Box<dyn Stream>, Place)> {
    let place = crowd.place().await?;
    if let Ok(stream) = listener.accept().await {
        return Some((stream, crowd.take(place)));
    }
    tokio::time::sleep(ACCEPT_PAUSE).await;
    None
}

/// How messages come and go.
enum Speech<A: Answers> {
    /// Streamable HTTP, and whether clients may have sessions.
    Streamable(A, StreamableHttpService<A, LocalSessionManager>, bool),
    /// HTTP+SSE.
    Sse(Sse<A>),
    /// WebSocket.
    Websocket(A),
}

impl<A: Answers> Speech<A> {
    /// Nobody has come yet.
    fn new(answers: A, transport: Transport, endpoint: &str, sessions: bool) -> Self {
        match transport {
            Transport::Sse => Self::Sse(Sse::new(answers, endpoint)),
            Transport::Websocket => Self::Websocket(answers),
            Transport::Streamable | Transport::Stdio => {
                let service = streamable(answers.clone(), sessions);
                Self::Streamable(answers, service, sessions)
            }
        }
    }
}

/// The library's service: plain JSON where one message is all there is to say, and no sessions unless what
/// answers or the operator wants them, so any request may come over any connection and nothing is kept
/// between two of them.
fn streamable<A: Answers>(answers: A, sessions: bool) -> StreamableHttpService<A, LocalSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(sessions || answers.keeps_sessions())
        .with_json_response(true)
        .with_max_request_body_bytes(REQUEST_BYTES_MAX)
        // The gate has seen to both.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let mut keeper = LocalSessionManager::default();
    keeper.session_config = SessionConfig::default();
    keeper.session_config.keep_alive = Some(SESSION_IDLE_MAX);
    StreamableHttpService::new(move || Ok(answers.converse()), Arc::new(keeper), config)
}

/// What all connections share.
struct Server<A: Answers> {
    /// How messages come and go.
    speech: Speech<A>,
    /// At which path.
    endpoint: Box<str>,
    /// Who may ask.
    gate: Gate,
    /// The server's own figures.
    vitals: Arc<Vitals>,
    /// Those of its traffic.
    traffic: Arc<Traffic>,
    /// The other connections.
    crowd: Arc<Crowd>,
    /// The wish to stop.
    stop: Stop,
}

impl<A: Answers> Server<A> {
    /// One connection, from its first request to its last.
    async fn attend(&self, stream: Box<dyn Stream>, place: Place) {
        let busy = Arc::new(AtomicUsize::new(0));
        let service = service_fn(|request| {
            let turn = Turn::new(&busy);
            let place = &place;
            async move { Ok::<_, Infallible>(self.answer(request, place, turn).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD_TIMEOUT)
            .max_buf_size(REQUEST_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(Stall::new(stream)), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let (mut line, mut wish) = (self.crowd.line(), self.stop.clone());
        let mut stop = std::pin::pin!(wish.requested());
        let mut stopping = false;
        poll_fn(|cx| {
            if !stopping && stop.as_mut().poll(cx).is_ready() {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            // How a client leaves is its own affair.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            line.poll_asked(busy.load(Ordering::Relaxed) == 0, cx)
        })
        .await;
    }

    /// One request.
    async fn answer(
        &self,
        request: Request<Incoming>,
        place: &Place,
        turn: Turn,
    ) -> Response<Held<(Turn, Option<Busy>)>> {
        count(&self.traffic.requests);
        // Whoever only looks does not keep a server from being idle.
        let is_use = !matches!(request.uri().path(), "/healthz" | "/metrics");
        let busy = is_use.then(|| self.vitals.busy());
        let origin = request.headers().get(header::ORIGIN).cloned();
        let end = self.listens(&request).then(|| {
            let mut stop = self.stop.clone();
            let end: Pin<Box<dyn Future<Output = ()> + Send>> =
                Box::pin(async move { stop.requested().await });
            end
        });
        let mut response = self.route(request, place).await;
        self.gate.share(origin.as_ref(), &mut response);
        response.map(|body| Held::new(body, (turn, busy), end))
    }

    /// Whether the answer to a request is a stream that only its client or a stop ends.
    fn listens(&self, request: &Request<Incoming>) -> bool {
        let method = request.headers().get("mcp-method");
        matches!(self.speech, Speech::Streamable(..))
            && (request.method() == Method::GET || method.is_some_and(|name| name == "subscriptions/listen"))
    }

    /// The page or the transport that a request is for.
    async fn route(&self, request: Request<Incoming>, place: &Place) -> Response<Body> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        // Whoever probes knows neither our name nor a token.
        if request.uri().path() == "/healthz" && is_read {
            let (status, body): (_, &[u8]) = match self.vitals.trouble() {
                None => (StatusCode::OK, br#"{"status":"ok"}"#),
                Some(_) => (StatusCode::SERVICE_UNAVAILABLE, br#"{"status":"down"}"#),
            };
            return whole(status, "application/json", Bytes::from_static(body));
        }
        if let Some(refusal) = self.gate.refusal(&request) {
            if !refusal.status().is_success() {
                count(&self.traffic.refusals);
            }
            return refusal;
        }
        if request.uri().path() == "/metrics" && is_read {
            return metrics::answer(&self.vitals, &self.traffic, self.crowd.size());
        }
        let is_endpoint = request.uri().path() == &*self.endpoint;
        let answered = match &self.speech {
            Speech::Streamable(answers, library, sessions) if is_endpoint => {
                Some(match answers.answer(request.map(Timed::new), *sessions).await {
                    Ok(response) => response,
                    // Apart: what it takes need not be in every call's way.
                    Err(request) => Box::pin(library.handle(request)).await,
                })
            }
            Speech::Websocket(answers) if is_endpoint => Some({
                let held = (Arc::clone(place), self.vitals.busy());
                websocket::open(answers, request, held, &self.traffic, &self.stop)
            }),
            Speech::Sse(sse) => sse.answer(request, &self.traffic, &self.stop).await,
            Speech::Streamable(..) | Speech::Websocket(_) => None,
        };
        answered.unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "there is nothing here\n"))
    }
}

/// A request that is being answered, from its head to the end of its answer.
struct Turn(Arc<AtomicUsize>);

impl Turn {
    /// One more.
    fn new(busy: &Arc<AtomicUsize>) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(busy))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
