//! Cleaning up: what we made and is old goes, everything else stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::seconds;
use crate::support::supervisor::Setup;

const OLD: &str = "20200101T000000.000000Z";
const NEW: &str = "20991231T235959.000000Z";

/// A file, last changed so many days ago.
fn put(path: &Path, bytes: usize, days: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![b'x'; bytes]).unwrap();
    let when = SystemTime::now() - Duration::from_secs(days * 86_400);
    fs::File::options().write(true).open(path).unwrap().set_modified(when).unwrap();
}

fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // The scribe is just writing it.
            if entry.file_name() == ".process.json.tmp" {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn what_we_made_and_is_old_goes_and_nothing_else() {
    let setup = Setup::new().setting("cleanup", json!({ "maxAge": "10d", "maxTotal": "10K" }));
    let setup = setup.shell("here", "exec sleep 1000", &json!({}));
    let at = |name: &str| setup.path().join(name);
    let gone = [
        format!("log/here/{OLD}.log"),
        format!("log/mcp-init.{OLD}.log"),
        format!("log/gone/{OLD}.log"),
        "log/gone/current".to_owned(),
        format!("state/backups/here-{OLD}.json"),
        format!("state/backups/gone-{OLD}-0-gone.json"),
        "state/services/gone/process.json".to_owned(),
        "state/services/gone/health.jsonl".to_owned(),
        "state/services/here/.schedule.json.tmp".to_owned(),
        // Young, but there is too much of these, and this one is the older.
        "log/here/20991231T235958.000000Z.log".to_owned(),
    ];
    for name in &gone {
        put(&at(name), if name.contains("2099") { 8000 } else { 10 }, 20);
    }
    let kept = [
        format!("log/here/{NEW}.log"),
        "log/here/mine.log".to_owned(),
        format!("log/here/{OLD}.log.gz"),
        "log/gone-2/current".to_owned(),
        format!("state/backups/{OLD}"),
        "state/backups/notes.json".to_owned(),
        format!("state/backups/here-{OLD}-1-kept.json"),
        "state/services/gone/mine.txt".to_owned(),
        "state/mine.json".to_owned(),
        "log/mine".to_owned(),
    ];
    for name in &kept {
        put(
            &at(name),
            if name.contains("2099") { 8000 } else { 10 },
            if name.contains("gone-2") { 5 } else { 20 },
        );
    }
    put(&at("elsewhere"), 10, 20);
    std::os::unix::fs::symlink(
        at("elsewhere"),
        at(&format!("log/here/{}", OLD.replace("2020", "2019") + ".log")),
    )
    .unwrap();
    // An update that is under way needs its copies.
    fs::write(at("state/services/here/update.journal"), format!("here-{OLD}-1-kept.json")).unwrap();

    let mut supervisor = setup.start();
    supervisor.wait_for("here", "running", seconds(5));
    let before = all_below(supervisor.path());
    let shown = supervisor.ok(&["cleanup", "--dry-run"]);
    assert!(shown.contains("would remove 10 files"), "{shown}");
    assert_eq!(shown.lines().count(), 11, "{shown}");
    assert_eq!(all_below(supervisor.path()), before);
    let only = supervisor.ok(&["cleanup", "gone", "--dry-run"]);
    assert!(only.contains("would remove 5 files"), "{only}");

    let said = supervisor.ok(&["cleanup"]);
    assert!(said.starts_with("removed 10 files"), "{said}");
    for name in &gone {
        assert!(!supervisor.file(name).exists(), "{name} is still there");
    }
    for name in kept.iter().map(String::as_str).chain(["elsewhere"]) {
        assert!(supervisor.file(name).exists(), "{name} is gone");
    }
    assert!(!supervisor.file("log/gone").exists(), "a folder of ours that is empty goes");
    assert!(supervisor.ok(&["cleanup"]).starts_with("removed 0 files"));
    assert_eq!(supervisor.cli(&["cleanup", "nobody"]).status.code(), Some(4));
}
