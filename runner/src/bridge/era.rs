//! The two eras of the protocol, and what must be added or taken away when a client and a server are not of the
//! same. Before 2026-07-28 there is a handshake; since then every request says what it needs itself.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::{Answer, Fields, INVALID_PARAMS, UNAVAILABLE, fields, raw};

/// The revisions that are spoken, newest first.
pub(super) const REVISIONS: [&str; 5] = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The first revision without a handshake.
pub(super) const MODERN: &str = "2026-07-28";

/// The newest revision with one.
pub(super) const HANDSHAKE: &str = "2025-11-25";

/// In `_meta`: the revision of a request.
pub(super) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// In `_meta`: what the client can do.
pub(super) const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// In `_meta`: who the client is.
const CLIENT_KEY: &str = "io.modelcontextprotocol/clientInfo";

/// In `_meta`: which log messages the client wants.
const LOG_KEY: &str = "io.modelcontextprotocol/logLevel";

/// In `_meta` of a result: who answers.
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// What a resource that does not exist was before 2026-07-28.
const RESOURCE_NOT_FOUND: i64 = -32002;

/// An era.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// With `initialize`.
    Handshake,
    /// With `server/discover`, and every request for itself.
    Modern,
}

/// What a server said about itself.
#[derive(Debug)]
pub(super) struct Hello {
    /// Which era it is spoken to in.
    pub(super) era: Era,
    /// What it said, member by member.
    said: Fields,
}

impl Hello {
    /// From the result of `initialize`.
    pub(super) fn initialized(result: &RawValue) -> Option<Self> {
        let said = fields(result)?;
        said.contains_key("protocolVersion").then_some(Self { era: Era::Handshake, said })
    }

    /// From the result of `server/discover`.
    pub(super) fn discovered(result: &RawValue) -> Option<Self> {
        let mut said = fields(result)?;
        let meta = said.get("_meta").and_then(|meta| fields(meta)).unwrap_or_default();
        let nameless = || raw(&json!({"name": "server", "version": "0"}));
        said.insert("serverInfo".to_owned(), meta.get(SERVER_KEY).cloned().unwrap_or_else(nameless));
        said.contains_key("capabilities").then_some(Self { era: Era::Modern, said })
    }

    /// What a client of `version` is answered to `initialize`; its own revision where that has a handshake.
    pub(super) fn to_initialize(&self, version: &str) -> Answer {
        let known = REVISIONS.contains(&version) && version != MODERN;
        let mut result = self.parts();
        result.insert("protocolVersion".to_owned(), raw(&if known { version } else { HANDSHAKE }));
        result.extend(self.said.get("serverInfo").map(|info| ("serverInfo".to_owned(), info.clone())));
        Answer::Result(raw(&result))
    }

    /// What the only client of a server is answered: what the server said, as it said it.
    pub(super) fn verbatim(&self, version: &str) -> Answer {
        match self.era {
            Era::Handshake => Answer::Result(raw(&self.said)),
            Era::Modern => self.to_initialize(version),
        }
    }

    /// What is answered to `server/discover`.
    pub(super) fn to_discover(&self) -> Answer {
        let mut result = self.parts();
        let meta: Fields = self
            .said
            .get("serverInfo")
            .map(|info| (SERVER_KEY.to_owned(), info.clone()))
            .into_iter()
            .collect();
        result.insert("_meta".to_owned(), raw(&meta));
        result.insert("supportedVersions".to_owned(), raw(&REVISIONS));
        Answer::Result(raw(&fresh(result)))
    }

    /// What both have.
    fn parts(&self) -> Fields {
        let shared = ["capabilities", "instructions"];
        let parts = self.said.iter().filter(|(name, _)| shared.contains(&name.as_str()));
        parts.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether it says when the list of `what` changes.
    pub(super) fn tells_of_changes(&self, what: &str) -> bool {
        let capability = self.said.get("capabilities").and_then(|all| fields(all)?.get(what).cloned());
        capability
            .and_then(|one| fields(&one)?.get("listChanged").map(|says| says.get() == "true"))
            .unwrap_or(false)
    }

    /// Who it is, for people.
    pub(super) fn name(&self) -> String {
        let info =
            self.said.get("serverInfo").and_then(|info| serde_json::from_str::<Value>(info.get()).ok());
        let part = |name: &str| info.as_ref()?.get(name)?.as_str().map(str::to_owned);
        [part("name"), part("version")].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// What a request's parameters must be for a server of this era, and the client's token of progress, for which
/// `id` stands on the server's side.
pub(super) fn prepare(
    era: Era,
    id: u64,
    params: Option<&RawValue>,
) -> (Option<Box<RawValue>>, Option<Box<RawValue>>) {
    let touched = era == Era::Modern || params.is_some_and(|params| params.get().contains("\"_meta\""));
    let said = if touched { params.map_or_else(|| Some(Fields::new()), fields) } else { None };
    let Some(mut said) = said else {
        return (params.map(ToOwned::to_owned), None);
    };
    let mut meta = said.get("_meta").and_then(|meta| fields(meta)).unwrap_or_default();
    let token = meta.get_mut("progressToken").map(|token| std::mem::replace(token, raw(&id)));
    match era {
        Era::Handshake => meta
            .retain(|name, _| ![VERSION_KEY, CAPABILITIES_KEY, CLIENT_KEY, LOG_KEY].contains(&name.as_str())),
        Era::Modern => {
            meta.insert(VERSION_KEY.to_owned(), raw(&MODERN));
            meta.entry(CAPABILITIES_KEY.to_owned()).or_insert_with(|| raw(&Fields::new()));
            meta.entry(CLIENT_KEY.to_owned()).or_insert_with(|| raw(&ourselves()));
        }
    }
    if meta.is_empty() {
        said.remove("_meta");
    } else {
        said.insert("_meta".to_owned(), raw(&meta));
    }
    (Some(raw(&said)), token)
}

/// Who we are, as a client.
pub(super) fn ourselves() -> Value {
    json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// An answer as a client of this era wants it.
pub(super) fn finish(era: Era, method: &str, answer: Answer) -> Answer {
    match (era, answer) {
        (Era::Modern, Answer::Result(result)) => {
            let Some(mut said) = fields(&result) else {
                return Answer::Result(result);
            };
            if is_cacheable(method) && !is_unfinished(&said) {
                said = fresh(said);
            } else {
                said.entry("resultType".to_owned()).or_insert_with(|| raw(&"complete"));
            }
            Answer::Result(raw(&said))
        }
        (Era::Modern, Answer::Error(error)) => match fields(&error) {
            Some(mut said)
                if said.get("code").is_some_and(|code| code.get().parse() == Ok(RESOURCE_NOT_FOUND)) =>
            {
                said.insert("code".to_owned(), raw(&INVALID_PARAMS));
                Answer::Error(raw(&said))
            }
            Some(_) | None => Answer::Error(error),
        },
        (Era::Handshake, Answer::Result(result)) if result.get().contains("\"resultType\"") => {
            match fields(&result) {
                Some(said) if is_unfinished(&said) => Answer::failure(
                    UNAVAILABLE,
                    "the server wants input of the client, which only clients of 2026-07-28 can give",
                ),
                Some(mut said) => {
                    said.remove("resultType");
                    Answer::Result(raw(&said))
                }
                None => Answer::Result(result),
            }
        }
        (Era::Handshake, answer) => answer,
    }
}

/// Whether results of a method say how long they are good for.
fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" | "resources/read"
    )
}

/// Whether a result asks for something first.
fn is_unfinished(result: &Fields) -> bool {
    result.get("resultType").is_some_and(|kind| kind.get() != "\"complete\"")
}

/// A complete result with what it must say about its age, where it does not: good for now, and for this client.
fn fresh(mut result: Fields) -> Fields {
    result.entry("resultType".to_owned()).or_insert_with(|| raw(&"complete"));
    result.entry("ttlMs".to_owned()).or_insert_with(|| raw(&0));
    result.entry("cacheScope".to_owned()).or_insert_with(|| raw(&"private"));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a value.
    fn value(raw: &RawValue) -> Value {
        serde_json::from_str(raw.get()).unwrap()
    }

    /// The result of an answer.
    fn result(answer: &Answer) -> Value {
        let Answer::Result(result) = answer else { panic!("{answer:?}") };
        value(result)
    }

    #[test]
    fn a_server_of_the_handshake_serves_both_eras() {
        let hello = Hello::initialized(&raw(&json!({"protocolVersion": "2024-11-05",
            "capabilities": {"tools": {"listChanged": true}, "x": 1}, "serverInfo": {"name": "s", "version": "1"},
            "instructions": "be kind"})))
        .unwrap();
        assert!(hello.tells_of_changes("tools") && !hello.tells_of_changes("prompts"));
        assert_eq!(hello.name(), "s 1");
        let old = result(&hello.to_initialize("2025-03-26"));
        assert_eq!(
            (&old["protocolVersion"], &old["serverInfo"]["name"]),
            (&json!("2025-03-26"), &json!("s"))
        );
        assert_eq!(result(&hello.to_initialize("2026-07-28"))["protocolVersion"], HANDSHAKE);
        let new = result(&hello.to_discover());
        assert_eq!((&new["resultType"], &new["capabilities"]["x"]), (&json!("complete"), &json!(1)));
        assert_eq!(new["_meta"][SERVER_KEY]["name"], "s");
        assert!(new["supportedVersions"].as_array().unwrap().len() == 5 && new["ttlMs"].is_u64());
    }

    #[test]
    fn requests_carry_what_the_servers_era_wants_and_no_more() {
        let modern = raw(&json!({"a": 1, "_meta": {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}, "t": 2}}));
        let (params, token) = prepare(Era::Handshake, 7, Some(&modern));
        assert_eq!((value(&params.unwrap()), token.is_none()), (json!({"a": 1, "_meta": {"t": 2}}), true));
        let bare = raw(&json!({"a": 1, "_meta": {VERSION_KEY: MODERN}}));
        assert_eq!(value(&prepare(Era::Handshake, 7, Some(&bare)).0.unwrap()), json!({"a": 1}));
        assert!(prepare(Era::Handshake, 7, None).0.is_none());
        let (params, _) = prepare(Era::Modern, 7, None);
        assert_eq!(value(&params.unwrap())["_meta"][VERSION_KEY], MODERN);
    }

    #[test]
    fn answers_are_of_the_clients_era() {
        let list = Answer::Result(raw(&json!({"tools": []})));
        let modern = result(&finish(Era::Modern, "tools/list", list.clone()));
        assert_eq!(
            modern,
            json!({"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
        );
        assert_eq!(
            result(&finish(Era::Handshake, "tools/list", Answer::Result(raw(&modern))))["resultType"],
            Value::Null
        );
        assert_eq!(result(&finish(Era::Modern, "tools/call", list)).get("ttlMs"), None);
        let missing = Answer::failure(-32002, "no such resource");
        assert_eq!(finish(Era::Modern, "resources/read", missing.clone()).code(), Some(-32602));
        assert_eq!(finish(Era::Handshake, "resources/read", missing).code(), Some(-32002));
        let asks = Answer::Result(raw(&json!({"resultType": "input_required"})));
        assert!(finish(Era::Handshake, "tools/call", asks).code().is_some());
    }
}
