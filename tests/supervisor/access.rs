//! Who may command, whom root trusts, and who sees a secret: real users, the real socket.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Output};

use nix::unistd::geteuid;
use serde_json::json;

use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{free_port, init_program, install_script, proc, runner_program, seconds, skip};

/// A verb, asked by a user who is in these groups.
fn as_user(supervisor: &Supervisor, uid: u32, groups: &str, words: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}"));
    match groups {
        "" => command.arg("--clear-groups"),
        groups => command.arg(format!("--groups={groups}")),
    };
    command.arg(init_program()).arg("-c").arg(supervisor.path()).args(words).output().unwrap()
}

/// What it said, in one line.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Whether another user can run our program at all: a checkout may be for its owner only.
fn can_others_run() -> bool {
    Command::new("setpriv")
        .args(["--reuid=1001", "--regid=1001", "--clear-groups"])
        .arg(init_program())
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn each_level_may_what_it_may_and_a_refusal_is_an_event() {
    if !geteuid().is_root() || !can_others_run() {
        return skip("not root, or others cannot run the program");
    }
    let control = json!({ "read": ["user:1001"], "operate": ["group:2002"], "administer": ["user:1003"] });
    let mut supervisor =
        Setup::new().setting("control", control).shell("a", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("a", "running", seconds(5));
    let may = |uid, groups, words: &[&str]| as_user(&supervisor, uid, groups, words).status.code();

    let seen = as_user(&supervisor, 1001, "", &["status"]);
    assert_eq!(seen.status.code(), Some(0), "{}", said(&seen));
    assert_eq!(may(1002, "2002", &["status"]), Some(0));
    assert_eq!(may(1002, "2002", &["restart", "a"]), Some(0));
    assert_eq!(may(1003, "", &["reload"]), Some(0));

    let refused = as_user(&supervisor, 1001, "", &["stop", "a"]);
    assert_eq!(refused.status.code(), Some(4));
    assert_eq!(
        said(&refused),
        "mcp-init: cannot stop services: user 1001 may not, says control of mcp-init.json"
    );
    assert_eq!(may(1002, "2002", &["shutdown"]), Some(4));
    let stranger = as_user(&supervisor, 1004, "", &["status"]);
    assert_eq!(stranger.status.code(), Some(4), "{}", said(&stranger));
    assert_eq!(said(&stranger), "mcp-init: cannot serve user 1004: it may not command this supervisor");
    assert_eq!(supervisor.service("a")["status"], "running");
    supervisor.wait_until("a refusal is an event", seconds(5), |it| {
        it.events().iter().any(|event| event["event"] == "control.refused" && event["uid"] == 1001)
    });
}

#[test]
fn nobody_else_may_anything_unless_it_is_said() {
    if !geteuid().is_root() || !can_others_run() {
        return skip("not root, or others cannot run the program");
    }
    let supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({})).start();
    let mode = fs::metadata(supervisor.file("run/control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let refused = as_user(&supervisor, 1001, "", &["status"]);
    assert_eq!(refused.status.code(), Some(4));
    let line = said(&refused);
    assert!(line.starts_with("mcp-init: cannot reach the supervisor at ") && !line.contains('\n'), "{line}");
    assert!(line.ends_with("permission denied; ask as its owner or as root"), "{line}");
}

#[test]
fn whoever_may_little_cannot_keep_root_out() {
    if !geteuid().is_root() {
        return skip("not root");
    }
    let supervisor = Setup::new()
        .setting("control", json!({ "read": ["everyone"] }))
        .shell("a", "exec sleep 1000", &json!({}))
        .start();
    let socket = supervisor.file("run/control.sock");
    let script = format!(
        "import os,socket,time\nos.setgroups([]);os.setgid(1001);os.setuid(1001)\nall=[]\nfor i in range(80):\n \
         s=socket.socket(socket.AF_UNIX);s.connect({socket:?});s.send(b'{{\"id\":1,\"verb\":\"status\"}}\\n'*500);\
         all.append(s)\nprint('ready',flush=True)\ntime.sleep(60)\n"
    );
    let mut holder =
        Command::new("python3").args(["-c", &script]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    supervisor.ok(&["status"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn root_does_not_obey_files_that_others_can_change() {
    if !geteuid().is_root() {
        return skip("not root");
    }
    let setup = Setup::new().shell("a", "exec sleep 1000", &json!({}));
    let folder = setup.path().to_owned();
    let file = folder.join("services.d/a.json");
    let program = folder.join("program");
    install_script("#!/bin/sh\nexec sleep 1000\n", &program);
    let setup = setup.service("b", &json!({ "command": [&program] }));
    let supervisor = setup.start();
    let check = || {
        let output = supervisor.cli(&["check"]);
        (output.status.code(), said(&output))
    };
    assert_eq!(check(), (Some(0), String::new()));

    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let (code, line) = check();
    assert_eq!(code, Some(78));
    assert!(
        line.ends_with("a.json:1:1: (file): cannot read it: anybody can change it, and root would obey"),
        "{line}"
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    chown(&file, Some(1001), None).unwrap();
    assert!(
        check()
            .1
            .ends_with("a.json:1:1: (file): cannot read it: user 1001 can change it, and root would obey")
    );
    chown(&file, Some(0), Some(1001)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    assert!(check().1.contains("group 1001 can change it"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, line) = check();
    assert_eq!(code, Some(78));
    assert!(line.contains("command[0]") || line.contains("command"), "{line}");
    assert!(line.ends_with("program as root: anybody can change it"), "{line}");
    // A user's own program is that user's own risk.
    supervisor.add("b", &json!({ "command": [&program], "user": 1001 }));
    assert_eq!(check(), (Some(0), String::new()));

    fs::set_permissions(folder.join("services.d"), fs::Permissions::from_mode(0o777)).unwrap();
    let (code, line) = check();
    assert_eq!(code, Some(78));
    assert!(line.contains("cannot trust it: anybody can change it"), "{line}");
    let reload = supervisor.cli(&["reload"]);
    assert_eq!(reload.status.code(), Some(78), "{}", said(&reload));
    assert_eq!(supervisor.service("a")["status"], "running", "the old plan stays");
}

#[test]
fn a_secret_is_in_the_runners_file_and_nowhere_else() {
    const SECRET: &str = "s3cr3t-of-the-upstream";
    if runner_program().is_none() {
        return skip("no runner");
    }
    let root = geteuid().is_root();
    let port = free_port();
    let auth = json!({ "type": "bearer", "token": "${UPSTREAM_TOKEN}" });
    let user = if root { json!({ "user": 1001 }) } else { json!({}) };
    let keys = crate::support::supervisor::merged(json!({ "mcpConfig": { "authConfig": auth } }), &user);
    let mut supervisor = Setup::new()
        .variable("UPSTREAM_TOKEN", SECRET)
        .setting("logLevel", json!("debug"))
        .server("pets", port, &keys)
        .start();
    let service = supervisor.wait_for("pets", "running", seconds(20));
    let pid = supervisor.pid_of("pets").unwrap();

    let file = supervisor.file("run/configs/pets.json");
    let about = fs::metadata(&file).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).unwrap().contains(SECRET), "that is where the runner reads it");
    if root {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(about.uid(), 1001, "the runner is that user's");
        let other = |path: &str| {
            Command::new("setpriv")
                .args(["--reuid=1002", "--regid=1002", "--clear-groups", "cat", path])
                .output()
                .unwrap()
        };
        assert!(!other(file.to_str().unwrap()).status.success());
        assert!(!other(&format!("/proc/{pid}/environ")).status.success());
        assert!(!other(&format!("/proc/{}/environ", supervisor.pid())).status.success());
    }
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environ).contains(SECRET), "not even its own environment");
    assert!(!proc::command_line(pid).contains(SECRET) && !service.to_string().contains(SECRET));
    let mut seen = 0;
    let mut open = vec![supervisor.file("state"), supervisor.file("log"), supervisor.file("run")];
    while let Some(path) = open.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if about.is_file() && path != file {
            seen += 1;
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains(SECRET), "{}", path.display());
        }
    }
    assert!(seen > 3, "there was something to search");
    supervisor.ok(&["stop", "pets"]);
    assert!(!file.exists(), "gone with the process");
}
