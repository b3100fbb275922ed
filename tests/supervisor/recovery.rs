//! Recovery: so many attempts and no more, whoever dies meanwhile; success only by a health check; what people order.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::supervisor::{Setup, Supervisor, lines_of, merged};
use crate::support::{proc, seconds};

/// A service that is well while the file `well` is there; each of its lives leaves a line in `lives`, before anybody
/// asks how it is.
fn fragile(rest: &Value) -> Setup {
    let check = json!({ "type": "exec", "command": ["test", "-e", "well"],
        "interval": "30ms", "timeout": "2s", "retries": 2 });
    let keys = json!({ "healthCheck": check, "stop": { "timeout": "200ms" },
        "readiness": { "type": "fd", "fd": 3 },
        "restartPolicy": { "maxRetries": 2, "retryDelay": "10ms", "maxRetryDelay": "20ms" } });
    Setup::new().shell("a", "echo >>lives; echo >&3; exec sleep 1000", &merged(keys, rest))
}

fn lives(supervisor: &Supervisor) -> usize {
    fs::read_to_string(supervisor.file("services.d/lives")).map_or(0, |text| text.lines().count())
}

fn told(supervisor: &Supervisor) -> Vec<String> {
    let all = lines_of(&supervisor.file("state/alerts.jsonl"));
    let words =
        |alert: &Value| format!("{} {}", alert["level"].as_str().unwrap(), alert["kind"].as_str().unwrap());
    all.iter().map(words).collect()
}

fn heal(supervisor: &Supervisor) {
    fs::write(supervisor.file("services.d/well"), "").unwrap();
}

/// Nothing happens for a while in which many attempts would have been made.
fn stays_down(supervisor: &mut Supervisor, count: usize) {
    let turns = |it: &Supervisor| it.service("a")["restartCount"].clone();
    let before = turns(supervisor);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((turns(supervisor), lives(supervisor)), (before, count));
    assert_eq!(supervisor.service("a")["status"], "error");
}

#[test]
fn three_attempts_and_then_nothing_though_the_supervisor_dies() {
    let mut supervisor = fragile(&json!({})).start();
    let service = supervisor.wait_for("a", "error", seconds(10));
    assert_eq!(
        (lives(&supervisor), &service["recoveryAttempts"]),
        (4, &json!(3)),
        "itself and three attempts"
    );
    assert_eq!(service["needsIntervention"], true);
    let words = "manual intervention needed: 3 recovery attempts failed: failed its health checks";
    assert_eq!(service["lastError"], words);
    stays_down(&mut supervisor, 4);
    supervisor.wait_until("all are told", seconds(5), |it| told(it).len() >= 3);
    assert_eq!(told(&supervisor), ["ERROR unhealthy", "WARNING restarted", "CRITICAL gave-up"]);
    supervisor.signal(Signal::SIGKILL);
    supervisor.ended(seconds(5));
    supervisor.again();
    stays_down(&mut supervisor, 4);
    assert_eq!(supervisor.service("a")["lastError"], words);
    assert_eq!(supervisor.cli(&["health", "a"]).status.code(), Some(1));
    // A person has healed it and says so.
    heal(&supervisor);
    assert!(supervisor.ok(&["recover", "a"]).starts_with("a: running, pid "));
    let service = supervisor.service("a");
    assert_eq!((&service["recoveryAttempts"], &service["needsIntervention"]), (&json!(0), &json!(false)));
    supervisor.wait_until("it is told", seconds(5), |it| told(it).len() == 4);
    assert_eq!(told(&supervisor)[3], "INFO recovered");
}

#[test]
fn a_supervisor_that_dies_between_attempts_goes_on_counting() {
    let mut supervisor =
        fragile(&json!({ "restartPolicy": { "retryDelay": "1s", "maxRetryDelay": "1s" } })).start();
    let counted =
        |it: &Supervisor| usize::try_from(it.record("a")["recoveryAttempts"].as_u64().unwrap_or(0)).unwrap();
    supervisor.wait_until("an attempt is counted, and made", seconds(10), |it| {
        counted(it) >= 1 && lives(it) == 1 + counted(it)
    });
    let scribe = supervisor.scribe();
    supervisor.signal(Signal::SIGKILL);
    supervisor.ended(seconds(5));
    supervisor.wait_until("all is written", seconds(5), |_| !proc::is_alive(scribe));
    let counted = counted(&supervisor);
    let before = lives(&supervisor);
    supervisor.again();
    supervisor.wait_for("a", "error", seconds(20));
    // Its start, and the attempts that were left.
    assert_eq!(lives(&supervisor) - before, 1 + 3 - counted);
    assert_eq!(supervisor.service("a")["recoveryAttempts"], 3);
}

#[test]
fn a_passed_check_makes_an_attempt_good_and_is_told_once() {
    let mut supervisor = fragile(&json!({ "recovery": { "maxAttempts": 1000 } })).start();
    supervisor.wait_until("it is tried twice", seconds(10), |it| {
        it.service("a")["recoveryAttempts"].as_u64() >= Some(2)
    });
    heal(&supervisor);
    supervisor.wait_until("it is well", seconds(10), |it| {
        let service = it.service("a");
        service["healthStatus"] == "healthy" && service["recoveryAttempts"] == 0
    });
    supervisor.wait_until("that is told", seconds(5), |it| told(it).len() == 3);
    assert_eq!(told(&supervisor), ["ERROR unhealthy", "WARNING restarted", "INFO recovered"]);
    assert_eq!(supervisor.service("a")["needsIntervention"], false);
}

#[test]
fn when_restarts_gave_up_attempts_follow_and_a_reset_gives_new_ones() {
    let check = json!({ "type": "exec", "command": "true", "interval": "1h" });
    let keys = json!({ "healthCheck": check, "readiness": { "type": "exec", "command": ["test", "-e", "well"] },
        "restartPolicy": { "maxRetries": 2, "retryDelay": "10ms", "maxRetryDelay": "20ms" } });
    let mut supervisor =
        Setup::new().shell("a", "echo >>lives; test -e well && exec sleep 1000; exit 3", &keys).start();
    supervisor.wait_for("a", "error", seconds(10));
    assert_eq!(lives(&supervisor), 6, "itself, two restarts, three attempts");
    supervisor.wait_until("all are told", seconds(5), |it| told(it).len() >= 3);
    assert_eq!(told(&supervisor), ["WARNING restarted", "ERROR gave-up", "CRITICAL gave-up"]);
    let failed = supervisor.cli(&["recover", "a"]);
    assert_eq!(failed.status.code(), Some(1));
    let words = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(words.starts_with("mcp-init: cannot recover a: manual intervention needed: 3 "), "{words}");
    assert_eq!(lives(&supervisor), 7);
    supervisor.ok(&["reset", "a"]);
    supervisor.wait_until("it is tried again", seconds(5), |it| lives(it) > 7);
    supervisor.wait_for("a", "error", seconds(10));
    assert_eq!(lives(&supervisor), 10);
    heal(&supervisor);
    supervisor.ok(&["reset", "--all"]);
    supervisor.wait_for("a", "running", seconds(10));
    supervisor.wait_until("it is well", seconds(5), |it| it.service("a")["recoveryAttempts"] == 0);
    assert_eq!(supervisor.cli(&["recover", "b"]).status.code(), Some(4));
    assert_eq!(supervisor.cli(&["reset"]).status.code(), Some(64));
}

#[test]
fn one_that_nobody_checks_has_no_attempts_but_a_persons() {
    let mut supervisor = Setup::new()
        .shell(
            "a",
            "echo >>lives; test -e well && exec sleep 1000; exit 3",
            &json!({
            "restartPolicy": { "maxRetries": 0 } }),
        )
        .start();
    supervisor.wait_for("a", "error", seconds(5));
    assert_eq!(supervisor.service("a")["recoveryAttempts"], 0);
    assert_eq!(lives(&supervisor), 1);
    heal(&supervisor);
    supervisor.ok(&["recover", "a"]);
    supervisor.wait_until("it lives again", seconds(5), |it| lives(it) == 2);
    supervisor.wait_for("a", "running", seconds(5));
    let keys = json!({ "command": "true", "recovery": { "maxAttempts": 3 } });
    supervisor.add("b", &keys);
    let refused = supervisor.cli(&["check"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        words.contains("recovery: needs a healthCheck: only that can tell whether it has recovered"),
        "{words}"
    );
}
