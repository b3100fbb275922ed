"""Servers from npm behind the bridge: real clients see what they would see without it."""

import asyncio
import os

import pytest
from conftest import MODULES, NODE, runner
from mcp import Client, StdioServerParameters
from test_matrix import MODERN, script

SCOPE = MODULES / "@modelcontextprotocol"


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
