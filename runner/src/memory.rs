//! What the allocator is told, and nothing else: a runner lives for months and is idle for most of them.

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
