/**
 * `numa=fake=`: nodes that the machine does not have, cut out of those it has.
 *
 *   N        N nodes of about equal RAM, dealt to the physical nodes in turn
 *   sizeM/G  nodes of at least that much RAM
 *   NU       each physical node cut into N by address, holes not counted
 *
 * Node borders lie on multiples of 32 MiB from the start of the physical node.
 * All in pfns. Linux: numa_emulation(), mm/numa_emulation.c (arch/x86/mm before 6.12)
 */
import type { Issue } from "../base/issue.ts";
import { clip, type Range, totalLength } from "../base/range.ts";
import type { NodeRange } from "../formats/boot-log.ts";
import type { Bounds } from "./arch/bounds.ts";
import { memparse, parseInteger } from "./memparse.ts";

/** FAKE_NODE_MIN_SIZE */
const STEP_BYTES = 32 * 2 ** 20;
/** MAX_NUMNODES with CONFIG_NODES_SHIFT=10 (Debian amd64). */
const NODES_MAX = 1024;
/** NR_NODE_MEMBLKS: more blocks and the kernel gives up. */
const BLOCKS_MAX = 2 * NODES_MAX;
/** x86: a node must not leave less than a step of RAM below this. */
const DMA32_END_BYTES = 2 ** 32;

interface Split {
  readonly ram: readonly Range[];
  readonly step: number;
  readonly dma32End: number;
}

/** Blocks in pfns, sorted by start; null, with an issue, when there is no emulation. */
export function fakeNodes(
  text: string,
  physical: readonly NodeRange[],
  bounds: Bounds,
  pageSize: number,
  issues: Issue[],
): NodeRange[] | null {
  const split: Split = {
    ram: bounds.ram,
    step: STEP_BYTES / pageSize,
    dma32End: DMA32_END_BYTES / pageSize,
  };
  const total = totalLength(bounds.ram);
  let blocks: NodeRange[] | null;
  if (text.includes("U")) blocks = cutEach(parseInteger(text).value, physical, split);
  else if (/[MG]/.test(text)) {
    const pages = Math.floor(memparse(text).value / pageSize);
    blocks = pages === 0 ? null : cutBySize(pages, total, physical, split);
  } else {
    blocks = cutEvenly(Math.min(parseInteger(text).value, NODES_MAX), total, physical, split);
  }
  if (blocks === null) {
    issues.push({
      severity: "warning",
      message: `numa=fake=${text.slice(0, 40)} makes no nodes here; the kernel ignores it`,
      mend: "give a number of nodes that leaves each at least 32 MiB of RAM",
    });
    return null;
  }
  blocks.sort((a, b) => a.start - b.start);
  return blocks;
}

/** Linux: split_nodes_interleave() */
function cutEvenly(
  count: number,
  total: number,
  physical: readonly NodeRange[],
  split: Split,
): NodeRange[] | null {
  if (count <= 0) return null;
  const { step } = split;
  const share = Math.floor(total / count);
  const big = Math.floor(((share % step) * count) / step);
  const size = share - (share % step);
  if (size === 0) return null;
  return deal(physical, count, (start, limit, nth) => {
    const end = grown(start, start + size + (nth < big ? step : 0), limit, size, split);
    return ramIn(split, upToDma32(end, split), limit) < size ? limit : upToDma32(end, split);
  });
}

/** Linux: split_nodes_size_interleave() */
function cutBySize(
  pages: number,
  total: number,
  physical: readonly NodeRange[],
  split: Split,
): NodeRange[] | null {
  const { step } = split;
  const least = Math.ceil(Math.max(Math.floor(total / NODES_MAX), step) / step) * step;
  const wanted = Math.max(pages, least);
  const size = wanted - (wanted % step);
  return deal(physical, NODES_MAX, (start, limit) => {
    const end = upToDma32(grown(start, start + size, limit, size, split), split);
    return ramIn(split, end, limit) < size ? limit : end;
  });
}

/** Linux: split_nodes_size_interleave_uniform() */
function cutEach(count: number, physical: readonly NodeRange[], split: Split): NodeRange[] | null {
  if (count <= 0 || count > NODES_MAX) return null;
  const { step } = split;
  const blocks: NodeRange[] = [];
  let first = 0;
  for (const node of new Set(physical.map((block) => block.node))) {
    const own = physical.filter((block) => block.node === node);
    // Only the node's first block is measured, and all are cut.
    const share = Math.floor(((own[0]?.end ?? 0) - (own[0]?.start ?? 0)) / count);
    const size = Math.ceil(Math.max(share, step) / step) * step;
    const cut = deal(own, NODES_MAX, (start) => upToDma32(start + size, split));
    if (cut === null || first + cut.length < count || first + cut.length > NODES_MAX) return null;
    for (const piece of cut) blocks.push({ ...piece, node: first + piece.node });
    first += cut.length;
  }
  return blocks;
}

/**
 * Takes one piece from each physical node in turn until none is left; `endOf`
 * says where a piece of the n-th number ends. Null when there are too many.
 */
function deal(
  physical: readonly NodeRange[],
  modulo: number,
  endOf: (start: number, limit: number, nth: number) => number,
): NodeRange[] | null {
  const queues = new Map<number, { start: number; end: number }[]>();
  for (const { node, start, end } of physical) {
    const queue = queues.get(node) ?? [];
    queue.push({ start, end });
    queues.set(node, queue);
  }
  const turn = [...queues.keys()].sort((a, b) => a - b);
  const pieces: NodeRange[] = [];
  while (queues.size > 0) {
    for (const node of turn) {
      const queue = queues.get(node);
      const block = queue?.[0];
      if (queue === undefined || block === undefined) {
        queues.delete(node);
        continue;
      }
      if (pieces.length >= BLOCKS_MAX) return null;
      const nth = pieces.length;
      const end = Math.min(endOf(block.start, block.end, nth), block.end);
      pieces.push({ node: nth % modulo, start: block.start, end });
      block.start = end;
      if (block.start >= block.end) queue.shift();
    }
  }
  return pieces;
}

function ramIn({ ram }: Split, start: number, end: number): number {
  return totalLength(clip(ram, start, end));
}

/** The end of a node from `start` on, moved up by steps until it holds `size` pages of RAM. */
function grown(start: number, end: number, limit: number, size: number, split: Split): number {
  if (ramIn(split, start, end) >= size) return end;
  let missing = size;
  let reached = Infinity;
  for (const range of clip(split.ram, start, Infinity)) {
    if (range.end - range.start >= missing) {
      reached = range.start + missing;
      break;
    }
    missing -= range.end - range.start;
  }
  const stepped = end + Math.ceil((reached - end) / split.step) * split.step;
  return Math.min(stepped, limit);
}

/** A node extends to 4 GiB when less than a step of RAM would be left below. */
function upToDma32(end: number, split: Split): number {
  const { dma32End, step } = split;
  return end < dma32End && ramIn(split, end, dma32End) < step ? dma32End : end;
}
