// The official conformance suite, with what each protocol revision requires of a server.
//
// Many of its scenarios call tools, prompts or resources with fixed names that only a test
// server has. `conformance-<revision>.yaml` lists those; all others must pass, and a listed one
// that passes is reported as well, so that the lists stay true.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { check, fail, finish, pass, withHome, withServer } from "./athena.mjs";

// The revisions, and what of the suite beyond their requirements Athena passes as well.
const REVISIONS = {
  "2026-07-28": ["http-header-validation"],
  "2025-11-25": [],
};

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const SUITE = here("node_modules/@modelcontextprotocol/conformance/dist/index.js");

/** Runs the suite in an empty directory, where it leaves its results; returns what it said. */
async function conformance(args) {
  let said = "";
  let status;
  await withHome(async (env, cwd) => {
    const options = { env, cwd, stdio: ["ignore", "pipe", "pipe"] };
    const suite = spawn(process.execPath, [SUITE, "server", ...args], options);
    for (const stream of [suite.stdout, suite.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (said += text));
    }
    [status] = await once(suite, "close");
  });
  return { status, said };
}

/** Returns the lines below `heading`, without their marks. */
function listed(said, heading) {
  const lines = said.split("\n");
  const start = lines.findIndex((line) => line.includes(heading));
  if (start < 0) return [];
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("  "));
  return lines.slice(start + 1, end).map((line) => line.trim().slice(2));
}

/** Counts each scenario that the revision requires, or `also` names, and that is not listed. */
async function requirements(url, revision, also) {
  const list = `conformance-${revision}.yaml`;
  const { status, said } = await conformance([
    ...["--url", url, "--requirements", revision, "--expected-failures", here(list)],
  ]);
  const ran = [...said.matchAll(/^[✓✗] (\S+): (\d+) passed, (\d+) failed/gm)];
  const expected = new Set(listed(said, "Expected failures (in baseline)"));
  const unexpected = listed(said, "Unexpected failures (not in baseline)");
  const stale = listed(said, "Stale baseline entries");
  for (const [line, scenario, passes, failures] of ran) {
    const bad = unexpected.filter((entry) => entry.split(":")[0] === scenario);
    // What a revision does not require is in none of the suite's three lists.
    const good = passes !== "0" && failures === "0";
    if (expected.has(scenario)) {
      console.log(`listed  ${revision} ${scenario}`);
    } else if (bad.length > 0 || (!good && also.includes(scenario))) {
      fail(`${revision} ${scenario}`, `${line}: ${bad.join(", ")}`);
    } else if (!good && [...expected].every((entry) => !entry.startsWith(`${scenario}:`))) {
      console.log(`unasked ${revision} ${scenario}`);
    } else {
      pass(`${revision} ${scenario} (${passes})`);
    }
  }
  for (const entry of stale) fail(`${revision} ${entry}`, `it passes; remove it from ${list}`);
  for (const scenario of also) {
    if (!ran.some(([, name]) => name === scenario)) fail(`${revision} ${scenario}`, "did not run");
  }
  if (ran.length === 0 || (status !== 0) !== (unexpected.length + stale.length > 0)) {
    fail(`${revision}: the suite runs`, `exit status ${status}`);
  }
  if (status !== 0) console.log(said);
}

await check("the server starts and ends", () =>
  withServer(async (base) => {
    for (const [revision, also] of Object.entries(REVISIONS)) {
      await requirements(`${base}/mcp`, revision, also);
    }
  }),
);
finish();
