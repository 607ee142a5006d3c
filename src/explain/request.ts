/**
 * Who asked for what: the request of a report as bits of its era, and the rights it had.
 *
 * A task that is freeing memory may take the last page; a soft interrupt on top of it may not. The
 * stack tells which of the two it was.
 *
 * Linux: gfp_to_alloc_flags(), __gfp_pfmemalloc_flags(), mm/page_alloc.c; __do_softirq(),
 * kernel/softirq.c, which takes PF_MEMALLOC away
 */
import type { MemoryReport } from "../formats/index.ts";
import {
  ALLOC_CMA,
  ALLOC_HIGHATOMIC,
  ALLOC_NO_WATERMARKS,
  ALLOC_NON_BLOCK,
  allocFlagsSlow,
  reserveFlags,
} from "../mm/gfp-alloc.ts";
import { formatGfp } from "../mm/gfp-text.ts";
import type { ReportEra } from "./era.ts";

export interface Request {
  readonly order: number;
  readonly bits: number;
  /** "GFP_KERNEL", "__GFP_COMP". */
  readonly names: readonly string[];
  /** ALLOC_*, of the pass with the min mark. */
  readonly allocFlags: number;
  /** The task frees memory: no mark binds it. */
  readonly memalloc: boolean;
  readonly interrupt: boolean;
  readonly mayWait: boolean;
  /** CMA pages are for it too. */
  readonly cma: boolean;
}

const RECLAIM =
  /^(?:shrink_|try_to_free|do_try_to_free|balance_pgdat$|kswapd$|evict_folios|try_to_shrink|pageout$|__swap_writepage|__node_reclaim|prune_)/;
const INTERRUPT =
  /^(?:__do_softirq|do_softirq|handle_softirqs|irq_exit|__irq_exit|<IRQ>|net_rx_action|tasklet_action|run_ksoftirqd|handle_irq|do_IRQ|--- interrupt)/;

/** Beyond any block; more is a damaged number. */
const ORDER_MAX = 30;

/**
 * null where the report has no request with an order and bits. A state that nobody asked about is
 * tried with what kernels ask for most, one page of GFP_KERNEL.
 */
export function requestOf(report: MemoryReport, era: ReportEra): Request | null {
  if (report.kind === "mem-info") return assumed(era);
  if (report.gfp === null) return null;
  // 2.6.9 and 2.6.11 print no order in OOM reports.
  const order = report.order?.value ?? (report.kind === "oom" ? 0 : null);
  if (order === null || order < 0 || order > ORDER_MAX) return null;
  const { bits } = report.gfp;
  const has = (name: string): boolean => (bits & (era.gfp.bits.get(`__GFP_${name}`) ?? 0)) !== 0;
  const task = taskOf(report);
  let allocFlags = allocFlagsSlow(bits, era.gfp, era.alloc, { order, cma: era.cma });
  if (reserveFlags(bits, era.gfp, task) !== 0) allocFlags |= ALLOC_NO_WATERMARKS;
  // Up to 6.2 trying harder opens the highatomic lists by itself.
  if (era.marks.harderAlone && (allocFlags & ALLOC_NON_BLOCK) !== 0) allocFlags |= ALLOC_HIGHATOMIC;
  return {
    order,
    bits,
    names: (report.gfp.names ?? formatGfp(bits, era.gfp)).split("|"),
    allocFlags,
    memalloc: (allocFlags & ALLOC_NO_WATERMARKS) !== 0,
    interrupt: task.interrupt,
    mayWait: has("WAIT") || has("DIRECT_RECLAIM"),
    cma: (allocFlags & ALLOC_CMA) !== 0,
  };
}

function assumed(era: ReportEra): Request {
  const [, bits = 0] = era.gfp.composites.find(([name]) => name === "GFP_KERNEL") ?? [];
  return {
    order: 0,
    bits,
    names: ["GFP_KERNEL"],
    allocFlags: allocFlagsSlow(bits, era.gfp, era.alloc, { order: 0, cma: era.cma }),
    memalloc: false,
    interrupt: false,
    mayWait: true,
    cma: false,
  };
}

function taskOf(report: MemoryReport): { memalloc: boolean; interrupt: boolean } {
  // Nobody who frees memory calls the killer.
  if (report.kind === "oom") return { memalloc: false, interrupt: false };
  const { frames, comm } = report;
  const reclaim = frames.findIndex((frame) => RECLAIM.test(frame));
  const inner = frames.findIndex((frame) => INTERRUPT.test(frame));
  const memalloc = reclaim !== -1 || /^kswapd\d/.test(comm ?? "");
  const interrupt = inner !== -1 && (reclaim === -1 || inner < reclaim);
  return { memalloc, interrupt };
}

/** Whether the request names the flag "__GFP_…". */
export function asksFor({ bits }: Request, era: ReportEra, flag: string): boolean {
  return (bits & (era.gfp.bits.get(flag) ?? 0)) !== 0;
}
