//! What is written: configuration files become a plan, or problems with file, line, column and field.
//! Nothing is started here, and nothing is remembered.

pub(crate) mod plan;
