"""Arguments that mean no good. Whatever a model gives to a tool, what reaches the upstream is a request of that tool's
own operation: its method, its path with the same parts, no header nobody declared, one request for one call. And every
call is answered. `HOSTILE_EXAMPLES` says how many calls are tried (make test: 600; make test-all: 20,000)."""

import http.client
import json
import os
import re
import socket
import string
import subprocess
import threading
from urllib.parse import unquote

import pytest
from conftest import HERE, MODULES, ROOT, RUNNER, runner
from hypothesis import HealthCheck, configuration, given, settings
from hypothesis import strategies as st

configuration.set_hypothesis_home_dir(ROOT / ".cache/hypothesis")
DOCUMENT = HERE / "hostile.json"
GITHUB = MODULES / "@octokit/openapi/generated/api.github.com.json"
BASE = "/base/v1"
# What the runner itself says, and what the document declares.
OWN = {"host", "user-agent", "accept", "accept-encoding", "authorization", "content-type", "content-length", "cookie", "x-team"}
TARGET = re.compile(rb"[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+")
MANY = settings(
    max_examples=int(os.environ.get("HOSTILE_EXAMPLES", "600")), deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class Upstream:
    """A strict HTTP server: every byte that arrives belongs to a request, which it remembers as it came."""

    def __init__(self):
        self.requests, self.wrong = [], []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link):
        with link, link.makefile("rb") as file:
            while line := file.readline():
                head = []
                while (field := file.readline()) not in (b"\r\n", b""):
                    head.append(field)
                headers = [tuple(field.removesuffix(b"\r\n").split(b": ", 1)) for field in head]
                said = dict((pair[0].lower(), pair[-1]) for pair in headers)
                if b"transfer-encoding" in said or any(len(pair) != 2 or b"\r" in pair[1] for pair in headers):
                    self.wrong.append((line, head))
                    return
                body = file.read(int(said.get(b"content-length", b"0")))
                self.requests.append((line, [(name.decode("latin-1"), value) for name, value in headers], body))
                link.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")


class Caller:
    """Calls tools over one connection, and opens another when that was closed."""

    def __init__(self, port):
        self.port, self.link = port, None

    def call(self, tool, arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        body = json.dumps(message).encode()
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        for attempt in (0, 1):
            if self.link is None:
                self.link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                self.link.request("POST", "/mcp", body, headers)
                reply = self.link.getresponse()
                text = reply.read().decode()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # It may have been closed between two calls.
                self.link = None
                assert attempt == 0, "not answered"
        lines = [line[5:] for line in text.split("\n") if line.startswith("data:") and line[5:].strip()] or [text]
        answer = json.loads(lines[-1])
        assert reply.status < 500 and answer["id"] == 1 and ("result" in answer or "error" in answer), (reply.status, text)
        return answer


class Bench:
    """A document behind a runner, in front of the strict upstream."""

    def __init__(self, document, running, upstream):
        said = subprocess.run([RUNNER, "inspect", document, "--json"], capture_output=True, check=True).stdout
        self.operations = {tool["name"]: tool["operation"] for tool in json.loads(said)["tools"]}
        self.caller, self.upstream, self.running = Caller(running.port), upstream, running
        self.schemas = {}
        cursor = None
        link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        while True:
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": cursor} if cursor else {}}
            link.request("POST", "/mcp", json.dumps(message), {
                "content-type": "application/json", "accept": "application/json, text/event-stream"})
            page = json.loads(link.getresponse().read())["result"]
            self.schemas.update((tool["name"], tool["inputSchema"]) for tool in page["tools"])
            cursor = page.get("nextCursor")
            if not cursor:
                break
        self.document = json.loads(document.read_text())
        self.sent = 0

    def attack(self, tool, arguments):
        before = len(self.upstream.requests)
        self.caller.call(tool, arguments)
        assert self.running.process.poll() is None
        assert not self.upstream.wrong, (tool, arguments, self.upstream.wrong)
        new = self.upstream.requests[before:]
        assert len(new) <= 1, (tool, arguments, new)
        self.sent += len(new)
        for line, headers, body in new:
            try:
                self.judge(tool, line, headers, body)
            except AssertionError as error:
                raise AssertionError(f"{tool} {arguments!r} became {line!r} {headers!r} {body[:500]!r}: {error}") from error

    def judge(self, tool, line, headers, body):
        method, template = self.operations[tool].split(" ", 1)
        template = template.split("#")[0].split("?")[0]
        sent, target, version = line.split(b" ")
        assert (sent.decode(), version) == (method, b"HTTP/1.1\r\n"), "method or version"
        assert TARGET.fullmatch(target), "what no target holds"
        path, _, query = target.decode().partition("?")
        parts, meant = path.split("/"), (BASE + template).split("/")
        assert len(parts) == len(meant), "another path"
        for part, written in zip(parts, meant):
            pattern = "".join(".+" if piece.startswith("{") else re.escape(piece) for piece in re.split(r"(\{[^}]*\})", written))
            assert re.fullmatch(pattern, part), f"{part} is not {written}"
            while part != (part := unquote(part)):
                pass
            inner = re.split(r"[/\\]", part)
            assert not {".", ".."} & {one.split(";")[0] for one in inner} or "{" not in written, "it climbs"
        item = self.document["paths"][self.operations[tool].split(" ", 1)[1]]
        declared = [self.followed(one) for one in [*item.get("parameters", []), *item[method.lower()].get("parameters", [])]]
        named = {place: {one.get("name", "").lower() for one in declared if one.get("in") == place} for place in ("query", "header", "cookie")}
        if all(map(says_its_name, declared)):
            keys = {unquote(pair.split("=")[0]).split("[")[0].lower() for pair in query.split("&") if pair}
            assert keys <= named["query"], f"keys {keys}"
        self.judge_headers(headers, named, body)

    def followed(self, value):
        """A parameter that may be elsewhere in the document."""
        while "$ref" in value:
            target, value = value["$ref"].removeprefix("#/").split("/"), self.document
            for step in target:
                value = value[step]
        return value

    def judge_headers(self, headers, named, body):
        names = [name.lower() for name, _ in headers]
        assert len(set(names)) == len(names), "a header twice"
        assert set(names) <= OWN | named["header"], f"a header nobody declared: {names}"
        said = dict(zip(names, (value for _, value in headers)))
        assert said["host"] == f"127.0.0.1:{self.upstream.port}".encode()
        assert said["authorization"] == b"Bearer t0ken" and said["x-team"] == b"tools"
        assert int(said.get("content-length", 0)) == len(body)
        assert all(re.fullmatch(rb"[\t\x20-\x7e\x80-\xff]*", value) for value in said.values())
        for pair in said.get("cookie", b"").decode().split(";"):
            assert not pair or pair.split("=")[0].strip() in named["cookie"], f"cookie {pair}"
        if said.get("content-type", b"").startswith(b"multipart/"):
            boundary = re.search(rb'boundary="?([^";]+)', said["content-type"]).group(1)
            parts = body.split(b"--" + boundary)
            assert parts[0] == b"" and parts[-1].strip() == b"--"
            for part in parts[1:-1]:
                for field in part.split(b"\r\n\r\n")[0].strip().split(b"\r\n"):
                    assert re.match(rb"(?i)content-(disposition|type):", field), f"a part's header {field}"


def says_its_name(parameter):
    """Whether what a parameter becomes begins with its own name: an exploded object says those of its members."""
    style = parameter.get("style", "form")
    kind = parameter.get("schema", {}).get("type")
    plain = kind in ("string", "array", "integer", "boolean", "number") or "content" in parameter
    return parameter.get("in") != "query" or plain or style != "form" or not parameter.get("explode", True)


# What has led servers astray, alone and in pieces.
NASTY = [
    "..", ".", "../", "..\\", "%2e%2e", "%252e%252e%252f", "..;", "..%2f", "/", "//", "\\", "%2F", "%5c", "?", "#", "&", "=", ";", ",",
    ":", "@", "%", "%0d%0a", "\r\n", "\n", "\r", "\0", " ", "\t", "+", "\"", "'", "<", ">", "[", "]", "{", "}", "|", "^", "`", "$", "!",
    "\x7f", "\x85", "\u2028", "\u2025", "\uff0e\uff0e\uff0f", "é", "漢", "\U0001f600", "http://evil.example/", "@evil.example", "evil.example:80",
    "\r\nHost: evil.example", "\r\nX-Evil: 1\r\n\r\n", " HTTP/1.1\r\nHost: evil\r\n\r\nGET /", "{simple}", "%7Bid%7D", "null", "true", "-0",
    "1e999", "; sid=evil", "--", "\r\n--", "data:text/plain;base64,AAAA", "data:text/html;name=\"a\r\nX: y\",x", "file:///etc/passwd",
]
WORDS = st.one_of(
    st.lists(st.sampled_from(NASTY) | st.text(alphabet=string.ascii_letters, max_size=3), max_size=5).map("".join),
    st.text(max_size=12),
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6,
)
KINDS = {
    "string": WORDS, "array": st.lists(WORDS | ANY, max_size=3), "object": st.dictionaries(WORDS, WORDS | ANY, max_size=3),
    "integer": st.integers(-9, 9), "number": st.integers(-9, 9), "boolean": st.booleans(),
}


def attacks(schema):
    """Arguments for one tool: mostly such as its schema allows, with what is nasty in every place."""
    strategies = {}
    for name, member in schema.get("properties", {}).items():
        fitting = st.sampled_from(member["enum"]) if member.get("enum") else KINDS.get(member.get("type") if isinstance(member.get("type"), str) else None, ANY)
        strategies[name] = st.one_of(fitting, fitting, fitting, ANY)
    required = {name: strategies[name] for name in schema.get("required", []) if name in strategies}
    fitting = st.fixed_dictionaries(required, optional={name: one for name, one in strategies.items() if name not in required})
    return st.one_of(fitting, fitting, fitting, st.dictionaries(WORDS, ANY, max_size=3), ANY)


@pytest.fixture(scope="module")
def upstream():
    it = Upstream()
    yield it
    it.socket.close()


def served(folder, document, upstream):
    return runner(folder, {
        "openApiData": str(document), "baseUrl": f"http://127.0.0.1:{upstream.port}{BASE}", "tools": {"mode": "all"},
        "authConfig": {"type": "bearer", "token": "t0ken"}, "customHeaders": {"X-Team": "tools"},
    })


@pytest.fixture(scope="module")
def places(tmp_path_factory, upstream):
    """A document with every place an argument can go."""
    with served(tmp_path_factory.mktemp("places"), DOCUMENT, upstream) as running:
        yield Bench(DOCUMENT, running, upstream)


@pytest.fixture(scope="module")
def github(tmp_path_factory, upstream):
    """GitHub's own."""
    with served(tmp_path_factory.mktemp("github"), GITHUB, upstream) as running:
        yield Bench(GITHUB, running, upstream)


def test_no_argument_leaves_its_place(places):
    tried = [0]

    @MANY
    @given(st.data())
    def attack(data):
        tool = data.draw(st.sampled_from(sorted(places.operations)))
        places.attack(tool, data.draw(attacks(places.schemas[tool])))
        tried[0] += 1

    attack()
    # A test that is only ever refused shows nothing.
    assert places.sent > tried[0] / 5, (places.sent, tried)
    places.attack("simple", {"simple": "a", "other": "b"})


def test_no_argument_leaves_its_place_at_github(github):
    @MANY
    @given(st.data())
    def attack(data):
        tool = data.draw(st.sampled_from(sorted(github.operations)))
        github.attack(tool, data.draw(attacks(github.schemas[tool])))

    attack()
    assert github.sent > 50, github.sent


@pytest.mark.parametrize("arguments", [None, [], "x", 1, {"simple": "x" * 3_000_000, "other": "y"}, {"simple": [[[[]]]] * 1000}])
def test_what_is_no_arguments_at_all_is_answered(places, arguments):
    places.attack("simple", arguments)


def test_a_nest_too_deep_is_answered(places):
    text = '{"q":' * 5_000 + "1" + "}" * 5_000
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"simple","arguments":{text}}}}}'
    link = http.client.HTTPConnection("127.0.0.1", places.running.port, timeout=20)
    link.request("POST", "/mcp", body, {"content-type": "application/json", "accept": "application/json, text/event-stream"})
    assert link.getresponse().status < 500
    places.attack("simple", {"simple": "a", "other": "b"})
