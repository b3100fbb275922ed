//! The verbs against a supervisor that only talks: a thread with a script, behind a real socket.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

use super::answer;
use super::output::Output;

/// A configuration, and perhaps a supervisor for it.
struct Stage {
    folder: PathBuf,
    heard: Option<Receiver<Value>>,
}

/// What a fake supervisor answers a request with: lines, and whether it hangs up after them.
type Script = fn(&Value) -> (Vec<Value>, bool);

impl Stage {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("mcp-init-cli-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        for part in ["run", "state", "log", "services.d"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let settings = json!({ "runtimeDir": "run", "stateDir": "state", "logDir": "log" });
        fs::write(folder.join("mcp-init.json"), settings.to_string()).unwrap();
        Self { folder, heard: None }
    }

    fn with(name: &str, script: Script) -> Self {
        let mut stage = Self::new(name);
        let listener = UnixListener::bind(stage.folder.join("run/control.sock")).unwrap();
        let (tell, heard) = channel();
        stage.heard = Some(heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, tell) = (stream.unwrap(), tell.clone());
                thread::spawn(move || {
                    let mut writer: UnixStream = stream.try_clone().unwrap();
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        let request: Value = serde_json::from_str(&line).unwrap();
                        let (answers, hang_up) = script(&request);
                        tell.send(request.clone()).unwrap();
                        // An answer to somebody else is passed over.
                        let mut text =
                            json!({ "id": 77, "error": "not yours", "exit": 1 }).to_string() + "\n";
                        for mut answer in answers {
                            answer["id"] = request["id"].clone();
                            text += &(answer.to_string() + "\n");
                        }
                        if writer.write_all(text.as_bytes()).is_err() || hang_up {
                            return;
                        }
                    }
                });
            }
        });
        stage
    }

    fn heard(&self) -> Value {
        self.heard.as_ref().unwrap().recv_timeout(std::time::Duration::from_secs(5)).unwrap()
    }

    /// Types a command line: the exit code, and what was printed or said.
    fn types(&self, line: &str) -> (u8, String) {
        let mut words = vec![OsString::from("-c"), self.folder.clone().into_os_string()];
        words.extend(line.split_whitespace().map(OsString::from));
        let mut out = Output::plain();
        match answer(&words, &mut out) {
            Ok(code) => (code, out.gathered().to_owned()),
            Err(failure) => (failure.code, format!("{}{failure}", out.gathered())),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn service(id: &str, status: &str, health: &str) -> Value {
    json!({ "service": {
        "id": "u", "serverId": id, "pid": (status == "running").then_some(1234), "startTime": null, "startTicks": null, "status": status,
        "restartCount": 1, "lastError": null, "memoryUsage": 1_048_576, "cpuUsage": 1.5, "configFilePath": null,
        "workingDirectory": "/", "processConfig": {}, "lastHealthCheck": null, "enabled": id != "off",
        "healthStatus": health, "createdAt": "t", "updatedAt": "t", "uptime": 5000,
        "endpoint": "http://127.0.0.1:3001/mcp"
    } })
}

fn supervisor() -> Value {
    json!({ "supervisor": {
        "pid": 1, "version": "0.1.0", "uptime": 65000, "scribePid": null, "degraded": null, "reaped": 4,
        "orphans": 2, "turns": 9, "droppedEvents": 0, "somethingNew": true
    } })
}

/// Three services: `pets` runs, `down` does not, `off` need not. Everything that is asked is done.
fn obliging(request: &Value) -> (Vec<Value>, bool) {
    let all = [
        service("down", "stopped", "none"),
        service("off", "stopped", "none"),
        service("pets", "running", "healthy"),
    ];
    let wanted: Vec<&str> =
        request["services"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let id_of = |report: &Value| report["service"]["serverId"].as_str().unwrap_or_default().to_owned();
    if wanted.iter().any(|name| !all.iter().any(|report| id_of(report) == *name)) {
        return (vec![json!({ "error": "no such service", "exit": 4 })], false);
    }
    let verb = request["verb"].as_str().unwrap();
    let mut answers = Vec::new();
    if verb == "status" {
        answers.push(supervisor());
        answers.extend(all.into_iter().filter(|one| wanted.is_empty() || wanted.contains(&&*id_of(one))));
    }
    answers.push(json!({ "done": if verb == "reload" { "1 added" } else { "" } }));
    (answers, verb == "shutdown")
}

#[test]
fn status_says_how_it_is_and_the_code_says_it_too() {
    let stage = Stage::with("status", obliging);
    let (code, text) = stage.types("status");
    assert_eq!(code, 0);
    assert!(
        text.contains(
            "pets     running  1234    5.0s         1  healthy  1.5%  1.0 MB  http://127.0.0.1:3001/mcp\n"
        ),
        "{text}"
    );
    assert_eq!(text.lines().count(), 4);
    assert_eq!(stage.types("status pets").0, 0);
    assert_eq!(stage.types("status down").0, 3);
    assert_eq!(stage.types("status down --json").0, 3);
    assert_eq!(stage.types("status down pets").0, 0);
    let unknown = (4, "cannot show \"pest\": no such service; the nearest name is \"pets\"".to_owned());
    assert_eq!(stage.types("status pest"), unknown);
    assert_eq!(stage.types("status --json pets pest"), unknown);
}

#[test]
fn json_is_passed_on_as_it_came() {
    let stage = Stage::with("json", obliging);
    let (code, text) = stage.types("status --json");
    assert_eq!(code, 0);
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["supervisor"], supervisor()["supervisor"]);
    assert_eq!(read["services"][2], service("pets", "running", "healthy")["service"]);
    assert_eq!(read["services"].as_array().unwrap().len(), 3);
}

#[test]
fn settled_waits_and_then_tells_how_to_connect() {
    let stage = Stage::with("settled", obliging);
    let (code, text) = stage.types("status --settled");
    assert_eq!(code, 0);
    assert_eq!(stage.heard()["verb"], "settled");
    assert_eq!(stage.heard()["verb"], "status");
    assert!(text.contains("supervises 3 services"), "{text}");
    assert!(text.contains("claude mcp add --transport http pets http://127.0.0.1:3001/mcp\n"), "{text}");
}

#[test]
fn orders_are_asked_once_and_shown_as_they_ended() {
    let stage = Stage::with("orders", obliging);
    assert_eq!(
        stage.types("restart pets"),
        (0, "pets: running, pid 1234, http://127.0.0.1:3001/mcp\n".to_owned())
    );
    let order = json!({ "id": 1, "verb": "restart", "services": ["pets"], "wait": true });
    assert_eq!(stage.heard(), order);
    assert_eq!(stage.heard()["verb"], "status");
    let (code, text) = stage.types("stop --all --no-wait --json");
    assert_eq!(
        (code, serde_json::from_str::<Value>(&text).unwrap()["services"][0]["status"].clone()),
        (0, "stopped".into())
    );
    assert_eq!(stage.heard(), json!({ "id": 1, "verb": "stop", "services": [], "wait": false }));
    assert_eq!(stage.types("start pest").0, 4);
    assert_eq!(stage.types("start"), (64, "cannot start nothing: name a service, or say --all".to_owned()));
    assert_eq!(stage.types("start pets --all").0, 64);
    assert_eq!(stage.types("start pets --timeout 5").0, 64);
    assert_eq!(stage.types("reload"), (0, "1 added\n".to_owned()));
}

#[test]
fn what_is_not_done_is_said() {
    let stage = Stage::with("undone", |request| match request["verb"].as_str() {
        Some("start") => (vec![json!({ "error": "cannot start down: exited with code 1" })], false),
        Some("reload") => (vec![json!({ "error": "a.json:1:2: b: c", "exit": 78 })], false),
        Some("stop") => (Vec::new(), false),
        _ => (vec![supervisor(), service("down", "backoff", "none"), json!({ "done": "" })], false),
    });
    let text = "down: backoff\ncannot start down: exited with code 1";
    assert_eq!(stage.types("start down"), (1, text.to_owned()));
    let refused = "cannot reload: the configuration has a problem; nothing has changed";
    assert_eq!(stage.types("reload"), (78, refused.to_owned()));
    let late = "cannot stop within 50ms: down is backoff";
    assert_eq!(stage.types("stop down --timeout 50ms"), (1, late.to_owned()));
}

#[test]
fn shutdown_ends_when_the_supervisor_has() {
    let stage = Stage::with("shutdown", obliging);
    assert_eq!(stage.types("shutdown"), (0, "the supervisor has ended\n".to_owned()));
    let stage = Stage::with("shutdown-silent", |_| (Vec::new(), true));
    assert_eq!(stage.types("shutdown").0, 0);
    let stage = Stage::with("shutdown-stuck", |_| (vec![json!({ "done": "" })], false));
    assert_eq!(stage.types("shutdown --timeout 50ms").0, 69);
}

#[test]
fn probes_are_answered_shortly() {
    let stage = Stage::with("health", obliging);
    assert_eq!(stage.types("health"), (1, "not ready: down is stopped\n".to_owned()));
    assert_eq!(stage.types("health pets"), (0, "ready: 1 service\n".to_owned()));
    assert_eq!(stage.types("health off").0, 1);
    assert_eq!(stage.types("health pest").0, 4);
    assert_eq!(stage.types("health --live"), (0, "live: pid 1, up 1m 5s\n".to_owned()));
    assert_eq!(stage.types("health --live --ready").0, 64);
    assert_eq!(stage.types("health a b").0, 64);
    let (code, text) = stage.types("health --json");
    assert_eq!((code, serde_json::from_str::<Value>(&text).unwrap()["ready"].clone()), (1, false.into()));
    let sick = Stage::with("sick", |_| {
        (vec![supervisor(), service("pets", "running", "unhealthy"), json!({ "done": "" })], false)
    });
    assert_eq!(sick.types("health"), (4, "not ready: pets is unhealthy\n".to_owned()));
    let silent = Stage::with("silent", |_| (Vec::new(), false));
    assert_eq!(silent.types("health --live --timeout 50ms").0, 4);
    assert_eq!(Stage::new("absent").types("health").0, 4);
}

#[test]
fn whoever_is_turned_away_is_told_so() {
    let stage = Stage::new("refused");
    let listener = UnixListener::bind(stage.folder.join("run/control.sock")).unwrap();
    let refusing = thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            stream.unwrap().write_all(b"{\"id\":0,\"error\":\"cannot serve you\",\"exit\":77}\n").unwrap();
        }
    });
    for verb in ["status", "status --json", "health --live"] {
        assert_eq!(stage.types(verb), (4, "cannot serve you".to_owned()), "{verb}");
    }
    refusing.join().unwrap();
}

#[test]
fn without_a_supervisor_it_is_said_how_to_start_one() {
    let stage = Stage::new("nobody");
    for verb in ["status", "start pets", "stop --all", "reload", "metrics", "shutdown"] {
        let (code, text) = stage.types(verb);
        assert_eq!(code, 69, "{verb}");
        assert!(text.ends_with("/run/control.sock: no such file; start it with \"mcp-init run\""), "{text}");
    }
    let garbage = Stage::with("garbage", |_| (vec![json!({ "service": "?" })], false));
    let (code, text) = garbage.types("status");
    assert_eq!(code, 69);
    assert!(text.starts_with("cannot understand the supervisor: "), "{text}");
}

#[test]
fn figures_are_printed_for_every_service() {
    let stage = Stage::with("metrics", obliging);
    let (code, text) = stage.types("metrics");
    assert_eq!(code, 0);
    for line in ["mcp_init_orphans_total 2", "mcp_init_service_memory_bytes{service=\"pets\"} 1048576"] {
        assert!(text.lines().any(|other| other == line), "{line}");
    }
    assert!(serde_json::from_str::<Value>(&stage.types("metrics --json").1).unwrap().is_array());
}

#[test]
fn logs_and_events_need_no_supervisor() {
    let stage = Stage::new("logs");
    fs::create_dir(stage.folder.join("log/pets")).unwrap();
    fs::write(stage.folder.join("log/pets/current"), "2026-01-01T00:00:00.000000Z one\ntwo\n").unwrap();
    assert_eq!(stage.types("logs pets"), (0, "2026-01-01T00:00:00.000000Z one\ntwo\n".to_owned()));
    assert_eq!(stage.types("logs pets -n1"), (0, "two\n".to_owned()));
    let (_, text) = stage.types("logs pets --json -n 2");
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first, json!({ "serverId": "pets", "time": "2026-01-01T00:00:00.000000Z", "text": "one" }));
    let near = "cannot read the output of \"pest\": no such service; the nearest name is \"pets\"";
    assert_eq!(stage.types("logs pest"), (4, near.to_owned()));
    assert_eq!(stage.types("logs ..").0, 4);
    assert_eq!(stage.types("logs pets -n x").0, 64);
    assert_eq!(stage.types("logs pets --since yesterday").0, 64);
    assert_eq!(stage.types("events"), (0, String::new()));
    let event =
        "{\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"process.started\",\"serverId\":\"pets\",\"pid\":3}\n";
    fs::write(stage.folder.join("state/events.jsonl"), event).unwrap();
    assert_eq!(stage.types("events"), (0, "2026-01-01T00:00:00Z  process.started  pets  pid=3\n".to_owned()));
    assert_eq!(stage.types("events --json"), (0, event.to_owned()));
}

#[test]
fn the_configuration_is_checked_whole_or_by_the_file() {
    let stage = Stage::new("check");
    fs::write(stage.folder.join("services.d/a.json"), "{\"command\": [\"true\"]}").unwrap();
    assert_eq!(stage.types("check"), (0, "ok: 1 service\n".to_owned()));
    assert_eq!(stage.types("check --json"), (0, "[]\n".to_owned()));
    assert_eq!(stage.types("plan").0, 0);
    fs::write(stage.folder.join("services.d/b.json"), "{\"comand\": [\"true\"]}").unwrap();
    assert_eq!(stage.types("plan").0, 78);
    let (code, text) = stage.types("check --json");
    assert_eq!(code, 78);
    assert!(serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().len() == 2);
    fs::write(stage.folder.join("mcp-init.json"), "{\"runtimeDri\": 1}").unwrap();
    let (code, text) = stage.types("status");
    assert_eq!(code, 78);
    assert!(text.contains("runtimeDir"), "{text}");
}

#[test]
fn every_verb_explains_itself() {
    let stage = Stage::new("help");
    for verb in super::verbs::shown().filter(|verb| verb.name != "help") {
        let (code, text) = stage.types(&format!("{} --help", verb.name));
        assert_eq!(code, 0);
        assert_eq!((code, text), stage.types(&format!("help {}", verb.name)), "{}", verb.name);
    }
    assert_eq!(stage.types("--version"), (0, "mcp-init 0.1.0\n".to_owned()));
    assert_eq!(stage.types("status --version").1, stage.types("version").1);
    assert!(stage.types("help --man").1.starts_with(".TH "));
    assert!(serde_json::from_str::<Value>(&stage.types("help --json").1).unwrap().is_array());
    assert_eq!(stage.types("help statsu").0, 64);
}
