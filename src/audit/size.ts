/** How many bytes one request is for, where that is written as a constant. */
import { ALLOCATORS } from "./allocators.ts";
import { flowsInLine, type Graph } from "./graph.ts";
import { constantValue } from "./mask-value.ts";
import type { Sink } from "./reach.ts";

/** Linux: the default page size of nearly every architecture. */
const PAGE_BYTES = 4096;
const LARGEST_ORDER = 10;

export function sizeOf(
  graph: Graph,
  { file, call }: Sink,
): { text: string; bytes: number | null } | null {
  const allocator = ALLOCATORS.get(call.callee);
  if (allocator === undefined) return null;
  const { family, size, order } = allocator;
  const words = [...size, ...(order === null ? [] : [order])].map(
    (place) => call.args[place] ?? "?",
  );
  const value = (place: number): number | null =>
    argumentValue(graph, file, call.callee, place, call.line);
  if (order !== null) {
    const pages = value(order);
    const isSane = pages !== null && pages >= 0 && pages <= LARGEST_ORDER;
    return { text: `${words.join(" ")} (order)`, bytes: isSane ? PAGE_BYTES << pages : null };
  }
  if (family === "pages" && size.length === 0) return { text: "1 page", bytes: PAGE_BYTES };
  if (size.length === 0) return null;
  let bytes: number | null = 1;
  for (const place of size) {
    const factor: number | null = value(place);
    bytes = bytes === null || factor === null ? null : bytes * factor;
  }
  return { text: words.join(" * "), bytes };
}

function argumentValue(
  graph: Graph,
  file: string,
  callee: string,
  place: number,
  line: number,
): number | null {
  const [flow] = flowsInLine(graph, file, `a:${callee}:${place}`, line);
  if (flow === undefined) return null;
  const value = constantValue(graph, file, flow.expr);
  return value === null || value < 0n || value > BigInt(2 ** 40) ? null : Number(value);
}
