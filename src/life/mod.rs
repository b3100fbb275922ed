//! Decides: events in, actions out, time is an argument. No clock, fd, path, log or fork.
