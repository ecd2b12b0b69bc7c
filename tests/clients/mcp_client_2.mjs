// The second official TypeScript SDK, `@modelcontextprotocol/client`, as it comes and with
// version negotiation: it then speaks the newest protocol that both sides know.

import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { binary, check, finish, withHome, withServer } from "./athena.mjs";
import { story } from "./mcp_story.mjs";

const WAYS = [
  { name: "default", options: {}, version: "2025-11-25" },
  { name: "auto", options: { versionNegotiation: { mode: "auto" } }, version: "2026-07-28" },
];

async function connected(transport, { options, version }, how) {
  const client = new Client({ name: "athena-client-test", version: "2.0.0" }, options);
  await client.connect(transport);
  try {
    await check(`${how}: speaks ${version}`, () => {
      assert.equal(client.getNegotiatedProtocolVersion(), version);
    });
    await story(client, how);
  } finally {
    await client.close();
  }
}

for (const way of WAYS) {
  await check(`stdio, ${way.name}: connects and runs`, () =>
    withHome(async (env, cwd) => {
      const transport = new StdioClientTransport({ command: binary, args: ["mcp"], env, cwd });
      await connected(transport, way, `stdio, ${way.name}`);
    }),
  );
}
await check("http: server starts and ends", () =>
  withServer(async (base) => {
    for (const way of WAYS) {
      await check(`http, ${way.name}: connects and runs`, async () => {
        const transport = new StreamableHTTPClientTransport(new URL(`${base}/mcp`));
        await connected(transport, way, `http, ${way.name}`);
      });
    }
  }),
);
finish();
