//! The tools that were called last, parsed: whoever calls one mostly calls it again. Few and small ones only, and
//! none while nobody calls: parsed, a tool weighs ten times its text.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::route::Callable;

/// How many are kept.
const KEPT_MAX: usize = 8;

/// The text of all that are kept, together.
const TEXT_BYTES_MAX: usize = 32 << 10;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Warm(Mutex<VecDeque<Kept>>);

/// One tool.
#[derive(Debug)]
struct Kept {
    /// Its index.
    index: usize,
    /// How long its text is.
    text_bytes: usize,
    /// Itself.
    tool: Arc<Callable>,
}

impl Warm {
    /// A tool, if it is there.
    pub(super) fn get(&self, index: usize) -> Option<Arc<Callable>> {
        let kept = self.0.lock().ok()?;
        kept.iter().find(|kept| kept.index == index).map(|kept| Arc::clone(&kept.tool))
    }

    /// The index of a tool, if it is there.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let kept = self.0.lock().ok()?;
        kept.iter().find(|kept| *kept.tool.name == *name).map(|kept| kept.index)
    }

    /// Keeps a tool, in the place of those that came first.
    pub(super) fn keep(&self, index: usize, text_bytes: usize, tool: &Arc<Callable>) {
        let Ok(mut kept) = self.0.lock() else {
            return;
        };
        if text_bytes > TEXT_BYTES_MAX {
            return;
        }
        let held = |kept: &VecDeque<Kept>| kept.iter().map(|kept| kept.text_bytes).sum::<usize>();
        while kept.len() >= KEPT_MAX || held(&kept) + text_bytes > TEXT_BYTES_MAX {
            kept.pop_front();
        }
        kept.push_back(Kept { index, text_bytes, tool: Arc::clone(tool) });
    }

    /// Keeps nothing any more.
    pub(super) fn cool(&self) {
        if let Ok(mut kept) = self.0.lock() {
            *kept = VecDeque::new();
        }
    }

    /// Which are kept, in the order they came.
    #[cfg(test)]
    pub(super) fn indexes(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(|kept| kept.index).collect()
    }
}
