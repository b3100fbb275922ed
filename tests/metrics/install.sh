#!/bin/bash
# Unpacks Debian's Prometheus, its promtool and its node_exporter into .cache/metrics; nothing is installed.
set -eu
cd "$(dirname "$0")/../.."
cache=.cache/metrics
[ -x "$cache/usr/bin/prometheus-node-exporter" ] && exit
mkdir -p "$cache"
[ "$(id -u)" != 0 ] || apt-get update -qq
(
    cd "$cache"
    apt-get download -qq prometheus prometheus-node-exporter
    for deb in ./*.deb; do dpkg-deb -x "$deb" .; done
    rm -f ./*.deb
)
