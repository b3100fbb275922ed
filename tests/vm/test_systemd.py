"""The same limits where systemd is the first process of a machine whose control groups are all of version 2: the unit
that `mcp-init install` makes has a part of the hierarchy of its own (`Delegate=yes`), and the supervisor uses it.
"""

import json
import pathlib

import pytest

from limits import CHECKS, Limits, services
from machine import Machine

UNITS = pathlib.Path("/lib/systemd/system")
PROGRAMS = ["/lib/systemd/systemd", "/bin/systemctl"]
UNIT = "/sys/fs/cgroup/system.slice/mcp-init.service"

SCRIPT = CHECKS + rf"""
say controllers "$(cat /sys/fs/cgroup/cgroup.controllers)"
say first "$(readlink /proc/1/exe)"
mcp-init install; say install $?
systemctl start mcp-init; say start $?
say unit "$(systemctl show mcp-init -p ActiveState -p Delegate -p Type | tr '\n' ' ')"
conf=/etc/mcp-init groups={UNIT}/services
say delegated "$(cat {UNIT}/cgroup.subtree_control)"
say supervisor "$(cat {UNIT}/supervisor/cgroup.procs | wc -l)"
checks unit
systemctl kill --kill-whom=main --signal=KILL mcp-init
wait_for '[ "$(systemctl show mcp-init -p NRestarts)" = NRestarts=1 ]'
wait_for '[ "$(field modest status)" = running ]'
say again "$(status modest)"
systemctl stop mcp-init; say stop $?
say left "$([ -e {UNIT} ] && echo a group) $(grep -la '9876[5]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l)"
say end
poweroff -f
"""
TRIAL = """[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/checks
KillMode=process
"""


def files():
    """What the machine finds: units without what they want, so that nothing but ours is started."""
    found = {f"lib/systemd/system/{path.name}": path.read_text() for path in UNITS.glob("*.target")}
    found |= {
        "init": "#!/bin/sh\nmount -t proc proc /proc\nexec /lib/systemd/systemd --log-target=console --show-status=no\n",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/os-release": "ID=test\n",
        "etc/systemd/system/default.target": "[Unit]\nDefaultDependencies=no\nWants=trial.service\n",
        "etc/systemd/system/trial.service": TRIAL,
        "etc/mcp-init/mcp-init.json": json.dumps({"runtimeDir": "/run/a", "stateDir": "/run/b", "logDir": "/run/c"}),
        "bin/checks": SCRIPT,
    }
    for name, service in services().items():
        found[f"etc/mcp-init/services.d/{name}.json"] = json.dumps(service)
    return found


@pytest.fixture(scope="module")
def said():
    if not all(pathlib.Path(program).exists() for program in PROGRAMS):
        pytest.skip("no systemd to boot")
    with Machine(files(), programs=PROGRAMS) as machine:
        results = machine.results(240)
        print(machine.said)
        yield results


@pytest.mark.parametrize("who", ["unit"])
class TestLimits(Limits):
    pass


def test_it_is_a_systemd_with_nothing_but_control_groups_of_version_2(said):
    assert said["first"].endswith("/systemd/systemd"), said["first"]
    assert {"cpu", "memory", "pids"} <= set(said["controllers"].split()), said["controllers"]


def test_the_unit_is_delegated_and_the_supervisor_takes_it(said):
    assert (said["install"], said["start"]) == ("0", "0")
    assert set(said["unit"].split()) == {"ActiveState=active", "Delegate=yes", "Type=notify"}
    assert {"cpu", "memory", "pids"} <= set(said["delegated"].split()), said["delegated"]
    assert int(said["supervisor"]) >= 1


def test_a_supervisor_that_was_killed_finds_its_groups_again(said):
    assert json.loads(said["again"])["services"][0]["enforcedBy"]["memory"] == "cgroup"


def test_nothing_is_left_when_the_unit_is_stopped(said):
    assert (said["stop"], said["left"].strip()) == ("0", "0")
