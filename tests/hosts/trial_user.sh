#!/bin/sh
# What somebody who is not root tries on a host with systemd, told in /trial/results: a boot on which they deploy a
# supervisor of their own, and another on which it is there before they have logged in. $1 is how the host is booted again.
# shellcheck source=tests/hosts/lib.sh
. /trial/lib.sh

# A command as that person, with what a login gives.
as() {
    setpriv --reuid 1234 --regid 1234 --clear-groups env -i HOME=/home/op USER=op LOGNAME=op PATH="$PATH" \
        XDG_RUNTIME_DIR=/run/user/1234 "$@"
}
# Every file that is theirs, but for what the inits keep for themselves, and the folders that any program may make.
listing() { find /home/op /run/user/1234 -user 1234 | grep -Ev '^/(run/user/1234/(systemd|bus|dbus-1)|home/op/.(cache|local|local/state)$)' | sort >"/trial/$1"; }
is_there='[ -S /run/user/1234/systemd/private ]'

first() {
    loginctl enable-linger op
    wait_for "$is_there"
    say manager $?
    listing before
    as mcp-init deploy --user >/trial/deploy 2>&1
    say deploy $?
    as mcp-init status --json >/trial/status
    say owner "$(stat -c %u "/proc/$(pid)")"
    as systemctl --user is-enabled mcp-init
    say enabled $?
}

by_boot "$1" --user
