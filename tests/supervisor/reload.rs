//! A reload touches what has changed and nothing else; a fault in a file leaves everything as it was.

use std::fs;

use serde_json::json;

use crate::support::seconds;
use crate::support::supervisor::{Setup, Supervisor};

fn two() -> Supervisor {
    let mut supervisor = Setup::new()
        .shell("same", "exec sleep 1000", &json!({}))
        .shell("changed", "exec sleep 1000", &json!({}))
        .start();
    for id in ["same", "changed"] {
        supervisor.wait_for(id, "running", seconds(5));
    }
    supervisor
}

#[test]
fn only_what_changed_is_touched() {
    let mut supervisor = two();
    let (same, changed) = (supervisor.pid_of("same"), supervisor.pid_of("changed"));
    supervisor.add("changed", &json!({ "command": ["/bin/sh", "-c", "exec sleep 1001"] }));
    supervisor.add("new", &json!({ "command": ["/bin/sh", "-c", "exec sleep 1002"] }));
    supervisor.ok(&["reload"]);
    supervisor.wait_for("new", "running", seconds(5));
    supervisor.wait_until("the changed one runs anew", seconds(10), |it| {
        it.service("changed")["status"] == "running" && it.pid_of("changed") != changed
    });
    assert_eq!(supervisor.pid_of("same"), same);
    assert_eq!(supervisor.service("changed")["restartCount"], 0);
    supervisor.wait_until("it is told", seconds(5), |it| {
        it.events().iter().any(|event| event["event"] == "config.reloaded")
    });

    supervisor.remove("new");
    supervisor.ok(&["reload"]);
    supervisor.wait_until("the removed one is gone", seconds(10), |it| it.service("new").is_null());
    assert_eq!(supervisor.pid_of("same"), same);
}

#[test]
fn a_reload_of_nothing_new_changes_nothing() {
    let supervisor = two();
    let before = (supervisor.pid_of("same"), supervisor.pid_of("changed"));
    supervisor.ok(&["reload"]);
    supervisor.ok(&["reload"]);
    assert_eq!((supervisor.pid_of("same"), supervisor.pid_of("changed")), before);
}

#[test]
fn a_fault_is_named_and_the_old_plan_stays() {
    let supervisor = two();
    let before = (supervisor.pid_of("same"), supervisor.pid_of("changed"));
    for (text, word) in [
        ("{ \"command\": [\"/bin/true\"], \"comand\": 1 }", "comand"),
        ("{ \"command\": ", "changed.json"),
        ("", "changed.json"),
    ] {
        fs::write(supervisor.file("services.d/changed.json"), text).unwrap();
        let output = supervisor.cli(&["reload"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{text:?} was taken");
        assert!(said.contains("changed.json") && said.contains(word), "{text:?}: {said}");
        assert_eq!((supervisor.pid_of("same"), supervisor.pid_of("changed")), before);
    }
}

#[test]
fn check_names_file_line_column_field_and_what_was_meant() {
    let setup = Setup::new();
    let file = setup.path().join("services.d/a.json");
    fs::write(&file, "{\n  \"command\": [\"/bin/true\"],\n  \"restartPolicy\": { \"maxRetires\": 3 }\n}\n")
        .unwrap();
    let mut supervisor = setup.spawn();
    let refused = supervisor.ended(seconds(10));
    assert!(!refused.success(), "it started with a fault in its configuration");
    let output = supervisor.cli(&["check"]);
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    for word in ["a.json:3:", "maxRetires", "maxRetries", "restartPolicy"] {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
    fs::write(&file, "{ \"command\": [\"/bin/true\"] }").unwrap();
    supervisor.ok(&["check"]);
}
