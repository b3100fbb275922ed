//! The flat files: what is in them while a service lives, and that they go with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::supervisor::Setup;
use crate::support::{free_port, proc, runner_program, seconds, skip};

const SECRET: &str = "swordfish-9c1e";

#[test]
fn a_runner_finds_its_secrets_in_a_file_of_its_own_that_goes_with_it() {
    if runner_program().is_none() {
        return skip("no mcp-runner beside mcp-init: cargo build --workspace");
    }
    let keys = json!({
        "mcpConfig": { "authConfig": { "type": "bearer", "token": "${PETS_TOKEN}" }, "customHeaders": { "X-Key": "${PETS_TOKEN}" } },
        "env": { "KEY": "${PETS_TOKEN}" }, "restart": "never",
    });
    let mut supervisor =
        Setup::new().variable("PETS_TOKEN", SECRET).server("pets", free_port(), &keys).start();
    supervisor.wait_for("pets", "running", seconds(10));
    let config = supervisor.file("run/configs/pets.json");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(
        fs::metadata(supervisor.file("run")).unwrap().permissions().mode() & 0o022,
        0,
        "others may write there"
    );
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains(SECRET), "{text}");
    assert_eq!(supervisor.service("pets")["configFilePath"], config.to_str().unwrap());

    let pid = supervisor.pid_of("pets").unwrap();
    let shown = [
        supervisor.ok(&["status", "--json"]),
        supervisor.ok(&["status"]),
        supervisor.record("pets").to_string(),
        proc::command_line(pid),
        fs::read_to_string(supervisor.file("log/mcp-init.log")).unwrap_or_default(),
        fs::read_to_string(supervisor.file("log/pets/current")).unwrap_or_default(),
        fs::read_to_string(supervisor.file("state/events.jsonl")).unwrap_or_default(),
    ];
    assert!(shown.iter().all(|text| !text.contains(SECRET)), "a secret is shown:\n{shown:#?}");

    proc::signal(pid, Signal::SIGKILL);
    supervisor.wait_until("its file is gone with the killed process", seconds(5), |_| !config.exists());
    supervisor.ok(&["start", "pets"]);
    assert!(config.exists());
    supervisor.ok(&["stop", "pets"]);
    supervisor.wait_until("its file is gone with the stopped process", seconds(5), |_| !config.exists());
}

#[test]
fn a_pid_file_tells_the_pid_while_there_is_one() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    let file = supervisor.file("run/pids/a.pid");
    let pid = supervisor.pid_of("a").unwrap();
    supervisor.wait_until("the pid file tells it", seconds(5), |_| {
        fs::read_to_string(&file).is_ok_and(|text| text == format!("{pid}\n"))
    });
    supervisor.ok(&["stop", "a"]);
    supervisor.wait_until("the pid file is gone", seconds(5), |_| !file.exists());
}

#[test]
fn process_json_has_the_public_fields() {
    let mut supervisor =
        Setup::new().shell("a", "exec sleep 1000", &json!({ "serverName": "A service" })).start();
    supervisor.wait_for("a", "running", seconds(5));
    supervisor.wait_until("its record says so", seconds(5), |it| it.record("a")["status"] == "running");
    let record = supervisor.record("a");
    let fields = [
        "id",
        "serverId",
        "pid",
        "startTime",
        "status",
        "restartCount",
        "lastError",
        "memoryUsage",
        "cpuUsage",
        "configFilePath",
        "workingDirectory",
        "processConfig",
        "lastHealthCheck",
        "healthStatus",
        "createdAt",
        "updatedAt",
    ];
    for field in fields {
        assert!(record.get(field).is_some(), "no {field} in {record}");
    }
    assert_eq!(record["pid"], supervisor.pid_of("a").unwrap());
    let uuid: Vec<usize> = record["id"].as_str().unwrap().split('-').map(str::len).collect();
    assert_eq!(uuid, [8, 4, 4, 4, 12]);
    let start = record["startTime"].as_str().unwrap();
    assert!(start.ends_with('Z') && start.chars().nth(10) == Some('T'), "{start}");
    assert_eq!(record["processConfig"]["serverName"], "A service");
    let version = fs::read_to_string(supervisor.file("state/version")).unwrap();
    assert!(version.trim().parse::<u32>().is_ok(), "{version:?}");
}

#[test]
fn events_tell_the_course_of_a_service() {
    let mut supervisor = Setup::new()
        .shell("a", "exec sleep 1000", &json!({ "restartPolicy": { "retryDelay": "10ms" } }))
        .start();
    supervisor.wait_for("a", "running", seconds(5));
    let pid = supervisor.pid_of("a").unwrap();
    proc::signal(pid, Signal::SIGKILL);
    supervisor
        .wait_until("both starts are told", seconds(5), |it| it.events_of("a", "process.started").len() == 2);
    supervisor.ok(&["stop", "a"]);
    supervisor
        .wait_until("both ends are told", seconds(5), |it| it.events_of("a", "process.stopped").len() == 2);
    let kinds: Vec<Value> = supervisor
        .events()
        .into_iter()
        .filter(|it| it["serverId"] == "a")
        .map(|it| it["event"].clone())
        .collect();
    let is_life = |kind: &&Value| **kind != "process.error" && **kind != "alert.restarted";
    let life: Vec<&Value> = kinds.iter().filter(is_life).collect();
    assert_eq!(
        life,
        ["process.started", "process.stopped", "process.started", "process.stopped"],
        "{}",
        supervisor.story()
    );
    let first = &supervisor.events_of("a", "process.stopped")[0];
    assert_eq!((&first["signal"], &first["code"]), (&json!("SIGKILL"), &json!(null)), "{first}");
    supervisor.wait_until("as many are printed", seconds(5), |it| {
        it.ok(&["events", "--json"]).lines().count() == it.events().len()
    });
}

#[test]
fn a_folder_that_takes_nothing_is_no_reason_to_stop() {
    // The state folder is a file: nothing can be written there, ever.
    let setup = Setup::new().shell("a", "exec sleep 1000", &json!({}));
    fs::write(setup.path().join("state"), "").unwrap();
    let mut supervisor = setup.start();
    supervisor.wait_for("a", "running", seconds(5));
    supervisor
        .wait_until("it says degraded", seconds(5), |it| it.status()["supervisor"]["degraded"].is_string());
    supervisor.ok(&["restart", "a"]);
    assert_eq!(supervisor.service("a")["status"], "running");
}

#[test]
fn what_an_earlier_life_left_torn_costs_that_record_only() {
    let setup =
        Setup::new().shell("a", "exec sleep 1000", &json!({})).shell("b", "exec sleep 1000", &json!({}));
    for (id, text) in [("a", "{\"id\":"), ("b", "\0\0\0\0")] {
        let folder = setup.path().join("state/services").join(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("process.json"), text).unwrap();
    }
    let mut supervisor = setup.start();
    for id in ["a", "b"] {
        supervisor.wait_for(id, "running", seconds(5));
        supervisor
            .wait_until("its record is whole again", seconds(5), |it| it.record(id)["status"] == "running");
    }
}
