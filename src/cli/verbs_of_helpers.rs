//! The part of the table of verbs that people do not use: the supervisor starts its helpers by them. Nothing is
//! done here.

use super::verbs::{Does, Verb};

/// `scribe`.
pub(super) static SCRIBE: Verb = Verb {
    does: Does::Scribe,
    name: "scribe",
    arguments: "[ARGUMENT...]",
    summary: "write to disk for the supervisor, which starts it",
    text: &[],
    options: &[],
    exits: &[],
    examples: &[],
    hidden: true,
};

/// `plan`.
pub(super) static PLAN: Verb = Verb {
    does: Does::Plan,
    name: "plan",
    arguments: "",
    summary: "read the configuration for the supervisor, which starts it",
    text: &[],
    options: &[],
    exits: &[],
    examples: &[],
    hidden: true,
};

/// `kin`.
pub(super) static KIN: Verb = Verb {
    does: Does::Kin,
    name: "kin",
    arguments: "[ARGUMENT...]",
    summary: "see which services orphans come from, for the supervisor, which starts it",
    text: &[],
    options: &[],
    exits: &[],
    examples: &[],
    hidden: true,
};

/// `probe`.
pub(super) static PROBE: Verb = Verb {
    does: Does::Probe,
    name: "probe",
    arguments: "",
    summary: "ask a service how it is for the supervisor, which starts it",
    text: &[],
    options: &[],
    exits: &[],
    examples: &[],
    hidden: true,
};

/// `cycle`.
pub(super) static CYCLE: Verb = Verb {
    does: Does::Cycle,
    name: "cycle",
    arguments: "",
    summary: "update a service for the supervisor, which starts it",
    text: &[],
    options: &[],
    exits: &[],
    examples: &[],
    hidden: true,
};
