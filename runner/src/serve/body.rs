//! Bodies: those of clients, which have a time limit, and ours, which know when they are through. What stands
//! in them is not known here.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// The largest body of a request: the library's own bound, kept on every transport.
pub(super) const REQUEST_BYTES_MAX: usize = 4 << 20;

/// How long a client may take over a body.
const REQUEST_MAX: Duration = Duration::from_mins(1);

/// What is answered.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// A small answer in words.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    whole(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

/// An answer that is complete.
pub(super) fn whole(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let is_empty = bytes.is_empty();
    let mut response = Response::new(Full::new(bytes).boxed());
    *response.status_mut() = status;
    if !is_empty {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}

/// A client's body, which must be there within its time.
pub(crate) struct Timed {
    /// The body.
    inner: Incoming,
    /// What was read ahead of it.
    ahead: Option<Result<Frame<Bytes>, BodyError>>,
    /// When it has taken too long.
    until: Instant,
    /// Wakes whoever waits then; there once somebody does.
    late: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    /// The clock runs from now on.
    pub(super) fn new(inner: Incoming) -> Self {
        Self { inner, ahead: None, until: Instant::now() + REQUEST_MAX, late: None }
    }

    /// The whole body, if it comes in one piece, as small ones do. It is there to be read all the same.
    pub(super) async fn in_one(&mut self) -> Option<Bytes> {
        let first = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await?;
        let piece = first.as_ref().ok().and_then(Frame::data_ref).cloned();
        self.ahead = Some(first);
        piece.filter(|_| self.inner.is_end_stream())
    }

    /// Reads all of it; otherwise the answer that says why not.
    pub(super) async fn read(self) -> Result<Bytes, Response<Body>> {
        match Limited::new(self, REQUEST_BYTES_MAX).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MiB\n"))
            }
            Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT, "the body is incomplete\n")),
        }
    }
}

/// Why a client's body is not complete.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It took too long.
    Late,
    /// The connection or its encoding broke.
    Broken(hyper::Error),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => write!(f, "not complete within {} s", REQUEST_MAX.as_secs()),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(frame) = self.ahead.take() {
            return Poll::Ready(Some(frame));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        let until = self.until;
        let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        late.as_mut().poll(cx).map(|()| Some(Err(BodyError::Late)))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.ahead.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}

/// An answer's body that holds something until it is through, and that may be cut short.
pub(super) struct Held<G> {
    /// The body.
    inner: Body,
    /// What is held.
    _until_then: G,
    /// Ends the body when it is ready.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<G> Held<G> {
    /// A body that ends by itself, or when `end` is ready.
    pub(super) fn new(inner: Body, held: G, end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>) -> Self {
        Self { inner, _until_then: held, end }
    }
}

impl<G: Unpin> HttpBody for Held<G> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
            self.end = None;
            // What is behind it must not go on for nobody.
            self.inner = Full::default().boxed();
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
