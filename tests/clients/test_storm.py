"""Twenty clients at each of four servers from npm, behind the bridge, while the servers are killed again and again: every
answer is the one to its question, nobody is left waiting, and nothing is left running."""

import asyncio
import concurrent.futures
import contextlib
import http.server
import json
import multiprocessing
import os
import pathlib
import signal
import threading
import time
import urllib.parse
import uuid

import pytest
from conftest import runner
from mcp import Client
from mcp.client.sse import sse_client
from test_bridge import commands
from test_matrix import MODERN

CLIENTS = 20
PATIENCE_S = 30
# Things a server can be asked for.
THINGS = 50
# What a client may be told while the server is dead. Anything else is a wrong answer.
EXCUSES = ["the server ended before it answered", "the server is down", "the server is being started"]


class Docs(http.server.BaseHTTPRequestHandler):
    """What context7 asks for documentation: the answer says what was asked."""

    def do_GET(self):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        body = f"docs of {asked['query'][0]} end".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def prepared(name, folder):
    """What a server needs: its environment; and its question: what is asked, and what must be in the answer."""
    seen = folder / "seen"
    seen.mkdir()
    for number in range(THINGS):
        (seen / f"{number}.txt").write_text(f"text of {number} end")
    memory = folder / "memory.json"
    memory.write_text("".join(
        json.dumps({"type": "entity", "name": f"n{number}", "entityType": "thing", "observations": [f"text of {number} end"]}) + "\n"
        for number in range(THINGS)
    ))
    docs = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Docs)
    docs.daemon_threads = True
    threading.Thread(target=docs.serve_forever, daemon=True).start()
    questions = {
        "everything": lambda mine, _: ("echo", {"message": mine}, f"Echo: {mine}"),
        "filesystem": lambda _, thing: ("read_text_file", {"path": str(seen / f"{thing}.txt")}, f"text of {thing} end"),
        "memory": lambda _, thing: ("open_nodes", {"names": [f"n{thing}"]}, f"text of {thing} end"),
        "context7": lambda mine, _: ("query-docs", {"libraryId": "/storm/docs", "query": mine}, f"docs of {mine} end"),
    }
    env = {"MEMORY_FILE_PATH": str(memory), "CONTEXT7_API_URL": f"http://127.0.0.1:{docs.server_address[1]}"}
    try:
        yield env, questions[name]
    finally:
        docs.shutdown()


def descendants(pid):
    """All processes below one, those nearest to it first."""
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


def marked(mark):
    """All processes, wherever they went, that were started with a mark in their environment."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def private_kb(pids):
    """Private memory of some processes."""
    lines = []
    for pid in pids:
        with contextlib.suppress(OSError):
            lines += pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


async def swarm(running, transport, question, seconds, pause, rest):
    """Twenty clients call, while the server is killed every `pause` seconds and its warden with it every third time."""
    counts = {"answers": 0, "excuses": 0, "kills": 0, "own_kb": 0}
    times = []
    # They come one by one, since a client takes its time to get ready, and begin together.
    door, begin, until = asyncio.Lock(), asyncio.Barrier(CLIENTS + 1), None

    async def one(number, mode):
        async with contextlib.AsyncExitStack() as stack:
            async with door:
                target = sse_client(running.endpoint) if transport == "sse" else running.endpoint
                client = await stack.enter_async_context(Client(target, mode=mode))
            await begin.wait()
            tools, asked = None, 0
            while time.monotonic() < until:
                asked += 1
                mine, began = f"question-{number}-{asked}", time.monotonic()
                tool, arguments, expected = question(mine, (number + asked) % THINGS)
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        result = await client.call_tool(tool, arguments)
                        listed = [one.name for one in (await client.list_tools()).tools] if asked % 10 == 1 else tools
                except TimeoutError:
                    raise AssertionError(f"{mine}: no answer in {PATIENCE_S} s") from None
                except Exception as error:
                    if not any(excuse in str(error) for excuse in EXCUSES):
                        raise
                    counts["excuses"] += 1
                else:
                    texts = [part.text for part in result.content]
                    assert not result.is_error and any(expected in text for text in texts), (mine, result)
                    assert listed and tools in (None, listed), (tools, listed)
                    tools = listed
                    counts["answers"] += 1
                times.append(time.monotonic() - began)
                await asyncio.sleep(rest)

    async def kill():
        nonlocal until
        while begin.n_waiting < CLIENTS:
            await asyncio.sleep(0.01)
        until = time.monotonic() + seconds
        await begin.wait()
        while time.monotonic() + pause < until:
            await asyncio.sleep(pause)
            # First the process that looks after the server, then the server and what it started.
            while len(below := descendants(running.process.pid)) < 2:
                await asyncio.sleep(0.01)
            counts["own_kb"] = private_kb([running.process.pid, below[0]])
            for pid in below if counts["kills"] % 3 == 2 else below[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            counts["kills"] += 1

    modes = ["legacy", MODERN]
    await asyncio.gather(kill(), *(one(number, modes[number % 2]) for number in range(CLIENTS)))
    times.sort()
    spread = {"p50_ms": times[len(times) // 2], "p99_ms": times[len(times) * 99 // 100], "longest_ms": times[-1]}
    return counts | {name: round(time * 1000, 1) for name, time in spread.items()}


def storm(name, transport, folder, seconds, pause, rest):
    folder = folder / name
    folder.mkdir()
    mark = f"MCP_STORM_{uuid.uuid4().hex}"
    with prepared(name, folder) as (env, question):
        config = {"command": commands(folder / "seen")[name][0], "env": {**env, mark: "1"}, "transport": transport}
        with runner(folder, config) as running:
            counts = asyncio.run(asyncio.wait_for(swarm(running, transport, question, seconds, pause, rest), seconds + 4 * PATIENCE_S))
            below = descendants(running.process.pid)
            assert len(marked(mark)) >= 1, "the mark must be seen for its absence to mean anything"
        left = [pid for pid in below if pathlib.Path(f"/proc/{pid}").exists()] + marked(mark)
    print(json.dumps({"server": name, "transport": transport, **counts}), flush=True)
    assert counts["kills"] >= seconds // pause - 2, counts
    # However busy the machine is.
    assert counts["answers"] > CLIENTS * seconds / 4, counts
    # Each death answers at most what was in flight, and what came before the next life.
    assert counts["excuses"] <= counts["kills"] * CLIENTS * 2, counts
    assert not left, f"processes are left: {left}"


def test_twenty_clients_while_the_server_dies(tmp_path):
    storm("everything", "streamable", tmp_path, 10, 3, 0.02)


@pytest.mark.wide
@pytest.mark.parametrize("transport", ["streamable", "sse"])
def test_twenty_clients_for_five_minutes(tmp_path, transport):
    """At all four servers side by side."""
    seconds = int(os.environ.get("MCP_TEST_STORM", 300))
    names = list(commands(tmp_path))
    spawn = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(len(names), mp_context=spawn) as pool:
        storms = [pool.submit(storm, name, transport, tmp_path, seconds, 10, 0.5) for name in names]
        for ended in storms:
            ended.result()
