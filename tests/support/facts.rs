//! Everything a process was born with, as the kernel tells it, in words that can be compared one by one.

use std::collections::BTreeMap;
use std::fs;

use super::proc;

/// What a fact is about, and what it says.
pub type Facts = BTreeMap<String, String>;

/// Lines of `/proc/PID/status` that a process inherits.
const STATUS: [&str; 15] = [
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Cpus_allowed_list",
    "Threads",
];

/// All facts of a process that has not changed anything itself.
pub fn of(pid: i32) -> Facts {
    let mut facts = Facts::new();
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    for line in read("status").lines() {
        if let Some((key, value)) = line.split_once(':').filter(|(key, _)| STATUS.contains(key)) {
            facts.insert(key.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    for (key, place) in [("nice", 16), ("rt_priority", 37), ("policy", 38)] {
        facts.insert(key.into(), fields[place].into());
    }
    // Who never was in a session of its own has none: it counts as one that nobody made nicer.
    let autogroup = read("autogroup");
    let nice = autogroup.rsplit_once("nice ").map_or("0", |(_, nice)| nice.trim());
    facts.insert("autogroup".into(), nice.into());
    facts.insert("ioprio".into(), io_priority(pid));
    facts.insert("oom_score_adj".into(), read("oom_score_adj").trim().into());
    for link in ["cwd", "root"] {
        let path = fs::read_link(format!("/proc/{pid}/{link}")).unwrap();
        facts.insert(link.into(), path.to_str().unwrap().into());
    }
    let process = proc::process(pid).unwrap();
    facts.insert(
        "leads its session and group".into(),
        (process.session == pid && process.group == pid).to_string(),
    );
    for (number, link) in proc::descriptors(pid) {
        let link = link.to_str().unwrap();
        facts.insert(format!("fd {number}"), link.split(':').next().unwrap().into());
    }
    for line in read("limits").lines().skip(1) {
        let (name, rest) = line.split_at(26);
        let values: Vec<&str> = rest.split_whitespace().take(2).collect();
        facts.insert(name.trim().into(), values.join(" "));
    }
    for variable in read("environ").split('\0').filter(|text| !text.is_empty()) {
        let (name, value) = variable.split_once('=').unwrap();
        facts.insert(format!("${name}"), value.into());
    }
    facts
}

/// Class and level of I/O.
fn io_priority(pid: i32) -> String {
    let output = std::process::Command::new("ionice").args(["-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Where two sets of facts differ, a line each.
pub fn differences(wanted: &Facts, found: &Facts) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let say = |facts: &Facts, name: &String| facts.get(name).cloned().unwrap_or_else(|| "(not there)".into());
    names
        .into_iter()
        .filter(|name| wanted.get(*name) != found.get(*name))
        .map(|name| format!("{name}: wanted {}, found {}", say(wanted, name), say(found, name)))
        .collect()
}
