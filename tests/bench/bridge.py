#!/usr/bin/env python3
"""The bridge beside supergateway and mcp-proxy, in one run: the same stdio server (server-everything) behind each.

Needs what tests/install.sh installs; mcp-proxy gets an environment of its own in .cache, since it wants another
version of `mcp` than the tests do. Prints a table; `--json` prints the figures."""

import argparse
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = ROOT / "tests/clients/node_modules"
NODE = MODULES / ".bin/node"
SERVER = [str(NODE), str(MODULES / "@modelcontextprotocol/server-everything/dist/index.js")]
RUNNER = os.environ.get("MCP_RUNNER", str(ROOT / "target/release/mcp-runner"))
PROXY = ROOT / ".cache/mcp-proxy"
VERSION = "0.13.0"
CLIENTS = 20


def subjects(port):
    """What is measured: the command, and whether it starts a server for each session."""
    server = " ".join(SERVER)
    gateway = [str(NODE), str(MODULES / "supergateway/dist/index.js"), "--stdio", server, "--port", str(port),
               "--outputTransport", "streamableHttp", "--logLevel", "none"]
    return {
        "mcp-runner": [RUNNER, "--port", str(port), "--", *SERVER],
        "mcp-runner, per session": [RUNNER, "--port", str(port), "--mode", "per-session", "--max-sessions", "64", "--", *SERVER],
        "mcp-proxy": [str(PROXY / "bin/mcp-proxy"), "--port", str(port), "--", *SERVER],
        "supergateway, stateful": [*gateway, "--stateful"],
        "supergateway": gateway,
    }


class Client:
    """One session over one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        who = {"name": "bench", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who})
        self.headers["mcp-protocol-version"] = "2025-06-18"
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def post(self, message):
        self.connection.request("POST", "/mcp", json.dumps(message), self.headers)
        reply = self.connection.getresponse()
        body = reply.read().decode()
        session = reply.getheader("mcp-session-id")
        if session:
            self.headers["mcp-session-id"] = session
        if reply.status >= 300:
            raise RuntimeError(f"{reply.status}: {body}")
        return body

    def ask(self, method, params):
        body = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        lines = [line[5:] for line in body.splitlines() if line.startswith("data:")] or [body]
        messages = [json.loads(line) for line in lines if line.strip()]
        return next(message for message in messages if "result" in message)["result"]

    def call(self, text):
        result = self.ask("tools/call", {"name": "echo", "arguments": {"message": text}})
        assert result["content"][0]["text"] == f"Echo: {text}", result


def tree(pid):
    """A process and all below it."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
        except (OSError, ValueError):
            pass
    found, todo = [pid], [pid]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


def memory(pids):
    """Private memory in MB: of what bridges, and of the servers behind it."""
    own = servers = 0
    for pid in pids:
        try:
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            argv = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
        is_server = any(b"server-everything" in word for word in argv[1:2])
        servers, own = (servers + private, own) if is_server else (servers, own + private)
    return own / 1024, servers / 1024


def timed(client, calls):
    """The times of calls, in milliseconds, sorted."""
    times = []
    for number in range(calls):
        began = time.perf_counter()
        client.call(str(number))
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def measure(name, command, port, calls):
    """One subject, from its start to its end."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    try:
        while True:
            try:
                client = Client(port)
                client.call("ready")
                break
            except (OSError, RuntimeError, http.client.HTTPException):
                if process.poll() is not None or time.monotonic() - began > 60:
                    raise
                time.sleep(0.02)
        ready = (time.monotonic() - began) * 1000
        slow = name == "supergateway"
        times = timed(client, calls // 20 if slow else calls)
        time.sleep(3)
        idle = memory(tree(process.pid))
        others = [Client(port) for _ in range(CLIENTS)]
        share = max(1, (calls // 40 if slow else calls) // CLIENTS)
        failed = []

        def work(other):
            try:
                timed(other, share)
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(other,)) for other in others]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = share * (CLIENTS - len(failed)) / (time.monotonic() - began)
        time.sleep(3)
        pids = tree(process.pid)
        busy = memory(pids)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        time.sleep(1)
        left = [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]
    finally:
        for pid in [process.pid, *tree(process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()
    return {
        "name": name, "ready_ms": ready, "p50_ms": times[len(times) // 2], "p99_ms": times[len(times) * 99 // 100],
        "calls_per_second": rate, "idle_mb": idle[0], "busy_mb": busy[0], "servers_mb": busy[1],
        "processes": len(pids), "left": len(left), "failed": len(failed),
    }


def install():
    """mcp-proxy, once."""
    if not (PROXY / "bin/mcp-proxy").exists():
        venv.create(PROXY, with_pip=True)
        subprocess.run([PROXY / "bin/pip", "install", "-q", f"mcp-proxy=={VERSION}"], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the figures")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--only", help="one subject")
    asked = parser.parse_args()
    install()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    rows = []
    for name, command in subjects(port).items():
        if asked.only in (None, name):
            print(f"bench: {name}", file=sys.stderr)
            rows.append(measure(name, command, port, asked.calls))
    if asked.json:
        return print(json.dumps(rows, indent=1))
    print(f"| server-everything behind | ready | p50 | p99 | calls/s, {CLIENTS} clients | own memory idle | after "
          f"{CLIENTS} sessions | servers' memory | processes | left behind | clients that failed |\n|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("| {name} | {ready_ms:.0f} ms | {p50_ms:.2f} ms | {p99_ms:.2f} ms | {calls_per_second:.0f} | {idle_mb:.1f} MB "
              "| {busy_mb:.1f} MB | {servers_mb:.0f} MB | {processes} | {left} | {failed} |".format(**row))


if __name__ == "__main__":
    main()
