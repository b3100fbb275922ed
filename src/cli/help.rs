//! The table as help for a person at a terminal. The table itself is in `verbs` and `options`.

use super::arguments::Invocation;
use super::failure::{Failure, OK};
use super::man;
use super::options::{ENTRYPOINT, ENVIRONMENT, EXITS, FILES, Flag, GLOBAL, Opt};
use super::output::{Output, Style};
use super::verbs::{self, Verb};
use crate::config::nearest;

/// Text is broken before this column.
const COLUMNS: usize = 80;

/// Explanations begin at this column at the latest.
const LEFT_COLUMNS_MAX: usize = 26;

/// `help [VERB]`.
pub(super) fn answer(invocation: &Invocation, out: &mut Output) -> Result<u8, Failure> {
    if invocation.has(Flag::Man) {
        man::page(out);
        return Ok(OK);
    }
    if invocation.json() {
        out.json(&verbs::shown().collect::<Vec<_>>())?;
        return Ok(OK);
    }
    let Some(name) = invocation.operands.first() else {
        overview(out);
        return Ok(OK);
    };
    let name = name.to_string_lossy();
    let Some(verb) = verbs::find(&name) else {
        let hint = match nearest(&name, verbs::shown().map(|verb| verb.name)) {
            Some(near) => format!("; the nearest name is \"{near}\""),
            None => String::new(),
        };
        return Err(Failure::usage(format!("cannot explain \"{name}\": no such verb{hint}")));
    };
    about(verb, out);
    Ok(OK)
}

/// All verbs.
pub(super) fn overview(out: &mut Output) {
    out.line("mcp-init: a tiny PID-1-capable process supervisor for MCP servers");
    heading(out, "Usage");
    out.line("  mcp-init [-c DIR] [--json] VERB [ARGUMENTS]");
    out.line(&format!("  {ENTRYPOINT}"));
    heading(out, "Verbs");
    let verbs: Vec<_> = verbs::shown().map(|verb| (typed(verb), verb.summary.to_owned())).collect();
    pairs(out, &verbs);
    heading(out, "Options of every verb");
    pairs(out, &options(GLOBAL));
    heading(out, "Exit codes");
    pairs(out, &exits(EXITS));
    heading(out, "Environment");
    pairs(out, &owned(ENVIRONMENT));
    heading(out, "Files (as root; a user's are below XDG_CONFIG_HOME, XDG_RUNTIME_DIR, XDG_STATE_HOME)");
    pairs(out, &owned(FILES));
    out.text("\n\"mcp-init help VERB\" explains a verb, \"mcp-init help --man\" prints the man page,\n\"mcp-init --\" the options before a command.\n");
}

/// One verb.
pub(super) fn about(verb: &Verb, out: &mut Output) {
    out.line(&format!("mcp-init {}: {}", verb.name, verb.summary));
    heading(out, "Usage");
    let options_mark = if verb.options.iter().any(|option| !option.hidden) { " [OPTIONS]" } else { "" };
    out.line(&format!("  mcp-init {}{options_mark}", typed(verb)));
    for paragraph in verb.text {
        out.text("\n");
        wrapped(out, paragraph, 0);
    }
    heading(out, "Options");
    let mut shown = options(verb.options);
    shown.extend(options(GLOBAL));
    pairs(out, &shown);
    heading(out, "Exit codes");
    pairs(out, &exits(&exits_of(verb)));
    if !verb.examples.is_empty() {
        heading(out, "Examples");
        pairs(out, &owned(verb.examples));
    }
}

/// A verb and what may follow it.
pub(super) fn typed(verb: &Verb) -> String {
    let space = if verb.arguments.is_empty() { "" } else { " " };
    format!("{}{space}{}", verb.name, verb.arguments)
}

/// What a verb may end with: the common codes, and its own in their place.
pub(super) fn exits_of(verb: &Verb) -> Vec<(u8, &'static str)> {
    let mut all: Vec<_> = verb.exits.to_vec();
    all.extend(EXITS.iter().filter(|(code, _)| !verb.exits.iter().any(|(own, _)| own == code)));
    all.sort_unstable_by_key(|(code, _)| *code);
    all
}

/// How an option is typed.
pub(super) fn spelling(option: &Opt) -> String {
    let short = option.short.map_or(String::new(), |short| format!("-{short}, "));
    let value = option.value.map_or(String::new(), |value| format!(" {value}"));
    format!("{short}--{}{value}", option.long)
}

/// Options for `pairs`.
fn options(options: &[Opt]) -> Vec<(String, String)> {
    let shown = options.iter().filter(|option| !option.hidden);
    shown.map(|option| (spelling(option), option.text.to_owned())).collect()
}

/// Exit codes for `pairs`.
fn exits(exits: &[(u8, &str)]) -> Vec<(String, String)> {
    exits.iter().map(|(code, text)| (code.to_string(), (*text).to_owned())).collect()
}

/// Other things for `pairs`.
fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(left, right)| ((*left).to_owned(), (*right).to_owned())).collect()
}

/// A heading, with a line before it.
fn heading(out: &mut Output, text: &str) {
    out.text("\n");
    out.styled(Style::Bold, text);
    out.text("\n");
}

/// Two columns; what is too long for the left one has its explanation below.
fn pairs(out: &mut Output, pairs: &[(String, String)]) {
    let fitting = pairs.iter().map(|(left, _)| left.len()).filter(|length| *length <= LEFT_COLUMNS_MAX);
    let width = fitting.max().unwrap_or(4);
    let indent = width.saturating_add(4);
    for (left, right) in pairs {
        if left.len() > width {
            out.text(&format!("  {left}\n"));
            out.text(&" ".repeat(indent));
        } else {
            out.text(&format!("  {left:width$}  "));
        }
        wrapped(out, right, indent);
    }
}

/// Text broken at words; the first line continues the present one.
fn wrapped(out: &mut Output, text: &str, indent: usize) {
    let mut column = indent;
    for (number, word) in text.split_whitespace().enumerate() {
        let after = column.saturating_add(word.len()).saturating_add(1);
        if number > 0 && after > COLUMNS {
            out.text(&format!("\n{:indent$}", ""));
            column = indent;
        } else if number > 0 {
            out.text(" ");
            column = column.saturating_add(1);
        }
        out.text(word);
        column = column.saturating_add(word.len());
    }
    out.text("\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verbs_help_is_as_it_always_was() {
        let mut out = Output::plain();
        about(verbs::find("stop").unwrap(), &mut out);
        assert_eq!(
            out.gathered(),
            "\
mcp-init stop: stop services and wait until nothing of them is left

Usage
  mcp-init stop SERVICE... [OPTIONS]

A service is stopped when its whole process group is gone. What does not end
within its stop timeout is killed. A stopped service stays stopped until it is
started again.

Options
  --all             every service
  --no-wait         do not wait until it is done
  --timeout TIME    wait no longer than this (30s, 2m)
  -c, --config DIR  folder of the configuration
  --json            print JSON, for programs
  -h, --help        explain the verb
  -V, --version     print the version

Exit codes
  0   done
  1   not done; one line on standard error says why
  4   no such service, or this user may not
  64  the command line makes no sense
  69  there is no supervisor, or it does not answer
  77  a file may not be read
  78  the configuration has a problem

Examples
  mcp-init stop pets --timeout 5s
                   wait five seconds at most
"
            .replace("\n                   wait", "\n        wait")
        );
    }

    #[test]
    fn the_readme_says_the_same() {
        let readme = include_str!("../../README.md");
        for verb in verbs::shown() {
            let row = format!("| `{}` | {} |\n", typed(verb), verb.summary);
            assert!(readme.contains(&row), "{row}");
        }
        let names = ENVIRONMENT.iter().flat_map(|(names, _)| names.split(", "));
        for name in names.filter(|name| !name.starts_with("XDG_CONFIG")) {
            assert!(readme.contains(name), "{name}");
        }
    }

    #[test]
    fn every_verb_is_explained_within_the_width() {
        let mut out = Output::plain();
        overview(&mut out);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for verb in verbs::shown() {
            assert!(words(out.gathered()).contains(verb.summary), "{}", verb.name);
        }
        for verb in verbs::shown() {
            about(verb, &mut out);
        }
        for line in out.gathered().lines() {
            assert!(line.len() <= 88, "{line}");
            assert_eq!(line, line.trim_end());
        }
        assert!(!out.gathered().contains("settled\n"));
    }
}
