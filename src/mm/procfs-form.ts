/**
 * How the text of /proc differs from release to release: which lines there are, in which order,
 * under which names. `procfs.ts` fills in the numbers.
 *
 *   up to 2.6.20   reclaim's counts among the sizes, no counters, two pagesets a CPU
 *   2.6.21 - 4.7   counters of everything, zone by zone; protection after them
 *   4.8 - 4.11     counters of the node apart; node_scanned; only zones with memory
 *   since 4.12     protection before the counters; every zone
 *
 * Captures: 5.10, 6.1, 6.12, 6.18. Read: 4.19 (mm/vmstat.c). From public dumps of those kernels and
 * from the changes between them: 2.6.39, 3.10, 4.9, 5.15.
 *
 * Linux: zoneinfo_show_print(), vmstat_text, migratetype_names, mm/vmstat.c, mm/page_alloc.c
 */
import { MODERN_LAYOUT, type ZoneinfoLayout } from "../formats/zoneinfo.ts";
import {
  CMA,
  HIGHATOMIC,
  ISOLATE,
  MOVABLE,
  type ProcName,
  RECLAIMABLE,
  TYPE_NAMES,
  UNMOVABLE,
} from "./rule.ts";

/** A row of pagetypeinfo; -1 for a type that the engine does not have, and that nothing is of. */
interface TypeRow {
  readonly name: string;
  readonly type: number;
}

export interface ProcForm {
  readonly boost: boolean;
  readonly promo: boolean;
  readonly managed: boolean;
  readonly cma: boolean;
  /** What is said of scanning among the sizes: lists and their counts, the zone's, the node's, nothing. */
  readonly scanned: "lists" | "zone" | "node" | "none";
  /** All counters of a zone in order, but those that only some configurations have: NUMA's, nr_unaccepted. */
  readonly counters: readonly string[];
  /** Zones without memory have a heading and sizes. */
  readonly emptyZones: boolean;
  /** A pageset is printed only with pages in it, as the hot one of two. */
  readonly hotPagesets: boolean;
  /** Both bounds of a pageset that adapts. */
  readonly bounds: boolean;
  readonly layout: ZoneinfoLayout;
  /** Rows and columns of pagetypeinfo. */
  readonly types: readonly TypeRow[];
  /** Blocks of a list are counted up to here; the cap came to all stable series from 4.4 on. */
  readonly countsUpTo: number;
}

const ZONE_LRU = [
  "nr_zone_inactive_anon",
  "nr_zone_active_anon",
  "nr_zone_inactive_file",
  "nr_zone_active_file",
  "nr_zone_unevictable",
  "nr_zone_write_pending",
  "nr_mlock",
];

function typeRows(types: readonly number[]): TypeRow[] {
  return types.map((type) => ({ name: TYPE_NAMES[type] ?? "", type }));
}

const TYPES = typeRows([UNMOVABLE, MOVABLE, RECLAIMABLE, HIGHATOMIC, CMA, ISOLATE]);
/** Up to 4.3: another order, and blocks kept for the worst case. */
const OLD_TYPES: readonly TypeRow[] = [
  ...typeRows([UNMOVABLE, RECLAIMABLE, MOVABLE]),
  { name: "Reserve", type: -1 },
  ...typeRows([CMA, ISOLATE]),
];

const FORM_6_1: ProcForm = {
  boost: true,
  promo: false,
  managed: true,
  cma: true,
  scanned: "none",
  counters: ["nr_free_pages", ...ZONE_LRU, "nr_bounce", "nr_zspages", "nr_free_cma"],
  emptyZones: true,
  hotPagesets: false,
  bounds: false,
  layout: MODERN_LAYOUT,
  types: TYPES,
  countsUpTo: 100000,
};

const FORM_6_12: ProcForm = { ...FORM_6_1, promo: true };

const FORM_6_18: ProcForm = {
  ...FORM_6_12,
  counters: ["nr_free_pages", "nr_free_pages_blocks", ...ZONE_LRU, "nr_zspages", "nr_free_cma"],
  bounds: true,
  layout: { ...MODERN_LAYOUT, pagesetWidth: 10 },
};

/** The boost came with 5.18, a zone's CMA pages with 5.12. */
const FORM_5_15: ProcForm = { ...FORM_6_1, boost: false };

/** Counters of page tables went to the node with 5.11, those of kernel stacks with 5.9. */
const FORM_5_10: ProcForm = {
  ...FORM_5_15,
  cma: false,
  counters: [
    "nr_free_pages",
    ...ZONE_LRU,
    "nr_page_table_pages",
    "nr_bounce",
    "nr_zspages",
    "nr_free_cma",
  ],
};

const FORM_4_19: ProcForm = {
  ...FORM_5_10,
  counters: [
    "nr_free_pages",
    ...ZONE_LRU,
    "nr_page_table_pages",
    "nr_kernel_stack",
    "nr_bounce",
    "nr_zspages",
    "nr_free_cma",
  ],
};

/** As 4.8 to 4.11 had it: slab counters went to the node with 4.13. */
const FORM_4_9: ProcForm = {
  ...FORM_4_19,
  scanned: "node",
  counters: [
    "nr_free_pages",
    ...ZONE_LRU,
    "nr_slab_reclaimable",
    "nr_slab_unreclaimable",
    "nr_page_table_pages",
    "nr_kernel_stack",
    "nr_bounce",
    "nr_zspages",
    "nr_free_cma",
  ],
  emptyZones: false,
  layout: {
    ...MODERN_LAYOUT,
    protectionLast: true,
    tail: ["node_unreclaimable", "start_pfn", "node_inactive_ratio"],
  },
};

/** What a zone counted before there were counters of nodes: the first part, up to the slabs … */
const OLD_COUNTERS = [
  "nr_free_pages",
  "nr_inactive_anon",
  "nr_active_anon",
  "nr_inactive_file",
  "nr_active_file",
  "nr_unevictable",
  "nr_mlock",
  "nr_anon_pages",
  "nr_mapped",
  "nr_file_pages",
  "nr_dirty",
  "nr_writeback",
  "nr_slab_reclaimable",
  "nr_slab_unreclaimable",
  "nr_page_table_pages",
  "nr_kernel_stack",
  "nr_unstable",
  "nr_bounce",
  "nr_vmscan_write",
];
/** … and the rest, after which NUMA's would follow. */
const OLD_COUNTERS_LATER = [
  "nr_writeback_temp",
  "nr_isolated_anon",
  "nr_isolated_file",
  "nr_shmem",
  "nr_dirtied",
  "nr_written",
  "nr_anon_transparent_hugepages",
];

const FORM_3_10: ProcForm = {
  ...FORM_4_9,
  scanned: "zone",
  counters: [...OLD_COUNTERS, "nr_vmscan_immediate_reclaim", ...OLD_COUNTERS_LATER, "nr_free_cma"],
  layout: {
    ...MODERN_LAYOUT,
    counterIndent: 4,
    protectionLast: true,
    tail: ["all_unreclaimable", "start_pfn", "inactive_ratio"],
    tailWidth: 19,
  },
  types: OLD_TYPES,
  countsUpTo: Number.POSITIVE_INFINITY,
};

/** Managed pages came with 3.9, CMA with 3.5. */
const FORM_2_6_39: ProcForm = {
  ...FORM_3_10,
  managed: false,
  counters: [...OLD_COUNTERS, ...OLD_COUNTERS_LATER],
  types: OLD_TYPES.filter(({ type }) => type !== CMA),
};

/** 2.6.18. temp_priority was up to then: from 2.6.19 on each scan has its own. */
const FORM_2_6: ProcForm = {
  ...FORM_2_6_39,
  scanned: "lists",
  counters: [],
  hotPagesets: true,
  layout: {
    ...FORM_3_10.layout,
    tail: ["all_unreclaimable", "prev_priority", "temp_priority", "start_pfn"],
  },
  types: [],
};

/** The form of each name that a rule has. */
export const PROC_FORMS: Readonly<Record<ProcName, ProcForm>> = {
  "2.6": FORM_2_6,
  "2.6.39": FORM_2_6_39,
  "3.10": FORM_3_10,
  "4.9": FORM_4_9,
  "4.19": FORM_4_19,
  "5.10": FORM_5_10,
  "5.15": FORM_5_15,
  "6.1": FORM_6_1,
  "6.12": FORM_6_12,
  "6.18": FORM_6_18,
};
