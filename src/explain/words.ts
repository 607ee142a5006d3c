/** Words that several rules use. */
import { formatBytes } from "../base/units.ts";
import type { MemoryCase } from "./memory-case.ts";

/** "1 page", "12 pages". */
export function pages(count: number): string {
  return `${count} page${count === 1 ? "" : "s"}`;
}

/** "12 pages (48 KiB)". */
export function pagesAndBytes(count: number, pageKib: number): string {
  return `${pages(count)} (${formatBytes(count * pageKib * 1024)})`;
}

/** "an order-4 block (64 KiB) with GFP_KERNEL|__GFP_COMP". */
export function requestWords({ request, judgement }: MemoryCase): string {
  if (request === null) return "a request that is not in the report";
  const flags = request.names.join("|");
  const what = request.order === 0 ? "one page" : blockWords(request.order, judgement?.pageKib);
  return `${what} with ${flags === "" ? "no flags" : flags}`;
}

export function blockWords(order: number, pageKib: number | undefined): string {
  if (pageKib === undefined) return `an order-${order} block`;
  return `an order-${order} block (${formatBytes(pageKib * 1024 * 2 ** order)})`;
}

/** "a and b", "a, b and c". */
export function list(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
