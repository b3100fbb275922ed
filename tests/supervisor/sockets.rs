//! Sockets that the supervisor opens: services find them, keep them over restarts and reloads, and are started by
//! whoever connects. `LISTEN_FDS` is spoken by a shell, by our own runner, and by a program of systemd's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::mcp::Client;
use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{free_port, poll, proc, runner_program, seconds, skip};

/// A program of systemd's that takes its socket as `LISTEN_FDS` and passes connections on.
const PROXY: &str = "/lib/systemd/systemd-socket-proxyd";

#[test]
fn a_service_finds_its_sockets_from_3_on_and_its_channel_behind_them() {
    let port = free_port();
    let keys = json!({ "channel": true, "listen": [
        { "name": "web", "address": format!("127.0.0.1:{port}") }, { "address": "./a.sock", "mode": "600" },
    ] });
    let text = "echo $LISTEN_FDS $LISTEN_FDNAMES $(($LISTEN_PID - $$)) $MCP_INIT_CHANNEL_FD; exec sleep 1000";
    let mut supervisor = Setup::new().shell("a", text, &keys).start();
    supervisor.wait_for("a", "running", seconds(5));
    let log = supervisor.file("log/a/current");
    let said = poll(seconds(30), || {
        let text = std::fs::read_to_string(&log).ok()?;
        text.ends_with('\n').then_some(text)
    });
    let said = said.unwrap_or_else(|| panic!("{}", supervisor.story()));
    assert!(said.ends_with(" 2 web:a 0 5\n"), "{said}");
    let pid = supervisor.pid_of("a").unwrap();
    supervisor.wait_until("it is asleep, with its own descriptors", seconds(5), |_| {
        let numbers: Vec<i32> = proc::descriptors(pid).into_iter().map(|(number, _)| number).collect();
        proc::command_line(pid).starts_with("sleep") && numbers == [0, 1, 2, 3, 4, 5]
    });
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    UnixStream::connect(supervisor.file("services.d/a.sock")).unwrap();
}

#[test]
fn a_socket_outlives_the_processes_that_use_it() {
    let port = free_port();
    let keys = json!({ "listen": [{ "address": format!("127.0.0.1:{port}") }], "restartPolicy":
        { "retryDelay": "1ms", "maxRetries": "unlimited" } });
    let text = "exec sleep 1000";
    let mut supervisor = Setup::new().shell("a", text, &keys).start();
    // Never accepted, and still there after each death.
    let mut waiting = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for restart in 1..=3 {
        supervisor.wait_for("a", "running", seconds(5));
        proc::signal(supervisor.pid_of("a").unwrap(), Signal::SIGKILL);
        supervisor
            .wait_until("it was restarted", seconds(5), |it| it.service("a")["restartCount"] == restart);
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
    supervisor.add("a", &json!({ "command": "sleep", "args": ["1001"], "listen": keys["listen"] }));
    supervisor.ok(&["reload"]);
    supervisor.wait_for("a", "running", seconds(5));
    waiting.set_nonblocking(true).unwrap();
    let kind = waiting.read(&mut [0]).unwrap_err().kind();
    assert_eq!(kind, std::io::ErrorKind::WouldBlock, "the client that waited was hung up on");
    // Stopped means refused; started means that clients may come again.
    supervisor.ok(&["stop", "a"]);
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    supervisor.ok(&["start", "a"]);
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    supervisor.remove("a");
    supervisor.ok(&["reload"]);
    supervisor.wait_until("it is gone", seconds(5), |it| it.service("a").is_null());
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
}

#[test]
fn an_address_that_is_taken_is_told_and_had_once_it_is_free() {
    let scratch = Setup::new();
    let path = scratch.path().join("services.d/a.sock");
    let other = UnixListener::bind(&path).unwrap();
    let keys = json!({ "listen": [{ "address": "./a.sock" }], "restartPolicy": { "retryDelay": "20ms",
        "backoffMultiplier": 1, "maxRetries": "unlimited" } });
    let mut supervisor = scratch.shell("a", "exec sleep 1000", &keys).start();
    supervisor.wait_until("it says why", seconds(5), |it| {
        it.service("a")["lastError"]
            .as_str()
            .is_some_and(|text| text.ends_with("a.sock: Address already in use"))
    });
    drop(other);
    supervisor.wait_for("a", "running", seconds(5));
    UnixStream::connect(&path).unwrap();
}

/// What a client did that never gave up.
#[derive(Debug, Default)]
struct Calls {
    answered: u32,
    retried: u32,
}

/// Calls a server over a connection of its own each time, until `calls` were answered. A connection must never be
/// refused. The rule for a request whose connection ends before the answer: it is sent again.
fn call_on(port: u16, calls: u32, mut between: impl FnMut(u32)) -> Calls {
    let mut done = Calls::default();
    while done.answered < calls {
        let mut client = Client::connect(port).unwrap_or_else(|error| panic!("{error} after {done:?}"));
        match client.call("listPets", &json!({})) {
            Ok(_) => done.answered += 1,
            Err(error) if error.kind() == std::io::ErrorKind::Other => panic!("{error} after {done:?}"),
            Err(_) => done.retried += 1,
        }
        between(done.answered);
    }
    done
}

/// A server is called, killed, restarted and reconfigured meanwhile.
fn no_connection_is_refused(calls: u32, kills: u32) {
    if runner_program().is_none() {
        return skip("no mcp-runner");
    }
    let port = free_port();
    let policy = |name: &str| {
        json!({ "serverName": name, "healthCheck": { "type": "none" },
            "restartPolicy": { "retryDelay": "1ms", "maxRetryDelay": "5ms", "maxRetries": "unlimited" } })
    };
    let mut supervisor =
        Setup::new().setting("restartsPerSecond", json!(1000)).server("pets", port, &policy("one")).start();
    // From the first moment on: it is not running yet.
    let mut told = 0;
    // One client of two sees to it that the server dies, so that the other's requests are in flight then.
    let calls = calls / 2;
    let (every, mut killed) = (calls / kills.max(1), 0);
    let began = Instant::now();
    let other = std::thread::spawn(move || call_on(port, calls, |_| ()));
    let done = call_on(port, calls, |answered| {
        if answered / every > told {
            told = answered / every;
            if let Some(pid) = supervisor.pid_of("pets").filter(|_| killed < kills) {
                proc::signal(pid, Signal::SIGKILL);
                killed += 1;
            }
            if told == kills / 3 {
                supervisor.ok(&["restart", "pets", "--no-wait"]);
            }
            if told == kills / 2 || told == kills * 2 / 3 {
                reconfigure(&supervisor, port, &policy(&format!("at {told}")));
            }
        }
    });
    let other = other.join().unwrap();
    eprintln!("{done:?} and {other:?}, {killed} kills, in {:?}", began.elapsed());
    assert!(killed >= kills / 2, "{killed} kills of {kills}");
    supervisor.wait_for("pets", "running", seconds(10));
}

/// Gives the server another configuration, with the same port.
fn reconfigure(supervisor: &Supervisor, port: u16, keys: &serde_json::Value) {
    let document = crate::support::pets_document();
    let mut config = keys.clone();
    config["mcpConfig"] = json!({ "port": port, "openApiData": document, "baseUrl": "mock" });
    supervisor.add("pets", &config);
    supervisor.ok(&["reload"]);
}

#[test]
fn clients_of_a_server_that_is_killed_and_reconfigured_meet_no_refused_connection() {
    no_connection_is_refused(300, 10);
}

#[test]
#[ignore = "wide: takes 1 minute"]
fn ten_thousand_clients_of_a_server_killed_a_hundred_times_meet_no_refused_connection() {
    no_connection_is_refused(10_000, 100);
}

/// A configuration of servers on demand, on ports of their own.
fn on_demand(count: u16, idle: &str) -> (Setup, Vec<u16>) {
    let mut setup = Setup::new();
    let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
    for (number, port) in ports.iter().enumerate() {
        let keys = json!({ "start": "on-demand", "idleTimeout": idle });
        setup = setup.server(&format!("s{number}"), *port, &keys);
    }
    (setup, ports)
}

#[test]
fn a_server_on_demand_runs_while_it_is_used() {
    if runner_program().is_none() {
        return skip("no mcp-runner");
    }
    let (setup, ports) = on_demand(2, "300ms");
    let mut supervisor = setup.start();
    supervisor.wait_for("s0", "listening", seconds(5));
    assert_eq!(supervisor.pid_of("s0"), None);
    supervisor.ok(&["status", "s0"]);
    supervisor.ok(&["start", "s0"]);
    supervisor.ok(&["health", "--ready"]);
    for round in 0..2 {
        let mut client = Client::connect(ports[0]).unwrap();
        client.call("listPets", &json!({})).unwrap();
        assert_eq!(supervisor.service("s0")["status"], "running");
        supervisor.wait_for("s0", "listening", seconds(5));
        let service = supervisor.service("s0");
        assert_eq!(service["lastEnd"]["reason"], "idle", "round {round}: {service}");
        assert_eq!((&service["restartCount"], &service["lastError"]), (&json!(0), &json!(null)), "{service}");
    }
    assert!(supervisor.service("s1")["lastEnd"].is_null());
    supervisor.ok(&["stop", "s1"]);
    TcpStream::connect(("127.0.0.1", ports[1])).unwrap_err();
    supervisor.ok(&["start", "s1"]);
    assert_eq!(supervisor.service("s1")["status"], "listening");
    supervisor.ok(&["shutdown"]);
}

#[test]
fn three_hundred_servers_on_demand_cost_what_the_few_in_use_cost() {
    if runner_program().is_none() {
        return skip("no mcp-runner");
    }
    let (setup, ports) = on_demand(300, "1h");
    let mut supervisor = setup.start();
    supervisor.wait_for("s299", "listening", seconds(10));
    let before = (proc::resident(supervisor.pid()), proc::children(supervisor.pid()).len());
    for port in &ports[..3] {
        Client::connect(*port).unwrap().call("listPets", &json!({})).unwrap();
    }
    let children = proc::children(supervisor.pid());
    let memory: u64 = children.iter().map(|child| proc::resident(child.pid)).sum();
    eprintln!(
        "300 servers on demand: {} processes and {} KiB (the supervisor {} KiB); with 3 of them in use: {} processes, {} KiB",
        before.1 + 1,
        before.0,
        before.0,
        children.len() + 1,
        memory + proc::resident(supervisor.pid())
    );
    assert_eq!((before.1, children.len()), (1, 4), "the scribe, and one process for each in use");
}

#[test]
fn one_that_cannot_start_is_given_up_and_refuses_then() {
    let port = free_port();
    let keys = json!({ "start": "on-demand", "listen": [{ "address": format!("127.0.0.1:{port}") }],
        "restartPolicy": { "retryDelay": "1ms", "maxRetries": 2 } });
    let mut supervisor = Setup::new().shell("a", "exit 3", &keys).start();
    supervisor.wait_for("a", "listening", seconds(5));
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let service = supervisor.wait_for("a", "error", seconds(5));
    assert_eq!(service["restartCount"], 2, "{service}");
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    // One that ends well without accepting is started at a pace, not in a circle.
    supervisor.add("a", &json!({ "command": "true", "start": "on-demand", "listen": keys["listen"] }));
    supervisor.ok(&["reload"]);
    supervisor.ok(&["start", "a"]);
    supervisor.wait_until("its starts until now are told", seconds(5), |it| {
        it.events_of("a", "process.started").len() == 3
    });
    let before = 3;
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let began = Instant::now();
    supervisor.wait_until("it was started three times", seconds(5), |it| {
        it.events_of("a", "process.started").len() >= before + 3
    });
    assert!(began.elapsed() > Duration::from_millis(150), "{:?}", began.elapsed());
}

#[test]
fn a_program_of_systemds_is_started_by_a_connection_and_stopped_without_one() {
    if !Path::new(PROXY).exists() {
        return skip("no systemd-socket-proxyd");
    }
    let (port, setup) = (free_port(), Setup::new());
    let behind = setup.path().join("behind.sock");
    let listener = UnixListener::bind(&behind).unwrap();
    let keys = json!({ "command": [PROXY, behind], "start": "on-demand", "idleTimeout": "400ms",
        "listen": [{ "address": format!("127.0.0.1:{port}") }] });
    let mut supervisor = setup.service("proxy", &keys).start();
    supervisor.wait_for("proxy", "listening", seconds(5));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"hello").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut heard = [0; 5];
    server.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    // Longer than its time, but somebody is connected.
    let until = Instant::now() + Duration::from_millis(900);
    supervisor.wait_until("it is used for a while", seconds(5), |it| {
        assert_eq!(it.service("proxy")["status"], "running");
        Instant::now() > until
    });
    drop((client, server));
    let service = supervisor.wait_for("proxy", "listening", seconds(5));
    assert_eq!(service["lastEnd"]["reason"], "idle", "{service}");
}
