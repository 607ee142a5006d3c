/** CMA gave no pages. */
import type { Claim } from "../finding.ts";
import type { MessageRule } from "../message-case.ts";
import { pages } from "../words.ts";

const BUSY: Claim = {
  cause: "cma-pinned",
  sentence:
    "Pages of a range that CMA wanted are in use and could not be moved; CMA tries the next range.",
  confidence: "consistent",
  harmless: "by itself only a retry; it matters when “alloc failed” follows",
};

export const cmaRefused: MessageRule = {
  name: "cma-refused",
  kind: "cma",
  decides:
    "-12: no free run of the request's length in the bitmap; -16: runs existed, but pages in them could not be moved; -4: the caller was interrupted",
  linux: "cma_alloc(), mm/cma.c; alloc_contig_range(), mm/page_alloc.c",
  claim: ({ message }) => {
    if (message.kind === "contig-range-busy") return BUSY;
    if (message.kind !== "cma-alloc-failed") return null;
    const { pages: count, error, longestRun, free, total } = message;
    const area = message.area === null ? "CMA" : `CMA area ${message.area}`;
    const known =
      free === null
        ? ""
        : `; ${free} of ${total ?? "?"} are free, the longest run ${longestRun ?? "?"}`;
    if (error === -16) {
      const long = longestRun !== null && longestRun >= count;
      return {
        cause: "cma-pinned",
        sentence: `${area} had room for ${pages(count)}, but pages in it could not be moved (-EBUSY)${known}: they are pinned or busy, the size is not what is missing.`,
        confidence: long ? "proven" : "consistent",
        advice: [
          {
            change:
              "find who pins movable pages (long-term get_user_pages, page cache under write), or allocate early",
            why: "CMA lends its pages to movable memory and must get them back",
            basis: "reasoned",
          },
        ],
        noHelp: [{ change: "a larger cma=", why: "free runs were long enough" }],
      };
    }
    if (error === -4) {
      return {
        cause: "cma-interrupted",
        sentence: `A signal ended the search of ${area} for ${pages(count)} (-EINTR).`,
        confidence: "proven",
        harmless: "the caller was killed or interrupted",
      };
    }
    if (error !== -12) {
      return {
        cause: "not-in-report",
        sentence: `${area} refused ${pages(count)} with error ${error}.`,
        confidence: "hint",
      };
    }
    const full = free !== null && free < count;
    const pieces = free !== null && longestRun !== null && longestRun < count && free >= count;
    return {
      cause: pieces ? "fragmentation" : "cma-full",
      sentence: `${area} has no free run of ${pages(count)} (-ENOMEM)${known}.`,
      confidence: full || pieces ? "proven" : "hint",
      also: full || pieces ? [] : ["fragmentation"],
      advice: [
        {
          change: "a larger cma= (or the area's size in the device tree)",
          why: full
            ? "fewer pages are free than asked for; how much is enough is the sum of what devices hold at once"
            : "whether size or order in time is at fault, the area's bitmap tells (debugfs cma/, CONFIG_CMA_DEBUG)",
          basis: "reasoned",
        },
      ],
      missing:
        free === null
          ? ["the area's free runs (CONFIG_CMA_DEBUG prints them, debugfs cma/*/bitmap has them)"]
          : [],
    };
  },
};
