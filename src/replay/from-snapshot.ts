/**
 * A snapshot's files and its capture, as a replay starts from them.
 *
 * Whether the kernel knows CMA decides what its number 4 of a migratetype
 * means; pagetypeinfo prints the types it knows.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Capture } from "../formats/capture.ts";
import type { KernelConfig } from "../formats/config.ts";
import { readText } from "../formats/reader.ts";
import { freelistsReader } from "../formats/snap.ts";
import {
  kpageflagsReader,
  type PageClass,
  pageblocksReader,
  type SnapRun,
} from "../formats/snap-pages.ts";
import type { ZoneinfoZone } from "../formats/zoneinfo.ts";
import { resolveEra } from "../kernels/eras.ts";
import type { ListSnapshot, MachineFacts, ZoneFacts } from "./snapshot.ts";
import { MAX_ORDER, PAGEBLOCK_ORDER } from "./start-state.ts";

/** Texts of snap/freelists, snap/pageblocks, and snap/kpageflags.rle where there is one. */
export interface SnapTexts {
  readonly freelists: string;
  readonly pageblocks: string;
  readonly kpageflags: string | null;
}

/** Classes whose pages are on an LRU list, or a huge page's: their owners let them be moved. */
export const LRU_CLASSES: ReadonlySet<PageClass> = new Set<PageClass>([
  "anon",
  "swapbacked",
  "lru",
  "thp",
]);

/** Frames that no zone manages. */
const UNMANAGED_CLASSES: ReadonlySet<PageClass> = new Set<PageClass>(["no-page", "reserved"]);

/** Null, with errors, when the lists cannot be read whole. */
export function listSnapshot(texts: SnapTexts): Outcome<ListSnapshot | null> {
  const lists = readText(freelistsReader(), texts.freelists);
  const blocks = readText(pageblocksReader(), texts.pageblocks);
  const flags = texts.kpageflags === null ? null : readText(kpageflagsReader(), texts.kpageflags);
  const issues: Issue[] = [
    ...placed("snap/freelists", lists.issues),
    ...placed("snap/pageblocks", blocks.issues),
    ...placed("snap/kpageflags.rle", flags?.issues ?? []),
  ];
  if (issues.some(({ severity }) => severity === "error")) return { value: null, issues };
  const { zones, free, pcp, pcpLists } = lists.value;
  const runs = flags?.value ?? [];
  const value: ListSnapshot = {
    exact: true,
    pageblockOrder: PAGEBLOCK_ORDER,
    maxOrder: MAX_ORDER,
    zones: zones.map((z) => ({ ...z, index: z.zone })),
    free: free.map((f) => ({ ...f, index: f.zone, type: f.migratetype })),
    pcp: pcpLists.map((p) => ({ ...p, index: p.zone, list: p.index })),
    counters: pcp.map((c) => ({ ...c, index: c.zone, factor: c.freeFactor })),
    blocks: blocks.value.map(({ firstPfn, migratetypes, skip }) => ({
      pfn: firstPfn,
      types: migratetypes,
      skip,
    })),
    movable: runsOf(runs, LRU_CLASSES),
    unmanaged: flags === null ? null : runsOf(runs, UNMANAGED_CLASSES),
  };
  return { value, issues };
}

export function runsOf(
  runs: readonly SnapRun[],
  classes: ReadonlySet<PageClass>,
): ListSnapshot["movable"] {
  return runs
    .filter((run) => classes.has(run.class))
    .map(({ start, end }) => ({ pfn: start, pages: end - start }));
}

export function placed(source: string, issues: readonly Issue[]): Issue[] {
  return issues.map((issue) => ({ ...issue, source: issue.source ?? source }));
}

/** Null, with errors, when the capture does not tell what a replay needs. */
export function factsOf(
  capture: Capture,
  snap: ListSnapshot,
  config: KernelConfig | null = capture.config,
): Outcome<MachineFacts | null> {
  const { version, zoneinfo, sysctls, nodes, pagetypeinfo } = capture;
  const missing = (source: string, message: string): Outcome<null> => ({
    value: null,
    issues: [{ severity: "error", source, message, mend: "copy the file from /proc" }],
  });
  if (version === null) return missing("version", "which kernel it was is not told");
  if (zoneinfo === null) return missing("zoneinfo", "its zones are not told");
  const ratios = sysctls.get("lowmem_reserve_ratio");
  if (ratios === undefined) {
    return missing("vm/lowmem_reserve_ratio", "what lower zones keep back is not told");
  }
  const era = resolveEra(version.numbers.slice(0, 2).join("."), "x86_64");
  if (era === null) return missing("version", "this kernel is older than all that are modelled");
  const cpus = Math.max(0, ...snap.counters.map(({ cpu }) => cpu)) + 1;
  const cpuNode = Array.from({ length: cpus }, (_, cpu) => {
    for (const [node, own] of nodes?.cpus ?? []) if (own.includes(cpu)) return node;
    return zoneinfo.zones[0]?.node ?? 0;
  });
  const issues: Issue[] = era.remark === null ? [] : [{ severity: "note", message: era.remark }];
  const types = pagetypeinfo?.free ?? [];
  if (types.length === 0 && config === null) {
    const message = "whether the kernel lends CMA areas is not told; taken for no";
    issues.push({ severity: "warning", message, mend: "add the file pagetypeinfo" });
  }
  const printed = types.some(({ type }) => type === "CMA");
  const value: MachineFacts = {
    era: era.policy.name,
    upstream: version.numbers.join("."),
    cma: types.length > 0 ? printed : config?.get("CONFIG_CMA") === "y",
    cpus,
    cpuNode,
    reserveRatios: ratios,
    sysctls,
    zones: zoneFacts(zoneinfo.zones),
  };
  return { value, issues };
}

/** Zones in the order of zoneinfo, which prints each node's from its first on. */
function zoneFacts(zones: readonly ZoneinfoZone[]): ZoneFacts[] {
  const next = new Map<number, number>();
  return zones.map(({ node, name, pagesets }) => {
    const index = next.get(node) ?? 0;
    next.set(node, index + 1);
    return { node, index, name, threshold: pagesets[0]?.statThreshold ?? 0 };
  });
}
