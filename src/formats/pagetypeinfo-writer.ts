/**
 * Prints a pagetypeinfo record as the kernel does, byte for byte for what
 * `pagetypeinfoReader` read of a machine with one node. A kernel with several
 * prints heading and tables anew for each node; so does this.
 *
 * Linux: pagetypeinfo_show(), mm/vmstat.c
 */
import type { PagetypeBlocks, PagetypeFree, Pagetypeinfo } from "./pagetypeinfo.ts";

/** The text of `info`, with LF line ends; "" for no zones. */
export function writePagetypeinfo(info: Pagetypeinfo): string {
  const nodes = [...new Set([...info.free, ...info.blocks].map(({ node }) => node))];
  return nodes.map((node) => nodeText(info, node)).join("");
}

function nodeText(info: Pagetypeinfo, node: number): string {
  const lines: string[] = [];
  if (info.pageblockOrder !== null) lines.push(`Page block order: ${info.pageblockOrder}`);
  if (info.pagesPerBlock !== null) lines.push(`Pages per block:  ${info.pagesPerBlock}`);
  const free = info.free.filter((row) => row.node === node);
  const orders = free.reduce((most, row) => Math.max(most, row.blocks.length), 0);
  const numbers = Array.from({ length: orders }, (_, order) => order);
  lines.push("", `${"Free pages count per migrate type at order".padEnd(43)} ${cells(numbers, 6)}`);
  for (const row of free) lines.push(freeLine(row));
  const blocks = info.blocks.filter((row) => row.node === node);
  const mixed = info.mixed.filter((row) => row.node === node);
  pushBlocks(lines, "Number of blocks type", blocks);
  pushBlocks(lines, "Number of mixed blocks", mixed);
  return `${lines.join("\n")}\n`;
}

function freeLine({ node, zone, type, blocks, capped }: PagetypeFree): string {
  const heading = `Node ${String(node).padStart(4)}, zone ${zone.padStart(8)}, type ${type.padStart(12)} `;
  const row = blocks.map((count, order) => {
    const mark = capped.includes(order) ? ">" : "";
    return `${mark}${String(count).padStart(6)} `;
  });
  return heading + row.join("");
}

function pushBlocks(lines: string[], title: string, rows: readonly PagetypeBlocks[]): void {
  const first = rows[0];
  if (first === undefined) return;
  lines.push("", `${title.padEnd(23)}${cells([...first.counts.keys()], 12)}`);
  for (const { node, zone, counts } of rows) {
    lines.push(`Node ${node}, zone ${zone.padStart(8)} ${cells([...counts.values()], 12)}`);
  }
}

function cells(values: readonly (number | string)[], width: number): string {
  return values.map((value) => `${String(value).padStart(width)} `).join("");
}
