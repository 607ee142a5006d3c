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
/** Where RAM starts on the machines that QEMU calls "virt", and on many boards. */
const RAM_BASE: Partial<Record<Arch, number>> = {
  arm: 0x40000000,
  arm64: 0x40000000,
  riscv: 0x80000000,
};
/** Architectures whose firmware keeps the last GiB below 4 GiB for devices, as PCs do. */
const HAS_HOLE: ReadonlySet<Arch> = new Set(["ia64"]);

/**
 * RAM of `bytes` as the firmware of a plain machine lays it out: PCs from 0
 * with the holes below 1 MiB and below 4 GiB, ia64 with the latter, others in
 * one piece from `base` or where such machines usually start.
 */
export function memoryOfSize(bytes: number, arch: Arch, base: number | null): FirmwareRange[] {
  const usable = (start: number, end: number): FirmwareRange => ({ start, end, type: "usable" });
  if (base === null && HAS_HOLE.has(arch) && bytes > PC_LOW_RAM_END) {
    return [usable(0, PC_LOW_RAM_END), usable(4 * GIB, 4 * GIB + bytes - PC_LOW_RAM_END)];
  }
  if (arch !== "x86_64" && arch !== "i386") {
    const start = base ?? RAM_BASE[arch] ?? 0;
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

/** Firmware keeps a little of the top of low RAM; the modules end at the next multiple of this. */
const MODULE_STEP = 128 * MIB;

/**
 * `memory` with its RAM cut from the top, or grown there, to modules of `bytes`
 * in all. On a PC low RAM ends below the device hole and goes on above 4 GiB;
 * what firmware keeps at the top of low RAM stays there.
 */
export function resizeMemory(
  memory: readonly FirmwareRange[],
  bytes: number,
  arch: Arch,
): FirmwareRange[] {
  if (arch === "x86_64" || arch === "i386") return resizePc(memory, bytes);
  const usable = memory.filter((range) => range.type === "usable");
  const missing = bytes - totalLength(usable);
  if (missing < 0) return cut(memory, -missing);
  const top = usable.at(-1);
  return memory.map((range) => (range === top ? { ...range, end: range.end + missing } : range));
}

function resizePc(memory: readonly FirmwareRange[], bytes: number): FirmwareRange[] {
  const isLow = (range: FirmwareRange): boolean => range.end <= 4 * GIB;
  const usable = memory.filter((range) => range.type === "usable");
  const lowTop = usable.filter(isLow).reduce((end, range) => Math.max(end, range.end), 0);
  const lowEnd = Math.ceil(lowTop / MODULE_STEP) * MODULE_STEP;
  const hasHigh = usable.some((range) => !isLow(range));
  const newEnd = Math.min(bytes, hasHigh ? lowEnd : Math.max(lowEnd, PC_LOW_RAM_END));
  const moved = newEnd - lowEnd;
  const kept = memory.flatMap((range): FirmwareRange[] => {
    const { start, end, type } = range;
    if (type === "usable" && !isLow(range)) return [];
    if (type === "usable" && end === lowTop) return [{ start, end: end + moved, type }];
    const atLowTop = start >= lowTop && end <= lowEnd;
    return [atLowTop ? { start: start + moved, end: end + moved, type } : range];
  });
  const high = bytes - newEnd;
  if (high > 0) kept.push({ start: 4 * GIB, end: 4 * GIB + high, type: "usable" });
  return kept.filter((range) => range.end > range.start).sort((a, b) => a.start - b.start);
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
