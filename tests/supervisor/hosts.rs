//! What `install` writes for each init: taken by the real tools where they are here, put into an image and taken out
//! again without a trace, and never in the place of what somebody else wrote. Real inits are tried in `tests/hosts`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Scratch, init_program, skip, which};

const INITS: [&str; 5] = ["systemd", "openrc", "sysvinit", "runit", "launchd"];

fn typed(words: &[&str]) -> Output {
    let mut command = Command::new(init_program());
    command.args(words).env_remove("MCP_INIT_CONFIG").env_remove("DESTDIR");
    for name in ["MCP_INIT_RUNTIME_DIR", "MCP_INIT_STATE_DIR", "MCP_INIT_LOG_DIR", "MCP_SERVER_SCRIPT_PATH"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn ok(words: &[&str]) -> String {
    let output = typed(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every file and link below a folder, with what it says or where it leads.
fn listing(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.push((path.clone(), String::new()));
            found.extend(listing(&path));
        } else {
            let text = fs::read_link(&path).map(|to| to.display().to_string());
            found.push((path.clone(), text.unwrap_or_else(|_| fs::read_to_string(&path).unwrap())));
        }
    }
    found.sort();
    found
}

/// An image in which nothing is yet.
fn image(scratch: &Scratch) -> String {
    let root = scratch.path().join("image");
    for folder in ["etc/systemd/system", "etc/init.d", "etc/runlevels/default", "etc/service", "etc/sv"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for level in 0..7 {
        fs::create_dir_all(root.join(format!("etc/rc{level}.d"))).unwrap();
    }
    fs::create_dir_all(root.join("Library/LaunchDaemons")).unwrap();
    root.display().to_string()
}

#[test]
fn it_goes_into_an_image_and_out_again() {
    let scratch = Scratch::new();
    let root = image(&scratch);
    let before = listing(Path::new(&root));
    for init in INITS {
        let said = ok(&["install", "--init", init, "--root", &root]);
        assert!(said.lines().all(|line| line.ends_with(": made")), "{said}");
        let installed = listing(Path::new(&root));
        assert!(installed.len() > before.len());
        let again = ok(&["install", "--init", init, "--root", &root]);
        assert!(again.lines().all(|line| line.ends_with(": unchanged")), "{again}");
        // One that was made for another program takes the place of the one that was made for this.
        ok(&["install", "--init", init, "--root", &root, "--program", "/opt/mcp-init"]);
        assert_ne!(listing(Path::new(&root)), installed);
        ok(&["uninstall", "--root", &root]);
        assert_eq!(listing(Path::new(&root)), before, "{init}");
        let absent = typed(&["uninstall", "--root", &root]);
        assert_eq!(absent.status.code(), Some(1));
    }
}

#[test]
fn what_somebody_else_wrote_or_changed_is_left_alone() {
    let scratch = Scratch::new();
    let root = image(&scratch);
    for (init, path) in [
        ("systemd", "etc/systemd/system/mcp-init.service"),
        ("openrc", "etc/init.d/mcp-init"),
        ("runit", "etc/sv/mcp-init/run"),
    ] {
        let path = Path::new(&root).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine\n").unwrap();
        let before = listing(Path::new(&root));
        for words in [["install", "--init"], ["uninstall", "--init"]] {
            let refused = typed(&[words[0], words[1], init, "--root", &root]);
            assert_eq!(refused.status.code(), Some(1), "{words:?}");
            assert_eq!(listing(Path::new(&root)), before);
        }
        ok(&["install", "--init", init, "--root", &root, "--force"]);
        // A line that somebody adds is theirs.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}# mine\n")).unwrap();
        for verb in ["install", "uninstall"] {
            let refused = typed(&[verb, "--init", init, "--root", &root]);
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(said.contains("has been changed") && said.contains("--force"), "{said}");
        }
        ok(&["uninstall", "--init", init, "--root", &root, "--force"]);
        assert!(!path.exists());
    }
}

#[test]
fn two_of_them_live_side_by_side() {
    let scratch = Scratch::new();
    let root = image(&scratch);
    ok(&["install", "--init", "openrc", "--root", &root, "--name", "team-a", "-c", "/srv/team a"]);
    let first = listing(Path::new(&root));
    ok(&["install", "--init", "sysvinit", "--root", &root, "--name", "team-b"]);
    ok(&["uninstall", "--root", &root, "--name", "team-b"]);
    assert_eq!(listing(Path::new(&root)), first);
    assert_eq!(
        typed(&["install", "--init", "openrc", "--root", &root, "--name", "../x"]).status.code(),
        Some(64)
    );
    assert_eq!(typed(&["install", "--init", "runit", "--user", "--print"]).status.code(), Some(64));
}

#[test]
fn the_tools_of_the_inits_take_what_is_written() {
    let scratch = Scratch::new();
    let root = image(&scratch);
    let program = init_program().display().to_string();
    for init in INITS {
        ok(&["install", "--init", init, "--root", &root, "--program", &program, "-c", "/etc/mcp init"]);
        for (path, text) in listing(Path::new(&root)) {
            if text.starts_with("#!/bin/sh\n") || text.starts_with("#!/sbin/openrc-run\n") {
                run("sh", &["-n", &path.display().to_string()]);
                if which("shellcheck").is_some() {
                    // What openrc-run reads and gives is no fault of the script, nor is a file that is not here.
                    let known = "--exclude=SC1091,SC2034,SC3043";
                    run("shellcheck", &["--shell=sh", known, &path.display().to_string()]);
                }
            }
            if path.extension().is_some_and(|ending| ending == "plist") {
                let read = "import plistlib, sys; p = plistlib.load(open(sys.argv[1], 'rb')); \
                            assert p['ProgramArguments'][1:] == ['-c', '/etc/mcp init', 'run'], p; \
                            assert p['RunAtLoad'] and not p['KeepAlive']['SuccessfulExit'], p";
                run("python3", &["-c", read, &path.display().to_string()]);
            }
        }
        ok(&["uninstall", "--root", &root]);
    }
    if which("systemd-analyze").is_none() {
        return skip("no systemd-analyze here");
    }
    for user in [&[][..], &["--user"]] {
        let words = [&["install", "--init", "systemd", "--print", "--program", &program], user].concat();
        let unit = scratch.path().join("mcp-init.service");
        fs::write(&unit, ok(&words)).unwrap();
        let words = [user, &["verify", unit.to_str().unwrap()]].concat();
        let output = Command::new("systemd-analyze")
            .args(words)
            .env("XDG_RUNTIME_DIR", scratch.path())
            .output()
            .unwrap();
        // It ends with 0 also where it has complaints.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let about_ours = said.lines().any(|line| line.contains("mcp-init"));
        assert!(output.status.success() && !about_ours, "{said}");
    }
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&said));
}
