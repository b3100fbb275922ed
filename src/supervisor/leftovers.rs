//! What an earlier life of the supervisor left running when it was killed: its services, ended before new ones
//! are started, because they still hold ports and files. Only at boot; the loop does not run yet.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;

use crate::life::policy::Pid;
use crate::life::service::later;
use crate::sys::{clock, proc, signal, wait};

/// For a leftover to end by itself, and then for the kernel to end it.
const GRACE: [(i32, Duration); 2] =
    [(libc::SIGTERM, Duration::from_secs(2)), (libc::SIGKILL, Duration::from_secs(1))];

/// For the scribe of an earlier life to write what it still has.
const WRITE_WITHIN: Duration = Duration::from_secs(2);
/// From one look whether it has to the next.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is read of a `process.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// The service.
    server_id: String,
    /// Its process, while there was one.
    pid: Option<i32>,
    /// When the kernel says that it was started.
    start_ticks: Option<u64>,
}

/// A process that an earlier life left.
#[derive(Debug)]
struct Leftover {
    /// The service.
    server_id: String,
    /// Its process.
    pid: Pid,
    /// A hold on it.
    pidfd: OwnedFd,
}

/// Ends what an earlier life left, and waits for it; what does not end is told and left alone.
pub(super) fn end(state_dir: &Path) {
    let mut left = find(state_dir);
    for one in &left {
        ::log::warn!("{}: ending pid {}, left by an earlier supervisor", one.server_id, one.pid.0);
    }
    for (number, grace) in GRACE {
        for one in &left {
            // Whoever is gone by now needs no signal.
            drop(signal::to_group(one.pid, Some(one.pidfd.as_fd()), number));
        }
        let until = later(clock::now().instant, grace);
        left.retain(|one| {
            !signal::ends_by(one.pidfd.as_fd(), until.saturating_duration_since(clock::now().instant))
        });
    }
    for one in left {
        ::log::error!("{}: pid {}, left by an earlier supervisor, does not end", one.server_id, one.pid.0);
    }
}

/// Waits until the scribe of an earlier life, which outlives it by what it still had to write, has done so: what is
/// read after that is all there is. The lock is for our own scribes to hold with us.
pub(super) fn outlast_scribe(runtime_dir: &Path) -> Option<Flock<File>> {
    let path = runtime_dir.join("scribe.lock");
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).ok()?;
    let until = later(clock::now().instant, WRITE_WITHIN);
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((unlocked, _)) if clock::now().instant < until => file = unlocked,
            Err(_) => {
                ::log::warn!(
                    "the scribe of an earlier supervisor does not end: not waiting for it any longer"
                );
                return None;
            }
        }
        wait::pause(LOOK_EVERY);
    }
}

/// Reads the records. One that is torn or alien costs itself only.
fn find(state_dir: &Path) -> Vec<Leftover> {
    let Ok(folders) = fs::read_dir(state_dir.join("services")) else { return Vec::new() };
    let texts = folders.flatten().filter_map(|folder| fs::read(folder.path().join("process.json")).ok());
    texts.filter_map(|text| trust(serde_json::from_slice(&text).ok()?)).collect()
}

/// A recorded pid means a process only together with its start time; asked again once we hold it, so that no
/// other can have taken its number in between.
fn trust(record: Record) -> Option<Leftover> {
    let pid = Pid(record.pid.filter(|pid| *pid > 1)?);
    let pidfd = signal::hold(pid).ok()?;
    (proc::start_ticks(pid)? == record.start_ticks?).then_some(())?;
    Some(Leftover { server_id: record.server_id, pid, pidfd })
}
