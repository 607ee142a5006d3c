// Goal: a log comes in whole, whatever its length and packing, though its chunks share two buffers.
// Method: files around the length of a chunk, with letters of several bytes on the edges; readers that
// are slow, or leave early.
import { equal, rejects } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { inputErrorOf } from "../../src/host/bytes.ts";
import { openLog } from "../../src/host/log-file.ts";

const CHUNK = 2 ** 16;
const folder = mkdtempSync(join(tmpdir(), "zonewright-log-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Text of `bytes` bytes in UTF-8, its letters two and three bytes long. */
function textOf(bytes: number): string {
  const unit = "a line of ümlauts and €uros\n";
  const size = Buffer.byteLength(unit);
  return unit.repeat(Math.floor(bytes / size)) + "x".repeat(bytes % size);
}

async function* nothing(): AsyncGenerator<string> {}

async function readAll(path: string, wait: boolean): Promise<string> {
  let text = "";
  for await (const chunk of openLog(path, nothing)) {
    if (wait) await setImmediate();
    text += chunk;
  }
  return text;
}

test("files of every length around a chunk, packed and plain", async () => {
  const path = join(folder, "log");
  for (const bytes of [0, 1, 3, 4, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK - 2, 5 * CHUNK + 7]) {
    const text = textOf(bytes);
    writeFileSync(path, text);
    equal(await readAll(path, false), text, `${bytes} bytes`);
    equal(await readAll(path, true), text, `${bytes} bytes, slowly`);
    writeFileSync(path, gzipSync(text));
    equal(await readAll(path, true), text, `${bytes} bytes, packed`);
  }
});

test("a pipe is read as it comes", () => {
  const script = `import { openLog } from ${JSON.stringify(new URL("../../src/host/log-file.ts", import.meta.url).href)};
let length = 0;
for await (const chunk of openLog("/dev/stdin", async function* () {})) length += chunk.length;
console.log(length);`;
  const path = join(folder, "piped");
  writeFileSync(path, "x".repeat(3 * CHUNK + 5));
  const pipe = 'cat "$1" | "$2" --input-type=module -e "$3"';
  const args = ["-c", pipe, "sh", path, process.execPath, script];
  const { stdout } = spawnSync("sh", args, { encoding: "utf8" });
  equal(stdout.trim(), String(3 * CHUNK + 5));
});

test("who leaves early leaves nothing open; what cannot be read is said", async () => {
  const path = join(folder, "long");
  writeFileSync(path, textOf(9 * CHUNK));
  for await (const chunk of openLog(path, nothing)) {
    equal(chunk.length > 0, true);
    break;
  }
  const missing = readAll(join(folder, "none"), false);
  await rejects(missing, (error) => /no such file/.test(inputErrorOf(error).message));
  await rejects(readAll(folder, false), (error) => /folder/.test(inputErrorOf(error).message));
});
