//! The part of the table of verbs that is about services in trouble. Nothing is done here.

use super::failure::{FAILED, UNKNOWN};
use super::options::{Flag, WAITING, switch, valued};
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

/// `recover`.
pub(super) static RECOVER: Verb = Verb {
    does: Does::Recover,
    name: "recover",
    arguments: "SERVICE...",
    summary: "try once to recover services",
    text: &[
        "Restarts a service and waits until it has passed a health check; one whose health is not checked, until it \
         is ready. The attempt does not count against recovery.maxAttempts, and is made even if those are used up. \
         Success forgets all attempts.",
    ],
    options: &WAITING,
    exits: &[
        (FAILED, "the attempt was in vain; one line on standard error says why"),
        (UNKNOWN, "no such service, or this user may not"),
    ],
    examples: &[("mcp-init recover pets", "restart it and see that it is well")],
    hidden: false,
};

/// `reset`.
pub(super) static RESET: Verb = Verb {
    does: Does::Reset,
    name: "reset",
    arguments: "SERVICE...",
    summary: "forget the attempts to recover services",
    text: &["A service that fails its health checks, or whose restarts gave up, is recovered at most \
         recovery.maxAttempts (3) times; after that nothing more is tried. This lets it have them again, and tries \
         again at once what was given up."],
    options: &[switch(Flag::All, None, "all", "every service")],
    exits: &[(UNKNOWN, "no such service, or this user may not")],
    examples: &[("mcp-init reset --all", "a new day")],
    hidden: false,
};
