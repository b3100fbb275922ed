//! What an init has to know to be told of the supervisor, and which of them this host has. Nothing is run here.

use std::path::{Path, PathBuf};

use super::super::arguments::Invocation;
use super::super::failure::{FAILED, Failure, USAGE};
use super::super::options::Flag;
use super::call::Call;
use super::launchd::Launchd;
use super::made::Made;
use super::openrc::OpenRc;
use super::runit::Runit;
use super::site::Site;
use super::systemd::Systemd;
use super::sysvinit::SysV;

/// The init of a host.
pub(super) trait Init: std::fmt::Debug {
    /// What it is called on the command line.
    fn name(&self) -> &'static str;
    /// Whether it is that of the host below `root`.
    fn is_here(&self, root: &Path) -> bool;
    /// Whether it has services of persons.
    fn has_users(&self) -> bool {
        false
    }
    /// The files and links that make the supervisor a service which starts when the host does.
    fn made(&self, site: &Site) -> Vec<Made>;
    /// Folders that are removed with them, inner ones first; with all that is in them if the second is true, else
    /// only if nothing is.
    fn folders(&self, _site: &Site) -> Vec<(PathBuf, bool)> {
        Vec::new()
    }
    /// Has it notice files that came.
    fn learn(&self, site: &Site) -> Vec<Call>;
    /// Has it notice files that went.
    fn forget(&self, site: &Site) -> Vec<Call> {
        self.learn(site)
    }
    /// Starts the service, or starts it again.
    fn start(&self, site: &Site) -> Call;
    /// Ends it.
    fn stop(&self, site: &Site) -> Call;
    /// Ends with 0 while it runs.
    fn status(&self, site: &Site) -> Call;
    /// Ends with 0 once it is not tried any more.
    fn has_given_up(&self, _site: &Site) -> Option<Call> {
        None
    }
    /// Commands that a person needs, and what each does.
    fn hints(&self, site: &Site) -> Vec<(String, &'static str)>;
    /// Something that a person should know.
    fn note(&self, _site: &Site) -> Option<String> {
        None
    }
}

/// All of them; where a host has several, the first of them is its init.
const ALL: [&dyn Init; 5] = [&Systemd, &OpenRc, &Runit, &SysV, &Launchd];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static dyn Init> {
    ALL.into_iter()
}

/// The one that is named, or that of the host.
pub(super) fn choose(invocation: &Invocation, site: &Site) -> Result<&'static dyn Init, Failure> {
    let names = || ALL.map(Init::name).join(", ");
    let init = match invocation.value(Flag::Init) {
        Some(said) => all().find(|init| said == init.name()).ok_or_else(|| {
            Failure::new(USAGE, format!("cannot read --init \"{}\": one of {}", said.display(), names()))
        }),
        None => all().find(|init| init.is_here(&site.root)).ok_or_else(|| {
            let text =
                format!("cannot tell the init of {}: name it with --init: {}", site.root.display(), names());
            Failure::new(FAILED, text)
        }),
    }?;
    if site.user && !init.has_users() {
        return Err(Failure::new(
            USAGE,
            format!("cannot use --user: {} has services of the host only", init.name()),
        ));
    }
    Ok(init)
}

/// A word for a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:,=".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{text}'") }
}

/// Lines of a POSIX shell that give the supervisor its environment. A home is not in it: it would be that of whoever
/// types, or of the host's boot.
pub(super) fn shell_environment(site: &Site) -> String {
    let variables = site.variables.iter();
    let lines = variables.map(|(name, value)| format!("export {name}={}\n", shell_word(value)));
    format!(
        "unset HOME\nexport CACHE_DIRECTORY={}\n{}if [ -r {file} ]; then\n    set -a\n    . {file}\n    set +a\nfi\n",
        site.cache().display(),
        lines.collect::<String>(),
        file = shell_word(&site.environment),
    )
}

/// The line that says where programs are.
pub(super) fn shell_path() -> String {
    format!("export PATH={}\n", super::site::PATH)
}
