//! The way to upstreams: tokens, retries, redirects, proxies, headers that go on, and where nothing goes.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::{Client, Pending, Runner, Upstream, pets, program};

/// A call of a tool that takes nothing.
fn call(client: &Client, headers: &[(&str, &str)]) -> Pending {
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "listPets"}});
    client.post(headers, &message)
}

/// The text of a result.
fn words(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

/// A token endpoint's flag beside that of the upstream.
fn oauth(tokens: &Upstream, more: &Value) -> String {
    let mut auth = json!({"type": "oauth2", "clientId": "me:too", "clientSecret": "s3cret-s3cret",
        "tokenUrl": format!("{}/token", tokens.url()), "scopes": ["read", "write"]});
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("--auth-config={auth}")
}

#[test]
fn a_token_is_fetched_once_for_all_who_wait_and_kept() {
    let (upstream, tokens) = (Upstream::new(), Upstream::new());
    let (_runner, client) = Runner::serve(&[&upstream.flag(), &oauth(&tokens, &json!({}))]);
    let waiting: Vec<Pending> = (0..5).map(|_| call(&client, &[])).collect();
    let asked = tokens.next();
    assert_eq!(asked.line(), "POST /v1/token");
    assert!(
        asked.head.contains("authorization: Basic bWUlM0F0b286czNjcmV0LXMzY3JldA==\r\n"),
        "{}",
        asked.head
    );
    assert_eq!(asked.body, "grant_type=client_credentials&scope=read%20write");
    asked.answer("200 OK", &json!({"access_token": "t-one", "token_type": "Bearer", "expires_in": 3600}));
    for _ in &waiting {
        let got = upstream.next();
        assert!(got.head.contains("authorization: Bearer t-one\r\n"), "{}", got.head);
        got.answer("200 OK", &json!({}));
    }
    for pending in waiting {
        assert_eq!(pending.result()["isError"], false);
    }
    // A token that ended early: one more is fetched, once, and the call is made again.
    let pending = call(&client, &[]);
    upstream.next().answer("401 Unauthorized", &json!({}));
    tokens.next().answer("200 OK", &json!({"access_token": "t-two", "expires_in": 3600}));
    let again = upstream.next();
    assert!(again.head.contains("Bearer t-two\r\n"));
    again.answer("401 Unauthorized", &json!({"reason": "t-two is no good"}));
    let result = pending.result();
    assert!(result["isError"] == true && words(&result).contains("*** is no good"), "{result}");
}

#[test]
fn a_refresh_token_is_used_and_replaced_and_a_refusal_says_no_secret() {
    let (upstream, tokens) = (Upstream::new(), Upstream::new());
    let more = json!({"refreshToken": "r-first", "clientAuth": "post", "scopes": []});
    let (_runner, client) = Runner::serve(&[&upstream.flag(), &oauth(&tokens, &more)]);
    let pending = call(&client, &[]);
    let asked = tokens.next();
    assert_eq!(
        asked.body,
        "grant_type=refresh_token&refresh_token=r-first&client_id=me%3Atoo&client_secret=s3cret-s3cret"
    );
    // It ends at once, so the next call fetches another.
    asked.answer("200 OK", &json!({"access_token": "a", "expires_in": 0, "refresh_token": "r-second"}));
    upstream.next().answer("200 OK", &json!({}));
    assert_eq!(pending.result()["isError"], false);
    let pending = call(&client, &[]);
    let asked = tokens.next();
    assert!(asked.body.contains("refresh_token=r-second"), "{}", asked.body);
    let words_of = json!({"error": "invalid_grant", "error_description": "r-second of s3cret-s3cret"});
    asked.answer("400 Bad Request", &words_of);
    let result = pending.result();
    assert!(words(&result).ends_with("400 Bad Request invalid_grant *** of ***"), "{result}");
}

#[test]
fn what_passes_is_tried_again_and_what_writes_is_not() {
    let upstream = Upstream::new();
    let (_runner, client) = Runner::serve(&[&upstream.flag()]);
    let pending = call(&client, &[]);
    upstream.next().answer("503 Service Unavailable", &json!({}));
    drop(upstream.next());
    upstream.next().answer("200 OK", &json!({"third": true}));
    assert_eq!(pending.result()["structuredContent"], json!({"third": true}));
    let add = json!({"name": "addPet", "arguments": {"body": {"a": 1}}});
    let pending = client.legacy("tools/call", &add);
    upstream.next().answer("503 Service Unavailable", &json!({}));
    assert_eq!(pending.result()["isError"], true);
    // It would be too late then: told at once.
    let began = Instant::now();
    let pending = call(&client, &[]);
    upstream.next().respond("429 Too Many Requests", "retry-after: 3600\r\n", &json!({}));
    assert!(words(&pending.result()).contains("(retry after 3600)"));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_call_has_a_time_and_calls_have_a_pace() {
    let upstream = Upstream::new();
    let limits = r#"--upstream={"timeout": "1s", "concurrency": 1, "rate": "100/1s"}"#;
    let (_runner, client) = Runner::serve(&[&upstream.flag(), limits]);
    let (first, second) = (call(&client, &[]), call(&client, &[]));
    let held = upstream.next();
    let results = [first.result(), second.result()].map(|result| words(&result).to_owned());
    assert!(results.iter().all(|text| text.contains("no complete reply within")), "{results:?}");
    held.closed();
}

#[test]
fn redirects_stay_on_the_server_unless_others_are_wanted() {
    let (upstream, other) = (Upstream::new(), Upstream::new());
    let bearer = r#"--auth-config={"type":"bearer","token":"t0ken-t0ken"}"#;
    let (_runner, client) = Runner::serve(&[&upstream.flag(), bearer]);
    let pending = call(&client, &[]);
    upstream.next().respond("302 Found", "location: ../other?x=1\r\n", &json!({}));
    let onward = upstream.next();
    assert_eq!(onward.line(), "GET /other?x=1");
    assert!(onward.head.contains("authorization: Bearer t0ken-t0ken"));
    onward.respond("302 Found", &format!("location: {}/x\r\n", other.url()), &json!({}));
    let result = pending.result();
    assert!(words(&result).contains("which is not followed"), "{result}");
    // A circle ends.
    let pending = call(&client, &[]);
    for _ in 0..6 {
        upstream.next().respond("307 Temporary Redirect", "location: /again\r\n", &json!({}));
    }
    assert_eq!(pending.result()["isError"], true);
    // Others are wanted, but not those that only we can reach.
    let (_runner, client) = Runner::serve(&[&upstream.flag(), bearer, r#"--upstream={"redirects":"any"}"#]);
    for private in
        [format!("{}/x", other.url()), "http://169.254.169.254/latest".into(), "http://localhost/x".into()]
    {
        let pending = call(&client, &[]);
        upstream.next().respond("302 Found", &format!("location: {private}\r\n"), &json!({}));
        let result = pending.result();
        assert!(words(&result).contains("not public"), "{result}");
    }
}

#[test]
fn a_document_does_not_lead_to_a_clouds_metadata() {
    for server in ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://[::ffff:a9fe:a9fe]/"] {
        let mut document = pets();
        document["servers"] = json!([{"url": server}]);
        let runner = Runner::spawn(program().arg(format!("--openapi-data={document}")));
        let result = call(&runner.client(), &[]).result();
        assert!(words(&result).contains("link-local address, which only baseUrl may name"), "{result}");
    }
}

#[test]
fn named_headers_go_on_and_others_do_not() {
    let upstream = Upstream::new();
    let forward = r#"--forward-headers=["Authorization", "X-Tenant"]"#;
    let bearer = r#"--auth-config={"type":"bearer","token":"t0ken-t0ken"}"#;
    let (_runner, client) = Runner::serve(&[&upstream.flag(), forward, bearer]);
    let pending = call(&client, &[("authorization", "Bearer mine"), ("x-tenant", "a"), ("cookie", "c=1")]);
    let got = upstream.next();
    assert!(got.head.contains("authorization: Bearer mine\r\n") && got.head.contains("x-tenant: a\r\n"));
    assert!(!got.head.contains("t0ken") && !got.head.contains("cookie"), "{}", got.head);
    got.answer("200 OK", &json!({}));
    pending.result();
    let pending = call(&client, &[]);
    let got = upstream.next();
    assert!(got.head.contains("Bearer t0ken-t0ken\r\n") && !got.head.contains("x-tenant"), "{}", got.head);
    got.answer("200 OK", &json!({}));
    pending.result();
    let (_runner, client) = Runner::serve(&[&upstream.flag()]);
    let pending = call(&client, &[("authorization", "Bearer mine"), ("x-tenant", "a")]);
    let got = upstream.next();
    assert!(!got.head.contains("mine") && !got.head.contains("x-tenant"), "{}", got.head);
    got.answer("200 OK", &json!({}));
    pending.result();
}

#[test]
fn operations_get_the_credentials_of_their_schemes() {
    let upstream = Upstream::new();
    let mut document = pets();
    document["components"]["securitySchemes"] = json!({"key": {"type": "apiKey", "in": "header", "name": "X-Key"}, "token": {"type": "http", "scheme": "bearer"}});
    document["security"] = json!([{"token": []}]);
    document["paths"]["/pets"]["post"]["security"] = json!([{"key": []}]);
    document["paths"]["/pets/{petId}"]["get"]["security"] = json!([]);
    let auth = json!({"key": {"type": "apiKey", "in": "header", "name": "X-Key", "value": "k-k-k-k"},
        "token": {"type": "bearer", "token": "t-t-t-t"}});
    let runner = Runner::spawn(program().args([
        format!("--openapi-data={document}"),
        format!("--auth-config={auth}"),
        upstream.flag(),
    ]));
    let client = runner.client();
    for (tool, arguments, key, token) in [
        ("listPets", json!({}), false, true),
        ("addPet", json!({"body": {"a": 1}}), true, false),
        ("getPet", json!({"petId": "1"}), false, false),
    ] {
        let pending = client.legacy("tools/call", &json!({"name": tool, "arguments": arguments}));
        let got = upstream.next();
        assert_eq!(
            (got.head.contains("x-key: k-k-k-k"), got.head.contains("Bearer t-t-t-t")),
            (key, token),
            "{tool}"
        );
        got.answer("200 OK", &json!({}));
        pending.result();
    }
}

#[test]
fn a_proxy_passes_requests_on_unless_it_is_spared() {
    let (proxy, upstream) = (Upstream::new(), Upstream::new());
    let through = format!(
        "--upstream={}",
        json!({"proxy": proxy.url().replace("http://", "http://u:p@").replace("/v1", "")})
    );
    let runner = Runner::spawn(program().args([
        format!("--openapi-data={}", pets()),
        "--base-url=http://pets.invalid/v1".to_owned(),
        through,
    ]));
    let client = runner.client();
    let pending = call(&client, &[]);
    let got = proxy.next();
    assert_eq!(got.line(), "GET http://pets.invalid/v1/pets");
    assert!(got.head.contains("proxy-authorization: Basic dTpw\r\n"), "{}", got.head);
    got.answer("200 OK", &json!({"proxied": true}));
    assert_eq!(pending.result()["structuredContent"], json!({"proxied": true}));
    // The environment's proxy, for TLS: a tunnel. And whom it spares.
    let mut command = program();
    command.args([format!("--openapi-data={}", pets()), "--base-url=https://pets.invalid/v1".to_owned()]);
    command.arg("--upstream={\"retries\": 0}");
    command.env("HTTPS_PROXY", proxy.url().replace("/v1", "")).env("NO_PROXY", "127.0.0.1");
    command.env("HTTP_PROXY", "http://127.0.0.1:1");
    let runner = Runner::spawn(&mut command);
    let pending = call(&runner.client(), &[]);
    let got = proxy.next();
    assert_eq!(got.line(), "CONNECT pets.invalid:443");
    got.answer("403 Forbidden", &json!({}));
    let result = words(&pending.result()).to_owned();
    assert!(result.contains("the proxy: "), "{result}");
    let runner = Runner::spawn(command.arg(upstream.flag()));
    let pending = call(&runner.client(), &[]);
    upstream.next().answer("200 OK", &json!({"direct": true}));
    assert_eq!(pending.result()["structuredContent"], json!({"direct": true}));
}

#[test]
fn an_upstream_may_be_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("mcp-runner-reach-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0);
        }
        assert!(
            head.starts_with("GET /v1.41/pets HTTP/1.1\r\n") && head.contains("host: docker\r\n"),
            "{head}"
        );
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        drop(stream.read(&mut [0]));
    });
    let socket = format!("--upstream={}", json!({"socket": path}));
    let (_runner, client) = Runner::serve(&["--base-url=http://docker/v1.41", &socket]);
    let result = call(&client, &[]).result();
    assert_eq!(result["isError"], false, "{result}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_was_not_heard_is_said_again() {
    // A port that is taken, so that nobody else gets it, and that nobody listens on.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    let (_runner, client) = Runner::serve(&[&format!("--base-url=http://{address}")]);
    let result = call(&client, &[]).result();
    assert!(words(&result).to_lowercase().contains("refused"), "{result}");
}
