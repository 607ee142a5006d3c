/**
 * A request by name, for a memory of any era: __GFP_DIRECT_RECLAIM is 0x400 in 6.1 and 0x10, as
 * __GFP_WAIT, in 2.6, and the same bits asked of another kernel are another request.
 *
 *   const kernel = gfpOf(m, "GFP_KERNEL");     once, not for each request
 *   allocPages(m, kernel, 0);
 *
 * Linux: include/linux/gfp_types.h; include/linux/gfp.h up to 5.19
 */
import { assert } from "../base/assert.ts";
import { parseGfp } from "./gfp-text.ts";
import type { Memory } from "./memory.ts";

/** Bits of `text`, names joined with "|", in the memory's kernel. Asserts that it has all of them. */
export function gfpOf(m: Memory, text: string): number {
  const { value, issues } = parseGfp(text, m.gfp.era);
  assert(issues.length === 0, "the memory's kernel has no GFP flag of this name");
  return value;
}
