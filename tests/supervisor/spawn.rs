//! What a service finds when it starts: no signal blocked or ignored, no stray descriptor, only the variables
//! it may see, a session of its own.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::proc;
use crate::support::seconds;
use crate::support::supervisor::Setup;

/// Writes down what it sees, then sleeps. Its own status it reads by itself: a shell that starts a program
/// blocks signals meanwhile.
const PROBE: &str = "while read -r line; do echo \"$line\"; done </proc/$$/status >status; env >env; pwd >pwd; umask >umask; touch done; exec sleep 1000";

#[test]
fn a_service_starts_clean() {
    let mut supervisor = Setup::new()
        .variable("SECRET_OF_THE_HOST", "x")
        .variable("NODE_CHANNEL_FD", "9")
        .variable("NOTIFY_SOCKET", "/nowhere")
        .variable("LISTEN_FDS", "3")
        .variable("LISTEN_PID", "1")
        .variable("FROM_OUTSIDE", "outside")
        .shell("probe", PROBE, &json!({ "env": { "OWN": "own", "TAKEN": "${FROM_OUTSIDE}" } }))
        .start();
    let seen = supervisor.file("services.d");
    supervisor.wait_until("the probe has written", seconds(5), |_| seen.join("done").exists());
    let read = |name: &str| fs::read_to_string(seen.join(name)).unwrap();

    for line in read("status").lines().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn"))
    {
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        // Not even 32 and 33, which the C library leaves ignored in what it spawns: our own test does.
        assert_eq!(mask, 0, "{line}");
    }
    let pid = supervisor.pid_of("probe").unwrap();
    // For a moment, while it loads what it needs, it has that open too.
    supervisor.wait_until("it sleeps, with three descriptors", seconds(5), |_| {
        let numbers: Vec<i32> = proc::descriptors(pid).iter().map(|(number, _)| *number).collect();
        proc::process(pid).unwrap().name == "sleep" && numbers == [0, 1, 2]
    });
    let open = proc::descriptors(pid);
    assert_eq!(open[0].1.to_str(), Some("/dev/null"), "{open:?}");

    let variables = read("env");
    let has = |name: &str| variables.lines().any(|line| line.starts_with(&format!("{name}=")));
    for name in [
        "SECRET_OF_THE_HOST",
        "NODE_CHANNEL_FD",
        "MCP_INIT_CHANNEL_FD",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
    ] {
        assert!(!has(name), "{name} leaked:\n{variables}");
    }
    assert!(
        has("PATH") && variables.contains("OWN=own\n") && variables.contains("TAKEN=outside\n"),
        "{variables}"
    );
    assert_eq!(read("pwd").trim(), seen.canonicalize().unwrap().to_str().unwrap());

    let process = proc::process(pid).unwrap();
    assert_eq!((process.session, process.group), (pid, pid), "a session of its own");
    assert_eq!(process.parent, supervisor.pid());
}

#[test]
fn a_service_with_a_channel_has_one_descriptor_more_under_both_names() {
    let mut supervisor = Setup::new().shell("probe", PROBE, &json!({ "channel": true })).start();
    let seen = supervisor.file("services.d");
    supervisor.wait_until("the probe has written", seconds(5), |_| seen.join("done").exists());
    let variables = fs::read_to_string(seen.join("env")).unwrap();
    let value = |name: &str| {
        variables.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).map(str::to_owned)
    };
    assert!(value("MCP_INIT_CHANNEL_FD").is_some(), "{variables}");
    assert_eq!(value("MCP_INIT_CHANNEL_FD"), value("NODE_CHANNEL_FD"));
    let pid = supervisor.pid_of("probe").unwrap();
    supervisor.wait_until("it sleeps, with four descriptors", seconds(5), |_| {
        proc::process(pid).unwrap().name == "sleep" && proc::descriptors(pid).len() == 4
    });
    let open = proc::descriptors(pid);
    let sockets = open.iter().filter(|(_, link)| link.to_str().unwrap().starts_with("socket:")).count();
    assert_eq!((sockets, open.len()), (1, 4), "{open:?}");
}

#[test]
fn a_thousand_children_that_die_at_once_are_all_seen() {
    let script = "i=0; while [ $i -lt 300 ]; do (sleep 0.2 &) ; i=$((i+1)); done; sleep 0.1; exit 5";
    let keys = json!({ "restart": "never" });
    let mut setup = Setup::new();
    for id in ["a", "b", "c"] {
        setup = setup.shell(id, script, &keys);
    }
    let mut supervisor = setup.start();
    for id in ["a", "b", "c"] {
        supervisor.wait_until("its end is seen", seconds(20), |it| it.service(id)["lastEnd"]["code"] == 5);
    }
    let pid = supervisor.pid();
    supervisor.wait_until("no zombie is left", seconds(10), |_| {
        proc::children(pid).iter().all(|child| child.state != 'Z')
    });
}

#[test]
fn ends_are_told_apart() {
    let never = json!({ "restart": "never" });
    let mut supervisor = Setup::new()
        .shell("code", "exit 42", &never)
        .shell("term", "kill -TERM $$", &never)
        .shell("segv", "kill -SEGV $$", &never)
        .start();
    for (id, key, value) in [
        ("code", "code", json!(42)),
        ("term", "signal", json!("SIGTERM")),
        ("segv", "signal", json!("SIGSEGV")),
    ] {
        supervisor.wait_until("its end is told", seconds(5), |it| it.service(id)["lastEnd"][key] == value);
    }
}

#[test]
fn a_stopped_process_has_not_ended() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    let pid = supervisor.pid_of("a").unwrap();
    proc::signal(pid, Signal::SIGSTOP);
    supervisor.wait_until("it is frozen", seconds(5), |_| {
        proc::process(pid).is_some_and(|process| process.state == 'T')
    });
    assert_eq!(supervisor.pid_of("a"), Some(pid));
    assert_eq!(supervisor.service("a")["status"], "running");
    supervisor.ok(&["stop", "a"]);
    assert_eq!(supervisor.service("a")["lastEnd"]["signal"], "SIGTERM", "woken up, so that it hears SIGTERM");
}
