//! What `/proc` says of a process. It is asked only when somebody looks; `/proc` is no disk.

use std::fs;

use crate::life::policy::Pid;

/// When the process was started, in clock ticks since boot: field 22 of `/proc/PID/stat`. With its pid it names
/// one process for as long as the machine is up.
pub(crate) fn start_ticks(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.0)).ok()?;
    // The name (field 2) may hold blanks and brackets; it ends at the last bracket.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_was_started_after_boot() {
        let own = Pid(i32::try_from(std::process::id()).unwrap());
        assert!(start_ticks(own).unwrap() > 0);
        assert_eq!(start_ticks(Pid(i32::MAX)), None);
    }
}
