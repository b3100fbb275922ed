"""Clients nobody here wrote list the tools and call one, on every transport and in every era that they speak."""

import asyncio
import json
import os
import subprocess

import pytest
from conftest import HERE, MODULES, NODE
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client

TOOLS = ["listPets", "createPet", "getPet", "updatePet", "deletePet", "placeOrder", "getOrder", "getInventory"]
MODERN = "2026-07-28"


@pytest.fixture(params=["streamable", "stdio"])
def target(request, pets, pets_command):
    """Where a client finds the server: `{"url"}` or `{"command"}`."""
    return {"url": pets.endpoint} if request.param == "streamable" else {"command": pets_command}


@pytest.fixture
def sse(talks):
    """Where a client finds the server of HTTP+SSE."""
    return {"url": talks["sse"], "transport": "sse"}


def judge(tools, result):
    """What every client must have seen."""
    assert [tool["name"] for tool in tools] == TOOLS
    get_pet = next(tool for tool in tools if tool["name"] == "getPet")
    assert get_pet["inputSchema"]["type"] == "object"
    assert get_pet["inputSchema"]["required"] == ["petId"]
    assert get_pet["description"]
    assert not result.get("isError"), result
    assert result["structuredContent"]["name"] == "Minka", result
    text = "".join(part.get("text", "") for part in result["content"])
    assert "mock" in text.lower(), f"it must say that the answer is a mock's: {text}"


def printed(command, **more):
    """What a command printed, as JSON."""
    environment = {**os.environ, "PATH": f"{MODULES / '.bin'}:{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def script(name, **asked):
    return printed([NODE, HERE / name, json.dumps(asked)])


async def ask_python(server, mode):
    async with Client(server, mode=mode) as client:
        tools = await client.list_tools()
        result = await client.call_tool("getPet", {"petId": 1})
        return tools.model_dump(by_alias=True)["tools"], result.model_dump(by_alias=True, exclude_none=True)


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
def test_python_mcp(target, mode):
    command = target.get("command")
    server = StdioServerParameters(command=command[0], args=command[1:]) if command else target["url"]
    judge(*asyncio.run(asyncio.wait_for(ask_python(server, mode), 60)))


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
def test_python_mcp_over_sse(sse, mode):
    judge(*asyncio.run(asyncio.wait_for(ask_python(sse_client(sse["url"]), mode), 60)))


def test_typescript_sdk_1(target):
    said = script("sdk1.mjs", **target, tool="getPet", arguments={"petId": 1})
    judge(said["tools"], said["result"])


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_typescript_sdk_1_over(transport, talks):
    said = script("sdk1.mjs", url=talks[transport], transport=transport, tool="getPet", arguments={"petId": 1})
    judge(said["tools"], said["result"])


@pytest.mark.parametrize("era", ["legacy", "auto", MODERN])
def test_typescript_client_2(target, era):
    said = script("client2.mjs", **target, era=era, tool="getPet", arguments={"petId": 1})
    judge(said["tools"], said["result"])
    assert (said["version"] == MODERN) == (era != "legacy"), said["version"]


@pytest.mark.parametrize("era", ["legacy", "auto", MODERN])
def test_typescript_client_2_over_sse(sse, era):
    said = script("client2.mjs", **sse, era=era, tool="getPet", arguments={"petId": 1})
    judge(said["tools"], said["result"])
    assert (said["version"] == MODERN) == (era != "legacy"), said["version"]


def test_typescript_client_2_without_a_hint(sse):
    """A client that is not told of the older way finds it when the newer one is refused."""
    said = script("client2.mjs", **sse, falls_back=True, era="legacy", tool="getPet", arguments={"petId": 1})
    judge(said["tools"], said["result"])


def test_inspector_over_sse(sse):
    def inspector(*words):
        return printed([NODE, MODULES / ".bin/mcp-inspector", "--cli", "--server-url", sse["url"], "--transport", "sse", *words])

    tools = inspector("--method", "tools/list")["tools"]
    result = inspector("--method", "tools/call", "--tool-name", "getPet", "--tool-arg", "petId=1")
    judge(tools, result)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_inspector(target, era):
    where = ["--server-url", target["url"], "--transport", "http"] if "url" in target else target["command"]

    def inspector(*words):
        # Options of the inspector stand before the command it starts, which keeps its own behind `--`.
        options = ["--protocol-era", era, *words]
        line = [*options, *where] if "url" in target else [*options, "--", *where]
        return printed([NODE, MODULES / ".bin/mcp-inspector", "--cli", *line])

    tools = inspector("--method", "tools/list")["tools"]
    result = inspector("--method", "tools/call", "--tool-name", "getPet", "--tool-arg", "petId=1")
    judge(tools, result)
