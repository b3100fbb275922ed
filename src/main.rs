//! The program `mcp-init`. Nothing lives here but the way in.

fn main() {}
