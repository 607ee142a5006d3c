/**
 * `snap/freelists`: what the page allocator of a 64-bit kernel held at one
 * moment, read out of /proc/kcore by scripts/lab/snap.c. Lists stand in their
 * order, head first; lists without entries have no line.
 *
 *   Z node zone name start spanned present managed min low high promo boost highatomic
 *     pageset_high pageset_batch free: protection…      start is hexadecimal
 *   F node zone order migratetype count: pfn pfn …      a free list
 *   C node zone cpu count n high n batch n free_factor n [alloc_factor n high_min n high_max n]
 *   P node zone cpu index count: pfn pfn …              a per-CPU list
 *
 * `zone` is the number of the zone in its node, as in the kernel's node_zones.
 * The index of a per-CPU list is order * 3 + migratetype for orders 0 to 3, then
 * come the lists of huge pages. Migratetypes are the numbers of that kernel.
 *
 * A list whose pages differ from its count is an error; so is one that changed
 * while it was read (`!TORN`).
 *
 * Linux: struct zone, struct per_cpu_pages, include/linux/mmzone.h
 */
import type { Reader } from "./reader.ts";
import { CUT_MEND, excerpt, type LineLog, type Table, tableReader } from "./table.ts";

/** Where a line belongs: the zone's number in its node, and the 1-based line. */
interface SnapPlace {
  readonly line: number;
  readonly node: number;
  readonly zone: number;
}

/** Fields of one zone, pages. */
export interface SnapZone extends SnapPlace {
  readonly name: string;
  readonly startPfn: number;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number;
  /** Watermarks without boost. */
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly promo: number;
  /** watermark_boost. */
  readonly boost: number;
  /** nr_reserved_highatomic. */
  readonly highatomic: number;
  /** pageset_high; of 6.7 and later pageset_high_max. */
  readonly pagesetHigh: number;
  readonly pagesetBatch: number;
  /** Sum over the orders of nr_free. */
  readonly free: number;
  /** lowmem_reserve by zone. */
  readonly protection: readonly number[];
}

/** One free list, head first. */
export interface SnapFreeList extends SnapPlace {
  readonly order: number;
  readonly migratetype: number;
  readonly pfns: readonly number[];
}

/** Counters of a CPU's lists of one zone. */
export interface SnapPcp extends SnapPlace {
  readonly cpu: number;
  readonly count: number;
  readonly high: number;
  readonly batch: number;
  /** free_factor; of 6.7 and later free_count. */
  readonly freeFactor: number;
  /** 6.7 and later; null where the snapshot does not say. */
  readonly allocFactor: number | null;
  readonly highMin: number | null;
  readonly highMax: number | null;
}

/** One per-CPU list, head first. */
export interface SnapPcpList extends SnapPlace {
  readonly cpu: number;
  readonly index: number;
  readonly pfns: readonly number[];
}

/** All of them in the order of the file. */
export interface SnapFreelists {
  readonly zones: readonly SnapZone[];
  readonly free: readonly SnapFreeList[];
  readonly pcp: readonly SnapPcp[];
  readonly pcpLists: readonly SnapPcpList[];
}

const ZONE = /^Z (\d+) (\d+) (\S+) ([\da-f]+)((?: \d+){12}):((?: \d+)*)$/;
const LIST = /^([FP]) (\d+) (\d+) (\d+) (\d+) +(\d+):((?: [\da-f]+)*)( !TORN)?$/;
const PCP =
  /^C (\d+) (\d+) (\d+) count (\d+) high (\d+) batch (\d+) free_factor (\d+)(?: alloc_factor (\d+) high_min (\d+) high_max (\d+))?$/;

/** Issues: see the head of this file; lines of another form are warnings. */
export function freelistsReader(): Reader<SnapFreelists> {
  return tableReader(new FreelistsTable());
}

class FreelistsTable implements Table<SnapFreelists> {
  readonly name = "snap/freelists";
  readonly #zones: SnapZone[] = [];
  readonly #free: SnapFreeList[] = [];
  readonly #pcp: SnapPcp[] = [];
  readonly #pcpLists: SnapPcpList[] = [];
  /** What each line is about: the same twice is an error. */
  readonly #seen = new Set<string>();

  take(text: string, log: LineLog): boolean {
    if (text === "") return true;
    return this.#zone(text, log) || this.#list(text, log) || this.#counters(text, log);
  }

  finish(log: LineLog): SnapFreelists {
    if (this.#zones.length === 0) log.report("error", "no zone in this snapshot", CUT_MEND, 0);
    for (const zone of this.#zones) this.#compare(zone, log);
    this.#strays(log);
    return { zones: this.#zones, free: this.#free, pcp: this.#pcp, pcpLists: this.#pcpLists };
  }

  #zone(text: string, log: LineLog): boolean {
    const [, node = "", zone = "", name, start = "", fields = "", rest = ""] =
      ZONE.exec(text) ?? [];
    if (name === undefined) return false;
    const [spanned = 0, present = 0, managed = 0, min = 0, low = 0, high = 0, ...more] = decimals(
      fields,
      log,
    );
    const [promo = 0, boost = 0, highatomic = 0, pagesetHigh = 0, pagesetBatch = 0, free = 0] =
      more;
    this.#once(`Z ${node} ${zone}`, log);
    this.#zones.push({
      line: log.line,
      node: log.decimal(node),
      zone: log.decimal(zone),
      name,
      startPfn: log.hex(start),
      ...{ spanned, present, managed, min, low, high, promo, boost, highatomic },
      ...{ pagesetHigh, pagesetBatch, free, protection: decimals(rest, log) },
    });
    return true;
  }

  #list(text: string, log: LineLog): boolean {
    const [, letter, node = "", zone = "", third = "", fourth = "", count = "", rest = "", torn] =
      LIST.exec(text) ?? [];
    if (letter === undefined) return false;
    const pfns = words(rest).map((word) => log.hex(word));
    if (pfns.length !== log.decimal(count)) {
      log.report("error", `${pfns.length} pages in a list of ${excerpt(count)}`, CUT_MEND);
    }
    if (torn !== undefined) {
      log.report("error", "this list changed while it was read", "take the snapshot again");
    }
    this.#once(`${letter} ${node} ${zone} ${third} ${fourth}`, log);
    const place = { line: log.line, node: log.decimal(node), zone: log.decimal(zone) };
    const [a, b] = [log.decimal(third), log.decimal(fourth)];
    if (letter === "F") this.#free.push({ ...place, order: a, migratetype: b, pfns });
    else this.#pcpLists.push({ ...place, cpu: a, index: b, pfns });
    return true;
  }

  #counters(text: string, log: LineLog): boolean {
    const found = PCP.exec(text);
    if (found === null) return false;
    // The last three may be missing.
    const [node = 0, zone = 0, cpu = 0, count = 0, high = 0, batch = 0, freeFactor = 0, ...more] =
      found.slice(1).flatMap((digits = "") => (digits === "" ? [] : [log.decimal(digits)]));
    const [allocFactor = null, highMin = null, highMax = null] = more;
    this.#once(`C ${node} ${zone} ${cpu}`, log);
    this.#pcp.push({
      line: log.line,
      ...{ node, zone, cpu, count, high, batch, freeFactor, allocFactor, highMin, highMax },
    });
    return true;
  }

  #once(key: string, log: LineLog): void {
    if (this.#seen.has(key))
      log.report("error", `a second line "${excerpt(key)}"`, "keep one snapshot");
    this.#seen.add(key);
  }

  /** A zone's free pages are those of its lists, or the lists are not whole. */
  #compare(zone: SnapZone, log: LineLog): void {
    let listed = 0;
    for (const list of this.#free) {
      if (sameZone(list, zone)) listed += list.pfns.length * 2 ** list.order;
    }
    if (listed === zone.free) return;
    const name = excerpt(zone.name);
    const message = `zone ${name} of node ${zone.node} has ${zone.free} free pages, its lists ${listed}`;
    log.report("error", message, CUT_MEND, zone.line);
  }

  #strays(log: LineLog): void {
    for (const line of [...this.#free, ...this.#pcp, ...this.#pcpLists]) {
      if (this.#zones.some((zone) => sameZone(zone, line))) continue;
      const message = `no zone ${line.zone} of node ${line.node} in this snapshot`;
      log.report("error", message, CUT_MEND, line.line);
    }
  }
}

function sameZone(a: SnapPlace, b: SnapPlace): boolean {
  return a.node === b.node && a.zone === b.zone;
}

function decimals(text: string, log: LineLog): number[] {
  return words(text).map((word) => log.decimal(word));
}

function words(text: string): string[] {
  return text.split(" ").filter((word) => word !== "");
}
