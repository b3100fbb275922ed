//! Watching: memory and processor time of all processes of a service, against its thresholds; a leak and a spin are
//! found whatever else is asked of it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::seconds;
use crate::support::supervisor::{Setup, Supervisor, lines_of};

/// A service that has a fault while the file `ill` is there, in a process that left its session.
fn faulty(fault: &str, alerts: &Value) -> Supervisor {
    let setup = Setup::new();
    let script = format!(
        "while [ ! -e ill ]; do sleep 0.2; done; {fault}; while [ -e ill ]; do sleep 0.2; done; exec sleep 1000"
    );
    fs::write(setup.path().join("services.d/fault.sh"), script).unwrap();
    let mut supervisor = setup
        .shell("a", "setsid sh ./fault.sh & wait", &json!({ "alerts": alerts }))
        .shell("b", "exec sleep 1000", &json!({ "alerts": alerts }))
        .start();
    supervisor.wait_for("a", "running", seconds(5));
    supervisor.ok(&["health"]);
    supervisor
}

fn alerts(supervisor: &Supervisor) -> Vec<Value> {
    lines_of(&supervisor.file("state/alerts.jsonl"))
}

/// It falls ill and is found, by an alert and by `health`; it is cured, and that is told.
fn found_and_cured(supervisor: &mut Supervisor, kind: &str, code: i32, within: u64) {
    let ill = supervisor.file("services.d/ill");
    fs::write(&ill, "").unwrap();
    let begun = Instant::now();
    supervisor.wait_until("it is told", seconds(within), |it| !alerts(it).is_empty());
    let first = alerts(supervisor).remove(0);
    assert_eq!((&first["kind"], &first["level"]), (&json!(kind), &json!("WARNING")), "{first}");
    assert_eq!(first["serverId"], "a", "{:?}", begun.elapsed());
    let health = supervisor.cli(&["health"]);
    let words = String::from_utf8_lossy(&health.stdout).into_owned();
    assert_eq!(health.status.code(), Some(code), "{words}");
    assert!(words.contains(&format!("over its threshold: {kind} of a\n")), "{words}");
    assert_eq!(supervisor.cli(&["health", "--ready"]).status.code(), Some(0));
    assert_eq!(supervisor.cli(&["health", "b"]).status.code(), Some(0));
    assert_eq!(supervisor.service("a")["overThreshold"], json!([kind]));
    cure(&ill);
    supervisor.wait_until("its end is told", seconds(within + 5), |it| alerts(it).len() >= 2);
    let last = alerts(supervisor).remove(1);
    assert_eq!((&last["kind"], &last["of"]), (&json!("recovered"), &json!(kind)), "{last}");
    supervisor.ok(&["health"]);
    assert_eq!(alerts(supervisor).len(), 2);
    assert_eq!(supervisor.service("a")["restartCount"], 0, "nobody is restarted for it");
}

fn cure(ill: &Path) {
    fs::remove_file(ill).unwrap();
}

#[test]
fn a_leak_is_found_in_any_process_of_a_service() {
    let leak = "x=$(head -c 60000000 /dev/zero | tr '\\0' x)";
    let mut supervisor = faulty(leak, &json!({ "memory": "40M" }));
    found_and_cured(&mut supervisor, "memory", 2, 10);
    // While somebody looks, all of it is shown, whether it asked for that or not.
    let table = supervisor.ok(&["status"]);
    assert!(table.lines().count() >= 3, "{table}");
}

#[test]
fn a_spin_is_found_over_five_seconds() {
    let mut supervisor = faulty("while [ -e ill ]; do :; done", &json!({ "cpu": 10 }));
    found_and_cured(&mut supervisor, "cpu", 3, 20);
}

#[test]
fn what_lasts_is_told_again_in_its_time_and_a_service_that_does_not_ask_is_not_looked_at() {
    let keys = json!({ "alerts": { "memory": "1K", "repeatAfter": "2s" } });
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &keys).start();
    supervisor.wait_until("it is told three times", seconds(12), |it| alerts(it).len() >= 3);
    let all = alerts(&supervisor);
    assert!(all.iter().all(|alert| alert["kind"] == "memory" && alert["suppressed"].is_null()), "{all:?}");
    assert!(supervisor.service("a")["memoryUsage"].as_u64() > Some(1024));
    // Its next process is looked at from the beginning; without one there is nothing to look at.
    supervisor.ok(&["stop", "a"]);
    assert_eq!(supervisor.service("a")["memoryUsage"], Value::Null);
    supervisor.ok(&["health", "--live"]);
    assert_eq!(supervisor.cli(&["health", "a"]).status.code(), Some(1));
}
