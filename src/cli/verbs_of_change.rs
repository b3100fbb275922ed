//! The part of the table of verbs that changes what is configured. Nothing is done here.

use super::failure::UNKNOWN;
use super::options::{Flag, Opt, switch, valued};
use super::verbs::{Does, Verb};

/// A longest wait.
const TIMEOUT: Opt = valued(Flag::Timeout, None, "timeout", "TIME", "wait no longer than this (30s, 2m)");
/// No wait.
const NO_WAIT: Opt = switch(Flag::NoWait, None, "no-wait", "do not wait until it is done");
/// In the place of another.
const REPLACE: Opt = switch(Flag::Replace, None, "replace", "put it in the place of a service of that id");

/// What they all do in the end.
const WRITTEN: &str = "The whole configuration is checked as it would be, and only then is the file written, \
     beside its place and renamed. If a supervisor runs, it is told; if none does, the change takes effect when \
     one starts.";

/// `add`.
pub(super) static ADD: Verb = Verb {
    does: Does::Add,
    name: "add",
    arguments: "FILE",
    summary: "add a service from a file to the configuration",
    text: &[
        "Copies the file to services.d/ID.json and starts the service if it starts by itself. FILE may be - for \
         standard input; it must not have paths that are relative to its own folder.",
        WRITTEN,
    ],
    options: &[REPLACE, NO_WAIT, TIMEOUT],
    exits: &[],
    examples: &[("mcp-init add pets.json", "make it services.d/pets.json and start it")],
    hidden: false,
};

/// `create`.
pub(super) static CREATE: Verb = Verb {
    does: Does::Create,
    name: "create",
    arguments: "[NAME] [COMMAND...]",
    summary: "make a service of a document or a command",
    text: &[
        "With --openapi, an MCP server made of an OpenAPI document, named like the document's file unless NAME is \
         given; without --port it gets the first port from 3001 on that nobody has. With COMMAND, a service \
         that runs it; with --bridge as well, the command is an MCP server that speaks on its standard input \
         and output, and is offered on the port.",
        WRITTEN,
    ],
    options: &[
        valued(Flag::OpenApi, None, "openapi", "FILE", "the document: a path or a URL"),
        switch(Flag::Bridge, None, "bridge", "the command is an MCP server on standard input and output"),
        valued(Flag::Port, Some('p'), "port", "N", "where clients connect"),
        valued(Flag::Transport, None, "transport", "NAME", "how they do (streamable)"),
        valued(Flag::Host, None, "host", "ADDRESS", "on which address (127.0.0.1)"),
        valued(
            Flag::BaseUrl,
            None,
            "base-url",
            "URL",
            "where the API is, or mock; before the document's servers",
        ),
        REPLACE,
        NO_WAIT,
        TIMEOUT,
    ],
    exits: &[],
    examples: &[
        ("mcp-init create --openapi pets.json --port 3001", "serve a document"),
        ("mcp-init create tick -- /bin/sh -c \"while date; do sleep 60; done\"", "supervise a command"),
    ],
    hidden: false,
};

/// `import`.
pub(super) static IMPORT: Verb = Verb {
    does: Does::Import,
    name: "import",
    arguments: "FILE",
    summary: "make services of the servers in a client's file",
    text: &[
        "FILE is what a client has its MCP servers in: an object mcpServers (or servers, or context_servers) of \
         commands with args and env. Each command becomes a server behind a port of its own, which all clients \
         share; a server that is a URL is passed over. ${env:NAME} becomes ${NAME}. The files are as readable to \
         others as FILE is.",
        WRITTEN,
    ],
    options: &[REPLACE, NO_WAIT, TIMEOUT],
    exits: &[],
    examples: &[("mcp-init import ~/.cursor/mcp.json", "have the servers of a client supervised")],
    hidden: false,
};

/// `remove`.
pub(super) static REMOVE: Verb = Verb {
    does: Does::Remove,
    name: "remove",
    arguments: "SERVICE...",
    summary: "take services out of the configuration",
    text: &["The file goes to backups/ in the state folder, with the time in its name.", WRITTEN],
    options: &[NO_WAIT, TIMEOUT],
    exits: &[(UNKNOWN, "there is no such service")],
    examples: &[("mcp-init remove pets", "stop it, and keep its file as a backup")],
    hidden: false,
};

/// `enable`.
pub(super) static ENABLE: Verb = Verb {
    does: Does::Enable,
    name: "enable",
    arguments: "SERVICE...",
    summary: "have services run from now on",
    text: &["Sets \"enabled\": true in the service's file; the rest of it stays as it is written.", WRITTEN],
    options: &[NO_WAIT, TIMEOUT],
    exits: &[(UNKNOWN, "there is no such service")],
    examples: &[("mcp-init enable pets", "start it now and at every start")],
    hidden: false,
};

/// `disable`.
pub(super) static DISABLE: Verb = Verb {
    does: Does::Disable,
    name: "disable",
    arguments: "SERVICE...",
    summary: "stop services and have them run no more",
    text: &["Sets \"enabled\": false in the service's file; the rest of it stays as it is written.", WRITTEN],
    options: &[NO_WAIT, TIMEOUT],
    exits: &[(UNKNOWN, "there is no such service")],
    examples: &[("mcp-init disable pets", "stop it now and do not start it any more")],
    hidden: false,
};

/// `signal`.
pub(super) static SIGNAL: Verb = Verb {
    does: Does::Signal,
    name: "signal",
    arguments: "SIGNAL SERVICE...",
    summary: "send a signal to services",
    text: &["SIGNAL is a name, with or without SIG, or a number. It goes to the service's own process."],
    options: &[
        switch(Flag::All, None, "all", "every service that runs"),
        switch(Flag::Group, None, "group", "to the whole process group"),
    ],
    exits: &[(UNKNOWN, "there is no such service")],
    examples: &[("mcp-init signal HUP nginx", "have it read its configuration")],
    hidden: false,
};

/// `reload`.
pub(super) static RELOAD: Verb = Verb {
    does: Does::Reload,
    name: "reload",
    arguments: "",
    summary: "read the configuration again",
    text: &[
        "New services are started, removed ones stopped, changed ones restarted; what did not change is not \
         touched. If the configuration has a problem, it is told as check tells it, and nothing changes.",
    ],
    options: &[valued(Flag::Timeout, None, "timeout", "TIME", "wait no longer than this (30s, 2m)")],
    exits: &[],
    examples: &[("mcp-init check && mcp-init reload", "look first")],
    hidden: false,
};
