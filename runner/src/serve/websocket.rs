//! WebSocket, subprotocol `mcp`: a message is a text frame, a connection is a conversation. The specification
//! does not know it; the SDKs and bridges that speak it all do so in this way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use rmcp::model::{ClientJsonRpcMessage, ErrorData, GetExtensions, ServerJsonRpcMessage};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::body::{Body, REQUEST_BYTES_MAX, plain};
use super::crowd::Place;
use super::metrics::Traffic;
use super::talk::{self, Pair};
use super::{Answers, Stop};
use crate::base64;
use crate::vitals::Busy;

/// The subprotocol.
const SUBPROTOCOL: &str = "mcp";

/// What RFC 6455 puts behind a client's key.
const KEY_TAIL: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Messages that wait in either direction.
const WAITING_MAX: usize = 16;

/// How often a client is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// How long a client may say nothing, not even that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// How long we wait for a client's farewell.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// The connection after its handshake.
type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The answer to a request for a WebSocket. The conversation begins when the connection is one.
pub(super) fn open<A: Answers>(
    answers: &A,
    request: Request<Incoming>,
    place: (Place, Busy),
    traffic: &Arc<Traffic>,
    stop: &Stop,
) -> Response<Body> {
    let accept = match key(&request) {
        Ok(key) => accept(key),
        Err(refusal) => return *refusal,
    };
    let mut response = plain(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if lists(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    let (answers, traffic, stop) = (answers.clone(), Arc::clone(traffic), stop.clone());
    tokio::spawn(async move {
        let _one_more = traffic.conversation();
        converse(answers, request, stop).await;
        drop(place);
    });
    response
}

/// The client's key, if the request is one for a WebSocket that we can have.
fn key(request: &Request<Incoming>) -> Result<&HeaderValue, Box<Response<Body>>> {
    let headers = request.headers();
    let refused = |status, text| Err(Box::new(plain(status, text)));
    let asks =
        lists(headers, &header::CONNECTION, "upgrade") && lists(headers, &header::UPGRADE, "websocket");
    if request.method() != Method::GET || !asks {
        let mut refusal = plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
        refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        refusal.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(refusal));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut refusal = plain(StatusCode::UPGRADE_REQUIRED, "version 13 is needed\n");
        refusal.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(Box::new(refusal));
    }
    let offers = headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
    if offers && !lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return refused(StatusCode::BAD_REQUEST, "the subprotocol is mcp\n");
    }
    match headers.get(header::SEC_WEBSOCKET_KEY) {
        Some(key) if base64::decoded(key.as_bytes()).is_some_and(|key| key.len() == 16) => Ok(key),
        Some(_) | None => refused(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing or not valid\n"),
    }
}

/// Whether a header of comma-separated words has this one.
fn lists(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    let all = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|given| given.trim().eq_ignore_ascii_case(word))
}

/// What proves to a client that we speak WebSocket.
fn accept(key: &HeaderValue) -> HeaderValue {
    let mut context = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(KEY_TAIL.as_bytes());
    HeaderValue::from_str(&base64::encoded(context.finish().as_ref())).unwrap_or(HeaderValue::from_static(""))
}

/// The whole conversation.
async fn converse<A: Answers>(answers: A, mut request: Request<Incoming>, stop: Stop) {
    let upgrade: OnUpgrade = hyper::upgrade::on(&mut request);
    let (head, _) = request.into_parts();
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(REQUEST_BYTES_MAX * 4)
        .max_message_size(Some(REQUEST_BYTES_MAX))
        .max_frame_size(Some(REQUEST_BYTES_MAX));
    let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let (way_in, incoming) = mpsc::channel(WAITING_MAX);
    let (outgoing, mut frames) = mpsc::channel(WAITING_MAX);
    let (alive, gone) = oneshot::channel::<Infallible>();
    let pair = Pair { incoming, outgoing: outgoing.clone(), frame: |json| json };
    let mut talk = std::pin::pin!(talk::hold(&answers, pair, async { drop(gone.await) }, stop));
    let mut over = false;
    let farewell = tokio::select! {
        farewell = read(&mut stream, way_in, outgoing, &head) => farewell,
        () = write(&mut sink, &mut frames) => None,
        () = talk.as_mut() => {
            over = true;
            Some((CloseCode::Away, "the server stops"))
        }
    };
    // The last answers, if the conversation is over; otherwise nobody is there to read them.
    while let Ok(frame) = frames.try_recv() {
        if sink.send(Message::text(frame)).await.is_err() {
            break;
        }
    }
    drop((frames, alive));
    if !over {
        talk.await;
    }
    if let Some((code, reason)) = farewell {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let parting = async {
            drop(sink.send(close).await);
            while let Some(Ok(_)) = stream.next().await {}
        };
        drop(tokio::time::timeout(FAREWELL_MAX, parting).await);
    }
}

/// Takes messages to the conversation until the client leaves, or has to; then with what to tell it.
async fn read(
    stream: &mut SplitStream<Socket>,
    way_in: mpsc::Sender<ClientJsonRpcMessage>,
    outgoing: mpsc::Sender<String>,
    head: &Parts,
) -> Option<(CloseCode, &'static str)> {
    loop {
        let text = match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
            Err(_elapsed) => return Some((CloseCode::Policy, "no sign of life")),
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(Message::Binary(_)))) => return Some((CloseCode::Unsupported, "messages are text")),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => continue,
            Ok(Some(Err(Error::Capacity(_)))) => return Some((CloseCode::Size, "the message is too large")),
            Ok(Some(Err(Error::Utf8(_)))) => return Some((CloseCode::Invalid, "the message is not UTF-8")),
            Ok(Some(Err(Error::Protocol(_)))) => return Some((CloseCode::Protocol, "that is not WebSocket")),
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return None,
        };
        let Ok(mut message) = serde_json::from_str::<ClientJsonRpcMessage>(&text) else {
            let error = ErrorData::parse_error("no JSON-RPC message", None);
            let json = serde_json::to_string(&ServerJsonRpcMessage::error(error, None)).unwrap_or_default();
            outgoing.send(json).await.ok()?;
            continue;
        };
        // Whoever answers may want to know what the client said of itself.
        match &mut message {
            ClientJsonRpcMessage::Request(asked) => drop(asked.request.extensions_mut().insert(head.clone())),
            ClientJsonRpcMessage::Notification(told) => {
                drop(told.notification.extensions_mut().insert(head.clone()));
            }
            ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
        }
        way_in.send(message).await.ok()?;
    }
}

/// Sends what there is to send, until that fails or there will be no more.
async fn write(sink: &mut SplitSink<Socket, Message>, frames: &mut mpsc::Receiver<String>) {
    let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
    loop {
        let message = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => Message::text(frame),
                // The conversation is over, which is told by whoever holds it.
                None => std::future::pending().await,
            },
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}
