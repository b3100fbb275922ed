//! Acts: every system call of the supervisor, and the only `unsafe`. It decides nothing.
//!
//! Unsafe blocks, for review: making a process (`spawn`, `clone`), what its child does before it becomes another
//! program (`child`, and there `limits` and `identity`), waiting for any child (`reap`), who is at the other
//! end of a socket (`peer`), signals to a group
//! (`signal`), descriptors that came with the process (`own`) or in a message, and the search for a byte
//! (`scribe_io`), a letter and its sender (`letters`), whether two descriptors are one (`sockets`), the heap
//! (`heap`) and the program's own pages (`memory`), an entrypoint's signals and child (`entry`). `start` belongs to the program.

#![expect(unsafe_code, reason = "this is the room for it; each block states the fact it relies on")]

pub(crate) mod alarm;
pub(crate) mod cgroup;
pub(crate) mod child;
pub(crate) mod clock;
mod clone;
pub(crate) mod connections;
pub(crate) mod entry;
pub(crate) mod forest;
pub(crate) mod halves;
mod hatch;
pub mod heap;
mod identity;
pub(crate) mod kin;
pub(crate) mod letters;
mod limits;
pub mod memory;
pub(crate) mod mirror;
pub(crate) mod own;
pub(crate) mod peer;
pub(crate) mod pipe;
pub(crate) mod proc;
pub(crate) mod reap;
pub(crate) mod sandbox;
pub(crate) mod scribe_io;
pub(crate) mod setup;
pub(crate) mod signal;
pub(crate) mod sockets;
pub(crate) mod spawn;
pub(crate) mod stage;
pub(crate) mod tree;
pub(crate) mod wait;
