//! How many connections there may be, and who leaves when there are too many: the one that has been idle the
//! longest. A thousand clients that say nothing keep nobody out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Connections at a time; more wait in the backlog.
const CONNECTIONS_MAX: u32 = 512;

/// Where connections have their places.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The free places.
    places: Arc<Semaphore>,
    /// The taken ones; one more is kept for whoever comes next.
    taken: Arc<AtomicUsize>,
    /// Connections that wait for a request.
    idle: Arc<AtomicUsize>,
    /// Woken one by one, the longest idle first, when a place is wanted.
    wanted: Arc<Notify>,
}

/// A connection's place, free again when all that hold it are gone.
pub(super) type Place = Arc<Taken>;

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Taken {
    /// The place.
    _place: OwnedSemaphorePermit,
    /// How many are.
    all: Arc<AtomicUsize>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crowd {
    /// All places free.
    pub(super) fn new() -> Self {
        let places = usize::try_from(CONNECTIONS_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            taken: Arc::default(),
            idle: Arc::default(),
            wanted: Arc::default(),
        }
    }

    /// A place for whoever comes next, as soon as there is one.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if self.places.available_permits() == 0 && self.idle.load(Ordering::Relaxed) > 0 {
            self.wanted.notify_one();
        }
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Gives the place to who came.
    pub(super) fn take(&self, place: OwnedSemaphorePermit) -> Place {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Arc::new(Taken { _place: place, all: Arc::clone(&self.taken) })
    }

    /// How many connections there are.
    pub(super) fn size(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Waits until nobody is here, for so long.
    pub(super) async fn empty(&self, longest: Duration) {
        drop(tokio::time::timeout(longest, self.places.acquire_many(CONNECTIONS_MAX)).await);
    }

    /// A connection's turn in the line of those who may be asked to leave.
    pub(super) fn line(&self) -> Line {
        Line { idle: Arc::clone(&self.idle), wanted: Arc::clone(&self.wanted), standing: None }
    }
}

/// Stands in line while a connection is idle.
pub(super) struct Line {
    /// See [`Crowd`].
    idle: Arc<AtomicUsize>,
    /// See [`Crowd`].
    wanted: Arc<Notify>,
    /// There while it stands in line.
    standing: Option<Pin<Box<OwnedNotified>>>,
}

impl Line {
    /// Ready when an idle connection is to leave. One that is busy leaves the line, and joins at its end later.
    pub(super) fn poll_asked(&mut self, is_idle: bool, cx: &mut Context<'_>) -> Poll<()> {
        if !is_idle {
            self.leave();
            return Poll::Pending;
        }
        let (idle, wanted) = (&self.idle, &self.wanted);
        let standing = self.standing.get_or_insert_with(|| {
            idle.fetch_add(1, Ordering::Relaxed);
            Box::pin(Arc::clone(wanted).notified_owned())
        });
        standing.as_mut().poll(cx)
    }

    /// Out of the line.
    fn leave(&mut self) {
        if self.standing.take().is_some() {
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.leave();
    }
}
