//! A view of `/proc`: who is whose child, who is a zombie, who has woken up. It signals only what a test started.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process, as `/proc/PID/stat` tells.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: i32,
    pub name: String,
    pub state: char,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
}

/// A process, if it is there.
pub fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (front, back) = (stat.find('(')?, stat.rfind(')')?);
    let fields: Vec<&str> = stat[back + 1..].split_whitespace().collect();
    Some(Process {
        pid,
        name: stat[front + 1..back].to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
    })
}

/// All of them.
pub fn processes() -> Vec<Process> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .collect()
}

/// Whether it runs; a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    process(pid).is_some_and(|process| !matches!(process.state, 'Z' | 'X'))
}

pub fn children(parent: i32) -> Vec<Process> {
    processes().into_iter().filter(|process| process.parent == parent).collect()
}

/// Children, their children, and so on.
pub fn descendants(ancestor: i32) -> Vec<Process> {
    let all = processes();
    let mut found: Vec<Process> = Vec::new();
    let mut open = vec![ancestor];
    while let Some(parent) = open.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            open.push(child.pid);
            found.push(child.clone());
        }
    }
    found
}

/// Living processes whose command line has `mark` in it.
pub fn marked(mark: &str) -> Vec<Process> {
    processes()
        .into_iter()
        .filter(|process| is_alive(process.pid))
        .filter(|process| command_line(process.pid).contains(mark))
        .collect()
}

pub fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// How often it has left the processor, of its own will or not: a process that sleeps in one system call and
/// shows the same count later has made no other.
pub fn switches(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status
        .lines()
        .filter(|line| line.contains("voluntary_ctxt_switches"))
        .map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Resident memory, in KiB.
pub fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The system call it sleeps in, with its arguments.
pub fn sleeping_in(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default().trim().to_owned()
}

/// Its open descriptors, as links.
pub fn descriptors(pid: i32) -> Vec<(i32, PathBuf)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut found: Vec<(i32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, fs::read_link(&path).ok()?))
        })
        .collect();
    found.sort();
    found
}

pub fn signal(pid: i32, signal: Signal) {
    assert!(pid > 1, "not a process of a test: {pid}");
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Its tree, for a reader of a failed test.
pub fn tree(ancestor: i32) -> String {
    let mut text = String::new();
    for process in process(ancestor).into_iter().chain(descendants(ancestor)) {
        let line = command_line(process.pid);
        let shown = if line.is_empty() { process.name } else { line.chars().take(100).collect() };
        text += &format!(
            "{:>7} parent {:>7} group {:>7} {} {}\n",
            process.pid, process.parent, process.group, process.state, shown
        );
    }
    text
}
