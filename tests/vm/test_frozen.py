"""File systems that hang, on a machine whose first process is ours: a service that no signal reaches is told of and
holds nobody up, and a hanging disk of our own costs neither services nor answers.

One boot does it all: a script in the machine freezes disks, and says what it finds; what it says is asserted here.
"""

import json

import pytest

from machine import CACHE, Machine

# Prints `RESULT name value` lines on the console, and ends the machine.
SCRIPT = r"""#!/bin/sh
exec >/dev/console 2>&1
say() { echo "RESULT $*"; }
second() { mcp-init -c /etc/second "$@"; }
status() { second status "$1" --json 2>/dev/null | tr -d '\n'; }
field() { status "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
wait_for() { n=0; until eval "$1" || [ $n -ge 200 ]; do sleep 0.1; n=$((n+1)); done; }
now() { cut -d' ' -f1 /proc/uptime; }
since() { echo "$1 $(now)" | awk '{ print $2 - $1 }'; }
state() { awk '/^State/ { print $2 }' "/proc/$1/status"; }
disk() {
    dd if=/dev/zero of=/tmp/$1.img bs=1M count=16 2>/dev/null; losetup /dev/loop$2 /tmp/$1.img
    mke2fs /dev/loop$2 >/dev/null; mkdir /$1; mount -t ext2 /dev/loop$2 /$1
}

insmod /lib/loop.ko
disk slow 0; disk kept 1
second run & supervisor=$!
wait_for '[ "$(field stuck status)" = running ] && [ "$(field other status)" = running ]'

# A service that waits for a disk.
fsfreeze --freeze /slow
pid=$(field stuck pid)
touch /run/go
wait_for '[ "$(state "$pid")" = D ]'
say stuck "$(state "$pid")"
second stop stuck --timeout 30s; say stop $?
say told "$(status stuck)"
begin=$(now); second restart other; say other "$? $(since "$begin")"
fsfreeze --unfreeze /slow
wait_for '[ "$(field stuck status)" = stopped ]'
say after "$(field stuck status)"

# The end of all, with such a one.
rm /run/go; second start stuck
fsfreeze --freeze /slow
pid=$(field stuck pid)
touch /run/go
wait_for '[ "$(state "$pid")" = D ]'
begin=$(now); second shutdown; wait $supervisor; say shutdown "$? $(since "$begin")"
fsfreeze --unfreeze /slow
wait_for '[ ! -e "/proc/$pid" ]'
say left "$(grep -la 'sleep.1234[5]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l)"

# Our own disk.
rm -f /run/go
second run & supervisor=$!
wait_for '[ "$(field stuck status)" = running ] && [ "$(field other status)" = running ]'
fsfreeze --freeze /kept; say frozen $?
touch /run/loud
n=0; ok=0; begin=$(now)
while [ $n -lt 5 ]; do second restart other && ok=$((ok+1)); n=$((n+1)); done
say restarts "$ok $(since "$begin")"
begin=$(now); second status >/dev/null; say answer "$? $(since "$begin")"
fsfreeze --unfreeze /kept
rm /run/loud; touch /run/last
wait_for 'grep -q "the last line" /kept/log/other/current'
say lines "$(grep -c 'the last line' /kept/log/other/current)"
wait_for 'grep -q "\"pid\":$(field other pid)," /kept/state/services/other/process.json'
say record "$(grep -c "\"pid\":$(field other pid)," /kept/state/services/other/process.json)"
second shutdown; wait $supervisor; say end2 $?
say end
poweroff -f
"""

STUCK = "until [ -e /run/go ]; do sleep 0.1; done; echo x >/slow/file; exec sleep 12345"
OTHER = "while :; do if [ -e /run/loud ]; then echo 0123456789012345678901234567890123456789; elif [ -e /run/last ]; then echo the last line; exec sleep 12345; else sleep 0.1; fi; done"


def files():
    """What the machine finds."""
    def shell(script):
        return json.dumps({"command": ["/bin/sh", "-c", script], "stop": {"timeout": "500ms"}})

    settings = {"runtimeDir": "/run/second", "stateDir": "/kept/state", "logDir": "/kept/log", "shutdownTimeout": "4s"}
    return {
        "lib/loop.ko": next(CACHE.glob("lib/modules/*/kernel/drivers/block/loop.ko")).read_bytes(),
        "etc/mcp-init/mcp-init.json": json.dumps({"runtimeDir": "/run/a", "stateDir": "/run/b", "logDir": "/run/c"}),
        "etc/mcp-init/services.d/test.json": json.dumps({"command": ["/bin/checks"], "restart": "never", "log": {"mode": "null"}}),
        "etc/second/mcp-init.json": json.dumps(settings),
        "etc/second/services.d/stuck.json": shell(STUCK),
        "etc/second/services.d/other.json": shell(OTHER),
        "bin/checks": SCRIPT,
    }


@pytest.fixture(scope="module")
def said():
    with Machine(files()) as machine:
        results = machine.results(240)
        print(machine.said)
        yield results


def test_a_service_that_no_signal_reaches_is_told_of_and_ends_when_it_can(said):
    assert said["stuck"] == "D"
    service = json.loads(said["told"])["services"][0]
    assert service["status"] == "stopping" and "stuck in the kernel" in service["lastError"], service
    assert said["stop"] != "0"
    assert said["after"] == "stopped"


def test_it_holds_nobody_else_up(said):
    code, seconds = said["other"].split()
    assert code == "0" and float(seconds) < 5


def test_the_end_of_all_does_not_wait_for_it_for_ever(said):
    _, seconds = said["shutdown"].split()
    assert float(seconds) < 4 + 3
    assert said["left"] == "0"


def test_a_hanging_disk_of_our_own_costs_neither_services_nor_answers(said):
    assert said["frozen"] == "0"
    restarts, seconds = said["restarts"].split()
    assert restarts == "5" and float(seconds) < 30
    code, seconds = said["answer"].split()
    assert code == "0" and float(seconds) < 2
    assert said["lines"] == "1" and said["record"] == "1" and said["end2"] == "0"
