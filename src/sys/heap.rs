//! The heap: pieces that were freed are kept for whoever next wants one of their size. No page is asked of the
//! kernel here: what is not kept comes from the C library.
//!
//! The allocator of musl is small and careful, and gives pages back as soon as the last piece on them is free: a
//! supervisor that makes and forgets a report a turn would ask the kernel for the same pages again and again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// What any piece begins at a multiple of, as the C library has it.
const ALIGN: usize = 16;
/// Up to here a class is a multiple of [`ALIGN`].
const FINE_MAX: usize = 1024;
/// How many classes that makes.
const FINE_CLASSES: usize = FINE_MAX / ALIGN;
/// Up to here there are four classes between one power of two and the next; what is larger is not kept.
const KEPT_MAX: usize = 32 * 1024;
/// All classes: those of the five powers of two above [`FINE_MAX`] as well.
const CLASSES: usize = FINE_CLASSES + 4 * 5;

/// The heap of a program.
#[derive(Debug)]
pub struct Heap;

/// A piece nobody uses: its first bytes lead to the next one.
struct Free {
    /// The next, or null.
    next: *mut Free,
}

/// Free pieces, class by class.
static KEPT: [AtomicPtr<Free>; CLASSES] = [const { AtomicPtr::new(null_mut()) }; CLASSES];
/// Bytes of all of them.
static KEPT_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Most of these: what a flood has needed is not held for the next one.
const KEPT_BYTES_MAX: usize = 128 * 1024;
/// Whether somebody is at them. Nobody waits: the C library serves whoever finds it so.
static BUSY: AtomicBool = AtomicBool::new(false);

/// The class of a piece, and the bytes that each piece of it has; none of what is not kept.
const fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size();
    if layout.align() > ALIGN || size > KEPT_MAX {
        return None;
    }
    if size <= FINE_MAX {
        let class = size.saturating_sub(1) / ALIGN;
        return Some((class, class.saturating_add(1).saturating_mul(ALIGN)));
    }
    let (mut class, mut bytes, mut step) =
        (FINE_CLASSES, FINE_MAX.saturating_add(FINE_MAX / 4), FINE_MAX / 4);
    while bytes < size {
        if bytes.is_power_of_two() {
            step = bytes / 4;
        }
        bytes = bytes.saturating_add(step);
        class = class.saturating_add(1);
    }
    Some((class, bytes))
}

/// The layout of all pieces of a class.
const fn whole(bytes: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and no class is anywhere near the largest size there may be.
    unsafe { Layout::from_size_align_unchecked(bytes, ALIGN) }
}

/// Does something to the free pieces of a class, unless somebody else is at them.
fn with<T>(class: usize, act: impl FnOnce(&AtomicPtr<Free>) -> T) -> Option<T> {
    let kept = KEPT.get(class)?;
    if BUSY.swap(true, Ordering::Acquire) {
        return None;
    }
    let result = act(kept);
    BUSY.store(false, Ordering::Release);
    Some(result)
}

/// Takes a free piece of a class, of so many bytes.
fn take(class: usize, bytes: usize) -> Option<*mut u8> {
    let piece = with(class, |kept| {
        let first = kept.load(Ordering::Relaxed);
        if !first.is_null() {
            // SAFETY: what is in the list was freed, so it is ours, and `put` has written to it.
            let next = unsafe { (*first).next };
            kept.store(next, Ordering::Relaxed);
            KEPT_BYTES.fetch_sub(bytes, Ordering::Relaxed);
        }
        first
    })?;
    (!piece.is_null()).then_some(piece.cast())
}

/// Keeps a piece that was freed; whether there was room, and nobody in the way.
fn put(class: usize, bytes: usize, piece: *mut u8) -> bool {
    let piece: *mut Free = piece.cast();
    with(class, |kept| {
        if KEPT_BYTES.load(Ordering::Relaxed) >= KEPT_BYTES_MAX {
            return false;
        }
        let free = Free { next: kept.load(Ordering::Relaxed) };
        // SAFETY: it was freed, so nobody else uses it; no class is smaller than this, or less aligned.
        unsafe { piece.write(free) };
        kept.store(piece, Ordering::Relaxed);
        KEPT_BYTES.fetch_add(bytes, Ordering::Relaxed);
        true
    })
    .unwrap_or(false)
}

/// Hands every free piece to the C library.
pub(super) fn empty() {
    let mut size = 1;
    while let Some((class, bytes)) = Layout::from_size_align(size, ALIGN).ok().and_then(class) {
        while let Some(piece) = take(class, bytes) {
            // SAFETY: `alloc` has taken it so.
            unsafe { System.dealloc(piece, whole(bytes)) };
        }
        size = bytes.saturating_add(1);
    }
}

// SAFETY: each piece comes from the C library with at least the size that was asked for, is in one list at most, and
// goes back there as it came.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, bytes)) = class(layout) else {
            // SAFETY: as our caller promised.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: no class has zero bytes.
        take(class, bytes).unwrap_or_else(|| unsafe { System.alloc(whole(bytes)) })
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match class(layout) {
            Some((class, bytes)) if put(class, bytes, piece) => {}
            Some((_, bytes)) => {
                // SAFETY: `alloc` has taken it so.
                unsafe { System.dealloc(piece, whole(bytes)) };
            }
            None => {
                // SAFETY: as our caller promised.
                unsafe { System.dealloc(piece, layout) };
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(layout).is_none() {
            // SAFETY: as our caller promised. Fresh pages are zero already, and the library knows which are fresh.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as our caller promised.
        let piece = unsafe { self.alloc(layout) };
        if !piece.is_null() {
            // SAFETY: it has that many bytes.
            unsafe { piece.write_bytes(0, layout.size()) };
        }
        piece
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: our caller promised that this size is a possible one.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            // SAFETY: as our caller promised.
            (None, None) => return unsafe { System.realloc(piece, layout, size) },
            (Some((before, _)), Some((after, _))) if before == after => return piece,
            _ => {}
        }
        // SAFETY: as our caller promised.
        let other = unsafe { self.alloc(wanted) };
        if !other.is_null() {
            // SAFETY: both have that many bytes, and neither is the other.
            unsafe { ptr::copy_nonoverlapping(piece, other, layout.size().min(size)) };
            // SAFETY: as our caller promised, and it is copied.
            unsafe { self.dealloc(piece, layout) };
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_fits_its_class_and_no_class_wastes_a_quarter() {
        let (mut last, mut largest) = (0, 0);
        for size in 1..=KEPT_MAX {
            let (class, bytes) = class(Layout::from_size_align(size, 8).unwrap()).unwrap();
            assert!(bytes >= size && bytes % ALIGN == 0, "{size}: {bytes}");
            assert!(size <= FINE_MAX || bytes * 4 <= size * 5 + 3, "{size}: {bytes}");
            assert!(class == last && bytes == largest || class == last + 1 || size == 1, "{size}: {class}");
            (last, largest) = (class, bytes);
        }
        assert_eq!((last, largest), (CLASSES - 1, KEPT_MAX));
        assert_eq!(class(Layout::from_size_align(KEPT_MAX + 1, 1).unwrap()), None);
        assert_eq!(class(Layout::from_size_align(8, 32).unwrap()), None);
    }

    /// Numbers that look random, each below what is asked for.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, end: u64) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((self.0 >> 33).checked_rem(end).unwrap()).unwrap()
        }

        /// A layout, most of the time of a piece that is kept.
        fn layout(&mut self) -> Layout {
            let most = if self.below(8) == 0 { 100_000 } else { 1500 };
            Layout::from_size_align(self.below(most).max(1), 1 << self.below(6)).unwrap()
        }
    }

    /// A piece that is filled with one byte from end to end.
    struct Held(*mut u8, Layout, u8);

    impl Held {
        /// Takes one.
        fn new(layout: Layout, mark: u8, zeroed: bool) -> Self {
            // SAFETY: no layout here has zero bytes.
            let plain = || unsafe { Heap.alloc(layout) };
            // SAFETY: likewise.
            let clean = || unsafe { Heap.alloc_zeroed(layout) };
            let piece = if zeroed { clean() } else { plain() };
            assert!(!piece.is_null() && piece.addr().is_multiple_of(layout.align()));
            let held = Self(piece, layout, 0);
            assert!(!zeroed || held.is_intact());
            held.filled(mark)
        }

        /// Fills it.
        fn filled(mut self, mark: u8) -> Self {
            self.2 = mark;
            // SAFETY: it has that many bytes.
            unsafe { self.0.write_bytes(mark, self.1.size()) };
            self
        }

        /// Whether it is as it was filled.
        fn is_intact(&self) -> bool {
            // SAFETY: it was written from end to end, or came zeroed.
            unsafe { std::slice::from_raw_parts(self.0, self.1.size()) }.iter().all(|byte| *byte == self.2)
        }

        /// Makes it as large as `size`, without looking beyond what was in it.
        fn resized(self, size: usize) -> Self {
            // SAFETY: it was allocated so, and the size is not zero.
            let piece = unsafe { Heap.realloc(self.0, self.1, size) };
            let kept = Layout::from_size_align(size.min(self.1.size()), self.1.align()).unwrap();
            assert!(Self(piece, kept, self.2).is_intact());
            Self(piece, Layout::from_size_align(size, self.1.align()).unwrap(), 0).filled(self.2)
        }

        /// Frees it.
        fn free(self) {
            assert!(self.is_intact());
            // SAFETY: it was allocated so.
            unsafe { Heap.dealloc(self.0, self.1) };
        }
    }

    /// Pieces are taken, filled, grown and freed by several at once; each must stay its owner's.
    fn churn(seed: u64) {
        let mut dice = Dice(seed);
        let mut all: Vec<Held> = Vec::new();
        for step in 0..20_000_u32 {
            if all.len() < 64 {
                all.push(Held::new(dice.layout(), step.to_le_bytes()[0], dice.below(4) == 0));
                continue;
            }
            let one = all.swap_remove(dice.below(64));
            assert!(one.is_intact());
            if dice.below(2) == 0 {
                all.push(one.resized(dice.layout().size()));
            } else {
                one.free();
            }
            if dice.below(5_000) == 0 {
                empty();
            }
        }
        all.into_iter().for_each(Held::free);
    }

    #[test]
    fn nobody_gets_what_another_holds() {
        let threads: Vec<_> = (1..=4).map(|seed| std::thread::spawn(move || churn(seed))).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
