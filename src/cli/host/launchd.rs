//! The property list of launchd. What such a list can say is launchd.plist's own manual.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::call::{Call, call};
use super::init::Init;
use super::made::{Made, file};
use super::site::{PATH, Site};

/// launchd.
#[derive(Debug)]
pub(super) struct Launchd;

/// The list.
const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- @made@ -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>@NAME@</string>
    <key>ProgramArguments</key>
    <array>
        <string>@PROGRAM@</string>
        <string>-c</string>
        <string>@CONFIG@</string>
        <string>run</string>
    </array>
    <key>EnvironmentVariables</key>
    <dict>
@VARIABLES@    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ExitTimeOut</key>
    <integer>@STOP@</integer>
</dict>
</plist>
"#;

/// What the list says.
fn list(site: &Site) -> String {
    let path = ("PATH".to_owned(), PATH.to_owned());
    let mut variables = String::new();
    for (name, value) in std::iter::once(&path).chain(&site.variables) {
        let _ = write!(variables, "        <key>{name}</key>\n        <string>{value}</string>\n");
    }
    LIST.replace("@NAME@", &site.name)
        .replace("@PROGRAM@", &site.program)
        .replace("@CONFIG@", &site.config)
        .replace("@VARIABLES@", &variables)
        .replace("@STOP@", &site.stop_seconds.to_string())
}

/// Where the list is.
fn path(site: &Site) -> PathBuf {
    let folder =
        if site.user { site.home.join("Library/LaunchAgents") } else { "/Library/LaunchDaemons".into() };
    folder.join(format!("{}.plist", site.name))
}

/// Whose services it is among.
fn domain(site: &Site) -> String {
    if site.user { format!("gui/{}", nix::unistd::getuid()) } else { "system".to_owned() }
}

/// What launchd calls it.
fn service(site: &Site) -> String {
    format!("{}/{}", domain(site), site.name)
}

impl Init for Launchd {
    fn name(&self) -> &'static str {
        "launchd"
    }

    fn is_here(&self, root: &Path) -> bool {
        root.join("sbin/launchd").exists()
    }

    fn has_users(&self) -> bool {
        true
    }

    fn made(&self, site: &Site) -> Vec<Made> {
        vec![file(self.name(), path(site), 0o644, &list(site))]
    }

    fn learn(&self, _site: &Site) -> Vec<Call> {
        Vec::new()
    }

    fn start(&self, site: &Site) -> Call {
        call(&["launchctl", "bootstrap", &domain(site), &path(site).to_string_lossy()])
    }

    fn stop(&self, site: &Site) -> Call {
        call(&["launchctl", "bootout", &service(site)])
    }

    fn status(&self, site: &Site) -> Call {
        call(&["launchctl", "print", &service(site)])
    }

    fn hints(&self, site: &Site) -> Vec<(String, &'static str)> {
        vec![(format!("launchctl print {}", service(site)), "what launchd says")]
    }
}
