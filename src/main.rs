//! The program `mcp-init`. Nothing lives here but the way in, which is in `sys/start.rs`: it is the program's and
//! not the library's.

#![cfg_attr(not(test), no_main)]

#[cfg(not(test))]
#[path = "sys/start.rs"]
mod start;
