//! Work on many things that the kernel takes its time for, shared by two threads. What is done is not known here.

use std::thread;

/// Stack of the second thread.
const STACK_BYTES: usize = 128 * 1024;

/// Does the same to each of them; from `shared_min` of them on the second half is another thread's, if there is one to
/// be had.
pub(crate) fn each<T: Send>(items: &mut [T], shared_min: usize, act: impl Fn(&mut T) + Sync) {
    let own = if items.len() < shared_min { items.len() } else { items.len() / 2 };
    let each = |items: &mut [T]| items.iter_mut().for_each(&act);
    let mut is_alone = false;
    thread::scope(|scope| {
        let Some((ours, theirs)) = items.split_at_mut_checked(own) else { return };
        if !theirs.is_empty() {
            let other = thread::Builder::new().stack_size(STACK_BYTES);
            is_alone = other.spawn_scoped(scope, || each(theirs)).is_err();
        }
        each(ours);
    });
    if is_alone {
        items.iter_mut().skip(own).for_each(act);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_is_done_once() {
        for count in [0, 1, 7, 8, 9, 1001] {
            let mut items = vec![0_u8; count];
            super::each(&mut items, 8, |item| *item += 1);
            assert!(items.iter().all(|item| *item == 1), "{count}");
        }
    }
}
