"""Clients that start a command for each server, and `mcp-init attach` as that command."""

import asyncio
import contextlib
import json
import subprocess

import pytest
from conftest import MODULES, NODE, PETS
from mcp import StdioServerParameters
from test_matrix import MODERN, ask_python, judge, printed, script
from test_sandbox import INIT, PATIENCE_S, eventually


@contextlib.contextmanager
def supervised(folder):
    """A supervisor with one server that starts on demand; the command that a client starts."""
    (folder / "services.d").mkdir()
    (folder / "mcp-init.json").write_text(json.dumps({"runtimeDir": "run", "stateDir": "state", "logDir": "log"}))
    server = {"transport": "stdio", "openApiData": str(PETS), "baseUrl": "mock"}
    (folder / "services.d/pets.json").write_text(json.dumps({"mcpConfig": server, "start": "on-demand"}))
    init = subprocess.Popen([INIT, "-c", folder, "run"], stdin=subprocess.DEVNULL)
    try:
        eventually("it listens", (folder / "run/pets.sock").exists)
        yield [str(INIT), "-c", str(folder), "attach", "pets"]
    finally:
        init.terminate()
        assert init.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    if not INIT.exists():
        pytest.exit(f"no {INIT}: make build", returncode=1)
    with supervised(tmp_path_factory.mktemp("attach")) as words:
        yield words


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
def test_python_mcp(command, mode):
    server = StdioServerParameters(command=command[0], args=command[1:])
    judge(*asyncio.run(asyncio.wait_for(ask_python(server, mode), 60)))


def test_typescript_sdk_1(command):
    said = script("sdk1.mjs", command=command, tool="getPet", arguments={"petId": 1})
    judge(said["tools"], said["result"])


@pytest.mark.parametrize("era", ["legacy", "auto", MODERN])
def test_typescript_client_2(command, era):
    said = script("client2.mjs", command=command, era=era, tool="getPet", arguments={"petId": 1})
    judge(said["tools"], said["result"])


def test_inspector(command):
    def inspector(*words):
        return printed([NODE, MODULES / ".bin/mcp-inspector", "--cli", *words, "--", *command])

    tools = inspector("--method", "tools/list")["tools"]
    result = inspector("--method", "tools/call", "--tool-name", "getPet", "--tool-arg", "petId=1")
    judge(tools, result)
