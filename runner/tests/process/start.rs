//! Starts that come to nothing: one line, the right exit code, and the supervisor is told.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::channel::Supervisor;
use crate::support::{Runner, pets, pets_flag, program};

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mcp-runner-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A file in it.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Runs it to its end with a channel: exit code, what stderr said, what the supervisor heard.
fn failed(command: &mut Command) -> (Option<i32>, String, Value) {
    let (runner, mut supervisor) = Supervisor::start("MCP_INIT_CHANNEL_FD", command);
    let told = supervisor.hear();
    let (status, lines) = runner.end();
    assert_eq!(lines.len(), 1, "one line: {lines:?}");
    (status.code(), lines[0].clone(), told)
}

/// That it fails so, and says `reason` on both ways.
fn assert_fails(command: &mut Command, code: i32, reason: &str) {
    let (status, line, told) = failed(command);
    assert_eq!(status, Some(code), "{line}");
    assert!(line.starts_with("mcp-runner: cannot ") && line.contains(reason), "{line}");
    let told_reason = line.strip_prefix("mcp-runner: ").unwrap();
    assert_eq!((&told["type"], &told["error"]), (&json!("server-error"), &json!(told_reason)));
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let reason = format!("listen on 127.0.0.1:{port}: Address already in use");
    assert_fails(program().arg(pets_flag()).arg(format!("--port={port}")), 1, &reason);
}

#[test]
fn a_document_that_is_none() {
    let folder = Folder::new("documents");
    let bad = folder.file("bad.json", "{\n  \"openapi\": \"3.1.0\",\n  oops\n}");
    assert_fails(program().args(["--openapi-data", &bad]), 1, "line 3, column 3");
    let old = folder.file("old.json", "{\"swagger\": \"1.2\"}");
    assert_fails(program().args(["--openapi-data", &old]), 1, "swagger 1.2");
    assert_fails(program().args(["--openapi-data", "/nowhere/at/all.json"]), 1, "No such file");
}

#[test]
fn a_transport_it_lacks() {
    assert_fails(program().args([&pets_flag(), "--transport=telepathy"]), 1, "unsupported transport");
}

#[test]
fn slips_of_the_pen() {
    assert_fails(program().arg("--openapi-dta=x"), 2, "did you mean --openapi-data");
    assert_fails(program().args([&pets_flag(), "--host=0.0.0.0"]), 2, "say who may connect");
    let folder = Folder::new("slips");
    let config = json!({"serverId": "pets", "mcpConfig": {"openApiDta": pets()}}).to_string();
    let config = folder.file("config.json", &config);
    assert_fails(
        program().args(["--config-file", &config]),
        2,
        "mcpConfig.openApiDta is no key, did you mean openApiData",
    );
    let torn = folder.file("torn.json", "{\"serverId\": ");
    assert_fails(program().args(["--config-file", &torn]), 2, "line 1 column 13");
}

#[test]
fn a_config_file_is_enough_and_its_paths_start_beside_it() {
    let folder = Folder::new("config");
    folder.file("pets.json", &pets().to_string());
    let config = json!({"serverId": "pets", "serverName": "Pets", "mcpConfig": {
        "transport": "streamable", "port": 0, "endpoint": "/x", "openApiData": "pets.json", "baseUrl": "mock",
        "authConfig": {"type": "bearer", "token": "t"}, "customHeaders": {"X-Team": "tools"},
    }});
    let config = folder.file("config.json", &config.to_string());
    let runner = Runner::spawn(program().args(["--config-file", &config, "--endpoint", "/y"]));
    let client = runner.client();
    assert_eq!(client.path, "/y");
    let result = client.legacy("tools/call", &json!({"name": "listPets"})).result();
    assert_eq!(result["isError"], false);
}

#[test]
fn help_and_version_are_for_stdout() {
    for (flag, words) in
        [("--help", "exit status: 0"), ("--version", concat!("mcp-runner ", env!("CARGO_PKG_VERSION")))]
    {
        let output = program().arg(flag).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
        assert!(String::from_utf8(output.stdout).unwrap().contains(words));
    }
}
