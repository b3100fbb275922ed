//! What an entrypoint is asked for: tini's options and variables, read as getopt reads them. Nothing is done here.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::config::duration;
use crate::sys::signal;

/// For orphans to end by themselves once the program has: long enough to write a file, short enough for the grace
/// of any container engine.
const GRACE: Duration = Duration::from_secs(1);

/// How to run a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// Adopt orphans even when not PID 1.
    pub(super) subreaper: bool,
    /// Signals go to the program's group.
    pub(super) group: bool,
    /// Tell of each orphan that is reaped.
    pub(super) warn: bool,
    /// 0 says errors only, 1 warnings, 2 to 4 ever more.
    pub(super) verbosity: i32,
    /// Signal for us when our parent dies.
    pub(super) parent_death: Option<i32>,
    /// Exit codes that become 0.
    pub(super) remapped: Vec<u8>,
    /// From the program's end to that of its orphans.
    pub(super) grace: Duration,
    /// The program and its arguments; not empty.
    pub(super) command: Vec<OsString>,
}

/// Where the program may stand among the options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Anywhere, as getopt has it: options before `--` may follow.
    #[default]
    Anywhere,
    /// The first word ends the options.
    First,
    /// Behind `--`: a word is a verb otherwise.
    BehindDashes,
}

/// What the environment says, and our name.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// As `-s`.
    pub(super) subreaper: bool,
    /// As `-g`.
    pub(super) group: bool,
    /// Instead of `-v`.
    pub(super) verbosity: Option<OsString>,
    /// How long orphans have.
    pub(super) grace: Option<OsString>,
    /// Where the program may stand.
    pub(super) program: Place,
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Run a program.
    Run(Options),
    /// Say the version.
    Version,
    /// Explain.
    Usage,
    /// Show the licence.
    Licence,
    /// There is no program to run.
    Nothing,
    /// It makes no sense: why.
    Nonsense(String),
}

/// Whether a command line, not tini's own, has a command behind `--` and nothing but options before it; or such
/// options that no verb has, for which it can say what is missing. A kernel gives its init any words: as PID 1
/// only the former counts.
pub(super) fn has_command(arguments: &[OsString], pid_1: bool) -> bool {
    let mut rest = arguments.iter().map(|argument| argument.as_bytes());
    let known = |letters: &[u8]| letters.iter().all(|letter| b"spvwgel".contains(letter));
    let is_ours = rest.clone().next().and_then(|first| first.strip_prefix(b"-")).is_some_and(|letters| {
        matches!(letters, [b'p' | b'e', _, ..]) || (!letters.is_empty() && known(letters))
    });
    while let Some(argument) = rest.next() {
        match argument {
            b"--" => return true,
            [b'-', b'-' | b'c', ..] | [] | [b'-'] => break,
            [b'-', .., b'p' | b'e'] => drop(rest.next()),
            [b'-', ..] => {}
            _ => break,
        }
    }
    is_ours && !pid_1
}

/// Reads a command line, without the program's name.
pub(super) fn read(arguments: Vec<OsString>, environment: &Environment) -> Asked {
    if let [only] = arguments.as_slice()
        && only == "--version"
    {
        return Asked::Version;
    }
    let mut options = Options {
        subreaper: environment.subreaper,
        group: environment.group,
        warn: false,
        verbosity: 1,
        parent_death: None,
        remapped: Vec::new(),
        grace: GRACE,
        command: Vec::new(),
    };
    let mut rest = VecDeque::from(arguments);
    let mut dashes = false;
    while let Some(argument) = rest.pop_front() {
        match argument.as_bytes() {
            b"--" => {
                dashes = true;
                options.command.extend(rest.drain(..));
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                if let Err(asked) = options.take(letters, &mut rest) {
                    return asked;
                }
            }
            _ => {
                options.command.push(argument);
                if environment.program != Place::Anywhere {
                    options.command.extend(rest.drain(..));
                }
            }
        }
    }
    if options.command.is_empty() {
        return Asked::Nothing;
    }
    if environment.program == Place::BehindDashes && !dashes {
        let word = options.command.first().map(|word| word.display().to_string()).unwrap_or_default();
        return Asked::Nonsense(format!("cannot run \"{word}\": it must stand behind \"--\""));
    }
    options.heed(environment)
}

impl Options {
    /// Takes a cluster of letters; `Err` is the end of reading.
    fn take(&mut self, letters: &[u8], rest: &mut VecDeque<OsString>) -> Result<(), Asked> {
        let mut letters = letters;
        while let Some((letter, after)) = letters.split_first() {
            letters = after;
            match letter {
                b's' => self.subreaper = true,
                b'g' => self.group = true,
                b'w' => self.warn = true,
                b'v' => self.verbosity = self.verbosity.saturating_add(1),
                b'h' => return Err(Asked::Usage),
                b'l' => return Err(Asked::Licence),
                b'p' | b'e' => {
                    let here = (!after.is_empty()).then(|| OsStr::from_bytes(after).to_owned());
                    letters = &[];
                    let name = char::from(*letter);
                    let Some(value) = here.or_else(|| rest.pop_front()) else {
                        let problem = format!("cannot read option \"-{name}\": its value is missing");
                        return Err(Asked::Nonsense(problem));
                    };
                    let value = value.to_string_lossy();
                    if !self.set(*letter, &value) {
                        let wanted = if *letter == b'p' {
                            "no signal's name, as SIGTERM is"
                        } else {
                            "no exit code from 0 to 255"
                        };
                        return Err(Asked::Nonsense(format!("cannot read \"-{name} {value}\": {wanted}")));
                    }
                }
                other => {
                    let name = char::from(*other);
                    return Err(Asked::Nonsense(format!("cannot read option \"-{name}\": no such option")));
                }
            }
        }
        Ok(())
    }

    /// Takes the value of `-p` or `-e`; `false` if it is none.
    fn set(&mut self, letter: u8, value: &str) -> bool {
        if letter == b'p' {
            self.parent_death = signal::number(value);
            return self.parent_death.is_some();
        }
        // An empty one changes nothing, as with tini: `-e "$CODE"`.
        let code = if value.is_empty() { Ok(0) } else { value.trim_start().parse() };
        self.remapped.extend(code.as_ref().ok());
        code.is_ok()
    }

    /// The environment's own words; they count more.
    fn heed(mut self, environment: &Environment) -> Asked {
        if let Some(level) = &environment.verbosity {
            self.verbosity = level.to_str().and_then(|level| level.trim().parse().ok()).unwrap_or(0);
        }
        if let Some(text) = &environment.grace {
            let text = text.to_string_lossy();
            let millis = text.parse().ok().map(Duration::from_millis);
            let Some(grace) = millis.or_else(|| duration(&text)) else {
                let why = "no time, as 500ms or 2s is";
                return Asked::Nonsense(format!("cannot read MCP_INIT_GRACE \"{text}\": {why}"));
            };
            self.grace = grace;
        }
        Asked::Run(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn asked(line: &str) -> Asked {
        read(words(line), &Environment::default())
    }

    fn options(line: &str) -> Options {
        let Asked::Run(options) = asked(line) else { panic!("{line}") };
        options
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        let read = options("-sgwvv -pSIGTERM -e 3 -e4 -- cmd -s --");
        assert_eq!((read.subreaper, read.group, read.warn, read.verbosity), (true, true, true, 3));
        assert_eq!((read.parent_death, read.remapped), (Some(libc::SIGTERM), vec![3, 4]));
        assert_eq!(read.command, ["cmd", "-s", "--"]);
        // tini's own usage says `PROGRAM -- [ARGS]`.
        let read = options("cmd -g -- -n");
        assert_eq!((read.group, read.command), (true, words("cmd -n")));
    }

    #[test]
    fn the_first_word_ends_the_options_where_that_is_asked_for() {
        let ordered = Environment { program: Place::First, ..Environment::default() };
        let Asked::Run(found) = read(words("-s cmd -l -- x"), &ordered) else { panic!("no command") };
        assert_eq!(found.command, ["cmd", "-l", "--", "x"]);
        let own_name = Environment { program: Place::BehindDashes, ..Environment::default() };
        let Asked::Run(found) = read(words("-s -- cmd -l"), &own_name) else { panic!("no command") };
        assert_eq!(found.command, ["cmd", "-l"]);
        let asked = read(words("-s cmd"), &own_name);
        assert_eq!(asked, Asked::Nonsense("cannot run \"cmd\": it must stand behind \"--\"".to_owned()));
    }

    #[test]
    fn questions_and_nonsense_are_told_apart() {
        assert_eq!(asked("--version"), Asked::Version);
        assert_eq!((asked("-h"), asked("-sl")), (Asked::Usage, Asked::Licence));
        assert_eq!((asked(""), asked("-s --")), (Asked::Nothing, Asked::Nothing));
        for line in
            ["-x -- a", "--version -s", "-p KILL -- a", "-e 256 -- a", "-e x -- a", "-p", "--json -- a"]
        {
            assert!(matches!(asked(line), Asked::Nonsense(_)), "{line}");
        }
    }

    #[test]
    fn the_environment_counts_more() {
        let mut environment = Environment {
            subreaper: true,
            group: true,
            verbosity: Some("0".into()),
            grace: Some("2500".into()),
            ..Environment::default()
        };
        let Asked::Run(set) = read(words("-vvv cmd"), &environment) else { panic!("no command") };
        assert_eq!((set.subreaper, set.group, set.verbosity), (true, true, 0));
        assert_eq!(set.grace, Duration::from_millis(2500));
        environment.grace = Some("soon".into());
        assert!(matches!(read(words("cmd"), &environment), Asked::Nonsense(_)));
    }

    #[test]
    fn a_command_stands_behind_two_dashes_and_options_only() {
        let meant = |line: &str| (has_command(&words(line), false), has_command(&words(line), true));
        for line in ["-- a", "-s -- a", "-sgvw -p SIGTERM -e 3 -e4 -- a -- b", "-x -- a", "-pSIGTERM -- a"] {
            assert_eq!(meant(line), (true, true), "{line}");
        }
        // Without dashes only to say so, and never as a kernel's init.
        for line in ["-s a", "-l", "-e 3 a", "-e3 a", "-vvv"] {
            assert_eq!(meant(line), (true, false), "{line}");
        }
        for line in ["", "a", "status -- a", "-c etc -- a", "--json -- status", "-h", "-V", "quiet -s", "-"] {
            assert_eq!(meant(line), (false, false), "{line}");
        }
    }
}
