//! A long day of clients: they call, cancel, drop off and come again while the document changes under them.
//! Nothing is left of it: no memory, no descriptor, no conversation.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::hostile::{descriptors, status};
use crate::support::{Client, Runner, pets, program, until, with_meta};
use crate::talk::{Sse, Talk, Ws, metric};

/// Memory that may come and go, in KiB: what an allocator keeps for later. A short day never gets warm.
const SLACK: u64 = 3 << 10;
/// Likewise in a long day: a leak of ten bytes a visit would show within an hour.
const LONG_SLACK: u64 = 1 << 9;

/// Visits that a day has at least.
const ROUNDS_MIN: u64 = 40;

/// A day that is longer than this has pauses.
const LOUD_MAX: Duration = Duration::from_mins(1);

/// What a runner holds while nobody asks it anything.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Private memory, in KiB.
    memory: u64,
    /// Open descriptors.
    descriptors: usize,
    /// Threads.
    threads: u64,
}

impl Rest {
    /// Waits until nobody is there, and looks.
    fn of(runner: &Runner, client: &Client) -> Self {
        until(|| metric(client, "mcp_conversations") == 0.0);
        // The one that asks.
        until(|| metric(client, "mcp_open_connections") <= 1.0);
        let look = || (descriptors(runner), status(runner, "Threads"));
        // The connection that asked is being closed.
        let mut last = look();
        until(|| look() == std::mem::replace(&mut last, look()));
        Self { memory: status(runner, "RssAnon"), descriptors: last.0, threads: last.1 }
    }
}

/// An API that answers at once, but for one pet that it never gives out; and how many wait for that.
fn upstream() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = Arc::new(AtomicUsize::new(0));
    let held = Arc::clone(&waiting);
    let serve = move |stream: TcpStream| -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let is_slow = line.contains("/pets/slow");
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        if is_slow {
            // Until the caller gives up.
            held.fetch_add(1, Ordering::Relaxed);
            let ended = reader.read_line(&mut line).map(drop);
            held.fetch_sub(1, Ordering::Relaxed);
            return ended;
        }
        let mut stream = reader.into_inner();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{\"pet\": 1}")
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    (format!("--base-url=http://{address}"), waiting)
}

/// One client's visit; `odd` visits end in the middle of a call.
fn visit(mut talk: Box<dyn Talk>, odd: bool) {
    talk.shake();
    let mut listed = false;
    talk.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
    talk.say(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "listPets"}}));
    let slow = json!({"name": "getPet", "arguments": {"petId": "slow"}});
    talk.say(&json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": slow}));
    // News of a changed document may come between.
    let mut called = false;
    while !(listed && called) {
        let heard = talk.hear().expect("an answer");
        listed |= heard["id"] == 1 && heard["result"]["tools"].as_array().unwrap().len() >= 3;
        called |= heard["id"] == 2 && heard["result"]["structuredContent"] == json!({"pet": 1});
    }
    if odd {
        return;
    }
    talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}));
    talk.say(&json!({"jsonrpc": "2.0", "id": 4, "method": "ping"}));
    while talk.hear().expect("an answer")["id"] != 4 {}
}

/// The same over streamable HTTP, where every request stands for itself.
fn visit_streamable(client: &Client, odd: bool) {
    let slow = json!({"name": "getPet", "arguments": {"petId": "slow"}});
    // Dropped before its answer: cancelled.
    drop(if odd { client.legacy("tools/call", &slow) } else { client.modern("tools/call", &slow) });
    let result = client.legacy("tools/call", &json!({"name": "listPets"})).result();
    assert_eq!(result["structuredContent"], json!({"pet": 1}));
    assert!(client.modern("tools/list", &json!({})).result()["tools"].as_array().unwrap().len() >= 3);
    // A subscription that nobody ends but its client.
    let params = with_meta(&json!({"notifications": {"toolsListChanged": true}}));
    let message = json!({"jsonrpc": "2.0", "id": 9, "method": "subscriptions/listen", "params": params});
    drop(
        client.post(
            &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "subscriptions/listen")],
            &message,
        ),
    );
}

/// Clients of a transport for so long, in a document that changes every other moment.
fn day(transport: &'static str, length: Duration) {
    let folder = std::env::temp_dir().join(format!("mcp-runner-day-{}-{transport}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let document = folder.join("pets.json");
    let write = |tools: u64| {
        let mut changed = pets();
        for at in 0..tools {
            changed["paths"][format!("/more/{at}")] = json!({"get": {"operationId": format!("more{at}")}});
        }
        let fresh = folder.join("fresh");
        fs::write(&fresh, changed.to_string()).unwrap();
        fs::rename(fresh, &document).unwrap();
    };
    write(0);
    let (base_url, waiting) = upstream();
    let runner = Runner::spawn(program().arg(format!("--openapi-data={}", document.display())).args([
        &base_url,
        &format!("--transport={transport}"),
        "--reload-interval=1",
    ]));
    let client = runner.client();
    let turn = |round: u64| match transport {
        "sse" => visit(Box::new(Sse::open(&client)), round % 2 == 1),
        "websocket" => visit(Box::new(Ws::open(&client)), round % 2 == 1),
        _ => visit_streamable(&client, round % 2 == 1),
    };
    let is_long = length > LOUD_MAX;
    let (pause, slack) =
        if is_long { (Duration::from_millis(50), LONG_SLACK) } else { (Duration::ZERO, SLACK) };
    let began = Instant::now();
    // Looked at each tenth of the day; a fifth of it is for getting warm.
    let mut looks: Vec<Rest> = Vec::new();
    let mut round = 0;
    // Where the machine is busy a short day takes longer.
    while began.elapsed() < length || round <= ROUNDS_MIN {
        turn(round);
        if round % 20 == 0 {
            write(round / 20 % 5);
        }
        if began.elapsed() > length / 10 * u32::try_from(looks.len() + 1).unwrap() {
            looks.push(Rest::of(&runner, &client));
        }
        round += 1;
        // An hour is to be long rather than loud.
        thread::sleep(pause);
    }
    until(|| waiting.load(Ordering::Relaxed) == 0);
    let warm = looks.get(1).expect("a day with a morning");
    // Now and then a look sees the connection that asked.
    let fewest = looks.iter().map(|look| look.descriptors).min().expect("a look");
    let mut end = Rest::of(&runner, &client);
    // Memory is given back once nobody asks, and asking is an end to that.
    until(|| {
        end.memory = status(&runner, "RssAnon");
        end.descriptors = descriptors(&runner);
        end.memory <= warm.memory + slack && end.descriptors <= fewest
    });
    assert!(end.threads <= warm.threads, "{transport}: {warm:?}, {end:?}");
    #[expect(clippy::print_stderr, reason = "the figures of an hour are worth to be seen")]
    if is_long {
        eprintln!("{transport}: {round} visits, {looks:?}, at the end {end:?}");
    }
    runner.signal(Signal::SIGTERM);
    let (ended, _) = runner.end();
    assert_eq!(ended.code(), Some(0));
    fs::remove_dir_all(folder).unwrap();
}

/// All transports side by side.
fn days(length: Duration) {
    let all =
        ["streamable", "sse", "websocket"].map(|transport| thread::spawn(move || day(transport, length)));
    let ended = all.map(thread::JoinHandle::join);
    assert!(ended.iter().all(Result::is_ok));
}

#[test]
fn nothing_is_left_of_a_short_day() {
    days(Duration::from_secs(5));
}

#[test]
#[ignore = "wide: takes an hour, or as many minutes as MCP_TEST_SESSION says"]
fn nothing_is_left_of_a_long_day() {
    let said = std::env::var("MCP_TEST_SESSION").ok().and_then(|minutes| minutes.parse().ok());
    days(Duration::from_mins(said.unwrap_or(60)));
}
