//! The table as a man page, in the man macros that every troff knows.

use super::help::{exits_of, spelling, typed};
use super::options::{ENTRYPOINT, ENVIRONMENT, EXITS, FILES, GLOBAL, Opt};
use super::output::Output;
use super::verbs;
use crate::entrypoint;

/// Prints the page.
pub(super) fn page(out: &mut Output) {
    out.line(&format!(".TH MCP\\-INIT 8 {DATE} \"mcp\\-init {}\"", env!("CARGO_PKG_VERSION")));
    out.line(".SH NAME");
    out.line("mcp\\-init \\- a tiny PID\\-1\\-capable process supervisor for MCP servers");
    out.line(".SH SYNOPSIS");
    out.line(".B mcp\\-init\n.RB [ \\-c\n.IR DIR ]\n.RB [ \\-\\-json ]\n.I VERB\n.RI [ ARGUMENTS ]");
    out.line(&format!(".br\n.B {}", escaped(ENTRYPOINT)));
    out.line(".SH DESCRIPTION");
    text(out, DESCRIPTION);
    out.line(".SH OPTIONS");
    options(out, GLOBAL);
    out.line(".SH VERBS");
    for verb in verbs::shown() {
        out.line(&format!(".SS {}", escaped(&typed(verb))));
        let mut summary = verb.summary.to_owned();
        if let Some(first) = summary.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text(out, &format!("{summary}."));
        for paragraph in verb.text {
            out.line(".PP");
            text(out, paragraph);
        }
        options(out, verb.options);
        for (code, meaning) in exits_of(verb).iter().filter(|exit| !EXITS.contains(exit)) {
            tagged(out, &format!("exit code {code}"), meaning);
        }
        for (typed, meaning) in verb.examples {
            out.line(".PP\n.EX");
            out.line(&format!("    {}", escaped(typed)));
            out.line(".EE");
            tagged_text(out, meaning);
        }
    }
    out.line(".SH ENTRYPOINT\n.EX");
    for line in entrypoint::USAGE.lines() {
        out.line(if line.is_empty() { "\\&".into() } else { escaped(line) }.as_str());
    }
    out.line(".EE");
    section(out, "EXIT STATUS", EXITS.iter().map(|(code, meaning)| (code.to_string(), *meaning)));
    section(out, "ENVIRONMENT", ENVIRONMENT.iter().map(|(name, meaning)| ((*name).to_owned(), *meaning)));
    section(out, "FILES", FILES.iter().map(|(path, meaning)| ((*path).to_owned(), *meaning)));
    out.line(".SH SEE ALSO\n.BR mcp\\-runner (1)");
}

/// When the page's words were last changed.
const DATE: &str = "2026-11-21";

/// Lines of the source are broken before this column, as troff's checkers like it.
const COLUMNS: usize = 78;

/// What it is, at length.
const DESCRIPTION: &str = "mcp-init starts services, each a process group of its own, reaps everything, \
    starts again what fails, asks each how it is, and keeps what it knows in flat files. A service is one JSON \
    file in services.d of the configuration: an MCP server made from an OpenAPI document, or any other program.";

/// A section of pairs.
fn section(out: &mut Output, title: &str, pairs: impl Iterator<Item = (String, &'static str)>) {
    out.line(&format!(".SH {title}"));
    for (tag, meaning) in pairs {
        tagged(out, &tag, meaning);
    }
}

/// Options that people use.
fn options(out: &mut Output, options: &[Opt]) {
    for option in options.iter().filter(|option| !option.hidden) {
        tagged(out, &spelling(option), option.text);
    }
}

/// A word and what it means.
fn tagged(out: &mut Output, tag: &str, meaning: &str) {
    out.line(".TP");
    out.line(&format!(".B {}", escaped(tag)));
    tagged_text(out, meaning);
}

/// A meaning, as a sentence.
fn tagged_text(out: &mut Output, meaning: &str) {
    let mut sentence = meaning.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    text(out, &sentence);
}

/// Text, a line for each sentence, as troff likes it.
fn text(out: &mut Output, text: &str) {
    let text = escaped(text);
    let mut rest = text.as_str();
    while let Some((sentence, after)) = rest.split_once(". ") {
        line(out, sentence);
        out.text(".\n");
        rest = after;
    }
    line(out, rest);
    out.text("\n");
}

/// Text, broken at words; a dot or quote at the beginning of a line would be a macro.
fn line(out: &mut Output, text: &str) {
    let mut column = 0_usize;
    for word in text.split(' ') {
        let after = column.saturating_add(word.len()).saturating_add(1);
        if column > 0 {
            out.text(if after > COLUMNS { "\n" } else { " " });
        }
        column = if after > COLUMNS { word.len() } else { after };
        if word.starts_with(['.', '\'']) {
            out.text("\\&");
        }
        out.text(word);
    }
}

/// Backslashes and dashes as troff wants them.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_option_is_on_the_page() {
        let mut out = Output::plain();
        page(&mut out);
        let page = out.gathered();
        for verb in verbs::shown() {
            assert!(page.contains(&format!(".SS {}", escaped(&typed(verb)))), "{}", verb.name);
            for option in verb.options.iter().filter(|option| !option.hidden) {
                assert!(page.contains(&escaped(&spelling(option))), "{}", option.long);
            }
        }
        assert!(page.lines().all(|line| line == line.trim_end() && !line.is_empty()));
    }
}
