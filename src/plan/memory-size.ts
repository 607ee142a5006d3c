/**
 * Memory maps of a given size: RAM laid out as firmware does it where only an
 * amount is known, and a real map cut or grown to another amount.
 */
import { totalLength } from "../base/range.ts";
import type { FirmwareRange } from "../formats/boot-log.ts";
import type { Arch } from "../kernels/policy.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Where PC firmware usually ends RAM below 4 GiB: the last GiB is for devices. */
const PC_LOW_RAM_END = 3 * GIB;
/** Where RAM starts on the arm machines that QEMU calls "virt", and on many boards. */
const ARM_RAM_BASE = 0x40000000;

/**
 * RAM of `bytes` as the firmware of a plain machine lays it out: PCs from 0
 * with the holes below 1 MiB and below 4 GiB, arm from `base`.
 */
export function memoryOfSize(bytes: number, arch: Arch, base: number | null): FirmwareRange[] {
  const usable = (start: number, end: number): FirmwareRange => ({ start, end, type: "usable" });
  if (arch === "custom") return [usable(base ?? 0, (base ?? 0) + bytes)];
  if (arch === "arm" || arch === "arm64") {
    const start = base ?? ARM_RAM_BASE;
    return [usable(start, start + bytes)];
  }
  const low = Math.min(bytes, PC_LOW_RAM_END);
  const ranges: FirmwareRange[] = [
    usable(0, Math.min(low, 0x9fc00)),
    { start: 0x9fc00, end: 0xa0000, type: "reserved" }, // extended BIOS data area
    { start: 0xf0000, end: 0x100000, type: "reserved" }, // BIOS
  ];
  if (low > MIB) ranges.push(usable(MIB, low));
  if (bytes > low) ranges.push(usable(4 * GIB, 4 * GIB + bytes - low));
  return ranges;
}

/**
 * `memory` with its RAM cut from the top, or grown there, to hold `bytes`. A PC
 * that grows past its low RAM goes on above 4 GiB.
 */
export function resizeMemory(
  memory: readonly FirmwareRange[],
  bytes: number,
  arch: Arch,
): FirmwareRange[] {
  const usable = memory.filter((range) => range.type === "usable");
  const missing = bytes - totalLength(usable);
  return missing >= 0 ? grow(memory, missing, arch) : cut(memory, -missing);
}

function cut(memory: readonly FirmwareRange[], bytes: number): FirmwareRange[] {
  let surplus = bytes;
  const kept: FirmwareRange[] = [];
  for (const range of memory.toSorted((a, b) => b.start - a.start)) {
    const less = range.type === "usable" ? Math.min(surplus, range.end - range.start) : 0;
    surplus -= less;
    if (range.end - less > range.start) kept.push({ ...range, end: range.end - less });
  }
  return kept.reverse();
}

function grow(memory: readonly FirmwareRange[], bytes: number, arch: Arch): FirmwareRange[] {
  const x86 = arch === "x86_64" || arch === "i386";
  const top = memory.findLast((range) => range.type === "usable");
  if (top === undefined || bytes === 0) return [...memory];
  const above = memory.filter((range) => range.start >= top.end);
  const ceiling = above.reduce((low, range) => Math.min(low, range.start), Number.MAX_SAFE_INTEGER);
  const limit = x86 && top.end <= 4 * GIB ? Math.min(ceiling, PC_LOW_RAM_END) : ceiling;
  const here = Math.max(0, Math.min(bytes, limit - top.end));
  const grown = memory.map((range) =>
    range === top ? { ...range, end: range.end + here } : range,
  );
  if (here < bytes) {
    const start = Math.max(4 * GIB, top.end);
    grown.push({ start, end: start + bytes - here, type: "usable" });
  }
  return grown.sort((a, b) => a.start - b.start);
}
