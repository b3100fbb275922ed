//! When memory is given back: a runner lives for months and is idle for most of them. How is known elsewhere.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mcp_init::memory;

/// Long enough for the answer that needed the memory to be on its way.
const REST: Duration = Duration::from_secs(1);

/// Rests that work may go on for before memory is given back all the same.
const RESTS_MAX: usize = 60;

/// Gives back what is not needed any more, once the present work is done; asked again meanwhile, still once, after
/// the last time. Every call asks, and one that is idle has nothing pending. `first` lets go of what is kept only for
/// the work.
pub(crate) fn give_back_soon(first: impl FnOnce() + Send + 'static) {
    static PENDING: AtomicBool = AtomicBool::new(false);
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    ASKED.fetch_add(1, Ordering::Relaxed);
    if !PENDING.swap(true, Ordering::Relaxed) {
        tokio::spawn(async move {
            for _ in 0..RESTS_MAX {
                let before = ASKED.load(Ordering::Relaxed);
                tokio::time::sleep(REST).await;
                if ASKED.load(Ordering::Relaxed) == before {
                    break;
                }
            }
            PENDING.store(false, Ordering::Relaxed);
            first();
            memory::give_back();
            memory::forget_text();
        });
    }
}
