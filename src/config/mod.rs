//! What is written: configuration files become a plan, or problems with file, line, column and field.
//! Nothing is started here, and nothing is remembered.

#[cfg(test)]
mod corpus;
mod course;
mod document;
mod environment;
mod error;
mod item;
mod json;
mod keys;
mod load;
mod order;
pub(crate) mod plan;
mod said;
mod server;
mod service;
mod settings;
mod shown;
mod substitute;
#[cfg(test)]
mod tests;
mod units;

pub(crate) use environment::{Environment, default_dir};
pub(crate) use error::{ConfigError, nearest};
pub(crate) use load::{check_file, load, settings};
pub(crate) use units::{duration, duration_text};
