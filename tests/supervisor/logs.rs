//! Output: every line once, in order, whatever happens to the file or to the scribe.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::supervisor::{Setup, Supervisor, merged};
use crate::support::{proc, seconds};

/// Counts aloud to `count`, then sleeps.
fn counting(count: u32, pause: &str) -> String {
    format!(
        "i=0; while [ $i -lt {count} ]; do echo \"line $i\"; i=$((i+1)); {pause} done; touch done; exec sleep 1000"
    )
}

/// The numbers in all files of a service, oldest file first.
fn numbers(supervisor: &Supervisor, id: &str) -> Vec<u32> {
    let folder = supervisor.file(&format!("log/{id}"));
    let mut rotated: Vec<_> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    rotated.sort();
    rotated.push(folder.join("current"));
    let text: String = rotated.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    text.lines().filter_map(|line| line.rsplit_once("line ")?.1.parse().ok()).collect()
}

fn in_order_and_whole(numbers: &[u32], count: u32) {
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!(gap, None, "a gap or a double");
    assert_eq!((numbers.first(), numbers.last()), (Some(&0), Some(&(count - 1))));
}

#[test]
fn rotation_loses_no_line() {
    let log = json!({ "log": { "maxSize": "64K", "maxFiles": 1000, "maxTotal": "100M" } });
    let mut supervisor = Setup::new().shell("a", &counting(30_000, ""), &log).start();
    supervisor.wait_until("all is written", seconds(30), |it| numbers(it, "a").last() == Some(&29_999));
    in_order_and_whole(&numbers(&supervisor, "a"), 30_000);
    let files: Vec<_> = fs::read_dir(supervisor.file("log/a")).unwrap().flatten().collect();
    assert!(files.len() > 5, "it was never rotated");
    for file in files {
        let bytes = file.metadata().unwrap().len();
        assert!(bytes <= 64 * 1024 + 1024, "{:?} has {bytes} bytes", file.path());
    }
}

#[test]
fn old_files_go_when_there_are_too_many() {
    let log = json!({ "log": { "maxSize": "16K", "maxFiles": 3, "maxTotal": "1M" } });
    let mut supervisor = Setup::new().shell("a", &counting(10_000, ""), &log).start();
    supervisor.wait_until("all is written", seconds(30), |it| numbers(it, "a").last() == Some(&9_999));
    let rotated = fs::read_dir(supervisor.file("log/a"))
        .unwrap()
        .flatten()
        .filter(|it| it.file_name() != "current")
        .count();
    assert!(rotated <= 3, "{rotated} rotated files kept, 3 allowed");
    let kept = numbers(&supervisor, "a");
    assert_eq!(kept.windows(2).find(|pair| pair[1] != pair[0] + 1), None);
}

#[test]
fn a_scribe_that_dies_is_replaced_and_nothing_is_lost() {
    let mut supervisor = Setup::new().shell("a", &counting(1_500, "sleep 0.002;"), &json!({})).start();
    let done = supervisor.file("services.d/done");
    for _ in 0..5 {
        let scribe = supervisor.scribe();
        let before = numbers(&supervisor, "a").len();
        proc::signal(scribe, Signal::SIGKILL);
        supervisor.wait_until("there is another scribe", seconds(5), |it| {
            let report = it.status();
            let now = report["supervisor"]["scribePid"].as_i64();
            now.is_some_and(|now| now != i64::from(scribe))
        });
        supervisor.wait_until("it writes on", seconds(5), |it| {
            done.exists() || numbers(it, "a").len() > before + 20
        });
    }
    supervisor.wait_until("all is said", seconds(30), |it| numbers(it, "a").last() == Some(&1_499));
    // What was written and not yet taken from the pipe is said twice: a kill may cost a double, and never a line.
    let mut numbers = numbers(&supervisor, "a");
    let doubles = numbers.windows(2).filter(|pair| pair[1] <= pair[0]).count();
    assert!(doubles <= 5, "more went back than was killed: {numbers:?}");
    numbers.sort_unstable();
    numbers.dedup();
    in_order_and_whole(&numbers, 1_500);
    assert_eq!(supervisor.service("a")["restartCount"], 0);
    assert_eq!(supervisor.service("a")["droppedLines"], 0);
    supervisor.ok(&["restart", "a"]);
}

#[test]
fn lines_begin_with_the_time_unless_said_otherwise() {
    let script = "printf 'one\\ntwo'; exit 0";
    let never = |timestamps: bool| json!({ "restart": "never", "log": { "timestamps": timestamps } });
    let mut supervisor =
        Setup::new().shell("with", script, &never(true)).shell("without", script, &never(false)).start();
    let text = |id: &str| supervisor.file(&format!("log/{id}/current"));
    let (with, without) = (text("with"), text("without"));
    supervisor.wait_until("both are written", seconds(5), |_| {
        [&with, &without].iter().all(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("two")))
    });
    assert_eq!(fs::read_to_string(without).unwrap().lines().collect::<Vec<_>>(), ["one", "two"]);
    for line in fs::read_to_string(with).unwrap().lines() {
        let (stamp, rest) = line.split_once(' ').unwrap();
        assert!(stamp.ends_with('Z') && stamp.len() >= 20, "{line}");
        assert!(rest.ends_with("one") || rest.ends_with("two"), "{line}");
    }
}

#[test]
fn a_last_word_is_there_when_stop_returns() {
    let script = "trap 'echo goodbye; exit 0' TERM; touch ready; while :; do sleep 0.02; done";
    let mut supervisor = Setup::new().shell("a", script, &json!({ "stop": { "timeout": "10s" } })).start();
    let ready = supervisor.file("services.d/ready");
    supervisor.wait_until("it has set its trap", seconds(5), |_| ready.exists());
    supervisor.ok(&["stop", "a"]);
    assert!(supervisor.ok(&["logs", "a"]).contains("goodbye"));
    assert!(supervisor.ok(&["logs", "a", "-n", "1"]).lines().count() == 1);
}

#[test]
fn a_removed_log_is_no_reason_to_stop_writing() {
    let script = "while :; do echo tick; sleep 0.01; done";
    let mut supervisor = Setup::new().shell("a", script, &json!({ "log": { "maxSize": "4K" } })).start();
    let folder = supervisor.file("log/a");
    let current = folder.join("current");
    supervisor.wait_until("it writes", seconds(5), |_| fs::metadata(&current).is_ok_and(|it| it.len() > 0));
    fs::remove_dir_all(&folder).unwrap();
    supervisor
        .wait_until("it writes again", seconds(20), |_| fs::metadata(&current).is_ok_and(|it| it.len() > 0));
    assert_eq!(supervisor.service("a")["status"], "running");
}

#[test]
fn a_service_that_has_said_nothing_has_an_empty_log() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_until("it has a record", seconds(5), |it| it.record("a")["status"] == "running");
    assert_eq!(supervisor.ok(&["logs", "a"]), "");
    assert_eq!(supervisor.cli(&["logs", "nobody"]).status.code(), Some(4));
}

#[test]
fn logs_can_be_followed() {
    let mut supervisor = Setup::new()
        .shell("a", "i=0; while :; do echo \"line $i\"; i=$((i+1)); sleep 0.02; done", &json!({}))
        .start();
    supervisor.wait_until("it has a record", seconds(5), |it| it.record("a")["status"] == "running");
    let out = supervisor.file("followed");
    let mut following =
        supervisor.command(&["logs", "a", "-f"]).stdout(fs::File::create(&out).unwrap()).spawn().unwrap();
    supervisor.wait_until("it follows", seconds(10), |_| {
        fs::read_to_string(&out).is_ok_and(|text| text.contains("line 20"))
    });
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn inherited_lines_go_to_our_own_output_behind_the_services_name() {
    let inherit = json!({ "log": { "mode": "inherit" } });
    let mut supervisor = Setup::new()
        .shell("one", &counting(300, ""), &inherit)
        .shell(
            "two",
            "echo to-stderr >&2; printf unended",
            &merged(inherit.clone(), &json!({ "restart": "never" })),
        )
        .start();
    let printed = |it: &Supervisor| fs::read_to_string(it.file("stdout")).unwrap();
    supervisor.wait_until("all is printed", seconds(10), |it| {
        printed(it).contains("one: line 299\n") && printed(it).contains("two: unended\n")
    });
    let printed = printed(&supervisor);
    assert!(printed.contains("Z two: to-stderr\n"), "{printed}");
    let numbers: Vec<u32> =
        printed.lines().filter_map(|line| line.rsplit_once("one: line ")?.1.parse().ok()).collect();
    in_order_and_whole(&numbers, 300);
    assert!(!supervisor.file("log/one").exists());
    assert_eq!(supervisor.ok(&["logs", "one"]), "");
}

#[test]
fn a_reader_of_our_output_that_does_not_read_costs_lines_and_no_service() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut supervisor = Setup::new()
        .stdout(writer.into())
        .shell("loud", &counting(20_000, ""), &json!({ "log": { "mode": "inherit" } }))
        .shell("other", &counting(10, ""), &json!({}))
        .start();
    let done = supervisor.file("services.d/done");
    supervisor.wait_until("it was not held up", seconds(20), |_| done.exists());
    supervisor.wait_until("what was dropped is counted", seconds(10), |it| {
        it.service("loud")["droppedLines"].as_u64() > Some(10_000)
    });
    supervisor.wait_until("the other's are kept", seconds(5), |it| numbers(it, "other").len() == 10);
    drop(reader);
}
