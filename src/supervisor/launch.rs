//! What a service's process is started with: program, arguments, environment, descriptors. The process itself
//! is made in `sys`.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use mio::{Interest, Token};

use crate::config::PATH;
use crate::config::plan::{LogMode, Program};
use crate::life::policy::{Blame, Pid};
use crate::life::roster::Id;
use crate::sys::kin::MARK;
use crate::sys::pipe;
use crate::sys::setup::Setup;
use crate::sys::spawn::{Launch, SpawnError};
use crate::sys::stage::Stage;

use super::held::{Parcel, notifies};
use super::present::Present;
use super::setup;
use super::talk::Channel;
use super::walls;
use super::{CHANNELS, Supervisor};

/// What a service gets of our own environment; everything else it has to declare.
const ALLOWED: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "CACHE_DIRECTORY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The token of a service's channel.
pub(super) fn channel_token(id: Id) -> Token {
    Token(CHANNELS.saturating_add(id.index()))
}

/// Why a service has no process.
#[derive(Debug)]
pub(super) struct NotStarted {
    /// Whose trouble it is.
    pub(super) blame: Blame,
    /// One line.
    pub(super) error: String,
    /// The exit code that says which step failed; none if no process was made.
    pub(super) code: Option<i32>,
}

impl NotStarted {
    /// Before there was a process.
    fn before(blame: Blame, error: impl Into<String>) -> Self {
        Self { blame, error: error.into(), code: None }
    }
}

impl Supervisor {
    /// Makes a process for a service.
    pub(super) fn launch(&mut self, id: Id) -> Result<Pid, NotStarted> {
        let machine = |error: io::Error| {
            NotStarted::before(Blame::Machine, format!("cannot make descriptors: {}", reason(&error)))
        };
        self.make_output(id).map_err(machine)?;
        self.open_sockets(id).map_err(|(blame, error)| NotStarted::before(blame, error))?;
        let mut hold = self.new_hold(id);
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else {
            return Err(NotStarted::before(Blame::Service, "cannot start what does not exist"));
        };
        let argv: Vec<CString> = match &unit.plan.program {
            Program::Command(argv) => argv.iter().map(|text| c_string(&**text)).collect(),
            Program::Server(_) => vec![
                c_string(self.settings.runner.as_os_str()),
                c"--config-file".to_owned(),
                c_string(unit.config_file(&self.settings).as_os_str()),
            ],
        };
        let parcel = Parcel::new(&unit.plan).map_err(machine)?;
        let mut variables = variables(&self.environment, unit);
        let own_pid = parcel.tell(&unit.held, &unit.plan, &self.office.address, &mut variables);
        self.office.is_used |= notifies(&unit.plan);
        let programs = candidates(argv.first(), variables.get("PATH").map_or(PATH, |path| path));
        let envp = pairs(&variables);
        let null = self.null.as_fd();
        let write = unit.output.as_ref().map_or(null, |output| output.write.as_fd());
        let launch = Launch {
            programs: &programs,
            argv: &argv,
            envp: &envp,
            directory: &c_string(unit.plan.working_directory.as_os_str()),
            stdio: [null, write, write],
            passed: &parcel.list(&unit.held, &unit.plan),
            own_pid: &own_pid,
            session: true,
            setup: &Setup::NONE,
        };
        let room = walls::Room {
            ours: walls::ours(&self.settings, &self.config_dir),
            runner: &self.settings.runner,
            config_file: &unit.config_file(&self.settings),
            notify: self.office.path().filter(|_| notifies(&unit.plan)),
        };
        let setup = setup::of(&unit.plan, Some(&hold));
        let (process, walled) = walls::spawn(&mut self.spawner, &unit.plan, &room, launch, setup)?;
        if !process.is_placed {
            hold.group = None;
        }
        hold.begin(process.pid, process.born);
        let channel = parcel.channel.map(|(ours, _)| Channel::new(ours));
        let fd = channel.as_ref().map(Channel::fd);
        unit.present = Some(Present {
            walled: walled.map(Box::new),
            hold,
            ticks: process.born,
            ..Present::new(process.pidfd, channel, self.now)
        });
        let newline = parcel.newline.map(|(ours, _)| ours);
        unit.metrics = None;
        unit.health = super::unit::Health::Unknown;
        if let Some(fd) = fd
            && let Err(error) =
                self.register(fd, channel_token(id), Interest::READABLE.add(Interest::WRITABLE))
        {
            ::log::error!("cannot hear the channel of a service: {}", reason(&error));
        }
        if let Some(newline) = newline {
            self.await_newline(id, newline);
        }
        Ok(process.pid)
    }

    /// Makes the pipe of a service's output before its first process, and lets the scribe read it.
    pub(super) fn make_output(&mut self, id: Id) -> io::Result<()> {
        let needs = |unit: &super::Unit| unit.plan.log.mode != LogMode::Null && unit.output.is_none();
        if self.unit(id).is_some_and(needs) {
            let output = pipe::output()?;
            if let Some(unit) = self.unit_mut(id) {
                unit.output = Some(output);
            }
            self.watch(id);
        }
        Ok(())
    }

    /// Lets the scribe read a service's output.
    pub(super) fn watch(&mut self, id: Id) {
        let Some(unit) = self.units.get(id.index()).and_then(Option::as_ref) else { return };
        if let Some(output) = &unit.output {
            let folder = self.settings.log_dir.join(&*unit.plan.id);
            let rules = serde_json::to_vec(&unit.plan.log).unwrap_or_default();
            // One that is not sent is sent again to the next scribe; meanwhile the pipe holds what comes.
            let _sent = self.scribe.watch(id, &folder, &rules, &output.read);
        }
    }
}

/// Why a process could not be made, with the name of what is to blame.
pub(super) fn why_not(error: &SpawnError, program: &str, folder: &Path) -> String {
    match error.stage {
        Stage::Exec => format!("cannot execute {program}: {}", reason(&error.source)),
        Stage::Directory => format!("cannot enter {}: {}", folder.display(), reason(&error.source)),
        Stage::Clone
        | Stage::Cgroup
        | Stage::Session
        | Stage::Signals
        | Stage::Descriptors
        | Stage::Root
        | Stage::Namespaces
        | Stage::View
        | Stage::Rules
        | Stage::Filter
        | Stage::Limits
        | Stage::Nice
        | Stage::Scheduling
        | Stage::Affinity
        | Stage::IoPriority
        | Stage::OomScore
        | Stage::Group
        | Stage::User
        | Stage::Capabilities
        | Stage::NoNewPrivileges => error.to_string(),
    }
}

/// The variables of every process of a service.
pub(super) fn variables<'a>(
    environment: &'a crate::config::Environment,
    unit: &'a super::Unit,
) -> BTreeMap<&'a str, String> {
    let mut variables = allowed(environment);
    variables.extend(unit.plan.identity.variables().map(|(name, value)| (name, value.to_owned())));
    variables.extend(unit.plan.env.iter().map(|(name, value)| (&**name, value.to_string())));
    variables.insert(MARK, unit.uuid.to_string());
    variables
}

/// `NAME=VALUE` each.
pub(super) fn pairs(variables: &BTreeMap<&str, String>) -> Vec<CString> {
    variables.iter().map(|(name, value)| c_string(format!("{name}={value}"))).collect()
}

/// What a service gets of our own environment.
pub(super) fn allowed(environment: &crate::config::Environment) -> BTreeMap<&str, String> {
    let own =
        |name: &'static str| environment.get(name).map(|value| (name, value.to_string_lossy().into_owned()));
    let mut variables: BTreeMap<&str, String> = ALLOWED.into_iter().filter_map(own).collect();
    variables.entry("PATH").or_insert_with(|| PATH.to_owned());
    variables
}

/// The paths at which a program may be, in order.
pub(super) fn candidates(program: Option<&CString>, path: &str) -> Vec<CString> {
    let Some(program) = program else { return Vec::new() };
    if program.as_bytes().contains(&b'/') {
        return vec![program.clone()];
    }
    let at = |folder: &str| {
        let folder = if folder.is_empty() { "." } else { folder };
        c_string(OsStr::from_bytes(&[folder.as_bytes(), b"/", program.as_bytes()].concat()))
    };
    path.split(':').map(at).collect()
}

/// A C string; a NUL ends it, as the kernel would have it.
pub(super) fn c_string(text: impl AsRef<OsStr>) -> CString {
    let bytes = text.as_ref().as_bytes();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    CString::new(bytes.get(..end).unwrap_or_default()).unwrap_or_default()
}

/// The text of an error.
fn reason(error: &io::Error) -> String {
    crate::sys::own::reason(error)
}
