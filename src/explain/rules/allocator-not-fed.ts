/** Nothing was ever given to the allocator, or the marks were never computed: too early. */
import type { MemoryRule } from "../memory-case.ts";

const USED = ["active_anon", "inactive_anon", "active_file", "inactive_file", "slab_reclaimable"];

export const allocatorNotFed: MemoryRule = {
  name: "allocator-not-fed",
  decides:
    "no page is free, none is used, and zones manage memory: the request came before memory was given to the allocator",
  linux: "memblock_free_all(), mm/memblock.c; mm_core_init(), mm/mm_init.c",
  claim: ({ report, asked }) => {
    const free = report.counters.get("free");
    const used = USED.map((name) => report.counters.get(name)?.value);
    if (free?.value !== 0 || used.some((value) => value === undefined || value > 0)) return null;
    const unreclaimable = report.counters.get("slab_unreclaimable")?.value ?? 0;
    const managed = asked.reduce((sum, { row }) => sum + (row.managed ?? 0), 0);
    if (report.zones.length > 0 && managed <= 16 * unreclaimable) return null;
    if (unreclaimable > 0 && report.zones.length === 0) return null;
    return {
      cause: "allocator-not-fed",
      sentence:
        "Nothing is free and nothing is in use: the page allocator was asked before boot gave memory to it.",
      confidence: report.zones.length > 0 ? "proven" : "consistent",
      evidence: [{ line: free.line, text: "free:0" }],
      advice: [
        {
          change: "allocate with memblock at this point of boot, or later",
          why: "the allocator has no pages yet",
          basis: "reasoned",
        },
      ],
    };
  },
};
