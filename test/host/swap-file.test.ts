// Goal: a swap file gives back what was written or says that it cannot, whatever happens to the file.
// Method: real files; pages written and read in random order beside a table; bytes changed, pages torn
// and swapped for older ones behind its back; a machine that swaps to it.
import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
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
const HEADER = 4096;
const STRIDE = PAGE + 16;
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
