//! The part of the configuration that is about a server to bridge. No process is started here.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_init::DOCUMENT_KEYS;
use serde_json::{Map, Value};

use super::Keys;
use crate::bridge::{BridgeConfig, Command, Mode};
use crate::failure::Failure;

/// Most sessions that share a process, unless said.
const SHARED_SESSIONS: u32 = 1024;

/// Most sessions with a process each, unless said.
const OWN_SESSIONS: u32 = 16;

/// Most sessions that may be said.
const SESSIONS_MAX: u64 = 65_536;

/// How long a session may be unused, unless said. Shorter, and people who think take it for a crash.
const IDLE_TIMEOUT: Duration = Duration::from_mins(30);

/// `command` and what belongs to it; nothing if it is not there.
pub(super) fn read(mcp: &mut Keys<'_>) -> Result<Option<BridgeConfig>, Failure> {
    let words = match mcp.take("command") {
        None => None,
        Some(value) => Some(words(value).ok_or_else(|| {
            mcp.wrong("command", "must be a list of strings: the program and its arguments")
        })?),
    };
    let env = env(mcp)?;
    let cwd = mcp.text("cwd")?.map(|cwd| mcp.origin("cwd").0.join(cwd));
    let mode = match mcp.text("mode")?.as_deref() {
        None => None,
        Some("shared") => Some(Mode::Shared),
        Some("per-session") => Some(Mode::PerSession),
        Some(_) => return Err(mcp.wrong("mode", "must be shared or per-session")),
    };
    let max_sessions = mcp.whole("maxSessions", 1..=SESSIONS_MAX)?;
    let max_sessions = max_sessions.and_then(|number| u32::try_from(number).ok());
    let idle_timeout = mcp.time("idleTimeout")?;
    let Some(words) = words else {
        let said = [
            ("env", !env.is_empty()),
            ("cwd", cwd.is_some()),
            ("mode", mode.is_some()),
            ("maxSessions", max_sessions.is_some()),
            ("idleTimeout", idle_timeout.is_some()),
        ];
        return match said.into_iter().find(|(_, is_said)| *is_said) {
            Some((key, _)) => Err(mcp.wrong(key, "goes with command")),
            None => Ok(None),
        };
    };
    if let Some(key) = DOCUMENT_KEYS.into_iter().find(|key| mcp.says(key)) {
        return Err(mcp.wrong(key, "goes with a document, and this server is made from a command"));
    }
    let mode = mode.unwrap_or(Mode::Shared);
    let sessions = if mode == Mode::Shared { SHARED_SESSIONS } else { OWN_SESSIONS };
    Ok(Some(BridgeConfig {
        command: Command { words, env, cwd },
        mode,
        max_sessions: max_sessions.unwrap_or(sessions),
        idle_timeout: idle_timeout.unwrap_or(IDLE_TIMEOUT),
    }))
}

/// The program and its arguments.
fn words(value: Value) -> Option<Vec<String>> {
    let words: Vec<String> = serde_json::from_value(value).ok()?;
    let is_good = words.first().is_some_and(|program| !program.is_empty());
    (is_good && !words.iter().any(|word| word.contains('\0'))).then_some(words)
}

/// `env`. As secret as `authConfig`.
fn env(mcp: &mut Keys<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let value = mcp.take("env").unwrap_or_else(|| Map::new().into());
    let env: Option<BTreeMap<String, String>> = serde_json::from_value(value).ok();
    let is_good = |(name, value): (&String, &String)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    env.filter(|env| env.iter().all(is_good)).ok_or_else(|| mcp.wrong("env", "must be an object of strings"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_is_a_list_of_words() {
        assert_eq!(words(json!(["npx", "-y", "x"])).unwrap().len(), 3);
        for wrong in [json!("npx -y x"), json!([]), json!([""]), json!(["a", 1]), json!(["a\u{0}"])] {
            assert!(words(wrong.clone()).is_none(), "{wrong}");
        }
    }
}
