//! Updates: to a version that is good, back from one that is not, and to an end from wherever they are cut off. A
//! version is a line in a file; the service runs what that file says.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::supervisor::{Setup, Supervisor, lines_of, merged};
use crate::support::{proc, seconds};

/// A service that runs its version: `bad…` cannot start, `weak…` ends soon. What a version is applied by is slow
/// where there is a file `slow`.
fn versioned(old: &str, newest: &str, more: &Value) -> Setup {
    let setup = Setup::new();
    fs::write(setup.path().join("installed"), format!("{old}\n")).unwrap();
    fs::write(setup.path().join("newest"), format!("{newest}\n")).unwrap();
    let script = "v=$(cat installed); cat services.d/app.json >served-by; case $v in bad*) echo cannot run $v; exit 1;; \
                  weak*) sleep 0.3; exit 1;; torn*) echo torn >>ran; exit 1;; esac; echo $v >>ran; exec sleep 1000";
    // Half a version is there before the whole of it.
    let put = |which: &str| {
        format!(
            "echo torn >installed; echo $MCP_INIT_UPDATE_FROM-$MCP_INIT_UPDATE_TO >>applied; \
                 if [ -e slow-{which} ]; then touch in-{which}; sleep 3; fi; "
        )
    };
    let apply = format!(
        "{} sed -i 's/\"description\": *\"[^\"]*\"/\"description\":\"new\"/' services.d/app.json; \
                         cat newest >installed",
        put("apply")
    );
    let rollback = format!("{} echo $MCP_INIT_UPDATE_FROM >installed", put("rollback"));
    let config = json!({
        "command": ["/bin/sh", "-c", script], "cwd": "..", "description": "old",
        "restartPolicy": { "retryDelay": "100ms" },
        "update": {
            "check": ["/bin/cat", "newest"], "current": ["/bin/cat", "installed"], "probation": "600ms",
            "apply": ["/bin/sh", "-c", apply], "rollback": ["/bin/sh", "-c", rollback],
        },
    });
    setup.service("app", &merged(config, more))
}

fn installed(supervisor: &Supervisor) -> String {
    fs::read_to_string(supervisor.file("installed")).unwrap().trim().to_owned()
}

/// The events of `updates.jsonl`.
fn updates(supervisor: &Supervisor) -> Vec<String> {
    let lines = lines_of(&supervisor.file("state/updates.jsonl"));
    lines
        .iter()
        .map(|line| line["event"].as_str().unwrap().trim_start_matches("update.").to_owned())
        .collect()
}

fn description(supervisor: &Supervisor) -> String {
    let text = fs::read_to_string(supervisor.file("services.d/app.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["description"].as_str().unwrap().to_owned()
}

fn journal(supervisor: &Supervisor) -> std::path::PathBuf {
    supervisor.file("state/services/app/update.journal")
}

#[test]
fn a_good_version_is_put_in_place_and_noted() {
    let mut supervisor = versioned("1.0", "1.1", &json!({})).start();
    supervisor.wait_for("app", "running", seconds(5));
    let said = supervisor.ok(&["update", "app", "--check"]);
    assert_eq!(said, "app: 1.0 is installed, 1.1 is the newest\n");
    assert_eq!(installed(&supervisor), "1.0");
    assert_eq!(supervisor.ok(&["update", "app"]), "app: updated from 1.0 to 1.1\n");
    assert_eq!((installed(&supervisor), description(&supervisor)), ("1.1".into(), "new".into()));
    assert_eq!(supervisor.ok(&["update", "--all"]), "app: 1.1 is installed and is the newest\n");
    supervisor.wait_until("all is told", seconds(5), |it| {
        updates(it) == ["checked", "checked", "started", "applied", "succeeded", "checked"]
    });
    supervisor.wait_until("it serves by its new configuration", seconds(5), |it| {
        fs::read_to_string(it.file("served-by")).is_ok_and(|text| text.contains("new"))
    });
    assert!(!journal(&supervisor).exists());
    supervisor.wait_until("somebody is told", seconds(5), |it| {
        lines_of(&it.file("state/alerts.jsonl")).iter().any(|alert| {
            alert["kind"] == "update"
                && alert["level"] == "INFO"
                && alert["text"] == "updated from 1.0 to 1.1"
        })
    });
    assert_eq!(supervisor.service("app")["restartCount"], 0);
}

#[test]
fn a_bad_version_is_rolled_back_with_its_configuration_and_not_tried_again() {
    for (newest, why) in [("bad-2", "cannot run bad-2"), ("weak-2", "did not stay up")] {
        let mut supervisor = versioned("1.0", newest, &json!({})).start();
        supervisor.wait_for("app", "running", seconds(5));
        let output = supervisor.cli(&["update", "app"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains("back to 1.0"), "{said}");
        assert!(said.contains("is not tried again"), "{said}");
        assert!(why == "cannot run bad-2" || said.contains(why) || said.contains("state"), "{said}");
        assert_eq!((installed(&supervisor), description(&supervisor)), ("1.0".into(), "old".into()));
        supervisor.wait_for("app", "running", seconds(5));
        let said = supervisor.ok(&["update", "app"]);
        assert!(said.contains("was no good and is not tried again"), "{said}");
        supervisor.wait_until("all is told", seconds(5), |it| {
            updates(it) == ["checked", "started", "applied", "failed", "rolled_back", "checked"]
        });
        supervisor.wait_until("somebody is told", seconds(5), |it| {
            lines_of(&it.file("state/alerts.jsonl"))
                .iter()
                .any(|alert| alert["kind"] == "update" && alert["level"] == "ERROR")
        });
    }
}

#[test]
fn what_cannot_be_rolled_back_is_for_a_person() {
    let rollback = json!({ "update": { "check": ["/bin/cat", "newest"], "apply": ["/bin/cp", "newest", "installed"],
        "rollback": ["/bin/false"], "probation": "500ms", "current": ["/bin/cat", "installed"] } });
    let mut supervisor = versioned("1.0", "bad-2", &rollback).start();
    supervisor.wait_for("app", "running", seconds(5));
    let output = supervisor.cli(&["update", "app"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("manual intervention needed"), "{said}");
    supervisor.wait_until("somebody is told", seconds(5), |it| {
        lines_of(&it.file("state/alerts.jsonl")).iter().any(|alert| alert["level"] == "CRITICAL")
    });
    assert!(!journal(&supervisor).exists());
    let output = supervisor.cli(&["update", "nobody"]);
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn a_check_that_fails_changes_nothing() {
    let check = json!({ "update": { "check": ["/bin/sh", "-c", "echo no network >&2; exit 7"], "apply": ["/bin/false"],
        "rollback": ["/bin/false"] } });
    let mut supervisor = versioned("1.0", "2.0", &check).start();
    supervisor.wait_for("app", "running", seconds(5));
    let output = supervisor.cli(&["update", "app"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cannot learn the newest version") && said.contains("no network"), "{said}");
    assert_eq!(supervisor.events_of("app", "process.stopped").len(), 0);
}

#[test]
fn an_update_that_is_scheduled_is_one_like_any_other() {
    let schedule = json!({ "schedule": [{ "cron": "@weekly", "run": "update", "catchUp": "once" }] });
    let setup = versioned("1.0", "1.1", &schedule);
    let folder = setup.path().join("state/services/app");
    fs::create_dir_all(&folder).unwrap();
    let last = json!({ "planned": 1_700_000_000, "started": "2023-11-14T22:13:20.000Z", "ok": true });
    let entry = json!({ "cron": "@weekly", "run": "update", "running": false, "last": last });
    fs::write(folder.join("schedule.json"), json!({ "schedule": [entry] }).to_string()).unwrap();
    let mut supervisor = setup.start();
    supervisor.wait_until("it is updated", seconds(10), |it| {
        it.events_of("app", "schedule.ended").iter().any(|event| event["run"] == "update")
    });
    assert_eq!(installed(&supervisor), "1.1");
    let said = supervisor.ok(&["schedule"]);
    assert!(said.contains("done at") && said.contains("app: updated from 1.0 to 1.1"), "{said}");
}

/// Waits until an update is in a step, and then has `kill` end something.
fn cut_off(supervisor: &mut Supervisor, step: &str, kill: impl FnOnce(&mut Supervisor)) {
    supervisor.command(&["update", "app"]).spawn().unwrap().wait_timeout_or_not();
    let path = journal(supervisor);
    supervisor.wait_until("the step is reached", seconds(10), |_| is_in(&path, step));
    kill(supervisor);
}

/// A client that is not waited for.
trait Detached {
    fn wait_timeout_or_not(self);
}

impl Detached for std::process::Child {
    fn wait_timeout_or_not(mut self) {
        std::thread::spawn(move || self.wait());
    }
}

fn is_in(journal: &Path, step: &str) -> bool {
    fs::read_to_string(journal).is_ok_and(|text| text.contains(&format!("\"step\":\"{step}\"")))
}

/// The child that updates.
fn updater(supervisor: &Supervisor) -> i32 {
    let children = proc::children(supervisor.pid());
    children.iter().find(|one| proc::command_line(one.pid).contains("cycle")).unwrap().pid
}

/// An update that is in `step` for a while.
fn slow_in(step: &str) -> Supervisor {
    let newest = if matches!(step, "rollback" | "return") { "bad-2" } else { "1.1" };
    // Long enough to be seen, and cut off, on a machine that is busy.
    let more = match step {
        "return" => json!({ "readiness": "started", "update": { "probation": "3s" } }),
        "probation" => json!({ "update": { "probation": "3s" } }),
        _ => json!({}),
    };
    let mut supervisor = versioned("1.0", newest, &more).start();
    supervisor.wait_for("app", "running", seconds(5));
    fs::write(supervisor.file(&format!("slow-{step}")), "").unwrap();
    supervisor
}

/// Whether it is one version or the other, and nothing in between, once all is over.
fn is_whole(supervisor: &mut Supervisor, wanted: &[&str]) {
    let path = journal(supervisor);
    supervisor.wait_until("it is brought to its end", seconds(20), |_| !path.exists());
    supervisor.wait_for("app", "running", seconds(10));
    let (version, text) = (installed(supervisor), description(supervisor));
    assert!(wanted.contains(&&*version), "{version}");
    assert_eq!(text, if version == "1.0" { "old" } else { "new" });
    supervisor.wait_until("that is what runs", seconds(5), |it| {
        let ran = fs::read_to_string(it.file("ran")).unwrap_or_default();
        ran.lines().last() == Some(&*version)
    });
}

/// The child is killed in a step: another one goes on.
fn kill_updater(step: &str, wanted: &str) {
    let mut supervisor = slow_in(step);
    cut_off(&mut supervisor, step, |it| proc::signal(updater(it), Signal::SIGKILL));
    is_whole(&mut supervisor, &[wanted]);
    supervisor.wait_until("nothing of it is left", seconds(5), |it| {
        proc::children(it.pid()).iter().all(|one| !proc::command_line(one.pid).contains("cycle"))
    });
}

/// The supervisor is killed in a step: the next one ends it before it starts the service.
fn kill_supervisor(step: &str, wanted: &str) {
    let mut supervisor = slow_in(step);
    cut_off(&mut supervisor, step, |it| {
        it.signal(Signal::SIGKILL);
        it.ended(seconds(5));
        it.again();
    });
    is_whole(&mut supervisor, &[wanted]);
    let ran = fs::read_to_string(supervisor.file("ran")).unwrap();
    assert!(!ran.contains("torn"), "{step}: {ran}");
}

#[test]
fn an_updater_that_is_killed_in_apply_leaves_nothing_in_between() {
    kill_updater("apply", "1.0");
}

#[test]
fn an_updater_that_is_killed_in_probation_leaves_nothing_in_between() {
    kill_updater("probation", "1.1");
}

#[test]
fn an_updater_that_is_killed_in_rollback_leaves_nothing_in_between() {
    kill_updater("rollback", "1.0");
}

#[test]
fn an_updater_that_is_killed_in_return_leaves_nothing_in_between() {
    kill_updater("return", "1.0");
}

#[test]
fn a_supervisor_that_is_killed_in_apply_leaves_nothing_in_between() {
    kill_supervisor("apply", "1.0");
}

#[test]
fn a_supervisor_that_is_killed_in_probation_leaves_nothing_in_between() {
    kill_supervisor("probation", "1.1");
}

#[test]
fn a_supervisor_that_is_killed_in_rollback_leaves_nothing_in_between() {
    kill_supervisor("rollback", "1.0");
}

#[test]
fn a_supervisor_that_is_killed_in_return_leaves_nothing_in_between() {
    kill_supervisor("return", "1.0");
}

#[test]
fn a_supervisor_that_ends_in_an_update_ends_at_once_and_the_next_one_goes_on() {
    let mut supervisor = slow_in("apply");
    cut_off(&mut supervisor, "apply", |it| {
        it.signal(Signal::SIGTERM);
        it.ended(seconds(5));
        it.again();
    });
    is_whole(&mut supervisor, &["1.0"]);
}

#[test]
fn a_configuration_that_an_update_has_torn_is_put_back() {
    let apply = "touch in-apply; echo '{' >services.d/app.json; sleep 3";
    let more = json!({ "update": { "check": ["/bin/cat", "newest"], "current": ["/bin/cat", "installed"],
        "probation": 0, "apply": ["/bin/sh", "-c", apply], "rollback": ["/bin/true"] } });
    let mut supervisor = versioned("1.0", "1.1", &more).start();
    supervisor.wait_for("app", "running", seconds(5));
    cut_off(&mut supervisor, "apply", |it| {
        let torn = it.file("services.d/app.json");
        it.wait_until("it is torn", seconds(5), |_| {
            fs::read_to_string(&torn).is_ok_and(|text| text == "{\n")
        });
        it.signal(Signal::SIGKILL);
        it.ended(seconds(5));
        it.again();
    });
    is_whole(&mut supervisor, &["1.0"]);
}
