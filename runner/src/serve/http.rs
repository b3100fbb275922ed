//! Streamable HTTP, both eras on one endpoint. Which requests make sense is the library's to say;
//! which path, how many connections and when to stop is said here.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::{Answers, STOP_TIMEOUT, Stop};

/// Connections at a time; more wait in the backlog.
const CONNECTIONS_MAX: u32 = 512;

/// Connections the kernel keeps for us meanwhile.
const BACKLOG: u32 = 1024;

/// How long a connection may take to say what it wants, and may be idle.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Rest after the system refused a connection (out of descriptors): trying at once would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The library's service.
type Service<A> = StreamableHttpService<A, LocalSessionManager>;

/// A whole body.
type Body = BoxBody<Bytes, Infallible>;

/// A socket that listens, so that clients may come, and the address it got.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The socket.
    listener: TcpListener,
    /// Its address, the port never 0.
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Takes the address, or says that it cannot be had.
    pub(crate) fn new(host: IpAddr, port: u16) -> io::Result<Self> {
        let socket = if host.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for the last connections of the life before.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(host, port))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Serves until a stop is wanted and what was in flight then is finished, or has taken too long.
    pub(crate) async fn serve(self, handler: impl Answers, endpoint: &str, mut stop: Stop) {
        let server = Arc::new(Server { mcp: service(handler, self.address), endpoint: endpoint.into() });
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX.try_into().unwrap_or(Semaphore::MAX_PERMITS)));
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => break,
                accepted = self.accept(&places) => accepted,
            };
            let Some((stream, place)) = accepted else {
                continue;
            };
            let (server, stop) = (Arc::clone(&server), stop.clone());
            tokio::spawn(async move {
                server.attend(stream, stop).await;
                drop(place);
            });
        }
        drop(self.listener);
        // All places free means that nobody is attended to any more.
        drop(tokio::time::timeout(STOP_TIMEOUT, places.acquire_many(CONNECTIONS_MAX)).await);
    }

    /// The next connection and its place; none when the system has no room for it.
    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        if let Ok((stream, _)) = self.listener.accept().await {
            return Some((stream, place));
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
        None
    }
}

/// What all connections share.
struct Server<A> {
    /// The endpoint's service.
    mcp: Service<A>,
    /// Its path.
    endpoint: Box<str>,
}

impl<A: Answers> Server<A> {
    /// One connection, from its first request to its last.
    async fn attend(&self, stream: TcpStream, mut stop: Stop) {
        // Small answers must not wait for an acknowledgement of the one before.
        drop(stream.set_nodelay(true));
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // How a client leaves is its own affair.
            _ = connection.as_mut() => return,
            () = stop.requested() => connection.as_mut().graceful_shutdown(),
        }
        drop(connection.await);
    }

    /// One request.
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if path == &*self.endpoint {
            self.mcp.handle(request).await
        } else if path == "/healthz" && matches!(*request.method(), Method::GET | Method::HEAD) {
            json(StatusCode::OK, r#"{"status":"ok"}"#)
        } else {
            json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#)
        }
    }
}

/// The library's service: plain JSON where one message is all there is to say, and no sessions unless what
/// answers wants them, so any request may come over any connection and nothing is kept between two of them.
fn service<A: Answers>(handler: A, address: SocketAddr) -> Service<A> {
    let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), address.ip().to_string()];
    let port = address.port();
    // A page that this very server's address names is not foreign; every other origin is.
    let origins = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}"));
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(handler.keeps_sessions())
        .with_json_response(true)
        .with_allowed_hosts(own)
        .with_allowed_origins(origins)
        .enforce_origin_validation();
    StreamableHttpService::new(
        move || Ok(handler.converse()),
        Arc::new(LocalSessionManager::default()),
        config,
    )
}

/// A small answer of our own.
fn json(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())).boxed());
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
