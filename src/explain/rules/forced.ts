/** Nobody asked: SysRq-f. */
import type { MemoryRule } from "../memory-case.ts";

export const forced: MemoryRule = {
  name: "forced",
  decides:
    "order=-1 in the header: the killer was called by hand (SysRq-f), no request was refused",
  linux: "moom_callback(), drivers/tty/sysrq.c; is_sysrq_oom(), mm/oom_kill.c",
  claim: ({ report }) =>
    report.kind === "oom" && report.order?.value === -1
      ? {
          cause: "forced",
          sentence: "The OOM killer was called by hand (SysRq-f): no request was refused.",
          confidence: "proven",
          evidence: [{ line: report.order.line, text: "order=-1" }],
        }
      : null,
};
