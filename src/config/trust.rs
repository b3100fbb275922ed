//! Whether what root is about to obey can be changed by others: files of the configuration, and the programs that
//! run as root. Nothing is changed here.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

/// Bits of a mode: the group may write, anybody may write, only owners may remove.
const GROUP_WRITES: u32 = 0o020;
/// See [`GROUP_WRITES`].
const OTHERS_WRITE: u32 = 0o002;
/// See [`GROUP_WRITES`].
const STICKY: u32 = 0o1000;

/// Who could change something that is at `path`; `None` if root alone can, or if we are not root and it is nobody
/// else's business.
pub(super) fn stranger(path: &Path, about: &Metadata) -> Option<String> {
    if !geteuid().is_root() {
        return None;
    }
    let who = who_writes(about, invoker())?;
    // What is mounted read-only is written by nobody, whatever its mode says.
    let read_only = statvfs(path).is_ok_and(|disk| disk.flags().contains(FsFlags::ST_RDONLY));
    (!read_only).then_some(who)
}

/// The same as an error.
pub(super) fn check(path: &Path, about: &Metadata) -> io::Result<()> {
    match stranger(path, about) {
        None => Ok(()),
        Some(who) => Err(io::Error::other(format!("{who} can change it, and root would obey"))),
    }
}

/// The first program among these that is there, if anybody but root could change it: its path, and who.
pub(super) fn changeable<'a>(mut candidates: impl Iterator<Item = &'a Path>) -> Option<String> {
    let (path, about) = candidates.find_map(|path| {
        let about = fs::metadata(path).ok()?;
        about.is_file().then_some((path, about))
    })?;
    let who = stranger(path, &about).or_else(|| {
        // Whoever can write to its folder can put another program there.
        let folder = path.parent()?;
        stranger(folder, &fs::metadata(folder).ok()?)
    })?;
    Some(format!("cannot run {} as root: {who} can change it", path.display()))
}

/// Who called us with `sudo`: root's rights are theirs already.
fn invoker() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}

/// Who but root can write to it.
fn who_writes(about: &Metadata, invoker: Option<u32>) -> Option<String> {
    let (mode, owner) = (about.mode(), about.uid());
    if owner != 0 && Some(owner) != invoker {
        return Some(format!("user {owner}"));
    }
    // In such a folder everybody writes, but to their own files only.
    if about.is_dir() && mode & STICKY != 0 {
        return None;
    }
    if mode & OTHERS_WRITE != 0 {
        return Some("anybody".to_owned());
    }
    (mode & GROUP_WRITES != 0 && about.gid() != 0).then(|| format!("group {}", about.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_mode_tells_who_writes() {
        let path = std::env::temp_dir().join(format!("mcp-init-trust-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let who = |mode: u32, invoker: Option<u32>| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            who_writes(&fs::metadata(&path).unwrap(), invoker)
        };
        let own = geteuid().as_raw();
        assert_eq!(who(0o644, Some(own)), None);
        assert_eq!(who(0o600, Some(own)), None);
        assert_eq!(who(0o646, Some(own)).as_deref(), Some("anybody"));
        if own != 0 {
            assert_eq!(who(0o644, None), Some(format!("user {own}")));
        }
        fs::remove_file(path).unwrap();
        assert_eq!(who_writes(&fs::metadata("/tmp").unwrap(), None), None, "only owners remove there");
    }
}
