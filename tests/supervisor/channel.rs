//! What a service says on its channel is believed: ready, broken, healthy, ill, and its figures. A shell
//! script speaks it here; `node.rs` does the same with Node's own words.

use serde_json::json;

use crate::support::seconds;
use crate::support::supervisor::Setup;

/// Words for a script: `say TYPE REST-OF-OBJECT`, and `hear` for one line.
const WORDS: &str = r#"
say() { printf '{"type":"%s","serverId":"a"%s}\n' "$1" "$2" >&"$MCP_INIT_CHANNEL_FD"; }
hear() { read -r line <&"$MCP_INIT_CHANNEL_FD"; }
"#;

fn script(rest: &str) -> String {
    format!("{WORDS}{rest}")
}

#[test]
fn ready_is_when_it_says_so() {
    let keys = json!({ "readiness": "channel" });
    let text = script(
        "while [ ! -e go ]; do sleep 0.01; done; say server-started ',\"port\":4321,\"transport\":\"streamable\"'; exec sleep 1000",
    );
    let mut supervisor = Setup::new().shell("a", &text, &keys).start();
    supervisor.wait_until("it has a process", seconds(5), |it| it.pid_of("a").is_some());
    assert_eq!(supervisor.service("a")["status"], "starting");
    let mut waiting = supervisor.command(&["start", "a"]).spawn().unwrap();
    assert!(waiting.try_wait().unwrap().is_none(), "start returned before it was ready");
    std::fs::write(supervisor.file("services.d/go"), "").unwrap();
    supervisor.wait_for("a", "running", seconds(5));
    supervisor.wait_until("start returns", seconds(5), |_| {
        waiting.try_wait().unwrap().is_some_and(|end| end.success())
    });
}

#[test]
fn one_that_is_never_ready_has_failed() {
    let keys = json!({ "readiness": "channel", "processTimeout": 300, "restartPolicy": { "maxRetries": 1, "retryDelay": "10ms" } });
    let mut supervisor = Setup::new().shell("a", "exec sleep 1000", &keys).start();
    let service = supervisor.wait_for("a", "error", seconds(10));
    assert_eq!(service["lastEnd"]["reason"], "not-ready", "{service}");
    assert_eq!(service["restartCount"], 1, "{service}");
    assert!(service["lastError"].as_str().unwrap().contains("ready"), "{service}");
    assert_eq!(supervisor.cli(&["start", "a"]).status.code().map(|code| code != 0), Some(true));
}

#[test]
fn the_reason_it_gives_for_not_starting_is_its_last_error() {
    let keys = json!({ "readiness": "channel", "restartPolicy": { "maxRetries": 0 } });
    let text = script("say server-error ',\"error\":\"the port is taken\"'; exit 1");
    let mut supervisor = Setup::new().shell("a", &text, &keys).start();
    let service = supervisor.wait_for("a", "error", seconds(5));
    assert!(service["lastError"].as_str().unwrap().contains("the port is taken"), "{service}");
    let output = supervisor.cli(&["start", "a"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the port is taken"), "{said}");
}

#[test]
fn its_figures_are_shown() {
    let keys = json!({ "channel": true, "healthCheck": { "type": "channel", "interval": "100ms", "timeout": "2s" } });
    let text = script(
        r#"while hear; do case $line in
            *health-check*) say health-check-response ',"healthy":true,"timestamp":1' ;;
            *collect-metrics*) say process-metrics ',"metrics":{"memoryUsage":4096,"cpuUsage":1.5,"uptime":9,"requestCount":7,"errorCount":2,"averageResponseTime":3.5}' ;;
        esac; done"#,
    );
    let mut supervisor = Setup::new().shell("a", &text, &keys).start();
    supervisor.wait_until("its figures are there", seconds(5), |it| it.service("a")["requestCount"] == 7);
    let service = supervisor.service("a");
    assert_eq!(service["healthStatus"], "healthy", "{service}");
    assert!(service["lastHealthCheck"].is_string(), "{service}");
    assert_eq!(
        (service["memoryUsage"].as_u64(), service["cpuUsage"].as_f64()),
        (Some(4096), Some(1.5)),
        "{service}"
    );
    assert_eq!(
        (service["errorCount"].as_u64(), service["averageResponseTime"].as_f64()),
        (Some(2), Some(3.5)),
        "{service}"
    );
    supervisor.ok(&["health", "a"]);
}

#[test]
fn one_that_says_it_is_ill_is_restarted_after_its_retries() {
    let keys = json!({
        "channel": true,
        "healthCheck": { "type": "channel", "interval": "50ms", "timeout": "2s", "retries": 3 },
        "restartPolicy": { "maxRetries": 100, "retryDelay": "10ms" },
    });
    let text = script(
        "while hear; do say health-check-response ',\"healthy\":false,\"timestamp\":1,\"reason\":\"no database\"'; done",
    );
    let mut supervisor = Setup::new().shell("a", &text, &keys).start();
    supervisor.wait_until("it was restarted", seconds(10), |it| {
        it.service("a")["restartCount"].as_u64() >= Some(1)
    });
    let service = supervisor.service("a");
    assert_eq!(service["lastEnd"]["reason"], "unhealthy", "{service}");
    let checks = supervisor.file("state/services/a/health.jsonl");
    supervisor.wait_until("its checks are recorded", seconds(5), |_| {
        std::fs::read_to_string(&checks).is_ok_and(|text| text.matches("no database").count() >= 3)
    });
}

#[test]
fn one_that_does_not_answer_is_restarted_even_when_frozen() {
    let keys = json!({
        "channel": true,
        "healthCheck": { "type": "channel", "interval": "50ms", "timeout": "200ms", "retries": 2 },
        "restartPolicy": { "maxRetries": 100, "retryDelay": "10ms" }, "stop": { "timeout": "500ms" },
    });
    let text = script(
        "hear; say health-check-response ',\"healthy\":true,\"timestamp\":1'; kill -STOP $$; sleep 1000",
    );
    let mut supervisor = Setup::new().shell("a", &text, &keys).start();
    supervisor.wait_until("it was restarted", seconds(10), |it| {
        it.service("a")["restartCount"].as_u64() >= Some(1)
    });
    assert_eq!(supervisor.service("a")["lastEnd"]["reason"], "unhealthy");
}

#[test]
fn the_end_of_the_channel_is_not_the_end_of_the_service() {
    let text = "eval \"exec $MCP_INIT_CHANNEL_FD>&-\"; touch closed; exec sleep 1000";
    let mut supervisor = Setup::new().shell("a", text, &json!({ "channel": true })).start();
    let closed = supervisor.file("services.d/closed");
    supervisor.wait_until("it has closed its channel", seconds(5), |_| closed.exists());
    let pid = supervisor.pid_of("a").unwrap();
    supervisor.ok(&["status", "a"]);
    assert_eq!(supervisor.pid_of("a"), Some(pid));
    assert_eq!(supervisor.service("a")["restartCount"], 0);
}
