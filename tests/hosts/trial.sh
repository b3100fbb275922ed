#!/bin/sh
# What is tried on a host, told in /trial/results: a boot on which the supervisor is deployed, and another on which it
# must be there by itself and is taken away again. $1 is how this host is booted again.
# shellcheck source=tests/hosts/lib.sh
. /trial/lib.sh

as() { "$@"; }
# Every file there is, but for what the inits keep for themselves.
listing() {
    find /etc /usr/local /var/lib /var/log /var/cache /run /root | grep -Ev \
        '^/(run/(systemd|openrc|log|runit|initctl|utmp|user|udev|credentials|host)|var/lib/systemd|var/log/(journal|btmp|wtmp|lastlog)|etc/(init.d/.depend|machine-id|mtab|resolv))' |
        sort >"/trial/$1"
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

by_boot "$1"
