#!/bin/sh
# What is tried on a host, told in /trial/results: a boot on which the supervisor is deployed, and another on which it
# must be there by itself and is taken away again. $1 is how this host is booted again.
exec >>/trial/log 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
boot=$(($(cat /trial/boot 2>/dev/null || echo 0) + 1))
echo $boot >/trial/boot

say() { echo "$*" >>/trial/results; }
# Every file there is, but for what the inits keep for themselves.
listing() {
    find /etc /usr/local /var/lib /var/log /var/cache /run /root | grep -Ev \
        '^/(run/(systemd|openrc|log|runit|initctl|utmp|user|udev|credentials|host)|var/lib/systemd|var/log/(journal|btmp|wtmp|lastlog)|etc/(init.d/.depend|machine-id|mtab|resolv))' |
        sort >"/trial/$1"
}
pid() { mcp-init health --live --json 2>/dev/null | sed -n 's/.*"pid":\([0-9]*\).*/\1/p'; }
wait_for() {
    seconds=0
    until eval "$1"; do
        seconds=$((seconds + 1))
        [ $seconds -lt 60 ] || return 1
        sleep 1
    done
}

first() {
    listing before
    cp /trial/broken.json /etc/mcp-init/services.d/broken.json
    mcp-init deploy --timeout 30s >/trial/broken 2>&1
    say broken $?
    rm /etc/mcp-init/services.d/broken.json
    listing undone
    HOST_TOKEN=typed mcp-init deploy >/trial/deploy 2>&1
    say deploy $?
    was=$(pid)
    mcp-init deploy >/trial/again 2>&1
    say again $? "$([ "$was" = "$(pid)" ] && echo same)"
    mcp-init logs surroundings >/trial/surroundings
    mcp-init status --json >/trial/status
    # What somebody else wrote is not replaced.
    mkdir -p /trial/image/etc/init.d /trial/image/etc/systemd/system
    echo mine | tee /trial/image/etc/init.d/mcp-init >/trial/image/etc/systemd/system/mcp-init.service
    mcp-init install --init systemd --root /trial/image
    say strange $?
}

second() {
    wait_for 'mcp-init health >/dev/null 2>&1'
    say booted $?
    mcp-init status >/trial/booted
    mcp-init status --json >/trial/limits
    was=$(pid)
    kill -KILL "$was"
    # shellcheck disable=SC2016 # it is looked at later
    wait_for 'now=$(pid) && [ -n "$now" ] && [ "$now" != "$was" ]'
    say restarted $?
    wait_for 'mcp-init health >/dev/null 2>&1'
    say recovered $?
    mcp-init uninstall
    say uninstall $?
    mcp-init health --live
    say gone $?
    listing kept
    mcp-init uninstall --purge
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
