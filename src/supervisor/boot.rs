//! From the command line to the loop and back: the only time the supervisor touches a disk. What may fail here
//! fails with one line and an exit code; afterwards nothing may.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::{Interest, Poll};
use nix::fcntl::{Flock, FlockArg};

use crate::config;
use crate::config::Environment;
use crate::config::plan::{Plan, Settings};
use crate::control::server::Clients;
use crate::life::policy::{Event, Pid};
use crate::life::roster::Roster;
use crate::life::service::later;
use crate::sys::clock::{self, Now};
use crate::sys::setup::Setup;
use crate::sys::signal::{self, Signals};
use crate::sys::spawn::{Launch, Spawner};
use crate::sys::{own, pipe, proc, wait};

use super::deaths::Ends;
use super::notify::Office;
use super::orders::Orders;
use super::scribes::{Scribe, own_path};
use super::upward::Upward;
use super::{LISTENER, NOTIFY, SIGNALS, Supervisor, leftovers, log, rites};

/// The layout of the state folder.
const LAYOUT: u32 = 1;
/// For a lock that nobody alive holds.
const LOCK_WITHIN: Duration = Duration::from_secs(1);
/// From one look at it to the next.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// s6's "somebody else supervises this already".
const EXIT_SECOND: u8 = 100;
/// The system does not let us.
const EXIT_SYSTEM: u8 = 111;
/// `EX_CONFIG`.
const EXIT_CONFIG: u8 = 78;

/// How to supervise.
#[derive(Debug)]
pub(crate) struct RunOptions {
    /// Where the configuration is; absolute.
    pub(crate) config_dir: PathBuf,
    /// As we found it.
    pub(crate) environment: Environment,
    /// Whether a table of the services is printed once they have started.
    pub(crate) table: bool,
}

/// Why nothing was supervised.
#[derive(Debug)]
pub(crate) struct BootError {
    /// What to say, a line each, without the program's name.
    pub(crate) lines: Vec<String>,
    /// The exit code that says the same.
    pub(crate) exit: u8,
}

impl BootError {
    /// `cannot VERB OBJECT: REASON`.
    fn system(what: &str, error: &io::Error) -> Self {
        Self { lines: vec![format!("cannot {what}: {}", own::reason(error))], exit: EXIT_SYSTEM }
    }
}

/// Supervises until told to end; the exit code.
pub(crate) fn run(options: RunOptions) -> Result<u8, BootError> {
    signal::block_all();
    own::tidy_descriptors();
    let plan = load(&options)?;
    log::begin(plan.settings.log_level);
    // From here on nothing is said on a stderr that may be full: whoever waits there can never be told to end.
    log::queue(true);
    let locks = claim(&plan.settings)?;
    leftovers::end(&plan.settings.state_dir);
    let table = options.table;
    let mut supervisor = begin(plan, options)?;
    if table {
        supervisor.print_table();
    }
    let code = rites::guard(&mut supervisor, Supervisor::supervise);
    drop(locks);
    Ok(code)
}

/// Reads the configuration. What an update that was cut off has left of it may not be readable: then the one before
/// the update is put back.
fn load(options: &RunOptions) -> Result<Plan, BootError> {
    let load = || config::load(&options.config_dir, &options.environment);
    let read = load().or_else(|errors| {
        let settings = config::settings(&options.config_dir, &options.environment);
        let is_back = settings.is_ok_and(|settings| crate::update::put_back(&settings.state_dir));
        if is_back { load() } else { Err(errors) }
    });
    read.map_err(|errors| BootError {
        lines: errors.iter().map(ToString::to_string).collect(),
        exit: EXIT_CONFIG,
    })
}

/// Makes the folders and takes the locks: the supervisor is the only one of its state, or it is none.
fn claim(settings: &Settings) -> Result<Vec<Flock<File>>, BootError> {
    let folders =
        [&settings.runtime_dir, &settings.runner_config_dir, &settings.state_dir, &settings.log_dir];
    for folder in folders {
        let secret = folder == &settings.runner_config_dir;
        let made = DirBuilder::new().recursive(true).mode(if secret { 0o711 } else { 0o755 }).create(folder);
        // A read-only disk is a normal mode; what has to be there is found out below.
        if let Err(error) = made
            && folder == &settings.runtime_dir
        {
            return Err(BootError::system(&format!("make {}", folder.display()), &error));
        }
    }
    let mut locks = vec![lock(&settings.runtime_dir.join("lock"), true)?];
    let version = settings.state_dir.join("version");
    match lock(&version, false) {
        Ok(lock) => {
            check_layout(&version, &lock)?;
            locks.push(lock);
        }
        Err(error) if error.exit == EXIT_SECOND => return Err(error),
        Err(error) => ::log::warn!("{}: running from memory", error.lines.join("; ")),
    }
    Ok(locks)
}

/// Locks a file, making it if need be; with `sign`, writes our pid into it. One that is held by nobody who is known to
/// live is waited for: a process that an earlier supervisor was making when it was killed holds its locks until it has
/// become its program.
fn lock(path: &Path, sign: bool) -> Result<Flock<File>, BootError> {
    let object = path.display();
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = open.map_err(|error| BootError::system(&format!("open {object}"), &error))?;
    let until = later(clock::now().instant, LOCK_WITHIN);
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                if sign {
                    // Only a hint for whoever comes second: a full disk does not make the lock any weaker.
                    drop(lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())));
                }
                return Ok(lock);
            }
            Err((held, nix::errno::Errno::EWOULDBLOCK)) => {
                let holder = if sign { signature(&held) } else { None };
                let lives = holder.is_some_and(proc::is_there);
                if lives || clock::now().instant >= until {
                    let who = holder.map_or(String::new(), |pid| format!(" (pid {})", pid.0));
                    let line = format!("cannot supervise: another supervisor{who} holds {object}");
                    return Err(BootError { lines: vec![line], exit: EXIT_SECOND });
                }
                file = held;
                wait::pause(LOOK_EVERY);
            }
            Err((_, errno)) => return Err(BootError::system(&format!("lock {object}"), &errno.into())),
        }
    }
}

/// Who has signed a lock.
fn signature(file: &File) -> Option<Pid> {
    let mut bytes = [0; 16];
    let count = file.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(bytes.get(..count)?).ok()?.trim().parse().ok().map(Pid)
}

/// Reads the layout's number, or writes it into a new state folder. A newer layout is not touched.
fn check_layout(path: &Path, mut file: &File) -> Result<(), BootError> {
    let mut text = String::new();
    // What cannot be read is alien: it costs that record only, and is written anew.
    drop(file.read_to_string(&mut text));
    match text.trim().parse::<u32>() {
        Ok(found) if found > LAYOUT => {
            let line = format!(
                "cannot use {}: it was written by a newer mcp-init (layout {found}, this one knows {LAYOUT})",
                path.display()
            );
            Err(BootError { lines: vec![line], exit: EXIT_CONFIG })
        }
        Ok(_) => Ok(()),
        Err(_) => {
            drop(file.set_len(0).and_then(|()| writeln!(file, "{LAYOUT}")));
            Ok(())
        }
    }
}

/// Everything that the loop needs, and the services on their way.
fn begin(plan: Plan, options: RunOptions) -> Result<Supervisor, BootError> {
    let system = BootError::system;
    let nofile = own::raise_descriptors();
    if !own::is_first()
        && let Err(error) = own::become_reaper()
    {
        ::log::warn!("cannot adopt orphans of services: {}", own::reason(&error));
    }
    let hangup_ends = !own::is_first() && own::has_terminal();
    let signals = Signals::new().map_err(|error| system("hear signals", &error))?;
    let poll = Poll::new().map_err(|error| system("make the poll", &error))?;
    let clients = Clients::new(listen(&plan.settings)?, plan.settings.control.clone())
        .map_err(|error| system("listen", &error))?;
    let office = Office::open(&plan.settings).map_err(|error| system("open the notify socket", &error))?;
    let upward = Upward::new(&options.environment);
    // No mount is pinned by where we were started.
    drop(std::env::set_current_dir("/"));
    let now = clock::now();
    let roster = Roster::new(plan.settings.restarts_per_second);
    let mut supervisor = Supervisor {
        settings: plan.settings,
        config_dir: options.config_dir,
        environment: options.environment,
        roster,
        units: Vec::with_capacity(plan.services.len()),
        todo: std::collections::VecDeque::new(),
        spawner: Spawner::new(own::to_reset(), nofile),
        poll,
        signals,
        clients,
        orders: Orders::default(),
        refusals: super::access::Refusals::default(),
        enforcement: super::enforce::Enforcement::begin(),
        scribe: Scribe::new(now.instant),
        askers: super::askers::Askers::default(),
        updates: super::updates::Updates::default(),
        schedules: super::schedule::Schedules::of(plan.schedule, plan.zone),
        office,
        strange_letters: 0,
        upward,
        reload: None,
        alerts: super::alerts::Alerts::default(),
        hooks: super::hooks::Hooks::default(),
        unfinished: Vec::new(),
        resume_at: None,
        events: Vec::new(),
        publish_at: None,
        held_until: None,
        has_removed: false,
        is_slim: false,
        null: pipe::null().map_err(|error| system("open /dev/null", &error))?,
        now,
        born: now.instant,
        exit: None,
        family: super::kin::Family::default(),
        shortage: None,
        ends_asked: 0,
        degraded: None,
        ends: Ends::default(),
        turns: 0,
        hangup_ends,
    };
    let fd = supervisor.signals.fd();
    let heard = supervisor.register(fd, SIGNALS, Interest::READABLE).and_then(|()| {
        let fd = supervisor.clients.fd();
        supervisor.register(fd, LISTENER, Interest::READABLE)?;
        supervisor.register(supervisor.office.fd(), NOTIFY, Interest::READABLE)
    });
    heard.map_err(|error| system("hear descriptors", &error))?;
    supervisor.begin_scribe();
    supervisor.begin_services(plan.services, now);
    Ok(supervisor)
}

/// Listens on the control socket. Whoever holds the lock may replace what an earlier life left there.
fn listen(settings: &Settings) -> Result<UnixListener, BootError> {
    let path = settings.runtime_dir.join("control.sock");
    super::socket::bind(&path, settings.control.is_open())
        .map_err(|error| BootError::system(&format!("listen on {}", path.display()), &error))
}

impl Supervisor {
    /// Starts the first scribe, once that of an earlier life is gone.
    fn begin_scribe(&mut self) {
        self.scribe.witness = leftovers::outlast_scribe(&self.settings.runtime_dir);
        self.renew_scribe();
    }

    /// Takes in the services and starts those that are to be started.
    fn begin_services(&mut self, services: Vec<config::plan::Service>, now: Now) {
        let mut first = Vec::with_capacity(services.len());
        for service in services {
            let is_first = service.is_started_at_boot();
            let id = self.take_in(service, now);
            first.extend(is_first.then_some(id));
        }
        self.set_needs();
        for id in &first {
            self.open_early(*id);
        }
        let unfinished = self.unfinished_updates();
        first.retain(|id| !unfinished.contains(id));
        for id in first {
            if !self.recall_attempts(id) {
                continue;
            }
            self.roster.on(id, Event::Start, now.instant, &mut self.todo);
        }
        self.recall_alerts();
        self.begin_schedules(true);
        for id in unfinished {
            self.resume_update(id);
        }
    }

    /// Lets a child print the table of the services once they have started: the loop itself prints nothing.
    fn print_table(&mut self) {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let dir = std::ffi::CString::new(self.config_dir.as_os_str().as_encoded_bytes()).unwrap_or_default();
        // It says how to end us, with the name that a person typed.
        let argv = [own_path(), c"-c".to_owned(), dir, c"status".to_owned(), c"--settled".to_owned()];
        let launched = self.spawner.spawn(&Launch {
            programs: &[c"/proc/self/exe".to_owned(), own_path()],
            argv: &argv,
            envp: &super::reload::whole_environment(&self.environment),
            directory: c"/",
            stdio: [self.null.as_fd(), stdout.as_fd(), stderr.as_fd()],
            passed: &[],
            own_pid: &[],
            session: false,
            setup: &Setup::NONE,
        });
        if let Err(error) = launched {
            ::log::warn!("cannot print the table of services: {error}");
        }
    }

    /// The loop, and the end; the exit code.
    fn supervise(&mut self) -> u8 {
        let mut ready = mio::Events::with_capacity(64);
        loop {
            match self.turn(&mut ready) {
                Ok(true) => {}
                Ok(false) => break,
                // The poll itself fails only for lack of kernel memory: the next turn tries again.
                Err(error) => ::log::error!("cannot wait for events: {}", own::reason(&error)),
            }
        }
        let clean = self.roster.is_at_rest();
        self.finish();
        drop(fs::remove_file(self.settings.runtime_dir.join("control.sock")));
        drop(fs::remove_file(self.settings.runtime_dir.join("notify.sock")));
        let code = self.exit.unwrap_or(u8::from(!clean));
        self.tell_upward_of_end(code);
        code
    }
}
