//! The rules of the house, held by reading the sources: who imports whom, the eight crates, where `unsafe` may
//! stand, how long a file gets. No program is run here but `cargo metadata`.

#![allow(
    clippy::missing_docs_in_private_items,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "tests: a panic is how they speak"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rooms of the supervisor, leftmost first: each may use those to its right.
const ROOMS: [&str; 9] =
    ["cli", "entrypoint", "supervisor", "update", "control", "scribe", "probe", "config", "life"];

/// The crates of the supervisor, all of them.
const CRATES: [&str; 8] =
    ["libc", "log", "mio", "nix", "serde", "serde_json", "signal-hook", "simple_logger"];

/// Longest file, in lines.
const LINES_MAX: usize = 400;

/// A source file: where it is under the root, and what it says.
struct Source {
    /// Path under the root of the checkout.
    path: String,
    /// The whole text.
    text: String,
}

impl Source {
    /// Lines of code with their numbers: no comments, no text within quotes.
    fn code(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, bare(line)))
    }

    /// The room of the supervisor it is in.
    fn room(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
    }
}

/// A line without its comment and without what stands in quotes.
fn bare(line: &str) -> String {
    let mut kept = String::new();
    let mut quoted = false;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if !quoted && line[at..].starts_with("//") {
            break;
        }
        if letter == '"' && before != '\\' && !line[at..].starts_with("\"'") {
            quoted = !quoted;
        } else if !quoted {
            kept.push(letter);
        }
        before = letter;
    }
    kept
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `folders`.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> =
        folders.iter().map(|folder| root().join(folder)).filter(|path| path.exists()).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let hidden = ["node_modules", "target"];
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .filter(|path| !hidden.contains(&path.file_name().unwrap().to_str().unwrap())),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found
                .push(Source { path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

/// What a line takes from the crate: the first name behind each `crate::`, and those of `use crate::{a, b}`.
fn taken(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '$') {
            continue;
        }
        let rest = &code[at + found.len()..];
        let first = |text: &str| -> String {
            text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            Some(group) => names.extend(top_level(group).iter().map(|part| first(part))),
            None => names.push(first(rest)),
        }
    }
    names
}

/// The comma-separated parts of an opened `{…}`, nested ones left whole.
fn top_level(group: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ if depth == 0 => parts.last_mut().unwrap().push(letter),
            _ => {}
        }
    }
    parts
}

#[test]
fn imports_run_one_way() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        let Some(room) = source.room() else { continue };
        // `use crate::{…}` may span lines: read the file as one.
        let code: String = source.code().map(|(_, line)| line + " ").collect();
        for name in taken(&code) {
            let allowed = match (room, name.as_str()) {
                (from, to) if from == to => true,
                // The nouns of a life (how it ended, what to do to it) are what `sys` speaks in.
                ("sys", to) => to == "life",
                ("life", _) => false,
                ("config", "sys") => source.path != "src/config/plan.rs",
                (_, "sys" | "channel") => true,
                (from, to) => matches!((rank(from), rank(to)), (Some(from), Some(to)) if from < to),
            };
            if !allowed {
                faults.push(format!("{}: {room} must not use crate::{name}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "imports run {}:\n{}", ROOMS.join(" → "), faults.join("\n"));
}

#[test]
fn the_supervisor_has_the_eight_crates() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|package| package["name"] == "mcp-init")
        .unwrap();
    let direct: BTreeSet<&str> = package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect();
    assert_eq!(direct, BTreeSet::from(CRATES));
}

#[test]
fn every_crate_of_the_runner_has_a_reason() {
    let manifest = fs::read_to_string(root().join("runner/Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let bare: Vec<&str> = dependencies
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.contains(" = ") && !line.contains('#') && !line.starts_with("serde"))
        .collect();
    assert!(bare.is_empty(), "no reason is given for {bare:?}");
}

#[test]
fn unsafe_stands_in_sys_only() {
    let mut faults = Vec::new();
    for source in sources(&["src", "runner/src"]) {
        // A descriptor passed by number, and the allocator, have no safe interface.
        let allowed = ["runner/src/channel.rs"];
        if source.path.starts_with("src/sys/") || allowed.contains(&source.path.as_str()) {
            continue;
        }
        for (number, code) in source.code() {
            let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            if words.into_iter().any(|word| word == "unsafe" || word == "unsafe_code") {
                faults.push(format!("{}:{number}: {}", source.path, code.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "unsafe outside src/sys:\n{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_say_first_what_lives_there() {
    let mut faults = Vec::new();
    for source in sources(&["src", "runner/src", "runner/tests", "tests"]) {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{}: {lines} lines, at most {LINES_MAX}", source.path));
        }
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}: its first line does not say what lives there", source.path));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_for_later_and_every_room_has_a_name() {
    let later = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let nameless = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];
    let mut faults = Vec::new();
    for source in sources(&["src", "runner/src", "runner/tests", "tests"]) {
        for (index, line) in source.text.lines().enumerate() {
            if later.iter().any(|word| line.contains(word.as_str())) {
                faults.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
        if source.path.split(['/', '.']).any(|part| nameless.contains(&part)) {
            faults.push(format!("{}: a name that says nothing", source.path));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_reader_of_these_rules_sees_what_it_should() {
    assert_eq!(bare(r#"let a = "unsafe // no"; // crate::sys"#), "let a = ; ");
    assert_eq!(
        taken("use crate::{sys::Pid, life, config::{plan}}; crate::cli::run(); my_crate::x"),
        ["sys", "life", "config", "cli"]
    );
}
