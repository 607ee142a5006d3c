/**
 * Pages of a shared memory for other workers:
 *
 *   const pages = managePages(bootMemory({ …, shared: true }), { store });
 *   worker.postMessage(sharePages(pages));
 *   // there
 *   const pages = attachPages(ticket, 1);      pages.m is the memory
 *   usePressure(pages);
 *
 * Handles, lists and CMA areas are everybody's. Owners that are asked stay in their
 * worker, and so does a store that is no `SharedStore`: there alone dirty pages are
 * reclaimed and come back, others move them. Who waits for messages is `idle` meanwhile: ranges and
 * requests that find nothing ask every CPU for its lists. `recoverPages` is for workers that died.
 */
import { assert } from "../../base/assert.ts";
import { detach } from "../drain-all.ts";
import { attachMemory, type SharedMemory, shareMemory } from "../share.ts";
import { attachCma, type CmaPlace } from "./cma.ts";
import { layPages, type PageStore, type Pages, W_STORE } from "./pages.ts";
import { SharedStore, type SharedStoreTicket } from "./shared-store.ts";

/** What a worker needs to attach: plain data for postMessage. */
export interface SharedPages {
  readonly memory: SharedMemory;
  readonly handles: number;
  readonly migration: boolean;
  readonly swappiness: number;
  readonly proactiveness: number;
  readonly areas: readonly CmaPlace[];
  /** Null where the store is one worker's. */
  readonly store: SharedStoreTicket | null;
}

/** The ticket to a shared memory whose pages may move or go; CMA areas are created before. */
export function sharePages(pages: Pages): SharedPages {
  const { m, migration, swappiness, compaction, store, areas, kind } = pages;
  return {
    memory: shareMemory(m),
    handles: kind.length,
    migration,
    swappiness,
    proactiveness: compaction.proactiveness,
    areas: areas.map(({ name, basePfn, count, orderPerBit }) => ({
      name,
      basePfn,
      count,
      orderPerBit,
    })),
    store: store?.shared?.ticket ?? null,
  };
}

/**
 * The memory and its pages as CPU `cpu`, for one worker at a time. `store` is this worker's own, where
 * nobody has one: asserted, as is what `attachMemory` asserts.
 */
export function attachPages(shared: SharedPages, cpu: number, store?: PageStore): Pages {
  const { handles, migration, swappiness, proactiveness } = shared;
  const m = attachMemory(shared.memory, cpu);
  const common = shared.store === null ? null : new SharedStore(shared.store, cpu);
  const options = {
    handles,
    migration,
    swappiness,
    compactionProactiveness: proactiveness,
  };
  const pages = layPages(m, options, store ?? common);
  assert(pages.shared !== null, "this memory was not made with shared: true");
  if (store !== undefined) {
    const { words } = pages.shared;
    const isOnly = common === null && Atomics.compareExchange(words, W_STORE, 0, cpu + 1) === 0;
    if (!isOnly) detach(m);
    assert(isOnly, "the pages have a store already");
  }
  for (const place of shared.areas) attachCma(pages, place);
  return pages;
}
