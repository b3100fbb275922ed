//! Configurations of a service that only sleeps, each with what it then inherits: data for `probe`.

use serde_json::{Value, json};

/// A service's keys, and the facts that differ because of them.
pub type Case = (&'static str, Value, Vec<(&'static str, &'static str)>);

/// What anybody may ask for.
pub fn cases_of_anybody() -> Vec<Case> {
    let mut cases = cases_of_files();
    cases.extend(cases_of_limits());
    cases
}

/// Files, variables, descriptors.
fn cases_of_files() -> Vec<Case> {
    vec![
        ("plain", json!({}), vec![]),
        ("umask", json!({ "umask": "077" }), vec![("Umask", "0077")]),
        ("umask-0", json!({ "umask": "000" }), vec![("Umask", "0000")]),
        ("cwd", json!({ "cwd": "/usr" }), vec![("cwd", "/usr")]),
        ("env", json!({ "env": { "A": "1", "HOME": "/x" } }), vec![("$A", "1"), ("$HOME", "/x")]),
        (
            "channel",
            json!({ "channel": true }),
            vec![("fd 3", "socket"), ("$MCP_INIT_CHANNEL_FD", "3"), ("$NODE_CHANNEL_FD", "3")],
        ),
        ("mute", json!({ "log": { "mode": "null" } }), vec![("fd 1", "/dev/null"), ("fd 2", "/dev/null")]),
    ]
}

/// How much of the machine, without being root.
fn cases_of_limits() -> Vec<Case> {
    let limits = |limits: Value| json!({ "limits": limits });
    vec![
        (
            "nofile",
            limits(json!({ "rlimits": { "nofile": [100, 200] } })),
            vec![("Max open files", "100 200")],
        ),
        (
            "nofile-4",
            limits(json!({ "rlimits": { "nofile": [4, 300] }, "nice": 3, "oomScoreAdj": 7 })),
            vec![("Max open files", "4 300"), ("nice", "3"), ("autogroup", "3"), ("oom_score_adj", "7")],
        ),
        (
            "core",
            limits(json!({ "rlimits": { "core": 0, "fsize": "1M" } })),
            vec![("Max core file size", "0 0"), ("Max file size", "1048576 1048576")],
        ),
        (
            "stack",
            limits(json!({ "rlimits": { "stack": ["4M", "unlimited"] } })),
            vec![("Max stack size", "4194304 unlimited")],
        ),
        (
            "many",
            limits(json!({ "rlimits": {
                "cpu": 1000, "data": "1G", "rss": "1G", "memlock": 65536, "as": "2G", "locks": 10,
                "sigpending": 20, "msgqueue": 4096, "nice": 0, "rtprio": 0, "rttime": 5000 } })),
            vec![
                ("Max cpu time", "1000 1000"),
                ("Max data size", "1073741824 1073741824"),
                ("Max resident set", "1073741824 1073741824"),
                ("Max locked memory", "65536 65536"),
                ("Max address space", "2147483648 2147483648"),
                ("Max file locks", "10 10"),
                ("Max pending signals", "20 20"),
                ("Max msgqueue size", "4096 4096"),
                ("Max realtime timeout", "5000 5000"),
            ],
        ),
        ("nproc", limits(json!({ "rlimits": { "nproc": 5000 } })), vec![("Max processes", "5000 5000")]),
        (
            "nice",
            limits(json!({ "nice": 19 })),
            vec![("nice", "19"), ("autogroup", "19"), ("ioprio", "(any)")],
        ),
        (
            "io",
            limits(json!({ "ioClass": "best-effort", "ioLevel": 7 })),
            vec![("ioprio", "best-effort: prio 7")],
        ),
        ("io-level", limits(json!({ "ioLevel": 0 })), vec![("ioprio", "best-effort: prio 0")]),
        ("io-idle", limits(json!({ "ioClass": "idle" })), vec![("ioprio", "idle")]),
        ("oom", limits(json!({ "oomScoreAdj": 500 })), vec![("oom_score_adj", "500")]),
        ("cpu", limits(json!({ "cpuAffinity": [0] })), vec![("Cpus_allowed_list", "0")]),
        ("batch", limits(json!({ "scheduling": { "policy": "batch" } })), vec![("policy", "3")]),
        (
            "idle",
            limits(json!({ "scheduling": { "policy": "idle" } })),
            vec![("policy", "5"), ("ioprio", "(any)")],
        ),
        ("nnp", limits(json!({ "noNewPrivileges": true })), vec![("NoNewPrivs", "1")]),
    ]
}

/// What only root may ask for.
pub fn cases_of_root() -> Vec<Case> {
    let mut cases = cases_of_users();
    cases.extend(cases_of_powers());
    cases
}

/// Who it is.
fn cases_of_users() -> Vec<Case> {
    let none = "0000000000000000";
    let without = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![("CapPrm", none), ("CapEff", none)];
        all.extend_from_slice(more);
        all
    };
    vec![
        (
            "user",
            json!({ "user": 23456 }),
            without(&[
                ("Uid", "23456 23456 23456 23456"),
                ("Gid", "23456 23456 23456 23456"),
                ("Groups", ""),
                ("$HOME", "/"),
                ("$USER", "23456"),
                ("$LOGNAME", "23456"),
                ("$SHELL", "/bin/sh"),
            ]),
        ),
        (
            "name",
            json!({ "user": "nobody", "group": "daemon", "groups": [7, "bin"], "env": { "SHELL": "/s" } }),
            without(&[
                ("Uid", "65534 65534 65534 65534"),
                ("Gid", "1 1 1 1"),
                ("Groups", "2 7"),
                ("$HOME", "/nonexistent"),
                ("$USER", "nobody"),
                ("$LOGNAME", "nobody"),
                ("$SHELL", "/s"),
            ]),
        ),
        ("group", json!({ "group": 77, "groups": [] }), vec![("Gid", "77 77 77 77"), ("Groups", "")]),
    ]
}

/// What it may do, and what comes first.
fn cases_of_powers() -> Vec<Case> {
    let none = "0000000000000000";
    vec![
        (
            "ambient",
            json!({ "user": 23456, "groups": [5], "limits": { "capabilities": {
                "bounding": ["NET_BIND_SERVICE", "CHOWN"], "ambient": ["NET_BIND_SERVICE"] } } }),
            vec![
                ("Uid", "23456 23456 23456 23456"),
                ("Gid", "23456 23456 23456 23456"),
                ("Groups", "5"),
                ("CapInh", "0000000000000400"),
                ("CapPrm", "0000000000000400"),
                ("CapEff", "0000000000000400"),
                ("CapBnd", "0000000000000401"),
                ("CapAmb", "0000000000000400"),
                ("$HOME", "/"),
                ("$USER", "23456"),
                ("$LOGNAME", "23456"),
                ("$SHELL", "/bin/sh"),
            ],
        ),
        (
            "powerless-root",
            json!({ "limits": { "capabilities": { "bounding": [] }, "noNewPrivileges": true } }),
            vec![("CapPrm", none), ("CapEff", none), ("CapBnd", none), ("NoNewPrivs", "1")],
        ),
        (
            "little-root",
            json!({ "limits": { "capabilities": { "bounding": ["CAP_KILL"] } } }),
            vec![
                ("CapPrm", "0000000000000020"),
                ("CapEff", "0000000000000020"),
                ("CapBnd", "0000000000000020"),
            ],
        ),
        (
            "first",
            json!({ "limits": { "nice": -5, "ioClass": "realtime", "ioLevel": 2 } }),
            vec![("nice", "-5"), ("autogroup", "-5"), ("ioprio", "realtime: prio 2")],
        ),
        (
            "real-time",
            json!({ "limits": { "scheduling": { "policy": "rr", "priority": 3 } } }),
            vec![("policy", "2"), ("rt_priority", "3"), ("ioprio", "(any)")],
        ),
        ("chroot", json!({ "chroot": "/", "cwd": "/usr" }), vec![("cwd", "/usr")]),
        ("chroot-top", json!({ "chroot": "/" }), vec![("cwd", "/")]),
    ]
}
