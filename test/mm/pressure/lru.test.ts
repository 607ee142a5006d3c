// Goal: a page that is locked in memory is out of reclaim's sight where lists belong to nodes (4.8), and
// only there. Method: one page, locked and unlocked, and the list that counts it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lockPage, newPage, unlockPage } from "../../../src/mm/index.ts";
import { L_ACTIVE, L_ANON, L_INACTIVE, L_UNEVICTABLE } from "../../../src/mm/pressure/pages.ts";
import { machine } from "../../support/pressure-life.ts";

for (const [era, locked, unlocked] of [
  ["6.1", L_UNEVICTABLE, L_ANON + L_INACTIVE],
  ["2.6", L_ACTIVE, L_ACTIVE],
] as const) {
  test(`${era}: a locked page is on list ${locked}, an unlocked one on list ${unlocked}`, () => {
    const { pages } = machine(era, 10, true);
    const lists = (): number[] =>
      [...pages.lru].flatMap((size, at) => (size > 0 ? [at % (pages.lru.length / 2)] : []));
    const handle = newPage(pages, pages.gfp, "anon");
    lockPage(pages, handle);
    assert.deepEqual(lists(), [locked]);
    unlockPage(pages, handle);
    assert.deepEqual(lists(), [unlocked]);
  });
}
