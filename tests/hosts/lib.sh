#!/bin/sh
# What every trial on a host has: how it tells, how it waits, and what it does on each boot. $1 is how the host is booted
# again; `as` runs a command as whoever deploys, and `listing` lists files: a trial says who and which.
exec >>/trial/log 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

say() { echo "$*" >>/trial/results; }
pid() { as mcp-init health --live --json 2>/dev/null | sed -n 's/.*"pid":\([0-9]*\).*/\1/p'; }
wait_for() {
    seconds=0
    until eval "$1"; do
        seconds=$((seconds + 1))
        [ $seconds -lt 60 ] || return 1
        sleep 1
    done
}

# It is there by itself and comes back when it dies; then it is taken away, with these words for `uninstall`.
second() {
    wait_for 'as mcp-init health >/dev/null 2>&1'
    say booted $?
    as mcp-init status >/trial/booted
    was=$(pid)
    kill -KILL "$was"
    # shellcheck disable=SC2016 # it is looked at later
    wait_for 'now=$(pid) && [ -n "$now" ] && [ "$now" != "$was" ]'
    say restarted $?
    wait_for 'as mcp-init health >/dev/null 2>&1'
    say recovered $?
    as mcp-init uninstall "$@"
    say uninstall $?
    as mcp-init health --live
    say gone $?
    listing kept
    as mcp-init uninstall "$@" --purge
    say purge $?
    listing after
    # shellcheck disable=SC2009 # not every host has pgrep
    ps -e -o args= | grep -c "sleep 4321[0]" >/trial/left
}

# `first` on the first boot; on the other `second`, with the words given after how it is booted again.
by_boot() {
    again=$1
    shift
    boot=$(($(cat /trial/boot 2>/dev/null || echo 0) + 1))
    echo $boot >/trial/boot
    case $boot in
    1) first ;;
    2) second "$@" ;;
    esac
    say end $boot
    sync
    eval "$again"
}
