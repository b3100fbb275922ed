#!/bin/sh
# What somebody who is not root tries on a host with systemd, told in /trial/results: a boot on which they deploy a
# supervisor of their own, and another on which it is there before they have logged in. $1 is how the host is booted again.
exec >>/trial/log 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
boot=$(($(cat /trial/boot 2>/dev/null || echo 0) + 1))
echo $boot >/trial/boot

say() { echo "$*" >>/trial/results; }
# A command as that person, with what a login gives.
as() {
    setpriv --reuid 1234 --regid 1234 --clear-groups env -i HOME=/home/op USER=op LOGNAME=op PATH="$PATH" \
        XDG_RUNTIME_DIR=/run/user/1234 "$@"
}
# Every file that is theirs, but for what the inits keep for themselves, and the folders that any program may make.
listing() { find /home/op /run/user/1234 -user 1234 | grep -Ev '^/(run/user/1234/(systemd|bus|dbus-1)|home/op/.(cache|local|local/state)$)' | sort >"/trial/$1"; }
pid() { as mcp-init health --live --json 2>/dev/null | sed -n 's/.*"pid":\([0-9]*\).*/\1/p'; }
wait_for() {
    seconds=0
    until eval "$1"; do
        seconds=$((seconds + 1))
        [ $seconds -lt 60 ] || return 1
        sleep 1
    done
}
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

second() {
    wait_for 'as mcp-init health >/dev/null 2>&1'
    say booted $?
    was=$(pid)
    kill -KILL "$was"
    # shellcheck disable=SC2016 # it is looked at later
    wait_for 'now=$(pid) && [ -n "$now" ] && [ "$now" != "$was" ]'
    say restarted $?
    wait_for 'as mcp-init health >/dev/null 2>&1'
    say recovered $?
    as mcp-init uninstall --user
    say uninstall $?
    as mcp-init health --live
    say gone $?
    as mcp-init uninstall --user --purge
    say purge $?
    listing after
    # shellcheck disable=SC2009 # not every host has pgrep
    ps -e -o args= | grep -c "sleep 4321[0]" >/trial/left
}

case $boot in
1) first ;;
2) second ;;
esac
say end $boot
sync
eval "$1"
