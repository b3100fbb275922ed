//! A disk that is really full: everybody lives on, one alert says it, one says that it is over, and then the files
//! are true again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::supervisor::{Setup, Supervisor, lines_of};
use crate::support::{seconds, skip};

/// Has the state folder on a small disk of its own, for the process that these words become and its children.
fn small_disk(folder: &Path) -> Option<Vec<String>> {
    let script = format!("mount -t tmpfs -o size=256k full {} && exec \"$0\" \"$@\"", folder.display());
    let words = |rest: &[&str]| {
        let all = [&["unshare"], rest, &["--mount", "--propagation", "private", "sh", "-c", &script]];
        all.concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let can = |words: &Vec<String>| {
        let status = Command::new(&words[0]).args(&words[1..]).arg("true").status();
        status.is_ok_and(|status| status.success())
    };
    let found = [words(&[]), words(&["--user", "--map-root-user"])].into_iter().find(can);
    if found.is_none() {
        skip("no file system can be mounted here");
    }
    found
}

/// The alerts that are about no service, as a command was told them.
fn told(path: &Path) -> Vec<Value> {
    lines_of(path).into_iter().filter(|alert| alert["serverId"].is_null()).collect()
}

/// Writes until nothing more goes in.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_is_told_once_and_harms_nobody() {
    let setup = Setup::new();
    let (state, alerts) = (setup.path().join("state"), setup.path().join("told"));
    fs::create_dir(&state).unwrap();
    let Some(words) = small_disk(&state) else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let tell = format!("cat >>{}", alerts.display());
    let mut supervisor = setup
        .replaced_by(&words)
        .setting("logDir", json!("state/log"))
        .setting("alertCommands", json!([{ "command": ["/bin/sh", "-c", tell], "level": "INFO" }]))
        .shell("a", "while :; do echo line; sleep 0.05; done", &json!({ "stop": { "timeout": "200ms" } }))
        .start();
    supervisor.wait_for("a", "running", seconds(5));
    let disk = PathBuf::from(format!("/proc/{}/root{}", supervisor.pid(), state.display()));
    let filler = disk.join("filler");

    fill(&filler);
    // A line may still have room in a page of its file; a record has not.
    for _ in 0..3 {
        supervisor.ok(&["restart", "a"]);
    }
    let degraded = |it: &Supervisor| it.status()["supervisor"]["degraded"].as_str().map(str::to_owned);
    supervisor.wait_until("it says why it is degraded", seconds(10), |it| {
        degraded(it).is_some_and(|why| why.contains("No space left on device"))
    });
    let pid = supervisor.pid_of("a").unwrap();
    supervisor.wait_until("it was told", seconds(5), |_| told(&alerts).len() == 1);
    let first = &told(&alerts)[0];
    assert_eq!((&first["event"], &first["level"]), (&json!("alert.disk"), &json!("ERROR")));

    fs::remove_file(&filler).unwrap();
    supervisor.wait_until("it is not degraded any more", seconds(10), |it| degraded(it).is_none());
    supervisor.wait_until("the end of it was told", seconds(5), |_| told(&alerts).len() == 2);
    assert_eq!(told(&alerts)[1]["event"], "alert.recovered");
    assert_eq!(told(&alerts)[1]["text"], "the disk takes files again");
    supervisor.wait_until("its record is true", seconds(10), |_| {
        let record = fs::read(disk.join("services/a/process.json")).unwrap_or_default();
        serde_json::from_slice(&record).is_ok_and(|record: Value| record["pid"] == pid)
    });
    supervisor.wait_until("its output is kept again", seconds(5), |_| {
        fs::read_to_string(disk.join("log/a/current")).is_ok_and(|text| text.ends_with("line\n"))
    });
}
