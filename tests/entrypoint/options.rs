//! The command line: tini's options under tini's name, and `--` under our own.

use crate::beside::{Init, ours, same};
use crate::support::init_program;

/// Its exit code, and on which of stdout and stderr it said anything.
fn answer(init: &Init, words: &[&str]) -> (i32, bool, bool) {
    let output = init.output(&[&["%"], words].concat());
    let code = output.status.code().unwrap_or_else(|| panic!("{words:?}: {output:?}"));
    (code, !output.stdout.is_empty(), !output.stderr.is_empty())
}

#[test]
fn questions_and_bad_options_are_answered_alike() {
    let cases: [&[&str]; 26] = [
        &[],
        &["-h"],
        &["-l"],
        &["--version"],
        &["--version", "-s"],
        &["-s", "-h"],
        &["-sl"],
        &["-x", "true"],
        &["-x", "--", "true"],
        &["--json", "--", "true"],
        &["-s", "--"],
        &["-p"],
        &["-e"],
        &["-p", "KILL", "true"],
        &["-p", "9", "true"],
        &["-p", "SIGNOTHING", "true"],
        &["-sp", "SIGTERM", "true"],
        &["-spSIGKILL", "true"],
        &["-e", "256", "true"],
        &["-e", "-1", "true"],
        &["-e", "1x", "true"],
        &["-se255", "true"],
        &["-s", "true"],
        &["-sgwv", "--", "true"],
        &["-s", "-vvv", "-w", "--", "sh", "-c", "exit 5"],
        &["-s", "--", "sh", "-c", "exit 6", "--", "-x"],
    ];
    for case in cases {
        same(|init| answer(init, case));
    }
}

#[test]
fn options_may_stand_behind_the_program_unless_posix_says_otherwise() {
    let seen = same(|init| String::from_utf8(init.output(&["%", "echo", "-s", "--", "-n", "hi"]).stdout));
    assert_eq!(seen.unwrap(), "hi");
    let words = ["env", "POSIXLY_CORRECT=1", "%", "-s", "echo", "-s", "--", "hi"];
    let seen = same(|init| String::from_utf8(init.output(&words).stdout));
    assert_eq!(seen.unwrap(), "-s -- hi\n");
}

/// What it said, with every pid the same.
fn said(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let no_pids = |line: &str| {
        let pieces = line.split(|letter: char| letter.is_ascii_digit());
        pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join("N")
    };
    let mut lines: Vec<String> = text.lines().map(no_pids).collect();
    // A death may be told before or after another's.
    lines.sort();
    lines
}

#[test]
fn every_level_says_what_tini_says() {
    for before in [&["%"][..], &["env", "TINI_VERBOSITY=0", "%", "-vv"], &["env", "TINI_VERBOSITY=3", "%"]] {
        for level in [&["-s"][..], &["-s", "-v"], &["-s", "-vv"], &["-s", "-vvv"], &["-s", "-v", "-vvv"]] {
            for script in ["exit 3", "kill -9 $$", "kill -TERM $PPID; exec sleep 100"] {
                same(|init| {
                    let output = init.output(&[before, level, &["--", "sh", "-c", script]].concat());
                    let mut told = said(&output.stdout);
                    // Tini looks every second whether there is something to reap, and says so.
                    told.retain(|line| !line.contains("to reap"));
                    if script.contains("PPID") {
                        // A death may be seen before its signal is.
                        told.retain(|line| !line.contains("SIGCHLD"));
                    }
                    (told, said(&output.stderr), output.status.code())
                });
            }
        }
    }
}

#[test]
fn its_version_is_a_line_that_docker_reads() {
    let folder = crate::support::Scratch::new();
    for name in ["tini", "docker-init"] {
        let program = folder.path().join(name);
        std::os::unix::fs::symlink(init_program(), &program).unwrap();
        let output = std::process::Command::new(program).arg("--version").output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        assert!(line.starts_with("tini version ") && line.ends_with('\n'), "{line}");
    }
    assert_eq!(ours().code(&[init_program().to_str().unwrap(), "--version"]), 0);
}

#[test]
fn under_its_own_name_a_command_needs_two_dashes() {
    let init = ours();
    let program = init_program();
    let program = program.to_str().unwrap();
    assert_eq!(init.code(&[program, "-s", "--", "sh", "-c", "exit 7"]), 7);
    assert_eq!(init.code(&[program, "--", "version", "-x"]), 127);
    assert_eq!(init.code(&[program, "-x", "--", "true"]), 1);
    assert_eq!(init.code(&[program, "-s", "true"]), 1);
    // A verb stays a verb.
    assert_eq!(init.code(&[program, "true"]), 64);
    assert_eq!(init.code(&[program, "help", "--", "status"]), 0);
    let bad = init.command(&[program, "-s", "--", "true"]).env("MCP_INIT_GRACE", "soon").output().unwrap();
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8(bad.stderr).unwrap();
    assert_eq!(said, "mcp-init: cannot read MCP_INIT_GRACE \"soon\": no time, as 500ms or 2s is\n");
}
