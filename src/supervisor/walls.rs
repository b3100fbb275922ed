//! Which walls a service gets: what its configuration says, and what follows from it by itself. How they are built
//! is known in `sys`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config;
use crate::config::plan::{Program, Service, Settings};
use crate::life::policy::{Blame, Pid};
use crate::sys::sandbox::{Access, Entry, Host, Network, Sandbox, Wall, Wanted, plain};
use crate::sys::setup::Setup;
use crate::sys::spawn::{Launch, Process, SpawnError, Spawner};
use crate::sys::stage::Stage;
use crate::sys::{own, proc};

use super::launch::{self, NotStarted};

/// What every program may need of the system; a name that is a link stays one.
const SYSTEM: [&str; 11] = [
    "/bin",
    "/etc",
    "/gnu/store",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/opt",
    "/sbin",
    "/usr",
];
/// Devices that give nothing away.
const DEVICES: [&str; 4] = ["/dev/full", "/dev/null", "/dev/urandom", "/dev/zero"];
/// Parts of the system that are secret, for those who own them.
const SECRETS: [&str; 8] = [
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/sudoers.d",
    "/etc/wireguard",
];
/// What `/etc/resolv.conf` may be a link to.
const RESOLVERS: [&str; 4] = [
    "/run/NetworkManager/resolv.conf",
    "/run/resolvconf/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
];

/// What is known of a process in a sandbox.
#[derive(Debug)]
pub(super) struct Walled {
    /// The kernel keeps signals from it that it does not handle: it is the first of its own.
    is_first: bool,
    /// What is missing.
    missing: Vec<Wall>,
    /// What holds its network.
    network: Option<&'static str>,
}

impl Walled {
    /// Whether a signal that would end any other process does nothing to this one.
    pub(super) fn is_deaf_to(&self, pid: Pid, signal: i32) -> bool {
        self.is_first && !proc::heeds(pid, signal)
    }

    /// What is walled in → what holds it, in words.
    pub(super) fn words(&self) -> impl Iterator<Item = (Box<str>, Box<str>)> {
        let is_there = |wall| !self.missing.contains(&wall);
        let files = match (is_there(Wall::View), is_there(Wall::Rules)) {
            (true, true) => Some("mounts, landlock"),
            (true, false) => Some("mounts"),
            (false, true) => Some("landlock"),
            (false, false) => None,
        };
        let words = [
            ("files", files),
            ("processes", is_there(Wall::Processes).then_some("namespace")),
            ("network", self.network.filter(|_| is_there(Wall::Network))),
            ("systemCalls", is_there(Wall::Filter).then_some("seccomp")),
        ];
        words.into_iter().filter_map(|(what, by)| Some((what.into(), by?.into())))
    }

    /// The missing walls in words.
    pub(super) fn lacks(&self) -> Vec<Box<str>> {
        self.missing.iter().map(|wall| wall.words().into()).collect()
    }
}

/// Where the supervisor keeps its own things.
pub(super) fn ours<'a>(settings: &'a Settings, config_dir: &'a Path) -> [&'a Path; 5] {
    [config_dir, &settings.runtime_dir, &settings.runner_config_dir, &settings.state_dir, &settings.log_dir]
}

/// What the walls of a service depend on beside its plan.
#[derive(Debug)]
pub(super) struct Room<'a> {
    /// Where we keep our own things: hidden.
    pub(super) ours: [&'a Path; 5],
    /// The runner.
    pub(super) runner: &'a Path,
    /// What that reads.
    pub(super) config_file: &'a Path,
    /// Where it says that it is ready, if it does.
    pub(super) notify: Option<&'a Path>,
}

/// Makes the process of a service within its walls. Where namespaces cannot be had it is made without them, if it
/// may be.
pub(super) fn spawn(
    maker: &mut Spawner,
    service: &Service,
    room: &Room<'_>,
    launch: Launch<'_>,
    mut setup: Setup,
) -> Result<(Process, Option<Walled>), NotStarted> {
    raise(&mut setup, service, room).map_err(|lack| NotStarted {
        blame: Blame::Service,
        error: lack,
        code: None,
    })?;
    let mut spawned = maker.spawn(&Launch { setup: &setup, ..launch });
    if let Err(error) = &spawned
        && is_refused(error)
        && let Some(said) = service.sandbox.as_ref().filter(|said| said.best_effort)
        && let Some(sandbox) = setup.sandbox.take_if(|sandbox| sandbox.has_namespaces())
    {
        let host = Host::ask();
        let ports = ports(service, said);
        setup.sandbox = Some(sandbox.without_namespaces(network(service, said, &ports), host));
        if !host.drops_capabilities {
            setup.identity.is_powerless = false;
        }
        spawned = maker.spawn(&Launch { setup: &setup, ..launch });
    }
    let walled = setup.sandbox.as_ref().map(|sandbox| Walled {
        is_first: sandbox.is_first(),
        missing: sandbox.missing(),
        network: sandbox.network_words(),
    });
    spawned.map(|process| (process, walled)).map_err(|error| NotStarted {
        blame: error.blame(),
        code: error.stage.code(),
        error: why_not(&error, &launch, service, &setup),
    })
}

/// Whether the machine does not let us have namespaces, or mounts in them; a path that is not there is another
/// thing.
fn is_refused(error: &SpawnError) -> bool {
    let refusals = [libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOSYS];
    error.stage == Stage::Namespaces
        || error.stage == Stage::View
            && error.source.raw_os_error().is_some_and(|errno| refusals.contains(&errno))
}

/// Adds the walls of a service to what its process is to become.
///
/// # Errors
/// What the machine lacks, in one line.
fn raise(setup: &mut Setup, service: &Service, room: &Room<'_>) -> Result<(), String> {
    let Some(said) = &service.sandbox else { return Ok(()) };
    let user = setup.identity.uid.unwrap_or_else(own::user);
    let ports = ports(service, said);
    let wanted = Wanted {
        view: view(service, said, room, user),
        tmp_bytes: said.tmp_size,
        network: network(service, said, &ports),
        best_effort: said.best_effort,
    };
    let sandbox = Sandbox::new(wanted, Host::ask());
    setup.sandbox = Some(sandbox.map_err(|lack| format!("cannot build the sandbox: {lack}"))?);
    setup.identity.is_powerless = true;
    setup.identity.dropped = None;
    setup.identity.ambient = 0;
    setup.identity.no_new_privileges = true;
    Ok(())
}

/// Why a process could not be made.
fn why_not(error: &SpawnError, launch: &Launch<'_>, service: &Service, setup: &Setup) -> String {
    let program = launch.argv.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    let said = launch::why_not(error, &program, &service.working_directory);
    let Some(sandbox) = &setup.sandbox else { return said };
    match (error.stage, sandbox.failed_at()) {
        (Stage::View, Some(path)) => {
            format!("cannot show {} in the sandbox: {}", path.display(), own::reason(&error.source))
        }
        // What it does not find may only be hidden from it.
        (Stage::Exec | Stage::Directory, _) => format!("{said} (in its sandbox)"),
        _ => said,
    }
}

/// Its network, unless it is said: what its ports need.
fn network<'a>(service: &Service, said: &config::Sandbox, ports: &'a [u16]) -> Network<'a> {
    match said.network {
        Some(config::Network::Host) => Network::Host,
        Some(config::Network::Off) => Network::Off,
        None if ports.is_empty() => Network::Off,
        Some(config::Network::Loopback) => Network::Own { is_given_sockets: is_given_sockets(service) },
        Some(config::Network::Ports) | None => Network::Listen(ports),
    }
}

/// The ports it may listen on; what a server listens on is given to it.
fn ports(service: &Service, said: &config::Sandbox) -> Vec<u16> {
    let own = server(service).filter(|_| !is_given_sockets(service));
    let own = own.and_then(|config| config.pointer("/mcpConfig/port")?.as_u64());
    said.ports.iter().copied().chain(own.and_then(|port| u16::try_from(port).ok())).collect()
}

/// Whether it has sockets of the host's network.
fn is_given_sockets(service: &Service) -> bool {
    let served = matches!(&service.program, Program::Server(server) if server.listen.is_some());
    served || !service.listen.is_empty()
}

/// What a runner reads, if it is one.
fn server(service: &Service) -> Option<Value> {
    match &service.program {
        Program::Server(server) => serde_json::from_str(&server.config).ok(),
        Program::Command(_) => None,
    }
}

/// What it sees.
fn view(service: &Service, said: &config::Sandbox, room: &Room<'_>, user: u32) -> Vec<Entry> {
    let mut view = Vec::new();
    let mut add = |access, required, paths: &mut dyn Iterator<Item = &Path>| {
        view.extend(paths.map(|path| Entry::new(path, access, required)));
    };
    add(Access::Processes, true, &mut [Path::new("/proc")].into_iter());
    add(Access::Device, false, &mut DEVICES.iter().map(Path::new));
    add(Access::System, false, &mut SYSTEM.iter().map(Path::new));
    let tmp = if said.private_tmp { Access::Tmp } else { Access::Write };
    add(tmp, true, &mut [Path::new("/tmp")].into_iter());
    add(Access::Hidden, false, &mut room.ours.into_iter());
    if user == 0 {
        add(Access::Hidden, false, &mut SECRETS.iter().map(Path::new));
    }
    if said.network == Some(config::Network::Host) {
        add(Access::Read, false, &mut RESOLVERS.iter().map(Path::new));
    }
    add(Access::Hidden, false, &mut said.hidden.iter().map(PathBuf::as_path));
    add(Access::Write, true, &mut said.writable.iter().map(PathBuf::as_path));
    add(Access::Read, true, &mut said.readable.iter().map(PathBuf::as_path));
    add(Access::Read, false, &mut room.notify.into_iter());
    let programs = programs(service, room);
    add(Access::Read, false, &mut programs.iter().map(PathBuf::as_path));
    let stand = plain(&service.working_directory);
    let secret = room.ours.iter().any(|own| stand.starts_with(plain(own)));
    let access = if secret { Access::Empty } else { Access::Read };
    add(access, false, &mut [stand.as_path()].into_iter().filter(|stand| stand.parent().is_some()));
    view
}

/// Files that it was told to run or to read by name.
fn programs(service: &Service, room: &Room<'_>) -> Vec<PathBuf> {
    let named = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    match &service.program {
        // A script comes behind its interpreter.
        Program::Command(words) => words.iter().take(2).filter_map(|word| named(word)).collect(),
        Program::Server(_) => {
            let config = server(service);
            let text = |pointer| named(config.as_ref()?.pointer(pointer)?.as_str()?);
            let mut files = vec![room.runner.to_path_buf(), room.config_file.to_path_buf()];
            files.extend(text("/mcpConfig/openApiData"));
            files.extend(text("/mcpConfig/command"));
            files
        }
    }
}
