//! Landlock: what the process may do to files, ports and other processes, held by the kernel a second time. The
//! rules are made ready by the parent; as in `child`, the child allocates nothing.

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_uint};
use std::mem::size_of;
use std::os::fd::RawFd;

use super::super::child::check;
use super::super::stage::{Failed, Stage};
use super::host::{ABI_PORTS, ABI_SCOPE};
use super::{Access, Entry, Network};

/// `LANDLOCK_CREATE_RULESET_VERSION`
const VERSION: c_uint = 1;
/// `LANDLOCK_RULE_PATH_BENEATH`
const BENEATH: c_uint = 1;
/// `LANDLOCK_RULE_NET_PORT`
const PORT: c_uint = 2;
/// To execute, to read a file, to list a folder.
const READ: u64 = 1 | 1 << 2 | 1 << 3;
/// To write, to remove and to make.
const WRITE: u64 = 1 << 1 | 0x1ff0;
/// To link or rename from folder to folder; since ABI 2.
const REFER: u64 = 1 << 13;
/// To truncate; since ABI 3.
const TRUNCATE: u64 = 1 << 14;
/// Of these, what can be done to a file that is no folder.
const OF_FILES: u64 = 1 | 1 << 1 | 1 << 2 | TRUNCATE;
/// To bind a TCP port, and to connect to one.
const BIND: u64 = 1;
/// See [`BIND`].
const CONNECT: u64 = 2;
/// Abstract sockets and signals stay inside.
const SCOPES: u64 = 3;

/// `struct landlock_path_beneath_attr`
#[repr(C, packed)]
struct Beneath {
    /// What is allowed.
    allowed: u64,
    /// Of what.
    parent: c_int,
}

/// The rules.
#[derive(Debug)]
pub(super) struct Rules {
    /// What is refused unless a rule allows it: of files, of ports, of other processes.
    handled: [u64; 3],
    /// As much of that as the kernel knows.
    handled_bytes: usize,
    /// Whether the process has mounts of its own: nothing but what it may read is there to be read then.
    has_mounts: bool,
    /// Ports that may be bound.
    ports: Vec<u16>,
    /// The set of them, from when the child has made it.
    set: Cell<RawFd>,
}

/// The ABI of the kernel's Landlock; 0 for none.
pub(super) fn abi() -> u32 {
    let none = std::ptr::null::<u8>();
    // SAFETY: only asks.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

impl Rules {
    /// Rules for a view. Inside mounts of its own only writing is ruled, because nothing else is there to be read.
    pub(super) fn new(abi: u32, has_mounts: bool, network: Network<'_>) -> Self {
        let mut write = WRITE;
        if abi >= 2 {
            write |= REFER;
        }
        if abi >= 3 {
            write |= TRUNCATE;
        }
        let read = if has_mounts { 0 } else { READ };
        let (ports, net) = match network {
            Network::Off => (Vec::new(), BIND | CONNECT),
            Network::Listen(ports) => (ports.to_vec(), BIND | CONNECT),
            Network::Own { is_given_sockets: true } => (Vec::new(), CONNECT),
            Network::Own { .. } | Network::Host => (Vec::new(), 0),
        };
        let handled =
            [read | write, if abi >= ABI_PORTS { net } else { 0 }, if abi >= ABI_SCOPE { SCOPES } else { 0 }];
        let words: usize = if abi >= ABI_SCOPE {
            3
        } else if abi >= ABI_PORTS {
            2
        } else {
            1
        };
        let ports = if abi >= ABI_PORTS { ports } else { Vec::new() };
        let handled_bytes = words.saturating_mul(size_of::<u64>());
        Self { handled, handled_bytes, has_mounts, ports, set: Cell::new(-1) }
    }

    /// What is allowed of a path.
    fn allowed(&self, access: Access) -> u64 {
        let [files, ..] = self.handled;
        match access {
            Access::Write => files,
            // Without mounts there is only that of everybody.
            Access::Tmp if self.has_mounts => files,
            Access::Device => files & OF_FILES,
            Access::System | Access::Read | Access::Processes => files & READ,
            Access::Hidden | Access::Empty | Access::Tmp => 0,
        }
    }

    /// The child: makes the set of them, while it may open descriptors. Those are closed by exec.
    pub(super) fn make(&self, view: &[Entry]) -> Result<(), Failed> {
        let (place, bytes) = (self.handled.as_ptr(), self.handled_bytes);
        // SAFETY: a valid `struct landlock_ruleset_attr` of so many bytes.
        let set = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, place, bytes, 0) };
        rule(set)?;
        for entry in view {
            let allowed = self.allowed(entry.access);
            if allowed == 0 {
                continue;
            }
            let folder = match entry.tree.get() {
                // SAFETY: a C string and plain numbers.
                -1 if !self.has_mounts => unsafe {
                    libc::open(entry.path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC)
                },
                mounted => mounted,
            };
            // What is not there needs no rule.
            if folder >= 0 {
                allow(set, allowed, folder)?;
            }
        }
        for port in &self.ports {
            let attribute = [BIND, u64::from(*port)];
            let place = attribute.as_ptr();
            // SAFETY: a valid `struct landlock_net_port_attr`.
            rule(unsafe { libc::syscall(libc::SYS_landlock_add_rule, set, PORT, place, 0) })?;
        }
        self.set.set(c_int::try_from(set).unwrap_or(-1));
        Ok(())
    }

    /// The child: from here on they hold.
    pub(super) fn restrict(&self) -> Result<(), Failed> {
        match self.set.get() {
            // It is missing, which is noted already.
            -1 => Ok(()),
            // SAFETY: plain numbers.
            set => rule(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, set, 0) }),
        }
    }
}

/// One rule of a path. Of a file the kernel takes only what can be done to files.
fn allow(set: c_long, allowed: u64, parent: c_int) -> Result<(), Failed> {
    let add = |allowed| {
        let attribute = Beneath { allowed, parent };
        // SAFETY: a valid `struct landlock_path_beneath_attr`.
        rule(unsafe { libc::syscall(libc::SYS_landlock_add_rule, set, BENEATH, &raw const attribute, 0) })
    };
    match add(allowed) {
        Err((_, libc::EINVAL)) => add(allowed & OF_FILES),
        done => done,
    }
}

/// The errno of a step of this file that failed.
fn rule(result: c_long) -> Result<(), Failed> {
    check(Stage::Rules, result)
}
