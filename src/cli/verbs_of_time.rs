//! The part of the table of verbs that is about what happens by the clock. Nothing is done here.

use super::failure::UNKNOWN;
use super::options::{Flag, switch, valued};
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

/// `update`.
pub(super) static UPDATE: Verb = Verb {
    does: Does::Update,
    name: "update",
    arguments: "SERVICE...",
    summary: "bring services to their newest version, and back if that is no good",
    text: &[
        "As update in the service's file says: check prints the newest version. If another one is installed, the \
         service's configuration is copied to backups/, apply puts the new one in place, the service is restarted \
         and has to be well for the time of probation. If it is not, rollback puts the old version back, the \
         configuration with it, and the new one is not tried again.",
        "A child of the supervisor does it; what dies in between is brought to its end by the next one. Every step \
         is in updates.jsonl, in events, and in alerts where somebody should know.",
    ],
    options: &[
        switch(Flag::Check, None, "check", "only look whether there is a newer version"),
        switch(Flag::All, None, "all", "every service that says how it is updated"),
        valued(Flag::Timeout, None, "timeout", "TIME", "wait no longer than this (30s, 2m)"),
    ],
    exits: &[(UNKNOWN, "no such service, or this user may not")],
    examples: &[
        ("mcp-init update pets --check", "is there a newer one?"),
        ("mcp-init update pets", "install it"),
    ],
    hidden: false,
};

/// `cleanup`.
pub(super) static CLEANUP: Verb = Verb {
    does: Does::Cleanup,
    name: "cleanup",
    arguments: "[SERVICE...]",
    summary: "remove old logs, backups and what is left of removed services",
    text: &[
        "What is older than cleanup.maxAge of mcp-init.json (30d) goes; of the older parts of logs and of backups, \
         also the oldest while there are more bytes of them than cleanup.maxTotal (1G). Of services that are not \
         configured any more, the last part of the log and the state go, too, once they are that old. A file is \
         known by its place and its name: what mcp-init has not made is never touched.",
    ],
    options: &[switch(Flag::DryRun, None, "dry-run", "only print what would be removed")],
    exits: &[(UNKNOWN, "no such service")],
    examples: &[("mcp-init cleanup --dry-run", "what would go?")],
    hidden: false,
};
