/** vmalloc failed before or beside its pages: the size, the addresses, or the list of pages. */
import { formatBytes } from "../../base/units.ts";
import type { Claim } from "../finding.ts";
import type { MemoryRule } from "../memory-case.ts";

const NOTHING: Claim = {
  cause: "not-in-report",
  sentence: "vmalloc was asked for 0 bytes, which it always refuses: no memory was missing.",
  confidence: "proven",
  advice: [
    {
      change: "look where the size comes from",
      why: "the caller on the stack passed 0",
      basis: "reasoned",
    },
  ],
};

export const vmalloc: MemoryRule = {
  name: "vmalloc",
  decides:
    "vmalloc's own words: more than all RAM, no range of addresses (vm_struct), no memory for the list of pages, or pages that could not be mapped",
  linux: "__vmalloc_node_range(), __vmalloc_area_node(), mm/vmalloc.c",
  claim: ({ report }) => {
    const { vmalloc: words } = report;
    if (words === null) return null;
    const { line } = words.size;
    if (words.size.value === 0) return NOTHING;
    const size = formatBytes(words.size.value);
    const ram = report.ram === null ? null : report.ram.value * (report.pageKib ?? 4) * 1024;
    const evidence = [{ line, text: `vmalloc of ${words.size.value} bytes: ${words.what}` }];
    if (words.what === "exceeds" || (ram !== null && words.size.value > ram)) {
      return {
        cause: "request-too-large",
        sentence: `${size} of vmalloc are more than all memory${ram === null ? "" : ` (${formatBytes(ram)})`}.`,
        confidence: "proven",
        evidence,
        advice: [
          {
            change: "look where the size comes from",
            why: "a size beyond RAM is most often a wrong number",
            basis: "reasoned",
          },
        ],
        noHelp: [{ change: "more free memory", why: "no machine of this size could serve it" }],
      };
    }
    if (words.what !== "addresses" && words.what !== "unmapped") return null;
    return {
      cause: "address-space-full",
      sentence: `${size} of vmalloc were refused before a page was asked for: its range of addresses has no gap of that size, or the record of the range could not be allocated.`,
      confidence: "consistent",
      evidence,
      advice: [
        {
          change: "vmalloc=<larger> on a 32-bit machine (it takes lowmem away), or a 64-bit kernel",
          why: "32-bit kernels share 1 GiB between lowmem and vmalloc; KASAN and modules have ranges of their own",
          basis: "reasoned",
        },
      ],
      noHelp: [{ change: "more free memory", why: "addresses are missing, not pages" }],
      missing: ["/proc/vmallocinfo: what holds the range"],
    };
  },
};
