//! What runs by the clock: when, once, and what is told of it. Expressions have minutes, so most of this is tried with
//! times that were missed and are made up for, which runs at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{proc, seconds};

/// An entry that was meant to run yesterday for the last time.
fn missed(setup: &Setup, id: &str, run: &Value, name: &str) {
    let folder = setup.path().join("state/services").join(id);
    fs::create_dir_all(&folder).unwrap();
    let last = json!({ "planned": 1_700_000_000, "started": "2023-11-14T22:13:20.000Z", "ok": true });
    let entry = json!({ "cron": "@daily", "run": name, "running": false, "last": last });
    fs::write(folder.join("schedule.json"), json!({ "serverId": id, "schedule": [entry] }).to_string())
        .unwrap();
    assert!(run.is_array() || run.is_string());
}

/// A service that sleeps, with such an entry.
fn with(id: &str, run: &Value, name: &str, more: &Value) -> Setup {
    let mut entry = json!({ "cron": "@daily", "run": run, "catchUp": "once" });
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    let setup = Setup::new().shell(id, "exec sleep 1000", &json!({ "schedule": [entry] }));
    missed(&setup, id, run, name);
    setup
}

fn schedule(supervisor: &Supervisor, place: usize) -> Value {
    let all: Value = serde_json::from_str(&supervisor.ok(&["schedule", "--json"])).unwrap();
    all["schedule"][place].clone()
}

#[test]
fn what_was_missed_is_made_up_for_once_and_told() {
    let command = json!(["/bin/sh", "-c", "echo \"tick $A\"; echo ran >>ran; exit 3"]);
    let entry = json!({ "cron": "@daily", "run": command, "catchUp": "once" });
    let keys = json!({ "schedule": [entry], "env": { "A": "tock" }, "cwd": ".." });
    let setup = Setup::new().shell("late", "exec sleep 1000", &keys);
    missed(&setup, "late", &command, "/bin/sh");
    let mut supervisor = setup.start();
    supervisor.wait_until("it has run", seconds(5), |it| schedule(it, 0)["last"]["ok"] == false);
    let entry = schedule(&supervisor, 0);
    assert_eq!(entry["last"]["outcome"], "exited with code 3", "{entry}");
    assert!(entry["next"].as_str().is_some_and(|next| next.ends_with(":00Z")), "{entry}");
    let told = |it: &Supervisor, event: &str| it.events_of("late", event);
    supervisor.wait_until("it is told", seconds(5), |it| told(it, "schedule.ended").len() == 1);
    assert_eq!(told(&supervisor, "schedule.started").len(), 1);
    let ended = &told(&supervisor, "schedule.ended")[0];
    assert!(ended["code"] == 3 && ended["run"] == "/bin/sh", "{ended}");
    supervisor.wait_until("its words are in the log", seconds(5), |it| {
        it.ok(&["logs", "late"]).contains("tick tock")
    });

    // What is remembered survives the supervisor, and what ran today is not made up for.
    supervisor.wait_until("it is remembered", seconds(5), |it| {
        fs::read_to_string(it.file("state/services/late/schedule.json"))
            .is_ok_and(|text| text.contains("code 3"))
    });
    supervisor.signal(Signal::SIGTERM);
    supervisor.ended(seconds(5));
    supervisor.again();
    supervisor.wait_for("late", "running", seconds(5));
    assert_eq!(schedule(&supervisor, 0)["last"]["outcome"], "exited with code 3");
    assert_eq!(fs::read_to_string(supervisor.file("ran")).unwrap(), "ran\n");
    let line = supervisor.ok(&["schedule"]);
    assert!(line.contains("@daily") && line.contains("FAILED at") && line.contains("late"), "{line}");
    assert_eq!(supervisor.ok(&["schedule", "late", "-n", "3"]).lines().count(), 3);
}

#[test]
fn a_run_has_its_time_and_takes_what_it_started_along() {
    let command = json!(["/bin/sh", "-c", "sleep 4711 & sleep 4711"]);
    let mut supervisor = with("slow", &command, "/bin/sh", &json!({ "timeout": "300ms" })).start();
    supervisor.wait_until("it was ended", seconds(10), |it| schedule(it, 0)["last"]["ok"] == false);
    assert_eq!(schedule(&supervisor, 0)["last"]["outcome"], "was ended: it took too long");
    let pid = supervisor.pid();
    supervisor.wait_until("nothing is left", seconds(5), |_| {
        proc::descendants(pid).iter().all(|one| !proc::command_line(one.pid).contains("4711"))
    });
}

#[test]
fn verbs_run_by_the_clock_as_they_do_by_hand() {
    let mut supervisor = with("server", &json!("restart"), "restart", &json!({})).start();
    supervisor.wait_until("it was restarted", seconds(10), |it| schedule(it, 0)["last"]["ok"] == true);
    supervisor.wait_until("its end is told once", seconds(5), |it| {
        it.events_of("server", "process.stopped").len() == 1
    });

    let mut supervisor = with("well", &json!("health"), "health", &json!({})).start();
    supervisor.wait_until("it was asked", seconds(10), |it| !schedule(it, 0)["last"]["ok"].is_null());
}

#[test]
fn every_minute_comes_without_a_wake_up_in_between() {
    let setup = Setup::new().setting("schedule", json!([{ "cron": "0 0 1 1 *", "run": "cleanup" }]));
    let mut supervisor = setup.shell("idle", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("idle", "running", seconds(5));
    let turns = |it: &Supervisor| it.status()["supervisor"]["turns"].as_u64().unwrap();
    let before = turns(&supervisor);
    std::thread::sleep(seconds(1));
    // Being asked is a few turns.
    assert!(turns(&supervisor) - before < 12, "{before} {}", turns(&supervisor));
    let entry = schedule(&supervisor, 0);
    assert!(entry["serverId"].is_null() && entry["last"].is_null(), "{entry}");
}

#[test]
fn an_expression_is_tried_without_a_supervisor() {
    let setup = Setup::new();
    fs::set_permissions(setup.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut supervisor = setup.start();
    let from = ["--from", "2026-03-28T12:00:00Z"];
    let output = supervisor
        .command(&["schedule", "--cron", "30 2 * * *", "-n", "2", from[0], from[1]])
        .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "2026-03-29 03:00:00 +02:00\n2026-03-30 02:30:00 +02:00\n");
    let refused = supervisor.cli(&["schedule", "--cron", "61 * * * *"]);
    assert!(refused.status.code() == Some(64));
    supervisor.signal(Signal::SIGTERM);
    supervisor.ended(seconds(5));
}
