//! When memory is given back: a runner lives for months and is idle for most of them. How is known elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_init::memory;

/// Long enough for the answer that needed the memory to be on its way.
const REST: Duration = Duration::from_secs(1);

/// Gives back what is not needed any more, once the present work is done; asked again meanwhile, still once.
pub(crate) fn give_back_soon() {
    static PENDING: AtomicBool = AtomicBool::new(false);
    if !PENDING.swap(true, Ordering::Relaxed) {
        tokio::spawn(async {
            tokio::time::sleep(REST).await;
            PENDING.store(false, Ordering::Relaxed);
            memory::give_back();
            memory::forget_text();
        });
    }
}
