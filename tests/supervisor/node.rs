//! A Node script that knows nothing but `process.send` and `process.on('message')` is supervised, checked and
//! measured as it is; so is one in the place of the runner.

use serde_json::json;

use crate::support::supervisor::Setup;
use crate::support::{install_script, seconds, skip, which};

const SCRIPT: &str = r"#!/usr/bin/env node
const config = process.argv.indexOf('--config-file');
const given = config > 0 ? JSON.parse(require('fs').readFileSync(process.argv[config + 1])) : {};
const serverId = given.serverId || 'script';
const port = given.mcpConfig ? given.mcpConfig.port : 4321;
let asked = 0;
process.on('message', (message) => {
  if (message.type === 'health-check') {
    process.send({ type: 'health-check-response', serverId, healthy: true, timestamp: Date.now() });
  } else if (message.type === 'collect-metrics') {
    asked += 1;
    const metrics = { memoryUsage: process.memoryUsage().rss, cpuUsage: 0.5, uptime: process.uptime() * 1000,
      requestCount: asked, errorCount: 0, averageResponseTime: 1.25 };
    process.send({ type: 'process-metrics', serverId, metrics });
  }
});
process.on('SIGTERM', () => process.exit(0));
process.send({ type: 'server-started', serverId, port, transport: 'streamable' });
";

/// Checked often, and only ready when it says so.
fn keys() -> serde_json::Value {
    json!({ "channel": true, "readiness": "channel", "healthCheck": { "interval": "100ms", "timeout": "5s" } })
}

fn setup() -> Option<Setup> {
    if which("node").is_none() {
        skip("no node");
        return None;
    }
    let setup = Setup::new();
    let program = setup.path().join("server.js");
    install_script(SCRIPT, &program);
    Some(setup)
}

#[test]
fn a_node_script_is_supervised_checked_and_measured_unchanged() {
    let Some(setup) = setup() else { return };
    let config = crate::support::supervisor::merged(json!({ "command": ["node", "../server.js"] }), &keys());
    let mut supervisor = setup.service("script", &config).start();
    supervisor.wait_for("script", "running", seconds(20));
    supervisor.wait_until("it was measured twice", seconds(20), |it| {
        it.service("script")["requestCount"].as_u64() >= Some(2)
    });
    let service = supervisor.service("script");
    assert_eq!(service["healthStatus"], "healthy", "{service}");
    assert!(service["memoryUsage"].as_u64() > Some(1 << 20), "{service}");
    assert_eq!(service["averageResponseTime"], 1.25, "{service}");
    assert_eq!(
        (service["restartCount"].as_u64(), service["ignoredMessages"].as_u64()),
        (Some(0), Some(0)),
        "{service}"
    );
    supervisor.ok(&["stop", "script"]);
    assert_eq!(supervisor.service("script")["lastEnd"]["code"], 0);
}

#[test]
fn a_node_runner_takes_the_place_of_the_runner() {
    let Some(setup) = setup() else { return };
    let program = setup.path().join("server.js");
    let rest = json!({ "healthCheck": { "type": "channel", "interval": "100ms", "timeout": "5s" } });
    let mut supervisor = setup.setting("runner", json!(program)).server("pets", 4321, &rest).start();
    supervisor.wait_for("pets", "running", seconds(20));
    supervisor.wait_until("it is healthy", seconds(10), |it| it.service("pets")["healthStatus"] == "healthy");
    assert_eq!(supervisor.service("pets")["endpoint"], "http://127.0.0.1:4321/mcp");
    supervisor.wait_until("its start is told once", seconds(5), |it| {
        it.events_of("pets", "server.process.started").len() == 1
    });
}
