// Goal: a swap file gives back what was written or says that it cannot, whatever happens to the file.
// Method: real files; pages written and read in random order beside a table; bytes changed, pages torn
// and swapped for older ones behind its back; a machine that swaps to it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { SwapFile } from "../../src/host/swap-file.ts";
import {
  bootMemory,
  bytesOf,
  LOST,
  managePages,
  NO_HANDLE,
  newPage,
  touchPage,
  usePressure,
} from "../../src/mm/index.ts";

const PAGE = 512;
/** Large enough for a write to be cut short. */
const KILLED_PAGE = 1 << 16;
const HEADER = 4096;
const STRIDE = PAGE + 24;
let folder = "";
let number = 0;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "zonewright-"));
});
after(() => rmSync(folder, { recursive: true }));

function make(slots: number): SwapFile {
  return new SwapFile(join(folder, `swap${number++}`), slots, PAGE);
}

function page(value: number): Uint8Array {
  return new Uint8Array(PAGE).fill(value);
}

test("what was written is read, slots are given again, a full file says so", () => {
  const step = fc.oneof(
    fc.record({ write: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ drop: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const file = make(8);
      const held = new Map<number, number>();
      for (const own of steps) {
        if ("write" in own) {
          const slot = file.write(page(own.write));
          assert.equal(slot < 0, held.size === 8);
          if (slot >= 0) held.set(slot, own.write);
        } else if (held.size > 0) {
          const slot = [...held.keys()][own.drop % held.size] ?? 0;
          file.drop(slot);
          held.delete(slot);
        }
        assert.equal(file.free, 8 - held.size);
        for (const [slot, value] of held) {
          const bytes = page(0);
          assert.ok(file.read(slot, bytes));
          assert.deepEqual(bytes, page(value));
        }
      }
      file.close();
      assert.ok(!existsSync(file.path));
    }),
    { numRuns: 40 },
  );
});

test("a page of which a byte changed, or that was torn anywhere, is not read", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: STRIDE - 1 }),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (at, change, torn) => {
        const file = make(2);
        const first = file.write(page(1));
        const fd = openSync(file.path, "r+");
        const old = new Uint8Array(STRIDE);
        readSync(fd, old, 0, STRIDE, HEADER);
        if (torn) {
          // A newer page, of which only the first bytes came to the disk.
          file.drop(first);
          assert.equal(file.write(page(2)), first);
          writeSync(fd, old.subarray(at), 0, STRIDE - at, HEADER + at);
        } else {
          old[at] = (old[at] ?? 0) ^ change;
          writeSync(fd, old, 0, STRIDE, HEADER);
        }
        closeSync(fd);
        const bytes = page(9);
        assert.equal(file.read(first, bytes), false);
        assert.deepEqual(bytes, page(9));
        file.close();
      },
    ),
    { numRuns: 60 },
  );
});

test("two stores at one path: neither takes the other's pages for its own", () => {
  const first = make(2);
  const slot = first.write(page(1));
  const second = new SwapFile(first.path, 2, PAGE);
  const bytes = page(9);
  assert.equal(first.read(slot, bytes), false);
  // The same slot, with the same sequence number.
  assert.equal(second.write(page(2)), slot);
  assert.equal(first.read(slot, bytes), false);
  assert.deepEqual(bytes, page(9));
  assert.ok(second.read(slot, bytes));
  assert.deepEqual(bytes, page(2));
  second.close();
});

test("what is at the path is not overwritten, unless it was a swap file or is empty", () => {
  const path = join(folder, "precious");
  for (const text of ["precious", "precious".repeat(1000)]) {
    writeFileSync(path, text);
    assert.throws(() => new SwapFile(path, 2, PAGE), /precious is there already, and is no swap/);
    assert.equal(readFileSync(path, "utf8"), text);
  }
  assert.throws(() => new SwapFile(folder, 2, PAGE), /EISDIR/);
  writeFileSync(path, "");
  const left = new SwapFile(path, 2, PAGE);
  const again = new SwapFile(path, 3, PAGE);
  assert.equal(again.slots, 3);
  assert.ok(again.read(again.write(page(3)), page(0)));
  assert.equal(left.free, 2);
  again.close();
});

test("a closed file is not written to, whoever has its number now; and only pages are written", () => {
  const file = make(2);
  const slot = file.write(page(1));
  for (const wrong of [new Uint8Array(PAGE - 1), new Uint8Array(PAGE + 1)]) {
    assert.throws(() => file.write(wrong), /pages of another size/);
    assert.throws(() => file.read(slot, wrong), /pages of another size/);
  }
  assert.throws(() => file.read(1, page(0)), /no such slot/);
  file.close();
  const other = join(folder, "other");
  writeFileSync(other, "other");
  const fd = openSync(other, "r+");
  assert.throws(() => file.write(page(2)), /is closed/);
  assert.throws(() => file.read(slot, page(2)), /is closed/);
  assert.throws(() => file.close(), /is closed/);
  closeSync(fd);
  assert.equal(readFileSync(other, "utf8"), "other");
});

test("a writer that is killed leaves pages that are whole or not there", async () => {
  const path = join(folder, "killed");
  const code = `
    import { SwapFile } from ${JSON.stringify(new URL("../../src/host/swap-file.ts", import.meta.url).href)};
    const file = new SwapFile(${JSON.stringify(path)}, 8, ${KILLED_PAGE});
    const slots = [];
    for (let value = 1; ; value = (value % 255) + 1) {
      if (slots.length === 8) file.drop(slots.shift());
      slots.push(file.write(new Uint8Array(${KILLED_PAGE}).fill(value)));
      if (value === 20) console.log("running");
    }`;
  for (let round = 0; round < 4; round++) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", code]);
    await once(child.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, round * 3));
    child.kill("SIGKILL");
    await once(child, "close");
    const bytes = readFileSync(path);
    for (let slot = 0; slot < 8; slot++) {
      const own = bytes.subarray(HEADER + slot * (KILLED_PAGE + 24)).subarray(0, KILLED_PAGE + 24);
      const isWhole =
        own.readUInt32BE(KILLED_PAGE + 20) === crc32(own.subarray(0, KILLED_PAGE + 20));
      if (isWhole) assert.ok(own.subarray(0, KILLED_PAGE).every((byte) => byte === own[0]));
    }
    // Whoever comes next begins with nothing.
    const next = new SwapFile(path, 8, KILLED_PAGE);
    assert.equal(next.free, 8);
    assert.throws(() => next.read(0, null), /no such slot/);
  }
});

test("a file that was cut off gives nothing back, and takes nothing into what is gone", () => {
  const file = make(4);
  const slots = [1, 2, 3].map((value) => file.write(page(value)));
  truncateSync(file.path, HEADER + STRIDE + 10);
  assert.deepEqual(
    slots.map((slot) => file.read(slot, page(0))),
    [true, false, false],
  );
  file.close();
});

test("a machine swaps to it, and hears of a page that is lost", () => {
  const file = new SwapFile(join(folder, "swap"), 400, 4096);
  const pages = 256;
  const m = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages }],
    minFreeKbytes: 64,
    bytes: new Uint8Array(pages * 4096),
  });
  const managed = managePages(m, { store: file });
  usePressure(managed);
  const handles: number[] = [];
  for (let i = 0; i < 400; i++) {
    const handle = newPage(managed, managed.gfp, "anon");
    assert.notEqual(handle, NO_HANDLE);
    handles.push(handle);
    bytesOf(m, touchPage(managed, handle, true), 0).fill(i);
  }
  handles.forEach((handle, i) => {
    const pfn = touchPage(managed, handle, false);
    assert.equal(bytesOf(m, pfn, 0)[4095], i & 0xff);
  });
  assert.ok(managed.counts.pswpout > 144 && managed.counts.pswpin > 144);
  truncateSync(file.path, 4096);
  const answers = handles.map((handle) => touchPage(managed, handle, false));
  assert.ok(answers.includes(LOST));
  file.close();
});
