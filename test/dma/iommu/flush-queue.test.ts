// Goal: S10: lazily freed blocks come back when the IOTLB has been flushed since, and only then, in the
// order and on the CPU of the kernel. Method: random programs on rings of eight beside arrays.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  createFlushQueue,
  fireFlushTimer,
  flushTimerArmed,
  queueIova,
  verifyFlushQueue,
  waitingEntries,
  waitingPages,
} from "../../../src/dma/iommu/flush-queue.ts";
import { createImage } from "../../../src/mm/image.ts";

const RING = 8;

interface Entry {
  readonly pfn: number;
  readonly at: number;
}

const op = fc.record({ kind: fc.constantFrom("unmap", "unmap", "unmap", "fire"), cpu: fc.nat(2) });

test("S10: random unmaps and timers give blocks back as arrays do", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 120, size: "max" }), (ops) => {
      const rule = { size: RING, timeoutMs: 10 };
      const queue = createFlushQueue(createImage(false), "0", rule, 3);
      const got: string[] = [];
      const hooks = {
        flushIotlb: () => void got.push("flush"),
        release: (pfn: number, pages: number, tables: number, cpu: number) =>
          void got.push(`${pfn} ${pages} ${tables} ${cpu}`),
      };
      const rings: Entry[][] = [[], [], []];
      const wanted: string[] = [];
      let flushes = 0;
      let armed = -1;
      const free = (ring: Entry[], cpu: number): void => {
        while ((ring[0]?.at ?? flushes) < flushes) {
          const pfn = ring.shift()?.pfn ?? 0;
          wanted.push(`${pfn} ${pfn * 2} ${pfn + 1} ${cpu}`);
        }
      };
      for (const [time, { kind, cpu }] of ops.entries()) {
        const ring = rings[cpu] ?? [];
        if (kind === "fire") {
          fireFlushTimer(queue, cpu, hooks);
          wanted.push("flush");
          flushes++;
          armed = -1;
          for (const one of rings) free(one, cpu);
        } else {
          queueIova(queue, time, time * 2, time + 1, cpu, time, hooks);
          free(ring, cpu);
          if (ring.length === RING - 1) {
            wanted.push("flush");
            flushes++;
            free(ring, cpu);
          }
          ring.push({ pfn: time, at: flushes });
          if (armed < 0) armed = time;
        }
        expect.deepEqual(got, wanted);
        expect.equal(flushTimerArmed(queue), armed);
        expect.deepEqual(verifyFlushQueue(queue), []);
        const waiting = rings.flat();
        expect.equal(waitingEntries(queue), waiting.length);
        expect.equal(
          waitingPages(queue),
          waiting.reduce((sum, { pfn }) => sum + pfn * 2, 0),
        );
      }
    }),
    { numRuns: 300 },
  );
});
