//! Calls against a server that records what arrives.
