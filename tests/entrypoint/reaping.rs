//! Orphans: adopted and reaped as PID 1 and as a subreaper, left alone otherwise.

use crate::beside::{Init, same};
use crate::support::{pid_namespace, poll, proc, seconds};

/// Leaves 1,000 orphans behind, says so, and ends with its input.
const ORPHANS: &str = "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done; echo done; cat; exit 3";

/// How many orphans it warns of until none is left, and its exit code.
fn reaped(init: &Init, words: &[&str], wanted: usize) -> (usize, i32) {
    let mut running = init.start(&[words, &["--", "sh", "-c", ORPHANS]].concat());
    assert_eq!(running.first, "done");
    let warned = |text: &str| text.matches("Reaped zombie process with pid=").count();
    let seen = poll(seconds(60), || (warned(&running.said()) >= wanted).then_some(()));
    assert!(seen.is_some(), "{} of {wanted} were reaped", warned(&running.said()));
    let zombies = proc::descendants(running.pid()).iter().filter(|process| process.state == 'Z').count();
    assert_eq!(zombies, 0, "{}", proc::tree(running.pid()));
    running.input = None;
    let code = running.end();
    (warned(&running.said()), code)
}

#[test]
fn a_thousand_orphans_are_reaped_as_pid_1() {
    let Some(namespace) = pid_namespace() else { return };
    assert_eq!(same(|init| reaped(init, &[namespace.as_slice(), &["%", "-w"]].concat(), 1000)), (1000, 3));
}

#[test]
fn a_thousand_orphans_are_reaped_as_a_subreaper() {
    assert_eq!(same(|init| reaped(init, &["%", "-s", "-w"], 1000)), (1000, 3));
    assert_eq!(same(|init| reaped(init, &["env", "TINI_SUBREAPER=", "%", "-w"], 1000)), (1000, 3));
}

#[test]
fn otherwise_they_are_somebody_elses_and_a_warning_says_so() {
    let seen = same(|init| {
        let output = init.output(&["%", "-w", "--", "sh", "-c", "(true &); exit 3"]);
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said.contains("Reaped zombie"), said.starts_with("[WARN  tini ("))
    });
    assert_eq!(seen, (Some(3), false, true));
}
