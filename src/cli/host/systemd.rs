//! The unit of systemd, of the host or of a person. What a unit can say is systemd's own manual.

use std::env;
use std::path::{Path, PathBuf};

use super::call::{Call, call};
use super::init::Init;
use super::made::{Made, file, link};
use super::site::Site;

/// systemd.
#[derive(Debug)]
pub(super) struct Systemd;

/// Both kinds of unit.
const UNIT: &str = "\
# @made@
[Unit]
Description=MCP servers, supervised by mcp-init
@AFTER@
[Service]
Type=notify
NotifyAccess=main
EnvironmentFile=-@FILE@
@VARIABLES@CacheDirectory=@NAME@
ExecStart=@PROGRAM@ -c @CONFIG@ run
ExecReload=@PROGRAM@ -c @CONFIG@ reload
# Not after an ordered end, nor over a configuration it cannot read (78) or beside another supervisor (100).
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=78 100
# It is ready when its services are; one that takes long must not cost the others.
TimeoutStartSec=infinity
# More than shutdownTimeout: it ends its services itself, in order, and only what is then left is killed.
TimeoutStopSec=@STOP@
KillMode=mixed
# Its services get control groups of their own, and the kernel's killing of one of them is its concern.
Delegate=yes
OOMPolicy=continue
@MORE@
[Install]
WantedBy=@TARGET@
";

/// What that of the host waits for.
const AFTER: &str = "Wants=network-online.target\nAfter=network-online.target nss-user-lookup.target\n";
/// What it has besides.
const MORE: &str = "OOMScoreAdjust=-900\nTasksMax=infinity\n";

/// A word of a command line; percent signs, quotes and the like cannot be in it.
fn word(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

/// What the unit says.
fn unit(site: &Site) -> String {
    let variables = site.variables.iter();
    let variables = variables.map(|(name, value)| format!("Environment=\"{name}={value}\"\n"));
    let (after, more) = if site.user { ("", "") } else { (AFTER, MORE) };
    UNIT.replace("@AFTER@\n", &format!("{after}\n"))
        .replace("@MORE@\n", &format!("{more}\n"))
        .replace("@FILE@", &site.environment)
        .replace("@VARIABLES@", &variables.collect::<String>())
        .replace("@PROGRAM@", &word(&site.program))
        .replace("@CONFIG@", &word(&site.config))
        .replace("@NAME@", &site.name)
        .replace("@STOP@", &site.stop_seconds.to_string())
        .replace("@TARGET@", target(site))
}

/// Whose start starts it.
const fn target(site: &Site) -> &'static str {
    if site.user { "default.target" } else { "multi-user.target" }
}

/// Where units are.
fn folder(site: &Site) -> PathBuf {
    if site.user { site.home.join(".config/systemd/user") } else { PathBuf::from("/etc/systemd/system") }
}

/// Where what its target wants is.
fn wants(site: &Site) -> PathBuf {
    folder(site).join(format!("{}.wants", target(site)))
}

/// `systemctl` and these words.
fn systemctl(site: &Site, words: &[&str]) -> Call {
    let whose: &[&str] = if site.user { &["systemctl", "--user"] } else { &["systemctl"] };
    call(&[whose, words].concat())
}

impl Init for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn is_here(&self, root: &Path) -> bool {
        if root == Path::new("/") {
            return Path::new("/run/systemd/system").is_dir();
        }
        ["lib/systemd/systemd", "usr/lib/systemd/systemd"].iter().any(|path| root.join(path).exists())
    }

    fn has_users(&self) -> bool {
        true
    }

    fn made(&self, site: &Site) -> Vec<Made> {
        let name = format!("{}.service", site.name);
        let path = folder(site).join(&name);
        let wanted = link(wants(site).join(&name), Path::new("..").join(&name));
        vec![file(self.name(), path, 0o644, &unit(site)), wanted]
    }

    fn folders(&self, site: &Site) -> Vec<(PathBuf, bool)> {
        let mut folders = vec![(wants(site), false)];
        if site.user {
            folders.extend(folder(site).ancestors().take(2).map(|folder| (folder.to_owned(), false)));
        }
        folders
    }

    fn learn(&self, site: &Site) -> Vec<Call> {
        vec![systemctl(site, &["daemon-reload"])]
    }

    fn start(&self, site: &Site) -> Call {
        // It would wait until all services are ready; whoever deploys looks at them meanwhile.
        systemctl(site, &["--no-block", "restart", &site.name])
    }

    fn stop(&self, site: &Site) -> Call {
        systemctl(site, &["stop", &site.name])
    }

    fn status(&self, site: &Site) -> Call {
        systemctl(site, &["is-active", "--quiet", &site.name])
    }

    fn has_given_up(&self, site: &Site) -> Option<Call> {
        Some(systemctl(site, &["is-failed", "--quiet", &site.name]))
    }

    fn hints(&self, site: &Site) -> Vec<(String, &'static str)> {
        let (user, log) = if site.user { (" --user", "--user-unit") } else { ("", "-u") };
        let name = &site.name;
        vec![
            (format!("systemctl{user} status {name}"), "what systemd says"),
            (format!("journalctl {log} {name} -f"), "what the supervisor says"),
        ]
    }

    fn note(&self, site: &Site) -> Option<String> {
        let person = env::var("USER").ok().filter(|_| site.user)?;
        let lingers = Path::new("/var/lib/systemd/linger").join(&person).exists();
        (!lingers).then(|| {
            format!("it runs while {person} is logged in; to start it with the host: loginctl enable-linger {person}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::tests::site;
    use super::*;

    #[test]
    fn a_unit_says_all_that_matters() {
        let mut site = site(Path::new("/"));
        let text = unit(&site);
        for line in [
            "ExecStart=/usr/local/bin/mcp-init -c /etc/mcp-init run\n",
            "EnvironmentFile=-/etc/mcp-init/environment\nCacheDirectory=mcp-init\nExecStart",
            "TimeoutStopSec=20\nKillMode=mixed\n",
            "OOMPolicy=continue\nOOMScoreAdjust=-900\nTasksMax=infinity\n\n[Install]\nWantedBy=multi-user.target\n",
            "After=network-online.target nss-user-lookup.target\n\n[Service]\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        site.user = true;
        site.config = "/home/a b".to_owned();
        site.variables.push(("MCP_INIT_LOG_DIR".to_owned(), "/var/my log".to_owned()));
        let text = unit(&site);
        assert!(
            text.contains(
                "Environment=\"MCP_INIT_LOG_DIR=/var/my log\"\nCacheDirectory=mcp-init\nExecStart="
            ),
            "{text}"
        );
        assert!(
            text.contains(" -c \"/home/a b\" run\n") && text.contains("WantedBy=default.target\n"),
            "{text}"
        );
        assert!(!text.contains("OOMScoreAdjust") && !text.contains("network"), "{text}");
        assert_eq!(text.matches('@').count(), 2, "only the mark is left to fill in: {text}");
    }
}
