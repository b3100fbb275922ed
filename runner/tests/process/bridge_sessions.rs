//! Sessions with a bridged server: notifications for those who have one, and a process for each where asked.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::bridge::{bridge, lives, text};
use crate::support::{Client, Pending, Reply, until};

/// A session.
struct Session<'a> {
    /// Where.
    client: &'a Client,
    /// Its id.
    id: String,
}

/// The reply to an `initialize`.
fn initialize(client: &Client, name: &str) -> Reply {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}, "clientInfo": {"name": name, "version": "1"}});
    client.legacy("initialize", &params).reply()
}

impl<'a> Session<'a> {
    /// Begins.
    fn new(client: &'a Client, name: &str) -> Self {
        let id = initialize(client, name).header("mcp-session-id").expect("a session").to_owned();
        let session = Self { client, id };
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.post(&initialized).reply().status, 202);
        session
    }

    /// Posts a message.
    fn post(&self, message: &Value) -> Pending {
        self.client.post(&[("mcp-session-id", &self.id), ("mcp-protocol-version", "2025-11-25")], message)
    }

    /// Asks.
    fn ask(&self, method: &str, params: &Value) -> Pending {
        self.post(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))
    }

    /// The text of what a tool gives.
    fn call(&self, tool: &str) -> String {
        text(&self.ask("tools/call", &json!({"name": tool})).reply().messages().pop().unwrap()["result"])
    }

    /// Does something to the session itself.
    fn send(&self, method: &str) -> Pending {
        let headers = [("mcp-session-id", &*self.id), ("accept", "text/event-stream")];
        self.client.send(method, &self.client.path, &headers, "")
    }
}

#[test]
fn sessions_hear_what_they_asked_for_and_end_when_they_are_ended() {
    let (_runner, client) = bridge("old", &[]);
    let (loud, quiet) = (Session::new(&client, "loud"), Session::new(&client, "quiet"));
    assert_ne!(loud.id, quiet.id);
    let (level, uri) = (json!({"level": "debug"}), json!({"uri": "x://y"}));
    assert_eq!(loud.ask("logging/setLevel", &level).result()["params"], level);
    assert_eq!(loud.ask("resources/subscribe", &uri).result()["method"], "resources/subscribe");
    assert!(loud.ask("logging/setLevel", &json!({"level": "x"})).reply().body["error"]["code"] == -32602);
    assert_eq!(quiet.call("log"), "logged");
    let news = |session: &Session<'_>, last: &str| {
        let mut heard = Vec::new();
        session.send("GET").until(|message| {
            heard.push(message["params"]["data"].as_str().unwrap_or("updated").to_owned());
            heard.last().is_some_and(|heard| heard == last)
        });
        heard
    };
    // What was said before they listened waited for them.
    assert_eq!(news(&loud, "updated"), ["fine", "bad", "updated"]);
    assert_eq!(news(&quiet, "bad"), ["bad"]);
    assert_eq!(loud.send("DELETE").reply().status, 204);
    assert_eq!(loud.ask("ping", &json!({})).reply().status, 404);
    assert_eq!(quiet.ask("ping", &json!({})).result(), json!({}));
}

#[test]
fn a_session_takes_back_what_it_asked() {
    let (_runner, client) = bridge("old", &[]);
    let session = Session::new(&client, "c");
    let slow = session.post(&json!({"jsonrpc": "2.0", "id": "slow", "method": "x/slow"}));
    // The one after it shows that the server has it.
    assert!(session.call("seen").contains("notifications/initialized"));
    let params = json!({"requestId": "slow"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(session.post(&cancel).reply().status, 202);
    assert_eq!(slow.reply().status, 202);
    until(|| session.call("seen").contains("notifications/cancelled"));
}

#[test]
fn a_shared_server_cannot_ask_a_client() {
    let (_runner, client) = bridge("old", &[]);
    let session = Session::new(&client, "c");
    assert_eq!(session.call("ask-anyway"), "asked");
}

#[test]
fn a_server_of_its_own_knows_its_client_and_may_ask_it() {
    let (_runner, client) = bridge("old", &["--mode=per-session", "--max-sessions=2"]);
    let (one, two) = (Session::new(&client, "one"), Session::new(&client, "two"));
    assert_eq!((one.call("who"), two.call("who")), ("one".into(), "two".into()));
    let (mine, other) = (one.call("pid"), two.call("pid"));
    assert_ne!(mine, other);
    // Requests without a session have a server together, which is none of these.
    let common = client.modern("tools/call", &json!({"name": "pid"})).result();
    assert!(text(&common) != mine && text(&common) != other);
    let refused = initialize(&client, "three");
    assert_eq!((refused.status, &refused.body["error"]["code"]), (503, &json!(-32000)));
    assert_eq!(client.legacy("tools/list", &json!({})).reply().status, 400, "whose?");

    let asking = one.ask("tools/call", &json!({"name": "ask"}));
    let mut asked = Value::Null;
    std::thread::scope(|scope| {
        let (sender, question) = std::sync::mpsc::channel();
        let answer = scope.spawn(move || {
            asking.until(|message| {
                if message["method"] == "roots/list" {
                    sender.send(message["id"].clone()).unwrap();
                }
                message["result"].is_object()
            })
        });
        let id = question.recv().unwrap();
        let roots = json!({"jsonrpc": "2.0", "id": id, "result": {"roots": [{"uri": "file:///x"}]}});
        assert_eq!(one.post(&roots).reply().status, 202);
        asked = answer.join().unwrap();
    });
    assert_eq!(text(&asked["result"]), r#"{"roots":[{"uri":"file:///x"}]}"#);

    // It dies for itself, and is greeted as before.
    kill(Pid::from_raw(mine.parse().unwrap()), Signal::SIGKILL).unwrap();
    until(|| one.ask("tools/call", &json!({"name": "who"})).reply().body["result"].is_object());
    assert_eq!((one.call("who"), two.call("pid")), ("one".into(), other.clone()));
    assert_eq!(two.send("DELETE").reply().status, 204);
    until(|| !lives(&other));
    let three = Session::new(&client, "three");
    assert_eq!(three.call("who"), "three");
}

#[test]
fn a_session_that_nobody_uses_ends_with_its_server() {
    let (_runner, client) = bridge("old", &["--mode=per-session", "--idle-timeout=3s"]);
    let session = Session::new(&client, "c");
    let server = session.call("pid");
    let common = text(&client.modern("tools/call", &json!({"name": "pid"})).result());
    until(|| !lives(&server) && !lives(&common));
    assert_eq!(session.ask("ping", &json!({})).reply().status, 404);
    // The one that is for all comes back when it is wanted.
    let again = client.modern("tools/call", &json!({"name": "pid"})).result();
    assert_ne!(text(&again), common);
}
