//! Sockets that services listen on: opened here once, given to one process after the other. Nobody is accepted
//! here, and nothing is read.

use std::fs;
use std::io;
use std::net::{self, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, connect, listen, socket};
use nix::sys::stat::{Mode, umask};

/// Where a socket listens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// TCP, or UDP.
    Net(net::SocketAddr),
    /// A path, and who may connect to it.
    Path(&'a Path, u32),
    /// A name that is in no file system.
    Abstract(&'a str),
}

/// Opens a socket and listens on it; from then on clients wait rather than being refused.
///
/// # Errors
/// What the kernel says; EADDRINUSE also when somebody listens on the path.
pub(crate) fn open(place: Place<'_>, datagrams: bool) -> io::Result<OwnedFd> {
    let socket: OwnedFd = match (place, datagrams) {
        // This one may be taken while connections of a life before still end.
        (Place::Net(address), false) => TcpListener::bind(address)?.into(),
        (Place::Net(address), true) => UdpSocket::bind(address)?.into(),
        (Place::Path(path, mode), _) => at_path(path, mode, datagrams)?,
        (Place::Abstract(name), false) => {
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?.into()
        }
        (Place::Abstract(name), true) => {
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?.into()
        }
    };
    if !datagrams {
        // As many may wait as the system allows.
        listen(&socket, Backlog::MAXALLOWABLE)?;
    }
    Ok(socket)
}

/// Opens a socket at a path.
fn at_path(path: &Path, mode: u32, datagrams: bool) -> io::Result<OwnedFd> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        // What an earlier life left there may go; where somebody listens, the bind says so.
        let answer = if datagrams {
            UnixDatagram::unbound()?.connect(path)
        } else {
            let probe = socket(AddressFamily::Unix, SockType::Stream, SockFlag::all(), None)?;
            connect(probe.as_raw_fd(), &UnixAddr::new(path)?).map_err(io::Error::from)
        };
        if answer.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            fs::remove_file(path)?;
        }
    }
    let before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = if datagrams {
        UnixDatagram::bind(path).map(OwnedFd::from)
    } else {
        UnixListener::bind(path).map(OwnedFd::from)
    };
    umask(before);
    bound
}

/// Makes calls on it wait, as a program expects of a socket that it is given; the one before may have left it
/// otherwise.
pub(crate) fn let_wait(socket: BorrowedFd<'_>) {
    if let Ok(flags) = fcntl(socket, FcntlArg::F_GETFL) {
        let flags = OFlag::from_bits_retain(flags);
        if flags.contains(OFlag::O_NONBLOCK) {
            let _set = fcntl(socket, FcntlArg::F_SETFL(flags.difference(OFlag::O_NONBLOCK)));
        }
    }
}

/// Whether somebody waits to be accepted, or something to be read.
pub(crate) fn is_wanted(socket: BorrowedFd<'_>) -> bool {
    looks(socket, PollFlags::POLLIN)
}

/// Whether the other side of a connection has gone.
pub(crate) fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    looks(fd, PollFlags::POLLHUP | PollFlags::POLLERR)
}

/// Whether a descriptor is in one of these conditions just now.
fn looks(fd: BorrowedFd<'_>, flags: PollFlags) -> bool {
    let mut one = [PollFd::new(fd, flags)];
    let count = poll(&mut one, PollTimeout::ZERO);
    let [one] = one;
    count.is_ok() && one.revents().is_some_and(|found| found.intersects(flags))
}

/// Whether two descriptors of this process mean one open file.
pub(crate) fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    const KCMP_FILE: i32 = 0;
    let own = std::process::id();
    let (one, other) = (one.as_fd().as_raw_fd(), other.as_fd().as_raw_fd());
    // SAFETY: plain numbers.
    unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one, other) == 0 }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn is_set(socket: &OwnedFd, flag: OFlag) -> bool {
        OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL).unwrap()).contains(flag)
    }

    #[test]
    fn clients_of_every_kind_of_socket_wait_to_be_accepted() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        assert_eq!(open(Place::Net(address), false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(free);
        let socket = open(Place::Net(address), false).unwrap();
        assert!(!is_wanted(socket.as_fd()));
        let _client = TcpStream::connect(address).unwrap();
        assert!(is_wanted(socket.as_fd()));

        let socket = open(Place::Net(address), true).unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address).unwrap();
        assert!(is_wanted(socket.as_fd()));

        let name = format!("mcp-init-test-{}", std::process::id());
        let socket = open(Place::Abstract(&name), true).unwrap();
        assert!(open(Place::Abstract(&name), true).is_err());
        let to = SocketAddr::from_abstract_name(&name).unwrap();
        UnixDatagram::unbound().unwrap().send_to_addr(b"x", &to).unwrap();
        assert!(is_wanted(socket.as_fd()));
    }

    #[test]
    fn a_path_is_taken_over_from_the_dead_only() {
        let path = std::env::temp_dir().join(format!("mcp-init-test-{}.sock", std::process::id()));
        drop(fs::remove_file(&path));
        let socket = open(Place::Path(&path, 0o640), false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(open(Place::Path(&path, 0o600), false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        let socket = open(Place::Path(&path, 0o600), false).unwrap();
        drop(UnixStream::connect(&path).unwrap());
        drop(socket);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "no socket").unwrap();
        assert!(open(Place::Path(&path, 0o600), false).is_err());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_a_program_left_is_set_right_and_copies_are_known() {
        let socket = open(Place::Net(([127, 0, 0, 1], 0).into()), false).unwrap();
        let copy = socket.try_clone().unwrap();
        fcntl(&copy, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        assert!(is_set(&socket, OFlag::O_NONBLOCK));
        let_wait(socket.as_fd());
        assert!(!is_set(&socket, OFlag::O_NONBLOCK));
        assert!(is_same(&socket, &copy) && !is_same(&socket, io::stdin()));
        let (one, other) = UnixStream::pair().unwrap();
        assert!(!is_hung_up(one.as_fd()));
        drop(other);
        assert!(is_hung_up(one.as_fd()));
    }
}
