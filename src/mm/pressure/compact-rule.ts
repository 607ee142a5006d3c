/**
 * What changed in compaction from kernel to kernel, as data. All of it is that of 6.1 otherwise.
 *
 * Linux: mm/compaction.c of 6.1 as read, compaction_suitable() and try_to_compact_pages() of 2.6.35 to 3.10; when
 * a part of it came, from the log of that file
 */

export interface CompactRule {
  /** Requests compact before they give up (2.6.35). */
  readonly direct: boolean;
  /** Whatever may start I/O compacts (4.10), or what may enter a file system as well. */
  readonly withoutFs: boolean;
  /**
   * Small orders are worth more: a run for them needs less memory, lack of which does not keep from it
   * (4.9). Else all orders are as costly ones are.
   */
  readonly byCost: boolean;
  /** Scanners go on where the last run stopped, and pass over pageblocks that gave nothing (3.7). */
  readonly remembers: boolean;
  /** Each node has a thread that compacts once kswapd has freed enough (4.6). */
  readonly kcompactd: boolean;
  /** Both scanners look at the free lists before they walk, and a pageblock is gone over once more (5.1). */
  readonly searches: boolean;
  /** vm.compaction_proactiveness where nobody has set it; 0 where there is none (up to 5.8). */
  readonly proactiveness: number;
}

const NOW: CompactRule = {
  direct: true,
  withoutFs: true,
  byCost: true,
  remembers: true,
  kcompactd: true,
  searches: true,
  proactiveness: 20,
};

const FIRST: CompactRule = {
  direct: true,
  withoutFs: false,
  byCost: false,
  remembers: false,
  kcompactd: false,
  searches: false,
  proactiveness: 0,
};

const BEFORE: CompactRule = { ...FIRST, direct: false };

/** By the name of the allocator's rule, which stands for its kernel and those after it. */
const RULES: ReadonlyMap<string, CompactRule> = new Map([
  ["2.6.9", BEFORE],
  ["2.6.11", BEFORE],
  ["2.6", BEFORE],
  ["2.6.39", FIRST],
  ["3.10", { ...FIRST, remembers: true }],
  ["4.9", { ...NOW, withoutFs: false, searches: false, proactiveness: 0 }],
  ["4.19", { ...NOW, searches: false, proactiveness: 0 }],
  // 5.0 to 5.9 stand under 5.4, which has the searches of 5.1.
  ["5.4", { ...NOW, proactiveness: 0 }],
]);

/** The rule that goes with an allocator's; that of 6.1 where there is none of that name. */
export function compactRule(name: string): CompactRule {
  return RULES.get(name) ?? NOW;
}
