//! What costs nobody but its author: floods on a channel, clients that hold on, starts without end, a scribe that
//! dies with words in its mouth. Each was once a fault.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::proc::resident;
use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{proc, seconds};

fn size(supervisor: &Supervisor, file: &str) -> u64 {
    fs::metadata(supervisor.file(file)).map_or(0, |data| data.len())
}

fn connect(supervisor: &Supervisor) -> UnixStream {
    let stream = UnixStream::connect(supervisor.file("run/control.sock")).unwrap();
    stream.set_read_timeout(Some(seconds(10))).unwrap();
    stream
}

#[test]
fn a_flood_on_a_channel_fills_no_file_and_no_memory() {
    let line = |text: &str| format!("while :; do echo '{text}' >&3; done");
    let keys = json!({ "channel": true });
    let mut supervisor = Setup::new()
        .shell("garbage", "exec yes >&3", &keys)
        .shell("empty", "exec yes '' >&3", &keys)
        .shell("error", &line(r#"{"type":"server-error","serverId":"error","error":"boom"}"#), &keys)
        .shell(
            "health",
            &line(r#"{"type":"health-check-response","serverId":"health","healthy":true}"#),
            &keys,
        )
        .start();
    let before = resident(supervisor.pid());
    supervisor.wait_until("much was said", seconds(20), |it| {
        it.service("empty")["ignoredMessages"].as_u64() > Some(300_000)
            && it.service("health")["ignoredMessages"].as_u64() > Some(3_000)
            && it.service("error")["lastError"] == "boom"
    });
    let asked_at = Instant::now();
    let status = supervisor.status();
    assert!(asked_at.elapsed() < seconds(10), "status took {:?}", asked_at.elapsed());
    assert_eq!(status["supervisor"]["droppedEvents"], 0);
    let after = resident(supervisor.pid());
    assert!(after < before + 2048, "{before} KiB became {after} KiB");
    let (events, log) = (size(&supervisor, "state/events.jsonl"), size(&supervisor, "log/mcp-init.log"));
    assert!(events < 64 * 1024 && log < 64 * 1024, "{events} bytes of events, {log} bytes of log");
}

#[test]
fn starts_without_end_are_told_meanwhile() {
    let keys = json!({ "command": ["/bin/true"], "restart": "always",
        "restartPolicy": { "retryDelay": 0, "maxRetries": "unlimited" } });
    let setup = (0..60).fold(Setup::new(), |setup, number| setup.service(&format!("t{number}"), &keys));
    let mut supervisor = setup.start();
    let restarts = |it: &Supervisor| -> u64 {
        // On a busy machine an answer may come late.
        let status = it.try_status().unwrap_or_default();
        status["services"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["restartCount"].as_u64())
            .sum()
    };
    supervisor.wait_until("there were many starts", seconds(30), |it| restarts(it) > 1_000);
    supervisor.wait_until("events and the log tell of them", seconds(5), |it| {
        size(it, "state/events.jsonl") > 100_000 && size(it, "log/mcp-init.log") > 10_000
    });
}

#[test]
fn a_client_that_holds_on_keeps_nobody_out() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    let before = proc::descriptors(supervisor.pid()).len();
    let silent: Vec<UnixStream> = (0..200).map(|_| connect(&supervisor)).collect();
    supervisor.ok(&["status"]);
    drop(silent);
    for _ in 0..100 {
        let mut half = connect(&supervisor);
        half.write_all(b"{\"id\":").unwrap();
        half.shutdown(Shutdown::Write).unwrap();
    }
    supervisor
        .wait_until("all of them were let go", seconds(5), |it| proc::descriptors(it.pid()).len() <= before);
}

#[test]
fn an_overlong_request_is_passed_over_and_the_next_one_answered() {
    let supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    let mut client = connect(&supervisor);
    client.write_all(&vec![b'x'; 3_000_000]).unwrap();
    let long = format!("{{\"id\":6,\"verb\":\"status\",\"services\":[\"{}\"]}}\n", "z".repeat(65_000));
    client.write_all(b"\n{\"id\":5,\"verb\":\"settled\"}\n").unwrap();
    let mut answers = BufReader::new(client.try_clone().unwrap()).lines();
    let mut next = || answers.next().unwrap().unwrap();
    assert!(next().contains("too long"));
    assert!(next().contains("\"id\":5"));
    // Many that just fit, more than is read at once: none is left unread.
    let writer = std::thread::spawn(move || (0..20).for_each(|_| client.write_all(long.as_bytes()).unwrap()));
    for _ in 0..20 {
        assert!(next().contains("\"id\":6"));
    }
    writer.join().unwrap();
}

#[test]
fn orders_that_wait_are_bounded() {
    let script = "trap '' TERM; while :; do sleep 0.1; done";
    let supervisor = Setup::new().shell("a", script, &json!({ "stop": { "timeout": "30s" } })).start();
    supervisor.ok(&["stop", "a", "--no-wait"]);
    let before = resident(supervisor.pid());
    let mut client = connect(&supervisor);
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let many = b"{\"id\":1,\"verb\":\"settled\"}\n".repeat(1_000);
    for _ in 0..200 {
        if client.write_all(&many).is_err() {
            let after = resident(supervisor.pid());
            assert!(after < before + 2048, "{before} KiB became {after} KiB");
            return;
        }
    }
    panic!("200,000 orders were taken");
}

#[test]
fn a_new_scribe_is_told_what_the_old_one_did_not_write() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_until("it was written", seconds(5), |it| it.record("a")["status"] == "running");
    let scribe = supervisor.scribe();
    proc::signal(scribe, Signal::SIGSTOP);
    supervisor.ok(&["restart", "a"]);
    let pid = supervisor.pid_of("a").unwrap();
    proc::signal(scribe, Signal::SIGKILL);
    supervisor.wait_until("the files tell the truth", seconds(10), |it| {
        it.record("a")["pid"] == pid
            && fs::read_to_string(it.file("run/pids/a.pid")).is_ok_and(|text| text.trim() == pid.to_string())
    });
}

#[test]
fn a_full_stderr_does_not_hold_up_the_start() {
    // Nobody reads it, and there is something to say before the first service starts.
    let (_kept, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    let bytes = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap();
    filler.write_all(&vec![b'x'; usize::try_from(bytes).unwrap()]).unwrap();
    let mut supervisor = Setup::new()
        .setting("stateDir", json!("/proc/nowhere"))
        .stderr(Stdio::from(writer))
        .shell("a", "exec sleep 1000", &json!({}))
        .start();
    supervisor.wait_for("a", "running", seconds(5));
    supervisor.signal(Signal::SIGTERM);
    assert_eq!(supervisor.ended(seconds(5)).code(), Some(0));
}

#[test]
fn what_somebody_stopped_stays_stopped_over_a_reload() {
    // It ends when this test says so.
    let slow =
        |name: &str| format!("trap '' TERM; touch {name}; while [ ! -e end-{name} ]; do sleep 0.02; done");
    let keys = json!({ "stop": { "timeout": "5m" } });
    let mut supervisor = Setup::new().shell("a", &slow("a"), &keys).start();
    supervisor.wait_until("a is deaf", seconds(5), |it| it.file("services.d/a").exists());
    supervisor.ok(&["stop", "a", "--no-wait"]);
    supervisor.add("a", &json!({ "command": ["/bin/sleep", "1000"] }));
    supervisor.ok(&["reload"]);
    assert_eq!(supervisor.service("a")["status"], "stopping", "{}", supervisor.story());
    fs::write(supervisor.file("services.d/end-a"), "").unwrap();
    supervisor.wait_for("a", "stopped", seconds(5));
    // One that is taken out and put back while it ends is new, and starts.
    supervisor.add("b", &json!({ "command": ["/bin/sh", "-c", slow("b")], "stop": { "timeout": "5m" } }));
    supervisor.ok(&["reload"]);
    supervisor.wait_until("b is deaf", seconds(5), |it| it.file("services.d/b").exists());
    supervisor.remove("b");
    supervisor.ok(&["reload"]);
    assert_eq!(supervisor.service("b")["status"], "stopping", "{}", supervisor.story());
    supervisor.add("b", &json!({ "command": ["/bin/sleep", "1000"] }));
    supervisor.ok(&["reload"]);
    fs::write(supervisor.file("services.d/end-b"), "").unwrap();
    supervisor.wait_for("b", "running", seconds(5));
    assert_eq!(supervisor.service("a")["status"], "stopped");
}
