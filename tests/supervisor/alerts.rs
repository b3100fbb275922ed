//! Alerts: what is told, what is only counted, across the supervisor's death too; and the commands that are run for
//! alerts and other events.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::proc;
use crate::support::supervisor::{Setup, Supervisor, lines_of};
use crate::support::{free_port, install_script, seconds};

/// The twenty kinds of fault: service, kind, level.
fn twenty() -> Vec<Value> {
    let kinds = ["memory", "cpu", "unhealthy", "restarted", "gave-up", "recovered", "update", "disk"];
    let levels = ["INFO", "WARNING", "ERROR", "CRITICAL"];
    (0..20)
        .map(|n| {
            let fault = json!({ "verb": "alert", "kind": kinds[n % 8], "level": levels[n / 5], "text": "x" });
            let whose = [json!("a"), json!("b"), Value::Null][n % 3].clone();
            crate::support::supervisor::merged(fault, &json!({ "service": whose }))
        })
        .collect()
}

/// Asks for many things, some at a time, and hears that each is done.
fn ask_all<'a>(supervisor: &Supervisor, orders: impl Iterator<Item = &'a Value>) {
    let stream = UnixStream::connect(supervisor.file("run/control.sock")).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    let orders: Vec<_> = orders.collect();
    for some in orders.chunks(50) {
        let mut text = String::new();
        for (id, order) in some.iter().enumerate() {
            let mut order = (*order).clone();
            order["id"] = json!(id);
            text += &format!("{order}\n");
        }
        (&stream).write_all(text.as_bytes()).unwrap();
        for _ in some {
            let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
            assert_eq!(answer["done"], "done", "{answer}");
        }
    }
}

/// What tells one alert from another.
fn same(alert: &Value) -> String {
    let service = alert.get("serverId").or_else(|| alert.get("service")).cloned().unwrap_or_default();
    format!("{service} {} {}", alert["kind"], alert["level"])
}

fn alerts(supervisor: &Supervisor) -> Vec<Value> {
    lines_of(&supervisor.file("state/alerts.jsonl"))
}

fn off() -> Value {
    json!({ "enabled": false })
}

#[test]
fn a_storm_of_ten_thousand_gives_each_of_twenty_once_though_the_supervisor_is_killed() {
    let mut supervisor = Setup::new().shell("a", "exit 0", &off()).shell("b", "exit 0", &off()).start();
    let twenty = twenty();
    for round in 0..4 {
        // Each round begins elsewhere, and the first does not have them all.
        let storm = twenty.iter().cycle().skip(round * 7).take(if round == 0 { 15 } else { 3_328 });
        ask_all(&supervisor, storm);
        if round < 3 {
            supervisor.signal(Signal::SIGKILL);
            supervisor.ended(seconds(5));
            supervisor.again();
        }
    }
    supervisor.wait_until("all are told", seconds(5), |it| alerts(it).len() >= 20);
    let counted = |it: &Supervisor| it.status()["supervisor"]["suppressedAlerts"].as_u64();
    assert_eq!(counted(&supervisor), Some(3_328), "of the last round, none is new");
    let mut told: Vec<_> = alerts(&supervisor).iter().map(same).collect();
    let mut wanted: Vec<_> = twenty.iter().map(same).collect();
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
    let is_alert = |event: &Value| event["event"].as_str().unwrap().starts_with("alert.");
    let events = |it: &Supervisor| it.events().into_iter().filter(is_alert).count();
    supervisor.wait_until("all are events", seconds(5), |it| events(it) >= 20);
    assert_eq!(events(&supervisor), 20);
}

#[test]
fn what_a_scribe_has_still_to_write_counts_as_told() {
    let mut supervisor = Setup::new().shell("a", "exit 0", &off()).start();
    let scribe = supervisor.scribe();
    proc::signal(scribe, Signal::SIGSTOP);
    let twenty = twenty();
    let of_a: Vec<&Value> = twenty.iter().filter(|fault| fault["service"] != "b").collect();
    ask_all(&supervisor, of_a.iter().copied());
    supervisor.signal(Signal::SIGKILL);
    // The kernel lets it go on when its parent dies: it is stopped again at once, and written is what it got to.
    let again = move |signal| {
        // It may have ended by now.
        let _sent = nix::sys::signal::kill(nix::unistd::Pid::from_raw(scribe), signal);
    };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(100) {
        again(Signal::SIGSTOP);
    }
    supervisor.ended(seconds(5));
    // It goes on while the next supervisor begins.
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        again(Signal::SIGCONT);
    });
    supervisor.again();
    later.join().unwrap();
    ask_all(&supervisor, of_a.iter().copied());
    ask_all(&supervisor, std::iter::once(&json!({ "verb": "settled" })));
    assert_eq!(alerts(&supervisor).len(), of_a.len());
}

#[test]
fn the_same_is_told_again_after_its_time_with_a_count_that_outlives_the_supervisor() {
    let keys = json!({ "enabled": false, "alerts": { "repeatAfter": "4s" } });
    let mut supervisor = Setup::new().shell("a", "exit 0", &keys).start();
    let one = json!({ "verb": "alert", "kind": "update", "level": "ERROR", "text": "no", "service": "a" });
    let begun = Instant::now();
    ask_all(&supervisor, std::iter::repeat_n(&one, 100));
    let record = supervisor.file("state/alerts.json");
    supervisor.wait_until("the count is written", seconds(3), |_| {
        fs::read_to_string(&record).is_ok_and(|text| text.contains("\"suppressed\":99"))
    });
    supervisor.signal(Signal::SIGKILL);
    supervisor.ended(seconds(5));
    supervisor.again();
    ask_all(&supervisor, std::iter::once(&one));
    // Unless it took so long until then that this was the one that is told again.
    let suppressed = if begun.elapsed() < seconds(4) { 100 } else { 99 };
    supervisor.wait_until("it is told again", seconds(8), |it| {
        ask_all(it, std::iter::once(&one));
        alerts(it).len() == 2
    });
    assert!(begun.elapsed() >= seconds(4), "{:?}", begun.elapsed());
    let again = alerts(&supervisor).remove(1);
    assert!(again["suppressed"].as_u64() >= Some(suppressed), "{again}");
    let line = supervisor.ok(&["alerts", "-n", "1"]);
    assert!(line.contains("  ERROR     a  update: no (and "), "{line}");
    assert_eq!(supervisor.ok(&["alerts", "--json"]).lines().count(), 2);
}

#[test]
fn a_life_in_trouble_is_told_with_its_end() {
    let check = json!({ "type": "exec", "command": ["test", "-e", "well"],
        "interval": "50ms", "timeout": "2s", "retries": 2 });
    let keys = json!({ "healthCheck": check, "stop": { "timeout": "200ms" },
        "restartPolicy": { "retryDelay": "10ms", "maxRetryDelay": "10ms" }, "recovery": { "maxAttempts": 1000 } });
    let mut supervisor = Setup::new()
        .shell("a", "exec sleep 1000", &keys)
        .shell("b", "exit 3", &json!({ "restartPolicy": { "maxRetries": 2, "retryDelay": "10ms" } }))
        .shell("c", "exit 4", &json!({ "restart": "never" }))
        .start();
    supervisor.wait_until("it is told", seconds(10), |it| {
        alerts(it).iter().filter(|alert| alert["serverId"] == "a").count() >= 1
    });
    fs::write(supervisor.file("services.d/well"), "").unwrap();
    supervisor.wait_until("its end is told", seconds(10), |it| {
        alerts(it).iter().any(|alert| alert["serverId"] == "a" && alert["kind"] == "recovered")
    });
    supervisor.wait_for("b", "error", seconds(5));
    supervisor.wait_until("all are told", seconds(5), |it| alerts(it).len() >= 6);
    let of = |id: &str| -> Vec<String> {
        let all = alerts(&supervisor).into_iter().filter(|alert| alert["serverId"] == id);
        all.map(|alert| format!("{} {}", alert["level"].as_str().unwrap(), alert["kind"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(of("a"), ["ERROR unhealthy", "WARNING restarted", "INFO recovered"]);
    assert_eq!(of("b"), ["WARNING restarted", "CRITICAL gave-up"]);
    assert_eq!(of("c"), ["ERROR gave-up"]);
    let text = supervisor.ok(&["alerts"]);
    assert!(text.contains("gave-up: exited with code 3: given up; manual intervention needed"), "{text}");
}

#[test]
fn commands_are_run_for_what_they_want_to_know_with_the_facts() {
    let setup = Setup::new();
    let said = setup.path().join("said");
    let script = format!(
        "read -r line; printf '%s|%s|%s|%s\\n' \"$MCP_EVENT\" \"$MCP_EVENT_SERVER_ID\" \"$MCP_EVENT_CODE\" \"$line\" >>{}",
        said.display()
    );
    let hook = |events: &[&str]| json!({ "command": ["/bin/sh", "-c", script], "events": events, "services": ["a"] });
    let grave = json!({ "command": ["/bin/sh", "-c", format!("echo \"$MCP_EVENT_LEVEL $MCP_EVENT_TEXT\" >>{}.alerts", said.display())], "level": "ERROR" });
    let never = json!({ "restart": "never" });
    let mut supervisor = setup
        .setting("eventCommands", json!([hook(&["process.stopped"])]))
        .setting("alertCommands", json!([grave]))
        .shell("a", "exit 3", &never)
        .shell("b", "exit 4", &never)
        .start();
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let alerts = said.with_extension("alerts");
    supervisor.wait_until("they were run", seconds(5), |_| {
        !read(&said).is_empty() && read(&alerts).lines().count() == 2
    });
    let text = read(&said);
    let (head, json) = text.split_at(text.find('{').unwrap());
    assert_eq!(head, "process.stopped|a|3|");
    let facts: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&facts["event"], &facts["code"]), (&json!("process.stopped"), &json!(3)));
    let text = read(&alerts);
    assert!(
        text.contains("ERROR exited with code 4: not started again, as its restart policy says"),
        "{text}"
    );
    supervisor.ok(&["shutdown"]);
}

#[test]
fn commands_that_hang_are_ended_and_those_that_fall_behind_are_counted() {
    let mark = format!("20{}", free_port());
    let hook = json!({ "command": ["/bin/sh", "-c", format!("sleep {mark} & exec sleep {mark}")],
        "events": ["alert.*"], "timeout": "1500ms" });
    let mut supervisor = Setup::new()
        .setting("eventCommands", json!([hook]))
        .shell(
            "a",
            "exit 0",
            &json!({
            "enabled": false, "alerts": { "repeatAfter": 0 } }),
        )
        .start();
    let one = json!({ "verb": "alert", "kind": "update", "level": "INFO", "text": "x", "service": "a" });
    let begun = Instant::now();
    ask_all(&supervisor, std::iter::repeat_n(&one, 1_000));
    supervisor.wait_until("four run", seconds(5), |_| proc::marked(&mark).len() >= 4);
    // Each of a thousand would have had its time.
    assert!(begun.elapsed() < seconds(60), "PID 1 waits: {:?}", begun.elapsed());
    // Four run, and each is two. Where this took long, others come while those before them are being ended.
    let first = proc::marked(&mark);
    assert!(first.len() <= 8 || begun.elapsed() > seconds(1), "{}", first.len());
    let dropped = |it: &Supervisor| it.status()["supervisor"]["droppedCommands"].as_u64().unwrap();
    let rounds = u64::try_from(begun.elapsed().as_millis() / 1500).unwrap();
    assert!(
        (740_u64.saturating_sub(4 * rounds)..=744).contains(&dropped(&supervisor)),
        "{}",
        dropped(&supervisor)
    );
    supervisor.wait_until("the first are ended", seconds(8), |_| {
        proc::marked(&mark).iter().all(|now| first.iter().all(|then| then.pid != now.pid))
    });
    supervisor.ok(&["shutdown"]);
    supervisor.ended(Duration::from_secs(5));
    assert!(crate::support::poll(seconds(30), || proc::marked(&mark).is_empty().then_some(())).is_some());
}

#[test]
fn only_who_may_administer_raises_alerts_and_garbage_is_refused() {
    let supervisor = Setup::new().shell("a", "exit 0", &off()).start();
    let stream = UnixStream::connect(supervisor.file("run/control.sock")).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    for (order, exit) in [
        (json!({ "verb": "alert", "kind": "update", "level": "INFO", "text": "x", "service": "b" }), 4),
        (json!({ "verb": "alert", "kind": "weather", "level": "INFO", "text": "x" }), 64),
        (json!({ "verb": "alert", "kind": "update", "level": "info", "text": "x" }), 64),
        (json!({ "verb": "alert", "kind": "update", "level": "INFO" }), 64),
    ] {
        let mut order = order;
        order["id"] = json!(1);
        (&stream).write_all(format!("{order}\n").as_bytes()).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["exit"], exit, "{order}: {answer}");
    }
    assert_eq!(supervisor.ok(&["alerts"]), "");
}

/// An example of `etc/alerts` with a stand-in for the program it runs; what that was given.
fn example(name: &str, program: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/alerts").join(name);
    let example: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let setup = Setup::new();
    let bin = setup.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let given = setup.path().join("given");
    let script = format!("#!/bin/sh\n{{ echo \"$@\"; cat; }} >{0}.part\nmv {0}.part {0}\n", given.display());
    install_script(&script, &bin.join(program));
    let mut supervisor = setup
        .setting("alertCommands", example["alertCommands"].clone())
        .variable("PATH", &format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
        .shell("pets", "exit 3", &json!({ "restart": "never" }))
        .start();
    supervisor.wait_until("it is told", seconds(5), |_| given.exists());
    fs::read_to_string(&given).unwrap()
}

#[test]
fn the_examples_give_their_programs_what_these_want() {
    let words = "exited with code 3: not started again, as its restart policy says";
    let desktop = example("desktop.json", "notify-send");
    assert!(desktop.starts_with(&format!("--app-name=mcp-init ERROR: pets {words}\n")), "{desktop}");
    let mail = example("mail.json", "sendmail");
    let head = format!("-t\nTo: root\nSubject: [mcp-init] ERROR pets: alert.gave-up\n\n{words}\n\n");
    let body = mail.strip_prefix(&head).unwrap_or_else(|| panic!("{mail}"));
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["serverId"], "pets");
    let post = example("webhook.json", "curl");
    let (arguments, body) = post.split_once('\n').unwrap();
    assert!(arguments.ends_with("--data-binary @- https://hooks.example.com/alerts"), "{arguments}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["text"], words);
}
