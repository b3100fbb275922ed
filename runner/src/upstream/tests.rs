//! Calls against a server that records what arrives.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::config::{AuthConfig, KeyPlace};
use crate::tools::tests::{catalogue, options};

/// One request as it arrived.
#[derive(Debug, Clone)]
struct Arrived {
    method: String,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A server on loopback, and what arrived there.
struct Recorder {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Recorder {
    /// Listens until the test's runtime ends.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let record = arrived.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let record = record.clone();
                let service = service_fn(move |request| reply(request, record.clone()));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { address, arrived }
    }

    /// The only request that arrived.
    fn only(&self) -> Arrived {
        let arrived = self.arrived.lock().unwrap();
        assert_eq!(arrived.len(), 1, "{arrived:?}");
        arrived[0].clone()
    }
}

/// Records a request; the end of its path says what to answer.
async fn reply(
    request: Request<Incoming>,
    record: Arc<Mutex<Vec<Arrived>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let target = head.uri.to_string();
    let echoed = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let arrived =
        Arrived { method: head.method.to_string(), target: target.clone(), headers: head.headers, body };
    record.lock().unwrap().push(arrived);
    let response = Response::builder().header("content-type", "application/json");
    let response = match target.rsplit('/').next().unwrap() {
        "denied" => response.status(401).body(Full::from(format!("bad key {}", echoed.unwrap_or_default()))),
        "moved" => {
            response.status(302).header("location", "http://127.0.0.1:1/elsewhere").body(Full::default())
        }
        "huge" => response.body(Full::from(vec![b'1'; call::REPLY_BYTES_MAX + 1])),
        _ => response.body(Full::from(r#"{"ok":true}"#)),
    };
    Ok(response.unwrap())
}

/// Calls the one operation of a document whose calls go to the recorder.
async fn call(
    recorder: &Recorder,
    operation: (&str, &str, Value),
    upstream: &Upstream,
    arguments: Value,
) -> Answer {
    let (method, path, operation) = operation;
    let document = json!({"openapi": "3.0.3", "paths": {path: {method: operation}}});
    let base = format!("http://{}/base", recorder.address);
    let (catalogue, skipped) = catalogue(document, &options(&Value::Null, Some(&base))).unwrap();
    assert_eq!(skipped, []);
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    upstream.call(&catalogue, 0, arguments, None).await
}

/// An upstream without credentials.
fn anonymous() -> Upstream {
    Upstream::new(Settings { is_chosen: true, ..Settings::default() }).unwrap()
}

/// An upstream with these credentials.
fn with(auth: AuthConfig) -> Upstream {
    Upstream::new(Settings { auth: Auth::All(auth), is_chosen: true, ..Settings::default() }).unwrap()
}

#[tokio::test]
async fn a_call_arrives_as_the_document_describes_it() {
    let recorder = Recorder::start().await;
    let operation = json!({
        "parameters": [
            {"in": "path", "name": "owner", "required": true, "schema": {"type": "string"}},
            {"in": "query", "name": "labels", "explode": false, "schema": {"type": "array", "items": {"type": "string"}}},
            {"in": "header", "name": "X-Trace", "schema": {"type": "string"}}],
        "requestBody": {"required": true, "content": {"application/vnd.things+json": {"schema": {"type": "object",
            "required": ["title"], "properties": {"title": {"type": "string"}, "count": {"type": "integer"}}}}}}});
    let custom = BTreeMap::from([("X-Team".to_owned(), "blue".to_owned())]);
    let auth = AuthConfig::Bearer { token: "t0ken-t0ken".into() };
    let settings =
        Settings { auth: Auth::All(auth), custom_headers: custom, logs_headers: true, ..Settings::default() };
    let upstream = Upstream::new(settings).unwrap();
    let arguments =
        json!({"owner": "a/b", "labels": ["x", "y&z"], "X-Trace": "t1", "title": "é", "count": 2});
    let answer = call(&recorder, ("post", "/repos/{owner}/things", operation), &upstream, arguments).await;
    assert_eq!(answer.structured, Some(json!({"ok": true})), "{answer:?}");
    assert!(!answer.is_error);

    let arrived = recorder.only();
    assert_eq!(arrived.method, "POST");
    assert_eq!(arrived.target, "/base/repos/a%2Fb/things?labels=x,y%26z");
    let header = |name: &str| arrived.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-trace"), "t1");
    assert_eq!(header("x-team"), "blue");
    assert_eq!(header("authorization"), "Bearer t0ken-t0ken");
    assert_eq!(header("content-type"), "application/vnd.things+json");
    assert_eq!(header("host"), recorder.address.to_string());
    assert!(header("accept").starts_with("application/json"));
    assert!(header("user-agent").starts_with("mcp-runner/"));
    let body: Value = serde_json::from_slice(&arrived.body).unwrap();
    assert_eq!(body, json!({"title": "é", "count": 2}));
}

#[tokio::test]
async fn keys_go_into_the_query_and_the_cookie() {
    let recorder = Recorder::start().await;
    let key = |place| AuthConfig::ApiKey { place, name: "k".into(), value: "s3cret value".into() };
    let upstream = with(key(KeyPlace::Query));
    let operation = json!({"parameters": [{"in": "query", "name": "q"}]});
    call(&recorder, ("get", "/a", operation.clone()), &upstream, json!({"q": "x"})).await;
    call(&recorder, ("get", "/a", operation), &upstream, json!({})).await;
    let upstream = with(key(KeyPlace::Cookie));
    call(&recorder, ("get", "/a", json!({})), &upstream, json!({})).await;
    let arrived = recorder.arrived.lock().unwrap();
    let targets: Vec<&str> = arrived.iter().map(|one| one.target.as_str()).collect();
    assert_eq!(targets, ["/base/a?q=x&k=s3cret%20value", "/base/a?k=s3cret%20value", "/base/a"]);
    assert_eq!(arrived[2].headers["cookie"], "k=s3cret%20value");
}

#[tokio::test]
async fn a_call_without_a_body_says_so_only_where_one_is_usual() {
    let recorder = Recorder::start().await;
    for method in ["post", "get"] {
        call(&recorder, (method, "/a", json!({})), &anonymous(), json!({})).await;
    }
    let arrived = recorder.arrived.lock().unwrap();
    assert_eq!(arrived[0].headers["content-length"], "0");
    assert!(!arrived[1].headers.contains_key("content-length"));
    assert!(arrived.iter().all(|one| one.body.is_empty() && !one.headers.contains_key("content-type")));
}

#[tokio::test]
async fn bad_arguments_never_leave() {
    let recorder = Recorder::start().await;
    for arguments in [json!({}), json!({"id": ".."}), json!({"id": "1", "other": 2})] {
        let answer = call(&recorder, ("get", "/a/{id}", json!({})), &anonymous(), arguments).await;
        assert!(answer.is_error && answer.words().starts_with("cannot call get_a_id: "), "{answer:?}");
    }
    assert!(recorder.arrived.lock().unwrap().is_empty());
}

#[tokio::test]
async fn failures_are_errors_without_secrets() {
    let recorder = Recorder::start().await;
    let auth = AuthConfig::Bearer { token: "t0ken-t0ken".into() };
    let upstream = with(auth);
    let answer = call(&recorder, ("get", "/denied", json!({})), &upstream, json!({})).await;
    assert!(answer.is_error);
    assert!(
        answer.words().contains("HTTP 401") && answer.words().ends_with("bad key Bearer ***"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let recorder = Recorder::start().await;
    let answer = call(&recorder, ("get", "/moved", json!({})), &anonymous(), json!({})).await;
    assert!(answer.is_error);
    assert!(answer.words().contains("to http://127.0.0.1:1/elsewhere, which is not followed"), "{answer:?}");
}

#[tokio::test]
async fn replies_are_bounded() {
    let recorder = Recorder::start().await;
    let answer = call(&recorder, ("get", "/huge", json!({})), &anonymous(), json!({})).await;
    assert!(answer.is_error && answer.words().contains("the reply is larger than 8 MiB. "), "{answer:?}");
}

#[tokio::test]
async fn an_upstream_that_is_away_is_named() {
    let recorder = Recorder { address: "127.0.0.1:1".parse().unwrap(), arrived: Arc::default() };
    let answer = call(&recorder, ("get", "/a", json!({})), &anonymous(), json!({})).await;
    assert!(answer.is_error);
    assert!(answer.words().starts_with("cannot call GET http://127.0.0.1:1/base/a: "), "{answer:?}");
    assert!(answer.words().to_lowercase().contains("refused"), "{answer:?}");
}

#[tokio::test]
async fn mock_answers_say_so_and_call_nobody() {
    let document = json!({"openapi": "3.0.3", "paths": {"/a/{id}": {"get": {"responses": {"200": {"content":
        {"application/json": {"example": {"id": 7}}}}}}}}});
    let (catalogue, _) = catalogue(document, &options(&Value::Null, Some("mock"))).unwrap();
    let Value::Object(arguments) = json!({"id": "x"}) else { panic!("an object") };
    let answer = anonymous().call(&catalogue, 0, arguments, None).await;
    assert_eq!(answer.structured, Some(json!({"id": 7})));
    assert!(
        answer.words().starts_with("Mock answer to GET /a/x, made from the API's document"),
        "{answer:?}"
    );
    let missing = anonymous().call(&catalogue, 0, Arguments::new(), None).await;
    assert!(missing.is_error, "{missing:?}");
}
