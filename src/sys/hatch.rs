//! Through what a child takes the few descriptors that it is given out of our table, which may hold thousands: each
//! would be copied for it, to be closed again by exec. What it does with them is not known here.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, fcntl};

use super::pipe;

/// The numbers that a child's own descriptors may have: all lower ones.
const FIRST: RawFd = 32;
/// More are seldom given; whoever is given more has all of our table copied.
const PLACES: usize = 8;

/// Numbers that are kept for children to find their descriptors at.
#[derive(Debug)]
pub(super) struct Hatch {
    /// What is there while no child takes anything: nothing.
    null: Option<OwnedFd>,
    /// The numbers, all beyond [`FIRST`].
    places: Vec<OwnedFd>,
}

impl Hatch {
    /// With all places there are descriptors for: none is no harm.
    pub(super) fn new() -> Self {
        let Ok(null) = pipe::null() else { return Self { null: None, places: Vec::new() } };
        let copy = || fcntl(&null, FcntlArg::F_DUPFD_CLOEXEC(FIRST)).ok();
        // SAFETY: the kernel just made this descriptor for us.
        let place = |raw: RawFd| unsafe { OwnedFd::from_raw_fd(raw) };
        let places = (0..PLACES).map_while(|_| copy().map(place)).collect();
        Self { null: Some(null), places }
    }

    /// First number beyond all places.
    pub(super) fn beyond(&self) -> RawFd {
        self.places.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0).saturating_add(1)
    }

    /// Lets what a child is given be found at our places, and says which is to be put where. Nothing is if there
    /// is more of it than places, or if it wants to have one of their numbers.
    pub(super) fn through(
        &self,
        stdio: &mut [RawFd; 3],
        passed: &mut [(RawFd, RawFd)],
    ) -> Vec<(RawFd, RawFd)> {
        let count = stdio.len().saturating_add(passed.len());
        if count > self.places.len() || passed.iter().any(|(target, _)| *target >= FIRST) {
            return Vec::new();
        }
        let sources = stdio.iter_mut().chain(passed.iter_mut().map(|(_, source)| source));
        let mut taken: Vec<(RawFd, RawFd)> = Vec::with_capacity(count);
        let mut places = self.places.iter().map(AsRawFd::as_raw_fd);
        for source in sources {
            let known = taken.iter().find(|(_, other)| other == source).map(|(place, _)| *place);
            let Some(place) = known.or_else(|| places.next()) else { return Vec::new() };
            if known.is_none() {
                taken.push((place, *source));
            }
            *source = place;
        }
        taken
    }

    /// Leaves nothing of it there: the other end of a channel is to see when the child closes its own.
    pub(super) fn close(&self, taken: &[(RawFd, RawFd)]) {
        let Some(null) = &self.null else { return };
        for (place, _) in taken {
            // SAFETY: plain numbers, both of descriptors of ours.
            unsafe { libc::dup3(null.as_raw_fd(), *place, libc::O_CLOEXEC) };
        }
    }
}
