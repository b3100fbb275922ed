//! Verbs on a running supervisor: exit codes, an order from inside a service, a second supervisor refused.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use nix::fcntl::{Flock, FlockArg};
use serde_json::json;

use crate::support::proc;
use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{init_program, seconds};

#[test]
fn a_service_may_restart_itself() {
    let setup = Setup::new();
    let script = format!(
        "echo life >>lives; if [ ! -e once ]; then touch once; {} -c {} restart a; fi; exec sleep 1000",
        init_program().display(),
        setup.path().display()
    );
    let mut supervisor = setup.shell("a", &script, &json!({ "stop": { "timeout": "5s" } })).start();
    let lives = supervisor.file("services.d/lives");
    supervisor.wait_until("it lives again", seconds(10), |it| {
        fs::read_to_string(&lives).is_ok_and(|text| text.lines().count() == 2)
            && it.service("a")["status"] == "running"
    });
    let service = supervisor.service("a");
    assert_eq!(service["restartCount"], 0, "an ordered one does not count: {service}");
    assert_eq!(service["lastEnd"]["reason"], "ordered", "{service}");
}

/// How many clients are connected to it.
fn connections(supervisor: &Supervisor) -> usize {
    let socket = supervisor.file("run/control.sock");
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let is_one = |line: &&str| {
        line.ends_with(socket.to_str().unwrap()) && line.split_whitespace().nth(5) == Some("03")
    };
    table.lines().filter(is_one).count()
}

#[test]
fn restarts_asked_for_at_once_are_one() {
    let mut supervisor = Setup::new()
        .shell(
            "a",
            "trap 'until [ -e go ]; do sleep 0.02; done; exit 0' TERM; echo life >>lives; while :; do sleep 0.02; done",
            &json!({ "stop": { "timeout": "5m" } }),
        )
        .start();
    let lives = supervisor.file("services.d/lives");
    supervisor.wait_until("it lives", seconds(5), |_| {
        fs::read_to_string(&lives).is_ok_and(|text| text == "life\n")
    });
    supervisor.wait_until("nobody is connected", seconds(5), |it| connections(it) == 0);
    let mut asking: Vec<_> = (0..5).map(|_| supervisor.command(&["restart", "a"]).spawn().unwrap()).collect();
    // It does not end before all have asked, and whoever asks after them has an answer.
    let waits = |one: &Child| {
        let process = proc::process(i32::try_from(one.id()).unwrap());
        process.is_some_and(|process| process.state == 'S')
    };
    supervisor.wait_until("all wait for an answer", seconds(5), |it| {
        connections(it) == 5 && asking.iter().all(waits)
    });
    supervisor.ok(&["status"]);
    fs::write(supervisor.file("services.d/go"), "").unwrap();
    for one in &mut asking {
        assert!(one.wait().unwrap().success());
    }
    let count = || fs::read_to_string(&lives).unwrap().lines().count();
    supervisor.wait_until("it lives again", seconds(5), |_| count() >= 2);
    let count = count();
    assert!((2..=3).contains(&count), "{count} lives by five restarts at once");
    assert_eq!(supervisor.service("a")["status"], "running");
}

#[test]
fn a_second_one_is_refused_and_touches_nothing() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    let pid = supervisor.pid_of("a");
    let second = supervisor.cli(&["run"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(100), "{said}");
    assert!(said.starts_with("mcp-init: cannot ") && said.lines().count() == 1, "{said:?}");
    assert_eq!(supervisor.pid_of("a"), pid);
    assert_eq!(supervisor.service("a")["restartCount"], 0);
}

#[test]
fn a_lock_that_nobody_alive_holds_is_waited_for() {
    // As a process holds it that was being made when an earlier supervisor was killed.
    let setup = Setup::new().shell("a", "exec sleep 1000", &json!({}));
    let path = setup.path().join("run/lock");
    fs::create_dir(setup.path().join("run")).unwrap();
    fs::write(&path, format!("{}\n", i32::MAX)).unwrap();
    let lock = Flock::lock(File::open(&path).unwrap(), FlockArg::LockExclusive).unwrap();
    let mut supervisor = setup.spawn();
    let folder = format!("/proc/{}/fd", supervisor.pid());
    supervisor.wait_until("it is at the lock", seconds(5), |_| {
        let opened = fs::read_dir(&folder).into_iter().flatten().flatten();
        opened.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|to| to.ends_with("run/lock"))
    });
    drop(lock);
    supervisor.wait_for("a", "running", seconds(5));
}

#[test]
fn exit_codes_say_what_is() {
    let mut supervisor = Setup::new()
        .shell("up", "exec sleep 1000", &json!({}))
        .shell("down", "exit 0", &json!({ "restart": "never" }))
        .start();
    supervisor.wait_for("up", "running", seconds(5));
    supervisor.wait_for("down", "stopped", seconds(5));
    let code = |words: &[&str]| supervisor.cli(words).status.code();
    assert_eq!(code(&["status", "up"]), Some(0));
    assert_eq!(code(&["status", "down"]), Some(3));
    assert_eq!(code(&["status", "nobody"]), Some(4));
    assert_eq!(code(&["status"]), Some(0));
    assert_eq!(code(&["version"]), Some(0));
    assert_ne!(code(&["start", "nobody"]), Some(0));
    assert_ne!(code(&["no-such-verb"]), Some(0));
    let said = supervisor.cli(&["restart", "upp"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.starts_with("mcp-init: cannot ") && said.lines().count() == 1, "{said:?}");
}

#[test]
fn without_a_supervisor_every_verb_says_so_in_one_line() {
    let mut supervisor = Setup::new().start();
    supervisor.ok(&["shutdown"]);
    supervisor.ended(seconds(10));
    for verb in [
        &["status"][..],
        &["start", "a"],
        &["stop", "a"],
        &["restart", "a"],
        &["reload"],
        &["metrics"],
        &["health"],
        &["shutdown"],
    ] {
        let output = supervisor.cli(verb);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{verb:?}");
        assert!(said.starts_with("mcp-init: cannot ") && said.lines().count() == 1, "{verb:?}: {said:?}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut setup = Setup::new();
    for number in 0..50 {
        setup = setup.shell(&format!("s{number}"), "exec sleep 1000", &json!({}));
    }
    let mut supervisor = setup.start();
    supervisor.wait_for("s49", "running", seconds(10));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = supervisor
        .command(&["status", "--json"])
        .stdout(Stdio::from(writer))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output();
    let said = output.unwrap();
    assert!(!String::from_utf8_lossy(&said.stderr).contains("panicked"));
}

#[test]
fn clients_that_say_nothing_or_nonsense_cost_nothing() {
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    let socket = supervisor.file("run/control.sock");
    let mut silent = Vec::new();
    for number in 0..20 {
        let Ok(mut client) = std::os::unix::net::UnixStream::connect(&socket) else { break };
        let words: &[u8] = match number % 4 {
            0 => b"",
            1 => b"{\"id\":1",
            2 => b"\0\xff nonsense\n{}\n[]\n",
            _ => b"{\"id\":7,\"verb\":\"status\"}\n",
        };
        let _ = std::io::Write::write_all(&mut client, words);
        silent.push(client);
    }
    // One line that never ends.
    if let Ok(mut endless) = std::os::unix::net::UnixStream::connect(&socket) {
        endless.set_write_timeout(Some(seconds(1))).unwrap();
        for _ in 0..512 {
            if std::io::Write::write_all(&mut endless, &[b'x'; 8 * 1024]).is_err() {
                break;
            }
        }
    }
    drop(silent);
    supervisor.wait_until("it answers still", seconds(5), |it| it.service("a")["status"] == "running");
    let pid = supervisor.pid();
    supervisor.wait_until("their descriptors are closed", seconds(5), |_| proc::descriptors(pid).len() < 32);
}

#[test]
fn health_says_it_with_its_exit_code() {
    let policy = json!({ "restartPolicy": { "maxRetries": 0 } });
    let mut supervisor =
        Setup::new().shell("up", "exec sleep 1000", &json!({})).shell("broken", "exit 1", &policy).start();
    supervisor.wait_for("up", "running", seconds(5));
    supervisor.wait_for("broken", "error", seconds(5));
    let code = |words: &[&str]| supervisor.cli(words).status.code();
    assert_eq!(code(&["health", "up"]), Some(0));
    assert_ne!(code(&["health", "broken"]), Some(0));
    assert_eq!(code(&["health", "--live"]), Some(0), "the supervisor itself lives");
}
