//! The walls around a program that nobody has read: what the parent makes ready, and the order in which the child
//! builds them. Who gets which is not known here.
//!
//! The process is made in namespaces of its own (and, without privileges, in a user namespace), so it is process
//! 1 of all that it can see; its root is a new one (`view`); what it may do to files, sockets and other processes
//! is held a second time by Landlock (`rules`); and system calls that could take a wall down are refused
//! (`filter`). All of it is done by the process itself, on its way to the program: nothing stays behind.

mod filter;
mod host;
mod program;
mod rules;
mod view;

use std::cell::Cell;
use std::ffi::{CString, c_int};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(crate) use host::Host;
use host::{ABI_PORTS, ABI_SCOPE};

use super::setup::Setup;
use super::stage::Failed;

/// Namespaces of every sandbox: mounts and processes.
const NAMESPACES: c_int = libc::CLONE_NEWNS | libc::CLONE_NEWPID;

/// What a path is to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// The processes it can see; always `/proc`.
    Processes,
    /// A folder of files in memory, its own.
    Tmp,
    /// A device that is harmless.
    Device,
    /// Hidden: an empty folder or file in its place.
    Hidden,
    /// An empty folder to stand in.
    Empty,
    /// Read and written.
    Write,
    /// Read, and executed.
    Read,
    /// The same, and a link stays a link.
    System,
}

/// What the network is to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network<'a> {
    /// Nothing but sockets that it is given.
    Off,
    /// A loopback of its own. A socket of the host's that it is given could be turned round: with one of these it
    /// connects to nobody.
    Own {
        /// Whether it is.
        is_given_sockets: bool,
    },
    /// It may listen on these TCP ports, and connect to nobody.
    Listen(&'a [u16]),
    /// As the host has it.
    Host,
}

impl Network<'_> {
    /// What holds it, unless a namespace of its own does.
    const fn words(self) -> Option<&'static str> {
        match self {
            Self::Off => Some("seccomp"),
            Self::Own { .. } => Some("namespace"),
            // Its rules know no addresses.
            Self::Listen(_) => Some("landlock: its ports, on every address"),
            Self::Host => None,
        }
    }
}

/// A wall that could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wall {
    /// Its own mounts.
    View,
    /// Its own processes.
    Processes,
    /// Rules of the network.
    Network,
    /// Landlock.
    Rules,
    /// The filter of system calls.
    Filter,
}

impl Wall {
    /// All of them.
    const ALL: [Self; 5] = [Self::View, Self::Processes, Self::Network, Self::Rules, Self::Filter];

    /// In a set of them.
    const fn bit(self) -> u8 {
        match self {
            Self::View => 1,
            Self::Processes => 2,
            Self::Network => 4,
            Self::Rules => 8,
            Self::Filter => 16,
        }
    }

    /// As `status` says it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::View => "a file system view of its own",
            Self::Processes => "a process view of its own",
            Self::Network => "network rules",
            Self::Rules => "Landlock",
            Self::Filter => "the filter of system calls",
        }
    }
}

/// A path of the view.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Absolute.
    path: CString,
    /// Folders that lead there, outermost first.
    parents: Vec<CString>,
    /// What it is.
    access: Access,
    /// Whether it has to be there.
    required: bool,
    /// What will be mounted there, from when the child has found it.
    tree: Cell<RawFd>,
}

impl Entry {
    /// A path; `.` and `..` in it are resolved by their names alone.
    pub(crate) fn new(path: &Path, access: Access, required: bool) -> Self {
        let path = plain(path);
        let above: Vec<_> = path.ancestors().skip(1).filter(|above| above.parent().is_some()).collect();
        let parents = above.into_iter().rev().map(c_path).collect();
        Self { path: c_path(&path), parents, access, required, tree: Cell::new(-1) }
    }
}

/// An absolute path without `.` and `..`.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            std::path::Component::Normal(name) => plain.push(name),
            std::path::Component::CurDir
            | std::path::Component::RootDir
            | std::path::Component::Prefix(_) => {}
        }
    }
    plain
}

/// A path as the kernel takes it; the configuration lets no NUL through.
fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// The paths of its view, in any order.
    pub(crate) view: Vec<Entry>,
    /// Largest size of its own `/tmp`, in bytes.
    pub(crate) tmp_bytes: u64,
    /// Its network.
    pub(crate) network: Network<'a>,
    /// Whether a wall may be missing.
    pub(crate) best_effort: bool,
}

/// A sandbox, ready to be built by the child.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// Flags of `clone`.
    pub(super) namespaces: c_int,
    /// What the user namespace calls our user and our group, if there is one.
    maps: Option<[Vec<u8>; 2]>,
    /// In the order in which they are mounted.
    view: Vec<Entry>,
    /// Options of the files in memory that are its root, and its `/tmp`.
    memory: CString,
    /// For Landlock.
    rules: Option<rules::Rules>,
    /// For the filter of system calls.
    filter: Vec<libc::sock_filter>,
    /// What holds its network beside a namespace, in words.
    network: Option<&'static str>,
    /// Whether a wall may be missing.
    best_effort: bool,
    /// The walls that are.
    missing: Cell<u8>,
    /// The entry of the view at which the child is.
    at: Cell<usize>,
}

impl Sandbox {
    /// Makes it ready.
    ///
    /// # Errors
    /// What the machine lacks, in words.
    pub(crate) fn new(wanted: Wanted<'_>, host: Host) -> Result<Self, &'static str> {
        let mut missing = 0;
        let mut lack = |wall: Wall, words| {
            missing |= wall.bit();
            if wanted.best_effort { Ok(()) } else { Err(words) }
        };
        if host.abi == 0 {
            lack(Wall::Rules, "the kernel has no Landlock (Linux 5.13)")?;
        }
        let mut namespaces = NAMESPACES;
        match wanted.network {
            Network::Own { .. } => namespaces |= libc::CLONE_NEWNET,
            // An older kernel cannot keep abstract sockets away by rule: an empty network has none.
            Network::Off if host.abi < ABI_SCOPE => namespaces |= libc::CLONE_NEWNET,
            Network::Listen(_) if host.abi < ABI_SCOPE => {
                lack(Wall::Network, "the kernel's Landlock has no network rules (Linux 6.12)")?;
            }
            Network::Off | Network::Listen(_) | Network::Host => {}
        }
        if !host.is_privileged {
            namespaces |= libc::CLONE_NEWUSER;
        }
        let view = in_order(wanted.view);
        Ok(Self {
            namespaces,
            maps: (!host.is_privileged).then(maps),
            rules: (host.abi > 0).then(|| rules::Rules::new(host.abi, true, wanted.network)),
            filter: filter::program(wanted.network, host.abi >= ABI_PORTS),
            network: wanted.network.words(),
            memory: CString::new(format!("size={},nr_inodes=65536,mode=755", wanted.tmp_bytes))
                .unwrap_or_default(),
            view,
            best_effort: wanted.best_effort,
            missing: Cell::new(missing),
            at: Cell::new(usize::MAX),
        })
    }

    /// What is left of it where no namespaces can be had.
    pub(crate) fn without_namespaces(self, network: Network<'_>, host: Host) -> Self {
        // A loopback of its own cannot be had either: rather none.
        let network = if matches!(network, Network::Own { .. }) { Network::Off } else { network };
        let open = network == Network::Off && host.abi < ABI_SCOPE;
        let lost = Wall::View.bit() | Wall::Processes.bit() | if open { Wall::Network.bit() } else { 0 };
        let filter = filter::program(network, host.abi >= ABI_PORTS);
        let rules = (host.abi > 0).then(|| rules::Rules::new(host.abi, false, network));
        let missing = Cell::new(self.missing.get() | lost);
        // What the child before had open is gone with it.
        self.view.iter().for_each(|entry| entry.tree.set(-1));
        Self { namespaces: 0, maps: None, rules, filter, missing, network: network.words(), ..self }
    }

    /// Whether it has namespaces to do without.
    pub(crate) const fn has_namespaces(&self) -> bool {
        self.namespaces != 0
    }

    /// Whether the process is the first of its own: the kernel keeps signals from it that it does not handle.
    pub(crate) const fn is_first(&self) -> bool {
        self.namespaces & libc::CLONE_NEWPID != 0
    }

    /// What holds its network, in words; nothing if it has that of the host.
    pub(crate) const fn network_words(&self) -> Option<&'static str> {
        if self.namespaces & libc::CLONE_NEWNET != 0 { Some("namespace") } else { self.network }
    }

    /// The walls that are missing, as far as is known.
    pub(crate) fn missing(&self) -> Vec<Wall> {
        Wall::ALL.into_iter().filter(|wall| self.missing.get() & wall.bit() != 0).collect()
    }

    /// The path at which the view could not be built.
    pub(crate) fn failed_at(&self) -> Option<PathBuf> {
        let entry = self.view.get(self.at.get())?;
        Some(PathBuf::from(std::ffi::OsStr::from_bytes(entry.path.as_bytes())))
    }

    /// In the child: a wall could not be built, which is an end of it or a note.
    fn lack(&self, wall: Wall, failed: Failed) -> Result<(), Failed> {
        self.missing.set(self.missing.get() | wall.bit());
        if self.best_effort { Ok(()) } else { Err(failed) }
    }
}

/// The entries in the order in which they are mounted: outer before inner, but first those of the system, because
/// links of other names lead there. Of two that name the same path the first kind wins, and what is shown anyway
/// needs no mount of its own.
fn in_order(mut view: Vec<Entry>) -> Vec<Entry> {
    view.sort_by(|one, other| (&one.path, one.access).cmp(&(&other.path, other.access)));
    view.dedup_by(|later, first| later.path == first.path);
    let around = |entry: &Entry| {
        let around = entry.parents.iter().rev().find_map(|parent| {
            let at = view.binary_search_by(|other| other.path.cmp(parent)).ok()?;
            view.get(at)
        });
        around.map(|around| around.access)
    };
    let is_shown = |entry: &Entry| {
        let shown = matches!(around(entry), Some(Access::Read | Access::System | Access::Write));
        shown && entry.access == Access::Read && !entry.required
    };
    let shown: Vec<bool> = view.iter().map(is_shown).collect();
    let mut shown = shown.into_iter();
    view.retain(|_| !shown.next().unwrap_or(false));
    view.sort_by_key(|entry| entry.access != Access::System);
    view
}

/// One user and one group, called what they are.
fn maps() -> [Vec<u8>; 2] {
    let ids = [nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()];
    ids.map(|id| format!("{id} {id} 1").into_bytes())
}

/// The child's part while it still has every right and may open descriptors: its new root, and what Landlock is to
/// hold.
pub(super) fn enter(setup: &Setup) -> Result<(), Failed> {
    let Some(sandbox) = &setup.sandbox else { return Ok(()) };
    if sandbox.has_namespaces() {
        view::enter(sandbox)?;
    }
    let Some(rules) = &sandbox.rules else { return Ok(()) };
    rules.make(&sandbox.view).or_else(|failed| sandbox.lack(Wall::Rules, failed))
}

/// The child's part once it has no right left: Landlock, and then the filter, which lets none of this through.
pub(super) fn seal(setup: &Setup) -> Result<(), Failed> {
    let Some(sandbox) = &setup.sandbox else { return Ok(()) };
    if let Some(rules) = &sandbox.rules {
        rules.restrict().or_else(|failed| sandbox.lack(Wall::Rules, failed))?;
    }
    filter::install(&sandbox.filter).or_else(|failed| sandbox.lack(Wall::Filter, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(network: Network<'_>, best_effort: bool) -> Wanted<'_> {
        let entry = |path: &str, access| Entry::new(Path::new(path), access, false);
        let view = vec![
            entry("/a/./b/../c", Access::Read),
            entry("/a", Access::Write),
            entry("/a", Access::Hidden),
            entry("/b/c/d", Access::Read),
            entry("/b", Access::System),
        ];
        Wanted { view, tmp_bytes: 4096, network, best_effort }
    }

    #[test]
    fn the_view_is_in_order_and_says_each_path_once() {
        let host = Host { abi: 7, is_privileged: true, drops_capabilities: true };
        let sandbox = Sandbox::new(wanted(Network::Off, false), host).unwrap();
        let view: Vec<_> =
            sandbox.view.iter().map(|entry| (entry.path.to_str().unwrap(), entry.access)).collect();
        assert_eq!(view, [("/b", Access::System), ("/a", Access::Hidden), ("/a/c", Access::Read)]);
        assert_eq!(sandbox.view[2].parents, [c"/a".to_owned()]);
        assert_eq!((sandbox.namespaces, sandbox.missing()), (NAMESPACES, vec![]));
    }

    #[test]
    fn what_the_kernel_lacks_is_refused_or_noted() {
        let old = Host { abi: 0, is_privileged: false, drops_capabilities: false };
        assert!(Sandbox::new(wanted(Network::Off, false), old).is_err());
        let sandbox = Sandbox::new(wanted(Network::Off, true), old).unwrap();
        assert_eq!(sandbox.namespaces, NAMESPACES | libc::CLONE_NEWNET | libc::CLONE_NEWUSER);
        assert_eq!(sandbox.missing(), [Wall::Rules]);
        let left = sandbox.without_namespaces(Network::Off, old);
        assert_eq!(left.missing(), [Wall::View, Wall::Processes, Wall::Network, Wall::Rules]);
        let host = Host { abi: 5, is_privileged: true, drops_capabilities: true };
        assert!(Sandbox::new(wanted(Network::Listen(&[80]), false), host).is_err());
        let strict = Sandbox::new(wanted(Network::Off, false), host).unwrap();
        assert_eq!(strict.namespaces, NAMESPACES | libc::CLONE_NEWNET);
    }
}
