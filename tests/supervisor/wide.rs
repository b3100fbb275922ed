//! The same promises at a size that takes minutes: `make test-all` runs them.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::proc::{descriptors, resident};
use crate::support::seconds;
use crate::support::supervisor::{Setup, Supervisor};

/// Restarts of all services together.
fn restarts(supervisor: &Supervisor) -> u64 {
    let status = supervisor.status();
    status["services"].as_array().unwrap().iter().filter_map(|one| one["restartCount"].as_u64()).sum()
}

#[test]
#[ignore = "minutes: make test-all"]
fn a_hundred_thousand_restarts_leave_no_trace() {
    let keys = json!({ "command": ["/bin/true"],
        "restartPolicy": { "retryDelay": 0, "maxRetries": "unlimited" } });
    let fast = Setup::new().setting("restartsPerSecond", json!(100_000));
    let setup = (0..40).fold(fast, |setup, number| setup.service(&format!("t{number}"), &keys));
    let mut supervisor = setup.start();
    // The scribe has the files open that it is just writing, up to 128 of them: between two batches it has few.
    let least = |pid: i32| (0..200).map(|_| descriptors(pid).len()).min().unwrap();
    let weigh = |it: &Supervisor| {
        let (own, scribe) = (it.pid(), it.scribe());
        (resident(own), descriptors(own).len(), resident(scribe), least(scribe))
    };
    supervisor.wait_until("it has warmed up", seconds(120), |it| restarts(it) > 10_000);
    let before = weigh(&supervisor);
    supervisor.wait_until("there were 100,000 restarts", seconds(600), |it| restarts(it) > 110_000);
    let after = weigh(&supervisor);
    println!("KiB and descriptors of supervisor and scribe: {before:?} before, {after:?} after");
    assert!(after.0 <= before.0 + 256 && after.2 <= before.2 + 256, "{before:?} {after:?}");
    // The processes of the moment have a descriptor each, and so has a client that is just asking.
    assert!(after.1 <= before.1 + 45, "{before:?} {after:?}");
    // While the disk is busy one batch follows the other; what is lost never comes back.
    supervisor.wait_until("the scribe has as few files open as before", seconds(60), |it| {
        least(it.scribe()) <= before.3 + 2
    });
}

#[test]
#[ignore = "minutes: make test-all"]
fn a_thousand_services_start_answer_and_end() {
    let keys = json!({ "command": ["/bin/sleep", "1000"] });
    let setup = (0..1_000).fold(Setup::new(), |setup, number| setup.service(&format!("s{number}"), &keys));
    let mut supervisor = setup.start();
    supervisor.wait_until("all run", seconds(60), |it| {
        let status = it.status();
        status["services"].as_array().unwrap().iter().all(|one| one["status"] == "running")
    });
    supervisor.signal(Signal::SIGTERM);
    assert_eq!(supervisor.ended(seconds(9)).code(), Some(0));
}

#[test]
#[ignore = "wide: takes a minute"]
fn two_hundred_that_fail_in_a_loop_leave_room_for_everything_else() {
    let keys =
        json!({ "command": ["/bin/false"], "restartPolicy": { "retryDelay": 0, "maxRetries": "unlimited" } });
    let mut setup = (0..200).fold(Setup::new(), |setup, number| setup.service(&format!("f{number}"), &keys));
    for number in 0..3 {
        setup = setup.service(&format!("well{number}"), &json!({ "command": ["/bin/sleep", "1000"] }));
    }
    let mut supervisor = setup.start();
    for number in 0..3 {
        supervisor.wait_for(&format!("well{number}"), "running", seconds(10));
    }
    let pids = || (0..3).map(|number| supervisor.pid_of(&format!("well{number}"))).collect::<Vec<_>>();
    let (before, from, begun) = (pids(), restarts(&supervisor), Instant::now());
    let mut took = Vec::new();
    while begun.elapsed() < seconds(30) {
        let asked = Instant::now();
        assert!(supervisor.cli(&["status", "--json", "well0"]).status.success());
        took.push(asked.elapsed());
    }
    let rate = (restarts(&supervisor) - from) * 1000 / u64::try_from(begun.elapsed().as_millis()).unwrap();
    took.sort();
    let median = took[took.len() / 2];
    println!(
        "{rate} restarts a second; status of one of 203 takes {median:?} at the median, {:?} at most",
        took[took.len() - 1]
    );
    assert!((40..=52).contains(&rate), "{rate} restarts a second");
    assert!(median < Duration::from_millis(10), "{median:?}");
    assert_eq!(pids(), before);
}
