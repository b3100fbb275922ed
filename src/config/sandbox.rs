//! `sandbox`: the walls around a service, checked. None is built here.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::item::{Choice, Item};
use super::json::Kind;
use super::said::{Said, set};

/// Keys of the object.
pub(super) const KEYS: [&str; 9] =
    ["profile", "readable", "writable", "hidden", "network", "ports", "privateTmp", "tmpSize", "bestEffort"];

/// Values of `sandbox`, or of its `profile`.
const PROFILE: Choice<Profile> =
    Choice { known: &[("strict", Profile::Strict), ("none", Profile::Off)], later: &[] };

/// Values of `network`.
const NETWORK: Choice<Network> = Choice {
    known: &[
        ("none", Network::Off),
        ("loopback", Network::Loopback),
        ("ports", Network::Ports),
        ("host", Network::Host),
    ],
    later: &[],
};

/// Most paths of a list.
const PATHS_MAX: usize = 256;

/// Most ports.
const PORTS_MAX: usize = 64;

/// Largest size of a private `/tmp` unless said, in bytes.
const TMP_BYTES: u64 = 64 * 1024 * 1024;

/// What the sandbox makes itself.
const OWN: [&str; 2] = ["/proc", "/dev"];

/// What a service is walled in by unless more is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// Nothing.
    Off,
    /// All walls.
    Strict,
}

/// What the network is to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    /// Nothing.
    Off,
    /// A loopback of its own, on which nobody else is.
    Loopback,
    /// Its ports, to listen on.
    Ports,
    /// All of the host's.
    Host,
}

/// The walls around a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    /// Whether there are any.
    pub(crate) profile: Profile,
    /// Paths it can read, beyond those of the system; absolute.
    pub(crate) readable: Vec<PathBuf>,
    /// Paths it can write.
    pub(crate) writable: Vec<PathBuf>,
    /// Paths that are empty to it, whatever else is said.
    pub(crate) hidden: Vec<PathBuf>,
    /// Its network; what its ports need unless said.
    pub(crate) network: Option<Network>,
    /// TCP ports it may listen on, beyond that of its `mcpConfig`.
    pub(crate) ports: Vec<u16>,
    /// Whether its `/tmp` is its own.
    pub(crate) private_tmp: bool,
    /// How large that may get, in bytes.
    pub(crate) tmp_size: u64,
    /// Whether it is started where a wall cannot be built.
    pub(crate) best_effort: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            profile: Profile::Strict,
            readable: Vec::new(),
            writable: Vec::new(),
            hidden: Vec::new(),
            network: None,
            ports: Vec::new(),
            private_tmp: true,
            tmp_size: TMP_BYTES,
            best_effort: false,
        }
    }
}

/// `sandbox`: a profile by its name, or an object that changes one.
pub(super) fn read(place: &mut Option<Sandbox>, item: &Item<'_>, problems: &mut Problems) {
    if matches!(item.node.kind, Kind::Object(_)) {
        *place = Some(object(item, problems));
    } else {
        let profile = item.choice(problems, &PROFILE);
        set(place, profile.map(|profile| Sandbox { profile, ..Sandbox::default() }));
    }
}

/// Tells of keys that a sandbox does not go with.
pub(super) fn agree(said: &Said, root: &Item<'_>, problems: &mut Problems) {
    if said.sandbox.as_ref().is_none_or(|sandbox| sandbox.profile == Profile::Off) {
        return;
    }
    let mut tell = |key: &str, field: &str, problem: &str| {
        let at = root.get(key).or_else(|| root.get("sandbox")).map_or(root.node.at, |item| item.key_at);
        problems.push(root.page.error(at, field, problem));
    };
    if said.chroot.is_some() {
        tell("chroot", "chroot", "contradicts sandbox: that has a root of its own");
    }
    if said.limits.ambient.is_some_and(|ambient| ambient != 0) {
        tell("limits", "limits.capabilities.ambient", "contradicts sandbox: nothing in it has capabilities");
    }
}

/// The object.
fn object(item: &Item<'_>, problems: &mut Problems) -> Sandbox {
    let mut sandbox = Sandbox::default();
    for item in item.members(problems) {
        match item.key {
            "profile" => sandbox.profile = item.choice(problems, &PROFILE).unwrap_or(Profile::Strict),
            "readable" => sandbox.readable = paths(&item, problems),
            "writable" => sandbox.writable = paths(&item, problems),
            "hidden" => sandbox.hidden = paths(&item, problems),
            "network" => sandbox.network = item.choice(problems, &NETWORK),
            "ports" => sandbox.ports = ports(&item, problems),
            "privateTmp" => sandbox.private_tmp = item.boolean(problems).unwrap_or(true),
            "tmpSize" => sandbox.tmp_size = item.size(problems).unwrap_or(TMP_BYTES),
            "bestEffort" => sandbox.best_effort = item.boolean(problems).unwrap_or(false),
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }
    if let Some(ports) = item.get("ports").filter(|_| !sandbox.ports.is_empty()) {
        match sandbox.network {
            Some(Network::Off) => {
                ports.wrong_key(problems, "contradicts network: there is none to listen on");
            }
            Some(Network::Host) => {
                ports.wrong_key(problems, "contradicts network: every port of the host is free");
            }
            Some(Network::Loopback) => {
                ports.wrong_key(problems, "contradicts network: nobody else is on a loopback of its own");
            }
            Some(Network::Ports) | None => {}
        }
    }
    sandbox
}

/// A list of paths. The root and what the sandbox makes itself are no choice.
fn paths(item: &Item<'_>, problems: &mut Problems) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for item in item.items(problems, PATHS_MAX).unwrap_or_default() {
        let Some(path) = item.path(problems) else { continue };
        if path == Path::new("/") {
            item.wrong(problems, "is all there is: name what is needed of it");
        } else if OWN.iter().any(|own| path.starts_with(own)) && !is_shared(&path) {
            item.wrong(problems, "is made by the sandbox itself");
        } else {
            paths.push(path);
        }
    }
    paths
}

/// Whether a path is in the folder of files in memory that is no device for all its name.
fn is_shared(path: &Path) -> bool {
    path.strip_prefix("/dev/shm").is_ok_and(|rest| rest != Path::new(""))
}

/// `ports`
fn ports(item: &Item<'_>, problems: &mut Problems) -> Vec<u16> {
    let items = item.items(problems, PORTS_MAX).unwrap_or_default();
    let port = |item: &Item<'_>| item.whole(problems, 1..=65535, "a port from 1 to 65535");
    items.iter().filter_map(port).filter_map(|port| u16::try_from(port).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, check_file};

    #[test]
    fn what_a_sandbox_does_not_go_with_is_told() {
        let folder = std::env::temp_dir().join(format!("mcp-init-sandbox-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.json");
        let told = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let errors = check_file(&path, &Environment::default()).err().unwrap_or_default();
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")
        };
        let root = told(r#"{ "command": "/bin/true", "sandbox": "strict", "chroot": "/srv" }"#);
        assert!(root.ends_with("chroot: contradicts sandbox: that has a root of its own"), "{root}");
        let ambient = r#""limits": { "capabilities": { "ambient": ["KILL"] } }"#;
        let capabilities = told(&format!(r#"{{ "command": "/bin/true", "sandbox": {{}}, {ambient} }}"#));
        assert!(capabilities.ends_with("nothing in it has capabilities"), "{capabilities}");
        let none = told(r#"{ "command": "/bin/true", "sandbox": "none", "chroot": "/srv" }"#);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(none, "");
    }
}
