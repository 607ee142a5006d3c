/** CMA's area could not be set up. */
import type { MessageRule } from "../message-case.ts";

export const cmaNotReserved: MessageRule = {
  name: "cma-not-reserved",
  kind: "cma",
  decides:
    "“Failed to reserve”, or an error of the area's setup: -22 is alignment or order of initialisation",
  linux: "cma_declare_contiguous(), cma_init_reserved_mem(), mm/cma.c",
  claim: ({ message, series }) => {
    if (message.kind !== "cma-reserve-failed") return null;
    const { mib, error } = message;
    const size = mib === null ? "" : ` of ${mib} MiB`;
    const halved =
      series.count > 1 && series.largest !== null && series.smallest !== series.largest
        ? ` Sizes from ${series.largest} down to ${series.smallest} MiB all failed, so size is not what is wrong.`
        : "";
    const setup = error === -22 || halved !== "";
    return {
      cause: "cma-not-reserved",
      sentence: `The CMA area${size} was not reserved${error === null ? "" : ` (error ${error})`}.${halved}`,
      confidence: setup ? "consistent" : "hint",
      advice: [
        setup
          ? {
              change:
                "look at the kernel: alignment of the area, or pageblock order not set yet at this point of boot",
              why: "-EINVAL and failures of every size come from the setup, not from free memory",
              basis: "reasoned",
            }
          : {
              change: "a smaller cma=, or another place (cma=size@start-end)",
              why: "no free range of that size lies below the limit",
              basis: "reasoned",
            },
      ],
      ...(setup
        ? {
            noHelp: [
              {
                change: "a smaller cma=",
                why: "smaller ones failed too, or were not tried for want of room",
              },
            ],
          }
        : {}),
      missing: setup ? [] : ["the memory map of this boot"],
    };
  },
};
