//! What this machine has for a sandbox: asked of the kernel, once.

use std::sync::OnceLock;

use super::super::identity::{CAPABILITY_VERSION, Halves};
use super::rules;

/// `CAP_SYS_ADMIN`: who has it needs no user namespace.
const CAP_SYS_ADMIN: u32 = 21;

/// `CAP_SETPCAP`: who has it can shrink what its children can ever have.
const CAP_SETPCAP: u32 = 8;

/// The first ABI of Landlock that knows TCP ports.
pub(super) const ABI_PORTS: u32 = 4;

/// The first ABI of Landlock that keeps abstract sockets and signals inside.
pub(super) const ABI_SCOPE: u32 = 6;

/// What this machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host {
    /// The ABI of Landlock; 0 for none.
    pub(crate) abi: u32,
    /// Whether we may make namespaces without one for users.
    pub(crate) is_privileged: bool,
    /// Whether we may give capabilities up for good.
    pub(crate) drops_capabilities: bool,
}

impl Host {
    /// Asks the kernel, once: neither it nor our own rights change while we run.
    pub(crate) fn ask() -> Self {
        static HOST: OnceLock<Host> = OnceLock::new();
        *HOST.get_or_init(|| Self {
            abi: rules::abi(),
            is_privileged: has_capability(CAP_SYS_ADMIN),
            drops_capabilities: has_capability(CAP_SETPCAP),
        })
    }
}

/// Whether a capability is in effect.
fn has_capability(number: u32) -> bool {
    let header = [CAPABILITY_VERSION, 0];
    let mut halves = Halves::default();
    // SAFETY: a valid header of our own process, and room for both halves.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), halves.as_mut_ptr()) };
    let [[effective, ..], _] = halves;
    got == 0 && effective >> number & 1 == 1
}
