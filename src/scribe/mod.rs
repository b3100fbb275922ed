//! The scribe: the one process that writes to disk. It decides nothing about a service's life.

mod append;
mod batch;
mod inbox;
mod keeper;
mod lines;
pub(crate) mod link;
mod log_file;
mod output;
mod own_log;
mod rotated;
mod sink;
#[cfg(test)]
mod tests;
pub(crate) mod time;
mod turn;
pub(crate) mod wire;

pub(crate) use batch::replace_now;
pub(crate) use turn::run;
