// Goal: recorded decisions of kswapd are held against the engine's, and one that the engine would not
// make counts as different. Method: a small machine with as many free pages as a case wants, and the
// events of its kswapd, right ones and wrong ones.
import { deepEqual, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { parseGfp } from "../../src/mm/gfp-text.ts";
import { Z_BOOST, Z_FREE, Z_HIGH, Z_LOW, ZONE_WORDS } from "../../src/mm/memory.ts";
import type { MachineFacts, ReplayEvent } from "../../src/replay/index.ts";
import { startState } from "../../src/replay/index.ts";
import { NO_FLAGS, ReclaimChecks } from "../../src/replay/reclaim-checks.ts";
import { allFree, event, FACTS } from "./made-up-kernel.ts";

const USER = "GFP_HIGHUSER_MOVABLE";
/** Highest zone of USER. */
const TOP = 3;

type Counted = "wakes" | "reclaims" | "runs" | "sleeps";

interface Stage {
  readonly checks: ReclaimChecks;
  /** Equal and recorded. */
  of(name: Counted): [number, number];
  /** Free pages of both zones, against a mark of theirs. */
  free(mark: number, more: number): void;
  boost(pages: number): void;
  see(kind: ReplayEvent["kind"], fields?: Partial<ReplayEvent>): void;
}

function stage(facts: MachineFacts = FACTS): Stage {
  const m = startState(allFree(), facts).value?.m ?? null;
  ok(m !== null);
  const none = (): { recorded: number; equal: number } => ({ recorded: 0, equal: 0 });
  const counts = { wakes: none(), reclaims: none(), runs: none(), sleeps: none() };
  const checks = new ReclaimChecks(m, (text) => parseGfp(text, m.gfp.era).value, counts);
  return {
    checks,
    of: (name) => [counts[name].equal, counts[name].recorded],
    free: (mark, more) => {
      for (const at of [0, ZONE_WORDS]) m.zone[at + Z_FREE] = (m.zone[at + mark] ?? 0) + more;
      // What the upper zone keeps from the lower one's requests would be in the way.
      m.zone.fill(0, 17, 25);
    },
    boost: (pages) => {
      m.zone[ZONE_WORDS + Z_BOOST] = pages;
    },
    see: (kind, fields = {}) => checks.before(event(kind, fields), false),
  };
}

describe("a wake-up", () => {
  test("is right where no zone is above its low mark, and wrong above", () => {
    const own = stage();
    own.free(Z_LOW, 0);
    own.see("wakeup", { gfp: USER });
    deepEqual(own.of("wakes"), [1, 1]);
    own.free(Z_LOW, 1);
    own.see("wakeup", { gfp: USER });
    deepEqual(own.of("wakes"), [1, 2]);
  });

  test("without flags is right once the request asks for it: unbalanced or boosted", () => {
    for (const [more, boost, equal] of [
      [0, 0, 1],
      [1, 0, 0],
      [1, 50, 1],
    ] as const) {
      const own = stage();
      own.free(Z_HIGH, more);
      own.boost(boost);
      own.see("wakeup", { gfp: NO_FLAGS });
      own.checks.asked(1, 0, TOP);
      own.checks.after(event("alloc"));
      deepEqual(own.of("wakes"), [equal, 1], `${more} ${boost}`);
    }
    const other = stage();
    other.free(Z_HIGH, 0);
    other.see("wakeup", { gfp: NO_FLAGS });
    other.checks.asked(1, 2, TOP);
    other.checks.after(event("alloc"));
    deepEqual(other.of("wakes"), [0, 1], "of another order");
  });
});

describe("a run of kswapd", () => {
  test("is of the largest order that was asked for since the last", () => {
    const own = stage();
    own.checks.asked(1, 3, TOP);
    own.checks.asked(1, 1, TOP);
    own.see("wakeup", { gfp: USER });
    own.see("kswapd", { order: 3 });
    own.see("wakeup", { gfp: USER });
    own.see("kswapd", { order: 3 });
    deepEqual(own.of("runs"), [1, 2]);
    own.see("wakeup", { gfp: USER, order: 2 });
    own.see("kswapd", { order: 2 });
    deepEqual(own.of("runs"), [2, 3]);
  });

  test("that nobody woke goes on because its node is not balanced", () => {
    const own = stage();
    own.see("wakeup", { gfp: USER });
    own.see("kswapd");
    own.free(Z_HIGH, 0);
    own.see("kswapd");
    deepEqual(own.of("runs"), [2, 2]);
    own.free(Z_HIGH, 1);
    own.see("kswapd");
    deepEqual(own.of("runs"), [2, 3]);
  });

  test("may be of an order that a request asked for that may have tried again", () => {
    for (const order of [0, 2, 1]) {
      const own = stage();
      own.see("reclaim-end");
      own.checks.asked(1, 2, TOP);
      own.see("wakeup", { gfp: USER });
      own.see("kswapd", { order });
      deepEqual(own.of("runs"), [order === 1 ? 0 : 1, 1], String(order));
    }
  });
});

describe("kswapd sleeps", () => {
  test("where its node is balanced, and while it is, whoever asks", () => {
    const own = stage();
    own.free(Z_HIGH, 0);
    own.see("kswapd-sleep");
    deepEqual(own.of("sleeps"), [0, 1]);
    own.free(Z_HIGH, 1);
    own.see("kswapd-sleep");
    own.checks.asked(1, 0, TOP);
    deepEqual(own.of("sleeps"), [2, 3]);
    own.boost(1);
    own.checks.asked(1, 0, TOP);
    deepEqual(own.of("sleeps"), [2, 4], "a boost would have woken it");
    own.see("wakeup", { gfp: USER });
    own.checks.asked(1, 0, TOP);
    deepEqual(own.of("sleeps"), [2, 4], "it is awake");
  });

  const runs = (own: Stage, count: number): void => {
    own.free(Z_HIGH, 0);
    for (let i = 0; i < count; i++) own.see("kswapd");
  };

  test("once 16 runs have freed little, till a request frees something", () => {
    for (const [count, equal] of [
      [15, 0],
      [16, 2],
    ] as const) {
      const own = stage();
      runs(own, count);
      own.see("kswapd-sleep");
      own.checks.asked(1, 0, TOP);
      deepEqual(own.of("sleeps"), [equal, 2], String(count));
      own.see("reclaim-end", { a: 1 });
      own.checks.asked(1, 0, TOP);
      deepEqual(own.of("sleeps"), [equal + Math.min(equal, 1), 3]);
      own.see("reclaim-end", { a: 2 });
      own.checks.asked(1, 0, TOP);
      deepEqual(own.of("sleeps"), [equal + Math.min(equal, 1), 4]);
    }
  });

  test("not after 16 runs of which one freed a cluster", () => {
    for (const [freed, equal] of [
      [31, 1],
      [32, 0],
    ] as const) {
      const own = stage();
      runs(own, 15);
      for (let i = 0; i < freed; i++) own.see("free", { kswapd: true });
      own.see("free", { kswapd: true, interrupt: true });
      own.see("free");
      own.see("kswapd");
      own.see("kswapd-sleep");
      deepEqual(own.of("sleeps"), [equal, 1], String(freed));
    }
  });
});

test("a reclaim is right where the request has no zone left", () => {
  const own = stage();
  own.free(Z_LOW, 100);
  own.see("reclaim", { gfp: USER });
  own.free(Z_LOW, -100_000);
  own.see("reclaim", { gfp: USER });
  deepEqual(own.of("reclaims"), [1, 2]);
});
