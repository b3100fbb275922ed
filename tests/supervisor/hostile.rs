//! Services that do their worst: each costs itself only, and `status` says why. So do a full disk of the
//! supervisor's own words and an impatient operator.

use std::fs::{self, File, OpenOptions};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::mcp::Client;
use crate::support::proc;
use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{free_port, runner_program, seconds, which};

/// A service that answers on its channel, so that its health shows whether it is heard.
const NEIGHBOUR: &str = r#"
say() { printf '%s\n' "$1" >&"$MCP_INIT_CHANNEL_FD"; }
say '{"type":"server-started","serverId":"near"}'
while read -r line <&"$MCP_INIT_CHANNEL_FD"; do
    case $line in *health-check*) say '{"type":"health-check-response","serverId":"near","healthy":true,"timestamp":1}' ;; esac
done"#;

fn neighbour(setup: Setup) -> Setup {
    let keys = json!({
        "channel": true, "readiness": "channel",
        "healthCheck": { "type": "channel", "interval": "200ms", "timeout": "2s", "retries": 1 },
    });
    setup.shell("near", NEIGHBOUR, &keys)
}

/// It was never restarted, it is healthy, and the supervisor answers quickly.
fn neighbour_is_well(supervisor: &mut Supervisor) {
    supervisor.wait_until("the neighbour is healthy", seconds(5), |it| {
        it.service("near")["healthStatus"] == "healthy"
    });
    assert_eq!(supervisor.service("near")["restartCount"], 0, "{}", supervisor.story());
    let asked_at = Instant::now();
    supervisor.status();
    assert!(asked_at.elapsed() < seconds(10), "status took {:?}", asked_at.elapsed());
}

#[test]
fn a_flood_of_output_costs_the_flooder_only() {
    let log = json!({ "log": { "maxSize": "1M", "maxFiles": 3, "maxTotal": "3M" } });
    let port = free_port();
    let mut setup = neighbour(Setup::new()).shell("flood", "exec yes", &log);
    if runner_program().is_some() {
        setup = setup.server("pets", port, &json!({}));
    }
    let mut supervisor = setup.start();
    supervisor.wait_for("flood", "running", seconds(5));
    if runner_program().is_some() {
        supervisor.wait_for("pets", "running", seconds(10));
        let mut client = Client::connect(port).unwrap();
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let asked_at = Instant::now();
                client.call("getPet", &json!({ "petId": 1 })).unwrap();
                asked_at.elapsed()
            })
            .collect();
        times.sort();
        // Whatever else keeps the machine busy keeps few of them waiting.
        assert!(times[100] < seconds(1) && times[199] < seconds(20), "calls took {times:?} beside a flood");
    }
    let folder = supervisor.file("log/flood");
    supervisor.wait_until("the flood was rotated", seconds(30), |_| {
        fs::read_dir(&folder).is_ok_and(|entries| entries.count() >= 3)
    });
    neighbour_is_well(&mut supervisor);
    let bytes: u64 =
        fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.metadata().map_or(0, |it| it.len())).sum();
    assert!(bytes <= 4 << 20, "{bytes} bytes of a flood kept, 3 MiB allowed");
    supervisor.ok(&["stop", "flood"]);
    assert_eq!(supervisor.service("flood")["status"], "stopped");
}

#[test]
fn one_that_ignores_sigterm_and_forks_is_killed_to_the_last_process() {
    let mark = format!("1000.{}", free_port());
    let script = format!(
        "trap '' TERM; for i in 1 2 3 4 5; do (trap '' TERM; sleep {mark}; sleep {mark}) & done; wait; wait"
    );
    let mut supervisor = neighbour(Setup::new())
        .shell("stubborn", &script, &json!({ "stop": { "timeout": "300ms" } }))
        .start();
    supervisor.wait_until("it has forked", seconds(5), |_| proc::marked(&mark).len() == 11);
    let asked_at = Instant::now();
    supervisor.ok(&["stop", "stubborn"]);
    assert!(asked_at.elapsed() >= Duration::from_millis(300), "killed before its timeout");
    assert!(proc::marked(&mark).is_empty(), "stopped, yet alive:\n{}", supervisor.story());
    let service = supervisor.service("stubborn");
    assert_eq!(service["status"], "stopped", "{service}");
    assert_eq!(service["lastEnd"]["signal"], "SIGKILL", "{service}");
    neighbour_is_well(&mut supervisor);
}

#[test]
fn garbage_on_the_channel_costs_its_sender_a_count() {
    let script = r#"
        printf 'garbage\n{"type":"no-such-thing","serverId":"noise"}\n[1,2]\n\n\0\377\n' >&"$MCP_INIT_CHANNEL_FD"
        head -c 300000 /dev/zero | tr '\0' x >&"$MCP_INIT_CHANNEL_FD"
        head -c 300000 /dev/urandom >&"$MCP_INIT_CHANNEL_FD"
        touch done; exec sleep 1000"#;
    let mut supervisor = neighbour(Setup::new())
        .service("noise", &json!({ "command": ["/bin/sh", "-c", script], "channel": true }))
        .start();
    let done = supervisor.file("services.d/done");
    supervisor.wait_until("it has said everything", seconds(10), |_| done.exists());
    supervisor.wait_until("it was counted", seconds(5), |it| {
        it.service("noise")["ignoredMessages"].as_u64() >= Some(4)
    });
    let noise = supervisor.service("noise");
    assert_eq!(
        (noise["status"].as_str(), noise["restartCount"].as_u64()),
        (Some("running"), Some(0)),
        "{noise}"
    );
    neighbour_is_well(&mut supervisor);
}

#[test]
fn one_that_cannot_exec_says_so_and_at_which_step() {
    let keys = |program: &str| json!({ "command": [program], "restartPolicy": { "maxRetries": 1, "retryDelay": "10ms" } });
    let setup = neighbour(Setup::new())
        .service("absent", &keys("/nonexistent/program"))
        .service("folder", &keys("/tmp"));
    let lost = json!({ "command": ["/bin/true"], "workingDirectory": "/nonexistent", "restartPolicy": { "maxRetries": 0 } });
    let mut supervisor = setup.service("lost", &lost).start();
    for (id, words) in [("absent", "No such file"), ("folder", "ermission denied"), ("lost", "/nonexistent")]
    {
        let service = supervisor.wait_for(id, "error", seconds(5));
        let error = service["lastError"].as_str().unwrap_or_default();
        assert!(
            error.to_lowercase().contains(&words.to_lowercase()),
            "{id}: {error:?} does not say {words:?}"
        );
    }
    neighbour_is_well(&mut supervisor);
}

#[test]
fn nobody_to_talk_to_is_no_reason_to_die() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for stderr in [Stdio::from(full), Stdio::from(writer)] {
        let setup = Setup::new().variable("PROCESS_LOG_LEVEL", "debug").stderr(stderr);
        let mut supervisor = setup.shell("a", "exec sleep 1000", &json!({})).start();
        supervisor.wait_for("a", "running", seconds(5));
        supervisor.ok(&["restart", "a"]);
        supervisor.signal(Signal::SIGTERM);
        assert_eq!(supervisor.ended(seconds(10)).code(), Some(0));
    }
}

#[test]
fn a_reader_of_its_output_that_never_reads_does_not_stop_it() {
    // Two full pipes: nobody reads what `run` prints, nor what it says.
    let (_kept, writer) = std::io::pipe().unwrap();
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
    let mut filler = File::from(std::os::fd::OwnedFd::from(writer.try_clone().unwrap()));
    while std::io::Write::write(&mut filler, &[b'x'; 4096]).is_ok() {}
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty())).unwrap();
    let mut supervisor =
        Setup::new().stderr(Stdio::from(writer)).shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    for _ in 0..20 {
        supervisor.ok(&["restart", "a"]);
    }
    supervisor.signal(Signal::SIGTERM);
    assert_eq!(supervisor.ended(seconds(10)).code(), Some(0));
}

#[test]
fn a_sigterm_at_any_moment_of_the_start_leaves_nothing_behind() {
    for delay in [0, 1, 2, 4, 8, 16, 32] {
        let mark = format!("1000.{}", free_port());
        let mut supervisor = Setup::new().shell("a", &format!("exec sleep {mark}"), &json!({})).spawn();
        thread::sleep(Duration::from_micros(delay * 500));
        supervisor.signal(Signal::SIGTERM);
        supervisor.ended(seconds(10));
        assert!(
            proc::marked(&format!("sleep {mark}")).is_empty(),
            "left behind after {delay} half milliseconds"
        );
    }
}

#[test]
fn a_sigterm_from_before_its_first_instruction_is_not_lost() {
    if which("env").is_none() {
        return;
    }
    // Blocked by whoever starts it, the signal is already there when `main` begins.
    let mut supervisor = Setup::new()
        .replaced_by(&["env", "--block-signal=TERM", "sh", "-c", "kill -TERM $$; exec \"$@\"", "sh"])
        .shell("a", "exec sleep 1000", &json!({}))
        .spawn();
    assert_eq!(supervisor.ended(seconds(10)).code(), Some(0));
}
