"""A document's own words under clients nobody here wrote: what they are told at once, what they list, what they read,
and that they are told when it changes."""

import asyncio
import json
import os

import pytest
from conftest import MODULES, NODE, PETS, runner
from mcp import Client
from mcp.client.sse import sse_client
from test_matrix import MODERN, printed, script

ABOUT = "openapi://about"


def document(description):
    """The small document with words of its own, and a tag that no URL holds as it is."""
    plain = json.loads(PETS.read_text())
    plain["paths"]["/pets"]["get"]["tags"] = ["Pets & Ünïcorns/all"]
    plain["paths"]["/pets"]["post"]["tags"] = ["writing"]
    return {**plain, "info": {**plain["info"], "description": description}}


@pytest.fixture(scope="module")
def worded(tmp_path_factory):
    with runner(tmp_path_factory.mktemp("worded"), {
        "openApiData": document("Everything about pets."), "baseUrl": "mock", "resources": True,
    }) as running:
        yield running


def judge(listed, read):
    """What every client must have seen."""
    uris = [resource["uri"] for resource in listed]
    assert uris[0] == ABOUT and all(uri.startswith("openapi://tags/") for uri in uris[1:]) and len(uris) > 1, uris
    assert all(resource["mimeType"] == "text/markdown" and resource["title"] for resource in listed)
    (content,) = read["contents"]
    assert content["uri"] == ABOUT and "Everything about pets." in content["text"], content


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
def test_python_mcp(worded, mode):
    async def ask():
        async with Client(worded.endpoint, mode=mode) as client:
            listed = (await client.list_resources()).model_dump(by_alias=True, mode="json")["resources"]
            for resource in listed:
                read = await client.read_resource(resource["uri"])
                assert read.contents[0].text.startswith("# "), resource
            judge(listed, (await client.read_resource(ABOUT)).model_dump(by_alias=True, mode="json"))
            # Who names the era asks nobody what the server is.
            if mode != MODERN:
                assert client.instructions.startswith("Everything about pets."), client.instructions

    asyncio.run(asyncio.wait_for(ask(), 60))


def test_typescript_sdk_1(worded):
    said = script("sdk1.mjs", url=worded.endpoint, tool="getPet", arguments={"petId": 1}, resource=ABOUT)
    judge(said["resources"], said["read"])


@pytest.mark.parametrize("era", ["legacy", "auto", MODERN])
def test_typescript_client_2(worded, era):
    said = script("client2.mjs", url=worded.endpoint, era=era, tool="getPet", arguments={"petId": 1}, resource=ABOUT)
    judge(said["resources"], said["read"])


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_inspector(worded, era):
    def inspector(*words):
        where = ["--server-url", worded.endpoint, "--transport", "http"]
        return printed([NODE, MODULES / ".bin/mcp-inspector", "--cli", "--protocol-era", era, *words, *where])

    judge(inspector("--method", "resources/list")["resources"], inspector("--method", "resources/read", "--uri", ABOUT))


@pytest.mark.parametrize("transport", ["streamable", "sse"])
def test_clients_are_told_of_a_change(tmp_path, transport):
    path = tmp_path / "pets.json"
    path.write_text(json.dumps(document("Before.")))
    config = {"openApiData": str(path), "baseUrl": "mock", "transport": transport, "reloadInterval": "100ms", "resources": True}

    def change():
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(document("After.")))
        os.replace(beside, path)

    async def modern(endpoint):
        async with Client(endpoint) as client, client.listen(resources_list_changed=True) as news:
            change()
            await anext(aiter(news))
            return (await client.read_resource(ABOUT)).contents[0].text

    async def legacy(endpoint):
        told = asyncio.Queue()

        async def hear(message):
            if "ResourceListChanged" in type(message).__name__ + type(getattr(message, "root", None)).__name__:
                told.put_nowait(message)

        async with Client(sse_client(endpoint), mode="legacy", message_handler=hear) as client:
            change()
            await told.get()
            return (await client.read_resource(ABOUT)).contents[0].text

    with runner(tmp_path, config) as running:
        ask = modern if transport == "streamable" else legacy
        assert "After." in asyncio.run(asyncio.wait_for(ask(running.endpoint), 60))
