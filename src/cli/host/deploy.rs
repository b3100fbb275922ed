//! `deploy`: check, folders, install, schedule, start, verify, and what a person needs to know next. What was done
//! is undone when it does not lead to services that run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::arguments::Invocation;
use super::super::failure::{CONFIGURATION, FAILED, Failure, OK};
use super::super::options::Flag;
use super::super::orders;
use super::super::output::{Output, Style, say};
use super::super::places::Places;
use super::super::status;
use super::super::units;
use super::init::{self, Init};
use super::install::{self, Done};
use super::made::failure;
use super::site::{PATH, Site};
use super::verify::{self, Verified};
use crate::config::plan::Settings;
use crate::control::client::Client;
use crate::sys::own::reason;

/// For everything to run, unless something else is said.
const VERIFY_WITHIN: Duration = Duration::from_mins(1);
/// Variables of a person that a service of theirs has as well.
const OF_PERSONS: [&str; 6] =
    ["HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"];
/// Reads the file of the environment as a shell does, and becomes a command.
const WITH_FILE: &str = "set -a; if [ -r \"$1\" ]; then . \"$1\"; fi; shift; exec \"$@\"";
/// The steps, in order.
const STEPS: [&str; 6] = ["check", "folders", "install", "schedule", "start", "verify"];
/// Lines of its log that are shown when it is undone.
const LAST_LINES: usize = 8;
/// Room for their names.
const WIDTH: usize = 10;

/// `deploy`.
pub(in super::super) fn answer(
    invocation: &Invocation,
    places: &Places,
    out: &mut Output,
) -> Result<u8, Failure> {
    let site = Site::of(invocation, places)?;
    if !site.is_live() {
        return Err(Failure::usage(
            "cannot deploy to another root: nothing can be started there; use install",
        ));
    }
    site.allow("deploy", &places.environment)?;
    let init = init::choose(invocation, &site)?;
    let places = &Places { environment: places.environment.clone(), config: PathBuf::from(&site.config) };
    let mut deploy =
        Deploy { init, site, places, out, json: invocation.json(), said: Vec::new(), undo: Vec::new() };
    let within = orders::time(invocation)?.unwrap_or(VERIFY_WITHIN);
    match deploy.steps(invocation, within) {
        Ok(()) => deploy.farewell(invocation),
        Err(why) => {
            deploy.take_back(&why)?;
            Err(why)
        }
    }
}

/// Something that was done.
#[derive(Debug)]
enum Undo {
    /// A folder was made; whether all that is in it is the supervisor's.
    Folder(PathBuf, bool),
    /// Files were put in place; whether the service ran before.
    Files(Done),
    /// The service was started; whether it ran before.
    Started(bool),
}

/// A deployment on its way.
struct Deploy<'a> {
    /// The init of the host.
    init: &'static dyn Init,
    /// What is installed and where.
    site: Site,
    /// Where its things are.
    places: &'a Places,
    /// For words.
    out: &'a mut Output,
    /// Whether they are for a program.
    json: bool,
    /// The same for a program.
    said: Vec<Value>,
    /// What was done.
    undo: Vec<Undo>,
}

impl Deploy<'_> {
    /// One after another.
    fn steps(&mut self, invocation: &Invocation, within: Duration) -> Result<(), Failure> {
        let settings = self.check()?;
        self.folders(&settings)?;
        let done = install::put(self.init, &self.site, invocation.has(Flag::Force))?;
        let has_changed = done.has_changed();
        let files: Vec<_> = done.all.iter().map(|(path, _)| path.clone()).collect();
        self.undo.push(Undo::Files(done));
        let what = if has_changed { "" } else { " (unchanged)" };
        self.say(2, &format!("{}: {}{what}", self.init.name(), files.join(", ")))?;
        self.schedule()?;
        self.start(has_changed)?;
        let Verified { pid, ready, took } = verify::verify(self.places, self.init, &self.site, within)?;
        let took = units::duration(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let noun = if ready == 1 { "service is" } else { "services are" };
        self.say(5, &format!("ok after {took}: pid {pid}, {ready} {noun} ready"))
    }

    /// Says how a step went, at once.
    fn say(&mut self, step: usize, text: &str) -> Result<(), Failure> {
        let name = STEPS.get(step).copied().unwrap_or_default();
        if self.json {
            self.said.push(json!({ "step": name, "text": text }));
            return Ok(());
        }
        self.out.styled(Style::Bold, &format!("{name:WIDTH$} "));
        self.out.line(text);
        self.out.flush()
    }

    /// Reads the configuration as the service will: with its environment and not with that of whoever types.
    fn check(&mut self) -> Result<Settings, Failure> {
        let settings = self.places.settings()?;
        let services = Path::new(&self.site.config).join("services.d");
        if !services.exists() {
            // They are about to be made, and there is nothing in them to check.
            self.say(0, &format!("ok: no services in {} yet", self.site.config))?;
            return Ok(settings);
        }
        let site = &self.site;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WITH_FILE, "sh", &site.environment, &site.program, "-c", &site.config, "check"]);
        command.env_clear().env("PATH", PATH).envs(site.variables.iter().map(|(name, value)| (name, value)));
        if site.user {
            let own = OF_PERSONS.into_iter();
            command.envs(own.filter_map(|name| Some((name, self.places.environment.get(name)?))));
        }
        let checked = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let checked = checked.map_err(|error| {
            Failure::new(FAILED, format!("cannot run {}: {}", site.program, reason(&error)))
        })?;
        if !checked.status.success() {
            let text = format!(
                "cannot deploy: the configuration has a problem in the environment of a service, which is that of \
                 {} and not yours; nothing has changed",
                site.environment
            );
            return Err(Failure::new(CONFIGURATION, text));
        }
        if verify::running(self.places).is_some() && !self.init.status(site).succeeds() {
            let text = format!(
                "cannot deploy: another supervisor runs with {}; end it with \"{}\"",
                site.config,
                site.typed("shutdown")
            );
            return Err(Failure::new(FAILED, text));
        }
        let text = String::from_utf8_lossy(&checked.stdout).trim().to_owned();
        let config = self.site.config.clone();
        self.say(0, &format!("{text} in {config}"))?;
        Ok(settings)
    }

    /// Makes the folders that are not there.
    fn folders(&mut self, settings: &Settings) -> Result<(), Failure> {
        let services = Path::new(&self.site.config).join("services.d");
        let mut made = Vec::new();
        for folder in [services, settings.state_dir.clone(), settings.log_dir.clone()] {
            let missing: Vec<_> =
                folder.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
            for path in missing.into_iter().rev() {
                fs::create_dir(&path).map_err(|error| failure("make", &path, &error))?;
                let whole = path == settings.state_dir || path == settings.log_dir;
                self.undo.push(Undo::Folder(path, whole));
            }
            made.push(folder.display().to_string());
        }
        self.say(1, &made.join(", "))
    }

    /// It starts with the host; what it does by the clock is its configuration's.
    fn schedule(&mut self) -> Result<(), Failure> {
        let (init, name) = (self.init.name(), &self.site.name);
        let text = format!(
            "{init} starts {name} with the host; what comes by the clock: {}",
            self.site.typed("schedule")
        );
        self.say(3, &text)
    }

    /// Starts it. One that runs as it is installed and is of this version only reads its configuration again.
    fn start(&mut self, has_changed: bool) -> Result<(), Failure> {
        let was_up = self.init.status(&self.site).succeeds();
        let same = verify::running(self.places).is_some_and(|version| &*version == env!("CARGO_PKG_VERSION"));
        if was_up && same && !has_changed {
            let mut client = Client::connect(&self.places.socket()?)?;
            let id = client.ask(crate::control::wire::Order::Reload, Some(VERIFY_WITHIN))?;
            let report = super::super::report::hear(&mut client, id)?;
            let text = format!("it runs already; reloaded: {}", report.end.done()?);
            return self.say(4, &text);
        }
        self.undo.push(Undo::Started(was_up));
        let start = self.init.start(&self.site);
        start.run()?;
        self.say(4, &start.typed())
    }

    /// Undoes what was done, the last first.
    fn take_back(&mut self, why: &Failure) -> Result<(), Failure> {
        if self.undo.is_empty() {
            return Ok(());
        }
        self.last_words();
        let mut was_up = false;
        let mut left = Vec::new();
        for undo in std::mem::take(&mut self.undo).into_iter().rev() {
            let result = match undo {
                Undo::Started(before) => {
                    was_up = before;
                    let result = self.init.stop(&self.site).run();
                    // An init may not know any more of what it has started.
                    if was_up { result } else { result.and(verify::end(self.places)) }
                }
                Undo::Files(done) => {
                    let result = done.take_back(self.init, &self.site);
                    if was_up { result.and_then(|()| self.init.start(&self.site).run()) } else { result }
                }
                Undo::Folder(path, whole) => {
                    let result = if whole { fs::remove_dir_all(&path) } else { fs::remove_dir(&path) };
                    result.map_err(|error| failure("remove", &path, &error))
                }
            };
            left.extend(result.err().map(|failure| failure.text));
        }
        if !was_up && let Ok(settings) = self.places.settings() {
            drop(super::purge::runtime(&settings, &self.site));
            drop(super::purge::cache(&self.site));
        }
        if left.is_empty() {
            return Err(Failure::new(why.code, format!("{why}; what was done is undone")));
        }
        Err(Failure::new(why.code, format!("{why}; not all could be undone: {}", left.join("; "))))
    }

    /// What the supervisor said last, which is about to be undone as well.
    fn last_words(&self) {
        let Ok(settings) = self.places.settings() else { return };
        let log = settings.log_dir.join("mcp-init.log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(LAST_LINES).collect();
        let lines: String = lines.iter().rev().flat_map(|line| ["  ", line, "\n"]).collect();
        if !lines.is_empty() {
            say(&format!("the last of {}:\n{lines}", log.display()));
        }
    }

    /// How it is now, and what a person needs next.
    fn farewell(self, invocation: &Invocation) -> Result<u8, Failure> {
        let Self { init, site, places, out, json, said, .. } = self;
        if json {
            out.json(&json!({ "init": init.name(), "name": site.name, "steps": said }))?;
            return Ok(OK);
        }
        out.text("\n");
        status::answer(invocation, places, out)?;
        out.text("\n");
        let mut hints = init.hints(&site);
        hints.extend([
            (site.typed("status"), "the services and how they are"),
            (site.typed("logs SERVICE -f"), "what one of them prints"),
            (site.typed("reload"), "after a change of the configuration"),
            (site.typed("uninstall"), "end it and remove it from this host"),
        ]);
        let width = hints.iter().map(|(typed, _)| typed.len()).max().unwrap_or(0);
        for (typed, text) in hints {
            out.text(&format!("{typed:width$}  "));
            out.styled(Style::Dim, text);
            out.text("\n");
        }
        if let Some(note) = init.note(&site) {
            out.line(&format!("\n{note}"));
        }
        Ok(OK)
    }
}
