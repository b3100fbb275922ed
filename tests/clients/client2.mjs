// Lists the tools of a server and calls one, with @modelcontextprotocol/client 2.x.
// Its argument is JSON: {"url"} or {"command"}, then {"era", "tool", "arguments"}; it prints
// {version, tools, result}, and with {"resource"} also {resources, read}. The era is "legacy", "auto" or a revision. With {"transport": "sse"} it speaks
// HTTP+SSE; with {"falls_back"} too it tries streamable HTTP first, as clients do that know nothing but a URL.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const asked = JSON.parse(process.argv[2]);
if (asked.falls_back) {
  const first = new Client({ name: 'test', version: '1' });
  const refused = await first.connect(new StreamableHTTPClientTransport(new URL(asked.url))).catch(error => error);
  if (!/\b40[45]\b/.test(JSON.stringify(refused))) throw new Error(`not refused: ${refused}`);
}
const Http = asked.transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = asked.url
  ? new Http(new URL(asked.url))
  : new StdioClientTransport({ command: asked.command[0], args: asked.command.slice(1) });
const mode = ['legacy', 'auto'].includes(asked.era) ? asked.era : { pin: asked.era };
const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: asked.tool, arguments: asked.arguments });
const version = client.getNegotiatedProtocolVersion();
const { resources } = asked.resource ? await client.listResources() : {};
const read = asked.resource ? await client.readResource({ uri: asked.resource }) : undefined;
await client.close();
console.log(JSON.stringify({ version, tools, result, resources, read }));
