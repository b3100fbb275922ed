//! `mcp-runner`: one process that turns one OpenAPI document into one MCP server. It works with no
//! supervisor at all.

mod client;
mod config;
mod openapi;
mod tools;
mod upstream;

fn main() {}
