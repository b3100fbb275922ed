//! Stop means empty, in every state a service can be in, and nothing comes back from it.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::supervisor::Setup;
use crate::support::{free_port, proc, seconds};

#[test]
fn stopped_is_when_the_whole_group_is_gone() {
    let mark = format!("0.{}", free_port());
    // The leader leaves at once; its child takes its time.
    let script = format!(
        "(trap 'sleep 0.3; exit 0' TERM; while :; do sleep {mark}; done) & trap 'exit 0' TERM; touch ready; while :; do sleep 0.05; done"
    );
    let mut supervisor = Setup::new().shell("a", &script, &json!({ "stop": { "timeout": "10s" } })).start();
    let ready = supervisor.file("services.d/ready");
    supervisor.wait_until("it has forked", seconds(5), |_| ready.exists());
    let group = supervisor.pid_of("a").unwrap();
    supervisor.ok(&["stop", "a"]);
    let left: Vec<_> = proc::processes()
        .into_iter()
        .filter(|process| process.group == group && process.state != 'Z')
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let service = supervisor.service("a");
    assert_eq!(
        (service["status"].as_str(), service["lastEnd"]["reason"].as_str()),
        (Some("stopped"), Some("ordered")),
        "{service}"
    );
}

#[test]
fn a_stop_in_backoff_ends_the_wait_and_nothing_comes_back() {
    let keys = json!({ "restartPolicy": { "maxRetries": 10, "retryDelay": "300ms", "jitter": 0 } });
    let mut supervisor = Setup::new().shell("a", "exit 1", &keys).start();
    supervisor.wait_for("a", "backoff", seconds(5));
    supervisor.ok(&["stop", "a"]);
    let service = supervisor.service("a");
    assert_eq!(
        (service["status"].as_str(), &service["retryIn"]),
        (Some("stopped"), &json!(null)),
        "{service}"
    );
    // All that has happened is written.
    supervisor.ok(&["status", "--settled"]);
    let started = supervisor.events_of("a", "process.started").len();
    // Longer than its delay: whatever was armed would have gone off.
    std::thread::sleep(std::time::Duration::from_millis(700));
    supervisor.ok(&["status", "--settled"]);
    assert_eq!(supervisor.events_of("a", "process.started").len(), started);
    assert_eq!(supervisor.service("a")["status"], "stopped");
}

#[test]
fn a_stop_while_starting_is_heard() {
    let keys = json!({ "readiness": "channel", "processTimeout": "1m" });
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &keys).start();
    supervisor.wait_until("it is starting", seconds(5), |it| {
        it.service("a")["status"] == "starting" && it.pid_of("a").is_some()
    });
    let pid = supervisor.pid_of("a").unwrap();
    supervisor.ok(&["stop", "a"]);
    assert_eq!(supervisor.service("a")["status"], "stopped");
    assert!(!proc::is_alive(pid));
}

#[test]
fn a_stop_of_the_stopped_is_done_at_once_and_a_start_brings_it_back() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    supervisor.ok(&["stop", "a"]);
    supervisor.ok(&["stop", "a"]);
    supervisor.ok(&["start", "a"]);
    supervisor.ok(&["start", "a"]);
    assert_eq!(supervisor.service("a")["status"], "running");
    assert_eq!(supervisor.service("a")["restartCount"], 0, "ordered ends are no failures");
}

#[test]
fn its_own_stop_signal_is_used() {
    let script = "trap 'exit 9' USR1; touch ready; while :; do sleep 0.02; done";
    let mut supervisor = Setup::new()
        .shell("a", script, &json!({ "stop": { "signal": "SIGUSR1", "timeout": "10s" } }))
        .start();
    let ready = supervisor.file("services.d/ready");
    supervisor.wait_until("it has set its trap", seconds(5), |_| ready.exists());
    supervisor.ok(&["stop", "a"]);
    assert_eq!(supervisor.service("a")["lastEnd"]["code"], 9);
}

#[test]
fn shutdown_ends_everything_and_the_supervisor() {
    for by_verb in [true, false] {
        let mark = format!("1000.{}", free_port());
        let mut setup = Setup::new();
        for id in ["a", "b", "c"] {
            setup = setup.shell(id, &format!("sleep {mark} & exec sleep {mark}"), &json!({}));
        }
        let mut supervisor = setup.start();
        for id in ["a", "b", "c"] {
            supervisor.wait_for(id, "running", seconds(5));
        }
        if by_verb {
            supervisor.ok(&["shutdown"]);
        } else {
            supervisor.signal(Signal::SIGINT);
        }
        assert_eq!(supervisor.ended(seconds(10)).code(), Some(0));
        assert!(proc::marked(&mark).is_empty());
        for id in ["a", "b", "c"] {
            assert_eq!(supervisor.record(id)["status"], "stopped", "{}", supervisor.record(id));
        }
        assert!(!supervisor.file("run/control.sock").exists(), "its socket is left");
    }
}

#[test]
fn the_impatient_get_it_at_once() {
    let keys = json!({ "stop": { "timeout": "1m" } });
    let mut supervisor = Setup::new()
        .setting("shutdownTimeout", json!("1m"))
        .shell("a", "trap '' TERM; touch ready; while :; do sleep 1000; done", &keys)
        .start();
    let ready = supervisor.file("services.d/ready");
    supervisor.wait_until("it ignores SIGTERM", seconds(5), |_| ready.exists());
    supervisor.signal(Signal::SIGTERM);
    supervisor.wait_until("it is stopping", seconds(5), |it| it.service("a")["status"] == "stopping");
    supervisor.signal(Signal::SIGTERM);
    supervisor.ended(seconds(10));
}

#[test]
fn what_a_killed_supervisor_leaves_is_ended_by_the_next() {
    let mut first = Setup::new().shell("a", "sleep 1000 & exec sleep 1000", &json!({})).start();
    first.wait_for("a", "running", seconds(5));
    let left = first.pid_of("a").unwrap();
    first.wait_until("it is recorded", seconds(5), |it| it.record("a")["startTicks"].is_u64());
    first.signal(Signal::SIGKILL);
    first.ended(seconds(5));
    assert!(proc::is_alive(left), "a service outlives its supervisor");
    let group = || proc::processes().into_iter().filter(|it| it.group == left && it.state != 'Z').count();
    first.wait_until("both are there", seconds(5), |_| group() == 2);

    first.again();
    let new = first.wait_for("a", "running", seconds(10))["pid"].as_i64();
    assert_ne!(new, Some(i64::from(left)));
    first.wait_until("the old group is gone", seconds(5), |_| group() == 0);
}
