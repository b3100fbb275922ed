//! The scribe: the one process that writes to disk. It decides nothing about a service's life.

pub(crate) mod wire;
