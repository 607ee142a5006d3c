// Goal: a snapshot is the whole state, costs what was touched, and cannot be put where it does not
// belong. Method: round trips on memories that go on differently and come back; sizes on a
// terabyte; refusals one by one; images of random writes beside plain arrays.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import {
  addChunkedRegion,
  addRegion,
  adoptRegion,
  createImage,
  diff,
  equal,
  IMAGE_VERSION,
  type Image,
  restore,
  type Snapshot,
  snapshot,
} from "../../src/mm/image.ts";
import type { Memory } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";

const KERNEL = 0xcc0;

const machine = (pages: number, shared = false): Memory =>
  bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages }], shared });

const bytesOf = (saved: Snapshot): number =>
  saved.regions
    .flatMap((region) => region.chunks)
    .reduce((sum, chunk) => sum + chunk.bytes.length, 0);

test("a restored memory answers as it did the first time", () => {
  const m = machine(2 ** 16);
  for (let i = 0; i < 100; i++) allocPages(m, KERNEL, i % 4);
  const saved = snapshot(m.image);
  const first = Array.from({ length: 500 }, (_, i) => allocPages(m, KERNEL, i % 5));
  const after = snapshot(m.image);
  expect.equal(restore(m.image, saved), null);
  expect.ok(equal(snapshot(m.image), saved));
  expect.deepEqual(verify(m), []);
  const second = Array.from({ length: 500 }, (_, i) => allocPages(m, KERNEL, i % 5));
  expect.deepEqual(second, first);
  expect.deepEqual(diff(snapshot(m.image), after), []);
});

test("a snapshot goes into another memory that was built alike", () => {
  for (const shared of [false, true]) {
    const from = machine(2 ** 15, shared);
    const pfn = allocPages(from, KERNEL, 3);
    const saved = snapshot(from.image);
    const to = machine(2 ** 15, shared);
    allocPages(to, KERNEL, 9);
    expect.equal(restore(to.image, saved), null);
    expect.ok(equal(snapshot(to.image), saved));
    freePages(to, pfn, 3);
    expect.deepEqual(verify(to), []);
    // A shared memory also knows whose each page is.
    const other = machine(2 ** 15, !shared);
    expect.equal(restore(other.image, saved), "the snapshot has other regions than the image");
  }
});

test("diff names the region and the first byte of each chunk that differs", () => {
  const m = machine(2 ** 15);
  const before = snapshot(m.image);
  m.zone[3] = (m.zone[3] ?? 0) + 256;
  m.state[m.firstRow + 77] = 0x40;
  expect.deepEqual(diff(before, snapshot(m.image)), [
    { region: "state", byte: m.firstRow + 77 },
    { region: "zone", byte: 13 },
  ]);
});

test("chunks that were touched later are named in their order", () => {
  const { image, chunked, touched } = smallImage(8);
  const saved = snapshot(image);
  for (const chunk of [2, 5, 6]) {
    touched[chunk] = 1;
    chunked[chunk * 16 + 3] = 1;
  }
  const places = diff(saved, snapshot(image)).filter((own) => own.region === "chunked");
  expect.deepEqual(
    places.map((own) => own.byte),
    [35, 83, 99],
  );
});

test("a terabyte: boots, allocates and is copied at the price of what was touched", () => {
  const m = machine(2 ** 28);
  const empty = bytesOf(snapshot(m.image));
  expect.ok(empty < 2 ** 23, `${empty} bytes untouched`);
  const pfns = Array.from({ length: 3000 }, () => allocPages(m, KERNEL, 0));
  const saved = snapshot(m.image);
  // 3000 pages lie in one section; its columns have 9 bytes a frame.
  expect.ok(bytesOf(saved) - empty <= 9 * 2 ** m.sectionShift, `${bytesOf(saved)} bytes touched`);
  for (const pfn of pfns) freePages(m, pfn, 0);
  // Their three blocks are in pieces on the per-CPU list: the fourth is next.
  expect.equal(allocPages(m, KERNEL, 10), 3072);
  expect.equal(restore(m.image, saved), null);
  expect.ok(equal(snapshot(m.image), saved));
  expect.deepEqual(verify(m), []);
});

test("restoring clears sections that were touched later", () => {
  const m = machine(2 ** 18);
  const saved = snapshot(m.image);
  const touched = m.touched.filter((mark) => mark === 1).length;
  while (m.touched.filter((mark) => mark === 1).length < touched + 3) allocPages(m, KERNEL, 10);
  expect.equal(restore(m.image, saved), null);
  expect.equal(m.touched.filter((mark) => mark === 1).length, touched);
  expect.deepEqual(verify(m), [], "I2 is checked on this size");
});

test("a snapshot that does not belong is refused with its reason, and nothing changes", () => {
  const m = machine(2 ** 15);
  allocPages(m, KERNEL, 2);
  const saved = snapshot(m.image);
  const [first, ...rest] = saved.regions;
  expect.ok(first !== undefined);
  const foreign: readonly (readonly [Snapshot, string])[] = [
    [
      { ...saved, version: IMAGE_VERSION + 1 },
      `the snapshot has version ${IMAGE_VERSION + 1}, newer than ${IMAGE_VERSION}`,
    ],
    [{ ...saved, regions: rest }, "the snapshot has other regions than the image"],
    [
      { ...saved, regions: [...rest, { ...first, name: "other" }] },
      'the image has no region "other"',
    ],
    [
      { ...saved, regions: [...rest, { ...first, byteLength: 3 }] },
      `region "${first.name}" has another size`,
    ],
    [snapshot(machine(2 ** 17).image), 'region "touched" has another size'],
  ];
  for (const [other, reason] of foreign) {
    expect.equal(restore(m.image, other), reason);
    expect.ok(equal(snapshot(m.image), saved));
  }
});

test("bytes of the caller are copied out and back where they lie", () => {
  const ram = new Uint8Array(64).fill(9);
  const image = createImage(false);
  adoptRegion(image, "ram", ram.buffer, 16, 32);
  const saved = snapshot(image);
  ram.fill(5);
  expect.deepEqual(diff(saved, snapshot(image)), [{ region: "ram", byte: 0 }]);
  expect.equal(restore(image, saved), null);
  expect.deepEqual(
    [...ram],
    Array.from(ram, (_, i) => (i >= 16 && i < 48 ? 9 : 5)),
  );
});

test("I1: two regions of one name are a bug", () => {
  const image = createImage(false);
  addRegion(image, "a", 8);
  expect.throws(() => addRegion(image, "a", 8), { message: /^I1/ });
});

test("random writes: restore and diff agree with plain copies", () => {
  const CHUNKS = 8;
  const write = fc.record({
    plain: fc.boolean(),
    at: fc.nat(CHUNKS * 16 - 1),
    value: fc.nat(255),
  });
  const writes = fc.array(write, { maxLength: 30 });
  fc.assert(
    fc.property(writes, writes, (early, late) => {
      const { image, plain, chunked, touched } = smallImage(CHUNKS);
      const put = (list: typeof early): void => {
        for (const one of list) {
          if (!one.plain) touched[one.at >> 4] = 1;
          (one.plain ? plain : chunked)[one.at] = one.value;
        }
      };
      put(early);
      const saved = snapshot(image);
      const kept = { plain: [...plain], chunked: [...chunked] };
      put(late);
      const places = diff(saved, snapshot(image));
      const changed = chunked.findIndex((byte, i) => byte !== kept.chunked[i]);
      const named = places.filter((place) => place.region === "chunked").map((place) => place.byte);
      expect.equal(Math.min(...named, 999), changed < 0 ? 999 : changed);
      expect.equal(restore(image, saved), null);
      expect.deepEqual({ plain: [...plain], chunked: [...chunked] }, kept);
      expect.ok(equal(saved, snapshot(image)));
    }),
  );
});

function smallImage(chunks: number): {
  image: Image;
  plain: Uint8Array;
  chunked: Uint8Array;
  touched: Uint8Array;
} {
  const image = createImage(false);
  const size = chunks * 16;
  const touched = new Uint8Array(addRegion(image, "touched", chunks).buffer);
  const plain = new Uint8Array(addRegion(image, "plain", size).buffer);
  const chunked = new Uint8Array(addChunkedRegion(image, "chunked", size, 4, touched).buffer);
  return { image, plain, chunked, touched };
}
