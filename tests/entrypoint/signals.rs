//! Signals: every one that can be forwarded is, to the program or to its group, and the program finds masks and
//! dispositions as whoever started us left them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::beside::{Init, ours, same};
use crate::support::{poll, proc, seconds, skip};

/// Those that end us as any program, being the sign of a fault.
const FAULTS: [i32; 7] =
    [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];

/// Those that stay with us: deaths of children, and what a terminal thinks of a background process.
const KEPT: [i32; 3] = [libc::SIGCHLD, libc::SIGTTIN, libc::SIGTTOU];

/// A program that says each signal it gets by number, and ends with the last one.
const LISTENER: &str = r#"
#include <signal.h>
#include <stdio.h>
int main(void) {
    sigset_t all; int number;
    sigfillset(&all); sigprocmask(SIG_SETMASK, &all, 0);
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("ready");
    for (;;) { sigwait(&all, &number); printf("%d\n", number); if (number == SIGRTMAX) return 0; }
}"#;

/// Compiled into `folder`; a Rust toolchain has `cc` for a linker.
fn listener(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("listener");
    fs::write(folder.join("listener.c"), LISTENER).unwrap();
    let built = Command::new("cc").arg("-o").arg(&program).arg(folder.join("listener.c")).status();
    let made = built.is_ok_and(|status| status.success()).then_some(program);
    if made.is_none() {
        skip("no C compiler");
    }
    made
}

/// All that can be sent to be forwarded; the C library keeps two for itself.
fn forwardable() -> impl Iterator<Item = i32> {
    (1..=libc::SIGRTMAX()).filter(|number| {
        !FAULTS.contains(number) && !KEPT.contains(number) && ![9, 19, 32, 33].contains(number)
    })
}

#[test]
fn every_forwardable_signal_reaches_the_program_and_no_other() {
    let seen = same(|init| {
        let Some(program) = listener(init.folder()) else { return Vec::new() };
        let mut running = init.start(&["%", "-s", program.to_str().unwrap()]);
        for number in KEPT {
            running.signal(number);
        }
        let mut heard = Vec::new();
        // One after the other: a stop signal takes back one that continues, and the other way round.
        for number in forwardable() {
            running.signal(number);
            heard.push(running.line());
        }
        assert_eq!(running.end(), 0);
        heard
    });
    if !seen.is_empty() {
        assert_eq!(seen, forwardable().map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn each_deadly_signal_ends_with_its_own_exit_code() {
    let harmless = [libc::SIGCONT, libc::SIGTSTP, libc::SIGURG, libc::SIGWINCH];
    let deadly = || forwardable().filter(|number| !harmless.contains(number));
    let seen = same(|init| {
        let ends = deadly().map(|number| {
            let mut running = init.start(&["%", "-s", "--", "sh", "-c", "echo ready; exec cat"]);
            // A shell takes note of SIGINT, and would become the next program without a word of it.
            let program = running.program();
            let is_cat = || proc::command_line(program).starts_with("cat").then_some(());
            assert!(poll(seconds(30), is_cat).is_some(), "{}", proc::tree(running.pid()));
            running.signal(number);
            running.end()
        });
        ends.collect::<Vec<_>>()
    });
    assert_eq!(seen, deadly().map(|number| 128 + number).collect::<Vec<_>>());
}

#[test]
fn a_fault_sent_to_us_is_ours() {
    let seen = same(|init| {
        let ends = FAULTS.map(|number| {
            let mut running = init.start(&["%", "-s", "--", "sh", "-c", "ulimit -c 0; echo ready; exec cat"]);
            let program = running.program();
            running.signal(number);
            let end = running.end();
            running.input = None;
            assert!(poll(seconds(30), || (!proc::is_alive(program)).then_some(())).is_some());
            end
        });
        ends.to_vec()
    });
    assert_eq!(seen, FAULTS.map(|number| -number));
}

/// What the program sees in `/proc` of its signals, when started with `before` of `env`.
fn inherited(init: &Init, before: &[&str]) -> String {
    let mut words = vec!["env"];
    words.extend(before);
    words.extend(["%", "-s", "--", "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]);
    String::from_utf8(init.output(&words).stdout).unwrap()
}

#[test]
fn masks_and_ignored_signals_are_inherited_bit_for_bit() {
    let all = "HUP,INT,QUIT,USR1,USR2,PIPE,ALRM,TERM,TSTP,TTIN,TTOU,URG,WINCH,CONT,ABRT,SEGV,RTMIN,RTMAX";
    let (block, ignore) = (format!("--block-signal={all}"), format!("--ignore-signal={all}"));
    let cases: [&[&str]; 7] = [
        &[],
        &["--block-signal=TERM,RTMIN+3"],
        &["--ignore-signal=PIPE"],
        &["--ignore-signal=TTIN"],
        &["--ignore-signal=TTOU,HUP", "--block-signal=CHLD,TTOU"],
        &[&block, &ignore],
        &["--default-signal", "--block-signal"],
    ];
    for case in cases {
        let seen = same(|init| inherited(init, case));
        let bare = ours()
            .output(&[&["env"], case, &["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]].concat());
        assert_eq!(seen, String::from_utf8(bare.stdout).unwrap(), "{case:?}: with us, and without");
    }
}

#[test]
fn deaths_are_heard_though_our_parent_ignored_its_own() {
    // tini waits without end here.
    let init = ours();
    let mut running =
        init.start(&["env", "--ignore-signal=CHLD", "%", "-s", "--", "sh", "-c", "echo ready; cat; exit 3"]);
    running.input = None;
    assert_eq!(running.end(), 3);
    let seen = inherited(&init, &["--ignore-signal=CHLD"]);
    let ignored = seen.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    assert_ne!(u64::from_str_radix(ignored, 16).unwrap() & (1 << (libc::SIGCHLD - 1)), 0, "{seen}");
}

/// Whether a neighbour of the program is ended by a signal to us.
fn neighbour_ends(init: &Init, before: &[&str]) -> bool {
    let script = "sleep 1000 & echo $!; exec sleep 1000";
    let mut running = init.start(&[before, &["--", "sh", "-c", script]].concat());
    let neighbour = running.first.parse().unwrap();
    running.signal(libc::SIGTERM);
    assert_eq!(running.end(), 143);
    let bound = std::time::Duration::from_millis(if before.contains(&"-s") { 300 } else { 30_000 });
    let ended = poll(bound, || (!proc::is_alive(neighbour)).then_some(())).is_some();
    proc::signal(neighbour, Signal::SIGKILL);
    ended
}

#[test]
fn a_signal_goes_to_the_group_where_that_is_asked_for() {
    assert!(same(|init| neighbour_ends(init, &["%", "-g"])));
    assert!(same(|init| neighbour_ends(init, &["env", "TINI_KILL_PROCESS_GROUP=", "%"])));
    assert!(!same(|init| neighbour_ends(init, &["%", "-s"])));
}

#[test]
fn the_parents_death_is_told_by_the_signal_that_was_chosen() {
    let seen = same(|init| {
        let Some(program) = listener(init.folder()) else { return String::new() };
        let script = format!("{} -s -p SIGUSR1 {} & read -r line", init.path(), program.display());
        let mut running = init.start(&["sh", "-c", &script]);
        let init = proc::children(running.pid())[0].pid;
        let listener = proc::children(init)[0].pid;
        proc::signal(running.pid(), Signal::SIGKILL);
        let heard = running.line();
        proc::signal(listener, Signal::SIGKILL);
        heard
    });
    if !seen.is_empty() {
        assert_eq!(seen, libc::SIGUSR1.to_string());
    }
}
