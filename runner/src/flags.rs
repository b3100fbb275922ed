//! The command line: one table makes the parser, the help and the suggestions. A flag is a key of the
//! config file said here, and what it may hold is checked there.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::nearest::nearest;

/// One flag.
struct Flag {
    /// With its dashes.
    name: &'static str,
    /// What follows it, as the help shows it; none for a switch.
    value: Option<&'static str>,
    /// What it sets.
    sets: Sets,
    /// The help's words.
    help: &'static str,
}

/// Where a flag's value goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sets {
    /// The config file itself.
    File,
    /// A key at the top of the config.
    Top(&'static str),
    /// A key of `mcpConfig`, its value a string.
    Text(&'static str),
    /// A key of `mcpConfig`, its value a number.
    Number(&'static str),
    /// A key of `mcpConfig`, its value JSON.
    Json(&'static str),
    /// The document: JSON where it looks like an object, else a path or a URL.
    Document(&'static str),
    /// A key of `mcpConfig` that becomes `true`.
    Switch(&'static str),
    /// The help.
    Help,
    /// The version.
    Version,
}

/// Every flag there is, in the order of the help.
const FLAGS: &[Flag] = &[
    flag(
        "--config-file",
        Some("FILE"),
        Sets::File,
        "JSON: {\"serverId\", \"serverName\", \"mcpConfig\": {…}}",
    ),
    flag("--server-id", Some("ID"), Sets::Top("serverId"), "id of the server"),
    flag("--server-name", Some("NAME"), Sets::Top("serverName"), "its name for people"),
    flag(
        "--transport",
        Some("NAME"),
        Sets::Text("transport"),
        "streamable (default), sse, websocket or stdio",
    ),
    flag("--host", Some("ADDRESS"), Sets::Text("host"), "address to bind (127.0.0.1)"),
    flag("--port", Some("PORT"), Sets::Number("port"), "TCP port; 0, the default, takes a free one"),
    flag(
        "--socket",
        Some("PATH"),
        Sets::Text("socket"),
        "Unix socket to listen on, instead of host and port",
    ),
    flag("--endpoint", Some("PATH"), Sets::Text("endpoint"), "path of the endpoint (/mcp)"),
    flag(
        "--openapi-data",
        Some("PATH|URL|JSON|-"),
        Sets::Document("openApiData"),
        "the OpenAPI document; - reads stdin",
    ),
    flag(
        "--overlay",
        Some("PATH|URL|JSON"),
        Sets::Document("overlay"),
        "changes to the document (Overlay 1.0)",
    ),
    flag(
        "--tools",
        Some("JSON"),
        Sets::Json("tools"),
        "{\"mode\", \"include\", \"exclude\"}: which tools, and how listed",
    ),
    flag("--resources", None, Sets::Switch("resources"), "offer the document's own words as resources"),
    flag(
        "--reload-interval",
        Some("TIME"),
        Sets::Text("reloadInterval"),
        "look for changes; 0 is never (2s, URLs 5m)",
    ),
    flag("--cache-dir", Some("PATH"), Sets::Text("cacheDir"), "where catalogues and copies of URLs are kept"),
    flag(
        "--base-url",
        Some("URL|mock"),
        Sets::Text("baseUrl"),
        "where calls go; mock answers from the document",
    ),
    flag(
        "--auth-config",
        Some("JSON"),
        Sets::Json("authConfig"),
        "credentials; prefer the file: arguments are public",
    ),
    flag("--custom-headers", Some("JSON"), Sets::Json("customHeaders"), "headers for every upstream request"),
    flag(
        "--clients",
        Some("JSON"),
        Sets::Json("clients"),
        "who may connect: token, tls, hosts, origins, sessions",
    ),
    flag(
        "--forward-headers",
        Some("JSON"),
        Sets::Json("forwardHeaders"),
        "clients' headers for the upstream",
    ),
    flag(
        "--upstream",
        Some("JSON"),
        Sets::Json("upstream"),
        "how it is reached: ca, proxy, timeout, retries, …",
    ),
    flag("--debug-headers", None, Sets::Switch("debugHeaders"), "log upstream headers, secrets masked"),
    flag("--mode", Some("NAME"), Sets::Text("mode"), "of a bridged COMMAND: shared (default) or per-session"),
    flag("--max-sessions", Some("NUMBER"), Sets::Number("maxSessions"), "most sessions at a time"),
    flag("--idle-timeout", Some("TIME"), Sets::Text("idleTimeout"), "end sessions unused for so long (30m)"),
    flag("--help", None, Sets::Help, "this text"),
    flag("--version", None, Sets::Version, "the version"),
];

/// A row of the table.
const fn flag(name: &'static str, value: Option<&'static str>, sets: Sets, help: &'static str) -> Flag {
    Flag { name, value, sets, help }
}

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    /// A server.
    Serve(Flags),
    /// What a server would serve; as JSON if true.
    Inspect(Flags, bool),
    /// The help.
    Help,
    /// The version.
    Version,
}

/// What the command line says of the configuration.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Flags {
    /// The config file.
    pub(crate) file: Option<PathBuf>,
    /// Keys at the top of the config.
    pub(crate) top: Map<String, Value>,
    /// Keys of `mcpConfig`.
    pub(crate) mcp: Map<String, Value>,
}

/// Reads the arguments, the program's own name left out.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Asked, Failure> {
    let mut flags = Flags::default();
    let mut rest = arguments.into_iter().peekable();
    let inspects = rest.next_if(|first| first == "inspect").is_some();
    let mut as_json = false;
    while let Some(argument) = rest.next() {
        if inspects && argument == "--json" {
            as_json = true;
            continue;
        }
        if inspects && (argument == "-" || !argument.starts_with('-')) {
            flags.set("FILE", Sets::Document("openApiData"), argument)?;
            continue;
        }
        if argument == "--" && !inspects {
            flags.mcp.insert("command".to_owned(), rest.collect());
            return Ok(Asked::Serve(flags));
        }
        let (name, mut value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) else {
            return Err(unknown(name));
        };
        match flag.value {
            Some(what) if value.is_none() => {
                value = Some(rest.next().ok_or_else(|| usage(&format!("{name} needs a value ({what})")))?);
            }
            None if value.is_some() => return Err(usage(&format!("{name} takes no value"))),
            _ => {}
        }
        match flag.sets {
            Sets::Help => return Ok(Asked::Help),
            Sets::Version => return Ok(Asked::Version),
            sets => flags.set(name, sets, value.unwrap_or_default())?,
        }
    }
    Ok(if inspects { Asked::Inspect(flags, as_json) } else { Asked::Serve(flags) })
}

impl Flags {
    /// Puts one value where its flag says.
    fn set(&mut self, name: &str, sets: Sets, text: String) -> Result<(), Failure> {
        let json = |text: &str| {
            // The text may be a secret: it is never shown.
            serde_json::from_str::<Value>(text).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                usage(&format!("{name} is no JSON (line {line}, column {column})"))
            })
        };
        let (key, value) = match sets {
            Sets::Help | Sets::Version => return Ok(()),
            Sets::File => {
                self.file = Some(text.into());
                return Ok(());
            }
            Sets::Top(key) => {
                self.top.insert(key.to_owned(), text.into());
                return Ok(());
            }
            Sets::Number(key) => {
                let number: u64 = text.parse().map_err(|_| usage(&format!("{name} is no whole number")))?;
                (key, number.into())
            }
            Sets::Document(key) => {
                (key, if text.trim_start().starts_with('{') { json(&text)? } else { text.into() })
            }
            Sets::Json(key) => (key, json(&text)?),
            Sets::Text(key) => (key, text.into()),
            Sets::Switch(key) => (key, true.into()),
        };
        self.mcp.insert(key.to_owned(), value);
        Ok(())
    }
}

/// The flag that sets `key`, for messages about what it holds.
pub(crate) fn name_of(key: &str) -> Option<&'static str> {
    let sets = |flag: &&Flag| match flag.sets {
        Sets::Top(sets)
        | Sets::Text(sets)
        | Sets::Number(sets)
        | Sets::Json(sets)
        | Sets::Document(sets)
        | Sets::Switch(sets) => sets == key,
        Sets::File | Sets::Help | Sets::Version => false,
    };
    FLAGS.iter().find(sets).map(|flag| flag.name)
}

/// A mistake on the command line.
fn usage(reason: &str) -> Failure {
    Failure::Usage(format!("cannot read the command line: {reason}"))
}

/// No such flag, but perhaps another.
fn unknown(name: &str) -> Failure {
    usage(&match nearest(name, FLAGS.iter().map(|flag| flag.name)) {
        Some(near) => format!("unknown flag {name}, did you mean {near}"),
        None => format!("unknown flag {name}, see --help"),
    })
}

/// The help.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "mcp-runner: one MCP server made from one OpenAPI document, or from one stdio MCP server\n\n\
         usage: mcp-runner [FLAG…] [-- COMMAND…]\n       \
         mcp-runner inspect FILE|URL|- [--json] [FLAG…]  shows the tools of a document and serves nothing\n\n",
    );
    for flag in FLAGS {
        let left = flag.value.map_or_else(|| flag.name.to_owned(), |value| format!("{} {value}", flag.name));
        text.extend(["  ", &format!("{left:<31}"), flag.help, "\n"]);
    }
    text.push_str(
        "\nFlags beat the file. In strings of both, ${NAME} is a variable and ${file:PATH} what is in a file.\n\
         SIGTERM, SIGINT and SIGHUP stop it: what is in flight is finished.\n\
         exit status: 0 stopped as asked, 1 it could not start, 2 a mistake in the flags or the config file\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if typed.
    fn typed(line: &str) -> Result<Asked, Failure> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_follow_or_are_joined() {
        let Ok(Asked::Serve(flags)) = typed("--port 3001 --endpoint=/x --debug-headers") else { panic!() };
        assert_eq!(
            Value::from(flags.mcp),
            serde_json::json!({"port": 3001, "endpoint": "/x", "debugHeaders": true})
        );
    }

    #[test]
    fn mistakes_are_usage_and_name_the_nearest_flag() {
        let text = |line| typed(line).unwrap_err().to_string();
        assert_eq!(
            text("--prot 1"),
            "cannot read the command line: unknown flag --prot, did you mean --port"
        );
        assert_eq!(text("--port"), "cannot read the command line: --port needs a value (PORT)");
        assert_eq!(
            text("--debug-headers=no"),
            "cannot read the command line: --debug-headers takes no value"
        );
        assert!(!text("--auth-config s3cret").contains("s3cret"));
    }

    #[test]
    fn a_document_is_json_when_it_looks_like_it() {
        let Ok(Asked::Serve(flags)) = typed("--openapi-data {\"openapi\":\"3.1.0\"}") else { panic!() };
        assert_eq!(flags.mcp["openApiData"]["openapi"], "3.1.0");
    }

    #[test]
    fn the_help_names_every_flag() {
        assert!(FLAGS.iter().all(|flag| help().contains(flag.name)));
    }
}
