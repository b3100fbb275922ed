//! stdin and stdout: one JSON object a line, both eras. Nothing else is ever written to stdout.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixStream, unix::pipe};

use super::{Answers, Stop};

/// stdin, whatever it is.
type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// stdout, whatever it is.
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Serves until stdin ends or a stop is wanted, which is the same thing: calls in flight are answered first,
/// for as long as the library allows (seconds).
pub(crate) async fn serve(handler: impl Answers, mut stop: Stop) -> io::Result<()> {
    let stop = Box::pin(async move { stop.requested().await });
    let input = Input { reader: reader()?, stop, stopped: false };
    let transport = Patient { inner: AsyncRwTransport::new_server(input, writer()?), begun: false };
    // Neither a client that left before it said anything nor one that broke off is a fault of ours.
    if let Ok(running) = rmcp::serve_server(handler.converse(), transport).await {
        drop(running.waiting().await);
    }
    Ok(())
}

/// stdin, read without a thread where it is a pipe or a socket (Node gives its children sockets).
fn reader() -> io::Result<Reader> {
    let stdin = io::stdin();
    Ok(match Kind::of(stdin.as_fd())? {
        Kind::Pipe => {
            Box::new(pipe::Receiver::from_file(reopened("/proc/self/fd/0", OpenOptions::new().read(true))?)?)
        }
        Kind::Socket => Box::new(socket(stdin.as_fd())?),
        Kind::Other => Box::new(tokio::io::stdin()),
    })
}

/// stdout, likewise.
fn writer() -> io::Result<Writer> {
    let stdout = io::stdout();
    Ok(match Kind::of(stdout.as_fd())? {
        Kind::Pipe => {
            Box::new(pipe::Sender::from_file(reopened("/proc/self/fd/1", OpenOptions::new().write(true))?)?)
        }
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

/// stdin that also ends when a stop is wanted.
struct Input {
    /// The stream itself.
    reader: Reader,
    /// Ready once a stop is wanted.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether that was seen.
    stopped: bool,
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.stopped {
            self.stopped = self.stop.as_mut().poll(cx).is_ready();
        }
        if self.stopped {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

/// A transport that lets a client begin with a notification. It says nothing to us before the first request,
/// but the library would end the conversation over it.
struct Patient<T> {
    /// The transport itself.
    inner: T,
    /// Whether a request has come.
    begun: bool,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Patient<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let message = self.inner.receive().await?;
            self.begun |= matches!(message, ClientJsonRpcMessage::Request(_));
            if self.begun {
                return Some(message);
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}
