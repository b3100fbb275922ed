//! `mcp-runner`: one process that turns one OpenAPI document into one MCP server. It works with no
//! supervisor at all.

mod config;
mod tools;

fn main() {}
