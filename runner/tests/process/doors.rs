//! Unix sockets, tokens, TLS, pages of other origins, and what a monitor reads.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Client, Runner, pets_flag, program, until};

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    /// Makes it.
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mcp-runner-doors-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in it.
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What a Unix socket answers to a request.
fn over(path: &str, request: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn a_unix_socket_is_a_door_too() {
    let folder = Folder::new("unix");
    let path = folder.path("pets.sock");
    let runner = Runner::spawn(program().args([&pets_flag(), "--socket", &path]));
    let line = runner.line();
    assert!(line.ends_with(&format!("serving 3 tools at http://unix:{path}:/mcp")), "{line}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).to_string();
    let head = "POST /mcp HTTP/1.1\r\nhost: anything\r\nconnection: close\r\ncontent-type: application/json\r\n\
        accept: application/json, text/event-stream\r\n";
    let reply = over(&path, &format!("{head}content-length: {}\r\n\r\n{list}", list.len()));
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("listPets"), "{reply}");
    assert!(over(&path, "GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n").contains(r#"{"status":"ok"}"#));
    // Nobody can take it over while it is in use; the next life can.
    let second = Runner::spawn(program().args([&pets_flag(), "--socket", &path]));
    assert!(second.line().contains(&format!("cannot listen on {path}: address in use")));
    runner.signal(Signal::SIGKILL);
    runner.end();
    let third = Runner::spawn(program().args([&pets_flag(), "--socket", &path]));
    assert!(third.line().contains("serving 3 tools"));
    third.signal(Signal::SIGTERM);
    assert_eq!(third.end().0.code(), Some(0));
    assert!(!fs::exists(&path).unwrap());
}

#[test]
fn a_token_guards_all_but_the_health_page() {
    let clients = r#"--clients={"token": "${MCP_TEST_TOKEN}", "origins": ["https://app.example"]}"#;
    let mut command = program();
    command.args([&pets_flag(), clients, "--host=0.0.0.0"]).env("MCP_TEST_TOKEN", "0123456789abcdef");
    let runner = Runner::spawn(&mut command);
    let all = runner.client();
    let client = Client { address: format!("127.0.0.1:{}", all.port()), path: all.path };
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    assert_eq!(client.post(&[], &list).reply().status, 401);
    assert_eq!(client.post(&[("authorization", "Bearer 0123456789abcdeX")], &list).reply().status, 401);
    let shown = ("authorization", "Bearer 0123456789abcdef");
    assert_eq!(client.post(&[shown, ("host", "pets.internal")], &list).reply().status, 200);
    assert_eq!(client.post(&[shown, ("origin", "https://evil.example")], &list).reply().status, 403);
    assert_eq!(client.post(&[shown, ("origin", "https://app.example")], &list).reply().status, 200);
    assert_eq!(client.send("OPTIONS", "/mcp", &[("origin", "https://app.example")], "").reply().status, 204);
    assert_eq!(client.send("GET", "/metrics", &[], "").reply().status, 401);
    assert_eq!(client.send("GET", "/healthz", &[("host", "x")], "").reply().status, 200);
    let page = client.send("GET", "/metrics", &[shown], "").reply();
    let text = page.body.as_str().unwrap();
    assert!(text.contains("\nmcp_http_refusals_total 4\n") && text.ends_with("# EOF\n"), "{text}");
}

/// Runs openssl, which every system that tests this has.
fn openssl(folder: &Folder, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&folder.0).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and what it vouches for: `server` (localhost) and `client`.
fn certificates(folder: &Folder) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority"));
    for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
        let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
        openssl(folder, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        fs::write(folder.0.join("extensions"), format!("{names}\nextendedKeyUsage={usage}\n")).unwrap();
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile extensions"
            ),
        );
    }
}

/// One runner calls the health page of another, over TLS: which result it is told.
fn called(folder: &Folder, port: u16, upstream: &str) -> String {
    let document = json!({"openapi": "3.1.0", "paths": {"/healthz": {"get": {"operationId": "health"}}}});
    let runner = Runner::spawn(
        program()
            .arg(format!("--openapi-data={document}"))
            .arg(format!("--base-url=https://localhost:{port}"))
            .arg(format!("--upstream={upstream}"))
            .current_dir(&folder.0),
    );
    runner.client().legacy("tools/call", &json!({"name": "health"})).result().to_string()
}

#[test]
fn tls_both_ways_and_both_sides_prove_who_they_are() {
    let folder = Folder::new("tls");
    certificates(&folder);
    let tls = json!({"certificate": "server.pem", "key": "server.key", "ca": "ca.pem"});
    let clients = json!({"tls": tls}).to_string();
    let runner =
        Runner::spawn(program().args([&pets_flag(), &format!("--clients={clients}")]).current_dir(&folder.0));
    let line = runner.line();
    let port = line.split("https://127.0.0.1:").nth(1).unwrap_or_else(|| panic!("{line}"));
    let port: u16 = port.split('/').next().unwrap().parse().unwrap();
    let known = json!({"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}).to_string();
    assert!(called(&folder, port, &known).contains(r#"\"status\":\"ok\""#));
    // Without a certificate, and without the authority.
    let nobody = called(&folder, port, &json!({"ca": "ca.pem", "retries": 0}).to_string());
    assert!(nobody.contains("\"isError\":true") && nobody.to_lowercase().contains("certificate"), "{nobody}");
    let stranger = called(&folder, port, &json!({"retries": 0}).to_string());
    assert!(
        stranger.contains("\"isError\":true") && stranger.to_lowercase().contains("certificate"),
        "{stranger}"
    );
    // A document behind the same walls is read in the same way.
    let document = |upstream: &Value| {
        Runner::spawn(
            program()
                .arg(format!("--openapi-data=https://localhost:{port}/healthz"))
                .arg(format!("--upstream={upstream}"))
                .current_dir(&folder.0),
        )
        .line()
    };
    let known = json!({"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"});
    assert!(document(&known).contains("not OpenAPI 3 and not Swagger 2.0"));
    assert!(document(&json!({})).to_lowercase().contains("certificate"));
    // A file that is not there is said at once.
    let bad = json!({"ca": "no.pem"}).to_string();
    let failing =
        Runner::spawn(program().args([&pets_flag(), &format!("--upstream={bad}")]).current_dir(&folder.0));
    assert!(failing.line().contains("cannot use no.pem for TLS"));
    assert_eq!(failing.end().0.code(), Some(1));
}

#[test]
fn sessions_are_kept_where_they_are_wanted() {
    let (_runner, client) = Runner::serve(&["--clients={\"sessions\": true}"]);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let reply = client.post(&[], &message).text();
    let id = reply
        .to_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: ").map(str::to_owned));
    let id = id.unwrap_or_else(|| panic!("{reply}"));
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    assert_eq!(client.post(&[], &list).reply().status, 400);
    assert_eq!(client.post(&[("mcp-session-id", "no-such")], &list).reply().status, 404);
    assert!(client.post(&[("mcp-session-id", &id)], &list).text().contains("listPets"));
    assert_eq!(client.send("DELETE", "/mcp", &[("mcp-session-id", &id)], "").reply().status, 202);
    until(|| client.post(&[("mcp-session-id", &id)], &list).reply().status == 404);
    // The new era has none, wherever it is spoken.
    assert_eq!(client.modern("tools/list", &json!({})).result()["resultType"], "complete");
}
