// Goal: one event a page, for any page that a line can name. Method: random calls against a Map.
import { equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EventsByPage } from "../../src/replay/events-by-page.ts";
import type { ReplayEvent } from "../../src/replay/index.ts";
import { event } from "./made-up.ts";

test("sets, gets and takes as a Map does", () => {
  const pfn = fc.oneof(
    fc.nat(20),
    fc.constantFrom(-1, 0xffff, 0x10000, 2 ** 24 - 1, 2 ** 24, 2 ** 40, 0.5),
  );
  const call = fc.record({ pfn, kind: fc.constantFrom("set", "set", "get", "take") });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
      const own = new EventsByPage();
      const map = new Map<number, ReplayEvent>();
      for (const [i, { pfn, kind }] of calls.entries()) {
        const e = event(i, { pfn });
        const known = map.get(pfn) ?? null;
        if (kind === "set") {
          own.set(e);
          map.set(pfn, e);
        } else if (kind === "take") {
          equal(own.take(pfn), known);
          map.delete(pfn);
        } else equal(own.get(pfn), known);
      }
    }),
    { numRuns: 300 },
  );
});
