"""What the tests of the runner share: a runner that says when it is ready, and an HTTP server that remembers."""

import contextlib
import http.server
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
PETS = ROOT / "etc/openapi/pets.json"
RUNNER = pathlib.Path(os.environ.get("MCP_RUNNER", ROOT / "target/release/mcp-runner"))
# Node 22 from npm: the machine's own may be older than some clients ask for.
NODE = MODULES / ".bin/node"


def pytest_configure(config):
    config.addinivalue_line("markers", "wide: takes minutes; run by make test-all")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("-m"):
        for item in items:
            if "wide" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="wide: make test-all runs it"))


@pytest.fixture(scope="session", autouse=True)
def what_is_needed():
    if not RUNNER.exists():
        pytest.exit(f"no {RUNNER}: make build", returncode=1)
    if not NODE.exists():
        pytest.exit(f"no {NODE}: make test installs it", returncode=1)


def free_port():
    """A port that nobody listens on, below those that the kernel gives to clients: nobody takes it meanwhile."""
    while True:
        port = random.randrange(10_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Runner:
    """A running mcp-runner; `endpoint` is what it said on its channel."""

    def __init__(self, process, endpoint, port):
        self.process, self.endpoint, self.port = process, endpoint, port


@contextlib.contextmanager
def runner(folder, config):
    """Starts a runner with `config` (`mcpConfig`) on a port of its own choice and waits for `server-started`."""
    file = pathlib.Path(folder) / "runner.json"
    file.write_text(json.dumps({"serverId": "test", "mcpConfig": {"port": 0, **config}}))
    ours, theirs = socket.socketpair()
    errors = open(pathlib.Path(folder) / "stderr", "w+")
    environment = {**os.environ, "MCP_INIT_CHANNEL_FD": str(theirs.fileno())}
    environment.pop("NODE_CHANNEL_FD", None)
    process = subprocess.Popen(
        [RUNNER, "--config-file", file],
        pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, stderr=errors,
    )
    theirs.close()
    try:
        ours.settimeout(60)
        line = ours.makefile("r").readline()
        message = json.loads(line) if line else {}
        if message.get("type") != "server-started":
            process.wait(60)
            errors.seek(0)
            pytest.fail(f"not started: {message or 'end of file'}\n{errors.read()}")
        yield Runner(process, message["endpoint"], message["port"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, "SIGTERM must end it with 0"
    finally:
        process.kill()
        process.wait()
        ours.close()


# The small document, answered by the mock, as a stdio server.
COMMAND = [str(RUNNER), "--transport", "stdio", "--openapi-data", str(PETS), "--base-url", "mock"]


@pytest.fixture(scope="session", params=["document", "bridge"])
def served(request):
    """The small document, answered by the mock: served, or by a stdio server that is bridged."""
    return {"openApiData": str(PETS), "baseUrl": "mock"} if request.param == "document" else {"command": COMMAND}


@pytest.fixture(scope="session")
def pets(tmp_path_factory, served):
    """It over HTTP."""
    with runner(tmp_path_factory.mktemp("pets"), served) as running:
        yield running


@pytest.fixture(scope="session")
def talks(tmp_path_factory, served):
    """It over the transports that keep a connection: `{name: endpoint}`."""
    with contextlib.ExitStack() as stack:
        start = lambda name: stack.enter_context(runner(tmp_path_factory.mktemp(name), {**served, "transport": name}))
        yield {name: start(name).endpoint for name in ("sse", "websocket")}


@pytest.fixture(scope="session")
def pets_command(served):
    """It over stdio: the command a client starts."""
    return [str(RUNNER), "--transport", "stdio", "--", *COMMAND] if "command" in served else COMMAND


class Recorder:
    """An HTTP server that remembers every request and answers with `answer` (status, object)."""

    def __init__(self):
        recorder = self
        self.requests = []
        self.answer = (200, {"ok": True})

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                recorder.requests.append({
                    "method": self.command, "target": self.path,
                    "headers": {name.lower(): value for name, value in self.headers.items()}, "body": body,
                })
                status, answer = recorder.answer
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def last(self):
        return self.requests[-1]


@pytest.fixture(scope="session")
def recorder():
    """An upstream that remembers."""
    it = Recorder()
    yield it
    it.server.shutdown()
