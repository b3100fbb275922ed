"""Servers from npm that nobody here wrote, each under `"sandbox": "strict"` with the paths and the port it needs."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time

import pytest
from conftest import HERE, MODULES, NODE, ROOT, free_port

INIT = pathlib.Path(os.environ.get("MCP_INIT", ROOT / "target/release/mcp-init"))
EVERYTHING = MODULES / "@modelcontextprotocol/server-everything/dist/index.js"
FILESYSTEM = MODULES / "@modelcontextprotocol/server-filesystem/dist/index.js"
PATIENCE_S = 90


@pytest.fixture(scope="module", autouse=True)
def namespaces():
    if not INIT.exists():
        pytest.exit(f"no {INIT}: make build", returncode=1)
    kinds = ["--mount", "--pid", "--fork"] if os.geteuid() == 0 else ["--user", "--mount"]
    if subprocess.run(["unshare", *kinds, "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespaces")


def eventually(what, look):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {PATIENCE_S} s: {what}")


@contextlib.contextmanager
def supervised(folder, service):
    """A supervisor with one service, `it`; what `status --json` says of it."""
    (folder / "services.d").mkdir()
    (folder / "mcp-init.json").write_text(json.dumps({"runtimeDir": "run", "stateDir": "state", "logDir": "log"}))
    (folder / "services.d/it.json").write_text(json.dumps(service))
    init = subprocess.Popen([INIT, "-c", folder, "run"], stdin=subprocess.DEVNULL)

    def status():
        done = subprocess.run([INIT, "-c", folder, "status", "--json"], capture_output=True, text=True)
        return json.loads(done.stdout)["services"][0] if done.stdout else None

    try:
        eventually("it has started", lambda: (status() or {}).get("status") in ("running", "stopped"))
        said = status()
        assert (said["sandbox"], said["sandboxLacks"]) == ("strict", []), said
        yield status
    finally:
        init.terminate()
        assert init.wait(PATIENCE_S) == 0


def ask(target, tool, arguments):
    asked = json.dumps({**target, "tool": tool, "arguments": arguments})
    done = subprocess.run([NODE, HERE / "sdk1.mjs", asked], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_everything(tmp_path):
    """It listens by itself, and its client is outside."""
    port = free_port()
    service = {
        "command": [str(NODE.resolve()), str(EVERYTHING), "streamableHttp"],
        "env": {"PORT": str(port)},
        "sandbox": {"readable": [str(MODULES)], "ports": [port]},
    }
    with supervised(tmp_path, service) as status:
        eventually("it listens", lambda: listens(port))
        said = ask({"url": f"http://127.0.0.1:{port}/mcp"}, "echo", {"message": "from behind the walls"})
        assert "from behind the walls" in json.dumps(said["result"]), said["result"]
        assert {"echo", "get-sum"} <= {tool["name"] for tool in said["tools"]}
        assert status()["restartCount"] == 0


def test_filesystem(tmp_path):
    """It speaks on its own input and output, so its client is with it behind the walls. It may write to one
    folder, and is told that it may to another one too: that is not so."""
    data, secret, code = tmp_path / "data", tmp_path / "secret", HERE
    for folder in (data, secret):
        folder.mkdir()
    (secret / "word").write_text("MARMALADE")
    (data / "given").write_text("what was there")
    server = [str(NODE.resolve()), str(FILESYSTEM), str(data), str(tmp_path)]
    calls = {
        "write": ("write_file", {"path": str(data / "note"), "content": "a note"}),
        "read": ("read_text_file", {"path": str(data / "given")}),
        "peep": ("read_text_file", {"path": str(secret / "word")}),
        "plant": ("write_file", {"path": str(tmp_path / "planted"), "content": "x"}),
    }
    lines = []
    for name, (tool, arguments) in calls.items():
        asked = json.dumps({"command": server, "tool": tool, "arguments": arguments})
        out = data / name
        lines.append(f"({NODE.resolve()} {HERE / 'sdk1.mjs'} '{asked}' >{out}.part; mv {out}.part {out}.out) &")
    service = {
        "command": ["/bin/sh", "-c", "\n".join(lines) + "\nwait; exec sleep 1000"],
        "sandbox": {"readable": [str(code)], "writable": [str(data)]},
    }
    with supervised(tmp_path, service):
        eventually("everything was asked", lambda: all((data / f"{name}.out").exists() for name in calls))
    said = {name: json.loads((data / f"{name}.out").read_text())["result"] for name in calls}
    assert not said["write"].get("isError") and (data / "note").read_text() == "a note", said
    assert "what was there" in json.dumps(said["read"]) and not said["read"].get("isError"), said
    assert said["peep"]["isError"] and "MARMALADE" not in json.dumps(said["peep"]), said
    # Below /tmp it has made its like in a /tmp of its own.
    assert not (tmp_path / "planted").exists(), said


def test_filesystem_behind_the_bridge(tmp_path):
    """Clients are outside, the runner and the server it bridges are behind the walls, and so is all that they write."""
    data, secret = tmp_path / "data", tmp_path / "secret"
    for folder in (data, secret):
        folder.mkdir()
    (secret / "word").write_text("MARMALADE")
    port = free_port()
    service = {
        "mcpConfig": {"port": port, "command": [str(NODE.resolve()), str(FILESYSTEM), str(data), str(tmp_path)]},
        "sandbox": {"profile": "strict", "readable": [str(MODULES)], "writable": [str(data)]},
    }
    with supervised(tmp_path, service) as status:
        target = {"url": f"http://127.0.0.1:{port}/mcp"}
        said = ask(target, "write_file", {"path": str(data / "note"), "content": "a note"})
        assert not said["result"].get("isError") and (data / "note").read_text() == "a note", said["result"]
        said = ask(target, "read_text_file", {"path": str(secret / "word")})
        assert said["result"]["isError"] and "MARMALADE" not in json.dumps(said["result"]), said["result"]
        said = ask(target, "write_file", {"path": str(tmp_path / "planted"), "content": "x"})
        assert not (tmp_path / "planted").exists(), said["result"]
        assert status()["restartCount"] == 0
