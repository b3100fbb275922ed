// Lists the tools of a server and calls one, with @modelcontextprotocol/client 2.x.
// Its argument is JSON: {"url"} or {"command"}, then {"era", "tool", "arguments"}; it prints
// {version, tools, result}. The era is "legacy", "auto" or a revision.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const asked = JSON.parse(process.argv[2]);
const transport = asked.url
  ? new StreamableHTTPClientTransport(new URL(asked.url))
  : new StdioClientTransport({ command: asked.command[0], args: asked.command.slice(1) });
const mode = ['legacy', 'auto'].includes(asked.era) ? asked.era : { pin: asked.era };
const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: asked.tool, arguments: asked.arguments });
const version = client.getNegotiatedProtocolVersion();
await client.close();
console.log(JSON.stringify({ version, tools, result }));
