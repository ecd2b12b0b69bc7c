// Starts Athena for a suite, and counts what the suite checks.
//
// The binary is ATHENA_BIN. Each server gets a home of its own in a temporary directory.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const binary = process.env.ATHENA_BIN;
if (!binary) {
  console.error("ATHENA_BIN does not name the binary to test");
  process.exit(2);
}

let passed = 0;
let failed = 0;

/** Counts `body` as one check; a failure does not stop the suite. */
export async function check(name, body) {
  try {
    await body();
    pass(name);
  } catch (error) {
    fail(name, error?.stack ?? error);
  }
}

/** Counts a check that held. */
export function pass(name) {
  passed += 1;
  console.log(`ok      ${name}`);
}

/** Counts a check that did not hold. */
export function fail(name, why) {
  failed += 1;
  console.log(`FAILED  ${name}: ${why}`);
}

/** Prints the summary and ends the process. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
}

/** Calls `body` with the environment of an Athena that nobody else uses, and its directory. */
export async function withHome(body) {
  const directory = await mkdtemp(join(tmpdir(), "athena-client-"));
  try {
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("ATHENA_"));
    await body({ ...Object.fromEntries(clean), ATHENA_HOME: directory }, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs `athena serve`, calls `body` with its base URL, and checks that it ends well. */
export function withServer(body) {
  return withHome(async (env, directory) => {
    const port = await freePort();
    const logPath = join(directory, "serve.log");
    const log = await open(logPath, "w");
    const server = spawn(binary, ["serve", "--port", String(port)], {
      env,
      cwd: directory,
      stdio: ["ignore", log.fd, log.fd],
    });
    const exited = once(server, "exit");
    try {
      const base = `http://127.0.0.1:${port}`;
      await untilHealthy(server, base);
      await body(base);
      if (server.exitCode !== null) {
        throw new Error(`the server ended by itself, exit status ${server.exitCode}`);
      }
    } catch (error) {
      console.error((await readFile(logPath, "utf8")).slice(-4000));
      throw error;
    } finally {
      server.kill("SIGTERM");
      const timer = setTimeout(() => server.kill("SIGKILL"), 30_000);
      const [status, signal] = await exited;
      clearTimeout(timer);
      await log.close();
      if (status !== 0) {
        fail("serve ends well on SIGTERM", `exit status ${status}, signal ${signal}`);
      }
    }
  });
}

async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

async function untilHealthy(server, base) {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      if ((await fetch(`${base}/healthz`)).ok) return;
    } catch (error) {
      if (server.exitCode !== null) throw new Error(`serve ended with status ${server.exitCode}`);
      if (Date.now() > deadline) throw error;
    }
    await sleep(50);
  }
}
