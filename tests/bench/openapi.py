#!/usr/bin/env python3
"""The runner beside FastMCP, @ivotoby/openapi-mcp-server and openapi-mcp-generator, in one run: the same documents (the
pet store, GitHub's) in front of the same upstream, which answers at once.

FastMCP and the runner are spoken to over streamable HTTP; openapi-mcp-server answers a POST elsewhere, and what
openapi-mcp-generator generates ends over its first request: these two over stdio, where 32 clients are 32 calls at a
time. The peers are installed in .cache/openapi-peers. Prints a table and the ratios; `--json` prints the figures."""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from bridge import memory, tree

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
MODULES = ROOT / "tests/clients/node_modules"
NODE = MODULES / ".bin/node"
RUNNER = os.environ.get("MCP_RUNNER", str(ROOT / "target/release/mcp-runner"))
PEERS = ROOT / ".cache/openapi-peers"
TOOLS = ROOT / ".cache/bench"
FASTMCP = "4.1.2"
NPM = [
    "@ivotoby/openapi-mcp-server@1.16.1", "openapi-mcp-generator@4.0.1", "@modelcontextprotocol/sdk@1.32.2", "axios@1.21.1",
    "dotenv@16.6.1", "zod@3.25.76", "json-schema-to-zod@2.8.1", "hono@4.13.19", "@hono/node-server@1.19.19", "uuid@11.1.1",
    "fetch-to-node@2.1.0", "typescript@5.9.3", "@types/node@22.20.5", "@types/uuid@10.0.0",
]
# The document, and the call that is made: its operation, its arguments.
DOCUMENTS = {
    "petstore": (MODULES / "@readme/oas-examples/3.0/json/petstore.json", "getPetById", {"petId": 1}),
    "github": (MODULES / "@octokit/openapi/generated/api.github.com.json", "repos/get",
               {"owner": "octocat", "repo": "hello"}),
}
# What the generator writes into what it generates, and what is replaced at each start.
WRITTEN_BASE = "http://127.0.0.1:39390"
# Those that are spoken to over stdin and stdout.
PIPED = {"openapi-mcp-server", "openapi-mcp-generator"}
READY_S = 180
REST_S = 3
# What takes longer is left out.
SUBJECT_S = 300


def run(words, **more):
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def install():
    """The peers and the two C programs, once."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    for name in ("upstream", "load"):
        run(["cc", "-O2", "-o", TOOLS / name, HERE / f"c/{name}.c"])
    PEERS.mkdir(parents=True, exist_ok=True)
    if not (PEERS / "fastmcp/bin/fastmcp").exists():
        run([sys.executable, "-m", "venv", PEERS / "fastmcp"])
        run([PEERS / "fastmcp/bin/pip", "install", "-q", f"fastmcp=={FASTMCP}"])
    if not (PEERS / "node_modules/fetch-to-node").exists():
        (PEERS / "package.json").write_text('{"private": true}\n')
        run(["npm", "install", "--save-exact", "--no-audit", "--no-fund", "--prefix", PEERS, *NPM])
    for name, (document, *_) in DOCUMENTS.items():
        generated = PEERS / f"gen-{name}"
        if not (generated / "build/index.js").exists():
            print(f"bench: openapi-mcp-generator generates {name}", file=sys.stderr)
            shutil.rmtree(generated, ignore_errors=True)
            run([NODE, PEERS / "node_modules/.bin/openapi-mcp-generator", "--input", document, "--output", generated,
                 "--base-url", WRITTEN_BASE])
            # It writes what it can, whatever it says of types.
            with contextlib.suppress(subprocess.CalledProcessError):
                run([NODE, PEERS / "node_modules/.bin/tsc"], cwd=generated)


def subjects(name, port, base, folder):
    """The commands, by what is measured."""
    document = DOCUMENTS[name][0]
    generated = PEERS / f"gen-{name}"

    def runner(mode):
        file = pathlib.Path(folder) / f"{mode}.json"
        file.write_text(json.dumps({"serverId": name, "mcpConfig": {
            "port": port, "openApiData": str(document), "baseUrl": base, "tools": {"mode": mode}, "cacheDir": str(folder)}}))
        return [RUNNER, "--config-file", file]

    def written():
        # A copy with this run's upstream.
        text = (generated / "build/index.js").read_text().replace(WRITTEN_BASE, base)
        shutil.copytree(generated / "build", generated / "bench", dirs_exist_ok=True)
        (generated / "bench/index.js").write_text(text)
        return [NODE, generated / "bench/index.js"]

    return {
        "mcp-runner": runner("all"),
        "FastMCP": [PEERS / "fastmcp/bin/python", HERE / "fastmcp_server.py", document, base, port],
        "openapi-mcp-server": [NODE, PEERS / "node_modules/.bin/openapi-mcp-server", "--transport", "stdio", "--api-base-url", base,
                               "--openapi-spec", document],
        "openapi-mcp-generator": written(),
    }


class Server:
    """A running server that is spoken to over HTTP."""

    def __init__(self, command, port):
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.port, began = port, time.monotonic()
        self.process = subprocess.Popen([str(word) for word in command], start_new_session=True, **quiet)
        while True:
            try:
                self.client = Client(port)
                break
            except (OSError, RuntimeError, ValueError, http.client.HTTPException):
                if self.process.poll() is not None or time.monotonic() - began > READY_S:
                    self.end()
                    raise
                time.sleep(0.001)
        self.ready_ms = (time.monotonic() - began) * 1000

    def call(self, tool, arguments):
        return self.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})

    def load(self, clients, tool, arguments, calls):
        """Nanoseconds of all calls together, how many failed, and those of each."""
        with tempfile.NamedTemporaryFile() as file:
            for _ in range(clients):
                request = Client(self.port).request(tool, arguments)
                file.write(b"%d\n%s" % (len(request), request))
            file.flush()
            command = [TOOLS / "load", str(self.port), str(calls), file.name]
            wall, failed, *times = map(int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())
        return wall, failed, times

    def end(self):
        for pid in [self.process.pid, *tree(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Piped(Server):
    """One that is spoken to over stdin and stdout."""

    def __init__(self, command, _port):
        began = time.monotonic()
        self.client = self
        self.process = subprocess.Popen([str(word) for word in command], start_new_session=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        who = {"name": "bench", "version": "1"}
        try:
            self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who})
        except BaseException:
            self.end()
            raise
        self.ready_ms = (time.monotonic() - began) * 1000
        self.say({"method": "notifications/initialized"})

    def say(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.say({"id": 1, "method": method, "params": params})
        return json.loads(self.process.stdout.readline())["result"]

    def call(self, tool, arguments):
        return json.dumps(self.ask("tools/call", {"name": tool, "arguments": arguments})).encode()

    def load(self, clients, tool, arguments, calls):
        params, began, times, failed, asked = {"name": tool, "arguments": arguments}, {}, [], 0, 0
        first = time.perf_counter_ns()
        while len(times) < calls:
            while asked < calls and asked - len(times) < clients:
                asked += 1
                began[asked] = time.perf_counter_ns()
                self.say({"id": asked, "method": "tools/call", "params": params})
            line = self.process.stdout.readline()
            times.append(time.perf_counter_ns() - began[json.loads(line)["id"]])
            failed += b"Minka" not in line
        return time.perf_counter_ns() - first, failed, times

    def tools(self):
        return Client.tools(self)


class Client:
    """A client, as far as is needed to learn what a call is."""

    def __init__(self, port):
        self.port = port
        self.headers = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json",
                        "Accept": "application/json, text/event-stream"}
        who = {"name": "bench", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who})
        self.headers["MCP-Protocol-Version"] = "2025-06-18"
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def post(self, message):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=READY_S)
        with contextlib.closing(link):
            link.request("POST", "/mcp", json.dumps(message), self.headers)
            reply = link.getresponse()
            body = reply.read()
            if reply.getheader("mcp-session-id"):
                self.headers["Mcp-Session-Id"] = reply.getheader("mcp-session-id")
            if reply.status >= 300:
                raise RuntimeError(f"{reply.status}: {body[:300]}")
            return body

    def ask(self, method, params):
        body = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).decode()
        lines = [line[5:] for line in body.splitlines() if line.startswith("data:") and line[5:].strip()] or [body]
        answer = json.loads(lines[-1])
        if "result" not in answer:
            raise RuntimeError(str(answer)[:300])
        return answer["result"]

    def tools(self):
        tools, params = [], {}
        while True:
            page = self.ask("tools/list", params)
            tools += page["tools"]
            if not page.get("nextCursor"):
                return tools
            params = {"cursor": page["nextCursor"]}

    def request(self, tool, arguments):
        """The bytes of a call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"POST /mcp HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def named(server, tools, operation, arguments):
    """The tool of the operation, whatever it is called: one that takes these arguments and answers as the upstream does."""
    plain = lambda text: re.sub("[^a-z0-9]", "", text.lower())
    exact = [tool["name"] for tool in tools if plain(tool["name"]) == plain(operation)]
    others = [tool["name"] for tool in tools if set(tool["inputSchema"].get("required", [])) == set(arguments) and "get" in tool["name"]]
    for name in exact + others[:50]:
        if b"Minka" in server.call(name, arguments):
            return name
    raise RuntimeError(f"no tool for {operation}")


def load(server, clients, tool, arguments, calls):
    """Calls per second, the median and 99th percentile in milliseconds, and the calls that failed."""
    wall, failed, times = server.load(clients, tool, arguments, calls)
    times.sort()
    return {"rate": len(times) * 1e9 / wall, "p50": times[len(times) // 2] / 1e6, "p99": times[len(times) * 99 // 100] / 1e6,
            "failed": failed}


def measure(document, name, port, base, folder, calls):
    """One subject with one document. A start is the median of three: each as if it were the first, then each with what
    the one before left behind, which is our catalogue and nothing of the others'."""
    _, operation, arguments = DOCUMENTS[document]
    first, again, kind = [], [], Piped if name in PIPED else Server
    for starts in [first, again]:
        for _ in range(3):
            if starts is first:
                for kept in pathlib.Path(folder).glob("catalogue-*"):
                    kept.unlink()
            server = kind(subjects(document, port, base, folder)[name], port)
            starts.append(server.ready_ms)
            if len(again) < 3:
                server.end()
    try:
        time.sleep(REST_S)
        idle = memory(tree(server.process.pid))[0]
        listed = server.client.tools()
        tool = named(server, listed, operation, arguments)
        one = load(server, 1, tool, arguments, calls // 5)
        many = load(server, 32, tool, arguments, calls)
        time.sleep(REST_S)
        busy = memory(tree(server.process.pid))[0]
    finally:
        server.end()
    return {"document": document, "name": name, "ready_ms": sorted(first)[1], "again_ms": sorted(again)[1], "idle_mb": idle, "busy_mb": busy, "one": one,
            "many": many, "tools": len(listed), "list_kb": len(json.dumps(listed, separators=(",", ":"))) / 1000}


def ratios(rows):
    """The best of the peers, as a multiple of ours."""
    ours, *peers = rows
    best = lambda of, pick: pick(of(row) for row in peers)
    return {
        "first start": best(lambda row: row["ready_ms"], min) / ours["ready_ms"],
        "start again": best(lambda row: row["again_ms"], min) / ours["again_ms"],
        "memory idle": best(lambda row: row["idle_mb"], min) / ours["idle_mb"],
        "memory after the calls": best(lambda row: row["busy_mb"], min) / ours["busy_mb"],
        "calls/s, 1 client": ours["one"]["rate"] / best(lambda row: row["one"]["rate"], max),
        "calls/s, 32 clients": ours["many"]["rate"] / best(lambda row: row["many"]["rate"], max),
    }


def show(rows, calls):
    print(f"| {rows[0]['document']} | ready | ready again | idle | after {calls} calls | 1 client: calls/s | p50 | p99 | 32 clients: calls/s | p50 "
          "| p99 | tools | list | failed |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        one, many = row["one"], row["many"]
        print(f"| {row['name']} | {row['ready_ms']:.0f} ms | {row['again_ms']:.0f} ms | {row['idle_mb']:.1f} MB | {row['busy_mb']:.1f} MB | {one['rate']:.0f} "
              f"| {one['p50']:.2f} ms | {one['p99']:.2f} ms | {many['rate']:.0f} | {many['p50']:.2f} ms | {many['p99']:.2f} ms "
              f"| {row['tools']} | {row['list_kb']:.0f} kB | {one['failed'] + many['failed']} |")
    if len(rows) > 1:
        print("\nbetter than the best of them: " + ", ".join(f"{what} {ratio:.1f} times" for what, ratio in ratios(rows).items()) + "\n")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the figures")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--document", choices=DOCUMENTS)
    parser.add_argument("--only", help="one subject")
    asked = parser.parse_args()
    install()

    def late(*_):
        raise TimeoutError(f"not done in {SUBJECT_S} s")

    signal.signal(signal.SIGALRM, late)
    port, upstream_port = free_port(), free_port()
    upstream = subprocess.Popen([TOOLS / "upstream", str(upstream_port)])
    everything = []
    try:
        for document in [asked.document] if asked.document else DOCUMENTS:
            with tempfile.TemporaryDirectory() as folder:
                base, rows = f"http://127.0.0.1:{upstream_port}", []
                for name in subjects(document, port, base, folder):
                    if asked.only in (None, name):
                        print(f"bench: {name}, {document}", file=sys.stderr)
                        try:
                            signal.alarm(SUBJECT_S)
                            rows.append(measure(document, name, port, base, folder, asked.calls))
                        except (OSError, RuntimeError, ValueError, TimeoutError, http.client.HTTPException) as problem:
                            print(f"bench: {name} is left out: {problem}", file=sys.stderr)
                        finally:
                            signal.alarm(0)
                everything += rows
                if not asked.json:
                    show(rows, asked.calls)
    finally:
        upstream.kill()
        upstream.wait()
    if asked.json:
        print(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
