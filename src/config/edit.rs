//! A file's text, changed at one place: what a person wrote around it stays as it is. No file is written here.

use super::json::{self, Kind, Member, Node};

/// The key that says whether a service runs.
const ENABLED: &str = "enabled";

/// The text of a service's file with `enabled` set; `None` when it is no JSON object.
pub(crate) fn with_enabled(text: &str, enabled: bool) -> Option<String> {
    let root = json::parse(text).ok()?;
    let Kind::Object(members) = &root.kind else { return None };
    match members.iter().find(|member| &*member.key == ENABLED) {
        Some(Member { value, .. }) => {
            let before = text.get(..value.at)?;
            let after = text.get(value.at..)?.get(length(text, value)?..)?;
            Some(format!("{before}{enabled}{after}"))
        }
        None => Some(with_member(text, &root, members, enabled)?),
    }
}

/// The text with the member as the object's first, set as the one that was first is.
fn with_member(text: &str, root: &Node, members: &[Member], enabled: bool) -> Option<String> {
    let inside = root.at.checked_add(1)?;
    let (before, after) = (text.get(..inside)?, text.get(inside..)?);
    Some(match members.first() {
        None => format!("{before} \"{ENABLED}\": {enabled} }}{}", after.trim_start().strip_prefix('}')?),
        Some(first) => {
            let blanks = text.get(inside..first.at)?;
            let between = if blanks.is_empty() { " " } else { blanks };
            format!("{before}{blanks}\"{ENABLED}\": {enabled},{between}{}", text.get(first.at..)?)
        }
    })
}

/// How many bytes a scalar takes up.
fn length(text: &str, value: &Node) -> Option<usize> {
    let rest = text.get(value.at..)?;
    if !rest.starts_with('"') {
        return rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
    }
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at.checked_add(1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_changed_where_it_stands() {
        for (before, after) in [
            ("{ \"enabled\": true, \"a\": 1 }", "{ \"enabled\": false, \"a\": 1 }"),
            ("{\"a\":1,\"enabled\":false}", "{\"a\":1,\"enabled\":false}"),
            ("{ \"enabled\" : \"${A\\\"}\" }\n", "{ \"enabled\" : false }\n"),
        ] {
            assert_eq!(with_enabled(before, false).as_deref(), Some(after));
        }
    }

    #[test]
    fn a_missing_value_is_put_first_in_the_style_of_the_others() {
        for (before, after) in [
            ("{\n  \"a\": 1\n}\n", "{\n  \"enabled\": true,\n  \"a\": 1\n}\n"),
            ("{\"a\":1}", "{\"enabled\": true, \"a\":1}"),
            ("{ \"a\": 1 }", "{ \"enabled\": true, \"a\": 1 }"),
            ("\u{feff}{}\n", "\u{feff}{ \"enabled\": true }\n"),
        ] {
            assert_eq!(with_enabled(before, true).as_deref(), Some(after));
        }
    }

    #[test]
    fn what_is_no_object_is_not_changed() {
        for text in ["", "[]", "{", "1", "{\"a\"}"] {
            assert_eq!(with_enabled(text, true), None, "{text}");
        }
    }
}
