//! One program instead of a configuration: `mcp-init -- COMMAND`, a drop-in for tini. It supervises nothing and
//! knows no file.
//!
//! `options` says what was asked for, `run` does it, `voice` is what is said of it. Everything that a user of tini
//! can observe is as with tini (options, variables, exit codes, what the program inherits); it adds that as PID 1
//! it does not kill what the program left running without asking it to end first.

mod options;
mod run;
mod voice;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use options::{Asked, Environment, Place};
use voice::{Voice, print, say};

/// Names under which it is tini, and takes a command without `--`.
const TINIS: [&str; 2] = ["tini", "docker-init"];

/// The line that Docker reads: `docker-init --version` has to begin like this.
const TINI_VERSION: &str = concat!("tini version ", env!("CARGO_PKG_VERSION"), "_mcp-init\n");

/// What `-l` prints.
const LICENCE: &str = include_str!("../../LICENSE");

/// How it is called.
pub(crate) const USAGE: &str = "\
usage: mcp-init [-s] [-p SIGNAL] [-v] [-w] [-g] [-e CODE] -- COMMAND [ARGUMENT...]

Runs one program as the child of a proper init: forwards signals, reaps orphans,
ends with the program's exit code (128 + N if signal N killed it).

  -s         adopt orphans even when not PID 1 (child subreaper)
  -p SIGNAL  get SIGNAL when our parent dies (\"-p SIGKILL\")
  -v         say more; up to three times
  -w         warn of each orphan that is reaped
  -g         send signals to the program's process group
  -e CODE    end with 0 instead of CODE (0 to 255); may be repeated
  -h, -l     print this, print the licence
  --version  print the version; nothing else may be given

TINI_SUBREAPER           as -s
TINI_KILL_PROCESS_GROUP  as -g
TINI_VERBOSITY           0 to 4, instead of -v; 1 is the default
MCP_INIT_GRACE           as PID 1: from the program's end to the kill of what it left
                         running, which gets SIGTERM (1s; 0 as tini does)
";

/// Whether a command line is for the entrypoint rather than for a verb.
pub(crate) fn is_meant(name: &OsStr, arguments: &[OsString]) -> bool {
    tini(name).is_some() || options::has_command(arguments, crate::sys::own::is_first())
}

/// The entrypoint; the exit code.
pub(crate) fn main(name: &OsStr, arguments: Vec<OsString>) -> u8 {
    let tini = tini(name);
    let environment = Environment {
        subreaper: std::env::var_os("TINI_SUBREAPER").is_some(),
        group: std::env::var_os("TINI_KILL_PROCESS_GROUP").is_some(),
        verbosity: std::env::var_os("TINI_VERBOSITY"),
        grace: std::env::var_os("MCP_INIT_GRACE"),
        program: match tini {
            None => Place::BehindDashes,
            Some(_) if std::env::var_os("POSIXLY_CORRECT").is_some() => Place::First,
            Some(_) => Place::Anywhere,
        },
    };
    let voice = Voice::new(tini.unwrap_or("mcp-init"));
    match options::read(arguments, &environment) {
        Asked::Run(options) => run::run(options, voice),
        Asked::Version => print(TINI_VERSION),
        Asked::Usage => print(USAGE),
        Asked::Licence => print(LICENCE),
        Asked::Nothing => {
            say(USAGE);
            1
        }
        Asked::Nonsense(problem) => {
            voice.error(&problem);
            1
        }
    }
}

/// The name under which it is tini, if it is.
fn tini(name: &OsStr) -> Option<&'static str> {
    let last = Path::new(name).file_name()?.as_bytes();
    TINIS.into_iter().find(|known| known.as_bytes() == last)
}
