//! What is written: configuration files become a plan, or problems with file, line, column and field.
//! Nothing is started here, and nothing is remembered.

mod accounts;
pub(crate) mod alerts;
mod auth;
mod bridge;
pub(crate) mod cleanup;
pub(crate) mod control;
#[cfg(test)]
mod corpus;
mod course;
mod document;
pub(crate) mod edit;
mod env_file;
mod environment;
mod error;
mod health;
pub(crate) mod hooks;
pub(crate) mod identity;
mod item;
mod json;
mod keys;
pub(crate) mod limits;
mod listen;
mod load;
mod order;
pub(crate) mod plan;
pub(crate) mod probe;
mod reach;
mod readiness;
mod said;
mod sandbox;
pub(crate) mod schedule;
mod seldom;
mod server;
mod service;
mod settings;
mod shown;
mod stdio;
mod substitute;
#[cfg(test)]
mod tests;
mod tools;
mod trust;
mod units;
pub(crate) mod update;
pub(crate) mod zone;

pub use bridge::DOCUMENT_KEYS;
pub(crate) use environment::{Environment, default_dir};
pub(crate) use error::{ConfigError, nearest};
pub(crate) use load::{
    Edit, check_file, files_of, load, load_edited, read_service, services_folder, settings,
};
pub(crate) use sandbox::{Network, Sandbox};
pub(crate) use service::PATH;
pub(crate) use stdio::SCHEME as STDIO_SCHEME;
pub use substitute::substitute;
pub use units::duration;
pub(crate) use units::{duration_text, signal};
