//! The child's side of its file system: a new root of files in memory, on which only what it may see is mounted.
//! As in `child`: no allocation, no lock, raw system calls on values made ready before.
//!
//! Sources are opened before the root is changed and mounted after the old one is gone, so no name of the new root
//! can lead into the old one, and nothing is ever made in a folder of the host.

use std::ffi::{CStr, c_char, c_int, c_long, c_short, c_uint};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::RawFd;

use super::super::child::{check, errno};
use super::super::stage::{Failed, Stage};
use super::{Access, Entry, Sandbox, Wall};

/// `OPEN_TREE_CLONE`
const CLONE: c_uint = 1;
/// `AT_RECURSIVE`
const RECURSIVE: c_uint = 0x8000;
/// `AT_EMPTY_PATH`
const EMPTY_PATH: c_uint = 0x1000;
/// `MOVE_MOUNT_F_EMPTY_PATH`
const MOVE_EMPTY_PATH: c_uint = 4;
/// `FSOPEN_CLOEXEC`, `FSMOUNT_CLOEXEC`
const FS_CLOEXEC: c_uint = 1;
/// `FSCONFIG_CMD_CREATE`
const FS_CREATE: c_uint = 6;
/// `MOUNT_ATTR_RDONLY`
const READ_ONLY: u64 = 1;
/// `MOUNT_ATTR_NOSUID`
const NO_SETUID: u64 = 2;
/// `MOUNT_ATTR_NODEV`
const NO_DEVICES: u64 = 4;
/// `MOUNT_ATTR_NOEXEC`
const NO_EXEC: u64 = 8;
/// Flags of a mount of files in memory.
const IN_MEMORY: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV;

/// Where the new root is built: a folder that is always there, because the kernel is spoken to through it.
const BUILT_AT: &CStr = c"/proc";
/// An empty file, for what is hidden and no folder.
const VOID: &CStr = c"/.hidden";
/// Links that every `/dev` has.
const LINKS: [(&CStr, &CStr); 6] = [
    (c"/dev/urandom", c"/dev/random"),
    (c"/proc/self/fd", c"/dev/fd"),
    (c"/proc/self/fd/0", c"/dev/stdin"),
    (c"/proc/self/fd/1", c"/dev/stdout"),
    (c"/proc/self/fd/2", c"/dev/stderr"),
    (c"/tmp", c"/dev/shm"),
];
/// In the place of a tree: a hidden folder has an empty one on it.
const COVERED: RawFd = -2;
/// In the place of a tree: it is a link of the system, and stays one.
const LINK: RawFd = -3;
/// Longest link of the system that stays a link.
const LINK_BYTES_MAX: usize = 256;

/// Leaves the host's file system for its own.
pub(super) fn enter(sandbox: &Sandbox) -> Result<(), Failed> {
    // SAFETY: plain numbers.
    let mask = unsafe { libc::umask(0o022) };
    let built = build(sandbox);
    // SAFETY: plain numbers.
    unsafe { libc::umask(mask) };
    built
}

/// All of it, in order.
fn build(sandbox: &Sandbox) -> Result<(), Failed> {
    if let Some([user, group]) = &sandbox.maps {
        write(c"/proc/self/setgroups", b"deny")?;
        write(c"/proc/self/uid_map", user)?;
        write(c"/proc/self/gid_map", group)?;
    }
    if sandbox.namespaces & libc::CLONE_NEWNET != 0 {
        raise_loopback()?;
    }
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE, None)?;
    each(sandbox, |entry| open(sandbox, entry))?;
    mount(Some(c"tmpfs"), BUILT_AT, IN_MEMORY, Some(&sandbox.memory))?;
    go(BUILT_AT)?;
    each(sandbox, keep_link)?;
    // SAFETY: C strings. The old root comes to lie on the new one, where it is taken away.
    view(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // SAFETY: a C string.
    view(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    go(c"/")?;
    // SAFETY: a C string.
    view(unsafe { libc::mknod(VOID.as_ptr(), libc::S_IFREG, 0) })?;
    each(sandbox, place)?;
    for (target, link) in LINKS {
        // SAFETY: C strings. Without `/dev` there is no place for them, nor need.
        unsafe { libc::symlink(target.as_ptr(), link.as_ptr()) };
    }
    // SAFETY: a C string.
    unsafe { libc::unlink(VOID.as_ptr()) };
    each(sandbox, lock)?;
    set(libc::AT_FDCWD, c"/", 0, READ_ONLY)
}

/// Brings up the only interface of an empty network.
fn raise_loopback() -> Result<(), Failed> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: plain numbers.
    let socket = unsafe { libc::socket(libc::AF_INET, kind, 0) };
    check(Stage::Namespaces, socket)?;
    let mut name = [0; libc::IFNAMSIZ];
    for (place, letter) in name.iter_mut().zip(c"lo".to_bytes()) {
        *place = c_char::try_from(*letter).unwrap_or_default();
    }
    let flags = c_short::try_from(libc::IFF_UP).unwrap_or_default();
    let up = libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: a valid request.
    let raised = unsafe { libc::syscall(libc::SYS_ioctl, socket, libc::SIOCSIFFLAGS, &raw const up) };
    let done = check(Stage::Namespaces, c_int::try_from(raised).unwrap_or(-1));
    // SAFETY: just opened, and nobody else's.
    unsafe { libc::close(socket) };
    done
}

/// Does one thing for each entry of the view, and remembers at which it failed.
fn each(sandbox: &Sandbox, mut act: impl FnMut(&Entry) -> Result<(), Failed>) -> Result<(), Failed> {
    for (at, entry) in sandbox.view.iter().enumerate() {
        sandbox.at.set(at);
        act(entry)?;
    }
    sandbox.at.set(usize::MAX);
    Ok(())
}

/// Takes hold of what is to be mounted, while the host's file system is there.
fn open(sandbox: &Sandbox, entry: &Entry) -> Result<(), Failed> {
    let attributes = match entry.access {
        Access::Tmp | Access::Hidden | Access::Empty => return Ok(()),
        Access::Processes => return open_processes(sandbox, entry),
        Access::System if !is_there_itself(entry) => return Ok(()),
        Access::System | Access::Read => READ_ONLY | NO_SETUID | NO_DEVICES,
        Access::Write => NO_SETUID | NO_DEVICES,
        // It can be written all the same, but not changed by one who owns it.
        Access::Device => READ_ONLY | NO_SETUID | NO_EXEC,
    };
    let flags = CLONE | RECURSIVE | libc::O_CLOEXEC.unsigned_abs();
    // SAFETY: a C string and plain numbers.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, entry.path.as_ptr(), flags) };
    if tree == -1 && !entry.required && matches!(errno(), libc::ENOENT | libc::EACCES | libc::ENOTDIR) {
        return Ok(());
    }
    view(tree)?;
    entry.tree.set(descriptor(tree));
    set(entry.tree.get(), c"", RECURSIVE | EMPTY_PATH, attributes)
}

/// A `/proc` that knows the process and its children only. Where the host's own is partly covered, as in a
/// container, the kernel grants no new one without privileges.
fn open_processes(sandbox: &Sandbox, entry: &Entry) -> Result<(), Failed> {
    let made = new_processes().or_else(|failed| {
        sandbox.lack(Wall::Processes, failed)?;
        let flags = CLONE | RECURSIVE | libc::O_CLOEXEC.unsigned_abs();
        // SAFETY: a C string and plain numbers.
        let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, entry.path.as_ptr(), flags) };
        view(tree)?;
        set(descriptor(tree), c"", RECURSIVE | EMPTY_PATH, READ_ONLY)?;
        Ok(descriptor(tree))
    })?;
    entry.tree.set(made);
    Ok(())
}

/// The same where it is granted.
fn new_processes() -> Result<RawFd, Failed> {
    // SAFETY: a C string and a plain number.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, c"proc".as_ptr(), FS_CLOEXEC) };
    view(context)?;
    let none = std::ptr::null::<u8>();
    // SAFETY: plain numbers, and null where nothing is asked for.
    view(unsafe { libc::syscall(libc::SYS_fsconfig, context, FS_CREATE, none, none, 0) })?;
    let attributes = READ_ONLY | NO_SETUID | NO_DEVICES | NO_EXEC;
    // SAFETY: plain numbers. What is opened here is closed by exec.
    let tree = unsafe { libc::syscall(libc::SYS_fsmount, context, FS_CLOEXEC, attributes) };
    view(tree)?;
    Ok(descriptor(tree))
}

/// Whether a name of the system is there, and no link, as `/bin` is in most.
fn is_there_itself(entry: &Entry) -> bool {
    let mut byte = [0_u8; 1];
    // SAFETY: room for one byte.
    let length = unsafe { libc::readlink(entry.path.as_ptr(), byte.as_mut_ptr().cast(), 1) };
    if length == 1 {
        entry.tree.set(LINK);
    }
    length == -1 && errno() == libc::EINVAL
}

/// Makes the link anew that was one in the old root; the working directory is the new one.
fn keep_link(entry: &Entry) -> Result<(), Failed> {
    if entry.tree.get() != LINK || !entry.parents.is_empty() {
        return Ok(());
    }
    let mut target = [0_u8; LINK_BYTES_MAX];
    let room = LINK_BYTES_MAX.saturating_sub(1);
    // SAFETY: as much room as is said; the last byte stays NUL.
    let length = unsafe { libc::readlink(entry.path.as_ptr(), target.as_mut_ptr().cast(), room) };
    if length <= 0 {
        return Ok(());
    }
    // SAFETY: the path begins with a slash, which is no part of the name in this folder.
    let name = unsafe { entry.path.as_ptr().add(1) };
    // SAFETY: C strings.
    view(unsafe { libc::symlink(target.as_ptr().cast(), name) })
}

/// Mounts what was opened, or makes what is new.
fn place(entry: &Entry) -> Result<(), Failed> {
    let tree = entry.tree.get();
    match entry.access {
        Access::Hidden => return hide(entry),
        Access::Empty => {
            make(entry, make_folder);
            return Ok(());
        }
        Access::Tmp => {
            make(entry, make_folder);
            return open_up(entry);
        }
        Access::Device | Access::System | Access::Processes | Access::Read | Access::Write if tree < 0 => {
            return Ok(());
        }
        Access::System | Access::Processes => make(entry, make_folder),
        Access::Read | Access::Write if mode(tree, c"") == Some(libc::S_IFDIR) => make(entry, make_folder),
        Access::Device | Access::Read | Access::Write => make(entry, make_file),
    }
    attach(tree, &entry.path)
}

/// Makes what something is to be mounted on, and the folders that lead there where they are missing. It may be there
/// already, where its folder is shown as well; that it is there is found out by its use.
fn make(entry: &Entry, make: fn(&CStr) -> c_int) {
    if make(&entry.path) == -1 && errno() == libc::ENOENT {
        for parent in &entry.parents {
            make_folder(parent);
        }
        make(&entry.path);
    }
}

/// Makes a folder of the new root one that everybody can write, and keeps it so when the root becomes read-only:
/// by a mount of its own.
fn open_up(entry: &Entry) -> Result<(), Failed> {
    // SAFETY: a C string.
    view(unsafe { libc::chmod(entry.path.as_ptr(), 0o1777) })?;
    entry.tree.set(clone(&entry.path)?);
    attach(entry.tree.get(), &entry.path)
}

/// Puts something empty in the place of what the view would show.
fn hide(entry: &Entry) -> Result<(), Failed> {
    match mode(libc::AT_FDCWD, &entry.path) {
        None => Ok(()),
        Some(libc::S_IFDIR) => {
            entry.tree.set(COVERED);
            mount(Some(c"tmpfs"), &entry.path, IN_MEMORY, Some(c"size=64k,mode=755"))
        }
        Some(_) => {
            let void = clone(VOID)?;
            set(void, c"", EMPTY_PATH, READ_ONLY)?;
            attach(void, &entry.path)
        }
    }
}

/// Takes the last rights from what stands in the place of something hidden: now all is in it that had to be.
fn lock(entry: &Entry) -> Result<(), Failed> {
    if entry.tree.get() == COVERED { set(libc::AT_FDCWD, &entry.path, 0, READ_ONLY) } else { Ok(()) }
}

/// A second mount of what is in the new root already.
fn clone(path: &CStr) -> Result<RawFd, Failed> {
    let flags = CLONE | libc::O_CLOEXEC.unsigned_abs();
    // SAFETY: a C string and plain numbers.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    view(tree)?;
    Ok(descriptor(tree))
}

/// Mounts a tree; its descriptor is closed by exec.
fn attach(tree: RawFd, path: &CStr) -> Result<(), Failed> {
    let (from, flags) = (c"".as_ptr(), MOVE_EMPTY_PATH);
    // SAFETY: C strings and plain numbers.
    view(unsafe { libc::syscall(libc::SYS_move_mount, tree, from, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Adds attributes to a mount.
fn set(folder: RawFd, path: &CStr, flags: c_uint, attributes: u64) -> Result<(), Failed> {
    let attribute = [attributes, 0, 0, 0];
    let (place, bytes) = (attribute.as_ptr(), size_of::<[u64; 4]>());
    // SAFETY: a C string and a valid `struct mount_attr` of so many bytes.
    view(unsafe { libc::syscall(libc::SYS_mount_setattr, folder, path.as_ptr(), flags, place, bytes) })
}

/// `mount(2)`
fn mount(
    kind: Option<&CStr>,
    path: &CStr,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> Result<(), Failed> {
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    let options = options.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: C strings, or null where none is needed.
    view(unsafe { libc::mount(kind, path.as_ptr(), kind, flags, options.cast()) })
}

/// What a path is: the bits of its mode that say so.
fn mode(folder: RawFd, path: &CStr) -> Option<libc::mode_t> {
    let mut about = MaybeUninit::<libc::stat>::zeroed();
    let flags = if folder == libc::AT_FDCWD { 0 } else { libc::AT_EMPTY_PATH };
    // SAFETY: a C string and room for what is known.
    let known = unsafe { libc::fstatat(folder, path.as_ptr(), about.as_mut_ptr(), flags) };
    // SAFETY: all zeros are a valid value, and the call may have filled it.
    let about = unsafe { about.assume_init() };
    (known == 0).then_some(about.st_mode & libc::S_IFMT)
}

/// Makes a folder.
fn make_folder(path: &CStr) -> c_int {
    // SAFETY: a C string.
    unsafe { libc::mkdir(path.as_ptr(), 0o755) }
}

/// Makes an empty file.
fn make_file(path: &CStr) -> c_int {
    // SAFETY: a C string.
    unsafe { libc::mknod(path.as_ptr(), libc::S_IFREG | 0o444, 0) }
}

/// `chdir`
fn go(path: &CStr) -> Result<(), Failed> {
    // SAFETY: a C string.
    view(unsafe { libc::chdir(path.as_ptr()) })
}

/// Writes a file of the kernel's.
fn write(path: &CStr, text: &[u8]) -> Result<(), Failed> {
    // SAFETY: a C string.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    check(Stage::Namespaces, file)?;
    // SAFETY: a text of so many bytes.
    let written = unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
    let done = check(Stage::Namespaces, c_long::try_from(written).unwrap_or(-1));
    // SAFETY: just opened, and nobody else's.
    unsafe { libc::close(file) };
    done
}

/// The errno of a step of this file that failed.
fn view(result: impl Into<c_long>) -> Result<(), Failed> {
    check(Stage::View, result)
}

/// A descriptor as the kernel returns it.
fn descriptor(result: c_long) -> RawFd {
    c_int::try_from(result).unwrap_or(-1)
}
