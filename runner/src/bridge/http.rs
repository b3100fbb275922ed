//! Streamable HTTP for a bridged server: both eras on one endpoint, sessions for clients of the one that has
//! them. Who may ask, and over which connection, is decided before.

use std::convert::Infallible;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::era::Era;
use super::events::{QUIET_MAX, stream};
use super::headers::{self, SESSION};
use super::listen::listen;
use super::message::{Answer, INVALID_REQUEST, Kind, Message, PARSE_ERROR};
use super::outbox::Outbox;
use super::{Bridge, Mode};

/// The largest body of a request.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most requests of one session at a time.
const LOAD_MAX: usize = 256;

/// A body.
type Body = BoxBody<Bytes, Infallible>;

/// A response that is not what was asked for.
struct Refusal(Box<Response<Body>>);

/// Answers a request to the endpoint.
pub(super) async fn answer<B>(bridge: &Bridge, request: Request<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display,
{
    let answered = match *request.method() {
        Method::POST => post(bridge, request).await,
        Method::GET => get(bridge, request.headers()),
        Method::DELETE => delete(bridge, request.headers()),
        _ => Err(not_allowed()),
    };
    answered.unwrap_or_else(|Refusal(response)| *response)
}

/// A message of a client.
async fn post<B>(bridge: &Bridge, request: Request<B>) -> Result<Response<Body>, Refusal>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display,
{
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    if !headers::accepts(&headers, "application/json") || !headers::accepts(&headers, "text/event-stream") {
        let text = "the client must accept application/json and text/event-stream";
        return Err(plain(StatusCode::NOT_ACCEPTABLE, text));
    }
    let kind = headers::header(&headers, "content-type").and_then(|kind| kind.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    let text = read(body).await?;
    let message = Message::parse(&text).map_err(|error| {
        let code = if error.is_data() { INVALID_REQUEST } else { PARSE_ERROR };
        refusal(StatusCode::BAD_REQUEST, RawValue::NULL, &Answer::failure(code, &error.to_string()))
    })?;
    match message.kind() {
        Kind::Request(id, method) => ask(bridge, &headers, id, method, message.params).await,
        Kind::Notification(method) => {
            if let Some(client) = session(bridge, &headers)? {
                client.says(method, message.params);
            }
            Ok(accepted())
        }
        Kind::Answer(id, answer) => match session(bridge, &headers)? {
            Some(client) => {
                client.replies(id, &answer);
                Ok(accepted())
            }
            None => Err(plain(StatusCode::BAD_REQUEST, "nobody asked")),
        },
        Kind::Nonsense => {
            let answer = Answer::failure(INVALID_REQUEST, "this is no JSON-RPC message");
            Err(refusal(StatusCode::BAD_REQUEST, RawValue::NULL, &answer))
        }
    }
}

/// A request of a client.
async fn ask(
    bridge: &Bridge,
    headers: &HeaderMap,
    id: &RawValue,
    method: &str,
    params: Option<&RawValue>,
) -> Result<Response<Body>, Refusal> {
    if headers::era_of(headers, method, params) == Era::Modern {
        if let Err(answer) = headers::check(headers, method, params) {
            return Err(refusal(headers::status_of(&answer, false), id, &answer));
        }
        let news = Arc::new(Outbox::default());
        if method == "subscriptions/listen" {
            return match listen(bridge, id, params, &news).await {
                Ok(client) => {
                    bridge.listens(&news);
                    Ok(stream(news, None, Box::pin(std::future::pending()), client))
                }
                Err(answer) => Err(refusal(headers::status_of(&answer, true), id, &answer)),
            };
        }
        let client = bridge.passer_by(Arc::clone(&news));
        return Ok(respond(client, news, Era::Modern, id, method, params).await);
    }
    if !headers::is_version_known(headers) {
        return Err(plain(
            StatusCode::BAD_REQUEST,
            "MCP-Protocol-Version names a revision that is not spoken",
        ));
    }
    if method == "initialize" {
        return initialize(bridge, id, params).await;
    }
    let client = match session(bridge, headers)? {
        Some(client) => client,
        // No session is needed where the server is the same for all.
        None if bridge.0.mode == Mode::Shared => bridge.passer_by(Arc::default()),
        None => return Err(plain(StatusCode::BAD_REQUEST, "Mcp-Session-Id is missing")),
    };
    if client.load() >= LOAD_MAX {
        return Err(plain(StatusCode::TOO_MANY_REQUESTS, "too many requests of this session are in work"));
    }
    Ok(respond(client, Arc::default(), Era::Handshake, id, method, params).await)
}

/// Begins a session.
async fn initialize(
    bridge: &Bridge,
    id: &RawValue,
    params: Option<&RawValue>,
) -> Result<Response<Body>, Refusal> {
    let (client, answer) = bridge
        .initialize(params, Arc::default())
        .await
        .map_err(|answer| refusal(StatusCode::SERVICE_UNAVAILABLE, id, &answer))?;
    let mut response = json(StatusCode::OK, Message::answer(id, &answer).to_bytes());
    let session = session_id().map_err(|_| plain(StatusCode::SERVICE_UNAVAILABLE, "no random numbers"))?;
    let value = HeaderValue::from_str(&session);
    if let (Ok(value), Ok(mut sessions)) = (value, bridge.0.sessions.lock()) {
        response.headers_mut().insert(SESSION, value);
        sessions.insert(session, client);
    }
    Ok(response)
}

/// The answer, as plain JSON if that is all there is to say, else as a stream. If the client goes away, the
/// server is told.
async fn respond(
    client: Arc<Client>,
    news: Arc<Outbox>,
    era: Era,
    id: &RawValue,
    method: &str,
    params: Option<&RawValue>,
) -> Response<Body> {
    let (id, method, params) = (id.to_owned(), method.to_owned(), params.map(ToOwned::to_owned));
    let mut call = Box::pin({
        let (news, client) = (Arc::clone(&news), Arc::clone(&client));
        async move {
            let answer = client.answer(era, &id, &method, params.as_deref(), &news).await?;
            let status = if era == Era::Modern { headers::status_of(&answer, true) } else { StatusCode::OK };
            Some((Message::answer(&id, &answer).to_bytes(), status))
        }
    });
    let first = tokio::select! {
        biased;
        answer = call.as_mut() => {
            let Some((message, status)) = answer else {
                return accepted();
            };
            match news.take() {
                None => return json(status, message),
                first => return stream(news, first, Box::pin(std::future::ready(Some(message))), client),
            }
        }
        first = news.next() => first,
        () = sleep(QUIET_MAX) => None,
    };
    let answer = Box::pin(async move { call.await.map(|(message, _)| message) });
    stream(news, first, answer, client)
}

/// The stream of what concerns no request.
fn get(bridge: &Bridge, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
    if !headers::accepts(headers, "text/event-stream") {
        return Err(plain(StatusCode::NOT_ACCEPTABLE, "the client must accept text/event-stream"));
    }
    if headers::era_of(headers, "", None) == Era::Modern || headers.get(SESSION).is_none() {
        return Err(not_allowed());
    }
    let client = session(bridge, headers)?.ok_or_else(not_allowed)?;
    let outbox = Arc::clone(&client.outbox);
    bridge.listens(&outbox);
    Ok(stream(outbox, None, Box::pin(std::future::pending()), Listens::new(client)))
}

/// Marks the time that a client has its stream open.
struct Listens(Arc<Client>);

impl Listens {
    /// From now on.
    fn new(client: Arc<Client>) -> Self {
        client.busy.fetch_add(1, Ordering::Relaxed);
        Self(client)
    }
}

impl Drop for Listens {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        if let Ok(mut used) = self.0.used.lock() {
            *used = Instant::now();
        }
    }
}

/// The end of a session.
fn delete(bridge: &Bridge, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
    if headers::era_of(headers, "", None) == Era::Modern {
        return Err(not_allowed());
    }
    let client = session(bridge, headers)?
        .ok_or_else(|| plain(StatusCode::BAD_REQUEST, "Mcp-Session-Id is missing"))?;
    let id = headers::header(headers, SESSION).unwrap_or_default();
    let ended = bridge.0.sessions.lock().ok().and_then(|mut sessions| sessions.remove(id));
    client.outbox.close();
    drop((client, ended));
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// The session that the headers name, if they name one.
fn session(bridge: &Bridge, headers: &HeaderMap) -> Result<Option<Arc<Client>>, Refusal> {
    let Some(id) = headers::header(headers, SESSION) else {
        return Ok(None);
    };
    let client = bridge.0.sessions.lock().ok().and_then(|sessions| sessions.get(id).cloned());
    match client {
        Some(client) => Ok(Some(client)),
        // The client begins anew then.
        None => Err(plain(StatusCode::NOT_FOUND, "there is no such session")),
    }
}

/// A session's id, which nobody can guess.
fn session_id() -> std::io::Result<Box<str>> {
    let mut random = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)).into())
}

/// A client's body.
async fn read<B>(body: B) -> Result<Bytes, Refusal>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display,
{
    let body = body.map_err(|error| std::io::Error::other(error.to_string()));
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MiB"))
        }
        Err(_) => Err(plain(StatusCode::BAD_REQUEST, "the body is incomplete")),
    }
}

/// JSON.
fn json(status: StatusCode, message: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(message).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A failure in the protocol's own form.
fn refusal(status: StatusCode, id: &RawValue, answer: &Answer) -> Refusal {
    Refusal(Box::new(json(status, Message::answer(id, answer).to_bytes())))
}

/// A failure in words.
fn plain(status: StatusCode, text: &'static str) -> Refusal {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Refusal(Box::new(response))
}

/// There is nothing to do that way.
fn not_allowed() -> Refusal {
    let Refusal(mut response) = plain(StatusCode::METHOD_NOT_ALLOWED, "not allowed");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
    Refusal(response)
}

/// Heard, with nothing to answer.
fn accepted() -> Response<Body> {
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
