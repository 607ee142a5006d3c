/**
 * Owners that are asked: they are told where their pages went, and may give them up.
 *
 * In a shared memory an owner lives in the worker that registered it. There its
 * pages move and age like others; to other workers they are locked.
 *
 * Linux: struct address_space_operations (migrate_folio, release_folio); movable_operations, mm/migrate.c
 */
import { assert } from "../../base/assert.ts";
import { KIND_MASK, MOBILE, rowOf, TAKEN } from "../memory.ts";
import { isAskedHere, numberOfOwner, ownerWord } from "./handle-lock.ts";
import { claimRow, forget, markAccessed } from "./handles.ts";
import { addLru } from "./lru.ts";
import type { PageOwner, Pages } from "./pages.ts";

/** Registers an owner that is asked; its number is what `ownPages` takes in this worker. */
export function addOwner(pages: Pages, owner: PageOwner): number {
  return pages.owners.push(owner);
}

/** The owner that `handleOf` names; none where it is another worker's. */
export function ownerOf(pages: Pages, word: number): PageOwner | undefined {
  return isAskedHere(pages, word) ? pages.owners[numberOfOwner(word) - 1] : undefined;
}

/**
 * A block that the caller allocated belongs to an owner: it may be moved, and where the owner gives
 * pages up it ages like other pages. Asserts that it is allocated, nobody's, and this CPU's.
 */
export function ownPages(pages: Pages, pfn: number, owner: number): void {
  const { m } = pages;
  const row = rowOf(m, pfn);
  const kind = row < 0 ? 0 : m.state[row] & KIND_MASK;
  assert(kind === TAKEN || kind === MOBILE, "this does not head an allocated block", pfn);
  assert(pages.handleOf[row] === 0, "it belongs to somebody", pfn);
  const isOurs = m.cpus === null || m.owner[row] >> 8 === m.cpu + 1;
  assert(isOurs, "it belongs to another CPU", pfn);
  const own = pages.owners[owner - 1];
  assert(own !== undefined, "no such owner", owner);
  claimRow(pages, row, ownerWord(pages, owner));
  pages.flags[row] = 0;
  if (own.mayFree !== undefined) addLru(pages, row);
}

/** The block is used: of two that may go, the one that was used longer ago goes first. Linux: folio_mark_accessed() */
export function usePages(pages: Pages, pfn: number): void {
  markAccessed(pages, rowOfOwned(pages, pfn));
}

/** The owner frees the block or passes it on, or nobody is to move it any more: before `freePages`, `passTo`. */
export function disownPages(pages: Pages, pfn: number): void {
  forget(pages, rowOfOwned(pages, pfn));
}

function rowOfOwned(pages: Pages, pfn: number): number {
  const row = rowOf(pages.m, pfn);
  const word = row < 0 ? 0 : pages.handleOf[row];
  assert(word < 0, "no owner is registered for this block", pfn);
  assert(isAskedHere(pages, word), "its owner is in another worker", pfn);
  return row;
}

/** Whether the owner takes the block at its new place. Linux: migrate_folio() */
export function askMoved(
  pages: Pages,
  word: number,
  from: number,
  to: number,
  order: number,
): boolean {
  return ask(pages, () => ownerOf(pages, word)?.moved?.(from, to, order) === true);
}

/** Whether the owner gives the block up. Linux: release_folio() */
export function askFree(pages: Pages, word: number, pfn: number, order: number): boolean {
  return ask(pages, () => ownerOf(pages, word)?.mayFree?.(pfn, order) === true);
}

function ask(pages: Pages, question: () => boolean): boolean {
  pages.asking = true;
  try {
    return question();
  } finally {
    pages.asking = false;
  }
}
