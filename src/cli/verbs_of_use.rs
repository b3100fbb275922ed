//! The part of the table of verbs that uses servers, and their figures. Nothing is done here.

use super::failure::{FAILED, NOT_RUNNING, UNKNOWN};
use super::options::{Flag, valued};
use super::verbs::{Does, Verb};

/// `attach`.
pub(super) static ATTACH: Verb = Verb {
    does: Does::Attach,
    name: "attach",
    arguments: "SERVER",
    summary: "connect standard input and output to a server of transport stdio",
    text: &[
        "Starts the server if it does not run, and passes on what is said, both ways, until one of them ends it. \
         This is the command that a client starts which speaks to its servers by their standard input and \
         output. Each has a conversation of its own; the server is one, and stays.",
        "Only the user of the supervisor, and root, may attach.",
    ],
    options: &[],
    exits: &[
        (FAILED, "the server hung up, or cannot be started"),
        (NOT_RUNNING, "no supervisor runs"),
        (UNKNOWN, "no such service, or this user may not"),
    ],
    examples: &[("claude mcp add pets -- mcp-init attach pets", "have a client start it")],
    hidden: false,
};

/// `metrics`.
pub(super) static METRICS: Verb = Verb {
    does: Does::Metrics,
    name: "metrics",
    arguments: "",
    summary: "print figures as OpenMetrics text",
    text: &[
        "OpenMetrics 1.0, for whatever reads that. With --output, the text is written to a file by renaming it into \
         its place; node_exporter's textfile collector reads Prometheus' older text format only, which is what a \
         file gets whose name ends in .prom.",
    ],
    options: &[
        valued(Flag::Output, Some('o'), "output", "FILE", "write it there, whole or not at all"),
        valued(
            Flag::Format,
            None,
            "format",
            "NAME",
            "openmetrics or prometheus (openmetrics, or by FILE's name)",
        ),
    ],
    exits: &[],
    examples: &[
        ("mcp-init metrics", "see the figures"),
        ("mcp-init metrics -o /var/lib/prometheus/node-exporter/mcp-init.prom", "for the textfile collector"),
    ],
    hidden: false,
};
