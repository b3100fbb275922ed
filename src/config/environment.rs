//! The environment as it was when the program began, and what it says of folders. It is never asked again:
//! two readings of one configuration cannot differ because a variable did.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What the configuration may know of the world, as the caller found it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// Variables.
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// Whether the user is root.
    pub(crate) root: bool,
    /// The program that runs, for what lies beside it.
    pub(crate) exe: Option<PathBuf>,
    /// Where relative paths of the command line and the environment begin.
    pub(crate) current_dir: PathBuf,
}

/// The folders of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folders {
    /// See `Settings::runtime_dir`.
    pub(super) runtime: PathBuf,
    /// See `Settings::state_dir`.
    pub(super) state: PathBuf,
    /// See `Settings::log_dir`.
    pub(super) log: PathBuf,
}

impl Environment {
    /// A variable's value; an empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable that holds a path, made absolute.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|value| self.current_dir.join(value))
    }

    /// One of the XDG base folders: its variable (a relative value does not count, says the specification),
    /// or else `fallback` in the home folder.
    fn base(&self, name: &str, fallback: &str) -> PathBuf {
        let said = self.get(name).map(Path::new).filter(|path| path.is_absolute());
        said.map_or_else(|| self.home().join(fallback), Path::to_path_buf)
    }

    /// The home folder; `/` for a user without one, as container runtimes have it.
    fn home(&self) -> PathBuf {
        self.path("HOME").unwrap_or_else(|| PathBuf::from("/"))
    }

    /// Where the supervisor keeps its things unless something else is said: a folder each under `/run`,
    /// `/var/lib` and `/var/log` for root; for anybody else under `$XDG_RUNTIME_DIR` (without one
    /// `$HOME/.local/run`) and `$XDG_STATE_HOME` (without one `$HOME/.local/state`).
    pub(super) fn folders(&self) -> Folders {
        if self.root {
            return Folders {
                runtime: PathBuf::from("/run/mcp-init"),
                state: PathBuf::from("/var/lib/mcp-init"),
                log: PathBuf::from("/var/log/mcp-init"),
            };
        }
        let state = self.base("XDG_STATE_HOME", ".local/state").join("mcp-init");
        Folders {
            runtime: self.base("XDG_RUNTIME_DIR", ".local/run").join("mcp-init"),
            log: state.join("log"),
            state,
        }
    }
}

/// Where the configuration is unless `-c` says: `$MCP_INIT_CONFIG`, else `/etc/mcp-init` for root, else
/// `$XDG_CONFIG_HOME/mcp-init` (without one `$HOME/.config/mcp-init`).
pub(crate) fn default_dir(environment: &Environment) -> PathBuf {
    if let Some(said) = environment.path("MCP_INIT_CONFIG") {
        return said;
    }
    if environment.root {
        return PathBuf::from("/etc/mcp-init");
    }
    environment.base("XDG_CONFIG_HOME", ".config").join("mcp-init")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user's environment.
    fn user(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Environment { variables, root: false, exe: None, current_dir: "/here".into() }
    }

    #[test]
    fn the_configuration_is_where_it_is_said_to_be() {
        let root = Environment { root: true, ..user(&[("HOME", "/root")]) };
        assert_eq!(default_dir(&root), Path::new("/etc/mcp-init"));
        assert_eq!(default_dir(&user(&[("HOME", "/h")])), Path::new("/h/.config/mcp-init"));
        assert_eq!(
            default_dir(&user(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")])),
            Path::new("/x/mcp-init")
        );
        assert_eq!(
            default_dir(&user(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")])),
            Path::new("/h/.config/mcp-init")
        );
        assert_eq!(default_dir(&user(&[("MCP_INIT_CONFIG", "etc")])), Path::new("/here/etc"));
        assert_eq!(
            default_dir(&user(&[("HOME", ""), ("MCP_INIT_CONFIG", "")])),
            Path::new("/.config/mcp-init")
        );
    }

    #[test]
    fn the_folders_are_a_users_own_unless_it_is_root() {
        let folders = user(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/7")]).folders();
        assert_eq!(folders.runtime, Path::new("/run/user/7/mcp-init"));
        assert_eq!(folders.state, Path::new("/h/.local/state/mcp-init"));
        assert_eq!(folders.log, Path::new("/h/.local/state/mcp-init/log"));
        let root = Environment { root: true, ..user(&[("XDG_RUNTIME_DIR", "/run/user/0")]) }.folders();
        assert_eq!(root.runtime, Path::new("/run/mcp-init"));
    }
}
