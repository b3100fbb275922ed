//! Where the kernel's start of the program meets Rust: `main` as C has it. Nothing is done here but to pass on the
//! command line.
//!
//! The standard library's own `main` would ignore SIGPIPE, open what is closed of 0, 1 and 2, install handlers
//! and read `/proc/self/maps` first. An entrypoint hands on what it was given, and has no time for the rest.

#![expect(unsafe_code, reason = "the one name that the C library calls, and its arguments")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// All that the program allocates.
#[global_allocator]
static HEAP: mcp_init::heap::Heap = mcp_init::heap::Heap;

/// The program. A panic that nobody caught aborts.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, words: *const *const c_char) -> c_int {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut next = words;
    loop {
        // SAFETY: the C library passes an array that ends with a null, which was not reached yet.
        let word = unsafe { *next };
        if word.is_null() {
            break;
        }
        // SAFETY: each entry is a C string that lives as long as the process.
        let word = unsafe { CStr::from_ptr(word) };
        arguments.push(OsStr::from_bytes(word.to_bytes()).to_owned());
        // SAFETY: the entry was not the null that ends the array, so there is a next one.
        next = unsafe { next.add(1) };
    }
    c_int::from(mcp_init::main(arguments))
}
