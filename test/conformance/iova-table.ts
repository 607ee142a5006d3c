// The part of docs/fidelity.md about addresses behind an IOMMU.
import type { TraceScore } from "./trace-score.ts";

const WORDS = [
  "",
  "## Addresses behind an IOMMU",
  "",
  "Every answer of `alloc_iova_fast` in recordings of machines whose IOMMU translates. *address* is with",
  "the recorded frees, *frees predicted* where the engine frees by itself: strict unmaps free at once,",
  "lazy ones by a timer, and where the tick lay that it waits for no recording tells; the number is for",
  "ticks at whole multiples of the trace's clock, in brackets the least and most over 16 places. *size*",
  "is computed from the call of the DMA API, *handle* is what the device got, *coherent* the blocks that",
  "such memory is made of, *tables* the pages that each mapping took for page tables.",
  "",
];

export function iovaSection(traces: readonly TraceScore[]): string[] {
  const rows = traces.flatMap(({ name, iova }) => {
    if (iova === null) return [];
    const { allocations, predicted, sizes, handles, coherent, tables } = iova;
    const range =
      predicted.low === predicted.high ? "" : ` (${predicted.low} to ${predicted.high})`;
    const cells = [
      name,
      iova.era,
      [...new Set(iova.domains.map(({ mode }) => mode))].join(", "),
      pair(allocations),
      `${pair(predicted)}${range}`,
      pair(sizes),
      pair(handles),
      pair(coherent),
      tables === null ? "–" : pair(tables),
    ];
    return [`| ${cells.join(" | ")} |`];
  });
  const head = "trace, kernel, unmaps, address, frees predicted, size, handle, coherent, tables";
  const columns = head.split(", ");
  const line = columns.map((name) => (/^(trace|kernel|unmaps)$/.test(name) ? "---" : "--:"));
  return [...WORDS, `| ${columns.join(" | ")} |`, `| ${line.join(" | ")} |`, ...rows];
}

function pair({ equal, recorded }: { readonly equal: number; readonly recorded: number }): string {
  return `${equal}/${recorded}`;
}
