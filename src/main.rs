//! The program `mcp-init`. Nothing lives here but the way in.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    mcp_init::main(&arguments)
}
