//! A server that is killed again and again: it comes back within its backoff, its neighbours notice nothing,
//! and every place that counts tells the same number.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::mcp::Client;
use crate::support::proc;
use crate::support::supervisor::Setup;
use crate::support::{free_port, runner_program, seconds, skip};

const KILLS: u64 = 50;

/// Backoff of the killed one.
const DELAY: Duration = Duration::from_millis(20);

/// What noticing the death, starting a process and being ready may add to it. Now and then a loaded machine takes
/// longer, but not as a rule.
const SLACK: Duration = Duration::from_secs(2);

/// Clients that call a tool until told to stop; an error ends them with its words.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    fn on(ports: &[u16]) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = ports
            .iter()
            .map(|&port| {
                let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
                thread::spawn(move || {
                    let mut client =
                        Client::connect(port).map_err(|error| format!("port {port}: {error}"))?;
                    while !stop.load(Ordering::Relaxed) {
                        client
                            .call("getPet", &json!({ "petId": 1 }))
                            .map_err(|error| format!("port {port}: {error}"))?;
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        Self { stop, calls, clients }
    }

    /// How many calls were answered; every one was.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap().unwrap();
        }
        self.calls.load(Ordering::Relaxed)
    }
}

#[test]
fn a_killed_server_is_back_within_its_backoff_and_its_neighbours_lose_nothing() {
    if runner_program().is_none() {
        return skip("no mcp-runner beside mcp-init: cargo build --workspace");
    }
    let (ports, policy) = (
        [free_port(), free_port(), free_port()],
        json!({ "restartPolicy": {
            "maxRetries": 1000, "retryDelay": "20ms", "backoffMultiplier": 1, "maxRetryDelay": "20ms", "jitter": 0,
        } }),
    );
    let mut supervisor = Setup::new()
        .server("left", ports[0], &json!({}))
        .server("killed", ports[1], &policy)
        .server("right", ports[2], &json!({}))
        .start();
    for id in ["left", "killed", "right"] {
        supervisor.wait_for(id, "running", seconds(10));
    }
    let load = Load::on(&[ports[0], ports[0], ports[2], ports[2]]);
    let descriptors = proc::descriptors(supervisor.pid()).len();

    let mut times = Vec::new();
    for kill in 0..KILLS {
        let before = supervisor.pid_of("killed").unwrap();
        let killed_at = Instant::now();
        proc::signal(before, Signal::SIGKILL);
        supervisor.wait_until(&format!("back after kill {kill}"), seconds(5), |it| {
            let service = it.service("killed");
            service["status"] == "running" && service["pid"] != before
        });
        times.push(killed_at.elapsed());
        assert!(killed_at.elapsed() >= DELAY, "restarted before its backoff was over");
        let answer = Client::connect(ports[1]).and_then(|mut client| client.call("getInventory", &json!({})));
        answer.unwrap_or_else(|error| panic!("it says it runs, yet: {error}\n{}", supervisor.story()));
    }

    times.sort();
    assert!(times[times.len() / 2] < DELAY + SLACK, "it was back after {times:?}");
    let calls = load.end();
    assert!(calls > 500, "only {calls} calls: that was no load");
    same_story(&mut supervisor);
    let pid = supervisor.pid();
    // Give or take the client that has just asked.
    supervisor
        .wait_until("no descriptor leaked", seconds(5), |_| proc::descriptors(pid).len() <= descriptors + 1);
    assert_eq!(supervisor.service("left")["restartCount"], 0);
}

/// `status`, `process.json`, the events and the metrics agree.
fn same_story(supervisor: &mut crate::support::supervisor::Supervisor) {
    let service = supervisor.service("killed");
    assert_eq!(service["restartCount"], KILLS);
    assert_eq!(service["lastEnd"]["signal"], "SIGKILL");
    supervisor.wait_until("process.json says the same", seconds(5), |it| {
        let record = it.record("killed");
        record["restartCount"] == KILLS && record["pid"] == service["pid"] && record["status"] == "running"
    });
    supervisor.wait_until("the events say the same", seconds(5), |it| {
        let stopped = it.events_of("killed", "process.stopped");
        let started = it.events_of("killed", "process.started");
        stopped.len() as u64 == KILLS
            && stopped.iter().all(|event| event["signal"] == "SIGKILL")
            && started.len() as u64 == KILLS + 1
    });
    let metrics = supervisor.ok(&["metrics"]);
    let line = metrics.lines().find(|line| line.contains("restarts_total{") && line.contains("\"killed\""));
    assert_eq!(line.and_then(|line| line.split_whitespace().nth(1)), Some("50"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "not OpenMetrics:\n{metrics}");
}

#[test]
fn one_that_fails_at_once_is_given_up_after_its_retries_and_says_why() {
    let policy = json!({ "restartPolicy": { "maxRetries": 3, "retryDelay": "10ms", "backoffMultiplier": 2, "jitter": 0 } });
    let mut supervisor = Setup::new().shell("broken", "echo oh no >&2; exit 7", &policy).start();
    let service = supervisor.wait_for("broken", "error", seconds(10));
    assert_eq!(service["restartCount"], 3, "{service}");
    assert_eq!(service["lastEnd"]["code"], 7, "{service}");
    assert!(service["lastError"].as_str().unwrap().contains('7'), "{service}");
    supervisor.wait_until("four starts are told", seconds(5), |it| {
        it.events_of("broken", "process.started").len() == 4
    });
    assert_eq!(supervisor.cli(&["status", "broken"]).status.code(), Some(3));
}

#[test]
fn on_failure_leaves_a_good_end_alone_and_never_leaves_every_end_alone() {
    let mut supervisor = Setup::new()
        .shell("good", "exit 0", &json!({ "restart": "on-failure" }))
        .shell("never", "exit 3", &json!({ "restart": "never" }))
        .start();
    let good = supervisor.wait_for("good", "stopped", seconds(5));
    assert_eq!(
        (good["restartCount"].as_u64(), good["lastEnd"]["code"].as_i64()),
        (Some(0), Some(0)),
        "{good}"
    );
    supervisor.wait_until("never has ended", seconds(5), |it| it.service("never")["lastEnd"]["code"] == 3);
    let never = supervisor.service("never");
    assert_eq!((never["restartCount"].as_u64(), &never["pid"]), (Some(0), &json!(null)), "{never}");
}
