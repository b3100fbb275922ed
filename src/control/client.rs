//! The client's side of the control socket: lines out, lines in, within a time. It prints nothing and does
//! not know what the lines mean.

use std::fmt::{self, Display, Formatter};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};

use super::wire::{Order, REQUEST_BYTES_MAX, Request};
use crate::life::policy::Pid;
use crate::sys::own::reason;
use crate::sys::peer;

/// Room for answers at first; a longer line makes it grow.
const BUFFER_BYTES: usize = 64 * 1024;

/// Longest answer line: a report with the largest configuration file fits many times.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Time to get into a supervisor's queue: longer than it ever takes one that still turns.
const CONNECT_TIME_MAX: i64 = 5;

/// What a refused connection means, and what to do about it.
const CONNECT_REASONS: [(ErrorKind, &str); 4] = [
    (ErrorKind::NotFound, "no such file; start it with \"mcp-init run\""),
    (ErrorKind::ConnectionRefused, "nobody listens; start it with \"mcp-init run\""),
    (ErrorKind::PermissionDenied, "permission denied; ask as its owner or as root"),
    (ErrorKind::WouldBlock, "it takes no connection"),
];

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The socket could not be opened.
    Connect {
        /// Where it should be.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The connection broke.
    Talk(io::Error),
    /// No answer within this time.
    Late(Duration),
    /// The supervisor hung up before it had answered.
    Closed,
    /// An answer that is none.
    Garbage(String),
    /// A request past [`REQUEST_BYTES_MAX`].
    TooLong,
}

impl Display for ClientError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { path, source } => {
                write!(f, "cannot reach the supervisor at {}: ", path.display())?;
                let known = CONNECT_REASONS.iter().find(|(kind, _)| *kind == source.kind());
                match known {
                    Some((_, reason)) => f.write_str(reason),
                    None => f.write_str(&reason(source)),
                }
            }
            Self::Talk(source) => write!(f, "cannot talk to the supervisor: {}", reason(source)),
            Self::Late(limit) => {
                write!(f, "cannot hear from the supervisor: no answer within {} s", limit.as_secs_f64())
            }
            Self::Closed => f.write_str("cannot hear from the supervisor: it hung up before it had answered"),
            Self::Garbage(text) => write!(f, "cannot understand the supervisor: {text}"),
            Self::TooLong => {
                write!(f, "cannot ask the supervisor: the request is longer than {REQUEST_BYTES_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Talk(source) => Some(source),
            Self::Late(_) | Self::Closed | Self::Garbage(_) | Self::TooLong => None,
        }
    }
}

/// A connection to the supervisor.
#[derive(Debug)]
pub(crate) struct Client {
    /// The socket.
    stream: UnixStream,
    /// What was heard; `start..end` was not handed out yet.
    buffer: Vec<u8>,
    /// See `buffer`.
    start: usize,
    /// See `buffer`.
    end: usize,
    /// Of the last request.
    id: u64,
    /// Time for the answer to a request, and when it is over for the present one.
    limit: Option<(Duration, Instant)>,
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Client {
    /// Connects to the socket at `path`.
    pub(crate) fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream =
            open(path).map_err(|errno| ClientError::Connect { path: path.into(), source: errno.into() })?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, id: 0, limit: None })
    }

    /// The process at the other end, if we can see it.
    pub(crate) fn supervisor(&self) -> Option<Pid> {
        peer::process(&self.stream)
    }

    /// Asks, and begins to count the time for the answer; without one, it may take as long as it takes.
    pub(crate) fn ask(&mut self, order: Order, limit: Option<Duration>) -> Result<u64, ClientError> {
        self.id = self.id.saturating_add(1);
        self.limit = limit.and_then(|limit| Some((limit, now().checked_add(limit)?)));
        // One read may take all the time there is; `hear` looks at the clock before each.
        self.stream.set_read_timeout(limit).map_err(ClientError::Talk)?;
        let mut line = Vec::with_capacity(256);
        serde_json::to_writer(&mut line, &Request { id: self.id, order })
            .map_err(|error| ClientError::Talk(error.into()))?;
        line.push(b'\n');
        if line.len() > REQUEST_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
        match self.stream.write_all(&line) {
            // Whoever is turned away was told why before the door was shut.
            Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                Err(ClientError::Talk(error))
            }
            Ok(()) | Err(_) => Ok(self.id),
        }
    }

    /// The next line of an answer, without its end. An answer to an earlier request may still be among them.
    pub(crate) fn line(&mut self) -> Result<&[u8], ClientError> {
        let mut searched = 0;
        loop {
            let heard = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(length) = line_length(heard, searched) {
                let from = self.start;
                self.start = from.saturating_add(length);
                return Ok(self.buffer.get(from..self.start.saturating_sub(1)).unwrap_or_default());
            }
            searched = heard.len();
            self.hear()?;
        }
    }

    /// Waits until the supervisor has hung up, which it does by ending.
    pub(crate) fn wait_for_end(&mut self) -> Result<(), ClientError> {
        loop {
            match self.line() {
                Ok(_) => {}
                Err(ClientError::Closed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads once, to the end of what was heard already.
    fn hear(&mut self) -> Result<(), ClientError> {
        self.make_room()?;
        if let Some((limit, end)) = self.limit
            && now() >= end
        {
            return Err(ClientError::Late(limit));
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match (self.stream.read(room), self.limit) {
            (Ok(0), _) => Err(ClientError::Closed),
            (Ok(count), _) => {
                self.end = self.end.saturating_add(count);
                Ok(())
            }
            (Err(error), _) if error.kind() == ErrorKind::Interrupted => Ok(()),
            // It hung up before it had read all we said. What it said is there to be read; then it ends.
            (Err(error), _) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            (Err(error), Some((limit, _))) if error.kind() == ErrorKind::WouldBlock => {
                Err(ClientError::Late(limit))
            }
            (Err(error), _) => Err(ClientError::Talk(error)),
        }
    }

    /// Makes room behind what was heard: by moving it to the front, or by growing.
    fn make_room(&mut self) -> Result<(), ClientError> {
        if self.end < self.buffer.len() {
            return Ok(());
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
            return Ok(());
        }
        if self.buffer.len() >= ANSWER_BYTES_MAX {
            return Err(ClientError::Garbage("a line without end".to_owned()));
        }
        self.buffer.resize(self.buffer.len().saturating_mul(2), 0);
        Ok(())
    }
}

/// The length of the first line, its end included; its first `searched` bytes are known to hold none.
fn line_length(heard: &[u8], searched: usize) -> Option<usize> {
    // `skip_until` looks at many bytes at a time.
    let mut fresh = heard.get(searched..)?;
    let skipped = fresh.skip_until(b'\n').ok()?;
    let length = searched.checked_add(skipped)?;
    (heard.get(length.checked_sub(1)?) == Some(&b'\n')).then_some(length)
}

/// Opens the socket. A supervisor that is stopped takes no connection once its queue is full: that is
/// noticed, where `UnixStream::connect` would wait without end.
fn open(path: &Path) -> Result<UnixStream, Errno> {
    let address = UnixAddr::new(path)?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, SendTimeout, &TimeVal::seconds(CONNECT_TIME_MAX))?;
    connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &address)?;
    Ok(UnixStream::from(fd))
}

/// The clock of a client, which waits for one answer and has no turns.
#[expect(clippy::disallowed_methods, reason = "a client is not the loop")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;
    use std::os::unix::net::UnixListener;
    use std::thread;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("mcp-init-client-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A supervisor that answers one request with these bytes, in pieces of `piece`, and hangs up.
    fn answering(path: &Path, bytes: Vec<u8>, piece: usize) -> thread::JoinHandle<String> {
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
            for part in bytes.chunks(piece) {
                if stream.write_all(part).is_err() {
                    break;
                }
            }
            request
        })
    }

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        let folder = folder("cut");
        let long = "x".repeat(BUFFER_BYTES * 3);
        let bytes = format!("one\n\n{long}\ntwo\nhalf").into_bytes();
        for (number, piece) in [1000, 7777, bytes.len()].into_iter().enumerate() {
            let path = folder.join(number.to_string());
            let server = answering(&path, bytes.clone(), piece);
            let mut client = Client::connect(&path).unwrap();
            client.ask(Order::Status { services: vec!["pets".into()], brief: false }, None).unwrap();
            assert_eq!(client.line().unwrap(), b"one");
            assert_eq!(client.line().unwrap(), b"");
            assert_eq!(client.line().unwrap(), long.as_bytes());
            assert_eq!(client.line().unwrap(), b"two");
            assert!(matches!(client.line(), Err(ClientError::Closed)));
            assert_eq!(server.join().unwrap(), "{\"id\":1,\"verb\":\"status\",\"services\":[\"pets\"]}\n");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn silence_ends_with_the_time() {
        let folder = folder("silence");
        let path = folder.join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let mut client = Client::connect(&path).unwrap();
        client.ask(Order::Reload, Some(Duration::from_millis(30))).unwrap();
        let error = client.line().unwrap_err();
        assert_eq!(error.to_string(), "cannot hear from the supervisor: no answer within 0.03 s");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_missing_supervisor_is_said_with_what_to_do() {
        let folder = folder("missing");
        let path = folder.join("socket");
        let text = Client::connect(&path).unwrap_err().to_string();
        let start = "start it with \"mcp-init run\"";
        assert_eq!(text, format!("cannot reach the supervisor at {}: no such file; {start}", path.display()));
        drop(UnixListener::bind(&path).unwrap());
        let text = Client::connect(&path).unwrap_err().to_string();
        assert!(text.ends_with(&format!("nobody listens; {start}")), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
