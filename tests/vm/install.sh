#!/bin/bash
# Installs what the tests in a virtual machine need: qemu, busybox and systemd by apt, where we are root, and the kernel of
# Debian's cloud images, which is only unpacked, into .cache/vm. Does nothing when it is all there.
set -eu
cd "$(dirname "$0")/../.."
cache=.cache/vm

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need qemu-system-x86_64 qemu-system-x86
need cpio cpio
need systemctl systemd
# The rules of a zone whose clocks are changed.
[ -e /usr/share/zoneinfo/Europe/Berlin ] || missing+=(tzdata)
# A dynamic one would find no library in there.
if [ ! -x /bin/busybox ] || ldd /bin/busybox >/dev/null 2>&1; then missing+=(busybox-static); fi
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/vm/install.sh: cannot run the tests: install ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "${missing[@]}"
fi

if ! compgen -G "$cache/boot/vmlinuz-*" >/dev/null; then
    mkdir -p "$cache"
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
    (cd "$cache" && apt-get download -qq "$package" && dpkg-deb -x "$package"*.deb . && rm -f ./*.deb)
fi
