"""Limits held by control groups, whoever gave them: the services that feel them, what is tried in a machine, and what
is asserted of what it says.
"""

import json

# Prints `RESULT name value` lines on the console: `checks NAME` needs $conf, and $groups, where those of services are.
CHECKS = r"""#!/bin/sh
exec >/dev/console 2>&1
say() { echo "RESULT $*"; }
status() { mcp-init -c "$conf" status "$1" --json 2>/dev/null | sed 's/^[[:space:]]*//' | tr -d '\n'; }
field() { status "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
wait_for() { n=0; until eval "$1" || [ $n -ge 150 ]; do sleep 0.1; n=$((n+1)); done; }
usage() { awk '$1 == "usage_usec" { print $2 }' "$groups/busy/cpu.stat"; }
checks() {
    name=$1
    wait_for '[ "$(field modest status)" = running ] && [ "$(field busy status)" = running ]'
    before=$(field modest pid)
    wait_for 'status hog | grep -q "\"reason\":\"memory\""'
    say $name.hog "$(status hog)"
    wait_for '[ "$(field modest memoryUsage)" -gt 10000000 ]'
    say $name.modest "$(status modest)"
    say $name.untouched "$([ "$before" = "$(field modest pid)" ] && echo yes)"
    a=$(usage); t=$(cut -d' ' -f1 /proc/uptime); sleep 3; b=$(usage); u=$(cut -d' ' -f1 /proc/uptime)
    say $name.share $(echo "$a $b $t $u" | awk '{ print ($2 - $1) / 1000000 / ($4 - $3) }')
    say $name.throttled $(awk '$1 == "nr_throttled" { print $2 }' "$groups/busy/cpu.stat")
    wait_for 'now=$(cat "$groups/bomb/pids.current"); [ "$now" -ge 30 ]'
    say $name.bomb $now
    say $name.pressure $(mcp-init -c "$conf" metrics | grep -c '^mcp_init_service_memory_pressure_ratio{')
    mcp-init -c "$conf" stop bomb --timeout 20s
    say $name.stopped "$? $(grep -la '9876[5]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l) $([ -e "$groups/bomb" ] && echo left)"
    mcp-init -c "$conf" restart modest
    say $name.restarted "$(status modest)"
    say $name.groups "$(ls -d $groups/*/ | wc -l)"
    say $name.own "$(ls $groups/modest/ | grep -c memory.max)"
}
"""

# Takes so many megabytes at once.
HOG = "exec dd if=/dev/zero of=/dev/null bs=80M count=10"
# Holds ten in a file that is in memory.
MODEST = "head -c 10000000 /dev/zero >/tmp/held.$$; exec sleep 1000"
# Makes processes for ever, some in sessions of their own, and hears nobody.
BOMB = "trap '' TERM; exec awk 'BEGIN { while (1) system(\"sleep 98765 & setsid sleep 98765 &\") }'"


def services():
    """Each as its file says it."""
    def shell(script, **keys):
        return {"command": ["/bin/sh", "-c", script], "stop": {"timeout": "2s"}, **keys}

    return {
        "hog": shell(HOG, memoryLimit="40M", restartPolicy={"retryDelay": "500ms", "maxRetries": "unlimited"}),
        "modest": shell(MODEST, memoryLimit="60M", pidsLimit=20),
        "busy": shell("while :; do :; done", cpuLimit=20),
        "bomb": shell(BOMB, pidsLimit=30),
    }


def service(said, name):
    return json.loads(said[name])["services"][0]


class Limits:
    """A test for each `who` that `checks` was told."""

    def test_memory_over_the_limit_ends_the_service_and_nobody_else(self, said, who):
        hog, modest = service(said, f"{who}.hog"), service(said, f"{who}.modest")
        assert hog["lastEnd"]["reason"] == "memory" and hog["lastEnd"]["signal"] == "SIGKILL", hog
        assert hog["restartCount"] >= 1
        assert modest["enforcedBy"] == {"memory": "cgroup", "pids": "cgroup"}
        assert said[f"{who}.untouched"] == "yes" and modest["restartCount"] == 0
        assert 10_000_000 < modest["memoryUsage"] < 60_000_000

    def test_a_fifth_of_a_processor_is_all_it_gets(self, said, who):
        assert 0.1 < float(said[f"{who}.share"]) < 0.25
        assert int(said[f"{who}.throttled"]) > 0

    def test_a_fork_bomb_stays_within_its_limit_and_stop_leaves_nothing(self, said, who):
        assert int(said[f"{who}.bomb"]) == 30
        assert said[f"{who}.stopped"].strip() == "0 0"

    def test_a_group_is_made_anew_and_holds_again(self, said, who):
        assert service(said, f"{who}.restarted")["enforcedBy"]["memory"] == "cgroup"
        assert said[f"{who}.own"] == "1"

    def test_pressure_is_a_metric(self, said, who):
        assert int(said[f"{who}.pressure"]) >= 1
