//! Bodies that are a stream of server-sent events. Each has a bound and a task of its own: a client that reads
//! slowly keeps nobody else waiting. What the messages say is not known here.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::outbox::Outbox;

/// After so long without a message, a comment shows that the connection lives.
pub(super) const QUIET_MAX: Duration = Duration::from_secs(15);

/// Events that wait for the connection, beside what waits in the outbox.
const EVENTS_MAX: usize = 4;

/// A comment.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// A body of events.
struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// A message as an event.
fn event(message: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(message.len() + 32);
    event.put_slice(b"event: message\ndata: ");
    event.put_slice(message);
    event.put_slice(b"\n\n");
    event.freeze()
}

/// A response whose body is the news, and at last what `answer` comes to. If the client goes away, `answer` is
/// dropped, and `held` with it.
pub(super) fn stream<A, H>(
    news: Arc<Outbox>,
    first: Option<Bytes>,
    answer: Pin<Box<A>>,
    held: H,
) -> Response<BoxBody<Bytes, Infallible>>
where
    A: Future<Output = Option<Bytes>> + Send + 'static,
    H: Send + 'static,
{
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = pump(&sender, &news, first, answer) => {}
            () = sender.closed() => {}
        }
        drop(held);
    });
    let mut response = Response::new(Events(receiver).boxed());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Sends all there is, in order.
async fn pump<A: Future<Output = Option<Bytes>>>(
    sender: &mpsc::Sender<Bytes>,
    news: &Outbox,
    first: Option<Bytes>,
    mut answer: Pin<Box<A>>,
) {
    // The first bytes tell the client at once that it was heard.
    let mut next = first.map_or(COMMENT, |first| event(&first));
    loop {
        if sender.send(next).await.is_err() {
            return;
        }
        next = tokio::select! {
            biased;
            message = news.next() => match message {
                Some(message) => event(&message),
                None => return,
            },
            answer = answer.as_mut() => {
                while let Some(message) = news.take() {
                    if sender.send(event(&message)).await.is_err() {
                        return;
                    }
                }
                if let Some(answer) = answer {
                    drop(sender.send(event(&answer)).await);
                }
                return;
            }
            () = sleep(QUIET_MAX) => COMMENT,
        };
    }
}
