//! What the allocator is told, and nothing else: a runner lives for months and is idle for most of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Long enough for the answer that needed the memory to be on its way.
const REST: Duration = Duration::from_secs(1);

/// Trims once the present work is done; asked again meanwhile, it still trims once.
pub(crate) fn trim_soon() {
    static PENDING: AtomicBool = AtomicBool::new(false);
    if !PENDING.swap(true, Ordering::Relaxed) {
        tokio::spawn(async {
            tokio::time::sleep(REST).await;
            PENDING.store(false, Ordering::Relaxed);
            trim();
        });
    }
}

/// Before the first large allocation: one arena, and large blocks always on their own pages, so that what
/// a document needed goes back to the system when the document does.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator's settings have no safe interface")]
pub(crate) fn settle() {
    const MAPPED_BYTES_MIN: libc::c_int = 128 * 1024;
    // SAFETY: mallopt takes two numbers; no other thread runs yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    // SAFETY: as above. Naming a threshold also stops glibc from raising it by itself.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN) };
}

/// Gives free memory back, once the document is compiled and gone.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "as above")]
pub(crate) fn trim() {
    // SAFETY: malloc_trim only looks at the allocator's own free lists.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators (musl's) need no advice.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn settle() {}

/// As above.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn trim() {}
