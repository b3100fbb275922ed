//! Where the catalogue stands that is served now. A new one takes its place at once and whole; calls in flight
//! finish with the one they began with.

use std::sync::Arc;

use tokio::sync::watch;

use super::Catalogue;

/// The present catalogue; a clone is the same place.
#[derive(Debug, Clone)]
pub(crate) struct Shelf(Arc<watch::Sender<Arc<Catalogue>>>);

impl Shelf {
    /// With its first catalogue.
    pub(crate) fn new(catalogue: Catalogue) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(catalogue))))
    }

    /// The catalogue to use for one request, from its begin to its end.
    pub(crate) fn current(&self) -> Arc<Catalogue> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts another in its place.
    pub(crate) fn put(&self, catalogue: Catalogue) {
        self.0.send_replace(Arc::new(catalogue));
    }

    /// Tells of every change from now on, for `notifications/tools/list_changed`.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.0.subscribe()
    }
}
