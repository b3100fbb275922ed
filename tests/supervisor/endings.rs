//! An end is complete when nobody of the service is left, wherever they went; and it is told why it came.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{free_port, proc, seconds, skip, which};

/// Detaches a sleeper the way daemons do: a session of its own, and a parent that is gone.
fn daemonized(mark: &str) -> String {
    format!("setsid sh -c '(sleep {mark} >/dev/null 2>&1 </dev/null &) ; sleep {mark} & :' & wait;")
}

#[test]
fn a_stop_reaches_those_who_left_the_session() {
    let mark = format!("1000.{}", free_port());
    let script = format!("{} touch ready; exec sleep 1000", daemonized(&mark));
    let others = format!("2000.{}", free_port());
    let mut supervisor = Setup::new()
        .shell("a", &script, &json!({}))
        .shell("other", &format!("{} exec sleep 1000", daemonized(&others)), &json!({}))
        .start();
    let ready = supervisor.file("services.d/ready");
    supervisor.wait_until("it has detached two", seconds(5), |_| {
        ready.exists() && proc::marked(&mark).len() == 2 && proc::marked(&others).len() == 2
    });
    supervisor.ok(&["stop", "a"]);
    assert!(proc::marked(&mark).is_empty(), "{:?}", proc::marked(&mark));
    assert_eq!(proc::marked(&others).len(), 2, "those of another service are left alone");
    supervisor.signal(Signal::SIGTERM);
    supervisor.ended(seconds(5));
    assert!(proc::marked(&others).is_empty(), "{:?}", proc::marked(&others));
}

#[test]
fn an_escaped_process_that_ignores_the_signal_is_killed_before_a_restart() {
    let mark = format!("1000.{}", free_port());
    let script = format!(
        "setsid sh -c \"trap '' TERM; touch deaf; sleep {mark}; sleep {mark}\" & \
         until [ -e deaf ]; do sleep 0.02; done; exit 1"
    );
    let keys = json!({ "stop": { "timeout": "300ms" }, "restartPolicy": { "retryDelay": "1m" } });
    let mut supervisor = Setup::new().shell("a", &script, &keys).start();
    supervisor.wait_for("a", "backoff", seconds(5));
    assert!(proc::marked(&mark).is_empty(), "{:?}", proc::marked(&mark));
    assert_eq!(supervisor.service("a")["lastEnd"]["code"], 1);
}

#[test]
fn a_stop_command_asks_in_place_of_the_signal() {
    let script = "trap 'exit 9' TERM; trap 'exit 4' USR1; touch ready; while :; do sleep 0.02; done";
    let command = json!(["/bin/sh", "-c", "echo asked; kill -USR1 $MAINPID"]);
    let sleep = format!("1000.{}", free_port());
    let mut supervisor = Setup::new()
        .shell("a", script, &json!({ "stop": { "command": command, "timeout": "10s" } }))
        .shell("b", "exec sleep 1000", &json!({ "stop": { "command": ["/bin/false"], "timeout": "10s" } }))
        .shell("c", "exec sleep 1000", &json!({ "stop": { "command": ["/no/such"], "timeout": "10s" } }))
        .shell(
            "d",
            "exec sleep 1000",
            &json!({ "stop": { "command": ["/bin/sleep", sleep], "timeout": "300ms" } }),
        )
        .start();
    let ready = supervisor.file("services.d/ready");
    supervisor.wait_until("it has set its traps", seconds(5), |_| ready.exists());
    for id in ["a", "b", "c", "d"] {
        supervisor.wait_for(id, "running", seconds(5));
        supervisor.ok(&["stop", id]);
    }
    assert_eq!(supervisor.service("a")["lastEnd"]["code"], 4);
    assert!(supervisor.ok(&["logs", "a"]).contains("asked"), "its output is the service's");
    assert_eq!(supervisor.service("b")["lastError"], "its stop command exited with code 1");
    assert_eq!(supervisor.service("b")["lastEnd"]["signal"], "SIGTERM");
    let error = supervisor.service("c")["lastError"].as_str().unwrap().to_owned();
    assert!(error.starts_with("cannot run its stop command: "), "{error}");
    assert_eq!(supervisor.service("d")["lastEnd"]["signal"], "SIGKILL", "it had its time");
    assert!(proc::marked(&sleep).is_empty(), "the command went with the service");
}

#[test]
fn an_end_is_told_with_its_last_lines_and_those_before_are_kept() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; echo it broke >&2; exit 6";
    let keys =
        json!({ "log": { "timestamps": false }, "restartPolicy": { "maxRetries": 8, "retryDelay": 20 } });
    let mut supervisor = Setup::new().shell("a", script, &keys).start();
    supervisor.wait_for("a", "error", seconds(10));
    supervisor.wait_until("its words are there", seconds(5), |it| {
        let record = it.record("a");
        record["status"] == "error" && record["lastEnd"]["output"].is_array()
    });
    let record = supervisor.record("a");
    let output: Vec<&str> =
        record["lastEnd"]["output"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(output.len(), 10, "{output:?}");
    assert_eq!((output[0], output[8], output[9]), ("line 4", "line 12", "it broke"));
    let history = record["history"].as_array().unwrap();
    assert_eq!(history.len(), 5, "bounded");
    assert!(history.iter().all(|end| end["code"] == 6 && end["lived"].is_u64() && end["output"].is_null()));
}

#[test]
fn a_shortage_of_descriptors_is_told_once_and_is_no_failure() {
    let mut setup = Setup::new().replaced_by(&["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"]);
    for number in 0..20 {
        setup = setup.shell(&format!("s{number}"), "exec sleep 1000", &json!({ "channel": true }));
    }
    let mut supervisor = setup.start();
    some_wait(&mut supervisor, 20, "descriptors");
    let uptime = |it: &Supervisor| it.status()["supervisor"]["uptime"].as_u64().unwrap();
    let then = uptime(&supervisor) + 2500;
    supervisor.wait_until("two more attempts were made, a second apart", seconds(10), |it| uptime(it) > then);
    let log = |it: &Supervisor| std::fs::read_to_string(it.file("log/mcp-init.log")).unwrap_or_default();
    let told = |it: &Supervisor| log(it).matches("tried again every second").count();
    supervisor.wait_until("it is told", seconds(5), |it| told(it) >= 1);
    assert_eq!(told(&supervisor), 1, "{}", log(&supervisor));
}

/// Some of so many services run, and the others wait for what is lacking, which is no failure of theirs.
fn some_wait(supervisor: &mut Supervisor, count: usize, lacking: &str) {
    supervisor.wait_until("some run and some wait", seconds(10), |it| {
        let states = states(it);
        states.len() == count
            && states.iter().all(|state| state == "running" || state == "backoff")
            && states.iter().any(|state| state == "backoff")
    });
    let status = supervisor.status();
    let degraded = &status["supervisor"]["degraded"];
    assert!(degraded.as_str().is_some_and(|words| words.contains(lacking)), "{degraded}");
    assert!(status["services"].as_array().unwrap().iter().all(|one| one["restartCount"] == 0), "{status}");
}

/// The state of each service.
fn states(supervisor: &Supervisor) -> Vec<String> {
    let status = supervisor.try_status().unwrap_or_default();
    let services = status["services"].as_array().cloned().unwrap_or_default();
    services.iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_shortage_of_processes_is_no_failure_and_over_when_there_are_some() {
    // Limits of processes are none for root.
    if !nix::unistd::geteuid().is_root() || which("prlimit").is_none() || which("setpriv").is_none() {
        return skip("no root, no prlimit or no setpriv");
    }
    let user = 50_000 + std::process::id() % 10_000;
    let id = user.to_string();
    let words = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "prlimit", "--nproc=12:1000"];
    let mut setup = Setup::new().replaced_by(&words);
    for number in 0..20 {
        setup = setup.shell(&format!("s{number}"), "exec sleep 1000", &json!({}));
    }
    setup.give_to(user);
    let mut supervisor = setup.start();
    some_wait(&mut supervisor, 20, "processes");
    let pid = supervisor.pid().to_string();
    let more =
        ["--reuid", &id, "--regid", &id, "--clear-groups", "prlimit", "--pid", &pid, "--nproc=1000:1000"];
    assert!(std::process::Command::new("setpriv").args(more).status().unwrap().success());
    supervisor.wait_until("all run", seconds(10), |it| states(it).iter().all(|state| state == "running"));
    let status = supervisor.status();
    assert!(status["services"].as_array().unwrap().iter().all(|one| one["restartCount"] == 0), "{status}");
}

#[test]
fn many_that_fail_at_once_are_started_again_at_a_bounded_rate() {
    let keys = json!({ "restartPolicy": { "retryDelay": 0, "maxRetries": "unlimited" } });
    let mut setup = Setup::new().setting("restartsPerSecond", json!(20));
    for number in 0..30 {
        setup = setup.shell(&format!("s{number:02}"), "exit 1", &keys);
    }
    let mut supervisor = setup.shell("well", "exec sleep 1000", &json!({})).start();
    let count = |it: &Supervisor| -> u64 {
        let status = it.status();
        status["services"].as_array().unwrap().iter().filter_map(|one| one["restartCount"].as_u64()).sum()
    };
    supervisor.wait_for("well", "running", seconds(5));
    let pid = supervisor.pid_of("well");
    let (begun, from) = (std::time::Instant::now(), count(&supervisor));
    // Two seconds' worth; a slow machine takes longer.
    let mut to = from;
    supervisor.wait_until("forty were started again", seconds(4), |it| {
        to = count(it);
        to >= from + 40
    });
    let took = begun.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(to - from).unwrap()) / took;
    // Of the second that was saved up, some may be left.
    assert!(rate < 20.0 + 20.0 / took + 5.0, "{rate} a second");
    let least = |it: &Supervisor| {
        let status = it.status();
        let failing =
            status["services"].as_array().unwrap().iter().filter(|one| one["serverId"] != "well").cloned();
        failing.map(|one| one["restartCount"].as_u64().unwrap()).min()
    };
    supervisor.wait_until("nobody starves", seconds(5), |it| least(it) > Some(0));
    assert_eq!(supervisor.pid_of("well"), pid);
}
