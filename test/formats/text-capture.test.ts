// Goal: files of /proc pasted one after the other are told apart, and a lone zoneinfo is one. Method: each
// way in which people set headings, around the same two files.
import assert from "node:assert/strict";
import { test } from "node:test";
import { captureInText } from "../../src/formats/text-capture.ts";

const ZONE = "Node 0, zone      DMA\n  pages free     3977\n        min      39";

async function filesIn(text: string): Promise<Record<string, string> | null> {
  const found = captureInText("m", text);
  if (found === null) return null;
  const files: Record<string, string> = {};
  for (const path of found.paths) {
    files[path] = "";
    for await (const chunk of found.open(path)) files[path] += chunk;
  }
  return files;
}

const BOTH = { "proc/zoneinfo": `${ZONE}\n`, "proc/sys/vm/min_free_kbytes": "164231\n" };

test("headings by number signs, by head, by the command and by the path alone", async () => {
  for (const heading of [
    (path: string) => `#### ${path}`,
    (path: string) => `==> ${path} <==`,
    (path: string) => `# cat ${path}`,
    (path: string) => `root@box:~# cat ${path}`,
    (path: string) => `$ cat ${path}`,
    (path: string) => `${path}:`,
  ]) {
    const text = `look at this\n${heading("/proc/zoneinfo")}\n${ZONE}\n\n${heading("/proc/sys/vm/min_free_kbytes")}\n164231\n\n\n`;
    assert.deepEqual(await filesIn(text), BOTH, heading("/proc/x"));
  }
});

test("a lone zoneinfo, with or without words before it", async () => {
  assert.deepEqual(await filesIn(ZONE), { zoneinfo: ZONE });
  assert.deepEqual(await filesIn(`zoneinfo of my board:\n\n${ZONE}`), { zoneinfo: ZONE });
});

test("a report, buddyinfo or prose is no capture; the first of two files of a name counts", async () => {
  assert.equal(await filesIn(`Mem-Info:\n${ZONE}`), null);
  assert.equal(await filesIn("Node 0, zone      DMA      0      1      2\n"), null);
  assert.equal(await filesIn("nothing to see"), null);
  const twice = `#### /proc/zoneinfo\n${ZONE}\n#### /proc/zoneinfo\nother\n`;
  assert.deepEqual(await filesIn(twice), { "proc/zoneinfo": `${ZONE}\n` });
});
