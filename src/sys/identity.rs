//! The child's side of who it runs as. As in `child`: no allocation, no lock, raw system calls. The C library's own
//! calls are of no use here: they change every thread that shares our memory.

use std::ffi::{c_int, c_ulong};

use super::child::check;
use super::setup::Identity;
use super::stage::{Failed, Stage};

/// The form of capabilities in which the kernel takes 64 of them.
pub(super) const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// The capabilities of a process, as the kernel takes them: for each half of 32 bits effective, permitted and
/// inheritable.
pub(super) type Halves = [[u32; 3]; 2];

/// `SECBIT_NOROOT`, `SECBIT_NO_SETUID_FIXUP`, `SECBIT_NO_CAP_AMBIENT_RAISE`, and the locks of these and of
/// `SECBIT_KEEP_CAPS`: to be root, or to become it, brings no capability, now or ever. With no new privileges beside
/// it, which keeps out those that files give, that is what an empty bounding set does, in one call for forty.
const POWERLESS: c_ulong = 0xef;

/// Becomes it: groups first, because who has changed the user cannot change them any more.
pub(super) fn assume(identity: &Identity) -> Result<(), Failed> {
    groups(identity)?;
    if identity.is_powerless {
        prctl(Stage::Capabilities, libc::PR_SET_SECUREBITS, [POWERLESS, 0, 0, 0])?;
    }
    user(identity)?;
    capabilities(identity)?;
    if identity.no_new_privileges {
        prctl(Stage::NoNewPrivileges, libc::PR_SET_NO_NEW_PRIVS, [1, 0, 0, 0])?;
    }
    Ok(())
}

/// Supplementary groups and the group.
fn groups(identity: &Identity) -> Result<(), Failed> {
    if let Some(groups) = &identity.groups {
        // SAFETY: a valid list of so many numbers.
        let set = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
        check(Stage::Group, set)?;
    }
    let Some(gid) = identity.gid else { return Ok(()) };
    // SAFETY: plain numbers.
    check(Stage::Group, unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })
}

/// The user. Capabilities that are still to be set need those that we have until then.
fn user(identity: &Identity) -> Result<(), Failed> {
    let Some(uid) = identity.uid else { return Ok(()) };
    if changes_capabilities(identity) {
        prctl(Stage::User, libc::PR_SET_KEEPCAPS, [1, 0, 0, 0])?;
    }
    // SAFETY: plain numbers.
    check(Stage::User, unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

/// Whether capabilities are to be anything but what the user has.
const fn changes_capabilities(identity: &Identity) -> bool {
    identity.dropped.is_some() || identity.ambient != 0
}

/// What it may do beyond its user.
fn capabilities(identity: &Identity) -> Result<(), Failed> {
    if identity.is_powerless {
        return set(&Halves::default());
    }
    if !changes_capabilities(identity) {
        return Ok(());
    }
    let mut halves = Halves::default();
    let header = [CAPABILITY_VERSION, 0];
    // SAFETY: a valid header of our own process, and room for both halves.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), halves.as_mut_ptr()) };
    check(Stage::Capabilities, got)?;
    // A new user has what was permitted, but in effect only once it is said.
    let ambient = halves_of(identity.ambient);
    for ([effective, permitted, inheritable], ambient) in halves.iter_mut().zip(ambient) {
        *effective = *permitted;
        *inheritable = if identity.dropped.is_some() { ambient } else { *inheritable | ambient };
    }
    set(&halves)?;
    if let Some(dropped) = identity.dropped {
        for capability in bits(dropped) {
            prctl(Stage::Capabilities, libc::PR_CAPBSET_DROP, [capability, 0, 0, 0])?;
        }
        let clear = number(libc::PR_CAP_AMBIENT_CLEAR_ALL);
        // A kernel too old for ambient capabilities has none to clear.
        let _cleared = prctl(Stage::Capabilities, libc::PR_CAP_AMBIENT, [clear, 0, 0, 0]);
    }
    for capability in bits(identity.ambient) {
        let raise = number(libc::PR_CAP_AMBIENT_RAISE);
        prctl(Stage::Capabilities, libc::PR_CAP_AMBIENT, [raise, capability, 0, 0])?;
    }
    Ok(())
}

/// Sets its capabilities.
fn set(halves: &Halves) -> Result<(), Failed> {
    let header = [CAPABILITY_VERSION, 0];
    // SAFETY: a valid header of our own process, and both halves.
    check(Stage::Capabilities, unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), halves.as_ptr()) })
}

/// The numbers of a set.
fn bits(set: u64) -> impl Iterator<Item = c_ulong> {
    (0..64).filter(move |bit| set >> bit & 1 == 1)
}

/// The two halves of a set.
fn halves_of(set: u64) -> [u32; 2] {
    [set & u64::from(u32::MAX), set >> 32].map(|half| u32::try_from(half).unwrap_or(0))
}

/// A number of the kernel's, as `prctl` wants it.
fn number(value: c_int) -> c_ulong {
    c_ulong::try_from(value).unwrap_or(0)
}

/// `prctl`
fn prctl(stage: Stage, option: c_int, [a, b, c, d]: [c_ulong; 4]) -> Result<(), Failed> {
    // SAFETY: plain numbers.
    check(stage, unsafe { libc::prctl(option, a, b, c, d) })
}
