"""The supervisor as a service of real inits: deployed, there again after a reboot, brought back when it dies, and
taken away without a trace; and nothing left of a deployment that did not come to anything."""

import json


def test_it_is_deployed_survives_a_reboot_and_leaves_no_trace(host):
    host.boot()
    assert host.results().get("end") == "1 ", host.story()
    host.boot()
    told = {name: value.strip() for name, value in host.results().items()}
    story = host.story()
    assert told["end"] == "2", story

    # One service that does not start: everything is as before, and it is said why.
    assert told["broken"] == "1", story
    assert "broken is error" in host.said("broken") and "what was done is undone" in host.said("broken"), story
    assert host.listing("undone") == host.listing("before"), host.listing("undone") ^ host.listing("before")

    # Deployed; and once more, which changes nothing.
    assert told["deploy"] == "0", story
    for step in ("check", "folders", "install", "schedule", "start", "verify"):
        assert f"\n{step} " in "\n" + host.said("deploy"), story
    assert "mcp-init uninstall" in host.said("deploy"), story
    assert told["again"] == "0 same", story
    # It has the environment of its file, and not that of whoever typed.
    assert "token is from the file" in host.said("surroundings"), story
    states = {service["serverId"]: service["status"] for service in json.loads(host.said("status"))["services"]}
    assert states == {"pets": "running", "surroundings": "running"}, story
    assert told["strange"] == "1", story

    # The next boot.
    assert told["booted"] == "0" and told["restarted"] == "0" and told["recovered"] == "0", story
    assert told["uninstall"] == "0" and told["gone"] == "4" and told["purge"] == "0", story
    kept = host.listing("kept") - host.listing("before")
    stray = [path for path in kept if not path.startswith(("/var/lib/mcp-init", "/var/log/mcp-init"))]
    assert kept and not stray, f"{stray}\n{story}"
    left = host.listing("after") ^ host.listing("before")
    assert not left, left
    assert host.said("left").strip() == "0", story
