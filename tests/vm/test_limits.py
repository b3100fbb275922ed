"""Limits held by control groups, on a machine whose first process is ours: memory, processor time, processes,
the kernel's own killings, and the same for a supervisor that is not root but was given a group.

One boot does it all: a script in the machine tries, and says what it finds; what it says is asserted here.
"""

import json

import pytest

from limits import CHECKS, Limits, services
from machine import Machine

# Ends the machine as well.
SCRIPT = CHECKS + r"""conf=/etc/mcp-init groups=/sys/fs/cgroup/services
checks root

# The same by somebody who is not root, in a group of their own.
mkdir /sys/fs/cgroup/given
for file in . cgroup.procs cgroup.subtree_control cgroup.threads; do chown 1000:1000 /sys/fs/cgroup/given/$file; done
mkdir /tmp/user; cp -r /etc/user/* /tmp/user; chown -R 1000:1000 /tmp/user
sh -c 'echo $$ >/sys/fs/cgroup/given/cgroup.procs; exec su user -s /bin/sh -c "exec mcp-init -c /tmp/user run"' &
conf=/tmp/user groups=/sys/fs/cgroup/given/services
wait_for 'mcp-init -c "$conf" status >/dev/null 2>&1'
checks user
mcp-init -c "$conf" shutdown
say user.left "$(ls -d $groups/*/ 2>/dev/null | wc -l)"
say end
poweroff -f
"""

def files():
    """What the machine finds."""
    found = {
        "etc/passwd": "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n",
        "etc/group": "root:x:0:\nuser:x:1000:\n",
        "etc/mcp-init/mcp-init.json": json.dumps({"runtimeDir": "/run/a", "stateDir": "/run/b", "logDir": "/run/c"}),
        "etc/mcp-init/services.d/test.json": json.dumps({"command": ["/bin/checks"], "restart": "never", "log": {"mode": "null"}}),
        "etc/user/mcp-init.json": json.dumps({"runtimeDir": "a", "stateDir": "b", "logDir": "c"}),
        "bin/checks": SCRIPT,
    }
    for name, service in services().items():
        for folder in ("etc/mcp-init", "etc/user"):
            found[f"{folder}/services.d/{name}.json"] = json.dumps(service)
    return found


@pytest.fixture(scope="module")
def said():
    with Machine(files()) as machine:
        results = machine.results(120)
        print(machine.said)
        yield results


@pytest.mark.parametrize("who", ["root", "user"])
class TestLimits(Limits):
    pass


def test_nothing_of_the_groups_is_left_at_the_end(said):
    assert said["user.left"] == "0"
