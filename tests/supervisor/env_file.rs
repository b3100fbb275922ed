//! Variables from files: who gets them, who has the last word, and who never sees them.

use std::fs;

use serde_json::json;

use crate::support::seconds;
use crate::support::supervisor::Setup;

#[test]
fn files_of_variables_reach_the_service_and_nobody_else() {
    let setup = Setup::new();
    fs::write(
        setup.path().join("one.env"),
        "export A=\"1 x\" SECRET='s3cr3t-s3cr3t'\nB=1\nHOME=/one # home\n",
    )
    .unwrap();
    fs::write(setup.path().join("two.env"), "B=2\nC=2\n").unwrap();
    let mut supervisor = setup
        .shell(
            "reader",
            "echo \"[$A|$B|$C|$HOME|$SECRET]\" >seen; exec sleep 1000",
            &json!({ "envFile": ["../one.env", "../two.env"], "env": { "C": "3" }, "cwd": ".." }),
        )
        .start();
    let seen = supervisor.file("seen");
    supervisor.wait_until("it has run", seconds(5), |_| {
        fs::read_to_string(&seen).is_ok_and(|text| text == "[1 x|2|3|/one|s3cr3t-s3cr3t]\n")
    });
    let first = supervisor.pid_of("reader");
    assert!(supervisor.service("reader")["processConfig"]["envFile"].is_array());
    for words in [&["status", "--json"][..], &["status", "reader"], &["events"], &["check"]] {
        let output = supervisor.cli(words);
        assert!(!String::from_utf8_lossy(&output.stdout).contains("s3cr3t"), "{words:?}");
    }
    for file in ["state/services/reader/process.json", "state/events.jsonl", "log/mcp-init.log"] {
        let text = fs::read_to_string(supervisor.file(file)).unwrap_or_default();
        assert!(!text.contains("s3cr3t"), "{file}");
    }

    // A fault is told with its place, and changes nothing.
    fs::write(supervisor.file("two.env"), "B=2\nC=2$(id)\n").unwrap();
    let output = supervisor.cli(&["check"]);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("two.env:2:4: ") && output.status.code() == Some(78), "{said}");
    assert!(!supervisor.cli(&["reload"]).status.success());
    assert_eq!(supervisor.pid_of("reader"), first);

    // What a file says is a part of the configuration: a reload sees that it has changed.
    fs::write(supervisor.file("two.env"), "B=4\n").unwrap();
    supervisor.ok(&["reload"]);
    supervisor.wait_until("it runs with the new value", seconds(10), |_| {
        fs::read_to_string(&seen).is_ok_and(|text| text == "[1 x|4|3|/one|s3cr3t-s3cr3t]\n")
    });
}
