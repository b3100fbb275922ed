//! The service script of `OpenRC`. What such a script can say is openrc-run's own manual.

use std::path::Path;

use super::call::{Call, call};
use super::init::{Init, shell_environment, shell_word};
use super::made::{Made, file, link};
use super::site::Site;

/// `OpenRC`.
#[derive(Debug)]
pub(super) struct OpenRc;

/// The script.
const SCRIPT: &str = r#"#!/sbin/openrc-run
# @made@

description="MCP servers, supervised by mcp-init"
extra_started_commands="reload"
description_reload="Read the configuration again"

program=@PROGRAM@
config=@CONFIG@

# It is started again whenever it ends; "rc-service @NAME@ stop" ends it.
supervisor=supervise-daemon
command=$program
command_args="-c '$config' run"
respawn_delay=1
respawn_max=0
# It ends its services itself, in order.
retry="TERM/@STOP@/KILL/5"

depend() {
    use localmount net dns logger
    after bootmisc firewall
}

surroundings() {
@ENVIRONMENT@}

start_pre() {
    surroundings
    "$program" -c "$config" check >/dev/null
}

# Started is when it answers; one that takes its time is not given up.
start_post() {
    surroundings
    local seconds=0
    until "$program" -c "$config" health --live >/dev/null 2>&1; do
        seconds=$((seconds + 1))
        if [ "$seconds" -gt 30 ]; then
            ewarn "$RC_SVCNAME does not answer yet"
            return 0
        fi
        sleep 1
    done
}

reload() {
    surroundings
    ebegin "Reloading $RC_SVCNAME"
    "$program" -c "$config" reload
    eend $?
}
"#;

/// What the script says.
fn script(site: &Site) -> String {
    let environment = shell_environment(site);
    let environment: String = environment.lines().flat_map(|line| ["    ", line, "\n"]).collect();
    SCRIPT
        .replace("@PROGRAM@", &shell_word(&site.program))
        .replace("@CONFIG@", &shell_word(&site.config))
        .replace("@STOP@", &site.stop_seconds.to_string())
        .replace("@NAME@", &site.name)
        .replace("@ENVIRONMENT@", &environment)
}

impl Init for OpenRc {
    fn name(&self) -> &'static str {
        "openrc"
    }

    fn is_here(&self, root: &Path) -> bool {
        if root == Path::new("/") {
            return Path::new("/run/openrc/softlevel").exists();
        }
        ["sbin/openrc-run", "usr/sbin/openrc-run", "usr/bin/openrc-run"]
            .iter()
            .any(|path| root.join(path).exists())
    }

    fn made(&self, site: &Site) -> Vec<Made> {
        let path = format!("/etc/init.d/{}", site.name);
        let started = link(format!("/etc/runlevels/default/{}", site.name), &path);
        vec![file(self.name(), path, 0o755, &script(site)), started]
    }

    fn learn(&self, _site: &Site) -> Vec<Call> {
        Vec::new()
    }

    fn start(&self, site: &Site) -> Call {
        call(&["rc-service", &site.name, "restart"])
    }

    fn stop(&self, site: &Site) -> Call {
        call(&["rc-service", &site.name, "stop"])
    }

    fn status(&self, site: &Site) -> Call {
        call(&["rc-service", &site.name, "status"])
    }

    fn hints(&self, site: &Site) -> Vec<(String, &'static str)> {
        vec![(format!("rc-service {} status", site.name), "what OpenRC says")]
    }
}
