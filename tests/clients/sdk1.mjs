// Lists the tools of a server and calls one, with @modelcontextprotocol/sdk 1.x.
// Its argument is JSON: {"url"} or {"command"}, then {"tool", "arguments"}, and for a URL {"transport"} if it is
// "sse" or "websocket"; it prints {tools, result}, and with {"resource"} also
// {resources, read}.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';

const asked = JSON.parse(process.argv[2]);
const Http = { sse: SSEClientTransport, websocket: WebSocketClientTransport }[asked.transport]
  ?? StreamableHTTPClientTransport;
const transport = asked.url
  ? new Http(new URL(asked.url))
  : new StdioClientTransport({ command: asked.command[0], args: asked.command.slice(1) });
const client = new Client({ name: 'test', version: '1' });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: asked.tool, arguments: asked.arguments });
await client.ping();
const { resources } = asked.resource ? await client.listResources() : {};
const read = asked.resource ? await client.readResource({ uri: asked.resource }) : undefined;
await client.close();
console.log(JSON.stringify({ tools, result, resources, read }));
