// Goal: compaction is begun, put off and tried again when real kernels did. Method: events of recorded traces
// (test/mm/fixtures/compaction-*.txt say where from), each decision asked of the engine with what came before
// as its state; then compared with what was recorded.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { bootMemory, managePages } from "../../../src/mm/index.ts";
import {
  Z_BLOCKS,
  Z_BOOST,
  Z_FREE,
  Z_LOW,
  Z_MIN,
  Z_ORDERS_OF,
  Z_RESERVE,
  ZONE_WORDS,
} from "../../../src/mm/memory.ts";
import {
  deferCompaction,
  endDeferral,
  isDeferred,
} from "../../../src/mm/pressure/compact-defer.ts";
import { newTries, shouldRetry } from "../../../src/mm/pressure/compact-request.ts";
import { compactionSuitable } from "../../../src/mm/pressure/compact-suitable.ts";
import type { Pages } from "../../../src/mm/pressure/pages.ts";

const linesOf = (name: string): string[] =>
  readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8")
    .trim()
    .split("\n");

const ZONES = ["DMA", "DMA32"];

function machine(): Pages {
  return managePages(
    bootMemory({ zones: ZONES.map((name, i) => ({ name, startPfn: i * 4096, pages: 4096 })) }),
  );
}

test("a zone is fit for compaction when it was", () => {
  const { m } = machine();
  const counts = new Map<string, number>();
  for (const line of linesOf("compaction-suitable.txt")) {
    if (line.startsWith("#")) continue;
    const [name = "", order, result = "", ...words] = line.split(" ");
    const zone = ZONES.indexOf(name);
    const at = zone * ZONE_WORDS;
    const [free = 0, min = 0, low = 0, boost = 0, reserve = 0, ...blocks] = words.map(Number);
    m.zone[at + Z_FREE] = free;
    m.zone[at + Z_MIN] = min;
    m.zone[at + Z_LOW] = low;
    m.zone[at + Z_BOOST] = boost;
    m.zone[at + Z_RESERVE + 1] = reserve;
    m.zone.set(blocks, at + Z_BLOCKS);
    m.zone.fill(0, at + Z_ORDERS_OF, at + Z_ORDERS_OF + 6);
    m.zone[at + Z_ORDERS_OF + 1] = blocks.reduce(
      (bits, n, own) => bits | (Number(n > 0) << own),
      0,
    );
    equal(compactionSuitable(m, zone, Number(order), 0, 1), result, line);
    counts.set(result, (counts.get(result) ?? 0) + 1);
  }
  ok([...counts.values()].every((count) => count >= 5) && counts.size === 3);
});

interface Task {
  readonly order: number;
  /** What its last run came to; how often the end of putting off was told since it began. */
  status: string;
  ends: number;
}

/** What is told of zones and orders in a line. */
function told(rest: string): { zone: number; order: number; words: number[] } {
  const [, zone = "", order = ""] = /zone=(\S+) order=(-?\d+)/.exec(rest) ?? [];
  const words = /order_failed=(-?\d+) consider=(\d+) limit=(\d+)/.exec(rest)?.slice(1).map(Number);
  return { zone: ZONES.indexOf(zone), order: Number(order), words: words ?? [] };
}

describe("compaction is put off when it was", () => {
  const traces: [string, string[]][] = [];
  for (const line of linesOf("compaction-defer.txt").slice(2)) {
    if (line.startsWith("#")) traces.push([line, []]);
    else traces.at(-1)?.[1].push(line);
  }
  for (const [name, lines] of traces) {
    test(name, () => {
      const pages = machine();
      const { compaction } = pages;
      const tasks = new Map<string, Task>();
      let events = 0;
      for (const line of lines) {
        const [, pid = "", kind, rest = ""] = /^(\d+) (\w+): (.*)$/.exec(line) ?? [];
        const task = tasks.get(pid);
        const { zone, order, words } = told(rest);
        const now = (): number[] => {
          const [considered = 0, shift = 0, failed = 0] = compaction.zone.slice(zone * 4);
          return [failed, considered, 1 << shift];
        };
        if (kind === "kcompactd_wake" || kind === "try_to_compact_pages") {
          const own = Number(/order=(\d+)/.exec(rest)?.[1]);
          tasks.set(pid, { order: own, status: "", ends: 0 });
        } else if (kind === "suitable") {
          // It came to this, so it was not put off.
          equal(task?.order, order, line);
          equal(isDeferred(compaction, zone, order), false, line);
          events++;
        } else if (kind === "deferred") {
          equal(isDeferred(compaction, zone, order), true, line);
          deepEqual(now(), words, line);
          events++;
        } else if (kind === "end" && task !== undefined) {
          task.status = rest.slice("status=".length);
        } else if (kind === "defer_compaction") {
          ok(task?.status === "complete" || task?.status === "partial_skipped", line);
          deferCompaction(compaction, zone, order);
          deepEqual(now(), words, line);
          events++;
        } else if (kind === "defer_reset" && task !== undefined) {
          // First the run says that there should be a block, then the request has it.
          endDeferral(compaction, zone, order, task.ends++ > 0);
          deepEqual(now(), words, line);
          events++;
        } else if (kind === "compact_retry") {
          const tries = { ...newTries(), result: "partial_skipped" } as const;
          const request = { gfp: 0, order: 9, type: 1, highest: 1, list: 0, flags: 0 };
          ok(rest.includes("compaction_result=withdrawn") && rest.includes("PRIO_SYNC_LIGHT"));
          equal(shouldRetry(pages, request, { ...tries }), rest.includes("should_retry=1"));
        }
      }
      ok(events > 10, `${events} decisions`);
    });
  }
});
