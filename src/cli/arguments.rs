//! What was typed becomes a verb, its options and its operands, by the table in `verbs`. What they mean is
//! the verb's own business.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::failure::Failure;
use super::options::{Flag, GLOBAL, Opt};
use super::verbs::{self, Verb};
use crate::config::nearest;

/// A command line that makes sense as far as the table knows.
#[derive(Debug)]
pub(super) struct Invocation {
    /// The verb.
    pub(super) verb: &'static Verb,
    /// Options in the order typed, with their values.
    pub(super) options: Vec<(Flag, OsString)>,
    /// What is neither verb nor option.
    pub(super) operands: Vec<OsString>,
}

impl Invocation {
    /// Whether an option was given.
    pub(super) fn has(&self, flag: Flag) -> bool {
        self.options.iter().any(|(given, _)| *given == flag)
    }

    /// The value of an option; the last one counts.
    pub(super) fn value(&self, flag: Flag) -> Option<&OsStr> {
        self.options.iter().rev().find(|(given, _)| *given == flag).map(|(_, value)| value.as_os_str())
    }

    /// `-c DIR`.
    pub(super) fn config(&self) -> Option<PathBuf> {
        self.value(Flag::Config).map(PathBuf::from)
    }

    /// `--json`.
    pub(super) fn json(&self) -> bool {
        self.has(Flag::Json)
    }

    /// The operands as names of services. A name that is no text can be no service's.
    pub(super) fn names(&self) -> Result<Vec<Box<str>>, Failure> {
        self.operands
            .iter()
            .map(|operand| match operand.to_str() {
                Some(name) => Ok(Box::from(name)),
                None => {
                    Err(Failure::usage(format!("cannot read service {}: it is no text", operand.display())))
                }
            })
            .collect()
    }

    /// The one operand that the verb needs.
    pub(super) fn only_name(&self) -> Result<Box<str>, Failure> {
        let mut names = self.names()?.into_iter();
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(name),
            _ => Err(Failure::usage(format!(
                "cannot read the command line: {0} takes one service; \"mcp-init help {0}\" says more",
                self.verb.name
            ))),
        }
    }
}

/// Reads a command line (without the program's name). As PID 1, what is no command is a kernel's argument
/// and ignored; `None` is no verb at all.
pub(super) fn read(arguments: &[OsString], pid_1: bool) -> Result<Option<Invocation>, Failure> {
    match parse(arguments) {
        Ok(None) if pid_1 => Ok(Some(as_init(arguments))),
        Err(_) if pid_1 && first_word(arguments).is_none_or(|word| verbs::find(word).is_none()) => {
            Ok(Some(as_init(arguments)))
        }
        result => result,
    }
}

/// The first argument that is no option.
fn first_word(arguments: &[OsString]) -> Option<&str> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "-c" || argument == "--config" {
            rest.next();
        } else if !argument.as_bytes().starts_with(b"-") {
            return argument.to_str();
        }
    }
    None
}

/// `run`, with the configuration if one is named and nothing else: a kernel hands its init all the words it
/// has no use for itself.
fn as_init(arguments: &[OsString]) -> Invocation {
    let mut options = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "-c" || argument == "--config" {
            options.extend(rest.next().map(|value| (Flag::Config, value.clone())));
        } else if let Some(value) = argument.as_bytes().strip_prefix(b"--config=") {
            options.push((Flag::Config, OsString::from_vec(value.to_vec())));
        }
    }
    Invocation { verb: &verbs::RUN, options, operands: Vec::new() }
}

/// Reads strictly: everything must be in the table.
fn parse(arguments: &[OsString]) -> Result<Option<Invocation>, Failure> {
    let mut verb: Option<&'static Verb> = None;
    let mut options = Vec::new();
    let mut operands = Vec::new();
    let mut rest = arguments.iter();
    let mut options_end = false;
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        if !options_end && bytes == b"--" {
            options_end = true;
        } else if !options_end && let Some(long) = bytes.strip_prefix(b"--") {
            options.push(read_long(long, verb, &mut rest)?);
        } else if !options_end
            && bytes.len() > 1
            && let Some(short) = bytes.strip_prefix(b"-")
        {
            read_short(short, verb, &mut rest, &mut options)?;
        } else if verb.is_none() {
            verb = Some(known_verb(argument)?);
        } else {
            operands.push(argument.clone());
        }
    }
    let question = options.iter().find(|(flag, _)| matches!(flag, Flag::Version | Flag::Help));
    let verb = match (verb, question) {
        (Some(verb), _) => verb,
        (None, Some((Flag::Version, _))) => &verbs::VERSION,
        (None, Some(_)) => &verbs::HELP,
        (None, None) => return Ok(None),
    };
    if !verb.takes_operands()
        && let Some(operand) = operands.first()
    {
        let text = format!("cannot read \"{}\": {} takes no arguments", operand.display(), verb.name);
        return Err(Failure::usage(text));
    }
    Ok(Some(Invocation { verb, options, operands }))
}

/// The verb of this name.
fn known_verb(word: &OsStr) -> Result<&'static Verb, Failure> {
    let name = word.to_string_lossy();
    verbs::find(&name).ok_or_else(|| {
        let hint = match nearest(&name, verbs::shown().map(|verb| verb.name)) {
            Some(near) => format!("the nearest name is \"{near}\""),
            None => "\"mcp-init help\" lists them".to_owned(),
        };
        Failure::usage(format!("cannot do \"{name}\": no such verb; {hint}"))
    })
}

/// The options a verb knows: the global ones and its own.
fn known(verb: Option<&'static Verb>) -> impl Iterator<Item = &'static Opt> {
    GLOBAL.iter().chain(verb.map_or(&[][..], |verb| verb.options))
}

/// `--name`, `--name=value`, `--name value`.
fn read_long<'a>(
    typed: &[u8],
    verb: Option<&'static Verb>,
    rest: &mut impl Iterator<Item = &'a OsString>,
) -> Result<(Flag, OsString), Failure> {
    let mut parts = typed.splitn(2, |byte| *byte == b'=');
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let given = parts.next().map(|value| OsString::from_vec(value.to_vec()));
    let Some(option) = known(verb).find(|option| option.long == name) else {
        return Err(unknown_option(&name, verb));
    };
    let value = match (option.value, given) {
        (None, None) => OsString::new(),
        (None, Some(_)) => {
            return Err(Failure::usage(format!("cannot read option \"--{name}\": it takes no value")));
        }
        (Some(_), Some(value)) => value,
        (Some(what), None) => rest.next().cloned().ok_or_else(|| no_value(&format!("--{name}"), what))?,
    };
    Ok((option.flag, value))
}

/// `-f`, `-fn 20`, `-n20`.
fn read_short<'a>(
    typed: &[u8],
    verb: Option<&'static Verb>,
    rest: &mut impl Iterator<Item = &'a OsString>,
    options: &mut Vec<(Flag, OsString)>,
) -> Result<(), Failure> {
    let mut letters = typed;
    while let Some((letter, after)) = letters.split_first() {
        let letter = char::from(*letter);
        let Some(option) = known(verb).find(|option| option.short == Some(letter)) else {
            let whose = verb.map_or("mcp-init", |verb| verb.name);
            return Err(Failure::usage(format!(
                "cannot read option \"-{letter}\" of {whose}: no such option"
            )));
        };
        let Some(what) = option.value else {
            options.push((option.flag, OsString::new()));
            letters = after;
            continue;
        };
        let value = if after.is_empty() {
            rest.next().cloned().ok_or_else(|| no_value(&format!("-{letter}"), what))?
        } else {
            OsString::from_vec(after.to_vec())
        };
        options.push((option.flag, value));
        break;
    }
    Ok(())
}

/// An option came without the value it needs.
fn no_value(option: &str, what: &str) -> Failure {
    Failure::usage(format!("cannot read option \"{option}\": {what} is missing"))
}

/// An option is not in the table.
fn unknown_option(name: &str, verb: Option<&'static Verb>) -> Failure {
    let whose = verb.map_or("mcp-init", |verb| verb.name);
    let shown = known(verb).filter(|option| !option.hidden).map(|option| option.long);
    let hint =
        nearest(name, shown).map_or(String::new(), |near| format!("; the nearest name is \"--{near}\""));
    Failure::usage(format!("cannot read option \"--{name}\" of {whose}: no such option{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn typed(line: &str) -> Invocation {
        read(&words(line), false).unwrap().unwrap()
    }

    fn refused(line: &str) -> String {
        let failure = read(&words(line), false).unwrap_err();
        assert_eq!(failure.code, 64, "{line}");
        failure.text
    }

    #[test]
    fn options_go_before_and_after_the_verb_in_every_spelling() {
        for line in [
            "-c /etc/x logs pets -fn 20",
            "logs pets --config=/etc/x -f -n20",
            "-c/etc/x logs -f --lines 20 pets",
        ] {
            let read = typed(line);
            assert_eq!(read.verb.name, "logs", "{line}");
            assert_eq!(read.config(), Some(PathBuf::from("/etc/x")), "{line}");
            assert!(read.has(Flag::Follow), "{line}");
            assert_eq!(read.value(Flag::Lines), Some(OsStr::new("20")), "{line}");
            assert_eq!(&*read.only_name().unwrap(), "pets", "{line}");
        }
    }

    #[test]
    fn two_dashes_end_the_options() {
        let read = typed("status -- --json");
        assert!(!read.json());
        assert_eq!(read.operands, ["--json"]);
    }

    #[test]
    fn a_question_alone_is_a_verb() {
        assert_eq!(typed("--version").verb.name, "version");
        assert_eq!(typed("-h").verb.name, "help");
        assert!(read(&words(""), false).unwrap().is_none());
        assert!(read(&words("--json"), false).unwrap().is_none());
    }

    #[test]
    fn what_is_unknown_is_named_with_what_is_near() {
        assert_eq!(refused("statsu"), "cannot do \"statsu\": no such verb; the nearest name is \"status\"");
        assert_eq!(refused("qqqqqqqq"), "cannot do \"qqqqqqqq\": no such verb; \"mcp-init help\" lists them");
        assert_eq!(
            refused("status --jsn"),
            "cannot read option \"--jsn\" of status: no such option; the nearest name is \"--json\""
        );
        assert_eq!(refused("status -q"), "cannot read option \"-q\" of status: no such option");
        assert_eq!(refused("logs pets -n"), "cannot read option \"-n\": N is missing");
        assert_eq!(refused("status --json=1"), "cannot read option \"--json\": it takes no value");
        assert_eq!(refused("metrics pets"), "cannot read \"pets\": metrics takes no arguments");
        assert_eq!(
            typed("logs").only_name().unwrap_err().text,
            "cannot read the command line: logs takes one service; \"mcp-init help logs\" says more"
        );
    }

    #[test]
    fn as_pid_1_a_kernels_words_are_ignored() {
        for line in ["", "quiet splash", "ro single --foo -x", "-c /etc/y quiet", "quiet --config=/etc/y"] {
            let read = read(&words(line), true).unwrap().unwrap();
            assert_eq!(read.verb.name, "run", "{line}");
            assert_eq!(read.config().is_some(), line.contains("/etc/y"), "{line}");
        }
        assert_eq!(read(&words("status pets"), true).unwrap().unwrap().verb.name, "status");
        assert_eq!(read(&words("--version"), true).unwrap().unwrap().verb.name, "version");
        assert!(read(&words("status --jsn"), true).is_err());
    }

    #[test]
    fn no_bytes_break_the_reader() {
        let mut seed = 0x2545_F491_4F6C_DD1D_u64;
        for _ in 0..20_000 {
            let mut line = Vec::new();
            for _ in 0..4 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let bytes = seed.to_le_bytes();
                let pick = [b"-".as_slice(), b"--", b"logs", b"-n", &bytes[..3], b"=", b"-fn", b""];
                let mut word = pick[usize::from(bytes[4] & 7)].to_vec();
                word.extend_from_slice(pick[usize::from(bytes[5] & 7)]);
                line.push(OsString::from_vec(word));
            }
            drop(read(&line, false));
            drop(read(&line, true));
        }
    }
}
