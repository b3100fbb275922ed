"""The supervisor as a service of one person, who is not root: under a real systemd, there after a reboot before they
have logged in, and taken away without a trace."""

import json
import shutil

import pytest

from conftest import HERE, ROOT, SERVICES, Systemd


class Person(Systemd):
    """A host with somebody on it who has a configuration of their own."""

    def prepare(self):
        super().prepare()
        shutil.rmtree(self.root / "etc/mcp-init")
        self.write("trial/run", (HERE / "trial_user.sh").read_text(), 0o755)
        for name, line in (("passwd", "op:x:1234:1234::/home/op:/bin/sh"), ("group", "op:x:1234:"), ("shadow", "op:*:20000::::::")):
            path = self.root / "etc" / name
            self.write(f"etc/{name}", path.read_text() + line + "\n", path.stat().st_mode & 0o777)
        config = "home/op/.config/mcp-init"
        for name, service in SERVICES.items():
            self.write(f"{config}/services.d/{name}.json", json.dumps(service))
        self.write(f"{config}/environment", "HOST_TOKEN=\"from the file\"\n", 0o600)
        self.write(f"{config}/pets.json", (ROOT / "etc/openapi/pets.json").read_text())
        for path in [self.root / "home/op", *(self.root / "home/op").rglob("*")]:
            shutil.chown(path, 1234, 1234)


@pytest.fixture
def host():
    host = Person()
    yield host
    host.close()


def test_it_is_a_service_of_ones_own(host):
    host.boot()
    assert host.results().get("end") == "1 ", host.story()
    host.boot()
    told = {name: value.strip() for name, value in host.results().items()}
    story = host.story()
    assert told["end"] == "2", story
    assert told["manager"] == "0" and told["deploy"] == "0" and told["enabled"] == "0", story
    assert told["owner"] == "1234", story
    states = {service["serverId"]: service["status"] for service in json.loads(host.said("status"))["services"]}
    assert states == {"pets": "running", "surroundings": "running"}, story
    assert told["booted"] == "0" and told["restarted"] == "0" and told["recovered"] == "0", story
    assert told["uninstall"] == "0" and told["gone"] == "4" and told["purge"] == "0", story
    assert host.listing("after") == host.listing("before"), host.listing("after") ^ host.listing("before")
    assert host.said("left").strip() == "0", story
