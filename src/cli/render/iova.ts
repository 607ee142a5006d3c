/** Addresses behind an IOMMU for people: what the engine gave out as the kernel did, domain by domain. */
import { formatCount } from "../../base/units.ts";
import type { IovaScore } from "../../replay/index.ts";
import type { Style } from "../terminal.ts";
import { paint, wrap } from "./paint.ts";
import { section } from "./plan-screen.ts";
import { type Column, table } from "./table.ts";

type Domain = IovaScore["domains"][number];

/** Nothing where no IOMMU translated. */
export function iovaSections(style: Style, iova: IovaScore | null): string[][] {
  if (iova === null) return [];
  const { allocations, predicted, firstDifference, assumed, tables } = iova;
  const lines = [
    ...table(style, COLUMNS, [...iova.domains]),
    ...pairLine(style, "addresses, with the recorded frees", allocations),
    ...predictedLine(style, predicted),
    ...pairLine(style, "sizes, from the API's calls", iova.sizes),
    ...pairLine(style, "limits, from the devices' masks", iova.limits),
    ...pairLine(style, "what the device gets", iova.handles),
    ...pairLine(style, "blocks of coherent memory", iova.coherent),
    ...(tables === null ? [] : pairLine(style, "pages for page tables", tables)),
  ];
  if (firstDifference !== null) {
    const { line, device, pages, ours, theirs } = firstDifference;
    const words = `first difference: line ${line}, ${pages} pages for ${device ?? "a device"}: page 0x${ours.toString(16)}, the kernel 0x${theirs.toString(16)}`;
    lines.push(...wrap(words, style.width - 4).map((one) => `  ${one}`));
  }
  if (assumed.length > 0) {
    lines.push(...wrap(`assumed: ${assumed.join("; ")}`, style.width - 4).map((one) => `  ${one}`));
  }
  return [section(style, `IOMMU: addresses, by the rules of ${iova.era}`, lines)];
}

const COLUMNS: readonly Column<Domain>[] = [
  { head: "group", align: "right", cell: ({ group }) => (group === null ? "-" : `${group}`) },
  { head: "devices", align: "left", cell: ({ devices }) => devices.join(" ") },
  { head: "unmaps", align: "left", cell: ({ mode }) => mode },
  {
    head: "addresses",
    align: "right",
    cell: ({ equal, recorded }) => `${formatCount(equal)}/${formatCount(recorded)}`,
    ink: ({ equal, recorded }) => (equal === recorded ? "good" : "bad"),
  },
];

function pairLine(
  style: Style,
  what: string,
  { recorded, equal }: { readonly recorded: number; readonly equal: number },
): string[] {
  if (recorded === 0) return [];
  const counts = `${formatCount(equal)} of ${formatCount(recorded)}`;
  return [`  ${what}: ${paint(style, equal === recorded ? "good" : "bad", counts)}`];
}

/** An honest number: a lazy flush waits for a tick that nothing tells. */
function predictedLine(
  style: Style,
  { recorded, equal, low, high }: IovaScore["predicted"],
): string[] {
  const range =
    low === high ? "" : `, ${formatCount(low)} to ${formatCount(high)} by where its tick lies`;
  const counts = `${formatCount(equal)} of ${formatCount(recorded)}${range}`;
  const words = `addresses, frees predicted: ${counts}`;
  return equal === recorded
    ? [`  addresses, frees predicted: ${paint(style, "good", counts)}`]
    : wrap(words, style.width - 4).map((one, i) => (i === 0 ? `  ${one}` : `    ${one}`));
}
