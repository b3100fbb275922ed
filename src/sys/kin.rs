//! Who is left of a service outside of its process group: which processes are our children now, adopted ones
//! among them, and which service they say they come from. What becomes of them is not known here.

use std::fs;
use std::time::Duration;

use crate::life::policy::Pid;

use super::proc;

/// The variable that marks every process of a service, and whoever descends from it, with the id of its record.
pub(crate) const MARK: &str = "MCP_INIT_INSTANCE";

/// So often an environment is looked for before it is taken to be empty: as it is of the dead.
const LOOKS: u32 = 5;
/// From one look to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Our children, dead ones that are not reaped included. The kernel tells them apart from all others by itself:
/// nothing is lost while nobody but us reaps. Empty where it does not tell (no `/proc`, or a kernel without
/// `CONFIG_PROC_CHILDREN`).
pub(crate) fn children() -> Vec<Pid> {
    let text = proc::text("/proc/thread-self/children").unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok().map(Pid)).collect()
}

/// The mark that a process carries. To read it may wait for the process's own memory, so this is for a helper.
pub(crate) fn mark(pid: Pid) -> Option<String> {
    let bytes = environment(pid)?;
    let mut variables = bytes.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok().filter(|value| is_mark(value)).map(str::to_owned)
}

/// The environment of a process. For a moment, while it becomes another program, it has none.
fn environment(pid: Pid) -> Option<Vec<u8>> {
    for _ in 0..LOOKS {
        let bytes = fs::read(format!("/proc/{}/environ", pid.0)).ok()?;
        if !bytes.is_empty() {
            return Some(bytes);
        }
        #[expect(clippy::disallowed_methods, reason = "a helper may sleep: PID 1 does not wait for it")]
        std::thread::sleep(LOOK_AGAIN);
    }
    None
}

/// Whether it looks like the id of a record.
fn is_mark(value: &str) -> bool {
    value.len() == 36 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for by its number")]
    fn a_child_is_known_and_says_where_it_comes_from() {
        let mark_of_it = "0123abcd-0123-4123-8123-0123456789ab";
        let mut child = Command::new("/bin/sleep").arg("60").env(MARK, mark_of_it).spawn().unwrap();
        let pid = Pid(i32::try_from(child.id()).unwrap());
        assert!(children().contains(&pid));
        assert_eq!(mark(pid).as_deref(), Some(mark_of_it));
        child.kill().unwrap();
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid.0), None).unwrap();
        assert!(!children().contains(&pid));
        assert_eq!(mark(pid), None);
    }
}
