"""A real server of the npm registry, served over HTTP as a daemon, is updated by its cycle with the real npm, and then
rolled back from a version that cannot start. No client is refused meanwhile."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parents[2]
INIT = pathlib.Path(os.environ.get("MCP_INIT", ROOT / "target/release/mcp-init"))
RUNNER = pathlib.Path(os.environ.get("MCP_RUNNER", ROOT / "target/release/mcp-runner"))
# Node 22 from npm: the machine's own may be older than the server asks for.
BIN = ROOT / "tests/clients/node_modules/.bin"
PACKAGE = "@upstash/context7-mcp"
BROKEN = "99.0.0"

CHECK = f"if [ -e broken.tgz ]; then echo {BROKEN}; else npm view {PACKAGE} version; fi"
PUT = (
    f'if [ "$1" = {BROKEN} ]; then npm install --no-audit --no-fund ./broken.tgz; '
    f'else npm install --no-audit --no-fund --save-exact "{PACKAGE}@$1"; fi'
)


def npm(folder, *words):
    done = subprocess.run(["npm", *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def broken_version(folder):
    """A package of the same name and a higher version, whose program ends at once."""
    package = folder / "broken"
    package.mkdir()
    about = {"name": PACKAGE, "version": BROKEN, "bin": {"context7-mcp": "index.js"}}
    (package / "package.json").write_text(json.dumps(about))
    (package / "index.js").write_text("#!/usr/bin/env node\nconsole.error('this version cannot start');process.exit(1);\n")
    (package / "index.js").chmod(0o755)
    made = npm(package, "pack", "--silent").strip()
    (package / made).rename(folder / "broken.tgz")


class Clients(threading.Thread):
    """Clients that connect and say hello, one after the other, until they are told to stop."""

    def __init__(self, port):
        super().__init__()
        self.port, self.answered, self.refused, self.other, self.stop = port, 0, 0, [], threading.Event()

    def run(self):
        hello = {
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
        }
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        while not self.stop.is_set():
            url = f"http://127.0.0.1:{self.port}/mcp"
            request = urllib.request.Request(url, json.dumps(hello).encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self.answered += b"context7" in answer.read().lower()
            except Exception as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ConnectionRefusedError):
                    self.refused += 1
                else:
                    self.other.append(repr(error))
            time.sleep(0.05)


def wait(what, seconds, is_so):
    until = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return found


@pytest.mark.wide
def test_a_server_of_npm_is_updated_and_rolled_back_and_no_client_is_refused(tmp_path):
    versions = json.loads(npm(tmp_path, "view", PACKAGE, "versions", "--json"))
    newest = npm(tmp_path, "view", PACKAGE, "version").strip()
    old = versions[versions.index(newest) - 1]
    app = tmp_path / "app"
    app.mkdir()
    (app / "package.json").write_text("{}")
    npm(app, "install", "--no-audit", "--no-fund", "--save-exact", f"{PACKAGE}@{old}")

    port = free_port()
    # A service gets what it declares: here also what this machine needs to reach the registry.
    needed = ("npm_", "node_", "ssl_", "http_proxy", "https_proxy", "no_proxy")
    variables = {name: value for name, value in os.environ.items() if name.lower().startswith(needed)}
    variables["PATH"] = f"{BIN}:{os.environ['PATH']}"
    (tmp_path / "services.d").mkdir()
    (tmp_path / "services.d/context7.json").write_text(json.dumps({
        "mcpConfig": {"port": port, "command": [str(app / "node_modules/.bin/context7-mcp")]},
        "cwd": str(app), "env": variables, "processTimeout": "60s",
        "healthCheck": {"type": "mcp", "interval": "2s", "timeout": "10s"},
        "update": {
            "check": ["sh", "-c", CHECK],
            "current": ["node", "-p", f"require('./node_modules/{PACKAGE}/package.json').version"],
            "apply": ["sh", "-c", f'set -- "$MCP_INIT_UPDATE_TO"; {PUT}'],
            "rollback": ["sh", "-c", f'set -- "$MCP_INIT_UPDATE_FROM"; {PUT}'],
            "probation": "5s",
        },
    }))
    (tmp_path / "mcp-init.json").write_text(json.dumps(
        {"runtimeDir": "run", "stateDir": "state", "logDir": "log", "runner": str(RUNNER)}))

    def cli(*words):
        return subprocess.run([INIT, "-c", tmp_path, *words], capture_output=True, text=True, timeout=600)

    with open(tmp_path / "stderr", "w") as said:
        supervisor = subprocess.Popen([INIT, "-c", tmp_path, "run"], stdin=subprocess.DEVNULL, stderr=said)
    clients = Clients(port)
    try:
        wait("it is up", 60, lambda: cli("health").returncode == 0)
        clients.start()
        wait("clients are answered", 60, lambda: clients.answered > 5)
        assert cli("update", "context7", "--check").stdout == f"context7: {old} is installed, {newest} is the newest\n"

        done = cli("update", "context7")
        assert done.stdout == f"context7: updated from {old} to {newest}\n", done.stderr
        answered = clients.answered
        wait("the new version answers", 60, lambda: clients.answered > answered + 5)

        broken_version(app)
        done = cli("update", "context7")
        assert done.returncode == 1 and f"back to {newest}: {BROKEN} is no good" in done.stderr, done.stderr
        installed = json.loads((app / f"node_modules/{PACKAGE}/package.json").read_text())["version"]
        assert installed == newest
        answered = clients.answered
        wait("the old version answers again", 60, lambda: clients.answered > answered + 5)
        assert "is not tried again" in cli("update", "context7").stdout

        wait("all is written", 10, lambda: [line["event"] for line in lines(tmp_path / "state/updates.jsonl")] == [
            "update.checked",
            "update.checked", "update.started", "update.applied", "update.succeeded",
            "update.checked", "update.started", "update.applied", "update.failed", "update.rolled_back",
            "update.checked",
        ])
        alerts = [alert for alert in lines(tmp_path / "state/alerts.jsonl") if alert["kind"] == "update"]
        assert [alert["level"] for alert in alerts] == ["INFO", "ERROR"], alerts
        record = json.loads((tmp_path / "state/services/context7/update.json").read_text())
        assert record == {"version": newest, "pinned": [BROKEN]}
    finally:
        clients.stop.set()
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(30)
        if clients.is_alive():
            clients.join(70)
        print((tmp_path / "stderr").read_text())
    print(f"{old} to {newest} and back from {BROKEN}: {clients.answered} answered, {clients.refused} refused, other: {clients.other}")
    assert clients.refused == 0 and clients.answered > 20
