//! Clients that mean no good: the server stays within its bounds, and others are served meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::support::{Client, LONG, Runner, until};
use crate::talk::metric;

/// A figure of `/proc/PID/status`, in KiB.
pub(crate) fn status(runner: &Runner, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", runner.child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', ' ', '\t']).split(' ').next().unwrap().parse().unwrap()
}

/// Open descriptors.
pub(crate) fn descriptors(runner: &Runner) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", runner.child.id())).unwrap().count()
}

/// That an honest client is served, and soon.
fn assert_serves(client: &Client) {
    let began = Instant::now();
    assert_eq!(client.legacy("ping", &json!({})).result(), json!({}));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// As many descriptors for us as we may have; whether those are enough for a crowd.
fn take_descriptors() -> bool {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    most >= 2_000
}

#[test]
fn a_thousand_who_say_nothing_keep_nobody_out() {
    if !take_descriptors() {
        return;
    }
    let (runner, client) = Runner::serve(&[]);
    assert_serves(&client);
    let before = descriptors(&runner);
    // Half of them never finish their first line.
    let mut crowd = Vec::new();
    for at in 0..1_000 {
        let mut stream = TcpStream::connect(&client.address).unwrap();
        if at % 2 == 0 {
            stream.write_all(b"POST /mcp HTTP/1.1\r\nhost: local").unwrap();
        }
        crowd.push(stream);
        if at % 100 == 99 {
            assert_serves(&client);
        }
    }
    assert!(descriptors(&runner) <= before + 513, "{}", descriptors(&runner));
    assert!(status(&runner, "VmRSS") < 64 << 10, "{} KiB", status(&runner, "VmRSS"));
    drop(crowd);
    until(|| descriptors(&runner) <= before + 1);
    assert_serves(&client);
}

#[test]
fn giant_heads_and_bodies_are_cut_off() {
    let (runner, client) = Runner::serve(&[]);
    assert_serves(&client);
    let before = status(&runner, "VmRSS");
    let said = |request: &[&[u8]]| {
        let mut stream = TcpStream::connect(&client.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        // It may hang up before it has all of it.
        drop(request.iter().try_for_each(|part| stream.write_all(part)));
        let mut reply = Vec::new();
        drop(stream.read_to_end(&mut reply));
        String::from_utf8_lossy(&reply).lines().next().unwrap_or_default().to_owned()
    };
    let mebibyte = vec![b'x'; 1 << 20];
    let head = said(&[b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: ", &mebibyte, b"\r\n\r\n"]);
    assert!(head.is_empty() || head.contains(" 431 "), "{head}");
    let mut body: Vec<&[u8]> = vec![
        b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
          accept: application/json, text/event-stream\r\ncontent-length: 1073741824\r\n\r\n",
    ];
    body.extend(std::iter::repeat_n(mebibyte.as_slice(), 64));
    let answer = said(&body);
    assert!(answer.is_empty() || answer.contains(" 413 "), "{answer}");
    assert!(status(&runner, "VmHWM") < before + (24 << 10), "{} KiB", status(&runner, "VmHWM"));
    assert_serves(&client);
}

#[test]
fn garbage_is_answered_or_hung_up_on() {
    let (runner, client) = Runner::serve(&[]);
    let before = descriptors(&runner);
    // A fixed seed: what fails once fails again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state & 0xff).unwrap()
    };
    for length in 0..200 {
        let mut stream = TcpStream::connect(&client.address).unwrap();
        let garbage: Vec<u8> = (0..length * 7).map(|_| byte()).collect();
        let start: &[u8] = match length % 3 {
            0 => b"",
            1 => b"GET ",
            _ => b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        };
        drop(stream.write_all(start).and_then(|()| stream.write_all(&garbage)));
    }
    for text in [
        "null",
        "[]",
        "{}",
        "[[[[",
        "\"x\"",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":1}",
    ] {
        let headers =
            [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        let reply = client.send("POST", "/mcp", &headers, text).reply();
        assert!((400..500).contains(&reply.status), "{text}: {reply:?}");
    }
    let deep = "[".repeat(100_000);
    let reply = client
        .post(&[], &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": deep}}))
        .reply();
    assert_eq!(reply.body["error"]["code"], -32602);
    assert_serves(&client);
    until(|| descriptors(&runner) <= before + 1);
    assert!(metric(&client, "mcp_connections_total") > 200.0);
}
