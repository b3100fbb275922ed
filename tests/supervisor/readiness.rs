//! Readiness as other supervisors have it: `sd_notify`, spoken by systemd-notify, dbus-daemon and a script; and
//! s6's newline, written by programs of s6. And what a service says by `sd_notify` beyond that.

use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::supervisor::Setup;
use crate::support::{poll, proc, seconds, skip, which};

/// A script that says what is in `say(…)`, optionally with descriptors.
const PYTHON: &str = r"
import os, socket, sys, time, array
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
to = os.environ['NOTIFY_SOCKET']
to = '\0' + to[1:] if to[0] == '@' else to
def say(text, *fds):
    s.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [f if isinstance(f, int) else f.fileno() for f in fds]))] if fds else [], 0, to)
def until(name):
    while not os.path.exists(name): time.sleep(0.01)
";

/// A service that is such a script.
fn script(text: &str, keys: &Value) -> Option<(Setup, Value)> {
    // A wrapper of it takes its time to start.
    let own = Some(PathBuf::from("/usr/bin/python3")).filter(|path| path.exists());
    let Some(python) = own.or_else(|| which("python3")) else {
        skip("no python3");
        return None;
    };
    let command = json!({ "command": [python, "-c", format!("{PYTHON}{text}")], "readiness": "notify" });
    Some((Setup::new(), crate::support::supervisor::merged(command, keys)))
}

/// `program`, or a line that says that it is not here.
fn program(name: &str) -> Option<PathBuf> {
    let found = which(name);
    if found.is_none() {
        skip(&format!("no {name}"));
    }
    found
}

#[test]
fn systemd_notify_says_ready_and_what_is_going_on() {
    if program("systemd-notify").is_none() {
        return;
    }
    let text = "systemd-notify --status 'Loading'; while [ ! -e go ]; do sleep 0.01; done; \
        systemd-notify --ready --status='Serving 7 pets'; exec sleep 1000";
    let mut supervisor = Setup::new().shell("a", text, &json!({ "readiness": "notify" })).start();
    supervisor.wait_until("it loads", seconds(5), |it| it.service("a")["statusText"] == "Loading");
    assert_eq!(supervisor.service("a")["status"], "starting");
    std::fs::write(supervisor.file("services.d/go"), "").unwrap();
    let service = supervisor.wait_for("a", "running", seconds(5));
    assert_eq!(service["statusText"], "Serving 7 pets", "{service}");
}

#[test]
fn one_that_is_walled_in_says_ready_too() {
    let keys = json!({ "sandbox": { "profile": "strict", "bestEffort": true } });
    let text = "say('READY=1\\nSTATUS=walled'); time.sleep(1000)";
    let Some((setup, config)) = script(text, &keys) else { return };
    let mut supervisor = setup.service("a", &config).start();
    assert_eq!(supervisor.wait_for("a", "running", seconds(5))["statusText"], "walled");
}

#[test]
fn dbus_daemon_says_ready() {
    if program("dbus-daemon").is_none() {
        return;
    }
    let setup = Setup::new();
    let address = format!("unix:path={}", setup.path().join("bus").display());
    let keys = json!({ "command": ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address", address],
        "readiness": { "type": "notify" } });
    let mut supervisor = setup.service("bus", &keys).start();
    supervisor.wait_for("bus", "running", seconds(5));
    assert!(supervisor.file("bus").exists());
    supervisor.ok(&["stop", "bus"]);
}

#[test]
fn s6_log_and_s6_ipcserver_say_ready_by_a_newline() {
    if program("s6-log").is_none() || program("s6-ipcserver").is_none() {
        return;
    }
    let fd = |number: i32| json!({ "type": "fd", "fd": number });
    let mut supervisor = Setup::new()
        .service("log", &json!({ "command": ["s6-log", "-d3", "--", "t", "./logged"], "readiness": fd(3) }))
        .service(
            "echo",
            &json!({ "command": ["sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; exec s6-ipcserver -1 ./b.sock cat >&5"],
                "readiness": fd(5), "channel": true, "listen": [{ "address": "./a.sock" }] }),
        )
        .shell("never", "exec 3>&-; exec sleep 1000", &json!({ "readiness": fd(3), "processTimeout": "200ms",
            "restartPolicy": { "maxRetries": 0 } }))
        .start();
    // Its input is empty: it is ready, then it is done.
    supervisor.wait_until("s6-log was ready", seconds(5), |it| {
        std::fs::read_to_string(it.file("log/mcp-init.log")).is_ok_and(|log| log.contains("log: running"))
    });
    supervisor.wait_until("it waits", seconds(5), |it| it.pid_of("echo").is_some());
    assert_eq!(supervisor.service("echo")["status"], "starting");
    std::fs::write(supervisor.file("services.d/go"), "").unwrap();
    supervisor.wait_for("echo", "running", seconds(5));
    UnixStream::connect(supervisor.file("services.d/b.sock")).unwrap();
    let service = supervisor.wait_for("never", "error", seconds(5));
    assert_eq!(service["lastEnd"]["reason"], "not-ready", "{service}");
}

#[test]
fn a_watchdog_that_is_not_fed_ends_a_service() {
    let text = "say('READY=1'); assert int(os.environ['WATCHDOG_PID']) == os.getpid()\n\
        every = int(os.environ['WATCHDOG_USEC']) / 1e6\n\
        end = time.time() + 2.5 * every\n\
        while time.time() < end: say('WATCHDOG=1'); time.sleep(every / 20)\n\
        open('fed', 'w'); time.sleep(1000)";
    let keys = json!({ "watchdog": "1s", "restartPolicy": { "maxRetries": 0 } });
    let Some((setup, config)) = script(text, &keys) else { return };
    let mut supervisor = setup.service("a", &config).start();
    let service = supervisor.wait_for("a", "error", seconds(10));
    assert!(supervisor.file("services.d/fed").exists(), "it was ended while it fed its watchdog: {service}");
    assert_eq!(service["lastEnd"]["reason"], "watchdog", "{service}");
    assert_eq!(
        (&service["lastEnd"]["signal"], &service["healthStatus"]),
        (&json!("SIGTERM"), &json!("unhealthy"))
    );
}

#[test]
fn a_service_may_take_its_time_reload_and_end_by_its_own_word() {
    let text = "say('EXTEND_TIMEOUT_USEC=60000000\\nX_UNKNOWN=1'); time.sleep(2.2); say('READY=1'); until('go')\n\
        say('RELOADING=1\\nMONOTONIC_USEC=1'); until('done'); say('READY=1'); until('end'); say('STOPPING=1')\n\
        until('gone'); sys.exit(0)";
    let keys = json!({ "processTimeout": "2s", "restart": "on-failure", "stop": { "timeout": "5m" } });
    let Some((setup, config)) = script(text, &keys) else { return };
    let mut supervisor = setup.service("a", &config).start();
    let service = supervisor.wait_for("a", "running", seconds(5));
    assert_eq!((&service["restartCount"], &service["reloading"]), (&json!(0), &json!(false)), "{service}");
    std::fs::write(supervisor.file("services.d/go"), "").unwrap();
    supervisor.wait_until("it reloads", seconds(5), |it| it.service("a")["reloading"] == true);
    std::fs::write(supervisor.file("services.d/done"), "").unwrap();
    supervisor.wait_until("it has reloaded", seconds(5), |it| it.service("a")["reloading"] == false);
    std::fs::write(supervisor.file("services.d/end"), "").unwrap();
    supervisor.wait_for("a", "stopping", seconds(5));
    std::fs::write(supervisor.file("services.d/gone"), "").unwrap();
    let service = supervisor.wait_for("a", "stopped", seconds(5));
    assert_eq!(service["lastEnd"]["reason"], "exited", "{service}");
}

#[test]
fn a_service_may_have_its_failures_forgotten() {
    // Two failures in a row are its last, but it is well in between.
    let text = "say('RESTART_RESET=1\\nREADY=1'); open('lives', 'a').write('x'); sys.exit(1)";
    let keys = json!({ "restartPolicy": { "maxRetries": 1, "retryDelay": "10ms" } });
    let Some((setup, config)) = script(text, &keys) else { return };
    let mut supervisor = setup.service("a", &config).start();
    let lives = supervisor.file("services.d/lives");
    supervisor.wait_until("it lives five times", seconds(20), |_| {
        std::fs::read(&lives).is_ok_and(|text| text.len() >= 5)
    });
}

#[test]
fn the_main_process_is_the_one_that_it_names_if_it_is_its_own() {
    // The first process leaves; the one that goes on is named, and its end is the service's.
    let text = "child = os.fork()\nif child == 0:\n    os.setsid(); until('named'); until('end'); os._exit(7)\n\
        say('MAINPID=1'); say(f'MAINPID={child}\\nREADY=1'); until('named'); sys.exit(0)";
    let Some((setup, config)) = script(text, &json!({ "restart": "never" })) else { return };
    let mut supervisor = setup.service("a", &config).start();
    let first = supervisor.wait_for("a", "running", seconds(5))["pid"].as_i64().unwrap();
    let pid = i32::try_from(first).unwrap();
    assert!(
        supervisor.service("a")["lastError"].as_str().unwrap().contains("names 1"),
        "{}",
        supervisor.service("a")
    );
    std::fs::write(supervisor.file("services.d/named"), "").unwrap();
    supervisor.wait_until("its pid file names it", seconds(5), |it| {
        std::fs::read_to_string(it.file("run/pids/a.pid")).is_ok_and(|text| text.trim() == first.to_string())
    });
    let parent = supervisor.pid();
    supervisor.wait_until("the first process is gone", seconds(5), |_| {
        proc::process(pid).is_some_and(|process| process.parent == parent)
    });
    assert_eq!(supervisor.service("a")["status"], "running");
    std::fs::write(supervisor.file("services.d/end"), "").unwrap();
    let service = supervisor.wait_for("a", "error", seconds(5));
    assert_eq!(service["lastEnd"]["code"], 7, "{service}");
    // And one that is stopped takes its main process along, wherever that has gone.
    for name in ["end", "named"] {
        std::fs::remove_file(supervisor.file(&format!("services.d/{name}"))).unwrap();
    }
    supervisor.ok(&["start", "a"]);
    let pid = supervisor.pid_of("a").unwrap();
    std::fs::write(supervisor.file("services.d/named"), "").unwrap();
    supervisor.wait_until("its first process is gone", seconds(5), |_| {
        proc::process(pid).is_some_and(|process| process.parent == parent)
    });
    supervisor.ok(&["stop", "a"]);
    assert!(!proc::is_alive(pid));
}

#[test]
fn descriptors_are_kept_for_the_next_process_and_handed_back_with_their_names() {
    let text = "count = int(os.environ.get('LISTEN_FDS', 0)); names = os.environ.get('LISTEN_FDNAMES')\n\
        if not count:\n    r, w = os.pipe(); os.write(w, b'kept'); a, b = socket.socketpair()\n    \
        say('FDSTORE=1\\nFDNAME=words\\nFDPOLL=0', r); say('FDSTORE=1\\nFDNAME=words', r); say('FDSTORE=1\\nFDNAME=gone', a)\n    \
        say('FDSTORE=1\\nFDNAME=dropped', w); say('FDSTOREREMOVE=1\\nFDNAME=dropped'); say('X=1', w)\n    \
        say('READY=1'); until('go'); os._exit(1)\n\
        open('found', 'w').write(f'{count} {names} {os.read(3, 9).decode()} {os.environ[\"LISTEN_PID\"] == str(os.getpid())}')\n\
        say('READY=1'); time.sleep(1000)";
    let Some((setup, config)) = script(text, &json!({ "restartPolicy": { "retryDelay": "1ms" } })) else {
        return;
    };
    let mut supervisor = setup.service("a", &config).start();
    supervisor.wait_for("a", "running", seconds(5));
    std::fs::write(supervisor.file("services.d/go"), "").unwrap();
    let found = supervisor.file("services.d/found");
    supervisor.wait_until("the next process was given it", seconds(5), |_| found.exists());
    supervisor.wait_for("a", "running", seconds(5));
    // The socket whose other side had gone was not handed back.
    assert_eq!(std::fs::read_to_string(found).unwrap(), "1 words kept True");
    let descriptors = proc::descriptors(supervisor.pid()).len();
    supervisor.ok(&["stop", "a"]);
    supervisor
        .wait_until("nothing is kept", seconds(5), |it| proc::descriptors(it.pid()).len() < descriptors);
}

#[test]
fn strangers_and_garbage_are_not_believed() {
    let text = "until('go'); s.sendto(os.urandom(4000), to); s.sendto(b'READY', to); s.sendto(b'x' * 9000, to)\n\
        say('READY=1\\0x'); until('really'); say('READY=1'); time.sleep(1000)";
    let Some((setup, config)) = script(text, &json!({})) else { return };
    let quiet = json!({ "readiness": "notify", "command": ["sleep", "1000"] });
    let mut supervisor = setup.service("a", &config).service("quiet", &quiet).start();
    supervisor
        .wait_until("they run", seconds(5), |it| it.pid_of("a").is_some() && it.pid_of("quiet").is_some());
    // This test is no child of the supervisor, and says nothing that counts.
    let stranger = UnixDatagram::unbound().unwrap();
    stranger.connect(supervisor.file("run/notify.sock")).unwrap();
    stranger.send(b"READY=1").unwrap();
    std::fs::write(supervisor.file("services.d/go"), "").unwrap();
    std::fs::write(supervisor.file("services.d/really"), "").unwrap();
    supervisor.wait_for("a", "running", seconds(5));
    assert_eq!(supervisor.service("quiet")["status"], "starting");
    // Whoever floods the socket costs others time at most.
    let flood = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_millis(500);
        while Instant::now() < until {
            let _ = stranger.send(b"READY=1");
        }
    });
    supervisor.ok(&["status"]);
    flood.join().unwrap();
    assert_eq!(supervisor.service("quiet")["status"], "starting");
}

#[test]
fn our_own_starter_is_told_and_services_do_not_hear_of_it() {
    let setup = Setup::new();
    let path = setup.path().join("above.sock");
    let above = UnixDatagram::bind(&path).unwrap();
    above.set_read_timeout(Some(seconds(60))).unwrap();
    let text = "echo \"[$NOTIFY_SOCKET]\" > said; exec sleep 1000";
    let mut supervisor = setup
        .variable("NOTIFY_SOCKET", path.to_str().unwrap())
        .shell("a", text, &json!({ "onExit": "shutdown" }))
        .start();
    let hear = || {
        let mut bytes = [0; 4096];
        // Whoever is stopped and let go on meanwhile is told of it by this error.
        let count = loop {
            match above.recv(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                heard => break heard.unwrap(),
            }
        };
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert_eq!(hear(), "READY=1\nSTATUS=1 of 1 services are up\n");
    let said = supervisor.file("services.d/said");
    let said = poll(seconds(30), || std::fs::read_to_string(&said).ok().filter(|text| !text.is_empty()));
    assert_eq!(said.as_deref(), Some("[]\n"));
    supervisor.signal(Signal::SIGTERM);
    let heard = hear() + &hear();
    assert!(heard.starts_with("STOPPING=1\nSTATUS=") && heard.ends_with("EXIT_STATUS=0\n"), "{heard}");
    supervisor.ended(seconds(5));
}

#[test]
fn a_barrier_is_closed_once_all_before_it_is_done() {
    let text = "say('STATUS=before'); r, w = os.pipe(); say('BARRIER=1', w); os.close(w)\n\
        assert os.read(r, 1) == b''; open('passed', 'w'); say('READY=1'); time.sleep(1000)";
    let Some((setup, config)) = script(text, &json!({})) else { return };
    let mut supervisor = setup.service("a", &config).start();
    supervisor.wait_for("a", "running", seconds(5));
    assert!(supervisor.file("services.d/passed").exists());
    assert_eq!(supervisor.service("a")["statusText"], "before");
}
