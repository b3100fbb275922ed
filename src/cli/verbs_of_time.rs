//! The part of the table of verbs that is about what happens by the clock. Nothing is done here.

use super::failure::UNKNOWN;
use super::options::{Flag, valued};
use super::verbs::{Does, Verb};

/// `schedule`.
pub(super) static SCHEDULE: Verb = Verb {
    does: Does::Schedule,
    name: "schedule",
    arguments: "[SERVICE...]",
    summary: "show what runs next, when, and how the last run ended",
    text: &[
        "One line for each entry of schedule, those of mcp-init.json without a service; the next one first. \
         Times are local ones of the supervisor. With -n, the next N runs of all of them together.",
        "With --cron, an expression is tried without a supervisor: when would it run? TZ or /etc/localtime says \
         what local time is.",
    ],
    options: &[
        valued(Flag::Lines, Some('n'), "lines", "N", "the next N runs (with --cron: 5)"),
        valued(Flag::Cron, None, "cron", "EXPRESSION", "when this would run; no supervisor is asked"),
        valued(
            Flag::From,
            None,
            "from",
            "TIME",
            "with --cron: after this time (2026-05-01T12:00:00Z), not now",
        ),
    ],
    exits: &[(UNKNOWN, "no such service")],
    examples: &[
        ("mcp-init schedule", "everything that runs by the clock"),
        ("mcp-init schedule --cron \"0 2 * * sun\" -n 3", "the next three Sundays"),
    ],
    hidden: false,
};
