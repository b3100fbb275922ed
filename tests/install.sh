#!/bin/bash
# Installs what the tests need and the programs do not: a Python environment in .cache/python and Node's modules
# in tests/clients/node_modules, both pinned. Does nothing when it is all there. What Debian has to give
# (Python's venv, npm) is fetched by apt where we are root; otherwise it says what is missing.
set -eu
cd "$(dirname "$0")/.."

python=.cache/python
modules=tests/clients/node_modules

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need cc gcc
need node nodejs
need npm npm
need tini tini
need unshare util-linux
need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/install.sh: cannot run the tests: install ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "${missing[@]}"
fi

# A stamp holds what was asked for when it was made.
asked() { cat tests/requirements.txt; }
if ! asked | cmp -s - "$python/asked"; then
    rm -rf "$python"
    python3 -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --requirement tests/requirements.txt
    asked >"$python/asked"
fi

asked() { cat tests/clients/package.json tests/clients/package-lock.json; }
if ! asked | cmp -s - "$modules/.asked"; then
    npm ci --prefix tests/clients --no-audit --no-fund --loglevel=error
    asked >"$modules/.asked"
fi
