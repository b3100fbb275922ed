//! Where clients knock: a TCP port or a Unix socket, and the connections that come of it. What is said on
//! them is not known here.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// Connections the kernel keeps for us while we are busy.
const BACKLOG: u32 = 1024;

/// Who may connect to a Unix socket: its user and its group.
pub(crate) const SOCKET_MODE: u32 = 0o660;

/// Who may connect to one where nobody is asked who he is: its user.
pub(crate) const PRIVATE_MODE: u32 = 0o600;

/// A connection, whatever it is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A socket that listens: from here on the kernel accepts.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The socket.
    socket: Socket,
    /// Where it is.
    address: Address,
    /// The file of a Unix socket that we made.
    _file: Option<SocketFile>,
}

/// The two kinds.
#[derive(Debug)]
enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// Host and port, the port never 0.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            // As nginx and others write it; a path of the endpoint comes behind.
            Self::Unix(path) => write!(f, "unix:{}:", path.display()),
        }
    }
}

impl Address {
    /// The TCP port.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

impl Listener {
    /// Takes the address; port 0 is any free one.
    pub(crate) fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for the last connections of the life before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = Address::Tcp(listener.local_addr()?);
        Ok(Self { socket: Socket::Tcp(listener), address, _file: None })
    }

    /// Takes the path. A socket of a life before is replaced, one that somebody listens on is not.
    pub(crate) fn unix(path: &Path, mode: u32) -> io::Result<Self> {
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::other("there is a file, and it is no socket"));
            }
            if StdUnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
        }
        // Nobody can connect before its mode is right: it has another name until then.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let fresh = PathBuf::from(name);
        drop(fs::remove_file(&fresh));
        let listener = StdUnixListener::bind(&fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))
            .and_then(|()| fs::rename(&fresh, path))
            .inspect_err(|_| drop(fs::remove_file(&fresh)))?;
        listener.set_nonblocking(true)?;
        let socket = Socket::Unix(UnixListener::from_std(listener)?);
        let file = SocketFile::of(path).ok();
        Ok(Self { socket, address: Address::Unix(path.to_owned()), _file: file })
    }

    /// Takes over a socket that somebody else opened, who also looks after its file.
    pub(crate) fn inherited(descriptor: OwnedFd) -> io::Result<Self> {
        let tcp = std::net::TcpListener::from(descriptor.as_fd().try_clone_to_owned()?);
        if let Ok(address) = tcp.local_addr() {
            tcp.set_nonblocking(true)?;
            let socket = Socket::Tcp(TcpListener::from_std(tcp)?);
            return Ok(Self { socket, address: Address::Tcp(address), _file: None });
        }
        let unix = StdUnixListener::from(descriptor);
        let address = unix.local_addr()?;
        let path = address.as_pathname().unwrap_or(Path::new("")).to_owned();
        unix.set_nonblocking(true)?;
        let socket = Socket::Unix(UnixListener::from_std(unix)?);
        Ok(Self { socket, address: Address::Unix(path), _file: None })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Small answers must not wait for an acknowledgement of the one before.
                drop(stream.set_nodelay(true));
                Box::new(stream)
            }
            Socket::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// The file of a Unix socket, removed at the end if it is still the same.
#[derive(Debug)]
struct SocketFile {
    /// Where.
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// The file as it is now.
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Device and inode of a file.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of this test's own.
    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("mcp-runner-{}-{name}.sock", std::process::id()))
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let path = path("stale");
        drop(StdUnixListener::bind(&path).unwrap());
        let listener = Listener::unix(&path, SOCKET_MODE).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        assert_eq!(Listener::unix(&path, SOCKET_MODE).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let client = tokio::net::UnixStream::connect(&path).await.unwrap();
        // The probe of the second came first.
        listener.accept().await.unwrap();
        listener.accept().await.unwrap();
        drop((client, listener));
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert!(Listener::unix(&path, SOCKET_MODE).unwrap_err().to_string().contains("no socket"));
        fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn inherited_sockets_are_known_by_their_kind() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Listener::inherited(tcp.into()).unwrap();
        assert_eq!(listener.address(), &Address::Tcp(address));
        let path = path("inherited");
        let unix = StdUnixListener::bind(&path).unwrap();
        let listener = Listener::inherited(unix.into()).unwrap();
        assert_eq!(listener.address(), &Address::Unix(path.clone()));
        drop(listener);
        assert!(path.exists(), "whoever opened it looks after its file");
        fs::remove_file(&path).unwrap();
    }
}
