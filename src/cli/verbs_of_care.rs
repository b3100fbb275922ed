//! The part of the table of verbs that is about services in trouble. Nothing is done here.

use super::options::{Flag, switch, valued};
use super::verbs::{Does, Verb};

/// `alerts`.
pub(super) static ALERTS: Verb = Verb {
    does: Does::Alerts,
    name: "alerts",
    arguments: "",
    summary: "show what somebody should know of",
    text: &[
        "One line an alert: time, level (INFO, WARNING, ERROR, CRITICAL), service, what it is about, in words. The \
         same alert of the same service is told again after alerts.repeatAfter (5m), with the number of times that \
         it was not told in between. With --json the lines of alerts.jsonl as they are.",
    ],
    options: &[
        switch(Flag::Follow, Some('f'), "follow", "go on as more comes"),
        valued(Flag::Lines, Some('n'), "lines", "N", "the last N alerts (100)"),
    ],
    exits: &[],
    examples: &[("mcp-init alerts -f", "the last ones, and what comes")],
    hidden: false,
};
