#!/usr/bin/env python3
"""The bridge beside supergateway and mcp-proxy, in one run: the same stdio server behind each, each of four in turn. At
the end of each, twenty clients ask for a while, and the server is killed every ten seconds.

Needs what tests/install.sh installs; mcp-proxy gets an environment of its own in .cache, since it wants another
version of `mcp` than the tests do. Prints tables; `--json` prints the figures."""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = ROOT / "tests/clients/node_modules"
NODE = MODULES / ".bin/node"
RUNNER = os.environ.get("MCP_RUNNER", str(ROOT / "target/release/mcp-runner"))
PROXY = ROOT / ".cache/mcp-proxy"
VERSION = "0.13.0"
CLIENTS = 20
# How often a server is killed, and how long a client waits for an answer that does not come.
KILL_EVERY_S = 10
HUNG_S = 30


class Docs(http.server.BaseHTTPRequestHandler):
    """What context7 asks for documentation: the answer says what was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Bridged:
    """A server from npm: how it is started, what it is asked, and what must be in the answer to `text`."""

    def __init__(self, script, words, tool, arguments, expected):
        self.script, self.tool, self.arguments, self.expected = script, tool, arguments, expected
        self.command = [*words[:-1], str(NODE), str(MODULES / script), *words[-1]]


def servers(folder, docs):
    """The four."""
    (folder / "seen").mkdir()
    (folder / "seen/one.txt").write_text("one file")
    memory = folder / "memory.json"
    memory.write_text(json.dumps({"type": "entity", "name": "n", "entityType": "thing", "observations": ["one thing"]}) + "\n")
    scope = "@modelcontextprotocol"
    return {
        "everything": Bridged(f"{scope}/server-everything/dist/index.js", [[]], "echo", lambda text: {"message": text},
                              lambda text: f"Echo: {text}"),
        "filesystem": Bridged(f"{scope}/server-filesystem/dist/index.js", [[str(folder / "seen")]], "read_text_file",
                              lambda _: {"path": str(folder / "seen/one.txt")}, lambda _: "one file"),
        "memory": Bridged(f"{scope}/server-memory/dist/index.js", ["/usr/bin/env", f"MEMORY_FILE_PATH={memory}", []], "open_nodes",
                          lambda _: {"names": ["n"]}, lambda _: "one thing"),
        "context7": Bridged("@upstash/context7-mcp/dist/index.js", ["/usr/bin/env", f"CONTEXT7_API_URL={docs}", []], "query-docs",
                            lambda text: {"libraryId": "/bench/docs", "query": text}, lambda text: text),
    }


def subjects(bridged, port):
    """What is measured: the command, and whether it starts a server for each session."""
    server = " ".join(bridged.command)
    gateway = [str(NODE), str(MODULES / "supergateway/dist/index.js"), "--stdio", server, "--port", str(port),
               "--outputTransport", "streamableHttp", "--logLevel", "none"]
    return {
        "mcp-runner": [RUNNER, "--port", str(port), "--", *bridged.command],
        "mcp-runner, per session": [RUNNER, "--port", str(port), "--mode", "per-session", "--max-sessions", "64", "--", *bridged.command],
        "mcp-proxy": [str(PROXY / "bin/mcp-proxy"), "--port", str(port), "--", *bridged.command],
        "supergateway, stateful": [*gateway, "--stateful"],
        "supergateway": gateway,
    }


class Refused(RuntimeError):
    """An answer that is an error. The session goes on."""


class Client:
    """One session over one connection."""

    def __init__(self, port, bridged, patience=60):
        self.bridged = bridged
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
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
        for message in messages:
            if "result" in message:
                return message["result"]
        raise Refused(body)

    def call(self, text):
        result = self.ask("tools/call", {"name": self.bridged.tool, "arguments": self.bridged.arguments(text)})
        assert self.bridged.expected(text) in result["content"][0]["text"], result

    def close(self):
        """Ends the session, if it is one."""
        self.connection.close()
        if "mcp-session-id" in self.headers:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.connection.request("DELETE", "/mcp", headers=self.headers)
                self.connection.getresponse().read()
                self.connection.close()


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


def is_server(pid, script):
    """Whether a process is a server, not what bridges it."""
    with contextlib.suppress(OSError):
        return any(script.encode() in word for word in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2])
    return False


def memory(pids, script=""):
    """Private memory in MB: of what bridges, and of the servers behind it."""
    own = servers = 0
    for pid in pids:
        try:
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
        behind = script and is_server(pid, script)
        servers, own = (servers + private, own) if behind else (servers, own + private)
    return own / 1024, servers / 1024


def timed(client, calls):
    """The times of calls, in milliseconds, sorted."""
    times = []
    for number in range(calls):
        began = time.perf_counter()
        client.call(str(number))
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def storm(process, port, bridged, seconds):
    """What twenty clients see while the server is killed again and again. Who is refused comes again."""
    seen, lock = {"answers": 0, "refused": 0, "hung": 0, "wrong": 0, "kills": 0, "recovered": False}, threading.Lock()
    until = time.monotonic() + seconds

    def saw(what):
        with lock:
            seen[what] += 1

    def work(number):
        client, asked = None, 0
        while time.monotonic() < until:
            asked += 1
            try:
                client = client or Client(port, bridged, HUNG_S)
                client.call(f"{number}-{asked}")
                saw("answers")
            except TimeoutError:
                saw("hung")
                client = client and client.close()
            except AssertionError:
                saw("wrong")
            except Refused:
                saw("refused")
            except (OSError, RuntimeError, ValueError, http.client.HTTPException):
                saw("refused")
                client = client and client.close()
            time.sleep(0.05)
        if client:
            client.close()

    def kill():
        while time.monotonic() + KILL_EVERY_S < until:
            time.sleep(KILL_EVERY_S)
            for pid in tree(process.pid):
                if is_server(pid, bridged.script):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            saw("kills")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)] + [threading.Thread(target=kill)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with contextlib.suppress(OSError, RuntimeError, ValueError, AssertionError, http.client.HTTPException):
        Client(port, bridged, HUNG_S).call("after the storm")
        seen["recovered"] = True
    return seen


def measure(bridged, name, command, port, calls, seconds):
    """One subject, from its start to its end."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    try:
        while True:
            try:
                client = Client(port, bridged)
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
        idle = memory(tree(process.pid), bridged.script)
        others = [Client(port, bridged) for _ in range(CLIENTS)]
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
        busy = memory(pids, bridged.script)
        for one in [client, *others]:
            one.close()
        seen = storm(process, port, bridged, seconds) if seconds else None
        last = tree(process.pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        time.sleep(1)
        left = [pid for pid in {*pids, *last} if pathlib.Path(f"/proc/{pid}").exists()]
    finally:
        for pid in [process.pid, *tree(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
    return {
        "name": name, "ready_ms": ready, "p50_ms": times[len(times) // 2], "p99_ms": times[len(times) * 99 // 100],
        "calls_per_second": rate, "idle_mb": idle[0], "busy_mb": busy[0], "servers_mb": busy[1],
        "processes": len(pids), "left": len(left), "failed": len(failed), "storm": seen,
    }


def install():
    """mcp-proxy, once."""
    if not (PROXY / "bin/mcp-proxy").exists():
        venv.create(PROXY, with_pip=True)
        subprocess.run([PROXY / "bin/pip", "install", "-q", f"mcp-proxy=={VERSION}"], check=True)


def show(server, rows):
    print(f"\n| {server} behind | ready | p50 | p99 | calls/s, {CLIENTS} clients | own memory idle | after {CLIENTS} sessions "
          "| servers' memory | processes | left behind | clients that failed |\n|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("| {name} | {ready_ms:.0f} ms | {p50_ms:.2f} ms | {p99_ms:.2f} ms | {calls_per_second:.0f} | {idle_mb:.1f} MB "
              "| {busy_mb:.1f} MB | {servers_mb:.0f} MB | {processes} | {left} | {failed} |".format(**row))
    if rows and rows[0]["storm"]:
        print(f"\n| {server}, killed every {KILL_EVERY_S} s, behind | answers | refused | no answer in {HUNG_S} s | wrong | answers "
              "afterwards |\n|---|---|---|---|---|---|")
        for row in rows:
            seen = row["storm"]
            print(f"| {row['name']} | {seen['answers']} | {seen['refused']} | {seen['hung']} | {seen['wrong']} "
                  f"| {'yes' if seen['recovered'] else 'no'} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the figures")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--storm", type=int, default=60, help="seconds of it; 0: none")
    parser.add_argument("--server", help="one server")
    parser.add_argument("--only", help="one subject")
    asked = parser.parse_args()
    install()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    docs = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Docs)
    docs.daemon_threads = True
    # Who asked may be killed.
    docs.handle_error = lambda *_: None
    threading.Thread(target=docs.serve_forever, daemon=True).start()
    everything = {}
    with tempfile.TemporaryDirectory() as folder:
        for server, bridged in servers(pathlib.Path(folder), f"http://127.0.0.1:{docs.server_address[1]}").items():
            if asked.server not in (None, server):
                continue
            rows = []
            for name, command in subjects(bridged, port).items():
                if asked.only in (None, name):
                    print(f"bench: {name}, {server}", file=sys.stderr)
                    rows.append(measure(bridged, name, command, port, asked.calls, asked.storm))
            everything[server] = rows
            if not asked.json:
                show(server, rows)
    if asked.json:
        print(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
