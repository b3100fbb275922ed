//! The service folder of runit. What is in such a folder is runsv's own manual.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::call::{Call, call};
use super::init::{Init, shell_environment, shell_path, shell_word};
use super::made::{Made, file, link};
use super::site::Site;

/// runit.
#[derive(Debug)]
pub(super) struct Runit;

/// For runsvdir to find what is new: it looks every five seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs the supervisor.
const RUN: &str = "\
#!/bin/sh
# @made@
exec 2>&1
@PATH@@ENVIRONMENT@exec @PROGRAM@ -c @CONFIG@ run
";

/// Whether it is not run again.
const FINISH: &str = "\
#!/bin/sh
# @made@
# A configuration that cannot be read (78) and another supervisor (100) do not go away by another attempt.
case $1 in 78 | 100) printf d >supervise/control ;; esac
";

/// For `sv check`: it is up when it answers.
const CHECK: &str = "\
#!/bin/sh
# @made@
@PATH@@ENVIRONMENT@exec @PROGRAM@ -c @CONFIG@ health --live >/dev/null 2>&1
";

/// A script of these.
fn script(site: &Site, text: &str) -> String {
    text.replace("@PATH@", &shell_path())
        .replace("@ENVIRONMENT@", &shell_environment(site))
        .replace("@PROGRAM@", &shell_word(&site.program))
        .replace("@CONFIG@", &shell_word(&site.config))
}

/// The service's folder.
fn folder(site: &Site) -> PathBuf {
    Path::new("/etc/sv").join(&site.name)
}

/// The folder that runsvdir looks at, as it is written on disk.
fn scanned(site: &Site) -> &'static str {
    let has = |path: &str| site.root.join(path).is_dir();
    match (has("etc/runit/runsvdir/default"), has("var/service"), has("etc/service")) {
        (true, _, _) => "/etc/runit/runsvdir/default",
        (false, true, false) => "/var/service",
        (false, _, _) => "/etc/service",
    }
}

/// `sv` with as much time as the supervisor needs to end.
fn sv(site: &Site, verb: &str) -> Call {
    let service = Path::new(scanned(site)).join(&site.name);
    call(&["sv", "-w", &site.stop_seconds.to_string(), verb, &service.to_string_lossy()])
}

impl Init for Runit {
    fn name(&self) -> &'static str {
        "runit"
    }

    fn is_here(&self, root: &Path) -> bool {
        if root != Path::new("/") {
            let has = |path: &&str| root.join(path).exists();
            return ["etc/runit/2", "sbin/runit-init", "usr/bin/runit-init"].iter().any(has);
        }
        std::fs::read_to_string("/proc/1/comm").is_ok_and(|comm| comm.starts_with("runit"))
    }

    fn made(&self, site: &Site) -> Vec<Made> {
        let folder = folder(site);
        let script =
            |name: &str, text: &str| file(self.name(), folder.join(name), 0o755, &script(site, text));
        let linked = link(Path::new(scanned(site)).join(&site.name), &folder);
        // The link comes last: what is looked at is complete.
        vec![script("finish", FINISH), script("check", CHECK), script("run", RUN), linked]
    }

    fn folders(&self, site: &Site) -> Vec<(PathBuf, bool)> {
        vec![(folder(site).join("supervise"), true), (folder(site), false)]
    }

    fn learn(&self, _site: &Site) -> Vec<Call> {
        Vec::new()
    }

    fn start(&self, site: &Site) -> Call {
        sv(site, "restart").patient(PATIENCE)
    }

    fn stop(&self, site: &Site) -> Call {
        sv(site, "force-stop")
    }

    fn forget(&self, site: &Site) -> Vec<Call> {
        // The link is gone, and runsvdir will not start it again.
        let folder = folder(site);
        vec![call(&["sv", "-w", &site.stop_seconds.to_string(), "force-shutdown", &folder.to_string_lossy()])]
    }

    fn status(&self, site: &Site) -> Call {
        sv(site, "check")
    }

    fn hints(&self, site: &Site) -> Vec<(String, &'static str)> {
        vec![
            (format!("sv status {}", site.name), "what runit says"),
            (format!("sv down {}", site.name), "end it until \"sv up\""),
        ]
    }
}
