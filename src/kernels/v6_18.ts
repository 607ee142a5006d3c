/**
 * Linux 6.18 (read in 6.18.2): reserves are computed again whenever pages come to a zone.
 *
 * Linux: adjust_managed_page_count(), mm/page_alloc.c
 */
import type { Policy } from "./policy.ts";
import { V6_12 } from "./v6_12.ts";

export const V6_18: Policy = {
  ...V6_12,
  name: "6.18",
  capturedOn: [],
  readIn: "6.18.2",
  reserve: { ...V6_12.reserve, followsManaged: true },
};
