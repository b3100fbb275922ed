//! Limits as they are felt: too much memory, too much processor time, too many processes. Here without control
//! groups, which the machine of a test seldom gives; `tests/vm` does the same with them.

use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use serde_json::json;

use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{poll, proc, seconds, skip};

/// A shell that holds so many megabytes in memory, and then sleeps.
fn hog(megabytes: u32) -> String {
    format!("x=$(head -c {megabytes}000000 /dev/zero | tr '\\0' x); sleep 1000; : $x")
}

/// Living processes below a service, itself included, that have `mark` in their command line.
fn marked(mark: &str) -> usize {
    proc::marked(mark).len()
}

/// Processor time of a process and its descendants, in clock ticks.
fn ticks(pid: i32) -> u64 {
    let of = |pid: i32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        [11, 12].iter().filter_map(|place| fields.get(*place)?.parse::<u64>().ok()).sum()
    };
    of(pid) + proc::descendants(pid).iter().map(|process| of(process.pid)).sum::<u64>()
}

fn enforced(supervisor: &Supervisor, id: &str, limit: &str) -> String {
    supervisor.service(id)["enforcedBy"][limit].as_str().unwrap_or("nothing").to_owned()
}

#[test]
fn whoever_has_more_memory_than_it_may_is_started_again_and_its_neighbours_are_not() {
    let policy = json!({ "retryDelay": "100ms" });
    let mut supervisor = Setup::new()
        .shell("hog", &hog(80), &json!({ "memoryLimit": "40M", "restartPolicy": policy }))
        .shell("modest", &hog(10), &json!({ "memoryLimit": "40M" }))
        .shell("free", &hog(80), &json!({}))
        .start();
    for id in ["modest", "free"] {
        supervisor.wait_for(id, "running", seconds(5));
    }
    let neighbours = (supervisor.pid_of("modest"), supervisor.pid_of("free"));
    supervisor.wait_until("it was ended twice", seconds(20), |it| {
        let service = it.service("hog");
        service["lastEnd"]["reason"] == "memory" && service["restartCount"].as_u64() >= Some(2)
    });
    assert_eq!(enforced(&supervisor, "modest", "memory"), "watched");
    assert_eq!(enforced(&supervisor, "free", "memory"), "nothing");
    let service = supervisor.service("hog");
    assert_eq!(service["lastError"], "had more memory than it may: killed", "{service}");
    assert_eq!((supervisor.pid_of("modest"), supervisor.pid_of("free")), neighbours, "untouched");
    supervisor
        .wait_until("its ends are told", seconds(5), |it| it.events_of("hog", "process.stopped").len() >= 2);
    let ended = supervisor.events_of("hog", "process.stopped");
    assert!(ended.iter().all(|event| event["reason"] == "memory"), "{ended:?}");
    supervisor.wait_until("the modest one is measured", seconds(5), |it| {
        it.service("modest")["memoryUsage"]
            .as_u64()
            .is_some_and(|bytes| bytes > 10_000_000 && bytes < 40_000_000)
    });
}

#[test]
fn memory_is_that_of_all_its_processes() {
    let script =
        format!("for i in 1 2 3; do setsid sh -c '{}' & done; sleep 1000", hog(20).replace('\'', "'\\''"));
    let mut supervisor =
        Setup::new().shell("a", &script, &json!({ "memoryLimit": "45M", "restart": "never" })).start();
    supervisor.wait_until("it was ended", seconds(20), |it| it.service("a")["lastEnd"]["reason"] == "memory");
    let below = supervisor.pid();
    supervisor.wait_until("nobody of it is left, in whatever session", seconds(5), |_| {
        proc::descendants(below).iter().all(|process| process.name != "sh" && process.name != "sleep")
    });
}

#[test]
fn a_share_of_the_processor_is_all_that_it_gets() {
    let busy = "while :; do :; done";
    let mut supervisor = Setup::new()
        .shell("limited", busy, &json!({ "cpuLimit": 20 }))
        .shell("two", "while :; do :; done & while :; do :; done", &json!({ "cpuLimit": 30 }))
        .shell("idle", "exec sleep 1000", &json!({ "cpuLimit": 20 }))
        .start();
    let pids = ["limited", "two", "idle"].map(|id| {
        supervisor.wait_for(id, "running", seconds(5));
        supervisor.pid_of(id).unwrap()
    });
    assert_eq!(enforced(&supervisor, "limited", "cpu"), "watched");
    let (before, since) = (pids.map(ticks), Instant::now());
    let share = |at: usize| {
        let used = u32::try_from(ticks(pids[at]) - before[at]).unwrap();
        f64::from(used) / (since.elapsed().as_secs_f64() * 100.0)
    };
    // What it used too much because the machine was late is paid for by its next pauses: it is the mean that holds.
    supervisor.wait_until(
        "a fifth is all it gets, and three tenths are for both processes",
        seconds(20),
        |_| since.elapsed() > Duration::from_millis(2500) && share(0) < 0.26 && share(1) < 0.38,
    );
    let [limited, two, idle] = [0, 1, 2].map(share);
    assert!(limited > 0.05 && two > 0.05, "but it gets that: {limited:.2} {two:.2}");
    assert!(idle < 0.01, "{idle:.2}");
    // One that is made to pause is as obedient as any other.
    supervisor.ok(&["stop", "limited"]);
    assert_eq!(supervisor.service("limited")["lastEnd"]["signal"], "SIGTERM");
}

/// A program that makes as many processes as it can, for ever; in sessions of their own if it is told to.
fn bomb(mark: &str, rest: &serde_json::Value) -> serde_json::Value {
    let script = "import os, sys, time\nwhile True:\n try:\n  if os.fork() == 0 and sys.argv[2] == 'away': os.setsid()\n \
                  except OSError: time.sleep(0.01)\n";
    let way = if rest["away"] == true { "away" } else { "here" };
    let mut config = json!({ "command": ["python3", "-c", script, mark, way] });
    let keys = rest.as_object().unwrap().iter().filter(|(key, _)| *key != "away");
    config.as_object_mut().unwrap().extend(keys.map(|(key, value)| (key.clone(), value.clone())));
    config
}

/// The first of four users that no other test has, as the kernel counts the processes of a user on the whole machine;
/// small enough for a container that has but 65,536 of them.
fn own_user() -> u32 {
    25_000 + std::process::id() % 6_000 * 4
}

/// Should the limits under test not hold, this still does: a user of the supervisor's own, with so many processes.
fn confined(user: u32) -> Vec<String> {
    let words = ["setpriv", "--reuid", "", "--regid", "", "--clear-groups", "prlimit", "--nproc=300:300"];
    words.iter().map(|word| if word.is_empty() { user.to_string() } else { (*word).to_owned() }).collect()
}

#[test]
fn a_fork_bomb_that_is_watched_harms_nobody_and_leaves_nothing() {
    if !geteuid().is_root() {
        return skip("not root");
    }
    for away in [false, true] {
        let user = own_user() + u32::from(away);
        let mark = format!("bomb-{user}");
        let keys = json!({ "pidsLimit": 30, "restartPolicy": { "retryDelay": "1s" }, "away": away });
        let setup = Setup::new()
            .shell("neighbour", "exec sleep 1000", &json!({}))
            .service("bomb", &bomb(&mark, &keys));
        let words = confined(user);
        let setup = setup.replaced_by(&words.iter().map(String::as_str).collect::<Vec<_>>());
        setup.give_to(user);
        let mut supervisor = setup.start();
        supervisor.wait_for("neighbour", "running", seconds(5));
        let neighbour = supervisor.pid_of("neighbour");
        supervisor.wait_until("it was ended for that", seconds(20), |it| {
            it.service("bomb")["lastEnd"]["reason"] == "pids"
        });
        supervisor.ok(&["stop", "bomb", "--timeout", "20s"]);
        assert_eq!(marked(&mark), 0, "stopped is stopped");
        assert_eq!(supervisor.pid_of("neighbour"), neighbour);
    }
}

#[test]
fn a_fork_bomb_of_a_user_that_is_its_own_gets_no_further_than_its_limit() {
    if !geteuid().is_root() {
        return skip("not root");
    }
    let user = own_user() + 2;
    for (user, keys, by) in [
        (user, json!({ "pidsLimit": 25 }), "rlimit"),
        (user + 1, json!({ "limits": { "rlimits": { "nproc": 25 } } }), "nothing"),
    ] {
        let mark = format!("bomb-{user}");
        let keys = crate::support::supervisor::merged(keys, &json!({ "user": user, "cwd": "/" }));
        let mut supervisor = Setup::new()
            .shell("neighbour", "exec sleep 1000", &json!({}))
            .service("bomb", &bomb(&mark, &keys))
            .start();
        supervisor.wait_until("it has grown", seconds(10), |_| marked(&mark) > 20);
        assert_eq!(enforced(&supervisor, "bomb", "pids"), by);
        let most = poll(Duration::from_millis(500), || (marked(&mark) > 25).then_some(()));
        assert_eq!(most, None, "it has more than it may");
        supervisor.wait_for("neighbour", "running", seconds(5));
        supervisor.ok(&["stop", "bomb", "--timeout", "20s"]);
        assert_eq!(marked(&mark), 0, "stopped is stopped");
    }
}

/// A control group of ours for as long as this lives, where the machine has the second version of them.
struct Place(std::path::PathBuf);

impl Place {
    fn new() -> Option<Self> {
        let tops = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(std::path::Path::new);
        let top = tops.into_iter().find(|top| top.join("cgroup.procs").exists())?;
        let path = top.join(format!("mcp-init-test-{}", std::process::id()));
        std::fs::create_dir(&path).ok().map(|()| Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for group in
            ["services/free", "services", "supervisor"].map(|name| self.0.join(name)).iter().chain([&self.0])
        {
            // Those who are killed leave it when they are gone.
            poll(seconds(2), || (std::fs::remove_dir(group).is_ok() || !group.exists()).then_some(()));
        }
    }
}

#[test]
fn a_group_that_takes_nobody_keeps_no_unlimited_service_from_its_start() {
    if crate::support::which("strace").is_none() {
        return skip("no strace");
    }
    let Some(place) = geteuid().is_root().then(Place::new).flatten() else {
        return skip("no control groups of version 2 to write");
    };
    let enter = format!("echo $$ >{}/cgroup.procs; exec \"$@\"", place.0.display());
    // The call that makes a process within a group, and nothing else of the supervisor's.
    let busy = ["strace", "-f", "-o", "/dev/null", "-e", "trace=clone3", "-e", "inject=clone3:error=EBUSY"];
    let mut words = busy.to_vec();
    words.extend(["sh", "-c", &enter, "sh"]);
    let mut supervisor = Setup::new().shell("free", "sleep 1000 & wait", &json!({})).wrapper(&words).start();
    supervisor.wait_for("free", "running", seconds(10));
    let pid = supervisor.pid_of("free").unwrap();
    supervisor.wait_until("it has a child", seconds(5), |_| !proc::children(pid).is_empty());
    let all: Vec<i32> = proc::descendants(pid).iter().map(|process| process.pid).chain([pid]).collect();
    let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(group.contains("/supervisor\n"), "it is where we are: {group}");
    supervisor.ok(&["stop", "free"]);
    assert!(all.iter().all(|pid| !proc::is_alive(*pid)), "{}", supervisor.story());
}
