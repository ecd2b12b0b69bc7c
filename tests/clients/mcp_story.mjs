// What every JavaScript client must be able to do. The two SDKs share the calls it uses.

import assert from "node:assert/strict";
import { check } from "./athena.mjs";

const TOOLS = ["remember", "recall", "get", "update", "forget"];
// What the default profile may cost an agent: 2,500 tokens of four bytes.
const LIST_BYTES = 10_000;

/** Runs the story with a connected client; `how` names the connection in what is printed. */
export async function story(client, how) {
  const call = async (name, args) => {
    // The client checks the answer against the tool's output schema.
    const result = await client.callTool({ name, arguments: args });
    assert.ok(!result.isError, JSON.stringify(result));
    assert.ok(result.content.length > 0, "an old client sees nothing");
    return result.structuredContent;
  };
  const recall = async (query) => (await call("recall", { query })).hits;

  await check(`${how}: says who it is`, () => {
    assert.equal(client.getServerVersion().name, "athena");
  });
  await check(`${how}: lists the tools`, () => listsTheTools(client));

  // A text of its own for each connection: the server keeps them all.
  const content = `The staging database moved to port 6543, said over ${how}.`;
  const question = `which port has the staging database, said over ${how}`;
  let id;
  await check(`${how}: remembers`, async () => {
    const first = await call("remember", { content });
    const again = await call("remember", { content });
    assert.equal(first.duplicate, false);
    assert.equal(again.duplicate, true);
    assert.equal(again.id, first.id);
    id = first.id;
  });
  await check(`${how}: recalls`, async () => {
    const [best] = await recall(question);
    assert.equal(best.id, id);
    assert.equal(best.content, content);
    assert.ok(best.score > 0 && best.score <= 1 && best.match > 0 && best.match <= 1);
  });
  await check(`${how}: gets`, async () => {
    assert.equal((await call("get", { id })).content, content);
  });
  const corrected = content.replace("6543", "7654");
  const ofTheStory = (hit) => [content, corrected].includes(hit.content);
  let updated;
  await check(`${how}: updates`, async () => {
    updated = (await call("update", { id, content: corrected, reason: "it moved again" })).id;
    assert.equal((await call("get", { id: updated })).content, corrected);
    const hits = (await recall(question)).filter(ofTheStory);
    assert.deepEqual(hits.map((hit) => hit.id), [updated]);
  });
  await check(`${how}: forgets`, async () => {
    await call("forget", { id: updated, reason: "the server is gone" });
    assert.deepEqual((await recall(question)).filter(ofTheStory), []);
  });
  await check(`${how}: says what was wrong`, async () => {
    for (const [name, args] of [
      ["get", { id: 987654321 }],
      ["remember", {}],
      ["recall", { query: "a", min_score: 7 }],
    ]) {
      const result = await client.callTool({ name, arguments: args });
      assert.equal(result.isError, true, `${name} ${JSON.stringify(args)}`);
      assert.ok(result.content[0].text.length > 10);
    }
  });
}

async function listsTheTools(client) {
  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name);
  for (const name of TOOLS) assert.ok(names.includes(name), `${name} in ${names}`);
  assert.ok(names.length <= 10, names.join());
  const text = JSON.stringify(tools);
  assert.ok(Buffer.byteLength(text) <= LIST_BYTES, `${Buffer.byteLength(text)} bytes`);
  assert.equal(JSON.stringify((await client.listTools()).tools), text);
  for (const tool of tools) {
    assert.ok(tool.description && tool.annotations, tool.name);
    // What `call_tool` answers depends on the operation that it calls.
    assert.ok(tool.outputSchema || tool.name === "call_tool", tool.name);
  }
}
