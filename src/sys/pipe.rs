//! Pipes and socketpairs between the supervisor, its scribe and its services. Nothing is read here.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;

/// A service's output: the end its process writes to, and the end the scribe reads from.
#[derive(Debug)]
pub(crate) struct Output {
    /// Given to each of the service's processes as stdout and stderr.
    pub(crate) write: OwnedFd,
    /// Given to the scribe; nonblocking.
    pub(crate) read: OwnedFd,
}

/// Makes a pipe for a service's output.
///
/// The end that the service gets is opened for reading too, where `/proc` allows it: a process that could
/// read its own pipe gets no SIGPIPE when all other readers have died, so its output outlives us.
pub(crate) fn output() -> io::Result<Output> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let path = format!("/proc/self/fd/{}", write.as_raw_fd());
    let both = open(path.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
    Ok(Output { write: both.unwrap_or(write), read })
}

/// A pipe whose read end does not block: for what a helper says.
pub(crate) fn saying() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// A pipe that holds these bytes and its end: what a child is asked.
///
/// # Errors
/// E2BIG when they are more than a pipe holds.
pub(crate) fn holding(bytes: &[u8]) -> io::Result<OwnedFd> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    if nix::unistd::write(&write, bytes)? < bytes.len() {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    Ok(read)
}

/// A stream socketpair: our end does not block, the other does (Node and most programs expect that).
pub(crate) fn channel() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((ours, theirs.into()))
}

/// `/dev/null`, for both directions.
pub(crate) fn null() -> io::Result<OwnedFd> {
    Ok(open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?)
}
