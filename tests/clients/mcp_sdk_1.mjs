// The first official TypeScript SDK, `@modelcontextprotocol/sdk`: what most clients ship today.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { binary, check, finish, withHome, withServer } from "./athena.mjs";
import { story } from "./mcp_story.mjs";

async function connected(transport, body) {
  const client = new Client({ name: "athena-client-test", version: "1.0.0" });
  await client.connect(transport);
  try {
    await body(client);
  } finally {
    await client.close();
  }
}

await check("stdio: connects and runs", () =>
  withHome(async (env, cwd) => {
    const transport = new StdioClientTransport({ command: binary, args: ["mcp"], env, cwd });
    await connected(transport, (client) => story(client, "stdio"));
  }),
);
await check("http: connects and runs", () =>
  withServer(async (base) => {
    const transport = new StreamableHTTPClientTransport(new URL(`${base}/mcp`));
    await connected(transport, (client) => story(client, "http"));
  }),
);
finish();
