//! Services added, made, taken out, switched and signalled while everything runs: the file and the process follow,
//! and nothing changes when the configuration would have a problem.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::seconds;
use crate::support::supervisor::{Setup, Supervisor};

fn one() -> Supervisor {
    let mut supervisor = Setup::new().shell("one", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("one", "running", seconds(5));
    supervisor
}

/// What a command that fails says.
fn refused(supervisor: &Supervisor, words: &[&str], code: i32) -> String {
    let output = supervisor.cli(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    said
}

#[test]
fn a_file_is_added_and_taken_out_again() {
    let supervisor = one();
    let pid = supervisor.pid_of("one");
    let file = supervisor.file("two.json");
    let text = "{\n  \"serverId\": \"second\",\n  \"command\": [\"/bin/sleep\", \"1000\"]\n}\n";
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let said = supervisor.ok(&["add", file.to_str().unwrap()]);
    assert!(said.starts_with("second: running, pid "), "{said}");
    let place = supervisor.path().join("services.d/second.json");
    assert_eq!(fs::read_to_string(&place).unwrap(), text);
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600, "a secret stays one");

    let said = refused(&supervisor, &["add", file.to_str().unwrap()], 1);
    assert!(said.contains("is there already; --replace takes its place"), "{said}");
    fs::write(&file, text.replace("1000", "1001")).unwrap();
    let before = supervisor.pid_of("second");
    supervisor.ok(&["add", "--replace", file.to_str().unwrap()]);
    assert_ne!(supervisor.pid_of("second"), before);

    let said = supervisor.ok(&["remove", "second"]);
    assert!(supervisor.service("second").is_null() && !place.exists(), "{said}");
    let backup = said.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(fs::read_to_string(backup).unwrap(), text.replace("1000", "1001"));
    assert_eq!(supervisor.pid_of("one"), pid, "its neighbour was not touched");
}

#[test]
fn a_file_with_a_problem_changes_nothing() {
    let supervisor = one();
    let file = supervisor.file("bad.json");
    for (text, word) in [
        ("{ \"command\": [\"/bin/true\"], \"comand\": 1 }", "did you mean \"command\"?"),
        ("{ \"command\": ", "bad.json:1"),
        (
            "{ \"mcpConfig\": { \"transport\": \"streamable\", \"port\": 1, \"openApiData\": \"./a.json\" } }",
            "",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let said = refused(&supervisor, &["add", file.to_str().unwrap()], 78);
        assert!(said.contains(word) && said.contains("cannot add"), "{said}");
    }
    assert_eq!(fs::read_dir(supervisor.path().join("services.d")).unwrap().count(), 1);
    let said = refused(&supervisor, &["add", "/nowhere/x.json"], 1);
    assert!(said.contains("cannot read /nowhere/x.json"), "{said}");
    assert!(refused(&supervisor, &["remove", "onee"], 4).contains("the nearest name is \"one\""));
}

#[test]
fn a_path_that_would_mean_another_file_is_not_moved() {
    let supervisor = one();
    let folder = supervisor.file("elsewhere");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("pets.json"),
        r#"{"openapi":"3.0.0","info":{"title":"p","version":"1"},"paths":{}}"#,
    )
    .unwrap();
    let service =
        json!({ "mcpConfig": { "transport": "streamable", "port": 4999, "openApiData": "./pets.json" } });
    let file = folder.join("api.json");
    fs::write(&file, service.to_string()).unwrap();
    let said = refused(&supervisor, &["add", file.to_str().unwrap()], 78);
    assert!(said.contains("a path in it is relative to") && said.contains("elsewhere"), "{said}");
}

#[test]
fn a_service_is_made_of_what_is_typed() {
    let supervisor = one();
    let said = supervisor.ok(&["create", "tick", "--", "/bin/sh", "-c", "exec sleep 1000"]);
    assert!(said.starts_with("tick: running"), "{said}");
    let text = fs::read_to_string(supervisor.path().join("services.d/tick.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["command"], json!(["/bin/sh", "-c", "exec sleep 1000"]));

    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/openapi/pets.json");
    let said = supervisor.ok(&["create", "--openapi", document, "--base-url", "mock"]);
    assert!(said.starts_with("pets: running") && said.contains("http://127.0.0.1:"), "{said}");
    assert!(refused(&supervisor, &["create"], 64).contains("say --openapi FILE, or NAME -- COMMAND"));
    assert!(
        refused(&supervisor, &["create", "a", "--openapi", document, "-p", "0"], 64).contains("1 to 65535")
    );
}

#[test]
fn a_service_is_switched_off_and_on_in_its_file() {
    let mut supervisor = one();
    let file = supervisor.path().join("services.d/one.json");
    let before: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let said = supervisor.ok(&["disable", "one"]);
    assert!(said.starts_with("one: stopped"), "{said}");
    let mut after: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(after.as_object_mut().unwrap().remove("enabled"), Some(json!(false)));
    assert_eq!(after, before);
    supervisor.ok(&["shutdown"]);
    supervisor.ended(seconds(5));
    supervisor.again();
    assert_eq!(supervisor.service("one")["status"], "stopped", "also after a start of the supervisor");
    assert!(supervisor.ok(&["enable", "one"]).starts_with("one: running"));
}

#[test]
fn without_a_supervisor_the_file_is_written_all_the_same() {
    let mut supervisor = one();
    supervisor.ok(&["shutdown"]);
    supervisor.ended(seconds(5));
    assert!(supervisor.ok(&["disable", "one"]).contains("written; no supervisor runs"));
    supervisor.ok(&["remove", "one"]);
    assert_eq!(fs::read_dir(supervisor.path().join("services.d")).unwrap().count(), 0);
}

#[test]
fn a_signal_goes_to_the_process_or_to_its_group() {
    let script = "trap 'echo got-hup' HUP; sh -c \"trap 'echo child-hup' HUP; echo child-up; \
                  while :; do sleep 0.05; done\" & echo up; while :; do sleep 0.05; done";
    let mut supervisor = Setup::new().shell("one", script, &json!({})).start();
    supervisor.wait_for("one", "running", seconds(5));
    let log = |it: &Supervisor| it.ok(&["logs", "one"]);
    supervisor.wait_until("both listen", seconds(10), |it| log(it).matches("up\n").count() == 2);
    supervisor.ok(&["signal", "SIGHUP", "one", "--group"]);
    supervisor.wait_until("both got it", seconds(10), |it| {
        log(it).contains("got-hup") && log(it).contains("child-hup")
    });
    let count = |it: &Supervisor, word: &str| log(it).matches(word).count();
    let (own, others) = (count(&supervisor, "got-hup"), count(&supervisor, "child-hup"));
    supervisor.ok(&["signal", "1", "--all"]);
    supervisor.wait_until("the process got it", seconds(5), |it| count(it, "got-hup") > own);
    assert_eq!(count(&supervisor, "child-hup"), others);

    assert!(refused(&supervisor, &["signal", "HUPP", "one"], 64).contains("is no signal"));
    assert!(refused(&supervisor, &["signal", "HUP"], 64).contains("name a service"));
    supervisor.ok(&["stop", "one"]);
    assert!(
        refused(&supervisor, &["signal", "HUP", "one"], 1).contains("cannot signal one: it is not running")
    );
}
