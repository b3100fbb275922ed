//! Which state files are to be written, by whom, and again when. It writes none itself: `batch` does.
//!
//! An fsync may take seconds while a disk is busy, and the services' output must be read meanwhile. So what
//! needs one is written by a thread, which lives as long as its batch: idle, there is none. What comes in
//! meanwhile is the next batch, and of two contents of one file only the later is written. All else (secrets,
//! removals, appends, anything in memory) is done at once, because a start may wait for it; unless the same
//! file is in a batch, whose order it then keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::Waker;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::batch::{self, Job, Task};
use super::log_file::RETRY_AFTER;

/// Most bytes kept of what could not be written.
const FAILED_BYTES_MAX: usize = 1024 * 1024;
/// Stack of the thread that writes.
const STACK_BYTES: usize = 256 * 1024;

/// The state files, by path: as plain text, because paths are compared name by name.
#[derive(Debug)]
pub(super) struct Keeper {
    /// For the next batch.
    waiting: BTreeMap<OsString, Job>,
    /// The batch that is being written.
    running: Option<Running>,
    /// What is to be tried again.
    failed: BTreeMap<OsString, Job>,
    /// Why the last attempt at a file failed.
    errnos: BTreeMap<OsString, i32>,
    /// When it is tried again.
    retry_at: Option<Instant>,
    /// Answers to tickets: an errno each.
    answers: Vec<(u32, i32)>,
    /// Tells the loop that a batch is written.
    waker: Arc<Waker>,
}

/// A batch that is being written.
#[derive(Debug)]
struct Running {
    /// Who writes it.
    thread: JoinHandle<Vec<(Job, i32)>>,
    /// Its files.
    paths: BTreeSet<OsString>,
    /// Who wants to know.
    tickets: Vec<u32>,
}

impl Keeper {
    /// With nothing to do; `waker` is woken when a batch is written.
    pub(super) const fn new(waker: Arc<Waker>) -> Self {
        Self {
            waiting: BTreeMap::new(),
            running: None,
            failed: BTreeMap::new(),
            errnos: BTreeMap::new(),
            retry_at: None,
            answers: Vec::new(),
            waker,
        }
    }

    /// Takes a job. It is done at once, or with the next [`Self::work`].
    pub(super) fn take(&mut self, path: &Path, task: Task, ticket: u32, now: Instant) {
        let path = path.as_os_str();
        let room = FAILED_BYTES_MAX.saturating_sub(self.failed_bytes());
        if let Some(failed) = self.failed.get_mut(path) {
            if let (Task::Append(kept), Task::Append(more)) = (&mut failed.task, &task) {
                // After the lines that wait already, as far as there is room for it.
                if more.len() <= room {
                    kept.extend_from_slice(more);
                }
                self.answers.push((ticket, self.errnos.get(path).copied().unwrap_or(libc::EIO)));
                return;
            }
            self.failed.remove(path);
        }
        let running = self.running.as_ref().is_some_and(|running| running.paths.contains(path));
        if let Some(job) = self.waiting.get_mut(path) {
            job.tickets.push(ticket);
            match (&mut job.task, task) {
                (Task::Append(lines), Task::Append(more)) => lines.extend_from_slice(&more),
                (before, later) => *before = later,
            }
            return;
        }
        let job = Job { path: path.into(), task, tickets: vec![ticket] };
        if running || matches!(job.task, Task::Replace(_)) {
            self.waiting.insert(path.to_owned(), job);
        } else {
            let results = batch::perform_at_once(vec![job]);
            self.settle(results, now);
        }
    }

    /// Begins what waits, unless a batch is being written.
    pub(super) fn work(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry(now);
        }
        if self.waiting.is_empty() || self.running.is_some() {
            return;
        }
        let slow = self.do_quick(now);
        if !slow.is_empty() {
            self.begin(slow, now);
        }
    }

    /// Does what waits and needs no disk; the rest comes back.
    fn do_quick(&mut self, now: Instant) -> Vec<Job> {
        let jobs = std::mem::take(&mut self.waiting).into_values();
        let mut memory = Memory::default();
        let (quick, slow): (Vec<Job>, Vec<Job>) = jobs.partition(|job| memory.is_quick(job));
        let results = batch::perform_at_once(quick);
        self.settle(results, now);
        slow
    }

    /// Takes the results of a batch that is written.
    pub(super) fn collect(&mut self, now: Instant) {
        let Some(running) = self.running.take() else { return };
        match running.thread.join() {
            Ok(results) => self.settle(results, now),
            // The thread died of a fault of ours; the files are as they were.
            Err(_) => self.answers.extend(running.tickets.iter().map(|ticket| (*ticket, libc::EIO))),
        }
    }

    /// Does everything that is left, now; the errno of what cannot be done.
    pub(super) fn finish(&mut self, now: Instant) -> i32 {
        self.collect(now);
        self.retry(now);
        let slow = self.do_quick(now);
        let results = batch::perform(slow);
        self.settle(results, now);
        self.trouble().map_or(0, |(errno, _)| errno)
    }

    /// The answers since the last call.
    pub(super) fn answers(&mut self) -> Vec<(u32, i32)> {
        std::mem::take(&mut self.answers)
    }

    /// A file that cannot be written just now, and why.
    pub(super) fn trouble(&self) -> Option<(i32, &Path)> {
        self.errnos.iter().next().map(|(path, errno)| (*errno, Path::new(path)))
    }

    /// When [`Self::work`] has to be called at the latest.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Starts a thread for a batch.
    fn begin(&mut self, jobs: Vec<Job>, now: Instant) {
        let (sender, receiver) = mpsc::channel::<Vec<Job>>();
        let waker = Arc::clone(&self.waker);
        let paths = jobs.iter().map(|job| job.path.clone().into()).collect();
        let tickets = jobs.iter().flat_map(|job| job.tickets.iter().copied()).collect();
        let started = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let results = receiver.recv().map(batch::perform).unwrap_or_default();
            drop(waker.wake());
            results
        });
        let undone = match started {
            Ok(thread) => {
                self.running = Some(Running { thread, paths, tickets });
                sender.send(jobs).err().map(|mpsc::SendError(jobs)| jobs)
            }
            // No thread to be had: the outputs wait for once.
            Err(_) => Some(jobs),
        };
        if let Some(jobs) = undone {
            let results = batch::perform(jobs);
            self.settle(results, now);
        }
    }

    /// Answers the tickets of what was done, and keeps what failed.
    fn settle(&mut self, results: Vec<(Job, i32)>, now: Instant) {
        for (mut job, errno) in results {
            self.answers.extend(job.tickets.drain(..).map(|ticket| (ticket, errno)));
            if errno == 0 {
                self.errnos.remove(job.path.as_os_str());
                continue;
            }
            self.errnos.insert(job.path.clone().into(), errno);
            if !self.waiting.contains_key(job.path.as_os_str()) {
                if self.failed_bytes().saturating_add(job.bytes()) <= FAILED_BYTES_MAX {
                    self.failed.insert(job.path.clone().into(), job);
                }
                self.retry_at = self.retry_at.or_else(|| now.checked_add(RETRY_AFTER));
            }
        }
        if self.failed.is_empty() {
            self.retry_at = None;
        }
    }

    /// What it takes to keep what failed.
    fn failed_bytes(&self) -> usize {
        self.failed.values().map(Job::bytes).sum()
    }

    /// Tries again what failed.
    fn retry(&mut self, now: Instant) {
        self.retry_at = None;
        let mut at_once = Vec::new();
        for (path, job) in std::mem::take(&mut self.failed) {
            if matches!(job.task, Task::Replace(_)) {
                self.waiting.insert(path, job);
            } else {
                at_once.push(job);
            }
        }
        let results = batch::perform_at_once(at_once);
        self.settle(results, now);
    }
}

impl Job {
    /// What it takes to keep it.
    fn bytes(&self) -> usize {
        let body = match &self.task {
            Task::Replace(body) | Task::Secret(body) => body.len(),
            Task::Append(lines) => lines.len(),
            Task::Remove => 0,
        };
        body.saturating_add(self.path.as_os_str().len())
    }
}

/// What is in memory, as far as one batch has asked: folders beside each other are on one file system.
#[derive(Default)]
struct Memory {
    /// The folder that those asked for last are in, and whether they are in memory.
    last: Option<(OsString, bool)>,
}

impl Memory {
    /// Whether a job waits for no disk.
    fn is_quick(&mut self, job: &Job) -> bool {
        let (Task::Replace(_), Some(folder)) = (&job.task, job.path.parent()) else {
            return !matches!(job.task, Task::Replace(_));
        };
        let above = folder.parent().unwrap_or(folder).as_os_str();
        let known = self.last.as_ref().filter(|(last, _)| last == above).map(|(_, answer)| *answer);
        known.unwrap_or_else(|| {
            let answer = statfs(folder).is_ok_and(|stat| stat.filesystem_type() == TMPFS_MAGIC);
            self.last = Some((above.to_owned(), answer));
            answer
        })
    }
}
