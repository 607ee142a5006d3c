/** The page-fault handler called the killer: an allocation somewhere said "out of memory". */
import type { MemoryRule } from "../memory-case.ts";

export const oomWithoutRequest: MemoryRule = {
  name: "oom-without-request",
  decides: "gfp_mask=0x0 in an OOM header: a page fault returned VM_FAULT_OOM, no request is known",
  linux: "pagefault_out_of_memory(), mm/oom_kill.c",
  claim: ({ report }) => {
    if (report.kind !== "oom" || report.gfp === null || report.gfp.bits !== 0) return null;
    const free = report.counters.get("free");
    const state = free === undefined ? "" : ` ${free.value} pages are free in the printed state.`;
    return {
      cause: "oom-without-request",
      sentence: `A page fault ended with "out of memory" (gfp_mask=0x0): the killer was called without a request that zones could have refused.${state}`,
      confidence: "proven",
      evidence: [
        { line: report.gfp.line, text: "gfp_mask=0x0" },
        ...(free === undefined ? [] : [{ line: free.line, text: `free:${free.value}` }]),
      ],
      missing: [
        "who failed inside the fault: a charge to a memory cgroup, a driver's fault handler, or a bad page table entry; messages just before this report may name it",
      ],
      advice: [
        {
          change: "look at the lines before this report and at the cgroup's memory.events",
          why: "the state printed here is that of the whole machine, which did not refuse anything",
          basis: "reasoned",
        },
      ],
    };
  },
};
