/** Several watches beside one run: each is told the same, in order. */
import type { Watch } from "./watch.ts";

export function watchAll(watches: readonly Watch[]): Watch {
  if (watches.length === 1) return watches[0];
  return {
    event: (e) => {
      for (const own of watches) own.event(e);
    },
    compacted: (row, order) => {
      for (const own of watches) own.compacted(row, order);
    },
    compactionDone: (e) => {
      for (const own of watches) own.compactionDone(e);
    },
    request: (e, asked, page) => {
      for (const own of watches) own.request(e, asked, page);
    },
    answered: (e, page) => {
      for (const own of watches) own.answered(e, page);
    },
    putDown: (e, type) => {
      for (const own of watches) own.putDown(e, type);
    },
    free: (e, order, past) => {
      for (const own of watches) own.free(e, order, past);
    },
    bulk: (gfp, pfns) => {
      for (const own of watches) own.bulk(gfp, pfns);
    },
    drained: (kind, zone, cpu) => {
      for (const own of watches) own.drained(kind, zone, cpu);
    },
    passEnds: (node, e) => {
      for (const own of watches) own.passEnds(node, e);
    },
    wake: (zone, order) => {
      for (const own of watches) own.wake(zone, order);
    },
  };
}
