//! Streamable HTTP: both eras on one endpoint, strangers refused, stops that finish what is in flight.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{LONG, Runner, Upstream, until};

/// The names in a result of `tools/list`.
fn names(result: &Value) -> Vec<&str> {
    result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn every_revision_with_a_handshake_is_spoken() {
    let (_runner, client) = Runner::serve(&["--server-id=pets", "--server-name=Pet store"]);
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let who = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": who});
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params});
        let result = client.post(&[], &message).result();
        assert_eq!(result["protocolVersion"], revision);
        assert_eq!(
            (&result["serverInfo"]["name"], &result["serverInfo"]["title"]),
            (&json!("pets"), &json!("Pet store"))
        );
        assert!(result["capabilities"]["tools"].is_object());
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let reply = client.post(&[("mcp-protocol-version", revision)], &initialized).reply();
        assert_eq!((reply.status, reply.body), (202, json!("")));
        let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        let result = client.post(&[("mcp-protocol-version", revision)], &list).result();
        assert_eq!(names(&result), ["listPets", "addPet", "getPet"]);
    }
    assert_eq!(client.legacy("ping", &json!({})).result(), json!({}));
}

#[test]
fn a_call_of_the_old_era_reaches_the_upstream_and_comes_back() {
    let upstream = Upstream::new();
    let (_runner, client) = Runner::serve(&[&upstream.flag()]);
    let pending = client.legacy("tools/call", &json!({"name": "getPet", "arguments": {"petId": "a/b"}}));
    let call = upstream.next();
    assert_eq!(call.line(), "GET /v1/pets/a%2Fb");
    call.answer("200 OK", &json!({"name": "Rex"}));
    let result = pending.result();
    assert_eq!((&result["isError"], &result["structuredContent"]), (&json!(false), &json!({"name": "Rex"})));
    assert!(result["content"][0]["text"].as_str().unwrap().contains("Rex"));
    assert!(result.get("resultType").is_none(), "a word this era does not know");

    let arguments = json!({"body": {"name": "Tom"}});
    let pending = client.legacy("tools/call", &json!({"name": "addPet", "arguments": arguments}));
    let call = upstream.next();
    assert_eq!((call.line(), call.body.as_str()), ("POST /v1/pets", r#"{"name":"Tom"}"#));
    call.answer("201 Created", &json!({"id": 2}));
    assert_eq!(pending.result()["structuredContent"], json!({"id": 2}));

    let pending = client.legacy("tools/call", &json!({"name": "getPet", "arguments": {"petId": "1"}}));
    upstream.next().answer("404 Not Found", &json!({"reason": "no such pet"}));
    let result = pending.result();
    assert_eq!(result["isError"], true);
    assert!(result["content"][0]["text"].as_str().unwrap().contains("no such pet"));
}

#[test]
fn the_new_era_is_spoken_on_the_same_endpoint() {
    let upstream = Upstream::new();
    let (_runner, client) = Runner::serve(&[&upstream.flag()]);
    let result = client.modern("server/discover", &json!({})).result();
    let versions = result["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2024-11-05")));

    let result = client.modern("tools/list", &json!({})).result();
    assert_eq!((names(&result).len(), &result["resultType"]), (3, &json!("complete")));
    let hints = &result["tools"][0]["annotations"];
    assert_eq!((&hints["readOnlyHint"], &hints["destructiveHint"]), (&json!(true), &json!(false)));

    let pending = client.modern("tools/call", &json!({"name": "listPets", "arguments": {}}));
    upstream.next().answer("200 OK", &json!([1, 2]));
    let result = pending.result();
    assert_eq!((&result["resultType"], &result["structuredContent"]), (&json!("complete"), &json!([1, 2])));

    // The same answer for a peer whose era knows objects only.
    let pending = client.legacy("tools/call", &json!({"name": "listPets", "arguments": {}}));
    upstream.next().answer("200 OK", &json!([1, 2]));
    let result = pending.result();
    assert!(result.get("structuredContent").is_none() && result["content"][0]["text"].is_string());
}

#[test]
fn a_plain_call_is_answered_byte_for_byte_as_any_other() {
    let upstream = Upstream::new();
    let (_runner, client) = Runner::serve(&[&upstream.flag()]);
    // What is not plain goes the long way: a legacy call that asks for progress, one of 2026-07-28 whose name stands
    // in its header as it may, but encoded.
    let asked = |name: &str, is_modern: bool, is_plain: bool| {
        let mut params = json!({"name": name, "arguments": {"petId": "1"}});
        let encoded = if name == "getPet" { "=?base64?Z2V0UGV0?=" } else { "=?base64?bm9wZQ==?=" };
        let told = [("mcp-method", "tools/call"), ("mcp-name", if is_plain { name } else { encoded })];
        if is_modern {
            params = crate::support::with_meta(&params);
        } else if !is_plain {
            params["_meta"] = json!({"progressToken": 1});
        }
        let message = json!({"jsonrpc": "2.0", "id": "a\"b", "method": "tools/call", "params": params});
        let version = if is_modern { "2026-07-28" } else { "2025-11-25" };
        let mut headers = vec![("mcp-protocol-version", version)];
        headers.extend(told.iter().filter(|_| is_modern));
        client.post(&headers, &message)
    };
    let undated = |text: String| {
        let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: "));
        lines.collect::<String>()
    };
    for is_modern in [false, true] {
        let [short, long] = [true, false].map(|is_plain| undated(asked("nope", is_modern, is_plain).text()));
        assert!(short.contains("-32602") && short == long, "{short}\n{long}");
        for (status, body) in [
            ("200 OK", json!({"name": "Rex \u{1f436}", "weight": 1.50, "tags": []})),
            ("200 OK", json!([1, 2])),
            ("404 Not Found", json!({"reason": "gone"})),
        ] {
            let [short, long] = [true, false].map(|is_plain| {
                let pending = asked("getPet", is_modern, is_plain);
                upstream.next().answer(status, &body);
                undated(pending.text())
            });
            assert!(short.contains(r#""id":"a\"b""#) && short == long, "{short}\n{long}");
        }
    }
}

#[test]
fn protocol_errors_have_their_codes() {
    let (_runner, client) = Runner::serve(&[]);
    let call = json!({"name": "nope", "arguments": {}});
    for pending in [client.legacy("tools/call", &call), client.modern("tools/call", &call)] {
        assert_eq!(pending.reply().body["error"]["code"], -32602);
    }
    let reply = client.modern("no/such", &json!({})).reply();
    assert_eq!((reply.status, &reply.body["error"]["code"]), (404, &json!(-32601)));
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": crate::support::with_meta(&json!({}))});
    let reply = client
        .post(&[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")], &message)
        .reply();
    assert_eq!((reply.status, &reply.body["error"]["code"]), (400, &json!(-32020)));
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    assert_eq!(client.post(&[("mcp-protocol-version", "1999-01-01")], &list).reply().status, 400);
}

#[test]
fn headers_of_the_new_era_say_what_the_body_says() {
    let mut document = crate::support::pets();
    document["paths"]["/pets"]["get"]["parameters"] =
        json!([{"name": "region", "in": "query", "schema": {"type": "string", "x-mcp-header": "Region"}}]);
    let flags = [format!("--openapi-data={document}"), "--base-url=mock".to_owned()];
    let runner = Runner::spawn(crate::support::program().args(flags));
    let client = runner.client();
    let params = crate::support::with_meta(&json!({"name": "listPets", "arguments": {"region": "eu"}}));
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let told = |name: &str, region: &[(&str, &str)]| {
        let mut headers =
            vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", name)];
        headers.extend(region);
        let reply = client.post(&headers, &message).reply();
        (reply.status, reply.body["error"]["code"].as_i64())
    };
    assert_eq!(told("listPets", &[("mcp-param-region", "eu")]), (200, None));
    assert_eq!(told("listPets", &[("mcp-param-region", "us")]), (400, Some(-32020)));
    assert_eq!(told("listPets", &[]), (400, Some(-32020)));
    assert_eq!(told("getPet", &[("mcp-param-region", "eu")]), (400, Some(-32020)));
    // A revision that nobody knows, and a request that does not say its own.
    let ask = |version: &str, message: &Value| {
        let headers = [
            ("mcp-protocol-version", version),
            ("mcp-method", "tools/call"),
            ("mcp-name", "listPets"),
            ("mcp-param-region", "eu"),
        ];
        let reply = client.post(&headers, message).reply();
        assert_eq!(reply.status, 400);
        reply.body["error"].clone()
    };
    let later = message.to_string().replace("2026-07-28", "2099-01-01");
    let refused = ask("2099-01-01", &serde_json::from_str(&later).unwrap());
    assert_eq!((&refused["code"], &refused["data"]["requested"]), (&json!(-32022), &json!("2099-01-01")));
    assert!(refused["data"]["supported"].as_array().unwrap().contains(&json!("2026-07-28")));
    let mut bare = message.clone();
    bare["params"]["_meta"] = json!({});
    assert_eq!(ask("2026-07-28", &bare)["code"], -32602);
    // What is no message at all, and what only tells.
    let list = message.to_string();
    let status = |kind: &str, accept: &str, body: &str| {
        client.send("POST", "/mcp", &[("content-type", kind), ("accept", accept)], body).reply().status
    };
    let both = "application/json, text/event-stream";
    assert_eq!(status("application/json", "application/json", &list), 406);
    assert_eq!(status("text/plain", both, &list), 415);
    assert_eq!(status("application/json", both, &" ".repeat((4 << 20) + 1)), 413);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    assert_eq!(status("application/json", both, &note), 202);
}

#[test]
fn strangers_and_strays_are_refused() {
    let (_runner, client) = Runner::serve(&[]);
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    let status = |headers: &[(&str, &str)]| client.post(headers, &list).reply().status;
    assert_eq!(status(&[("origin", "https://evil.example")]), 403);
    assert_eq!(status(&[("origin", "null")]), 403);
    assert_eq!(status(&[("origin", "http://localhost:1")]), 403);
    assert_eq!(status(&[("host", "evil.example")]), 403);
    assert_eq!(status(&[("host", &format!("127.0.0.1.evil.example:{}", client.port()))]), 403);
    assert_eq!(status(&[("origin", &format!("http://{}", client.address))]), 200);
    assert_eq!(status(&[("host", &format!("localhost:{}", client.port()))]), 200);
    assert_eq!(client.send("GET", "/mcp", &[("accept", "text/event-stream")], "").reply().status, 405);
    assert_eq!(client.send("POST", "/mcp/more", &[], "{}").reply().status, 404);
    assert_eq!(client.send("GET", "/healthz", &[], "").reply().body, json!({"status": "ok"}));
}

#[test]
fn the_other_loopback_is_served_too() {
    // A container may have none.
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let (_runner, client) = Runner::serve(&["--host=::1", "--endpoint=/pets/mcp"]);
    assert!(client.address.starts_with("[::1]:") && client.path == "/pets/mcp");
    assert_eq!(names(&client.legacy("tools/list", &json!({})).result()).len(), 3);
}

#[test]
fn a_stop_finishes_what_is_in_flight_and_waits_for_nobody_idle() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let upstream = Upstream::new();
        let (runner, client) = Runner::serve(&[&upstream.flag()]);
        // One connection that never asked for anything, and one that is kept after its answer.
        let silent = TcpStream::connect(&client.address).unwrap();
        let mut idle = TcpStream::connect(&client.address).unwrap();
        write!(idle, "GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", client.address).unwrap();
        assert_ne!(idle.read(&mut [0; 16]).unwrap(), 0);

        let pending = client.legacy("tools/call", &json!({"name": "listPets", "arguments": {}}));
        let call = upstream.next();
        runner.signal(signal);
        // The silent connection's end shows that the stop has begun: now the answer may come.
        silent.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!((&silent).read(&mut [0; 16]).unwrap_or(0), 0);
        until(|| TcpStream::connect(&client.address).is_err());
        call.answer("200 OK", &json!({"late": true}));
        assert_eq!(pending.result()["structuredContent"], json!({"late": true}));
        let (status, _) = runner.end();
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

#[test]
fn a_client_that_goes_away_takes_its_call_with_it() {
    let upstream = Upstream::new();
    let (_runner, client) = Runner::serve(&[&upstream.flag()]);
    let call = json!({"name": "listPets", "arguments": {}});
    for pending in [client.legacy("tools/call", &call), client.modern("tools/call", &call)] {
        let mut call = upstream.next();
        drop(pending);
        assert_eq!(call.stream.read(&mut [0; 16]).unwrap_or(0), 0);
    }
}
