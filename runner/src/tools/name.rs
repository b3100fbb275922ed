//! Names of tools and of their arguments: what clients accept, unique, the same in every run.

use std::collections::HashSet;

use crate::hash;

/// Longest name of a tool, and of an argument, that every client accepts.
pub(super) const CHARS_MAX: usize = 64;

/// Names given so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each of them.
    taken: HashSet<Box<str>>,
}

impl Names {
    /// The name of a tool: its `operationId`, else its method and path, in the letters clients accept. Who
    /// comes second or is too long gets a hash of what it stands for, which does not depend on its
    /// neighbours.
    pub(super) fn tool(&mut self, id: Option<&str>, label: &str) -> Box<str> {
        let plain = id.map(|id| plain(id, is_tool_char)).filter(|name| !name.is_empty());
        let plain = plain.unwrap_or_else(|| {
            let (method, path) = label.split_once(' ').unwrap_or_default();
            plain_path(method, path)
        });
        self.unique(&plain, label)
    }

    /// The name of an argument; `place` is where it goes, for the second of two with one name.
    pub(super) fn argument(&mut self, wire: &str, place: &str) -> Box<str> {
        let plain = plain(wire, |c| is_tool_char(c) || c == '.');
        let plain = if plain.is_empty() { "argument".to_owned() } else { plain };
        if self.taken.contains(plain.as_str()) {
            return self.unique(&format!("{plain}_{place}"), wire);
        }
        self.unique(&plain, wire)
    }

    /// Whether somebody has this name.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// The name itself, or with a hash of `identity`, cut to its length.
    fn unique(&mut self, plain: &str, identity: &str) -> Box<str> {
        if plain.len() <= CHARS_MAX && self.taken.insert(plain.into()) {
            return plain.into();
        }
        // A second hash is needed only when two identities of one name share their first.
        let mut hash = hash::of(identity.as_bytes());
        loop {
            let suffix = format!("_{:08x}", hash >> 32);
            let kept = plain.get(..plain.len().min(CHARS_MAX - suffix.len())).unwrap_or_default();
            let name = format!("{}{suffix}", kept.trim_end_matches('_'));
            if self.taken.insert(name.as_str().into()) {
                return name.into();
            }
            hash = hash::more(hash, b"again");
        }
    }
}

/// A letter of a tool's name.
fn is_tool_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// A text in allowed letters: each run of others becomes one underscore, none at the ends.
fn plain(text: &str, is_allowed: impl Fn(char) -> bool) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_allowed(c) {
            plain.push(c);
        } else if !plain.ends_with('_') {
            plain.push('_');
        }
    }
    let is_clean = text.chars().all(&is_allowed);
    if is_clean { plain } else { plain.trim_matches('_').to_owned() }
}

/// `get_pets_id` for `GET /pets/{id}`.
fn plain_path(method: &str, path: &str) -> String {
    let path = plain(path.trim_matches('/'), is_tool_char);
    let method = method.to_ascii_lowercase();
    if path.is_empty() { method } else { format!("{method}_{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_become_names() {
        let mut names = Names::default();
        assert_eq!(&*names.tool(Some("repos/list-for-org"), "GET /orgs/{org}/repos"), "repos_list-for-org");
        assert_eq!(&*names.tool(Some("__keep__"), "GET /k"), "__keep__");
        assert_eq!(&*names.tool(Some("日本"), "GET /nihon/{id}"), "get_nihon_id");
        assert_eq!(&*names.tool(None, "POST /a/b.json/"), "post_a_b_json");
        assert_eq!(&*names.tool(None, "GET /"), "get");
    }

    #[test]
    fn names_are_unique_and_stable() {
        let run = || {
            let mut names = Names::default();
            let long = "x".repeat(70);
            let all: Vec<_> =
                [("a", "GET /1"), ("a", "GET /2"), ("a", "GET /2"), (&long, "GET /3"), (&long, "GET /4")]
                    .into_iter()
                    .map(|(id, label)| names.tool(Some(id), label))
                    .collect();
            all
        };
        let names = run();
        assert_eq!(names, run());
        assert_eq!(&*names[0], "a");
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(names.iter().all(|name| (1..=64).contains(&name.len()) && name.chars().all(is_tool_char)));
    }

    #[test]
    fn arguments_of_one_name_are_told_apart() {
        let mut names = Names::default();
        assert_eq!(&*names.argument("id", "path"), "id");
        assert_eq!(&*names.argument("id", "query"), "id_query");
        assert_eq!(&*names.argument("filter[name]", "query"), "filter_name");
        assert_eq!(&*names.argument("X-Trace.Id", "header"), "X-Trace.Id");
        assert_eq!(&*names.argument("$", "query"), "argument");
    }
}
