#!/bin/bash
# Installs what the tests on real inits need: systemd-nspawn and its friends by apt, where we are root, and the packages of the other
# inits, which are only unpacked into the roots that the tests make. Does nothing when it is all there.
set -eu
cd "$(dirname "$0")/../.."
cache=.cache/hosts

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need systemctl systemd
need systemd-nspawn systemd-container
# Somebody's own services are started by logind, and those who log in are told to it.
need dbus-daemon dbus
compgen -G '/lib/*/security/pam_systemd.so' >/dev/null || missing+=(libpam-systemd)
need unshare util-linux
need ip iproute2
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/hosts/install.sh: cannot run the tests: install ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "${missing[@]}"
fi

mkdir -p "$cache"
for package in openrc libeinfo1 librc1 runit sysvinit-core sysv-rc startpar insserv; do
    compgen -G "$cache/${package}_*.deb" >/dev/null || (cd "$cache" && apt-get download -qq "$package")
done
