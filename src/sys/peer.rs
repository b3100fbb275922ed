//! Who is at the other end of a Unix socket, as the kernel knows it. What they may do is not known here.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt};

use crate::life::policy::Pid;

/// Groups of one peer that are looked at: the kernel has room for more, no administrator has.
const GROUPS_MAX: usize = 1024;

/// A process at the other end, as it was when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its user.
    pub(crate) uid: u32,
    /// Its groups.
    pub(crate) groups: Vec<u32>,
}

/// Who is there.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn of(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = getsockopt(stream, sockopt::PeerCredentials)?;
    let mut groups = supplementary(stream);
    groups.push(credentials.gid());
    Ok(Peer { uid: credentials.uid(), groups })
}

/// Its process, or the one that listened for us; `None` if that is in no namespace of ours.
pub(crate) fn process(stream: &UnixStream) -> Option<Pid> {
    let credentials = getsockopt(stream, sockopt::PeerCredentials).ok()?;
    Some(Pid(credentials.pid())).filter(|pid| pid.0 > 0)
}

/// Its supplementary groups; none on a kernel that does not say, and none of one that is in too many.
fn supplementary(stream: &UnixStream) -> Vec<u32> {
    let mut groups = vec![0_u32; GROUPS_MAX];
    let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(0);
    let (fd, place) = (stream.as_raw_fd(), groups.as_mut_ptr());
    // SAFETY: `place` has room for `bytes` bytes, and the kernel is told so.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERGROUPS, place.cast(), &raw mut bytes) };
    let count = if result == 0 { usize::try_from(bytes).unwrap_or(0).div_euclid(4) } else { 0 };
    groups.truncate(count);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_at_the_other_end_of_our_own_pair() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = of(&one).unwrap();
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert!(peer.groups.contains(&nix::unistd::getegid().as_raw()));
        let mut own: Vec<u32> = nix::unistd::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        own.push(nix::unistd::getegid().as_raw());
        assert_eq!(peer.groups, own);
    }
}
