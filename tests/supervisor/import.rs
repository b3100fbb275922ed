//! What a client's own file says of its servers becomes services, all of them or none.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::seconds;
use crate::support::supervisor::Setup;

#[test]
fn the_servers_of_a_client_become_services() {
    let mut supervisor = Setup::new().shell("one", "exec sleep 1000", &json!({})).start();
    supervisor.wait_for("one", "running", seconds(5));
    let file = supervisor.file("client.json");
    let typed = |servers: Value| {
        fs::write(&file, json!({ "mcpServers": servers }).to_string()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        supervisor.cli(&["import", file.to_str().unwrap()])
    };
    // One of them is no good: none is written.
    let output = typed(json!({
        "good": { "command": "x", "disabled": true }, "bad": { "command": "x", "env": { "": "1" } }
    }));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("bad would have a problem; nothing has changed"), "{said}");
    assert!(!supervisor.path().join("services.d/good.json").exists());

    let output = typed(json!({
        "git hub": { "command": "npx", "args": ["-y", "x"], "env": { "A": "1" }, "disabled": true },
        "docs": { "url": "https://docs.example/mcp" },
    }));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("docs is passed over: it runs elsewhere, at https://docs.example/mcp"), "{said}");
    let place = supervisor.path().join("services.d/git-hub.json");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600, "a secret stays one");
    let service: Value = serde_json::from_str(&fs::read_to_string(&place).unwrap()).unwrap();
    assert_eq!(service["mcpConfig"]["command"], json!(["npx", "-y", "x"]));
    assert_eq!(supervisor.service("git-hub")["status"], "stopped");

    let output = typed(json!({ "docs": { "url": "https://docs.example/mcp" } }));
    assert_eq!(output.status.code(), Some(1));
}
