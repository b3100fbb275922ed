//! Which operations become tools: `tools.include` and `tools.exclude` of the configuration. Knows no document.

use serde::{Deserialize, Serialize};

/// A rule is about an operation when all that it says is true of it. A `*` in a text stands for any letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    /// One of its tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Words>,
    /// Its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Words>,
    /// Its method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<Words>,
    /// Its `operationId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation_id: Option<Words>,
    /// Whether it is deprecated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deprecated: Option<bool>,
}

/// One text or several, of which one must fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Words {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Words {
    /// Whether one of them fits.
    fn fit(&self, text: &str) -> bool {
        match self {
            Self::One(pattern) => fits(pattern, text),
            Self::Many(patterns) => patterns.iter().any(|pattern| fits(pattern, text)),
        }
    }
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// Its tags.
    pub(super) tags: &'a [&'a str],
    /// Its path.
    pub(super) path: &'a str,
    /// Its method, in capitals.
    pub(super) method: &'a str,
    /// Its `operationId`; empty when it has none.
    pub(super) operation_id: &'a str,
    /// Whether it is deprecated.
    pub(super) deprecated: bool,
}

/// The rules of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// Where there are any, an operation needs one of these.
    #[serde(default)]
    pub(crate) include: Vec<Rule>,
    /// An operation with one of these is left out, whatever else is said.
    #[serde(default)]
    pub(crate) exclude: Vec<Rule>,
}

impl Filter {
    /// Whether an operation becomes a tool.
    pub(super) fn keeps(&self, facts: Facts<'_>) -> bool {
        let is_included = self.include.is_empty() || self.include.iter().any(|rule| rule.is_about(facts));
        is_included && !self.exclude.iter().any(|rule| rule.is_about(facts))
    }
}

impl Rule {
    /// Whether all that it says is true.
    fn is_about(&self, facts: Facts<'_>) -> bool {
        let fit = |words: &Option<Words>, text: &str| words.as_ref().is_none_or(|words| words.fit(text));
        self.tag.as_ref().is_none_or(|words| facts.tags.iter().any(|tag| words.fit(tag)))
            && fit(&self.path, facts.path)
            && self
                .method
                .as_ref()
                .is_none_or(|words| words.fit(facts.method) || words.fit(&facts.method.to_ascii_lowercase()))
            && fit(&self.operation_id, facts.operation_id)
            && self.deprecated.is_none_or(|deprecated| deprecated == facts.deprecated)
    }
}

/// Whether a text fits a pattern, in which `*` stands for any letters. Case counts.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let end = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = text.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, text) in
            [("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*b*c", "a/x/b/y/c"), ("/pets/*", "/pets/{id}")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*b", "a"), ("a*ab", "ab"), ("*b*", "ac"), ("Get*", "get")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn rules_say_all_of_what_they_say() {
        let filter = |include, exclude| {
            serde_json::from_value::<Filter>(json!({"include": include, "exclude": exclude})).unwrap()
        };
        let get = Facts {
            tags: &["pets", "cats"],
            path: "/pets/{id}",
            method: "GET",
            operation_id: "getPet",
            deprecated: false,
        };
        assert!(filter(json!([]), json!([])).keeps(get));
        assert!(filter(json!([{"tag": "cats", "method": "get"}]), json!([])).keeps(get));
        assert!(
            !filter(json!([{"tag": "dogs"}, {"tag": "pets", "method": ["PUT", "POST"]}]), json!([]))
                .keeps(get)
        );
        assert!(!filter(json!([{"path": "/pets*"}]), json!([{"operationId": "*Pet"}])).keeps(get));
        assert!(filter(json!([]), json!([{"deprecated": true}])).keeps(get));
        assert!(!filter(json!([]), json!([{"deprecated": true}])).keeps(Facts { deprecated: true, ..get }));
        assert!(serde_json::from_value::<Rule>(json!({"tags": "x"})).is_err());
    }
}
