//! `cleanup` of `mcp-init.json`: how long what is old is kept, and how much of it. Nothing is removed here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::item::Item;
use super::keys::SOME;

/// Keys of `cleanup`.
pub(super) const KEYS: [&str; 2] = ["maxAge", "maxTotal"];

/// What is older than this goes.
const MAX_AGE: Duration = Duration::from_hours(30 * 24);

/// More than this is not kept: the oldest goes first.
const MAX_TOTAL: u64 = 1024 * 1024 * 1024;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cleanup {
    /// How long.
    pub(crate) max_age: Duration,
    /// How many bytes.
    pub(crate) max_total: u64,
}

impl Default for Cleanup {
    fn default() -> Self {
        Self { max_age: MAX_AGE, max_total: MAX_TOTAL }
    }
}

/// `cleanup`
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Cleanup {
    let mut cleanup = Cleanup::default();
    for item in item.members(problems) {
        match item.key {
            "maxAge" => cleanup.max_age = item.duration(problems, SOME).unwrap_or(MAX_AGE),
            "maxTotal" => cleanup.max_total = item.size(problems).unwrap_or(MAX_TOTAL),
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }
    cleanup
}
