//! Services that need each other come up in order and go in reverse; tasks end; an end may be the end of all.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{Scratch, init_program, proc, seconds};

/// A service that says it is ready once a file is there, and stays until it is told to end.
fn gate(folder: &str, name: &str) -> String {
    format!(
        "until test -e {folder}/{name}; do sleep 0.02; done; \
         printf '{{\"type\":\"server-started\",\"serverId\":\"x\"}}\\n' >&3; exec sleep 1000"
    )
}

/// Names of one kind of event, in order.
fn names(supervisor: &Supervisor, kind: &str) -> Vec<String> {
    let events = supervisor.events().into_iter().filter(|event| event["event"] == kind);
    events.map(|event| event["serverId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_waits_for_what_it_needs_and_says_for_whom() {
    let folder = Scratch::new();
    let at = folder.path().to_str().unwrap();
    let told = json!({ "readiness": "channel", "processTimeout": "1m" });
    let mut supervisor = Setup::new()
        .shell("db", &gate(at, "db"), &told)
        .shell("a", "exec sleep 1000", &json!({ "dependsOn": ["db"] }))
        .shell("b", "exec sleep 1000", &json!({ "dependsOn": ["a"] }))
        .shell(
            "eager",
            "exec sleep 1000",
            &json!({ "dependsOn": [{ "service": "db", "condition": "started" }] }),
        )
        .start();
    supervisor.wait_for("eager", "running", seconds(5));
    let a = supervisor.service("a");
    assert_eq!((&a["status"], &a["waitsFor"], &a["pid"]), (&json!("starting"), &json!("db"), &Value::Null));
    let table = String::from_utf8(supervisor.cli(&["status"]).stdout).unwrap();
    assert!(table.contains("waits for db") && table.contains("waits for a"), "{table}");
    std::fs::write(folder.path().join("db"), "").unwrap();
    supervisor.wait_for("b", "running", seconds(5));
    let is_told = |it: &Supervisor| names(it, "process.started").iter().any(|name| name == "b");
    supervisor.wait_until("its start is told", seconds(5), is_told);
    let started = names(&supervisor, "process.started");
    let place = |name: &str| started.iter().position(|one| one == name).unwrap();
    assert!(place("db") < place("a") && place("a") < place("b"), "{started:?}");
    assert_eq!(supervisor.service("b")["waitsFor"], Value::Null);
}

#[test]
fn a_failed_service_is_named_by_those_that_need_it_and_they_come_back_with_it() {
    let folder = Scratch::new();
    let at = folder.path().to_str().unwrap();
    let script = format!("test -e {at}/well || exit 7; exec sleep 1000");
    let mut supervisor = Setup::new()
        .shell("db", &script, &json!({ "restart": "never", "readiness": "channel" }))
        .shell("a", "exec sleep 1000", &json!({ "dependsOn": [{ "service": "db", "condition": "started" }] }))
        .shell("b", "exec sleep 1000", &json!({ "dependsOn": ["db", "a"] }))
        .shell("mend", "exec sleep 1000", &json!({}))
        .start();
    supervisor.wait_for("b", "error", seconds(5));
    let b = supervisor.service("b");
    assert_eq!(b["lastError"], "needs db, which has failed: exited with code 7", "{b}");
    assert_eq!(supervisor.service("mend")["status"], "running", "others are unharmed");
    let refused = supervisor.cli(&["start", "b"]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && error.contains("needs db"), "{error}");
    std::fs::write(folder.path().join("well"), "").unwrap();
    supervisor.add("db", &json!({ "command": ["/bin/sleep", "1000"] }));
    supervisor.ok(&["reload"]);
    supervisor.ok(&["start", "db"]);
    supervisor.wait_for("b", "running", seconds(5));
}

#[test]
fn a_start_brings_what_is_needed_and_a_stop_takes_its_users_first() {
    // Each needs half a second to end, so that an end out of order would be seen.
    let slow = "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.02; done";
    let manual =
        |needs: &[&str]| json!({ "start": "manual", "dependsOn": needs, "stop": { "timeout": "10s" } });
    let mut supervisor = Setup::new()
        .shell("a", slow, &manual(&[]))
        .shell("b", slow, &manual(&["a"]))
        .shell("c", slow, &manual(&["b"]))
        .shell("other", "exec sleep 1000", &json!({}))
        .start();
    supervisor.wait_for("other", "running", seconds(5));
    assert_eq!(supervisor.service("a")["status"], "stopped");
    supervisor.ok(&["start", "c"]);
    for id in ["a", "b", "c"] {
        assert_eq!(supervisor.service(id)["status"], "running");
    }
    supervisor.ok(&["stop", "a"]);
    supervisor.wait_until("three ends are told", seconds(5), |it| names(it, "process.stopped").len() >= 3);
    assert_eq!(names(&supervisor, "process.stopped"), ["c", "b", "a"]);
    for id in ["a", "b", "c"] {
        assert_eq!(supervisor.service(id)["status"], "stopped");
    }
    supervisor.ok(&["start", "c"]);
    supervisor.signal(Signal::SIGTERM);
    assert_eq!(supervisor.ended(seconds(10)).code(), Some(0));
    let ends = names(&supervisor, "process.stopped");
    let order: Vec<&String> = ends[3..].iter().filter(|name| *name != "other").collect();
    assert_eq!(order, ["c", "b", "a"]);
}

#[test]
fn a_shutdown_interrupts_what_still_waits() {
    let mut supervisor = Setup::new()
        .shell("db", "exec sleep 1000", &json!({ "readiness": "channel", "processTimeout": "1m" }))
        .shell("a", "exec sleep 1000", &json!({ "dependsOn": ["db"] }))
        .start();
    supervisor.wait_until("a waits", seconds(5), |it| it.service("a")["waitsFor"] == "db");
    supervisor.signal(Signal::SIGTERM);
    assert_eq!(supervisor.ended(seconds(5)).code(), Some(0));
    assert_eq!(names(&supervisor, "process.started"), ["db"]);
}

#[test]
fn a_task_is_done_once_and_its_code_is_kept() {
    let mut supervisor = Setup::new()
        .shell("migrate", "sleep 0.2; exit 3", &json!({ "type": "task", "successExitCodes": [3] }))
        .shell("broken", "exit 3", &json!({ "type": "task" }))
        .shell("app", "exec sleep 1000", &json!({ "dependsOn": ["migrate"] }))
        .shell(
            "late",
            "exec sleep 1000",
            &json!({ "dependsOn": [{ "service": "broken", "condition": "completed" }] }),
        )
        .start();
    supervisor.wait_for("app", "running", seconds(5));
    let task = supervisor.service("migrate");
    assert_eq!(
        (&task["status"], &task["completed"], &task["lastEnd"]["code"]),
        (&json!("stopped"), &json!(true), &json!(3)),
        "{task}"
    );
    supervisor.wait_for("late", "error", seconds(5));
    assert_eq!(supervisor.service("late")["lastError"], "needs broken, which has failed: exited with code 3");
    assert_eq!(supervisor.service("broken")["status"], "error");
    supervisor.ok(&["start", "migrate"]);
    assert_eq!(supervisor.service("migrate")["status"], "stopped", "a start waits for the end of a task");
    supervisor.wait_until("it was started twice", seconds(5), |it| {
        names(it, "process.started").iter().filter(|name| *name == "migrate").count() == 2
    });
    assert_eq!(supervisor.cli(&["health"]).status.code(), Some(1), "one has failed");
    assert_eq!(supervisor.cli(&["health", "migrate"]).status.code(), Some(0), "one is done");
}

#[test]
fn an_end_may_be_the_end_of_all() {
    for (script, keys, code) in [
        ("exit 7", json!({ "onExit": "shutdown", "restart": "never" }), 7),
        ("exit 0", json!({ "onExit": "shutdown", "type": "task" }), 0),
        ("kill -9 $$", json!({ "onExit": "shutdown-on-failure", "restart": "never" }), 137),
        ("exit 125", json!({ "onExit": "shutdown-on-failure" }), 125),
        (
            "exit 5",
            json!({ "onExit": "shutdown-on-failure", "restartPolicy": { "maxRetries": 1, "retryDelay": 10 } }),
            5,
        ),
    ] {
        let mut supervisor = Setup::new()
            .shell("main", &format!("sleep 0.2; {script}"), &keys)
            .shell("other", "exec sleep 1000", &json!({}))
            .spawn();
        assert_eq!(supervisor.ended(seconds(10)).code(), Some(code), "{script}\n{}", supervisor.story());
        assert_eq!(supervisor.record("other")["status"], "stopped");
    }
}

#[test]
fn a_permanent_failure_is_not_tried_again() {
    let keys = json!({ "restartPolicy": { "retryDelay": 0, "permanentExitCodes": [9] } });
    let mut supervisor = Setup::new().shell("a", "exit 9", &keys).start();
    supervisor.wait_for("a", "error", seconds(5));
    assert_eq!(supervisor.service("a")["restartCount"], 0);
    supervisor.wait_until("its end is told", seconds(5), |it| !names(it, "process.stopped").is_empty());
    assert_eq!(names(&supervisor, "process.started"), ["a"]);
}

#[test]
fn circles_and_strangers_are_refused_with_their_path() {
    let folder = Setup::new()
        .shell("a", "true", &json!({ "dependsOn": ["b"] }))
        .shell("b", "true", &json!({ "dependsOn": [{ "service": "c", "condition": "started" }] }))
        .shell("c", "true", &json!({ "dependsOn": ["a", "wep"] }))
        .shell("web", "true", &json!({ "dependsOn": ["web"] }))
        .shell("last", "true", &json!({ "dependsOn": [{ "service": "web", "condition": "completed" }] }));
    let output =
        std::process::Command::new(init_program()).arg("-c").arg(folder.path()).arg("check").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    for line in [
        "c.json:1:49: dependsOn[0]: waits for itself: a → b → c → a",
        "c.json:1:53: dependsOn[1]: there is no service \"wep\" (did you mean \"web\"?)",
        "web.json:1:49: dependsOn[0]: waits for itself: web → web",
        "last.json:1:49: dependsOn[0]: \"web\" is a daemon, which never completes",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_crash_does_not_take_the_users_along() {
    let mut supervisor = Setup::new()
        .shell("db", "exec sleep 1000", &json!({ "restartPolicy": { "retryDelay": "50ms" } }))
        .shell("a", "exec sleep 1000", &json!({ "dependsOn": ["db"] }))
        .start();
    supervisor.wait_for("a", "running", seconds(5));
    let (db, a) = (supervisor.pid_of("db").unwrap(), supervisor.pid_of("a").unwrap());
    proc::signal(db, Signal::SIGKILL);
    supervisor.wait_until("db is back", seconds(5), |it| {
        it.service("db")["status"] == "running" && it.pid_of("db") != Some(db)
    });
    assert_eq!(supervisor.pid_of("a"), Some(a));
}
