"""FastMCP as it serves a document best: without sessions, answers as plain JSON, nothing validated on the way back."""

import json
import sys

import httpx2
from fastmcp import FastMCP

document, base, port = sys.argv[1:]
with open(document, encoding="utf-8") as file:
    server = FastMCP.from_openapi(json.load(file), httpx2.AsyncClient(base_url=base), validate_output=False)
server.run(
    transport="http", host="127.0.0.1", port=int(port), path="/mcp", stateless_http=True, json_response=True,
    show_banner=False, log_level="ERROR")
