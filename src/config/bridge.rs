//! `command` of `mcpConfig` and what goes with it: a stdio MCP server that the runner bridges. Checked here, and
//! passed on to the runner as it is.

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::Problems;
use super::item::{Choice, Item};
use super::json::Kind;
use super::keys::is_variable;
use super::server::plain;
use super::service::command;

/// Keys of `mcpConfig` that are read here.
pub(super) const KEYS: [&str; 6] = ["command", "env", "cwd", "mode", "maxSessions", "idleTimeout"];

/// Keys of `mcpConfig` that are about a document and its API, and so say nothing about a command: a runner refuses
/// them likewise.
pub const DOCUMENT_KEYS: [&str; 12] = [
    "openApiData",
    "overlay",
    "tools",
    "resources",
    "reloadInterval",
    "cacheDir",
    "baseUrl",
    "authConfig",
    "customHeaders",
    "debugHeaders",
    "forwardHeaders",
    "upstream",
];

/// Values of `mode`.
const MODE: Choice<&str> =
    Choice { known: &[("shared", "shared"), ("per-session", "per-session")], later: &[] };

/// Longest `idleTimeout`.
const IDLE_MAX: Duration = Duration::from_hours(24);

/// What is said of a key that is known from elsewhere.
const NO_ARGS: &str = "is part of command here, which is a list: the program and its arguments";

/// Tells of `args`, which is a key where a client starts a server.
pub(super) fn no_args(item: &Item<'_>, problems: &mut Problems) {
    item.wrong_key(problems, NO_ARGS);
}

/// Reads one of [`KEYS`].
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    match item.key {
        "command" if matches!(item.node.kind, Kind::Text { .. }) => {
            item.wrong(problems, "is a list of strings here: the program and its arguments");
            None
        }
        "command" => {
            let words = command(item, None, problems)?;
            Some(words.iter().map(|word| Value::from(plain(word))).collect())
        }
        "env" => environment(item, problems),
        "cwd" => item.path(problems)?.to_str().map(|path| plain(path).into()),
        "mode" => item.choice(problems, &MODE).map(Value::from),
        "maxSessions" => item.count(problems, 1..=65_536, "").map(Value::from),
        _ => {
            let time = item.duration(problems, Duration::from_millis(1))?;
            if time > IDLE_MAX {
                item.wrong(problems, "is longer than a day");
                return None;
            }
            u64::try_from(time.as_millis()).ok().map(Value::from)
        }
    }
}

/// `env`
fn environment(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    let mut env = Map::new();
    for variable in item.members(problems) {
        if !is_variable(variable.key) {
            variable.wrong_key(problems, "is not the name of a variable");
        } else if let Some(value) = variable.argument(problems) {
            env.insert(variable.key.to_owned(), plain(value).into());
        }
    }
    matches!(item.node.kind, Kind::Object(_)).then_some(env.into())
}

/// Tells of an `mcpConfig` that says nothing to serve, or two things. `true` if it is a bridge.
pub(super) fn read_together(config: &Item<'_>, problems: &mut Problems) -> bool {
    if config.get("command").is_some() {
        for item in DOCUMENT_KEYS.iter().filter_map(|key| config.get(key)) {
            item.wrong_key(problems, "goes with a document, and this server is made from a command");
        }
        return true;
    }
    for item in KEYS.iter().filter_map(|key| config.get(key)) {
        item.wrong_key(problems, "goes with command, which is missing");
    }
    if config.get("openApiData").is_none() {
        config.wrong(
            problems,
            "has no openApiData, the document to serve, and no command, the server to bridge",
        );
    }
    false
}
