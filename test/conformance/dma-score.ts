// Replays the recordings of corpus/dma: what `npm run conformance` prints of them and what
// docs/fidelity.md says.
import type { DmaReplay } from "../../src/replay/index.ts";
import { recordedDma, runDma } from "../replay/dma/recorded-dma.ts";

export interface DmaRow {
  readonly name: string;
  readonly replay: DmaReplay;
}

export async function scoreDma(name: string): Promise<DmaRow> {
  return { name, replay: await runDma(await recordedDma(name)) };
}

/** Equal of compared, by what was asked. */
function pairsOf({ score, used, highWater, facts }: DmaReplay): [string, number, number][] {
  const { coherent } = score;
  const sums = {
    decisions: 0,
    right: 0,
    bounces: 0,
    slots: 0,
    dmas: 0,
    addresses: 0,
    refusals: 0,
    refused: 0,
  };
  for (const own of score.devices.values()) {
    sums.decisions += own.decisions;
    sums.right += own.decisionsEqual;
    sums.bounces += own.bounces;
    sums.slots += own.slotsEqual;
    sums.dmas += own.dmas;
    sums.addresses += own.dmaEqual;
    sums.refusals += own.refusals;
    sums.refused += own.refusalsEqual;
  }
  const told = (kernel: number | null, ours: number): [number, number] =>
    kernel === null ? [0, 0] : [kernel === ours ? 1 : 0, 1];
  return [
    ["bounce or not", sums.right, sums.decisions],
    ["slot", sums.slots, sums.bounces],
    ["address", sums.addresses, sums.dmas],
    ["refused", sums.refused, sums.refusals],
    ["in use at the end", ...told(facts.usedAfter, used)],
    ["most in use", ...told(facts.highWater, highWater)],
    ["coherent: zone", coherent.zoneEqual, coherent.recorded],
    ["order", coherent.orderEqual, coherent.requests],
    ["flags", coherent.gfpEqual, coherent.requests],
  ];
}

export function isDmaExact({ replay }: DmaRow): boolean {
  return pairsOf(replay).every(([, equal, all]) => equal === all);
}

/** "slot 302 of 302, …" */
export function dmaWords({ replay }: DmaRow): string {
  return pairsOf(replay)
    .filter(([, , all]) => all > 0)
    .map(([what, equal, all]) => `${what} ${equal} of ${all}`)
    .join(", ");
}

export function dmaTable(rows: readonly DmaRow[]): string[] {
  const [first] = rows;
  if (first === undefined) return [];
  const columns = pairsOf(first.replay).map(([what]) => what);
  const cells = rows.map(({ name, replay }) => {
    const pairs = pairsOf(replay).map(([, equal, all]) => (all === 0 ? "–" : `${equal}/${all}`));
    return `| ${[name, replay.facts.upstream, ...pairs].join(" | ")} |`;
  });
  const head = ["recording", "kernel", ...columns];
  const line = head.map((_, i) => (i < 2 ? "---" : "--:"));
  return [`| ${head.join(" | ")} |`, `| ${line.join(" | ")} |`, ...cells];
}
