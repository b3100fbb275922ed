"""What comes by the clock while the clock is really set, forward and back, and in both nights in which clocks are
changed: on a machine whose first process is ours, in the time of Berlin.

One boot does it all: a script in the machine sets the clock and says what ran; what it says is asserted here.
"""

import json
import pathlib

import pytest

from machine import Machine

# Prints `RESULT name value` lines on the console, and ends the machine.
SCRIPT = r"""#!/bin/sh
exec >/dev/console 2>&1
runs=/run/runs
: >>$runs
say() { echo "RESULT $*"; }
set_clock() { date -u -s "$1" >/dev/null; }
count() { grep -c "^$1" $runs; }
# Waits until a line is there so often.
wait_for() { n=0; until [ "$(count "$1")" -ge $2 ] || [ $n -ge 200 ]; do sleep 0.1; n=$((n+1)); done; }
n=0; until mcp-init status night >/dev/null 2>&1 || [ $n -ge 150 ]; do sleep 0.1; n=$((n+1)); done

# Half past two does not come this night.
set_clock "2027-03-28 00:59:57"
wait_for "fixed 28-03:00" 1; wait_for "real 28-03:00" 1
say spring "$(count 'fixed 28-03:00') $(count 'real 28-03:00')"
# Back by seconds: three o'clock comes again.
set_clock "2027-03-28 00:59:57"
wait_for "real 28-03:00" 2
say back "$(count 'fixed 28-03:00') $(count 'real 28-03:00')"
# Two days are missed.
before=$(count once)
set_clock "2027-03-30 10:00:07"
wait_for "once 30-12:00" 1
say missed "$(count 'once 30') $(count 'fixed 30') $(( $(count once) - before ))"
# Half past two comes twice this night.
set_clock "2027-10-31 00:29:57"
wait_for "fixed 31-02:30" 1; wait_for "real 31-02:30" 1
set_clock "2027-10-31 01:29:57"
wait_for "real 31-02:30" 2
say autumn "$(count 'fixed 31-02:30') $(count 'real 31-02:30')"
say next "$(mcp-init schedule | awk '/ 30 2 / { print $1, $2, $3; exit }')"
say night "$(mcp-init status night --json | tr -d '\n')"
cat $runs
say end
poweroff -f
"""

# Which entry runs, and when by the clock of the wall.
NOTE = """#!/bin/sh
echo "$1 $(date +%d-%H:%M)" >>/run/runs
"""


def entry(cron, word, **keys):
    return {"cron": cron, "run": ["/bin/note", word], **keys}


def files():
    """What the machine finds."""
    night = {
        "command": ["sleep", "100000"],
        "healthCheck": {"type": "exec", "command": ["true"], "interval": "500ms"},
        "restartPolicy": {"resetAfter": "1m"},
        "schedule": [
            entry("30 2 * * *", "fixed"),
            entry("30 2 * * *", "once", catchUp="once"),
            entry("*/30 * * * *", "real"),
        ],
    }
    test = {"command": ["/bin/checks"], "restart": "never", "log": {"mode": "null"}}
    return {
        "etc/localtime": pathlib.Path("/usr/share/zoneinfo/Europe/Berlin").read_bytes(),
        "etc/mcp-init/mcp-init.json": json.dumps({"runtimeDir": "/run/a", "stateDir": "/run/b", "logDir": "/run/c"}),
        "etc/mcp-init/services.d/night.json": json.dumps(night),
        "etc/mcp-init/services.d/test.json": json.dumps(test),
        "bin/checks": SCRIPT,
        "bin/note": NOTE,
    }


@pytest.fixture(scope="module")
def said():
    with Machine(files()) as machine:
        results = machine.results(180)
        print(machine.said)
        yield results


def test_a_time_that_a_night_leaves_out_comes_at_the_first_minute_after(said):
    assert said["spring"] == "1 1"


def test_a_clock_that_is_set_back_repeats_only_what_follows_real_time(said):
    assert said["back"] == "1 2"


def test_what_was_missed_runs_once_for_all_or_not_at_all(said):
    assert said["missed"] == "1 0 1"


def test_a_time_that_comes_twice_in_a_night_runs_once(said):
    assert said["autumn"] == "1 2"


def test_what_comes_next_is_told_by_the_new_clock(said):
    assert said["next"] == "2027-11-01 02:30:00 +01:00"


def test_a_service_and_its_checks_do_not_care(said):
    service = json.loads(said["night"])["services"][0]
    assert (service["status"], service["restartCount"], service["healthStatus"]) == ("running", 0, "healthy")
