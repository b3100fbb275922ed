//! Joins: the loop, the one place that knows both `life` and `sys`. It matches on no state.
