"""What a call becomes on the wire, with GitHub's own document of 1,223 operations and with the small one."""

import asyncio
import json
import re
import time
from urllib.parse import parse_qsl, urlsplit

import pytest
from conftest import MODULES, PETS, runner
from mcp import Client

GITHUB = MODULES / "@octokit/openapi/generated/api.github.com.json"


def ask(endpoint, work):
    """Runs `work(client)` with a client of its own."""

    async def run():
        async with Client(endpoint) as client:
            return await work(client)

    return asyncio.run(asyncio.wait_for(run(), 120))


def call(endpoint, tool, arguments):
    async def work(client):
        return await client.call_tool(tool, arguments)

    return ask(endpoint, work).model_dump(by_alias=True, exclude_none=True)


def all_tools(endpoint):
    async def work(client):
        tools, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if not cursor:
                return tools

    return ask(endpoint, work)


def named(tools, operation_id):
    """The tool of an operation: its id, whatever was changed to make it a name."""
    plain = lambda text: re.sub("[^a-z0-9]", "", text.lower())
    return next(tool for tool in tools if plain(tool.name) == plain(operation_id))


@pytest.fixture(scope="module")
def github(tmp_path_factory, recorder):
    config = {
        "openApiData": str(GITHUB), "baseUrl": f"{recorder.url}/base", "tools": {"mode": "all"},
        "authConfig": {"type": "bearer", "token": "t0ken"},
        "customHeaders": {"X-GitHub-Api-Version": "2022-11-28", "User-Agent": "mcp-init-test"},
    }
    began = time.monotonic()
    with runner(tmp_path_factory.mktemp("github"), config) as running:
        running.ready_in = time.monotonic() - began
        running.tools = all_tools(running.endpoint)
        yield running


def test_github_is_served_whole(github):
    paths = json.loads(GITHUB.read_text())["paths"]
    methods = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
    operations = sum(len(methods & path.keys()) for path in paths.values())
    assert operations == 1223
    # A few cannot be called with JSON (a file to upload, plain text to render): each is left out with a reason.
    assert operations - 5 <= len(github.tools) <= operations, len(github.tools)
    names = [tool.name for tool in github.tools]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert github.ready_in < 30


def test_github_get_with_path_and_query(github, recorder):
    recorder.answer = (200, [{"number": 1, "title": "one"}])
    tool = named(github.tools, "issues/list-for-repo")
    result = call(github.endpoint, tool.name, {
        "owner": "octo cat/ä", "repo": "hello..world", "state": "open", "labels": "a,b&c", "per_page": 5,
    })
    assert not result.get("isError"), result
    seen = recorder.last()
    target = urlsplit(seen["target"])
    assert seen["method"] == "GET"
    assert target.path == "/base/repos/octo%20cat%2F%C3%A4/hello..world/issues"
    assert parse_qsl(target.query) and dict(parse_qsl(target.query)) == {"state": "open", "labels": "a,b&c", "per_page": "5"}
    assert seen["headers"]["authorization"] == "Bearer t0ken"
    assert seen["headers"]["x-github-api-version"] == "2022-11-28"
    assert seen["headers"]["user-agent"] == "mcp-init-test"
    assert seen["body"] == b""


def test_github_post_with_a_body(github, recorder):
    recorder.answer = (201, {"number": 7, "title": "Böse Überraschung"})
    tool = named(github.tools, "issues/create")
    body = {"title": "Böse Überraschung", "body": "line\nline", "labels": ["bug", "urgent"]}
    result = call(github.endpoint, tool.name, {"owner": "octocat", "repo": "hello", **body})
    assert result["structuredContent"]["number"] == 7, result
    seen = recorder.last()
    assert (seen["method"], seen["target"]) == ("POST", "/base/repos/octocat/hello/issues")
    assert seen["headers"]["content-type"].startswith("application/json")
    assert seen["headers"]["authorization"] == "Bearer t0ken"
    assert json.loads(seen["body"]) == body


def test_a_failed_call_says_why(github, recorder):
    recorder.answer = (404, {"message": "Not Found"})
    result = call(github.endpoint, named(github.tools, "repos/get").name, {"owner": "o", "repo": "r"})
    text = "".join(part.get("text", "") for part in result["content"])
    assert result["isError"] and "404" in text and "Not Found" in text, result


def test_arguments_that_do_not_fit_are_not_sent(github, recorder):
    before = len(recorder.requests)
    tool = named(github.tools, "issues/list-for-repo").name
    for arguments in [{"owner": "o"}, {"owner": "o", "repo": ".."}, {"owner": "o", "repo": "r", "state": "no such"}]:
        result = call(github.endpoint, tool, arguments)
        assert result["isError"], (arguments, result)
    assert len(recorder.requests) == before


@pytest.mark.parametrize(
    ("auth", "where", "value"),
    [
        ({"type": "bearer", "token": "abc"}, "authorization", "Bearer abc"),
        ({"type": "basic", "username": "u", "password": "p:w"}, "authorization", "Basic dTpwOnc="),
        ({"type": "apiKey", "in": "header", "name": "X-Key", "value": "k"}, "x-key", "k"),
        ({"type": "apiKey", "in": "query", "name": "key", "value": "k&1"}, "?", "key=k%261"),
        ({"type": "apiKey", "in": "cookie", "name": "sid", "value": "k"}, "cookie", "sid=k"),
    ],
)
def test_credentials_arrive(tmp_path, recorder, auth, where, value):
    recorder.answer = (200, {"id": 1, "name": "Minka", "species": "cat"})
    config = {"openApiData": str(PETS), "baseUrl": recorder.url, "authConfig": auth, "debugHeaders": True}
    with runner(tmp_path, config) as running:
        result = call(running.endpoint, "getPet", {"petId": 1})
        assert not result.get("isError"), result
    seen = recorder.last()
    shown = urlsplit(seen["target"]).query if where == "?" else seen["headers"][where]
    assert shown == value
    # debugHeaders shows which were sent, and no secret of them.
    log = (tmp_path / "stderr").read_text()
    secret = auth.get("token") or auth.get("password") or auth.get("value")
    assert where == "?" or where in log.lower(), log
    assert len(secret) < 3 or secret not in log, log


def test_header_parameter_and_array_in_the_query(tmp_path, recorder):
    with runner(tmp_path, {"openApiData": str(PETS), "baseUrl": f"{recorder.url}/v1/"}) as running:
        tools = all_tools(running.endpoint)
        recorder.answer = (201, {"id": 3, "name": "Rex", "species": "dog"})
        key = next(name for name in named(tools, "createPet").input_schema["properties"] if "dempotency" in name)
        call(running.endpoint, "createPet", {key: "once", "name": "Rex", "species": "dog", "tags": []})
        seen = recorder.last()
        assert (seen["method"], seen["target"]) == ("POST", "/v1/pets")
        assert seen["headers"]["idempotency-key"] == "once"
        assert json.loads(seen["body"]) == {"name": "Rex", "species": "dog", "tags": []}
        recorder.answer = (200, [])
        call(running.endpoint, "listPets", {"tags": ["a b", "c"], "limit": 2})
        assert parse_qsl(urlsplit(recorder.last()["target"]).query) == [("tags", "a b"), ("tags", "c"), ("limit", "2")]
        recorder.answer = (204, {})
        call(running.endpoint, "deletePet", {"petId": 9})
        assert (recorder.last()["method"], recorder.last()["target"]) == ("DELETE", "/v1/pets/9")
