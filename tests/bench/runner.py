"""The runner's own rows: how soon one server is ready, and what it weighs when nobody calls."""

import contextlib
import http.client
import json
import os
import signal
import socket
import time
from pathlib import Path

import report
import world

STARTS = 7
CHANNEL = 9
READY_S = 10
# What only the start needed is given back a second after it.
IDLE_AFTER_S = 2.5

# The small document that `make run` serves, too.
DOCUMENT = str(Path(__file__).resolve().parents[2] / "etc/openapi/pets.json")
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}

ROWS = [
    report.Row("runner", "runner, exec to ready", "runner_ready", "ms"),
    report.Row("runner", "runner, exec to first answer", "runner_answer", "ms"),
    report.Row("runner", "runner, idle private", "runner_private", "KiB"),
    report.Row("runner", "runner, idle PSS", "runner_pss", "KiB"),
]
AIMS = {"runner_ready": 20, "runner_private": 3072}


class Runner:
    """The name under which its samples are kept."""

    name = "mcp-runner"


def free_port():
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(channel, begun):
    """Milliseconds to `server-started` on the channel; raises Late for anything else."""
    heard = b""
    channel.settimeout(READY_S)
    while b'"server-started"' not in heard:
        try:
            part = channel.recv(65536)
        except TimeoutError:
            part = b""
        if not part or b'"server-error"' in heard:
            raise world.Late(f"the runner did not start: {heard.decode(errors='replace').strip()[:200] or 'silence'}")
        heard += part
    return (world.now_ns() - begun) / 1e6


def answer(port, begun):
    """Milliseconds to the answer to `initialize`."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
    with contextlib.closing(link):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        link.request("POST", "/mcp", json.dumps(INITIALIZE), headers)
        reply = link.getresponse()
        if reply.status != 200 or b'"result"' not in reply.read(65536):
            raise world.Late(f"the runner answered initialize with {reply.status}")
    return (world.now_ns() - begun) / 1e6


def one_life(program, base, sheet, weigh):
    """Starts it once; weighs it, after it has served a client and rested, if asked to."""
    port = free_port()
    mcp = {"transport": "streamable", "port": port, "openApiData": DOCUMENT, "baseUrl": "mock", "tools": {"mode": "all"}}
    file = base / "runner.json"
    file.write_text(json.dumps({"serverId": "bench", "mcpConfig": mcp}), encoding="utf-8")
    ours, theirs = socket.socketpair()
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "MCP_INIT_CHANNEL_FD": str(CHANNEL)}
    with ours:
        begun = world.now_ns()
        with theirs:
            pid = world.spawn([program, "--config-file", file], env, base / "runner.out", [(theirs.fileno(), CHANNEL)])
        sheet.add("runner_ready", Runner, started(ours, begun))
        sheet.add("runner_answer", Runner, answer(port, begun))
        if weigh:
            time.sleep(IDLE_AFTER_S)
            private, proportional = world.memory_kib([pid])
            sheet.add("runner_private", Runner, private)
            sheet.add("runner_pss", Runner, proportional)
        os.kill(pid, signal.SIGTERM)
        world.wait_empty(READY_S)


def measure(program, base, sheet, rounds):
    """A few short lives, the first of each round with a look at its memory."""
    program = Path(program).resolve()
    if not program.is_file():
        sheet.note(Runner, f"not measured: no {program}")
        return
    try:
        for life in range(max(STARTS, rounds)):
            one_life(program, base, sheet, life < rounds)
    except (world.Late, OSError, http.client.HTTPException) as problem:
        sheet.note(Runner, str(problem))
    finally:
        world.kill_tree()


def lines(sheet):
    """What the table has no column for."""
    words = []
    for row in ROWS:
        for value in row.values(sheet).values():
            aim = f" (aim: at most {report.number(AIMS[row.measure])})" if row.measure in AIMS else ""
            words.append(f"{row.label:<{report.LABEL + 3}}{report.number(value):>8} {row.unit}{aim}")
    return words and ["", *words]
