//! What is installed and where: the program, its configuration and its name, as the service of the host will have
//! them. Nothing is written here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::arguments::Invocation;
use super::super::failure::{FAILED, Failure, NO_PERMISSION, USAGE};
use super::super::options::Flag;
use super::super::places::Places;
use super::made::below;
use crate::config::Environment;
use crate::config::plan::Settings;

/// What it is called unless it is said.
const NAME: &str = "mcp-init";
/// Longest name.
const NAME_BYTES_MAX: usize = 64;
/// What a host's init waits for beyond `shutdownTimeout`, before it kills.
const STOP_MARGIN: Duration = Duration::from_secs(10);
/// Variables that say where things are: the service gets those that whoever installs it has.
const CARRIED: [&str; 5] = [
    "MCP_INIT_RUNTIME_DIR",
    "MCP_INIT_STATE_DIR",
    "MCP_INIT_LOG_DIR",
    "PROCESS_CONFIG_DIR",
    "MCP_SERVER_SCRIPT_PATH",
];
/// Where a service finds programs.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is installed and where.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The name of the host's service.
    pub(super) name: String,
    /// The program.
    pub(super) program: String,
    /// The folder of its configuration.
    pub(super) config: String,
    /// The file that its environment is read from, if it is there.
    pub(super) environment: String,
    /// Variables it gets besides.
    pub(super) variables: Vec<(String, String)>,
    /// Time it may take to end, in whole seconds.
    pub(super) stop_seconds: u64,
    /// Whether it is that of a person and not of the host.
    pub(super) user: bool,
    /// That person's home.
    pub(super) home: PathBuf,
    /// The root of the host: `/`, or that of an image.
    pub(super) root: PathBuf,
}

impl Site {
    /// As the command line and the configuration say.
    pub(super) fn of(invocation: &Invocation, places: &Places) -> Result<Self, Failure> {
        let environment = &places.environment;
        let user = invocation.has(Flag::User);
        let root = root(invocation, environment);
        let config = config(invocation, places, user, &root);
        let here = Places { environment: environment.clone(), config: below(&root, Path::new(&config)) };
        // A configuration that cannot be read is no reason not to uninstall; the others look again.
        let settings = here.settings().ok();
        let program = program(invocation, environment, &root)?;
        let home = environment.get("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let name = match invocation.value(Flag::Name) {
            None => NAME.to_owned(),
            Some(said) => said.to_string_lossy().into_owned(),
        };
        let site = Self {
            environment: format!("{config}/environment"),
            name,
            program,
            config,
            variables: carried(environment),
            stop_seconds: stop_seconds(settings.as_ref()),
            user,
            home,
            root,
        };
        site.checked()
    }

    /// Refuses what the languages of the inits would not take as it is.
    fn checked(self) -> Result<Self, Failure> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let first = self.name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !first || self.name.len() > NAME_BYTES_MAX || !self.name.bytes().all(good) {
            let text = format!(
                "cannot read --name \"{}\": 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 . _ -, the first of them a \
                 letter or digit",
                self.name.escape_debug()
            );
            return Err(Failure::new(USAGE, text));
        }
        let values = self.variables.iter().map(|(_, value)| value);
        for text in [&self.program, &self.config].into_iter().chain(values) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:,=~ ".contains(&byte);
            if !text.starts_with('/') || !text.bytes().all(plain) {
                let text = format!(
                    "cannot install \"{}\": a service of the host can name an absolute path of A-Z a-z 0-9 \
                     / . _ - + @ : , = ~ and spaces only",
                    text.escape_debug()
                );
                return Err(Failure::new(USAGE, text));
            }
        }
        Ok(self)
    }

    /// Whether this is the host that runs, and no image of another.
    pub(super) fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Refuses somebody who may not.
    pub(super) fn allow(&self, verb: &str, environment: &Environment) -> Result<(), Failure> {
        if environment.root || self.user || !self.is_live() {
            return Ok(());
        }
        let text = format!("cannot {verb}: a service of the host is root's; --user makes one of your own");
        Err(Failure::new(NO_PERMISSION, text))
    }

    /// The folder of what its servers keep to start faster the next time.
    pub(super) fn cache(&self) -> PathBuf {
        let folder = if self.user { self.home.join(".cache") } else { PathBuf::from("/var/cache") };
        folder.join(&self.name)
    }

    /// Where its things are, on this host or in an image.
    pub(super) fn places(&self, places: &Places) -> Places {
        Places { environment: places.environment.clone(), config: below(&self.root, Path::new(&self.config)) }
    }

    /// The verb and the configuration, as it is typed: `mcp-init -c DIR VERB`.
    pub(super) fn typed(&self, verb: &str) -> String {
        let is_default = !self.user && self.config == "/etc/mcp-init";
        if is_default { format!("mcp-init {verb}") } else { format!("mcp-init -c {} {verb}", self.config) }
    }
}

/// `--root DIR`, `DESTDIR`, or `/`.
fn root(invocation: &Invocation, environment: &Environment) -> PathBuf {
    let said = invocation.value(Flag::Root).or_else(|| environment.get("DESTDIR"));
    said.filter(|said| !said.is_empty())
        .map_or_else(|| PathBuf::from("/"), |said| environment.current_dir.join(said))
}

/// The folder of the configuration as the service will see it. That of the host, unless it is a person's.
fn config(invocation: &Invocation, places: &Places, user: bool, root: &Path) -> String {
    let is_said = invocation.config().is_some() || places.environment.get("MCP_INIT_CONFIG").is_some();
    let folder = if is_said || user { places.config.clone() } else { PathBuf::from("/etc/mcp-init") };
    let folder = if root == Path::new("/") { folder.canonicalize().unwrap_or(folder) } else { folder };
    let text = folder.to_string_lossy();
    text.strip_suffix('/').unwrap_or(&text).to_owned()
}

/// The program as the service will see it: this one, unless another is named.
fn program(invocation: &Invocation, environment: &Environment, root: &Path) -> Result<String, Failure> {
    if let Some(said) = invocation.value(Flag::Program) {
        return Ok(said.to_string_lossy().into_owned());
    }
    let exe = environment.exe.as_deref();
    let exe =
        exe.ok_or_else(|| Failure::new(FAILED, "cannot tell where this program is; name it with --program"))?;
    let seen = if root == Path::new("/") { Some(exe) } else { exe.strip_prefix(root).ok() };
    let seen =
        seen.map_or_else(|| PathBuf::from("/usr/local/bin/mcp-init"), |path| Path::new("/").join(path));
    Ok(seen.to_string_lossy().into_owned())
}

/// Variables that whoever installs it has.
fn carried(environment: &Environment) -> Vec<(String, String)> {
    let value = |name: &str| {
        let path = environment.current_dir.join(environment.get(name)?);
        Some((name.to_owned(), path.to_string_lossy().into_owned()))
    };
    CARRIED.into_iter().filter_map(value).collect()
}

/// Time to end, in whole seconds.
fn stop_seconds(settings: Option<&Settings>) -> u64 {
    let end = settings.map_or(STOP_MARGIN, |settings| settings.shutdown_timeout);
    end.saturating_add(STOP_MARGIN).as_secs().saturating_add(1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A host's.
    pub(in super::super) fn site(root: &Path) -> Site {
        Site {
            name: "mcp-init".to_owned(),
            program: "/usr/local/bin/mcp-init".to_owned(),
            config: "/etc/mcp-init".to_owned(),
            environment: "/etc/mcp-init/environment".to_owned(),
            variables: Vec::new(),
            stop_seconds: 20,
            user: false,
            home: PathBuf::from("/root"),
            root: root.to_owned(),
        }
    }

    #[test]
    fn odd_names_and_paths_are_refused() {
        let named = |name: &str| Site { name: name.to_owned(), ..site(Path::new("/")) }.checked();
        assert!(named("mcp-team.2").is_ok());
        for name in ["", "-x", ".x", "a/b", "a b", "a\n", &"x".repeat(65)] {
            assert_eq!(named(name).unwrap_err().code, USAGE, "{name}");
        }
        let at = |config: &str| Site { config: config.to_owned(), ..site(Path::new("/")) }.checked();
        assert!(at("/srv/my servers/~x").is_ok());
        for config in ["etc", "/a\"b", "/a%b", "/a$b", "/a\nb", "/a'b", "/a\\b", "/é"] {
            assert_eq!(at(config).unwrap_err().code, USAGE, "{config}");
        }
    }
}
