//! HTTP out: two pools (plain, TLS), each made at its first use, and replies with a bound on time and size.
//! Knows nothing of documents or tools.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::failure::words;

/// What the runner calls itself; some upstreams refuse whoever has no name.
pub(crate) const USER_AGENT: &str = concat!("mcp-runner/", env!("CARGO_PKG_VERSION"));
/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// Unused connections kept for one host.
const IDLE_CONNECTIONS_MAX: usize = 8;
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
    /// The connection or the protocol failed.
    Failed(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(limit) => write!(f, "no complete reply within {} s", limit.as_secs()),
            Self::Large(bytes_max) => write!(f, "the reply is larger than {} MiB", bytes_max >> 20),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl Error for ClientError {}

/// The pools. Made empty: a runner that calls nothing, or nothing over TLS, never pays for certificates.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// For `http`.
    plain: OnceLock<Pool<HttpConnector, Full<Bytes>>>,
    /// For `https`.
    tls: OnceLock<Pool<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

impl Client {
    /// Sends a request and reads its whole reply. Follows no redirect.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limits: Limits,
    ) -> Result<Reply, ClientError> {
        let exchange = async {
            let response = if request.uri().scheme() == Some(&Scheme::HTTPS) {
                self.tls.get_or_init(tls_pool).request(request).await
            } else {
                self.plain.get_or_init(plain_pool).request(request).await
            };
            let (head, body) = response.map_err(|error| failed(&error))?.into_parts();
            let body = Limited::new(body, limits.body_bytes_max).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    ClientError::Large(limits.body_bytes_max)
                } else {
                    failed(error.as_ref())
                }
            })?;
            Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        within(limits.time_max, exchange).await
    }
}

/// Bounds the time of an exchange.
async fn within(
    limit: Duration,
    exchange: impl Future<Output = Result<Reply, ClientError>>,
) -> Result<Reply, ClientError> {
    match tokio::time::timeout(limit, exchange).await {
        Ok(result) => result,
        Err(_elapsed) => Err(ClientError::Slow(limit)),
    }
}

/// The innermost reason, which is the one that helps ("connection refused" rather than "client error").
fn failed(error: &(dyn Error + 'static)) -> ClientError {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    ClientError::Failed(words(&innermost.to_string()).to_owned())
}

/// Opens TCP connections.
fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_MAX));
    connector
}

/// A pool of plain connections.
fn plain_pool() -> Pool<HttpConnector, Full<Bytes>> {
    pool_builder().build(connector())
}

/// A pool of TLS connections. The system's certificates come first, so that a local authority works; a
/// system without any (an empty container) gets Mozilla's.
fn tls_pool() -> Pool<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let mut tcp = connector();
    tcp.enforce_http(false);
    let builder = match HttpsConnectorBuilder::new().with_native_roots() {
        Ok(native) => native,
        Err(_none) => HttpsConnectorBuilder::new().with_webpki_roots(),
    };
    pool_builder().build(builder.https_only().enable_http1().wrap_connector(tcp))
}

/// What both pools share.
fn pool_builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Pool::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
    builder
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
