//! Acts: every system call of the supervisor, and the only `unsafe`. It decides nothing.
