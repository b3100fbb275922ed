"""What `metrics` prints, read by those it is for: the OpenMetrics parser of Prometheus' own client library, and, where
there is time, promtool, a Prometheus that scrapes it, and the textfile collector of node_exporter."""

import contextlib
import http.server
import json
import os
import pathlib
import random
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

ROOT = pathlib.Path(__file__).resolve().parents[2]
INIT = os.environ.get("MCP_INIT", str(ROOT / "target/release/mcp-init"))
RUNNER = os.environ.get("MCP_RUNNER", str(ROOT / "target/release/mcp-runner"))
BIN = ROOT / ".cache/metrics/usr/bin"
REVISION = "2026-07-28"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# All that an operator was promised to see of a service, and of the supervisor.
OF_SERVICE = ("state health uptime_seconds restarts memory_bytes cpu_ratio requests errors response_time_seconds log_bytes "
              "dropped_lines ignored_messages recovery_attempts needs_intervention enabled memory_pressure_ratio").split()
OF_SUPERVISOR = ("supervisor uptime_seconds degraded scribe_up reaped orphans turns dropped_events dropped_commands "
                 "suppressed_alerts").split()


def free_port():
    """A port that nobody listens on, below those that the kernel gives to clients: nobody takes it meanwhile."""
    while True:
        port = random.randrange(10_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def until(what, is_so, bound=60):
    """Waits for a condition."""
    end = time.monotonic() + bound
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if value := is_so():
                return value
        time.sleep(0.05)
    pytest.fail(f"not within {bound} s: {what}")


@contextlib.contextmanager
def process(*words, **options):
    """A process that ends with the test."""
    child = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(20)


def call(port, tool, arguments):
    """Calls a tool of a server."""
    about = {"protocolVersion": REVISION, "clientCapabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    about = {f"io.modelcontextprotocol/{name}": value for name, value in about.items()}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments, "_meta": about}}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
               "MCP-Protocol-Version": REVISION, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    url = f"http://127.0.0.1:{port}/mcp"
    request = urllib.request.Request(url, method="POST", data=json.dumps(body).encode(), headers=headers)
    urllib.request.urlopen(request, timeout=10).read()


@pytest.fixture(scope="module")
def mcp_init(tmp_path_factory):
    """Types a command line to a supervisor of a server that has answered, a service that failed, and one that runs."""
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "services.d").mkdir()
    port = free_port()
    services = {
        "pets": {"mcpConfig": {"port": port, "openApiData": str(ROOT / "etc/openapi/pets.json"), "baseUrl": "mock"},
                 "healthCheck": {"type": "channel", "interval": "200ms"}},
        "loud": {"command": ["/bin/sh", "-c", "echo something; exec sleep 1000"]},
        "bad": {"command": ["/bin/false"], "restartPolicy": {"maxRetries": 2, "retryDelay": "20ms"}},
    }
    for name, service in services.items():
        (folder / f"services.d/{name}.json").write_text(json.dumps(service))
    settings = {"runtimeDir": "run", "stateDir": "state", "logDir": "log", "runner": RUNNER}
    (folder / "mcp-init.json").write_text(json.dumps(settings))

    def typed(*words, ok=True):
        done = subprocess.run([INIT, "-c", folder, *words], capture_output=True, text=True, timeout=30)
        assert not ok or done.returncode == 0, done.stderr
        return done

    with process(INIT, "-c", folder, "run"):
        def is_settled():
            known = {service["serverId"]: service for service in json.loads(typed("status", "--json").stdout)["services"]}
            return known["bad"]["status"] == "error" and known["pets"]["healthStatus"] == "healthy"
        until("all is as it should be", lambda: typed("status", ok=False).returncode == 0)
        until("all is as it should be", is_settled)
        call(port, "getPet", {"petId": 1})
        yield typed


def samples(families):
    """Every figure, by its name and labels."""
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families for sample in family.samples}


def of(found, name, **labels):
    return found[f"mcp_init_{name}", tuple(sorted(labels.items()))]


def test_it_is_openmetrics_and_says_what_status_says(mcp_init):
    def is_counted():
        found = samples(read_openmetrics(mcp_init("metrics").stdout))
        return found.get(("mcp_init_service_requests_total", (("service", "pets"),)), 0) >= 1
    until("the request is counted", is_counted)
    text = mcp_init("metrics").stdout
    assert text.endswith("\n# EOF\n")
    families = list(read_openmetrics(text))
    names = {family.name for family in families}
    wanted = {f"mcp_init_service_{name}" for name in OF_SERVICE} | {f"mcp_init_{name}" for name in OF_SUPERVISOR}
    assert names == wanted, names ^ wanted
    found = samples(families)
    status = json.loads(mcp_init("status", "--json").stdout)
    for service in status["services"]:
        name = service["serverId"]
        for state in ("starting", "running", "stopping", "stopped", "listening", "backoff", "error"):
            value = of(found, "service_state", service=name, mcp_init_service_state=state)
            assert value == (service["status"] == state), (name, state)
        assert of(found, "service_restarts_total", service=name) == service["restartCount"]
    assert of(found, "service_restarts_total", service="bad") == 2
    assert of(found, "service_health", service="pets", mcp_init_service_health="healthy") == 1
    assert of(found, "service_memory_bytes", service="pets") > 100_000
    assert of(found, "service_uptime_seconds", service="loud") > 0
    # A time, as the log has it, and the line itself.
    assert of(found, "service_log_bytes", service="loud") > len("something\n")
    assert of(found, "turns_total") > 0 and of(found, "reaped_total") >= 3 and of(found, "scribe_up") == 1


def test_a_file_is_written_whole_and_in_the_collectors_language(mcp_init, tmp_path):
    file = tmp_path / "mcp-init.prom"
    mcp_init("metrics", "--output", str(file))
    assert file.stat().st_mode & 0o777 == 0o644
    seen, over = [], threading.Event()

    def read():
        while not over.is_set():
            seen.append(file.read_text())
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        mcp_init("metrics", "--output", str(file))
    over.set()
    reader.join()
    assert os.listdir(tmp_path) == ["mcp-init.prom"]
    last = "mcp_init_service_ignored_messages_total{service=\"pets\"} 0\n"
    assert all(last in text for text in seen)
    text = file.read_text()
    assert "# EOF" not in text and "# UNIT" not in text
    assert samples(read_prometheus(text))["mcp_init_service_restarts_total", (("service", "bad"),)] == 2
    assert mcp_init("metrics", "--format", "xml", ok=False).returncode == 64
    missing = tmp_path / "nowhere" / "x.prom"
    refused = mcp_init("metrics", "--output", str(missing), ok=False)
    assert (refused.returncode, refused.stderr) == (1, f"mcp-init: cannot write {missing}: No such file or directory\n")
    assert not missing.parent.exists()


@pytest.mark.wide
def test_promtool_has_nothing_to_say(mcp_init):
    text = mcp_init("metrics", "--format", "prometheus").stdout
    done = subprocess.run([BIN / "promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.wide
def test_a_prometheus_scrapes_it(mcp_init, tmp_path):
    class Figures(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = mcp_init("metrics").stdout.encode()
            self.send_response(200)
            self.send_header("Content-Type", OPENMETRICS)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Figures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": [
        {"job_name": "mcp", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}]}
    (tmp_path / "prometheus.yml").write_text(json.dumps(settings))
    port = free_port()
    words = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}"]

    def ask(query):
        url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
        answer = json.load(urllib.request.urlopen(url, timeout=5))
        return [(result["metric"], float(result["value"][1])) for result in answer["data"]["result"]]

    with process(BIN / "prometheus", *words):
        up = until("it was scraped", lambda: [value for _, value in ask("up") if value == 1], 60)
        assert up == [1]
        [(metric, value)] = ask('mcp_init_service_state{mcp_init_service_state="error"} == 1')
        assert (metric["service"], value) == ("bad", 1)
        assert ask('mcp_init_service_restarts_total{service="bad"}')[0][1] == 2
        assert ask("mcp_init_supervisor_info")[0][1] == 1
        kinds = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/metadata", timeout=5))["data"]
        assert kinds["mcp_init_service_state"][0]["type"] == "stateset", kinds
        assert kinds["mcp_init_service_memory_bytes"][0] == {
            "type": "gauge", "help": "Resident memory.", "unit": "bytes"}
    server.shutdown()


@pytest.mark.wide
def test_node_exporter_collects_the_file(mcp_init, tmp_path):
    mcp_init("metrics", "--output", str(tmp_path / "mcp-init.prom"))
    port = free_port()
    words = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={tmp_path}",
             f"--web.listen-address=127.0.0.1:{port}"]
    with process(BIN / "prometheus-node-exporter", *words):
        url = f"http://127.0.0.1:{port}/metrics"
        text = until("it answers", lambda: urllib.request.urlopen(url, timeout=5).read().decode())
    assert "node_textfile_scrape_error 0" in text
    assert 'mcp_init_service_restarts_total{service="bad"} 2' in text and "# TYPE mcp_init_turns_total counter" in text
