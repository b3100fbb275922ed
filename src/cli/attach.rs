//! `attach`: standard input and output as a conversation with a server of transport `stdio`. What is said is not
//! looked at, and nothing else is ever written to standard output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::arguments::Invocation;
use super::failure::{FAILED, Failure, OK};
use super::places::Places;
use super::report::{self, Service};
use super::status::{ANSWER_TIME, ended};
use super::table;
use crate::config::STDIO_SCHEME;
use crate::control::client::Client;
use crate::control::wire::{Named, Order};
use crate::sys::own::reason;
use crate::sys::wait::pause;

/// Room for what is on its way, in each direction.
const BUFFER_BYTES: usize = 32 * 1024;

/// The state in which a server answers.
const RUNNING: &str = "running";

/// States in which somebody listens on its socket.
const LISTENING: [&str; 2] = [RUNNING, "listening"];

/// States of a server that did not come to run.
const FAILED_STATES: [&str; 3] = ["backoff", "error", "stopped"];

/// How often a server that starts for us is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Room for the looking, which reads reports.
const WATCH_STACK_BYTES: usize = 256 * 1024;

/// `attach SERVER`.
pub(super) fn answer(invocation: &Invocation, places: &Places) -> Result<u8, Failure> {
    let names = invocation.names()?;
    let [name] = names.as_slice() else {
        return Err(Failure::usage("cannot attach: name one server"));
    };
    let mut client = Client::connect(&places.socket()?)?;
    let mut service = look(&mut client, &names)?;
    let Some(path) = service.endpoint.as_deref().and_then(|endpoint| endpoint.strip_prefix(STDIO_SCHEME))
    else {
        return Err(not_stdio(&service));
    };
    let path = path.to_owned();
    if !LISTENING.contains(&&*service.status) {
        let start = Order::Start(Named { services: names.clone(), wait: true });
        let id = client.ask(start, None)?;
        report::hear(&mut client, id)?.end.done()?;
        service = look(&mut client, &names)?;
    }
    if !LISTENING.contains(&&*service.status) {
        let text = format!("cannot attach to {name}: it is {}", service.status);
        return Err(Failure::new(FAILED, text));
    }
    let cannot = |error: io::Error| {
        Failure::new(FAILED, format!("cannot attach to {name} at {path}: {}", reason(&error)))
    };
    let stream = UnixStream::connect(&path).map_err(cannot)?;
    let failed = Arc::new(OnceLock::new());
    if &*service.status != RUNNING {
        // The supervisor holds the socket until the server is there, which may never be.
        let (watched, failed) = (stream.try_clone().map_err(cannot)?, Arc::clone(&failed));
        thread::Builder::new()
            .stack_size(WATCH_STACK_BYTES)
            .spawn(move || watch(client, &service, &watched, &failed))
            .map_err(cannot)?;
    }
    let is_over = converse(stream).map_err(cannot)?;
    if let Some(reason) = failed.get() {
        return Err(Failure::new(FAILED, format!("cannot attach to {name}: {reason}")));
    }
    if is_over {
        return Ok(OK);
    }
    Err(Failure::new(FAILED, format!("cannot stay attached to {name}: the server hung up")))
}

/// Hangs up, and says why, when a server that was to start for us fails; until it runs.
fn watch(mut client: Client, before: &Service, stream: &UnixStream, failed: &OnceLock<Box<str>>) {
    let names = [before.server_id.clone()];
    // A supervisor that is gone takes the socket along.
    while let Ok(now) = look(&mut client, &names) {
        if &*now.status == RUNNING {
            return;
        }
        if now.restart_count > before.restart_count || FAILED_STATES.contains(&&*now.status) {
            let reason = now.last_error.unwrap_or_else(|| format!("it is {}", now.status).into());
            drop(failed.set(reason));
            drop(stream.shutdown(Shutdown::Both));
            return;
        }
        pause(LOOK_AGAIN);
    }
}

/// The server as it is now.
fn look(client: &mut Client, names: &[Box<str>]) -> Result<Service, Failure> {
    let id = client.ask(Order::Status { services: names.to_vec(), brief: true }, Some(ANSWER_TIME))?;
    let report = report::hear(client, id)?;
    ended("attach to", names, &report.end, client)?;
    let service = report.services.into_iter().next();
    service.ok_or_else(|| Failure::new(FAILED, "cannot attach: the supervisor does not say how it is"))
}

/// Why there is nothing to attach to.
fn not_stdio(service: &Service) -> Failure {
    let name = &service.server_id;
    let how = match service.endpoint.as_deref() {
        Some(endpoint) => format!("its clients connect to {}", table::one_line(endpoint)),
        None => "it is no MCP server".to_owned(),
    };
    Failure::usage(format!("cannot attach to {name}: its transport is not \"stdio\", {how}"))
}

/// Passes on what comes until there is no more. `io::copy` would splice, and a splice that waits for a socket locks
/// out whoever reads the pipe.
fn pass_on(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(buffer.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Passes on what is said, both ways; whether it was the client who ended it.
fn converse(stream: UnixStream) -> io::Result<bool> {
    // Without buffers of their own: a message is on its way as soon as it is there.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (mut from, mut to) = (stream.try_clone()?, stream);
    let is_over = Arc::new(AtomicBool::new(false));
    let says_so = Arc::clone(&is_over);
    // It ends with the process: nothing else ends a read of a terminal.
    thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let copied = pass_on(&mut input, &mut to);
        says_so.store(copied.is_ok(), Ordering::Relaxed);
        // What was asked is still answered. A server that is gone needs no farewell.
        drop(to.shutdown(Shutdown::Write));
    })?;
    match pass_on(&mut from, &mut output) {
        Ok(()) => Ok(is_over.load(Ordering::Relaxed)),
        // Nobody reads the answers any more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
        Err(error) => Err(error),
    }
}
