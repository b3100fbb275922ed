"""Servers from npm behind the bridge: real clients see what they would see without it, twenty at once, while the
server is killed again and again."""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import time

import pytest
from conftest import MODULES, NODE, runner
from mcp import Client, StdioServerParameters
from test_matrix import MODERN, script

SCOPE = MODULES / "@modelcontextprotocol"
CLIENTS = 20
# What a client may be told while the server is dead. Anything else is a wrong answer.
EXCUSES = ["the server ended before it answered", "the server is down", "the server is being started"]


def commands(folder):
    """The servers, each with a call that needs no network."""
    return {
        "everything": ([str(NODE), str(SCOPE / "server-everything/dist/index.js")], "echo", {"message": "hello"}),
        "filesystem": ([str(NODE), str(SCOPE / "server-filesystem/dist/index.js"), str(folder)], "list_directory", {"path": str(folder)}),
        "memory": ([str(NODE), str(SCOPE / "server-memory/dist/index.js")], "read_graph", {}),
        "context7": ([str(NODE), str(MODULES / "@upstash/context7-mcp/dist/index.js")], None, {}),
    }


@pytest.fixture(scope="module", params=["everything", "filesystem", "memory", "context7"])
def bridged(request, tmp_path_factory):
    """A server, and the runner that bridges it."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "seen").mkdir()
    command, tool, arguments = commands(folder / "seen")[request.param]
    env = {"MEMORY_FILE_PATH": str(folder / "memory.json")}
    with runner(folder, {"command": command, "env": env}) as running:
        yield command, tool, arguments, running.endpoint


async def seen(target, mode, tool, arguments):
    """What the Python client sees of a server."""
    async with Client(target, mode=mode) as client:
        tools = (await client.list_tools()).model_dump(by_alias=True, exclude_none=True)["tools"]
        result = await client.call_tool(tool, arguments) if tool else None
        return tools, result and result.model_dump(by_alias=True, exclude_none=True)["content"]


@pytest.fixture(scope="module")
def plain(bridged):
    """What a client sees without the bridge."""
    command, tool, arguments, _ = bridged
    server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    return asyncio.run(asyncio.wait_for(seen(server, "legacy", tool, arguments), 60))


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
def test_python_mcp_sees_the_same(bridged, plain, mode):
    _, tool, arguments, url = bridged
    assert asyncio.run(asyncio.wait_for(seen(url, mode, tool, arguments), 60)) == plain


@pytest.mark.parametrize("client", ["sdk1", "legacy", "auto", MODERN])
def test_typescript_sees_the_same(bridged, plain, client):
    _, tool, arguments, url = bridged
    if tool is None:
        pytest.skip("its tools need a network")
    era = {} if client == "sdk1" else {"era": client}
    said = script("sdk1.mjs" if client == "sdk1" else "client2.mjs", url=url, tool=tool, arguments=arguments, **era)
    assert [one["name"] for one in said["tools"]] == [one["name"] for one in plain[0]]
    assert [one["inputSchema"] for one in said["tools"]] == [one["inputSchema"] for one in plain[0]]
    assert said["result"]["content"] == plain[1]


def descendants(pid):
    """All processes below one."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if stat[0] != "Z":
                parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


async def swarm(running, seconds, pause):
    """Twenty clients call while the server is killed every `pause` seconds."""
    until = time.monotonic() + seconds
    counts = {"answers": 0, "excuses": 0, "kills": 0, "longest": 0.0}

    async def one(number, mode):
        async with Client(running.endpoint, mode=mode) as client:
            asked = 0
            while time.monotonic() < until:
                asked += 1
                mine, began = f"{number}/{asked}", time.monotonic()
                try:
                    result = await asyncio.wait_for(client.call_tool("echo", {"message": mine}), 30)
                    assert result.content[0].text == f"Echo: {mine}", result
                    counts["answers"] += 1
                except Exception as error:
                    if not any(excuse in str(error) for excuse in EXCUSES):
                        raise
                    counts["excuses"] += 1
                counts["longest"] = max(counts["longest"], time.monotonic() - began)
                await asyncio.sleep(0.02)

    async def kill():
        while time.monotonic() + pause < until:
            await asyncio.sleep(pause)
            # The last of the chain is the server itself, the one before it the process that looks after it.
            for pid in descendants(running.process.pid)[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    counts["kills"] += 1

    modes = ["legacy", MODERN]
    await asyncio.gather(kill(), *(one(number, modes[number % 2]) for number in range(CLIENTS)))
    return counts


def storm(folder, seconds, pause):
    command, _, _ = commands(folder)["everything"]
    with runner(folder, {"command": command}) as running:
        counts = asyncio.run(asyncio.wait_for(swarm(running, seconds, pause), seconds + 60))
        below = descendants(running.process.pid)
    print(json.dumps(counts))
    assert counts["kills"] >= seconds / pause - 2, counts
    assert counts["answers"] > CLIENTS * seconds, counts
    # Each death answers at most what was in flight, and nobody waits for longer than the server takes to come back.
    assert counts["excuses"] <= counts["kills"] * CLIENTS * 2, counts
    assert not [pid for pid in below if pathlib.Path(f"/proc/{pid}").exists()], "processes are left"


def test_twenty_clients_while_the_server_dies(tmp_path):
    storm(tmp_path, 10, 3)


@pytest.mark.wide
def test_twenty_clients_for_five_minutes(tmp_path):
    storm(tmp_path, 300, 10)
