//! Connections to upstreams: straight, through a proxy, or over a Unix socket, and TLS on top where the URL
//! says so. What is said on them is not known here.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use super::guard::Guard;
use super::{Options, tls};
use crate::config::Proxy;

/// Anything that bytes go through.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What comes to be.
type Opening = Pin<Box<dyn Future<Output = io::Result<Opened>> + Send>>;

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector(Arc<Shared>);

/// What all connections share.
struct Shared {
    /// What the operator wants.
    options: Options,
    /// Who passes requests on.
    proxies: Matcher,
    /// Opens TCP connections to upstreams.
    tcp: HttpConnector<Resolver>,
    /// Opens them to proxies, which the operator chose.
    tcp_to_proxy: HttpConnector,
    /// Read at its first use: a runner that calls nothing over TLS never pays for certificates.
    tls: OnceLock<Result<TlsConnector, String>>,
}

impl Connector {
    /// Opens nothing, and reads no file.
    pub(super) fn new(options: Options) -> Self {
        let proxies = match &options.proxy {
            Proxy::Environment => Matcher::from_env(),
            Proxy::None => Matcher::builder().build(),
            Proxy::Url(url) => {
                let spared = ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| std::env::var(name).ok());
                Matcher::builder().all(url.0.as_str()).no(spared.unwrap_or_default()).build()
            }
        };
        let mut tcp =
            HttpConnector::new_with_resolver(Resolver { names: GaiResolver::new(), guard: options.guard });
        let mut tcp_to_proxy = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        tcp_to_proxy.set_nodelay(true);
        tcp_to_proxy.set_connect_timeout(Some(options.connect_timeout));
        Self(Arc::new(Shared { options, proxies, tcp, tcp_to_proxy, tls: OnceLock::new() }))
    }

    /// Who passes a plain request on, which must be told so.
    pub(super) fn forwarder(&self, uri: &Uri) -> Option<Intercept> {
        let is_plain = uri.scheme() == Some(&Scheme::HTTP) && self.0.options.socket.is_none();
        is_plain.then(|| self.0.proxies.intercept(uri)).flatten()
    }

    /// Reads what TLS needs; an error names the file.
    pub(super) fn tls(&self) -> Result<&TlsConnector, &str> {
        self.0.tls.get_or_init(|| tls::connector(&self.0.options)).as_ref().map_err(String::as_str)
    }

    /// A connection to where a URL leads.
    async fn open(self, uri: Uri) -> io::Result<Opened> {
        let shared = &*self.0;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.parse::<IpAddr>().is_ok_and(|address| !shared.options.guard.admits(address)) {
            return Err(refused(shared.options.guard));
        }
        let is_private = uri.scheme() == Some(&Scheme::HTTPS);
        let (stream, proxied): (Box<dyn Stream>, bool) = if let Some(path) = &shared.options.socket {
            (Box::new(UnixStream::connect(path).await?), false)
        } else if let Some(proxy) = shared.proxies.intercept(&uri) {
            if proxy.uri().scheme() != Some(&Scheme::HTTP) {
                return Err(io::Error::other("the proxy is not of a kind this runner knows (http://…)"));
            }
            let mut tcp = shared.tcp_to_proxy.clone();
            if is_private {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                let stream = tunnel.call(uri).await.map_err(|error| passed_on(&error))?;
                (Box::new(stream.into_inner()), false)
            } else {
                let stream = tcp.call(proxy.uri().clone()).await.map_err(|error| passed_on(&error))?;
                (Box::new(stream.into_inner()), true)
            }
        } else {
            let stream = shared.tcp.clone().call(uri).await.map_err(io::Error::other)?;
            (Box::new(stream.into_inner()), false)
        };
        if !is_private {
            return Ok(Opened { stream: TokioIo::new(stream), proxied });
        }
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let tls = self.tls().map_err(io::Error::other)?;
        let stream: Box<dyn Stream> = Box::new(tls.connect(name, stream).await?);
        Ok(Opened { stream: TokioIo::new(stream), proxied })
    }
}

/// Why an address is not called.
fn refused(guard: Guard) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, guard.reason())
}

/// Why a proxy is of no help.
fn passed_on(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    io::Error::other(format!("the proxy: {innermost}"))
}

impl Service<Uri> for Connector {
    type Response = Opened;
    type Error = io::Error;
    type Future = Opening;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Opening {
        let (connector, limit) = (self.clone(), self.0.options.connect_timeout);
        Box::pin(async move {
            let opened = tokio::time::timeout(limit, connector.open(uri)).await;
            opened.unwrap_or_else(|_| {
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {} s", limit.as_secs_f32()),
                ))
            })
        })
    }
}

/// Names as the system knows them, without the addresses that are not to be called.
#[derive(Clone)]
struct Resolver {
    /// The system.
    names: GaiResolver,
    /// Which are.
    guard: Guard,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.names.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, guard) = (self.names.call(name), self.guard);
        Box::pin(async move {
            let all: Vec<SocketAddr> = found.await?.collect();
            let good: Vec<SocketAddr> =
                all.iter().copied().filter(|address| guard.admits(address.ip())).collect();
            if good.is_empty() && !all.is_empty() {
                return Err(refused(guard));
            }
            Ok(good.into_iter())
        })
    }
}

/// A connection that is open.
pub(super) struct Opened {
    /// The bytes.
    stream: TokioIo<Box<dyn Stream>>,
    /// Whether requests on it name the whole URL.
    proxied: bool,
}

impl Connection for Opened {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Opened {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
