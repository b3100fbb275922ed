//! The same promises at a size that takes minutes: `make test-all` runs them.

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
    let setup = (0..40).fold(Setup::new(), |setup, number| setup.service(&format!("t{number}"), &keys));
    let mut supervisor = setup.start();
    let weigh = |it: &Supervisor| {
        let (own, scribe) = (it.pid(), it.scribe());
        (resident(own), descriptors(own).len(), resident(scribe), descriptors(scribe).len())
    };
    supervisor.wait_until("it has warmed up", seconds(120), |it| restarts(it) > 10_000);
    let before = weigh(&supervisor);
    supervisor.wait_until("there were 100,000 restarts", seconds(600), |it| restarts(it) > 110_000);
    let after = weigh(&supervisor);
    println!("KiB and descriptors of supervisor and scribe: {before:?} before, {after:?} after");
    assert!(after.0 <= before.0 + 256 && after.2 <= before.2 + 256, "{before:?} {after:?}");
    // The processes of the moment have a descriptor each, and so has a client that is just asking.
    assert!(after.1 <= before.1 + 45 && after.3 <= before.3 + 2, "{before:?} {after:?}");
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
