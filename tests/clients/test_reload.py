"""A document that changes under real clients: they are told, the new tools are there, a call in flight finishes as it
began, and a document that is none changes nothing."""

import asyncio
import http.server
import json
import os
import threading

import pytest
from conftest import PETS, runner
from mcp import Client
from mcp.client.sse import sse_client

PATIENCE_S = 60


class Slow:
    """An upstream that holds its answer back until it is told to go on."""

    def __init__(self):
        slow, self.asked, self.go = self, threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                slow.asked.set()
                slow.go.wait(PATIENCE_S)
                body = b'{"id": 7, "name": "Late", "species": "cat"}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Document:
    """A file that is replaced whole, as an editor or a deployment does."""

    def __init__(self, path):
        self.path, self.plain = path, json.loads(PETS.read_text())
        self.put(json.dumps(self.plain))

    def put(self, text):
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        os.replace(beside, self.path)

    def without_pet(self, *added):
        """Without the operation that is being called, and with others."""
        paths = {path: item for path, item in self.plain["paths"].items() if path != "/pets/{petId}"}
        more = {f"/{name}": {"get": {"operationId": name, "responses": {"200": {"description": "ok"}}}} for name in added}
        self.put(json.dumps({**self.plain, "paths": {**paths, **more}}))


async def names(client):
    return {tool.name for tool in (await client.list_tools()).tools}


async def until(what, look):
    async with asyncio.timeout(PATIENCE_S):
        while not (found := look()):
            await asyncio.sleep(0.05)
    return found


async def story(client, changed, slow, document, errors):
    """`changed` waits until the client has been told of a change."""
    assert "getPet" in await names(client)
    call = asyncio.ensure_future(client.call_tool("getPet", {"petId": 7}))
    await until("the call is at the upstream", slow.asked.is_set)
    document.without_pet("brandNew")
    await changed()
    now = await names(client)
    assert "brandNew" in now and "getPet" not in now
    # The operation is gone, its call is not.
    assert not call.done()
    slow.go.set()
    result = await call
    assert not result.is_error and result.structured_content["name"] == "Late", result
    # What is no document, and what is one of nothing we know, change nothing.
    for text in ["{ this is no JSON", json.dumps({"openapi": "9.0"}), ""]:
        before = errors.read_text().count("the tools stay as they are")
        document.put(text)
        await until("it is told", lambda: errors.read_text().count("the tools stay as they are") > before)
        assert await names(client) == now
    assert not (await client.call_tool("brandNew", {})).is_error
    document.without_pet("brandNew", "andAnother")
    await changed()
    assert await names(client) == now | {"andAnother"}


@pytest.mark.parametrize("transport", ["streamable", "sse"])
def test_a_changed_document_reaches_a_real_client(tmp_path, transport):
    slow, document = Slow(), Document(tmp_path / "pets.json")
    config = {
        "openApiData": str(document.path), "baseUrl": slow.url, "transport": transport, "reloadInterval": "100ms",
        "tools": {"mode": "all"},
    }

    async def modern(endpoint):
        async with Client(endpoint) as client, client.listen(tools_list_changed=True) as news:
            told = aiter(news)

            async def changed():
                async with asyncio.timeout(PATIENCE_S):
                    await anext(told)

            await story(client, changed, slow, document, tmp_path / "stderr")

    async def legacy(endpoint):
        told = asyncio.Queue()

        async def hear(message):
            if "ToolListChanged" in type(message).__name__ or "ToolListChanged" in type(getattr(message, "root", None)).__name__:
                told.put_nowait(message)

        async with Client(sse_client(endpoint), mode="legacy", message_handler=hear) as client:

            async def changed():
                async with asyncio.timeout(PATIENCE_S):
                    await told.get()

            await story(client, changed, slow, document, tmp_path / "stderr")

    with runner(tmp_path, config) as running:
        run = modern if transport == "streamable" else legacy
        asyncio.run(asyncio.wait_for(run(running.endpoint), 4 * PATIENCE_S))
    slow.server.shutdown()
