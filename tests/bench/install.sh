#!/bin/sh
# Fetches the peers `make bench` measures against, from Debian's own packages. They are unpacked
# into a folder and not installed, so that no service of theirs starts and nothing is diverted.
# The exception is s6: the path of its helper is compiled in, and its package is programs only.
#   CACHE=folder   where to unpack (default: .cache at the top of the checkout)
# Running it again costs nothing. A peer that cannot be had is named and left out of the table.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cache=${CACHE:-$top/.cache}
peers=$cache/peers
debs=$cache/debs
updated=no

say() { printf '%s\n' "bench: $*" >&2; }

root() { [ "$(id -u)" = 0 ]; }

# A stale package list names files the mirror no longer has, so a failure earns one refresh.
refresh() {
    [ "$updated" = no ] && root || return 1
    updated=yes
    apt-get update -qq >&2
}

install() {
    root || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

download() {
    (cd "$debs" && apt-get download -qq "$1" 2>/dev/null)
}

# unpack PACKAGE: once, marked by a file of its name.
unpack() {
    [ -e "$peers/.$1" ] && return 0
    download "$1" || { refresh && download "$1"; } || return 1
    dpkg-deb -x "$debs/$1"_*.deb "$peers"
    : >"$peers/.$1"
    rm -f "$debs/$1"_*.deb
}

for tool in cc python3; do
    command -v "$tool" >/dev/null 2>&1 && continue
    { refresh && install gcc libc6-dev python3; } || { say "cannot find $tool: install gcc, libc6-dev and python3"; exit 1; }
done

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then
    say "no apt here: only the peers already on PATH are measured"
    exit 0
fi

mkdir -p "$debs" "$peers"
for package in runit daemontools supervisor python3-pkg-resources tini bubblewrap; do
    unpack "$package" || say "cannot download $package: left out"
done
if ! command -v s6-svscan >/dev/null 2>&1; then
    install s6 || { refresh && install s6; } || say "cannot install s6 (it takes root): left out"
fi
