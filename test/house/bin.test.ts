// Goal: bin/zonewright hands over arguments, input, exit code and signals, keeps standard output
// clean, builds in a clone when a source changed, and tells the user of an old Node what to do.
// Method: copies of the bin beside small stand-ins for the bundle and the sources; an old Node is
// this one with its version overwritten before the bin reads it.
import { deepEqual, equal, match } from "node:assert/strict";
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { ROOT } from "./project.ts";

const work = join(ROOT, "node_modules/.cache/zonewright/bin-test");
const OLD_NODE =
  "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.9.0'})";

const BUNDLE = `
  process.stdout.write(JSON.stringify(process.argv.slice(2)));
  if (process.argv[2] === "wait") setInterval(() => {}, 1000);
  else if (process.argv[2] === "fail") throw new Error("thrown inside");
  else process.exitCode = process.argv.length;
`;

function place(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(work, name);
  cpSync(join(ROOT, "bin"), join(folder, "bin"), { recursive: true });
  for (const [path, text] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

function start(folder: string, args: readonly string[], old = false): SpawnSyncReturns<string> {
  const options = old ? ["--import", OLD_NODE] : [];
  const all = [...options, join(folder, "bin/zonewright"), ...args];
  return spawnSync(process.execPath, all, { encoding: "utf8", input: "" });
}

before(() => rmSync(work, { recursive: true, force: true }));
after(() => rmSync(work, { recursive: true, force: true }));

describe("installed", () => {
  const files = { "dist/cli/zonewright.js": BUNDLE };

  test("arguments and the exit code pass, standard output is the command's", () => {
    const { stdout, stderr, status } = start(place("installed", files), ["plan", "a b", "--json"]);
    deepEqual([stdout, stderr, status], ['["plan","a b","--json"]', "", 5]);
  });

  test("an error of the command ends the process as it would alone", () => {
    const { stderr, status } = start(place("throws", files), ["fail"]);
    equal(status, 1);
    match(stderr, /Error: thrown inside/);
  });

  test("without its bundle it says what to do", () => {
    const { stdout, stderr, status } = start(place("empty", {}), []);
    deepEqual([stdout, status], ["", 2]);
    match(stderr, /^zonewright: .* is missing: install the package again\n$/);
  });
});

describe("under an old Node", () => {
  const files = { "dist/cli/zonewright.js": BUNDLE };

  test("it says in one line which Node it needs", () => {
    const { stdout, stderr, status } = start(place("old", files), ["plan"], true);
    deepEqual([stdout, status], ["", 2]);
    match(stderr, /^zonewright: needs Node 22\.15 or newer, this is v.*: install a newer Node\n$/);
  });

  test("it runs on the Node that npm put beside it", () => {
    const { stdout, stderr, status } = start(withNode("pinned", files), ["plan", "x"], true);
    deepEqual([stdout, stderr, status], ['["plan","x"]', "", 4]);
  });

  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    test(`${signal} reaches the command and is what the bin ends with`, async () => {
      const folder = withNode(`signal-${signal}`, files);
      const args = ["--import", OLD_NODE, join(folder, "bin/zonewright"), "wait"];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      child.stdout.once("data", () => child.kill(signal));
      const ended = await new Promise((done) => child.on("exit", (_, by) => done(by)));
      equal(ended, signal);
    });
  }
});

describe("in a clone", () => {
  const clone = (name: string, main: string): string => {
    const folder = place(name, {
      "src/cli/main.ts": main,
      "package-lock.json": "{}",
      "node_modules/.cache/zonewright/none": "",
    });
    for (const script of ["build.mjs", "vendor.mjs"]) {
      cpSync(join(ROOT, "scripts", script), join(folder, "scripts", script));
    }
    symlinkSync(join(ROOT, "node_modules/rolldown"), join(folder, "node_modules/rolldown"));
    return folder;
  };
  const says = (word: string): string => `process.stdout.write(${JSON.stringify(word)});\n`;

  test("it builds first, and again only after a change", () => {
    const folder = clone("fresh", says("one"));
    equal(start(folder, []).stdout, "one");
    writeFileSync(join(folder, "dist/cli/zonewright.js"), says("not built again"));
    equal(start(folder, []).stdout, "not built again");
    writeFileSync(join(folder, "src/cli/main.ts"), says("second"));
    const { stdout, stderr } = start(folder, []);
    deepEqual([stdout, stderr], ["second", ""]);
  });

  test("sources that do not compile are shown on standard error, exit 2", () => {
    const { stdout, stderr, status } = start(clone("broken", "let x: = 1;\n"), []);
    deepEqual([stdout, status], ["", 2]);
    match(stderr, /^zonewright: could not build: /);
    match(stderr, /main\.ts/);
  });

  test("without its tools it runs what it has and says that it is old", () => {
    const folder = clone("no-tools", says("new"));
    rmSync(join(folder, "node_modules"), { recursive: true });
    mkdirSync(join(folder, "dist/cli"), { recursive: true });
    writeFileSync(join(folder, "dist/cli/zonewright.js"), says("old"));
    const { stdout, stderr } = start(folder, []);
    equal(stdout, "old");
    match(stderr, /^zonewright: older than its sources: run "npm ci" in .*\n$/);
  });
});

function withNode(name: string, files: Readonly<Record<string, string>>): string {
  const folder = place(name, files);
  const pinned = join(folder, "node_modules/node/bin/node");
  mkdirSync(dirname(pinned), { recursive: true });
  // Without the overwritten version: options are handed on, so the stand-in drops them.
  writeFileSync(pinned, `#!/bin/sh\nshift 2\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  return folder;
}
