//! As PID 1 of a PID namespace: it reaps what nobody else will, ends everything on SIGTERM, and at rest makes
//! no system call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::proc;
use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{free_port, pid_namespace, runner_program, seconds, skip};

/// A program that leaves 20,000 orphans behind: each is a grandchild whose parent has ended.
const ORPHANS: &str = r#"
#include <unistd.h>
#include <sys/wait.h>
#include <stdio.h>
int main(void) {
    for (int i = 0; i < 20000; i++) {
        pid_t middle = fork();
        if (middle == 0) { if (fork() == 0) { if (i % 100 == 0) usleep(2000); _exit(i & 127); } _exit(0); }
        if (middle < 0) { usleep(1000); i--; continue; }
        waitpid(middle, 0, 0);
    }
    puts("done"); fflush(stdout);
    for (;;) pause();
}"#;

/// Compiled into `folder`; a Rust toolchain has `cc` for a linker.
fn orphan_maker(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("orphans");
    fs::write(folder.join("orphans.c"), ORPHANS).unwrap();
    let built = Command::new("cc").arg("-O1").arg("-o").arg(&program).arg(folder.join("orphans.c")).status();
    built.is_ok_and(|status| status.success()).then_some(program)
}

fn zombies_of(parent: i32) -> usize {
    proc::children(parent).iter().filter(|child| child.state == 'Z').count()
}

#[test]
fn twenty_thousand_orphans_are_reaped_and_none_is_left() {
    let Some(wrapper) = pid_namespace() else { return };
    let setup = Setup::new().wrapper(&wrapper);
    let Some(program) = orphan_maker(setup.path()) else { return skip("no C compiler") };
    let mut supervisor = setup
        .service("orphans", &json!({ "command": [program] }))
        .shell("near", "exec sleep 1000", &json!({}))
        .start();
    let output = supervisor.file("log/orphans/current");
    supervisor.wait_until("all are born", seconds(120), |_| {
        fs::read_to_string(&output).is_ok_and(|text| text.contains("done"))
    });
    supervisor.wait_until("all are reaped", seconds(10), |it| {
        it.status()["supervisor"]["orphans"].as_u64() >= Some(20_000)
    });
    let init = supervisor.pid();
    supervisor.wait_until("no zombie is left", seconds(5), |_| zombies_of(init) == 0);
    assert_eq!(supervisor.status()["supervisor"]["pid"], 1);
    assert_eq!(supervisor.status()["supervisor"]["orphans"], 20_000);
    assert_eq!(supervisor.service("near")["restartCount"], 0);
    end(&mut supervisor);
}

/// SIGTERM from outside, as a container engine sends it.
fn end(supervisor: &mut Supervisor) {
    let everyone: Vec<i32> = proc::descendants(supervisor.pid()).iter().map(|process| process.pid).collect();
    supervisor.signal(Signal::SIGTERM);
    // Far from the minute that a service may take by itself.
    let asked_at = Instant::now();
    assert_eq!(supervisor.ended(seconds(6)).code(), Some(0));
    assert!(asked_at.elapsed() < seconds(30), "within its shutdownTimeout, but {:?}", asked_at.elapsed());
    assert!(everyone.iter().all(|&pid| !proc::is_alive(pid)));
}

#[test]
fn sigterm_ends_the_stubborn_too_within_the_deadline() {
    let Some(wrapper) = pid_namespace() else { return };
    let stubborn = "trap '' TERM; while :; do sleep 1000; done";
    let mut supervisor = Setup::new()
        .wrapper(&wrapper)
        .setting("shutdownTimeout", json!("2s"))
        .shell("a", stubborn, &json!({ "stop": { "timeout": "1m" } }))
        .shell(
            "orphan",
            "(setsid sh -c \"trap '' TERM; sleep 1000; sleep 1000\" &) ; exec sleep 1000",
            &json!({}),
        )
        .start();
    for id in ["a", "orphan"] {
        supervisor.wait_for(id, "running", seconds(5));
    }
    end(&mut supervisor);
}

#[test]
fn at_rest_it_makes_no_system_call_for_ten_seconds() {
    let Some(wrapper) = pid_namespace() else { return };
    let unchecked = json!({ "healthCheck": { "type": "none" } });
    let mut setup = Setup::new().wrapper(&wrapper).shell("a", "exec sleep 1000", &json!({}));
    if runner_program().is_some() {
        setup = setup.server("pets", free_port(), &unchecked);
    }
    let mut supervisor = setup.start();
    supervisor.wait_for("a", "running", seconds(5));
    if runner_program().is_some() {
        supervisor.wait_for("pets", "running", seconds(10));
    }
    // Nothing may be left of the start: state files are written, the last answer is out, memory is given back.
    for (name, pid) in [("the supervisor", supervisor.pid()), ("the scribe", supervisor.scribe())] {
        let mut quiet = (0, 0);
        supervisor.wait_until(&format!("{name} is at rest"), seconds(30), |_| {
            let before = proc::switches(pid);
            thread::sleep(Duration::from_millis(500));
            quiet = (proc::switches(pid), quiet.1 + 1);
            // A sleep with no end: in epoll, with a timeout of -1 (of 32 bits or 64).
            quiet.0 == before && proc::sleeping_in(pid).contains("ffffffff ")
        });
    }
    let look = |pid| (proc::switches(pid), proc::sleeping_in(pid));
    let pids = [supervisor.pid(), supervisor.scribe()];
    let before = pids.map(look);
    thread::sleep(seconds(10));
    // Asleep in the same call with the same count of switches: it was not woken, so it called nothing.
    assert_eq!(pids.map(look), before, "supervisor and scribe");
}
