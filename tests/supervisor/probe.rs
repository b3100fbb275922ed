//! What a service inherits, item by item: everything that is declared, and nothing else. For many configurations,
//! as root and as another user; and what is refused, by the name of the step.

use std::fs;
use std::path::Path;

use nix::unistd::geteuid;
use serde_json::{Value, json};

use super::configurations::{Case, cases_of_anybody, cases_of_root};
use crate::support::facts::{self, Facts};
use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{install, proc, seconds, skip};

/// A user that no file knows.
const STRANGER: u32 = 12345;

/// Nothing but what the supervisor needs, and what no service may see.
const ENVIRONMENT: [&str; 10] = [
    "env",
    "-i",
    "PATH=/usr/bin:/bin",
    "HOME=/h",
    "LANG=C.UTF-8",
    "SECRET=x",
    "NOTIFY_SOCKET=/nowhere",
    "LISTEN_FDS=3",
    "NODE_CHANNEL_FD=9",
    "MCP_INIT_CHANNEL_FD=9",
];

/// A supervisor with a sleeping service for each case.
fn started(cases: &[Case], wrapper: &[&str]) -> Supervisor {
    let mut setup = Setup::new().replaced_by(&[&ENVIRONMENT[..], wrapper].concat());
    for (name, keys, _) in cases {
        let config = crate::support::supervisor::merged(json!({ "command": ["sleep", "1000"] }), keys);
        setup = setup.service(name, &config);
    }
    setup.give_to(STRANGER);
    let mut supervisor = setup.start();
    for (name, ..) in cases {
        let bound = seconds(10);
        // It has its name before it has loaded what it needs, for which it opens files.
        supervisor.wait_until(&format!("{name} sleeps"), bound, |it| {
            let process = it.pid_of(name).and_then(proc::process);
            process.is_some_and(|process| process.name == "sleep" && process.state == 'S')
        });
    }
    supervisor
}

/// Compares every fact of every case with what was declared.
fn compare(supervisor: &Supervisor, cases: &[Case]) {
    let own = facts::of(supervisor.pid());
    let us = facts::of(i32::try_from(std::process::id()).unwrap());
    let folder = supervisor.path().canonicalize().unwrap();
    let mut faults = Vec::new();
    for (name, _, differences) in cases {
        let found = facts::of(supervisor.pid_of(name).unwrap());
        let mut wanted: Facts = own.clone();
        wanted.retain(|key, _| !key.starts_with('$') && !key.starts_with("fd "));
        for key in ["SigBlk", "SigIgn", "SigCgt"] {
            wanted.insert(key.into(), "0".repeat(16));
        }
        // By which those are found who leave the session; it is another each time.
        assert_eq!(found.get("$MCP_INIT_INSTANCE").map(String::len), Some(36), "{name}");
        wanted.insert("$MCP_INIT_INSTANCE".into(), found["$MCP_INIT_INSTANCE"].clone());
        // Ours is higher.
        wanted.insert("Max open files".into(), us["Max open files"].clone());
        for (key, value) in [
            ("fd 0", "/dev/null"),
            ("fd 1", "pipe"),
            ("fd 2", "pipe"),
            ("leads its session and group", "true"),
            ("Umask", "0022"),
            ("cwd", folder.join("services.d").to_str().unwrap()),
            ("$PATH", "/usr/bin:/bin"),
            ("$HOME", "/h"),
            ("$LANG", "C.UTF-8"),
        ] {
            wanted.insert(key.into(), value.into());
        }
        let record = supervisor.service(name)["id"].as_str().unwrap().to_owned();
        wanted.insert("$MCP_INIT_INSTANCE".into(), record);
        for (key, value) in differences {
            match *value {
                "(not there)" => drop(wanted.remove(*key)),
                // The kernel's business: what follows from it differs from version to version.
                "(any)" => drop(found.get(*key).map(|value| wanted.insert((*key).into(), value.clone()))),
                value => {
                    wanted.insert((*key).into(), value.replace("FOLDER", folder.to_str().unwrap()));
                }
            }
        }
        faults.extend(facts::differences(&wanted, &found).into_iter().map(|line| format!("{name}: {line}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_service_of_root_inherits_what_is_declared_and_nothing_else() {
    if !geteuid().is_root() {
        return skip("not root");
    }
    let mut cases = cases_of_anybody();
    cases.extend(cases_of_root());
    assert!(cases.len() >= 30);
    // Its files are another user's now: root would not obey them, were that not the one who called it.
    let supervisor = started(&cases, &["SUDO_UID=12345"]);
    compare(&supervisor, &cases);
}

#[test]
fn a_service_of_a_user_inherits_what_is_declared_and_nothing_else() {
    let mut cases = cases_of_anybody();
    for (_, _, differences) in &mut cases {
        // Others than root may set this ten times a second, all of them together.
        for (_, value) in differences.iter_mut().filter(|(key, _)| *key == "autogroup") {
            *value = "(any)";
        }
    }
    let wrapper: &[&str] = if geteuid().is_root() {
        &["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    } else {
        &[]
    };
    let supervisor = started(&cases, wrapper);
    compare(&supervisor, &cases);
}

#[test]
fn a_chroot_is_the_root_of_its_program() {
    if !geteuid().is_root() {
        return skip("not root");
    }
    let setup = Setup::new();
    let jail = setup.path().join("jail");
    let libraries = std::process::Command::new("ldd").arg("/bin/sleep").output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let files = libraries.split_whitespace().filter(|word| word.starts_with('/')).chain(["/bin/sleep"]);
    for file in files {
        let inside = jail.join(file.trim_start_matches('/'));
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        install(Path::new(file), &inside);
    }
    let config = json!({ "command": ["/bin/sleep", "1000"], "chroot": "../jail", "user": 23456 });
    let mut supervisor = setup.service("a", &config).start();
    supervisor.wait_for("a", "running", seconds(5));
    let facts = facts::of(supervisor.pid_of("a").unwrap());
    let jail = jail.canonicalize().unwrap();
    assert_eq!(
        (facts["root"].as_str(), facts["cwd"].as_str()),
        (jail.to_str().unwrap(), jail.to_str().unwrap())
    );
    assert_eq!(facts["Uid"], "23456 23456 23456 23456");
}

#[test]
fn what_is_refused_says_at_which_step_and_nothing_runs() {
    let root = geteuid().is_root();
    let wrapper: &[&str] =
        if root { &["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"] } else { &[] };
    let limits = |limits: Value| json!({ "limits": limits });
    let processor = json!([1023]);
    let cases = [
        ("directory", json!({ "cwd": "/nowhere", "limits": { "nice": -5 } }), 200, "cannot enter /nowhere"),
        ("nice", limits(json!({ "nice": -5, "oomScoreAdj": -5 })), 201, "cannot set the nice value"),
        // More than any kernel takes: some give a thousand million to everybody.
        ("limits", limits(json!({ "rlimits": { "nofile": 1_u64 << 40 } })), 205, "cannot set limits"),
        ("oom", limits(json!({ "oomScoreAdj": -500 })), 206, "cannot set the OOM score"),
        ("chroot", json!({ "chroot": "/" }), 210, "cannot change the root"),
        ("io", limits(json!({ "ioClass": "realtime" })), 211, "cannot set the I/O priority"),
        (
            "scheduling",
            limits(json!({ "scheduling": { "policy": "fifo" } })),
            214,
            "cannot set the scheduling policy",
        ),
        ("affinity", limits(json!({ "cpuAffinity": processor })), 215, "cannot set the CPU affinity"),
        ("group", json!({ "group": 7 }), 216, "cannot change the group"),
        ("groups", json!({ "groups": [7] }), 216, "cannot change the group"),
        (
            "capabilities",
            limits(json!({ "capabilities": { "ambient": ["CHOWN"] } })),
            218,
            "cannot set capabilities",
        ),
        ("exec", json!({ "command": ["/etc/passwd"] }), 203, "cannot execute /etc/passwd"),
    ];
    let mut setup = Setup::new().replaced_by(&[&ENVIRONMENT[..], wrapper].concat());
    for (name, keys, ..) in &cases {
        let config = json!({ "command": ["sleep", "1000"], "restart": "never" });
        setup = setup.service(name, &crate::support::supervisor::merged(config, keys));
    }
    setup.give_to(STRANGER);
    let mut supervisor = setup.start();
    for (name, _, code, words) in &cases {
        supervisor.wait_until("it was tried", seconds(5), |it| it.service(name)["lastEnd"].is_object());
        let service = supervisor.service(name);
        let error = service["lastError"].as_str().unwrap();
        assert!(error.starts_with(words), "{name}: {error}");
        assert_eq!(service["lastEnd"]["code"], *code, "{name}");
        assert_eq!(service["lastEnd"]["reason"], "not-started", "{name}");
        assert_eq!(service["pid"], Value::Null);
    }
}
