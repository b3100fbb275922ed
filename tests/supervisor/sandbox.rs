//! What a sandboxed service can do: to others nothing, for itself what it was built for. A hostile program is
//! run with and without the walls, as root and as nobody in particular.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{free_port, init_program, install, proc, seconds, skip, which};

/// Nobody in particular.
const USER: u32 = 12345;
/// Somebody else.
const OTHER_USER: u32 = 54321;
/// Attempts that have to succeed without walls, for their failure within to mean anything.
const ATTEMPTS: usize = 20;

/// Whether a service can be walled in here; says why not.
fn can_sandbox() -> bool {
    if !nix::unistd::geteuid().is_root() {
        skip("not root: the sandbox is tested as root and as another user");
        return false;
    }
    let made = |words: &[&str]| Command::new("unshare").args(words).arg("true").output();
    let made = |words: &[&str]| made(words).is_ok_and(|output| output.status.success());
    if !made(&["--mount", "--pid", "--fork"]) || !made(&["--user", "--mount"]) {
        skip("no namespaces");
        return false;
    }
    true
}

/// A supervisor that runs as [`USER`], from a copy of the program that it can reach.
fn as_user(setup: Setup) -> Setup {
    let program = setup.path().join("mcp-init");
    install(&init_program(), &program);
    for folder in [".", "services.d"] {
        chown(setup.path().join(folder), Some(USER), Some(USER)).unwrap();
    }
    let id = USER.to_string();
    let script = format!("shift; exec {} \"$@\"", program.display());
    setup.replaced_by(&[
        "setpriv",
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "sh",
        "-c",
        &script,
        "sh",
    ])
}

/// Everything that the hostile program is after, and what it is told of it.
struct Prey {
    _tcp: TcpListener,
    _udp: UdpSocket,
    _abstract: UnixListener,
    tmp: std::path::PathBuf,
}

impl Drop for Prey {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.tmp);
    }
}

/// Writes a file that belongs to whom the supervisor runs as.
fn put(path: &Path, text: &str, user: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    chown(path, Some(user), Some(user)).unwrap();
}

/// Compiles the hostile program, and makes the folders.
fn lay_out(base: &Path, user: u32) {
    for name in ["given", "victim", "open", "shut", "port", "loop"] {
        fs::create_dir(base.join(name)).unwrap();
        chown(base.join(name), Some(user), Some(user)).unwrap();
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/hostile.c");
    let program = base.join("given/hostile");
    let compiled = Command::new("gcc").arg("-O1").arg("-o").arg(&program).arg(source).status().unwrap();
    assert!(compiled.success());
    for name in ["document", "doomed", "moved"] {
        put(&base.join("victim").join(name), "a document", user);
    }
    put(&base.join("victim/secret"), "MARMALADE", user);
}

/// Tells it where everything is.
fn tell(supervisor: &Supervisor, user: u32) -> Prey {
    let base = supervisor.path().canonicalize().unwrap();
    let fact = |name: &str, text: &str| put(&base.join("given").join(name), text, user);
    let path = |name: &str| base.join(name).to_str().unwrap().to_owned();
    let setuid = base.join("given/setuid.program");
    install(&base.join("given/hostile"), &setuid);
    chown(&setuid, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).unwrap();
    let victim = supervisor.pid_of("victim").unwrap();
    let maps = fs::read_to_string(format!("/proc/{victim}/maps")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = format!("mcp-init-prey-{}-{user}", std::process::id());
    let tmp = std::env::temp_dir().join(&name);
    put(&tmp, "MARMALADE", user);
    let cgroups = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    fact("victim", &path("victim"));
    fact("configuration", &path("services.d/victim.json"));
    fact("services", &path("services.d"));
    fact("state", &path("state"));
    fact("log", &path("log/victim/current"));
    fact("control", &path("run/control.sock"));
    fact("setuid", &path("given/setuid.program"));
    fact("pid", &victim.to_string());
    fact("supervisor", &supervisor.pid().to_string());
    fact("address", maps.split('-').next().unwrap());
    fact("tcp", &tcp.local_addr().unwrap().port().to_string());
    fact("udp", &udp.local_addr().unwrap().port().to_string());
    fact("abstract", &name);
    fact("tmp", tmp.to_str().unwrap());
    fact("cgroups", cgroups.iter().find(|path| Path::new(path).is_dir()).unwrap());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    Prey { _tcp: tcp, _udp: udp, _abstract: UnixListener::bind_addr(&address).unwrap(), tmp }
}

/// Runs it as one service, to its end; what succeeded.
fn run(supervisor: &mut Supervisor, service: &str) -> BTreeMap<String, bool> {
    let report = supervisor.file(&format!("{service}/report"));
    supervisor.ok(&["start", service]);
    supervisor.wait_until(&format!("{service} has tried everything"), seconds(20), |_| report.exists());
    let text = fs::read_to_string(report).unwrap();
    text.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, done)| (name.into(), done == "1"))
        .collect()
}

/// The hostile program with and without walls, run by a supervisor of this user.
fn attempts_of(user: u32) {
    if !can_sandbox() {
        return;
    }
    if which("gcc").is_none() {
        return skip("no gcc");
    }
    let mut setup = Setup::new();
    let base = setup.path().canonicalize().unwrap();
    lay_out(&base, user);
    let hostile = |own: &str, sandbox: Value| {
        json!({ "command": [base.join("given/hostile"), base.join("given"), base.join(own)],
            "start": "manual", "restart": "never", "sandbox": sandbox })
    };
    let paths = |own: &str| json!({ "readable": [base.join("given")], "writable": [base.join(own)] });
    let mut with_port = paths("port");
    with_port["ports"] = json!([free_port()]);
    let mut with_loopback = paths("loop");
    with_loopback["network"] = json!("loopback");
    setup = setup
        .shell(
            "victim",
            ": victim-waits; echo MARMALADE; sleep 1000; :",
            &json!({ "env": { "JAM": "MARMALADE" } }),
        )
        .service("open", &hostile("open", json!("none")))
        .service("shut", &hostile("shut", paths("shut")))
        .service("port", &hostile("port", with_port))
        .service("loop", &hostile("loop", with_loopback));
    if user != 0 {
        setup = as_user(setup);
    }
    let mut supervisor = setup.start();
    supervisor.wait_for("victim", "running", seconds(5));
    let log = supervisor.file("log/victim/current");
    supervisor.wait_until("the victim has a log", seconds(5), |_| log.exists());
    let _prey = tell(&supervisor, user);

    // The walls first: without them there is nothing left to take.
    for service in ["shut", "port", "loop"] {
        let mut within = run(&mut supervisor, service);
        // Where the configuration is below /tmp, it can make its like in a /tmp of its own.
        within.insert("write_a_service".into(), supervisor.file("services.d/planted.txt").exists());
        // Of its own loopback it may do what it likes.
        within.retain(|name, _| service != "loop" || !["listen_to_all", "send_out"].contains(&&**name));
        let done: Vec<_> = within.iter().filter(|(_, done)| **done).map(|(name, _)| name).collect();
        assert!(done.is_empty(), "{service}, user {user}: {done:?} succeeded\n{}", supervisor.story());
    }
    let without = run(&mut supervisor, "open");
    let failed: Vec<_> = without.iter().filter(|(_, done)| !**done).map(|(name, _)| name).collect();
    assert!(without.len() - failed.len() >= ATTEMPTS, "without walls these failed: {failed:?}");
    if !failed.is_empty() {
        eprintln!("user {user}: this machine refuses anyway: {failed:?}");
    }
    assert!(proc::is_alive(supervisor.pid_of("victim").unwrap()));
}

#[test]
fn a_hostile_service_of_root_achieves_nothing() {
    attempts_of(0);
}

#[test]
fn a_hostile_service_of_another_user_achieves_nothing() {
    attempts_of(USER);
}

#[test]
fn a_loopback_of_its_own_reaches_itself_and_nobody_else() {
    if !can_sandbox() {
        return;
    }
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    let script = format!(
        "import socket\na = socket.create_server(('127.0.0.1', 0))\n\
         b = socket.create_connection(a.getsockname())\nprint('itself', flush=True)\n\
         try: socket.create_connection(('127.0.0.1', {port})); print('outside', flush=True)\n\
         except OSError as error: print('refused', error, flush=True)\nimport time; time.sleep(1000)"
    );
    let config =
        json!({ "command": ["/usr/bin/env", "python3", "-c", script], "sandbox": { "network": "loopback" } });
    if !Path::new("/usr/bin/python3").exists() {
        return skip("no /usr/bin/python3");
    }
    let config = crate::support::supervisor::merged(config, &json!({ "env": { "PATH": "/usr/bin:/bin" } }));
    let mut supervisor = Setup::new().service("it", &config).start();
    let log = supervisor.file("log/it/current");
    let text = || fs::read_to_string(&log).unwrap_or_default();
    supervisor
        .wait_until("it has tried", seconds(10), |_| text().contains("ref") || text().contains("outside"));
    assert!(text().contains("itself") && text().contains("refused"), "{}", text());
}

/// Says what it sees of itself, and waits.
const PROBE: &str = "echo $$ >out/pid.part; ls / >out/root; ls /proc | grep -c '^[0-9]' >out/processes; \
    id -u >out/user; pwd >out/pwd; touch /tmp/own; ls /tmp >out/tmp; mv out/pid.part out/pid; ";

#[test]
fn a_walled_service_is_supervised_like_any_other() {
    if !can_sandbox() {
        return;
    }
    let work = crate::support::Scratch::new();
    let out = work.path().join("out");
    fs::create_dir(&out).unwrap();
    let keys = json!({ "workingDirectory": work.path(), "sandbox": { "writable": [out] }, "user": USER });
    chown(&out, Some(USER), Some(USER)).unwrap();
    // One that obeys, with a child that has left its group; and one that handles no signal at all.
    let obeys =
        format!("trap 'echo bye; exit 0' TERM; {PROBE} setsid sleep 1000 & while :; do sleep 0.1; done");
    let mut supervisor = Setup::new()
        .shell("obeys", &obeys, &keys)
        .service(
            "deaf",
            &json!({ "command": ["sleep", "1000"], "sandbox": "strict", "stop": { "timeout": "5m" } }),
        )
        .start();
    supervisor.wait_until("it has looked", seconds(5), |_| out.join("pid").exists());
    let seen = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!((seen("pid").trim(), seen("user").trim()), ("1", "12345"), "it is the first of its own");
    assert!(seen("processes").trim().parse::<u32>().unwrap() < 6, "{}", seen("processes"));
    assert_eq!(seen("pwd").trim(), work.path().canonicalize().unwrap().to_str().unwrap());
    assert!(!seen("root").contains("home") && !seen("root").contains("root"), "{}", seen("root"));
    assert!(!Path::new("/tmp/own").exists() && seen("tmp").contains("own"), "{}", seen("tmp"));
    let report = supervisor.service("obeys");
    assert_eq!((&report["sandbox"], &report["sandboxLacks"]), (&json!("strict"), &json!([])));
    let by = json!({ "files": "mounts, landlock", "processes": "namespace", "network": "seccomp",
        "systemCalls": "seccomp" });
    assert_eq!(report["enforcedBy"], by);

    let pid = supervisor.pid_of("obeys").unwrap();
    let sleeps =
        |word: &str| proc::descendants(pid).iter().any(|it| proc::command_line(it.pid).contains(word));
    supervisor.wait_until("it has a child of its own", seconds(5), |_| sleeps("sleep 1000"));
    let all: Vec<i32> = proc::descendants(pid).iter().map(|process| process.pid).chain([pid]).collect();
    supervisor.ok(&["stop", "obeys"]);
    let end = supervisor.service("obeys")["lastEnd"].clone();
    assert_eq!((&end["code"], &end["reason"]), (&json!(0), &json!("ordered")), "{end}");
    assert!(all.iter().all(|pid| !proc::is_alive(*pid)), "{}", supervisor.story());

    // The kernel keeps SIGTERM from the first process of a namespace that does not handle it.
    supervisor.wait_for("deaf", "running", seconds(5));
    let began = std::time::Instant::now();
    supervisor.ok(&["stop", "deaf"]);
    assert!(began.elapsed() < seconds(60), "it waited for one that cannot hear");
    let threads = fs::read_dir(format!("/proc/{}/task", supervisor.pid())).unwrap().count();
    assert_eq!((threads, proc::children(supervisor.pid()).len()), (1, 1), "the scribe is all that is left");
}

#[test]
fn a_limit_of_descriptors_takes_no_wall_down_and_nothing_that_it_may_write() {
    if !can_sandbox() {
        return;
    }
    let work = crate::support::Scratch::new();
    let script = format!("echo x >/tmp/own && echo x >{}/here; exec sleep 1000", work.path().display());
    // The supervisor itself has more than sixteen open, and so has its child on the way to the program.
    let keys = json!({ "sandbox": { "writable": [work.path()], "ports": [free_port()] },
        "limits": { "rlimits": { "nofile": 16 } }, "restart": "never" });
    let mut supervisor = Setup::new().shell("few", &script, &keys).start();
    supervisor.wait_until("it has written", seconds(5), |_| work.path().join("here").exists());
    let report = supervisor.service("few");
    assert_eq!(report["sandboxLacks"], json!([]), "{report}");
    assert_eq!(report["enforcedBy"]["network"], "landlock: its ports, on every address");
}

#[test]
fn a_path_that_is_not_there_is_named_and_nothing_is_started() {
    if !can_sandbox() {
        return;
    }
    let sandbox = json!({ "writable": ["/no/such/folder"], "bestEffort": true });
    let keys = json!({ "sandbox": sandbox, "restart": "never" });
    let mut supervisor = Setup::new().shell("bad", "sleep 1000", &keys).start();
    let report = supervisor.wait_for("bad", "error", seconds(5));
    let error = report["lastError"].as_str().unwrap();
    assert!(
        error.contains("cannot show /no/such/folder in the sandbox: No such file or directory"),
        "{error}"
    );
}

#[test]
fn without_namespaces_it_is_refused_or_what_is_missing_is_told() {
    if !can_sandbox() {
        return;
    }
    let work = crate::support::Scratch::new();
    fs::create_dir(work.path().join("out")).unwrap();
    fs::write(work.path().join("secret"), "x").unwrap();
    let script = "cat ../secret && echo leaked; echo x >out/here && echo written; exec sleep 1000";
    let keys = |sandbox: Value| json!({ "workingDirectory": work.path().join("out"), "sandbox": sandbox, "restart": "never" });
    let out = work.path().join("out");
    let script = script.replace("out/here", out.join("here").to_str().unwrap());
    // A root without the capability that namespaces need, and a user namespace that allows no further one.
    let mut supervisor = Setup::new()
        .shell("strict", &script, &keys(json!({ "writable": [out] })))
        .shell("effort", &script, &keys(json!({ "writable": [out], "bestEffort": true })))
        .wrapper(&[
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "--fork",
            "sh",
            "-c",
            "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set -sys_admin \"$@\"",
            "sh",
        ])
        .start();
    let refused = supervisor.wait_for("strict", "error", seconds(5));
    let error = refused["lastError"].as_str().unwrap();
    assert!(error.starts_with("cannot make the namespaces of the sandbox: "), "{error}");
    let report = supervisor.wait_for("effort", "running", seconds(5));
    let lacks = json!(["a file system view of its own", "a process view of its own"]);
    assert_eq!(report["sandboxLacks"], lacks);
    let log = supervisor.file("log/effort/current");
    let text = || fs::read_to_string(&log).unwrap_or_default();
    supervisor.wait_until("it has tried", seconds(5), |_| text().contains("written"));
    assert!(!text().contains("leaked") && text().contains("Permission denied"), "{}", text());
}

#[test]
fn a_runner_serves_from_within_and_its_health_is_heard() {
    if !can_sandbox() {
        return;
    }
    if crate::support::runner_program().is_none() {
        return skip("no runner");
    }
    let port = free_port();
    let rest = json!({ "sandbox": "strict", "healthCheck": { "interval": "100ms" } });
    let mut supervisor = Setup::new().server("pets", port, &rest).start();
    supervisor.wait_for("pets", "running", seconds(10));
    let answer = crate::support::mcp::Client::connect(port).unwrap().call("getPet", &json!({ "petId": 1 }));
    assert_eq!(answer.unwrap()["structuredContent"]["name"], "Minka");
    supervisor.wait_until("it is healthy", seconds(5), |it| it.service("pets")["healthStatus"] == "healthy");
    supervisor.ok(&["stop", "pets"]);
    assert_eq!(supervisor.service("pets")["lastEnd"]["code"], 0);
}
