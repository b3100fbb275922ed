//! What belongs to `openApiData`: which operations become tools and how they are listed, changes to the document,
//! and where copies of it are kept. Checked here, done by the runner.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::document::{can_read, reason};
use super::error::Problems;
use super::item::{Choice, Item};
use super::server::{Plain, is_url};

/// Keys of `tools`.
pub(super) const TOOLS: [&str; 3] = ["mode", "include", "exclude"];

/// Keys of one of its rules.
pub(super) const RULE: [&str; 5] = ["tag", "path", "method", "operationId", "deprecated"];

/// Values of `tools.mode`.
const MODE: Choice<&str> =
    Choice { known: &[("auto", "auto"), ("all", "all"), ("search", "search")], later: &[] };

/// Most rules, and most patterns of one.
const RULES_MAX: usize = 1000;

/// Longest pattern, in characters.
const PATTERN_CHARS_MAX: usize = 1024;

/// Most overlays.
const OVERLAYS_MAX: usize = 100;

/// `tools`, as a runner is told of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tools<'a> {
    /// `auto` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    /// Where there are any, an operation needs one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<Rule<'a>>,
    /// An operation with one of these is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<Rule<'a>>,
}

/// A rule: what it says by its keys.
type Rule<'a> = BTreeMap<&'a str, Said<'a>>;

/// What a rule says under one key.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Said<'a> {
    /// One of these fits.
    Patterns(Vec<Plain<'a>>),
    /// It is so, or not.
    Truth(bool),
}

/// `tools`
pub(super) fn tools<'a>(item: &Item<'a>, problems: &mut Problems) -> Tools<'a> {
    let mut tools = Tools::default();
    for item in item.members(problems) {
        match item.key {
            "mode" => tools.mode = item.choice(problems, &MODE),
            "include" => tools.include = rules(&item, problems),
            "exclude" => tools.exclude = rules(&item, problems),
            _ => item.unknown(problems, &TOOLS, &[]),
        }
    }
    tools
}

/// `tools.include` and `tools.exclude`
fn rules<'a>(item: &Item<'a>, problems: &mut Problems) -> Vec<Rule<'a>> {
    let mut rules = Vec::new();
    for item in item.items(problems, RULES_MAX).unwrap_or_default() {
        let mut rule = Rule::new();
        for item in item.members(problems) {
            let said = match item.key {
                "deprecated" => item.boolean(problems).map(Said::Truth),
                key if RULE.contains(&key) => Some(Said::Patterns(patterns(&item, problems))),
                _ => {
                    item.unknown(problems, &RULE, &[]);
                    None
                }
            };
            rule.extend(said.map(|said| (item.key, said)));
        }
        rules.push(rule);
    }
    rules
}

/// One pattern, or a list of them.
fn patterns<'a>(item: &Item<'a>, problems: &mut Problems) -> Vec<Plain<'a>> {
    let items = if item.is_list() { item.items(problems, RULES_MAX).unwrap_or_default() } else { Vec::new() };
    let all = if item.is_list() { &items[..] } else { std::slice::from_ref(item) };
    all.iter().filter_map(|item| item.line(problems, 1..=PATTERN_CHARS_MAX)).map(Plain).collect()
}

/// `overlay`: overlays themselves, paths and URLs, the paths made absolute.
pub(super) fn overlays(item: &Item<'_>, problems: &mut Problems) -> Vec<Box<RawValue>> {
    let items =
        if item.is_list() { item.items(problems, OVERLAYS_MAX).unwrap_or_default() } else { Vec::new() };
    let all = if item.is_list() { &items[..] } else { std::slice::from_ref(item) };
    all.iter().filter_map(|item| overlay(item, problems)).collect()
}

/// One of them.
fn overlay(item: &Item<'_>, problems: &mut Problems) -> Option<Box<RawValue>> {
    if let Some(text) = item.opaque() {
        return RawValue::from_string(text.to_owned()).ok();
    }
    let is_line = |text: &str| !text.is_empty() && !text.chars().any(|c| c < ' ' || c == '\u{7f}');
    let text = item.matching(problems, "an object, a path or a URL", is_line)?;
    if text.starts_with("http://") || text.starts_with("https://") {
        return item
            .matching(problems, "an http or https URL", is_url)
            .and_then(|url| to_raw_value(&Plain(url)).ok());
    }
    let path = item.path(problems)?;
    if let Err(error) = can_read(&path) {
        item.wrong(problems, &format!("cannot read the overlay: {}", reason(&error)));
        return None;
    }
    path.to_str().and_then(|path| to_raw_value(&Plain(path)).ok())
}
