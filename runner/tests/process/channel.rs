//! The channel to the supervisor: what it is told, what it is answered, and what does not matter.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{LONG, Runner, SPAWN, pets_flag, program};

/// The supervisor's end.
pub(crate) struct Supervisor {
    /// Messages from the runner.
    from: BufReader<UnixStream>,
    /// Messages to it.
    to: UnixStream,
}

impl Supervisor {
    /// Starts a runner with a channel, named as `variable`.
    pub(crate) fn start(variable: &str, command: &mut Command) -> (Runner, Self) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        command.env(variable, theirs.as_raw_fd().to_string());
        // The copy that is passed on exists only while nothing else can be started.
        let guard = SPAWN.lock();
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let runner = Runner::spawn_locked(command);
        drop(theirs);
        drop(guard);
        (runner, Self { from: BufReader::new(ours.try_clone().unwrap()), to: ours })
    }

    /// The next message.
    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no message: {line:?}"))
    }

    /// Sends a line.
    fn say(&mut self, line: &str) {
        writeln!(self.to, "{line}").unwrap();
    }
}

#[test]
fn it_says_where_it_serves_and_answers_what_it_is_asked() {
    for variable in ["MCP_INIT_CHANNEL_FD", "NODE_CHANNEL_FD"] {
        let mut command = program();
        command.args([&pets_flag(), "--server-id=pets"]);
        let (runner, mut supervisor) = Supervisor::start(variable, &mut command);
        let started = supervisor.hear();
        let port = started["port"].as_u64().unwrap();
        let endpoint = format!("http://127.0.0.1:{port}/mcp");
        let wanted = json!({
            "type": "server-started", "serverId": "pets", "port": port, "transport": "streamable", "endpoint": endpoint,
        });
        assert_eq!(started, wanted);
        // It says so only when it is true.
        let client = crate::support::Client { address: format!("127.0.0.1:{port}"), path: "/mcp".to_owned() };
        client.legacy("tools/list", &json!({})).result();
        client.legacy("tools/call", &json!({"name": "nope"})).reply();

        supervisor.say("garbage\n\n{\"type\":\"of tomorrow\"}\n{\"cmd\":\"NODE_HANDLE\"}");
        supervisor.say(&json!({"type": "health-check", "serverId": "pets"}).to_string());
        let answer = supervisor.hear();
        assert_eq!(answer["type"], "health-check-response");
        assert_eq!((&answer["serverId"], &answer["healthy"]), (&json!("pets"), &json!(true)));
        assert!(answer["timestamp"].as_u64().unwrap() > 1_700_000_000_000);

        supervisor.say(&json!({"type": "collect-metrics", "serverId": "pets"}).to_string());
        let answer = supervisor.hear();
        assert_eq!((&answer["type"], &answer["serverId"]), (&json!("process-metrics"), &json!("pets")));
        let metrics = &answer["metrics"];
        assert_eq!(
            (metrics["requestCount"].as_f64(), metrics["errorCount"].as_f64()),
            (Some(2.0), Some(1.0))
        );
        for figure in ["memoryUsage", "uptime", "averageResponseTime"] {
            assert!(metrics[figure].as_f64().unwrap() > 0.0, "{figure}");
        }
        let took = metrics["uptime"].as_f64().unwrap();
        assert!(metrics["cpuUsage"].is_null() || took >= 1000.0, "there was no time to measure over yet");

        // A supervisor that goes away is no reason to stop serving.
        drop(supervisor);
        client.legacy("tools/list", &json!({})).result();
        runner.signal(Signal::SIGTERM);
        assert_eq!(runner.end().0.code(), Some(0));
    }
}

#[test]
fn over_stdio_there_is_no_port_to_tell() {
    let mut command = program();
    command.args([&pets_flag(), "--transport=stdio", "--server-id=pets"]);
    let (_runner, mut supervisor) = Supervisor::start("MCP_INIT_CHANNEL_FD", &mut command);
    assert_eq!(
        supervisor.hear(),
        json!({"type": "server-started", "serverId": "pets", "transport": "stdio"})
    );
}

#[test]
fn a_number_that_is_no_channel_is_not_taken_for_one() {
    for number in ["0", "1", "77", "-3", "x", ""] {
        let runner = Runner::spawn(program().arg(pets_flag()).env("MCP_INIT_CHANNEL_FD", number));
        runner.client().legacy("ping", &json!({})).result();
    }
}
