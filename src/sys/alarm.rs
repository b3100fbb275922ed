//! A wake-up at a time of the wall clock, which a sleeping machine and a clock that is set do not upset. What it is
//! for is not known here.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// Readable when its time has come, or when the clock was set.
#[derive(Debug)]
pub(crate) struct Alarm(TimerFd);

impl Alarm {
    /// One that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self(TimerFd::new(ClockId::CLOCK_REALTIME, flags)?))
    }

    /// To be registered.
    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    /// Sets it to a time, in seconds since 1970-01-01 UTC; for `None` it is not set.
    pub(crate) fn set(&self, at: Option<i64>) -> io::Result<()> {
        let Some(at) = at.and_then(|at| u64::try_from(at).ok()) else { return Ok(self.0.unset()?) };
        // A time of 0 would unset it; the past is due at once.
        let at = TimeSpec::from_duration(Duration::from_secs(at.max(1)));
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        Ok(self.0.set(Expiration::OneShot(at), flags)?)
    }

    /// Whether the clock was set since it was set itself.
    pub(crate) fn was_clock_set(&self) -> bool {
        let mut count = [0; 8];
        nix::unistd::read(&self.0, &mut count) == Err(Errno::ECANCELED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_due_at_once() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Some(1)).unwrap();
        let mut fds = [nix::poll::PollFd::new(alarm.0.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 1000_u16), Ok(1));
        assert!(!alarm.was_clock_set());
        alarm.set(None).unwrap();
        assert_eq!(nix::poll::poll(&mut fds, 0_u16), Ok(0));
    }
}
