/**
 * The CMA areas of a boot as its log shows them: `cma: Reserved …`, the devicetree's pools, and, where
 * those lines were lost (arm64's early log is small), the devicetree's request for just what the
 * `Memory:` line counts too many.
 *
 * Linux: cma_declare_contiguous_nid(), mm/cma.c; rmem_cma_setup(), kernel/dma/contiguous.c
 */
import { intersect, rangeList } from "../base/range.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Hardware, ReservedRequest } from "./hardware.ts";

export interface SeenArea {
  /** Bytes; null where nothing tells. */
  readonly start: number | null;
  readonly bytes: number;
  /** 0 where no line tells of it. */
  readonly line: number;
}

/** In the order in which the kernel reserves them: the devicetree's first. */
export function cmaInLog(log: BootLog, hardware: Hardware): SeenArea[] {
  const pools = log.reservedMemory.filter(({ kind }) => kind === "CMA");
  const told = [...pools, ...log.cma].map(({ start, end, line }) => {
    return { start, bytes: end - start, line };
  });
  const bytes = told.reduce((sum, area) => sum + area.bytes, 0);
  const missing = (log.memory?.cmaReservedKib ?? 0) * 1024 - bytes;
  const lost = (hardware.reserved ?? []).find(
    (request) => request.kind === "cma" && request.bytes === missing,
  );
  if (lost === undefined) return told;
  return [{ start: placeOf(lost, log), bytes: lost.bytes, line: 0 }, ...told];
}

/**
 * The highest place that the request allows and that memblock shows as reserved; without a dump the
 * highest that it allows.
 */
function placeOf({ start, bytes, within, align }: ReservedRequest, log: BootLog): number | null {
  if (start !== null) return start;
  const dump = log.memblock.findLast((event) => event.kind === "dump" && event.complete);
  const reserved = dump?.kind === "dump" ? rangeList(dump.reserved) : within;
  const anywhere = [{ start: 0, end: Number.MAX_SAFE_INTEGER }];
  const unit = Math.max(1, align);
  for (const allowed of within.length === 0 ? anywhere : within) {
    for (const range of intersect(rangeList(reserved), [allowed]).toReversed()) {
      const at = Math.floor((range.end - bytes) / unit) * unit;
      if (at >= range.start) return at;
    }
  }
  return null;
}
