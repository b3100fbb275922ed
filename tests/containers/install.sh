#!/bin/bash
# Installs the container engines that tests/containers drives: podman with crun, and a Docker daemon. Root, Debian.
set -eu
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need podman podman
need crun crun
need catatonit catatonit
need dockerd docker.io
need ip iproute2
need script bsdutils
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/containers/install.sh: cannot test containers: install ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "${missing[@]}"
fi
