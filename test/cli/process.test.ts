// The program as a process: streams, exit codes, a pipe that closes early, and a bug of ours. A few
// real runs only; everything else is tested in process.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { main } from "../../src/cli/program.ts";
import { machine, packed } from "./run.ts";

const ENTRY = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

test("data on standard output, errors on standard error, exit codes", () => {
  const fine = spawnSync(process.execPath, [ENTRY, "plan", "-", "--json"], {
    input: readFileSync(machine("desktop-8G")),
    encoding: "utf8",
  });
  assert.equal(fine.status, 0, fine.stderr);
  assert.equal(fine.stderr, "");
  assert.equal(JSON.parse(fine.stdout).machine, "desktop-8G");
  const wrong = spawnSync(process.execPath, [ENTRY, "plan", "/no/such/place"], {
    encoding: "utf8",
  });
  assert.deepEqual([wrong.status, wrong.stdout], [3, ""]);
  assert.match(wrong.stderr, /^zonewright: \/no\/such\/place: [^\n]+\n$/);
});

test("a reader that goes away is no trouble", async () => {
  const args = [ENTRY, "plan", packed("x86_64-6.1-8G-smp2"), "--json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let err = "";
  child.stderr.on("data", (chunk: Uint8Array) => {
    err += String(chunk);
  });
  child.stdout.destroy();
  const [code] = await once(child, "close");
  assert.equal(code, 0);
  assert.equal(err, "");
});

test("a full disk is one line", { skip: !existsSync("/dev/full") }, () => {
  const out = openSync("/dev/full", "w");
  const args = [ENTRY, "plan", machine("desktop-8G")];
  const full = spawnSync(process.execPath, args, {
    encoding: "utf8",
    stdio: ["ignore", out, "pipe"],
  });
  closeSync(out);
  assert.equal(full.status, 74);
  assert.match(full.stderr, /^zonewright: cannot write to standard output: ENOSPC[^\n]*\n$/);
});

test("a bug of ours is one line that asks for a report, with the stack only on demand", async () => {
  const broken = async (env: Record<string, string>): Promise<{ code: number; err: string }> => {
    let err = "";
    const terminal = {
      out: (): never => {
        throw new TypeError("boom\nand more");
      },
      err: (text: string): void => {
        err += text;
      },
      columns: null,
      env,
      async *stdin(): AsyncGenerator<string> {
        for await (const chunk of [""]) yield chunk;
      },
    };
    const code = await main(["schema"], terminal, "0");
    return { code, err };
  };
  const quiet = await broken({});
  assert.equal(quiet.code, 70);
  assert.match(
    quiet.err,
    /^zonewright: this is a bug \(TypeError: boom\); please report it[^\n]*\n$/,
  );
  assert.match((await broken({ ZONEWRIGHT_DEBUG: "1" })).err, /\n\s+at /);
});
