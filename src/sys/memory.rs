//! Memory of this process, supervisor, scribe or runner: one heap, and what is not needed any more given back.
//! Nothing is allocated here.

/// Before the first large allocation: one heap, as a second one would cost more than the thread it is for, and
/// large blocks always on pages of their own, so that they go back to the system when they are freed.
pub fn settle() {
    #[cfg(target_env = "gnu")]
    {
        const MAPPED_BYTES_MIN: libc::c_int = 128 * 1024;
        // SAFETY: mallopt may be called at any time; it is given a parameter it knows.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
        // SAFETY: as above. Naming a threshold also stops glibc from raising it by itself.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN) };
    }
}

/// For a process that ends as soon as its work is done: memory is taken in large pieces, and none is given back before.
pub fn take_much() {
    #[cfg(target_env = "gnu")]
    {
        const PIECE_BYTES: libc::c_int = 16 << 20;
        // SAFETY: mallopt may be called at any time; it is given a parameter it knows.
        unsafe { libc::mallopt(libc::M_TOP_PAD, PIECE_BYTES) };
        // SAFETY: as above.
        unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) };
    }
}

/// Gives back what is free in the heap.
pub fn give_back() {
    super::heap::empty();
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim touches free memory only, and locks the heap for it.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the program's own code and constants, which are read-only and file-backed: a runner that is idle
/// for months need not hold the code that read its document. What is needed after all comes back from the page
/// cache, or from disk; so this is not for PID 1, which must wait for no disk.
pub fn forget_text() {
    advise_text(libc::MADV_DONTNEED);
}

/// Takes hold of the program's own code and constants, all of them: who has to go on when a disk hangs must not
/// wait for that disk to bring the code that says so. Two processes of the program share them. A kernel before
/// 5.14 cannot be told, and brings them when they are needed.
pub(crate) fn hold_text() {
    advise_text(libc::MADV_POPULATE_READ);
}

/// Tells the kernel what becomes of the program's own code and constants.
fn advise_text(advice: libc::c_int) {
    unsafe extern "C" {
        /// First byte of the program in memory: the linker defines it.
        static __executable_start: u8;
        /// First byte after its code.
        static etext: u8;
    }
    const PAGE_BYTES: usize = 4096;
    let start = &raw const __executable_start;
    let end = &raw const etext;
    let Some(bytes) = end.addr().checked_sub(start.addr()) else { return };
    let whole_pages = bytes & !(PAGE_BYTES.wrapping_sub(1));
    // SAFETY: these pages are mapped from the program's file and never written to; whoever touches one again,
    // this function included, gets the same bytes from the file, whatever the advice was.
    unsafe {
        libc::madvise(start.cast_mut().cast(), whole_pages, advice);
    }
}
