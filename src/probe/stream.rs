//! A connection to a service that is given up at a deadline. Bytes only.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::{Fault, left};
use crate::config::probe::Place;
use crate::sys::own::reason;

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    /// By TCP.
    Net(TcpStream),
    /// By a Unix socket.
    Unix(UnixStream),
}

/// Connects.
pub(super) fn connect(place: &Place, by: Instant) -> Result<Stream, Fault> {
    let connected = match place {
        Place::Net(host, port) => {
            let host = if &**host == "localhost" { "127.0.0.1" } else { host };
            let address = host.parse().map(|ip| SocketAddr::new(ip, *port));
            let address =
                address.map_err(|_| Fault::said(format!("cannot connect to {place}: no address")))?;
            TcpStream::connect_timeout(&address, left(by)?).map(Stream::Net)
        }
        Place::Socket(path) => UnixStream::connect(path).map(Stream::Unix),
    };
    connected.map_err(|error| fault(&error, &format!("cannot connect to {place}")))
}

impl Stream {
    /// Sends everything.
    pub(super) fn send(&mut self, bytes: &[u8], by: Instant) -> Result<(), Fault> {
        let left = Some(left(by)?);
        let sent = match self {
            Self::Net(stream) => stream.set_write_timeout(left).and_then(|()| stream.write_all(bytes)),
            Self::Unix(stream) => stream.set_write_timeout(left).and_then(|()| stream.write_all(bytes)),
        };
        sent.map_err(|error| fault(&error, "cannot send"))
    }

    /// What comes next; nothing at the end.
    pub(super) fn receive(&mut self, bytes: &mut [u8], by: Instant) -> Result<usize, Fault> {
        loop {
            let left = Some(left(by)?);
            let received = match self {
                Self::Net(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(bytes)),
                Self::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(bytes)),
            };
            match received {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map_err(|error| fault(&error, "cannot read the answer")),
            }
        }
    }
}

/// An error in words, unless it is about time.
fn fault(error: &io::Error, doing: &str) -> Fault {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
        return Fault::Late;
    }
    Fault::said(format!("{doing}: {}", reason(error)))
}
