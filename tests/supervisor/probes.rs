//! Health and readiness as a child of the supervisor finds them from outside: each kind of question finds each kind
//! of fault within its time, and says what it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::proc;
use crate::support::supervisor::{Setup, Supervisor, lines_of, merged};
use crate::support::{free_port, runner_program, seconds, skip, which};

/// A server with one fault of its choice: `server.py PORT FAULT`. While the file `ill` is not there it is well.
const SERVER: &str = r#"
import http.server, json, os, socket, sys, time
port, fault = int(sys.argv[1]), sys.argv[2]
ill = lambda: os.path.exists("ill")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sessions = set()
    def log_message(self, *words): pass
    def answer(self, status, value=None, session=None):
        if ill():
            if fault == "slow": time.sleep(60)
            if fault == "late": time.sleep(1.5)
            if fault == "error": status, value = 503, None
            if fault == "garbage":
                self.wfile.write(b"what?\r\n\r\n"); self.close_connection = True; return
            if fault == "closing":
                self.close_connection = True; return
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        if session: self.send_header("Mcp-Session-Id", session)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self): self.answer(200, {})
    def do_DELETE(self):
        self.sessions.discard(self.headers["Mcp-Session-Id"])
        open("ended", "a").write("x")
        self.answer(204)
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, session = message["method"], self.headers["Mcp-Session-Id"]
        reply = lambda result: {"jsonrpc": "2.0", "id": message["id"], "result": result}
        if method == "initialize":
            session = "s%d" % time.monotonic_ns(); self.sessions.add(session)
            version = message["params"]["protocolVersion"]
            return self.answer(200, reply({"protocolVersion": version, "capabilities": {}, "serverInfo": {}}), session)
        if session not in self.sessions: return self.answer(400)
        if method == "notifications/initialized": return self.answer(202)
        if ill() and fault == "nonsense": return self.answer(200, {"jsonrpc": "2.0", "id": 99, "result": {}})
        self.answer(200, reply({}))
if fault == "refusing" and ill(): time.sleep(1000)
class Server(http.server.ThreadingHTTPServer):
    def service_actions(self):
        if ill() and fault in ("hung", "refusing"):
            if fault == "refusing": self.socket.close()
            time.sleep(1000)
server = Server(("127.0.0.1", port), Handler)
open("up", "w").write("")
server.serve_forever(0.05)
"#;

/// Often, and patient for two failures: three times the interval and the timeout is its stated time.
pub fn often(kind: &str, rest: &Value) -> Value {
    let check = json!({ "type": kind, "interval": "100ms", "timeout": "400ms", "retries": 2 });
    json!({ "healthCheck": merged(check, rest), "stop": { "timeout": "200ms" },
            "restartPolicy": { "maxRetries": 1000, "retryDelay": "10ms" }, "recovery": { "maxAttempts": 1000 } })
}

/// One such server under a supervisor.
pub fn serve(fault: &str, port: u16, keys: &Value) -> Option<Supervisor> {
    which("python3").or_else(|| {
        skip("no python3");
        None
    })?;
    let setup = Setup::new();
    let script = setup.path().join("services.d/server.py");
    fs::write(&script, SERVER).unwrap();
    let command = json!({ "command": ["python3", script, port.to_string(), fault] });
    let ready = json!({ "readiness": { "type": "tcp", "port": port } });
    Some(setup.service("a", &merged(merged(command, &ready), keys)).start())
}

/// The reasons in its `health.jsonl`.
fn reasons(supervisor: &Supervisor) -> Vec<String> {
    let lines = lines_of(&supervisor.file("state/services/a/health.jsonl"));
    lines.iter().filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect()
}

/// A healthy server falls ill, is found to be, and is started again for it, with `words` as the reason.
pub fn found(kind: &str, rest: &Value, fault: &str, words: &str) {
    let port = free_port();
    let rest = merged(rest.clone(), &if kind == "exec" { json!({}) } else { json!({ "port": port }) });
    let Some(mut supervisor) = serve(fault, port, &often(kind, &rest)) else { return };
    supervisor.wait_until("it is well", seconds(10), |it| it.service("a")["healthStatus"] == "healthy");
    assert_eq!(supervisor.service("a")["restartCount"], 0, "{kind} {fault}: {:?}", reasons(&supervisor));
    supervisor.ok(&["health"]);
    fall_ill(&mut supervisor, fault, words);
}

pub fn fall_ill(supervisor: &mut Supervisor, fault: &str, words: &str) {
    // Where the machine is very busy, it may have been taken for ill before it was.
    supervisor.wait_until("it is well", seconds(10), |it| it.service("a")["healthStatus"] == "healthy");
    let service = supervisor.service("a");
    let restarts = service["restartCount"].as_u64().unwrap();
    let pid = i32::try_from(service["pid"].as_i64().unwrap()).unwrap();
    let begun = Instant::now();
    match fault {
        "dead" => proc::signal(pid, Signal::SIGKILL),
        "stopped" => proc::signal(pid, Signal::SIGSTOP),
        _ => fs::write(supervisor.file("services.d/ill"), "").unwrap(),
    }
    supervisor.wait_until(&format!("{fault} is found"), seconds(10), |it| {
        it.service("a")["restartCount"].as_u64() > Some(restarts)
    });
    // Twice the interval, the timeout and what a child may take longer; the stop; room for a busy machine.
    assert!(begun.elapsed() < seconds(30), "{fault}: {:?}", begun.elapsed());
    let wanted = if fault == "dead" { "killed" } else { "unhealthy" };
    let nth = usize::try_from(restarts).unwrap();
    supervisor.wait_until("its end is told", seconds(5), |it| {
        it.events_of("a", "process.stopped").get(nth).is_some_and(|event| event["reason"] == wanted)
    });
    if fault != "dead" {
        supervisor.wait_until("the reason is recorded", seconds(5), |it| {
            reasons(it).iter().any(|reason| reason.contains(words))
        });
        assert!(supervisor.record("a")["lastHealthCheck"].is_string());
    }
}

/// A test for each fault, with the reason that is to be given.
macro_rules! finds {
    ($($name:ident: $kind:literal, $fault:literal, $words:literal;)*) => {
        $(#[test]
        fn $name() {
            found($kind, &json!({}), $fault, $words);
        })*
    };
}

pub(crate) use finds;

finds! {
    http_finds_one_that_is_dead: "http", "dead", "";
    http_finds_one_that_is_stopped: "http", "stopped", "no answer within 400ms";
    http_finds_one_that_is_slow: "http", "slow", "no answer within 400ms";
    http_finds_one_that_answers_garbage: "http", "garbage", "something that is no HTTP";
    http_finds_one_that_hangs_up: "http", "closing", "closed the connection without an answer";
    http_finds_one_that_answers_no: "http", "error", "answered 503";
    mcp_finds_one_that_is_stopped: "mcp", "stopped", "no answer within 400ms";
    mcp_finds_one_that_is_slow: "mcp", "slow", "no answer within 400ms";
    mcp_finds_one_that_answers_garbage: "mcp", "garbage", "something that is no HTTP";
    mcp_finds_one_that_hangs_up: "mcp", "closing", "closed the connection without an answer";
    mcp_finds_one_that_answers_no: "mcp", "error", "answered 503";
    mcp_finds_one_that_answers_another_question: "mcp", "nonsense", "something that is no MCP";
}

#[test]
fn an_older_servers_sessions_are_ended_again() {
    let port = free_port();
    let Some(mut supervisor) = serve("none", port, &often("mcp", &json!({ "port": port }))) else { return };
    let ended = supervisor.file("services.d/ended");
    supervisor.wait_until("three sessions have been ended", seconds(10), |_| {
        fs::read(&ended).is_ok_and(|text| text.len() >= 3)
    });
    assert_eq!(supervisor.service("a")["healthStatus"], "healthy");
    assert_eq!(supervisor.service("a")["restartCount"], 0);
}

#[test]
fn tcp_finds_one_that_does_not_listen() {
    let port = free_port();
    let keys = merged(often("tcp", &json!({ "port": port })), &json!({ "readiness": "started" }));
    let keys = merged(keys, &json!({ "healthCheck": { "startPeriod": "2s" } }));
    // Its first life does not listen at all; it is well in its second.
    let setup = Setup::new();
    let script = format!(
        "test -e lived && exec python3 -m http.server --bind 127.0.0.1 {port}; touch lived; exec sleep 1000"
    );
    if which("python3").is_none() {
        return skip("no python3");
    }
    let mut supervisor = setup.shell("a", &script, &keys).start();
    supervisor.wait_until("it is found", seconds(10), |it| {
        reasons(it).iter().any(|reason| reason.contains("Connection refused"))
    });
    supervisor.wait_until("it is well", seconds(20), |it| it.service("a")["healthStatus"] == "healthy");
    assert!(supervisor.service("a")["restartCount"].as_u64() >= Some(1));
}

#[test]
fn exec_says_what_its_program_said_last_and_leaves_nothing_running() {
    let keys = often(
        "exec",
        &json!({ "command": ["/bin/sh", "-c", "echo looking; test ! -e ill || { echo \"no $WHAT\"; exit 3; }"] }),
    );
    let keys = merged(keys, &json!({ "env": { "WHAT": "database" } }));
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &keys).start();
    supervisor.wait_until("it is well", seconds(10), |it| it.service("a")["healthStatus"] == "healthy");
    fall_ill(&mut supervisor, "error", "no database");
}

#[test]
fn a_question_that_hangs_is_ended_with_all_it_started_and_never_overlaps_itself() {
    let mark = format!("10{}", free_port());
    let script = format!("echo x >>asked; sleep {mark} & exec sleep {mark}");
    let check = json!({ "type": "exec", "command": ["/bin/sh", "-c", script],
        "interval": "20ms", "timeout": "200ms", "retries": 1000 });
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &json!({ "healthCheck": check })).start();
    let asked = supervisor.file("services.d/asked");
    let count = move || fs::read(&asked).map_or(0, |text| text.len() / 2);
    let mut most = 0;
    supervisor.wait_until("it was asked five times", seconds(10), |_| {
        most = most.max(proc::marked(&mark).len());
        count() >= 5
    });
    // The shell that became one, the one beside it, and for a moment a shell before either.
    assert!(most <= 3, "{most}");
    assert!(reasons(&supervisor).iter().all(|reason| reason == "no answer within 200ms"));
    supervisor.ok(&["stop", "a"]);
    supervisor.wait_until("nothing is left of it", seconds(5), |_| proc::marked(&mark).is_empty());
    assert_eq!(supervisor.status()["supervisor"]["orphans"].as_u64().map(|count| count < 40), Some(true));
}

#[test]
fn a_server_of_ours_is_well_in_its_own_protocol_and_found_when_it_is_stopped() {
    if runner_program().is_none() {
        return skip("no mcp-runner");
    }
    let keys = merged(often("mcp", &json!({ "timeout": "1s" })), &json!({ "readiness": { "type": "tcp" } }));
    let mut supervisor = Setup::new().server("a", free_port(), &keys).start();
    supervisor.wait_until("it is well", seconds(10), |it| it.service("a")["healthStatus"] == "healthy");
    assert_eq!(reasons(&supervisor), Vec::<String>::new());
    fall_ill(&mut supervisor, "stopped", "no answer within 1.0s");
    supervisor.wait_until("it is well again", seconds(10), |it| it.service("a")["healthStatus"] == "healthy");
}

#[test]
fn ready_is_when_its_port_is_open_or_its_command_says_so() {
    let port = free_port();
    let gate =
        |path: &Path, then: &str| format!("while [ ! -e {} ]; do sleep 0.01; done; {then}", path.display());
    if which("python3").is_none() {
        return skip("no python3");
    }
    let setup = Setup::new();
    let go: PathBuf = setup.path().join("go");
    let listen = gate(&go, &format!("exec python3 -m http.server --bind 127.0.0.1 {port}"));
    let mut supervisor = setup
        .shell("tcp", &listen, &json!({ "readiness": { "type": "tcp", "port": port } }))
        .shell(
            "exec",
            "exec sleep 1000",
            &json!({ "readiness": { "type": "exec", "command": ["test", "-e", go] } }),
        )
        .start();
    supervisor.wait_until("both have processes", seconds(5), |it| {
        ["tcp", "exec"].iter().all(|id| it.pid_of(id).is_some())
    });
    for id in ["tcp", "exec"] {
        assert_eq!(supervisor.service(id)["status"], "starting", "{id}");
    }
    fs::write(&go, "").unwrap();
    for id in ["tcp", "exec"] {
        supervisor.wait_for(id, "running", seconds(10));
    }
    let init = supervisor.pid();
    supervisor.wait_until("nobody asks any more", seconds(5), |_| {
        proc::children(init).iter().all(|child| !proc::command_line(child.pid).contains("probe"))
    });
}

#[test]
fn one_that_is_never_ready_has_failed_and_says_why() {
    let port = free_port();
    let never = |readiness: &Value| json!({ "readiness": readiness, "processTimeout": "5s", "restartPolicy": { "maxRetries": 0 } });
    let mut supervisor = Setup::new()
        .shell("tcp", "exec sleep 1000", &never(&json!({ "type": "tcp", "port": port })))
        .shell("exec", "exec sleep 1000", &never(&json!({ "type": "exec", "command": "false" })))
        .shell("none", "exec sleep 1000", &never(&json!({ "type": "exec", "command": "/nowhere/it" })))
        .start();
    for (id, words) in [
        ("tcp", format!("was not ready in time: cannot connect to 127.0.0.1:{port}: Connection refused")),
        ("exec", "was not ready in time: exit status: 1".to_owned()),
        ("none", "was not ready in time: cannot execute /nowhere/it: No such file or directory".to_owned()),
    ] {
        let service = supervisor.wait_for(id, "error", seconds(10));
        assert_eq!(service["lastEnd"]["reason"], "not-ready", "{service}");
        assert!(service["lastError"].as_str().unwrap().contains(&words), "{service}");
        supervisor.wait_until(&words, seconds(5), |it| {
            it.events_of(id, "process.error").iter().any(|event| event["error"] == words)
        });
    }
}

#[test]
fn those_that_ask_belong_to_no_service_and_a_lost_one_is_replaced() {
    let script = "exec sleep 1000";
    let keys = json!({ "readiness": { "type": "exec", "command": ["test", "-e", "go"] } });
    let mut supervisor = Setup::new().shell("a", script, &keys).start();
    let init = supervisor.pid();
    let asker = || {
        let mut all = proc::children(init).into_iter();
        all.find(|child| proc::command_line(child.pid).contains("probe")).map(|child| child.pid)
    };
    supervisor.wait_until("somebody asks", seconds(5), |_| asker().is_some());
    let (service, first) = (supervisor.pid_of("a").unwrap(), asker().unwrap());
    assert_ne!(proc::process(first).unwrap().session, proc::process(service).unwrap().session);
    proc::signal(first, Signal::SIGKILL);
    supervisor.wait_until("another one asks", seconds(5), |_| asker().is_some_and(|pid| pid != first));
    fs::write(supervisor.file("services.d/go"), "").unwrap();
    supervisor.wait_for("a", "running", seconds(5));
    assert_eq!(supervisor.pid_of("a"), Some(service));
}

#[test]
fn health_ends_with_a_code_for_each_trouble_and_soon() {
    let ill = often("exec", &json!({ "command": "false", "retries": 1000 }));
    let mut supervisor = Setup::new()
        .shell("well", "exec sleep 1000", &json!({}))
        .shell("ill", "exec sleep 1000", &ill)
        .shell("down", "exec sleep 1000", &json!({ "enabled": false }))
        .start();
    supervisor.wait_until("it is known", seconds(5), |it| it.service("ill")["healthStatus"] == "unhealthy");
    for (words, code) in [
        (&["health", "well"][..], 0),
        (&["health", "down"], 1),
        (&["health", "ill"], 4),
        (&["health", "--ready"], 4),
        (&["health", "--live"], 0),
        (&["health", "nobody"], 4),
    ] {
        assert_eq!(supervisor.cli(words).status.code(), Some(code), "{words:?}");
    }
    // A probe of Kubernetes is a whole process: the best of a few, as others use the machine, too.
    let took = |words: &[&str]| {
        let begun = Instant::now();
        supervisor.ok(words);
        begun.elapsed()
    };
    for words in [&["health", "--live"][..], &["health", "well", "--ready"]] {
        let mut tries = (0..100).map(|_| took(words));
        assert!(tries.any(|took| took < Duration::from_millis(10)), "{words:?}");
    }
    supervisor.ok(&["shutdown"]);
    assert_eq!(supervisor.cli(&["health", "--live"]).status.code(), Some(4));
}
