//! Exit codes, and the end of what the program left running.

use std::time::Instant;

use crate::beside::{Init, ours, same};
use crate::support::{install_script, pid_namespace, seconds};

#[test]
fn the_exit_code_is_the_programs() {
    let seen = same(|init| {
        let codes = (0..256).map(|code| init.code(&["%", "-s", "--", "sh", "-c", &format!("exit {code}")]));
        codes.collect::<Vec<_>>()
    });
    assert_eq!(seen, (0..256).collect::<Vec<_>>());
}

#[test]
fn chosen_codes_become_0() {
    let cases: [&[&str]; 9] = [
        &["-e", "3", "--", "sh", "-c", "exit 3"],
        &["-e", "3", "--", "sh", "-c", "exit 4"],
        &["-e3", "-e", "143", "--", "sh", "-c", "kill -TERM $$"],
        &["-e", "255", "--", "sh", "-c", "exit 255"],
        &["-e", "0", "--", "sh", "-c", "exit 0"],
        &["-e", "", "--", "sh", "-c", "exit 2"],
        &["-e", "127", "--", "/nowhere"],
        &["-e", "126", "--", "/etc/passwd"],
        &["-e", "126", "--", "/nowhere"],
    ];
    let seen = same(|init| cases.map(|case| init.code(&[&["%", "-s"], case].concat())));
    assert_eq!(seen, [0, 4, 0, 0, 0, 2, 0, 0, 127]);
}

#[test]
fn a_program_that_cannot_be_run_says_so_by_its_code() {
    let script = "exit 9\n";
    let long = "x".repeat(300);
    let seen = same(|init| {
        install_script(script, &init.folder().join("script"));
        let cases: [&[&str]; 9] = [
            &["nosuch"],
            &["/nowhere/nosuch"],
            &["/etc/passwd"],
            &["/"],
            &["/etc/passwd/x"],
            &[&long],
            &[""],
            // Without "#!": the shell runs it.
            &["./script"],
            &["./script", "a", "b"],
        ];
        cases.map(|case| {
            let output = init.output(&[&["%", "-s", "--"], case].concat());
            (output.status.code(), output.stdout.is_empty(), output.stderr.is_empty())
        })
    });
    let codes = seen.map(|(code, ..)| code.unwrap());
    assert_eq!(codes, [127, 127, 126, 126, 1, 1, 127, 9, 9]);
    let by_name = same(|init| {
        install_script(script, &init.folder().join("script"));
        let path = format!("/nowhere:{}:{}", init.folder().display(), std::env::var("PATH").unwrap());
        init.command(&["%", "-s", "--", "script", "a"]).env("PATH", path).status().unwrap().code()
    });
    assert_eq!(by_name, Some(9));
    let said = ours().output(&["%", "-s", "/nowhere/nosuch"]).stderr;
    assert_eq!(
        String::from_utf8(said).unwrap(),
        "tini: cannot execute /nowhere/nosuch: No such file or directory\n"
    );
}

/// As PID 1, a program that ends at once and leaves behind what `script` says; what was left in the folder.
fn leaves(init: &Init, grace: Option<&str>, script: &str) -> (i32, bool) {
    let Some(namespace) = pid_namespace() else { return (3, true) };
    let left = format!("sh -c '{script}' & while [ ! -e ready ]; do sleep 0.01; done; exit 3");
    let mut command = init.command(&[namespace.as_slice(), &["%", "--", "sh", "-c", &left]].concat());
    if let Some(grace) = grace {
        command.env("MCP_INIT_GRACE", grace);
    }
    let code = command.status().unwrap().code().unwrap();
    (code, init.folder().join("asked").exists())
}

const POLITE: &str = "trap \"echo >asked; exit\" TERM; echo >ready; while :; do sleep 0.01; done";
const DEAF: &str = "trap \"\" TERM; echo >ready; while :; do sleep 0.01; done";

#[test]
fn what_the_program_left_running_is_asked_to_end_first() {
    assert_eq!(leaves(&ours(), None, POLITE), (3, true));
    // So it was without us: killed by the kernel together with PID 1.
    if pid_namespace().is_some() {
        assert_eq!(leaves(&ours(), Some("0"), POLITE), (3, false));
        if let Some(tini) = crate::beside::tini() {
            assert_eq!(leaves(&tini, None, POLITE), (3, false));
        }
    }
}

#[test]
fn what_does_not_end_is_killed_after_the_grace() {
    let Some(namespace) = pid_namespace() else { return };
    let begun = Instant::now();
    assert_eq!(leaves(&ours(), Some("300ms"), DEAF).0, 3);
    let took = begun.elapsed();
    assert!(took.as_millis() >= 300, "{took:?}");
    // Long enough that whoever waits for it is seen, however slow the machine is.
    let init = ours();
    let mut command = init.command(&[namespace.as_slice(), &["%", "true"]].concat());
    let begun = Instant::now();
    assert_eq!(command.env("MCP_INIT_GRACE", "1m").status().unwrap().code(), Some(0));
    assert!(begun.elapsed() < seconds(30), "nothing is waited for where nothing is left");
}

#[test]
fn one_that_asks_twice_does_not_wait_for_the_grace() {
    let Some(namespace) = pid_namespace() else { return };
    let init = ours();
    let script = format!("sh -c '{DEAF}' & while [ ! -e ready ]; do sleep 0.01; done; echo up; exec cat");
    let mut command = init.command(&[namespace.as_slice(), &["%", "--", "sh", "-c", &script]].concat());
    command.env("MCP_INIT_GRACE", "1m");
    let mut running = init.begin(command);
    assert_eq!(running.first, "up");
    let inner = running.program();
    let term = || crate::support::proc::signal(inner, nix::sys::signal::Signal::SIGTERM);
    let children = || crate::support::proc::children(inner).into_iter().map(|child| child.pid);
    let program = children().next().unwrap();
    term();
    // The first ends the program; the second one ends the wait for what it left. Two that come at once are one.
    let is_over = || (!children().any(|pid| pid == program)).then_some(());
    assert!(crate::support::poll(seconds(30), is_over).is_some(), "{}", crate::support::proc::tree(inner));
    term();
    assert_eq!(running.end(), 143);
}

#[test]
fn an_idle_entrypoint_is_small() {
    if std::env::var_os("MCP_INIT").is_none() {
        return crate::support::skip("only the release build is measured: make test");
    }
    let init = ours();
    let running = init.start(&["%", "-s", "--", "sh", "-c", "echo ready; exec cat"]);
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", running.pid())).unwrap();
    // Not "Private_Dirty": pages of a program that was written a moment ago, or lies in memory, count there as well.
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    let own: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    assert!(own <= 120, "{own} kB of memory of its own");
}
