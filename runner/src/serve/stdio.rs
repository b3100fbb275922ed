//! stdin and stdout: one JSON object a line, both eras. Nothing else is ever written to stdout. A Unix socket may
//! stand for them: then everybody who connects has a conversation of its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixStream, unix::pipe};

use super::crowd::Crowd;
use super::http::accept;
use super::listener::Listener;
use super::stall::Stall;
use super::{Answers, STOP_TIMEOUT, Stop, talk};
use crate::vitals::Vitals;

/// stdin, whatever it is.
type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// stdout, whatever it is.
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Serves until stdin ends or a stop is wanted, which is the same thing: calls in flight are answered first.
pub(crate) async fn serve(answers: impl Answers, stop: Stop) -> io::Result<()> {
    let transport = AsyncRwTransport::new_server(reader()?, writer()?);
    talk::hold(&answers, transport, std::future::pending(), stop).await;
    Ok(())
}

/// Serves whoever connects, until a stop is wanted and what was in flight then is finished.
pub(crate) async fn serve_socket(
    listener: Listener,
    answers: impl Answers,
    vitals: Arc<Vitals>,
    mut stop: Stop,
) {
    let crowd = Crowd::new();
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => break,
            accepted = accept(&listener, &crowd) => accepted,
        };
        let Some((stream, place)) = accepted else {
            continue;
        };
        let (answers, stop, busy) = (answers.clone(), stop.clone(), vitals.busy());
        tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(Stall::new(stream));
            let transport = AsyncRwTransport::new_server(reader, writer);
            talk::hold(&answers, transport, std::future::pending(), stop).await;
            drop((place, busy));
        });
    }
    drop(listener);
    answers.stopping();
    crowd.empty(STOP_TIMEOUT).await;
}

/// stdin, read without a thread where it is a pipe or a socket (Node gives its children sockets).
fn reader() -> io::Result<Reader> {
    let stdin = io::stdin();
    Ok(match Kind::of(stdin.as_fd())? {
        Kind::Pipe => match reopened("/proc/self/fd/0", OpenOptions::new().read(true)) {
            Ok(file) => Box::new(pipe::Receiver::from_file(file)?),
            Err(_no_proc) => Box::new(tokio::io::stdin()),
        },
        Kind::Socket => Box::new(socket(stdin.as_fd())?),
        Kind::Other => Box::new(tokio::io::stdin()),
    })
}

/// stdout, likewise.
fn writer() -> io::Result<Writer> {
    let stdout = io::stdout();
    Ok(match Kind::of(stdout.as_fd())? {
        Kind::Pipe => match reopened("/proc/self/fd/1", OpenOptions::new().write(true)) {
            Ok(file) => Box::new(pipe::Sender::from_file(file)?),
            Err(_no_proc) => Box::new(tokio::io::stdout()),
        },
        Kind::Socket => Box::new(socket(stdout.as_fd())?),
        Kind::Other => Box::new(tokio::io::stdout()),
    })
}

/// What a standard stream may be.
enum Kind {
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A file, a terminal, a device: only a thread can wait for these.
    Other,
}

impl Kind {
    /// What this one is.
    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let file_type = File::from(fd.try_clone_to_owned()?).metadata()?.file_type();
        Ok(match (file_type.is_fifo(), file_type.is_socket()) {
            (true, _) => Self::Pipe,
            (_, true) => Self::Socket,
            _ => Self::Other,
        })
    }
}

/// A pipe opened anew: not to block is a property of what is shared with every other holder of the
/// descriptor, and theirs must stay as it is.
fn reopened(path: &str, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(libc::O_NONBLOCK).open(path)
}

/// A socket cannot be opened anew; it is ours alone in practice.
fn socket(fd: BorrowedFd<'_>) -> io::Result<UnixStream> {
    let stream = StdStream::from(fd.try_clone_to_owned()?);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
