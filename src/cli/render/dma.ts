/** Drivers' calls of a recording for people: what the engine found alike, and what another pool would do. */
import { formatBytes, formatCount } from "../../base/units.ts";
import type { DmaDeviceScore, DmaReplay, DmaWhatIf, DmaWhatIfDevice } from "../../replay/index.ts";
import type { Style } from "../terminal.ts";
import { paint, wrap } from "./paint.ts";
import { section } from "./plan-screen.ts";
import { seconds } from "./replay-timeline.ts";
import { type Column, table } from "./table.ts";

const SLOT_BYTES = 2048;

/** Nothing where no calls were recorded. */
export function dmaSections(style: Style, dma: DmaReplay | null): string[][] {
  if (dma === null) return [];
  const { facts, score, used, highWater, whatIf } = dma;
  const { pool } = facts;
  const where =
    pool === null
      ? "no bounce pool"
      : `pool ${formatCount(pool.slots)} slots (${formatBytes(pool.slots * SLOT_BYTES)}) at 0x${pool.start.toString(16)}, areas ${pool.areas}${facts.force ? ", every mapping bounces" : ""}`;
  const lines = [
    `  ${where}`,
    ...table(style, COLUMNS, [...score.devices.values()]),
    ...against(style, "slots in use at the end", used, facts.usedAfter),
    ...against(style, "most slots in use", highWater, facts.highWater),
    ...coherentLine(style, dma),
  ];
  const screen = section(style, "DMA: drivers' calls, driven by what they asked", lines);
  return whatIf === null ? [screen] : [screen, whatIfSection(style, whatIf)];
}

const COLUMNS: readonly Column<DmaDeviceScore>[] = [
  { head: "device", align: "left", cell: ({ name, driver }) => `${name} ${driver}`.trim() },
  { head: "maps", align: "right", cell: ({ maps, entries }) => formatCount(maps + entries) },
  pairColumn("bounce or not", ({ decisionsEqual, decisions }) => [decisionsEqual, decisions]),
  pairColumn("slots", ({ slotsEqual, bounces }) => [slotsEqual, bounces]),
  pairColumn("addresses", ({ dmaEqual, dmas }) => [dmaEqual, dmas]),
  { head: "copied", align: "right", cell: ({ bytes }) => formatBytes(bytes), importance: 1 },
];

function pairColumn(
  head: string,
  of: (own: DmaDeviceScore) => readonly [number, number],
): Column<DmaDeviceScore> {
  return {
    head,
    align: "right",
    cell: (own) => {
      const [equal, all] = of(own);
      return all === 0 ? "-" : `${formatCount(equal)}/${formatCount(all)}`;
    },
    ink: (own) => {
      const [equal, all] = of(own);
      return all === 0 ? "dim" : equal === all ? "good" : "bad";
    },
  };
}

function against(style: Style, what: string, ours: number, kernel: number | null): string[] {
  if (kernel === null) return [`  ${what}: ${formatCount(ours)}, the kernel's is not told`];
  const isEqual = ours === kernel;
  const text = isEqual ? "equal" : `the kernel says ${formatCount(kernel)}`;
  return [`  ${what}: ${formatCount(ours)}, ${paint(style, isEqual ? "good" : "bad", text)}`];
}

function coherentLine(style: Style, { score: { coherent } }: DmaReplay): string[] {
  const { recorded, zoneEqual, requests, orderEqual, gfpEqual } = coherent;
  if (recorded === 0) return [];
  const isEqual = zoneEqual === recorded && orderEqual === requests && gfpEqual === requests;
  const counts = `zone ${zoneEqual}/${recorded}, order ${orderEqual}/${requests}, flags ${gfpEqual}/${requests}`;
  return [`  coherent allocations: ${paint(style, isEqual ? "good" : "bad", counts)}`];
}

const WHAT_IF: readonly Column<DmaWhatIfDevice>[] = [
  { head: "device", align: "left", cell: ({ name, driver }) => `${name} ${driver}`.trim() },
  bothColumn("bounces", ({ bounces }) => bounces, formatCount),
  bothColumn("slots", ({ slots }) => slots, formatCount),
  bothColumn("copied", ({ bytes }) => bytes, formatBytes),
  {
    head: "refused",
    align: "right",
    cell: ({ refused }) => formatCount(refused),
    ink: ({ refused }) => (refused > 0 ? "bad" : "dim"),
  },
];

function bothColumn(
  head: string,
  of: (own: DmaWhatIfDevice) => { readonly recorded: number; readonly changed: number },
  words: (value: number) => string,
): Column<DmaWhatIfDevice> {
  const isSame = (own: DmaWhatIfDevice): boolean => of(own).recorded === of(own).changed;
  return {
    head,
    align: "right",
    cell: (own) => {
      const { recorded, changed } = of(own);
      return isSame(own) ? words(changed) : `${words(recorded)} > ${words(changed)}`;
    },
    ink: (own) => (isSame(own) ? "dim" : null),
  };
}

function whatIfSection(style: Style, whatIf: DmaWhatIf): string[] {
  const { asked, pool, peak, firstRefusal, smallest, devices } = whatIf;
  const slots = pool === null ? "no pool" : `${formatCount(pool.slots)} slots, areas ${pool.areas}`;
  const facts = [`swiotlb=${asked}: ${slots}${whatIf.force ? ", every mapping bounces" : ""}`];
  for (const { name, cut, maxMapping } of devices) {
    if (cut === null) continue;
    facts.push(
      `${name}: ${formatCount(cut.requests)} requests above ${formatBytes(maxMapping ?? 0)} become ${formatCount(cut.became)}, taken as one stream; as they were, ${formatCount(cut.segments)} segments would have been refused`,
    );
  }
  const range =
    peak.low === peak.high
      ? ""
      : `, ${formatCount(peak.low)} to ${formatCount(peak.high)} by how long copies take`;
  facts.push(
    `most slots in use: ${formatCount(peak.changed)} (recorded ${formatCount(peak.recorded)})${range}`,
  );
  if (firstRefusal !== null) {
    const { line, time, device, bytes, used } = firstRefusal;
    facts.push(
      `first refused: ${formatBytes(bytes)} for ${device} at ${seconds(time)}, line ${line}, ${formatCount(used)} slots in use; what a driver does then is not modelled`,
    );
  }
  facts.push(smallestWords(smallest));
  const bullets = facts.flatMap((fact) =>
    wrap(fact, style.width - 4).map((line, i) => (i === 0 ? `  ${line}` : `    ${line}`)),
  );
  return section(style, "What if: bounce buffers", [...bullets, ...table(style, WHAT_IF, devices)]);
}

function smallestWords({ recorded, high }: DmaWhatIf["smallest"]): string {
  const pool = (slots: number | null): string =>
    slots === null ? "none up to 1 GiB" : `swiotlb=${slots} (${formatBytes(slots * SLOT_BYTES)})`;
  const safe = high === recorded ? "" : `; ${pool(high)} whenever requests end`;
  return `smallest pool that refuses nothing: ${pool(recorded)}${safe}`;
}
