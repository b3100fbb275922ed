//! The init script of a System V init, with the headers of the Linux Standard Base. It keeps the supervisor alive
//! itself, since no such init does.

use std::fs;
use std::path::{Path, PathBuf};

use super::call::{Call, call};
use super::init::{Init, shell_environment, shell_path, shell_word};
use super::made::{Made, file, link};
use super::site::Site;

/// A System V init.
#[derive(Debug)]
pub(super) struct SysV;

/// The script.
const SCRIPT: &str = r#"#!/bin/sh
### BEGIN INIT INFO
# Provides:          @NAME@
# Required-Start:    $local_fs $remote_fs
# Required-Stop:     $local_fs $remote_fs
# Should-Start:      $network $named $syslog
# Should-Stop:       $network $named $syslog
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: MCP servers, supervised by mcp-init
### END INIT INFO
# @made@

name=@NAME@
program=@PROGRAM@
config=@CONFIG@
script=/etc/init.d/$name
pidfile=/run/$name.keeper.pid
stop_seconds=@STOP@

@PATH@@ENVIRONMENT@
# Runs the supervisor, and again when it ends, but not after an ordered end (0), nor over a configuration it cannot
# read (78) or beside another supervisor (100).
keep() {
    child=
    ended=
    trap 'ended=1; [ -z "$child" ] || kill -TERM "$child"' TERM INT HUP
    echo $$ >"$pidfile"
    while [ -z "$ended" ]; do
        "$program" -c "$config" run &
        child=$!
        # An order may have come before there was anybody to pass it on to.
        [ -z "$ended" ] || kill -TERM "$child"
        wait "$child"
        code=$?
        # An order ends the wait, and the supervisor only afterwards.
        while kill -0 "$child" 2>/dev/null; do
            wait "$child"
            code=$?
        done
        case $code in 0 | 78 | 100) break ;; esac
        [ -n "$ended" ] || sleep 1
    done
    rm -f "$pidfile"
}

# Whether the keeper runs; its pid is in $keeper.
is_kept() {
    keeper=$(cat "$pidfile" 2>/dev/null) && [ -n "$keeper" ] &&
        tr '\0' ' ' <"/proc/$keeper/cmdline" 2>/dev/null | grep -q "$script keep "
}

answers() {
    "$program" -c "$config" health --live >/dev/null 2>&1
}

start() {
    is_kept && return 0
    "$program" -c "$config" check >/dev/null || return 6
    # It gets nothing of whoever types.
    setsid env -i "$script" keep </dev/null >/dev/null 2>&1 &
    seconds=0
    until answers; do
        seconds=$((seconds + 1))
        [ "$seconds" -le 30 ] || return 1
        sleep 1
    done
}

stop() {
    is_kept || return 0
    kill -TERM "$keeper"
    seconds=0
    while is_kept; do
        seconds=$((seconds + 1))
        # Each further order is more urgent: the second kills what is left, the third waits for nothing.
        [ "$seconds" -le "$stop_seconds" ] || kill -TERM "$keeper"
        [ "$seconds" -le $((stop_seconds + 5)) ] || return 1
        sleep 1
    done
}

case ${1:-} in
start) echo "Starting $name" && start ;;
stop) echo "Stopping $name" && stop ;;
restart | force-reload) echo "Restarting $name" && stop && start ;;
reload) "$program" -c "$config" reload ;;
status)
    if is_kept && answers; then
        echo "$name is running"
    elif [ -e "$pidfile" ] && ! is_kept; then
        echo "$name is dead"
        exit 1
    else
        echo "$name is not running"
        exit 3
    fi
    ;;
keep) keep ;;
*)
    echo "usage: $script start|stop|restart|reload|force-reload|status" >&2
    exit 2
    ;;
esac
"#;

/// What Debian makes links with.
const UPDATE: &str = "/usr/sbin/update-rc.d";
/// Runlevels in which it runs, and in which it does not; with Debian's number of their links, which its tools make
/// another of as soon as they look.
const LEVELS: [(char, &str); 7] =
    [('2', "S99"), ('3', "S99"), ('4', "S99"), ('5', "S99"), ('0', "K01"), ('1', "K01"), ('6', "K01")];

/// What the script says.
fn script(site: &Site) -> String {
    SCRIPT
        .replace("@PROGRAM@", &shell_word(&site.program))
        .replace("@CONFIG@", &shell_word(&site.config))
        .replace("@STOP@", &site.stop_seconds.to_string())
        .replace("@NAME@", &site.name)
        .replace("@PATH@", &shell_path())
        .replace("@ENVIRONMENT@", &shell_environment(site))
}

/// Where the script is.
fn path(site: &Site) -> String {
    format!("/etc/init.d/{}", site.name)
}

/// Whether links are made by the tool of the host.
fn has_tool(site: &Site) -> bool {
    site.is_live() && Path::new(UPDATE).exists()
}

/// Where the links of the runlevels are.
fn levels(site: &Site) -> PathBuf {
    let inner = site.root.join("etc/rc.d/rc3.d").is_dir();
    PathBuf::from(if inner { "/etc/rc.d" } else { "/etc" })
}

impl Init for SysV {
    fn name(&self) -> &'static str {
        "sysvinit"
    }

    fn is_here(&self, root: &Path) -> bool {
        let is_init =
            |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "init\n");
        root.join("etc/inittab").exists()
            && root.join("etc/init.d").is_dir()
            && (root != Path::new("/") || is_init("1"))
    }

    fn made(&self, site: &Site) -> Vec<Made> {
        let mut all = vec![file(self.name(), path(site), 0o755, &script(site))];
        if !has_tool(site) {
            let folder = levels(site);
            let each = LEVELS.into_iter().map(|(level, order)| {
                let name = format!("rc{level}.d/{order}{}", site.name);
                link(folder.join(name), format!("/etc/init.d/{}", site.name))
            });
            all.extend(each);
        }
        all
    }

    fn learn(&self, site: &Site) -> Vec<Call> {
        if has_tool(site) { vec![call(&[UPDATE, &site.name, "defaults"])] } else { Vec::new() }
    }

    fn forget(&self, site: &Site) -> Vec<Call> {
        if has_tool(site) { vec![call(&[UPDATE, &site.name, "remove"])] } else { Vec::new() }
    }

    fn start(&self, site: &Site) -> Call {
        call(&[&path(site), "restart"])
    }

    fn stop(&self, site: &Site) -> Call {
        call(&[&path(site), "stop"])
    }

    fn status(&self, site: &Site) -> Call {
        call(&[&path(site), "status"])
    }

    fn hints(&self, site: &Site) -> Vec<(String, &'static str)> {
        vec![(format!("{} status", path(site)), "what its script says")]
    }
}
