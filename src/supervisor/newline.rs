//! Services that say that they are ready as s6 has it: by a newline on a descriptor. Whatever else they write
//! there means nothing.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use mio::{Interest, Token};

use crate::life::policy::Event;
use crate::life::roster::Id;
use crate::sys::own;

use super::{NEWLINES, Supervisor};

/// Reads in one turn, of a KiB each.
const TURN_READS_MAX: usize = 16;

/// The token of a service's pipe.
fn token(id: Id) -> Token {
    Token(NEWLINES.saturating_add(id.index()))
}

impl Supervisor {
    /// Hears our end of the pipe from now on.
    pub(super) fn await_newline(&mut self, id: Id, ours: OwnedFd) {
        if let Err(error) = self.register(ours.as_raw_fd(), token(id), Interest::READABLE) {
            ::log::error!("cannot hear the readiness of a service: {}", own::reason(&error));
        }
        if let Some(present) = self.unit_mut(id).and_then(|unit| unit.present.as_mut()) {
            present.newline = Some(File::from(ours));
        }
    }

    /// Reads what is there: a newline is all that is waited for, and the end of it.
    pub(super) fn hear_newline(&mut self, id: Id) {
        let now = self.now.instant;
        let Some(present) = self.unit_mut(id).and_then(|unit| unit.present.as_mut()) else { return };
        let Some(pipe) = &mut present.newline else { return };
        let mut bytes = [0; 1024];
        for _ in 0..TURN_READS_MAX {
            match pipe.read(&mut bytes) {
                Ok(count @ 1..) if !bytes.iter().take(count).any(|byte| *byte == b'\n') => {}
                Ok(1..) => {
                    present.newline = None;
                    return self.roster.on(id, Event::Ready, now, &mut self.todo);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It closed its end, and will never say it.
                Ok(0) | Err(_) => {
                    present.newline = None;
                    return;
                }
            }
        }
        self.leave(token(id));
    }
}
