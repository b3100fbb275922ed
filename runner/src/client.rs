//! HTTP out: one pool of connections, and replies with a bound on time and size. Knows nothing of documents or
//! tools.

mod connector;
mod encoding;
mod guard;
mod redirect;
mod tls;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::Proxy;
use crate::failure::words;
use connector::Connector;
pub(crate) use guard::Guard;
pub(crate) use redirect::{FOLLOWED_MAX, onward};
pub(crate) use tls::certificates;

/// What the runner calls itself; some upstreams refuse whoever has no name.
pub(crate) const USER_AGENT: &str = concat!("mcp-runner/", env!("CARGO_PKG_VERSION"));
/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// Unused connections kept for one host: as many as calls come at a time, or each of them would open its own.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// What one request may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the first byte out to the last byte in.
    pub(crate) time_max: Duration,
    /// Of the reply's body.
    pub(crate) body_bytes_max: usize,
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, complete.
    pub(crate) body: Bytes,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// It took too long.
    Slow(Duration),
    /// The body is over the limit.
    Large(usize),
    /// There must be no connection, whatever is tried.
    Refused(String),
    /// There was no connection: the request was not sent.
    Unreached(String),
    /// The connection or the protocol failed.
    Failed(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(limit) => write!(f, "no complete reply within {} s", limit.as_secs()),
            Self::Large(bytes_max) => write!(f, "the reply is larger than {} MiB", bytes_max >> 20),
            Self::Refused(reason) | Self::Unreached(reason) | Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl Error for ClientError {}

/// How connections are made.
#[derive(Debug)]
pub(crate) struct Options {
    /// Authorities to trust instead of the system's: a file in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// What we show an upstream that asks who we are: certificate and key, files in PEM.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Who passes requests on.
    pub(crate) proxy: Proxy,
    /// A Unix socket that leads to the upstream, whatever its URL says.
    pub(crate) socket: Option<PathBuf>,
    /// How long a connection may take to open.
    pub(crate) connect_timeout: Duration,
    /// Which addresses may be called.
    pub(crate) guard: Guard,
}

impl Default for Options {
    fn default() -> Self {
        let (proxy, guard) = (Proxy::default(), Guard::default());
        Self { ca: None, identity: None, proxy, socket: None, connect_timeout: CONNECT_MAX, guard }
    }
}

/// Sends requests. It opens nothing before the first one.
pub(crate) struct Client {
    /// Opens connections.
    connector: Connector,
    /// Keeps them.
    pool: Pool<Connector, Full<Bytes>>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client with an empty pool.
    pub(crate) fn new(options: Options) -> Self {
        let connector = Connector::new(options);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector.clone());
        Self { connector, pool }
    }

    /// Reads what TLS needs now rather than at the first call; an error names the file.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.connector.tls().map(drop).map_err(str::to_owned)
    }

    /// Sends a request and reads its whole reply, within its limits. Follows no redirect.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limits: Limits,
    ) -> Result<Reply, ClientError> {
        let exchange = self.exchange(request, limits.body_bytes_max);
        let in_time = tokio::time::timeout(limits.time_max, exchange).await;
        in_time.unwrap_or_else(|_elapsed| Err(ClientError::Slow(limits.time_max)))
    }

    /// The same, for whoever looks after the time.
    pub(crate) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        body_bytes_max: usize,
    ) -> Result<Reply, ClientError> {
        if let Some(auth) = self.connector.forwarder(request.uri()).as_ref().and_then(Intercept::basic_auth) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, auth.clone());
        }
        let (mut head, body) = self.pool.request(request).await.map_err(|error| sent(&error))?.into_parts();
        let body = Limited::new(body, body_bytes_max).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ClientError::Large(body_bytes_max)
            } else {
                ClientError::Failed(reason(error.as_ref()))
            }
        })?;
        let body = encoding::undone(&mut head.headers, body.to_bytes(), body_bytes_max)?;
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}

/// Why a request did not get through.
fn sent(error: &hyper_util::client::legacy::Error) -> ClientError {
    let first: &(dyn Error + 'static) = error;
    let mut sources = std::iter::successors(Some(first), |error| (**error).source());
    let is_denied = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    match (error.is_connect(), sources.any(is_denied)) {
        (true, true) => ClientError::Refused(reason(error)),
        (true, false) => ClientError::Unreached(reason(error)),
        (false, _) => ClientError::Failed(reason(error)),
    }
}

/// The innermost reason, which is the one that helps ("connection refused" rather than "client error").
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    words(&innermost.to_string()).to_owned()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one connection with these bytes, then says nothing and keeps it open.
    async fn serve(bytes: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(bytes).await.unwrap();
            std::future::pending::<()>().await;
        });
        url
    }

    /// Sends one request with small limits.
    async fn send(bytes: &'static [u8]) -> Result<Reply, ClientError> {
        let request = Request::get(serve(bytes).await).body(Full::default()).unwrap();
        let limits = Limits { time_max: Duration::from_millis(200), body_bytes_max: 4 };
        Client::default().send(request, limits).await
    }

    #[tokio::test]
    async fn silence_has_an_end_wherever_it_begins() {
        assert!(matches!(send(b"").await, Err(ClientError::Slow(_))));
        let started = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab";
        assert!(matches!(send(started).await, Err(ClientError::Slow(_))));
    }

    #[tokio::test]
    async fn bodies_are_cut_off_at_their_bound() {
        let whole = send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd").await.unwrap();
        assert_eq!((whole.status, &*whole.body), (StatusCode::OK, &b"abcd"[..]));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n";
        assert!(matches!(send(chunked).await, Err(ClientError::Large(4))));
    }

    #[tokio::test]
    async fn what_is_not_http_fails() {
        assert!(matches!(send(b"220 ready\r\n").await, Err(ClientError::Failed(_))));
    }
}
