/**
 * Pages that reach the buddy allocator after memblock handed it the rest, and
 * where they lie: CMA areas, huge pages taken at boot, the initrd, and the parts
 * of the kernel image that are no longer needed.
 *
 * Each has the step at which the zone's managed count first contains it (see
 * `ManagedCounts`). The log gives exact sizes; places come from the log too,
 * those inside the image from its start and the sizes of the `Memory:` line.
 * An image may straddle a zone boundary, so its pieces are placed one by one.
 *
 * Linux: free_reserved_area(), mm/page_alloc.c; cma_init_reserved_areas(), mm/cma.c;
 * gather_bootmem_prealloc(), mm/hugetlb.c; free_init_pages(), arch/x86/mm/init.c
 */
import type { Range } from "../base/range.ts";
import { rangeList, subtract } from "../base/range.ts";
import type { BootLog, FreedMemory, MemoryLine } from "../formats/boot-log.ts";
import type { Arch, Policy } from "../kernels/policy.ts";
import { cmaInLog } from "./cma-in-log.ts";
import type { Hardware } from "./hardware.ts";
import { grantsOf } from "./memblock.ts";

/** First step whose count has the pages; a page of "t1" is in t1, t2 and end. */
export type LateStep = "t1" | "t2" | "end";

export interface LatePiece {
  readonly what: string;
  readonly step: LateStep;
  readonly pages: number;
  /** First byte; null when the log does not tell. */
  readonly start: number | null;
  readonly line: number;
  /** Pages of each block, where the piece is several that may lie apart. */
  readonly each?: number;
}

const KIB = 1024;
/** Huge page of x86-64, to which its image sections are aligned. Bytes. */
export const PMD_BYTES: number = 2 * KIB * KIB;

/** Callers whose frees describe pages that `freed` lines count already. */
export const LATE_CALLERS: ReadonlySet<string> = new Set([
  "free_initrd_mem",
  "free_initmem",
  "free_init_pages",
  "free_kernel_image_pages",
]);

/** Caller of the boot-time request for one gigantic page, in all versions. */
const HUGE_PAGE_CALLER = /alloc_bootmem_huge_page/;

/** How the log calls what EFI kept until the kernel had switched to its own mappings. */
export const BOOT_SERVICES = "EFI boot services";

/** Bytes of the image that the `Memory:` line accounts for: a lower bound of what it reserves. */
export function imageBytes(memory: MemoryLine): number {
  const { kernelCodeKib, rwdataKib, rodataKib, initKib, bssKib } = memory;
  return (kernelCodeKib + rwdataKib + rodataKib + initKib + bssKib) * KIB;
}

/**
 * Where the kernel image lies, bytes: the smallest range reserved at the first
 * complete dump that could hold it and is nothing else we know of. Later, other
 * things of its size are reserved too. Null when there is none.
 */
export function imageRange(log: BootLog): Range | null {
  if (log.memory === null) return null;
  const needed = imageBytes(log.memory);
  const dump = log.memblock.find((event) => event.kind === "dump" && event.complete);
  if (needed === 0 || dump?.kind !== "dump") return null;
  const others = rangeList([
    ...log.cma,
    ...log.crashkernel,
    ...[log.ramdisk, log.ramdiskMoved, log.swiotlb.mapped].filter((range) => range !== null),
  ]);
  let best: Range | null = null;
  for (const range of subtract(rangeList(dump.reserved), others)) {
    const bytes = range.end - range.start;
    if (bytes >= needed && (best === null || bytes < best.end - best.start)) best = range;
  }
  return best;
}

/** Which initcall sets the first marks; absent: that of 5.8 and later. */
export type MarksInitcall = Policy["marksInitcall"];

/**
 * The step of a piece by the initcall that sets the first marks. A core initcall comes before CMA's
 * own; a device initcall after all that is freed before init: gigantic pages, boot services, the
 * initrd (rootfs). The steps of `LatePiece` are those of a postcore initcall.
 *
 * Linux: init_per_zone_wmark_min(), mm/page_alloc.c; cma_init_reserved_areas(), mm/cma.c
 */
export function stepFor(what: string, step: LateStep, initcall: MarksInitcall): LateStep {
  if (initcall === "core") return what === "CMA" ? "t2" : step;
  if (initcall === "postcore") return step;
  return what === "initrd" || step === "t2" ? "t1" : step;
}

/** Everything that was freed late, in the order of the log. */
export function latePieces(
  log: BootLog,
  hardware: Hardware,
  image: Range | null,
  initcall: MarksInitcall = "postcore",
): LatePiece[] {
  return piecesOf(log, hardware, image).map((piece) => ({
    ...piece,
    step: stepFor(piece.what, piece.step, initcall),
  }));
}

function piecesOf(log: BootLog, hardware: Hardware, image: Range | null): LatePiece[] {
  const { arch } = hardware;
  const { pageSize } = hardware.build;
  const pieces: LatePiece[] = [];
  for (const area of cmaInLog(log, hardware)) {
    const pages = area.bytes / pageSize;
    pieces.push({ what: "CMA", step: "t1", pages, start: area.start, line: area.line });
  }
  // EFI's boot services memory is given back right after the handover, straight to the buddy.
  for (const { start, end, line } of log.lateFrees) {
    const pages = (end - start) / pageSize;
    pieces.push({ what: "boot services", step: "t1", pages, start, line });
  }
  pieces.push(...giganticPages(log, hardware));
  const places = image === null || log.memory === null ? null : sections(arch, image, log.memory);
  for (const freed of log.freed) {
    const { what, line, kib } = freed;
    const pages = Math.floor((kib * KIB) / pageSize);
    if (what === BOOT_SERVICES) {
      pieces.push(...bootServices(log, freed, pageSize));
      continue;
    }
    const step = what === "SMP alternatives" ? "t1" : "end";
    const start =
      what === "initrd" ? initrdStart(log, freed, pageSize) : placeInImage(places, freed, arch);
    pieces.push({ what, step, pages, start, line });
  }
  return pieces;
}

/**
 * EFI's boot services memory, which the log gives in one sum: it is what the
 * kernel reserved for them, less what lies below 1 MiB. That is freed when the
 * first marks stand (arch_initcall), but before khugepaged sets its own.
 *
 * Linux: efi_free_boot_services(), arch/x86/platform/efi/quirks.c
 */
function bootServices(log: BootLog, { kib, line }: FreedMemory, pageSize: number): LatePiece[] {
  const piece = (bytes: number, start: number | null): LatePiece => {
    return { what: "boot services", step: "t2", pages: bytes / pageSize, start, line };
  };
  const kept: Range[] = [];
  for (const event of log.memblock) {
    if (event.kind === "reserve" && event.caller === "efi_reserve_boot_services") kept.push(event);
  }
  const pieces = subtract(rangeList(kept), [{ start: 0, end: KIB * KIB }]).map((range) =>
    piece(range.end - range.start, range.start),
  );
  const placed = pieces.reduce((sum, { pages }) => sum + pages * pageSize, 0);
  return placed === kib * KIB ? pieces : [piece(kib * KIB, null)];
}

/**
 * Huge pages beyond the largest buddy block come from memblock and are counted
 * as managed when hugetlb gathers them; smaller ones come from the buddy.
 */
function giganticPages(log: BootLog, hardware: Hardware): LatePiece[] {
  const { pageSize } = hardware.build;
  const grants = grantsOf(log.memblock, HUGE_PAGE_CALLER);
  if (grants.length > 0) {
    return grants.map(({ bytes, range, line }) => {
      const pages = bytes / pageSize;
      return { what: "huge page", step: "t2", pages, start: range.start, line };
    });
  }
  if (log.memblock.length > 0) return [];
  return log.hugePages
    .filter((pool) => pool.count > 0 && isGigantic(pool.pageBytes, hardware))
    .map(({ pageBytes, count, line }) => {
      const each = pageBytes / pageSize;
      return { what: "huge page", step: "t2", pages: each * count, start: null, line, each };
    });
}

/** Whether a huge page is larger than the largest buddy block. Linux: hstate_is_gigantic() */
export function isGigantic(bytes: number, hardware: Hardware): boolean {
  return bytes > hardware.build.pageSize * (hardware.build.maxOrderPages ?? 1024);
}

/**
 * First byte of the initrd. arm and arm64 do not print it: arm names the caller
 * that reserved it, arm64 gives it back to memblock (by a caller that changed
 * over time) on the last memblock line before the one that tells its size.
 */
function initrdStart(log: BootLog, freed: FreedMemory, pageSize: number): number | null {
  const range = log.ramdiskMoved ?? log.ramdisk;
  if (range !== null) return range.start;
  let start: number | null = null;
  for (const event of log.memblock) {
    if (event.line >= freed.line) break;
    if (event.kind === "reserve" && event.caller === "reserve_initrd_mem") start = event.start;
    if (event.kind !== "free" || event.line < (log.memory?.line ?? 0)) continue;
    // Its last page stays reserved when the initrd does not fill it.
    const unfreed = event.end - event.start - freed.kib * KIB;
    if (unfreed >= 0 && unfreed < 2 * pageSize) start = event.start;
  }
  return start;
}

interface Sections {
  readonly textEnd: number;
  readonly rodataEnd: number;
  readonly initStart: number;
  readonly initEnd: number;
  /** End of bss. */
  readonly end: number;
}

/**
 * Section boundaries of an image by the order of the linker script: x86 puts
 * data before init, arm and arm64 init before data. x86-64 aligns the start of
 * rodata, of data and of the end of bss to 2 MiB.
 *
 * Linux: arch/{x86,arm,arm64}/kernel/vmlinux.lds.S
 */
function sections(arch: Arch, image: Range, memory: MemoryLine): Sections {
  const align = arch === "x86_64" ? PMD_BYTES : 4 * KIB;
  const start = roundUp(image.start, align);
  const textEnd = start + memory.kernelCodeKib * KIB;
  const rodataEnd = roundUp(textEnd, align) + memory.rodataKib * KIB;
  const afterRodata = roundUp(rodataEnd, align);
  const isX86 = arch === "x86_64" || arch === "i386";
  const initStart = afterRodata + (isX86 ? memory.rwdataKib * KIB : 0);
  const initEnd = initStart + memory.initKib * KIB;
  return { textEnd, rodataEnd, initStart, initEnd, end: image.end - (image.end % align) };
}

function placeInImage(places: Sections | null, freed: FreedMemory, arch: Arch): number | null {
  if (places === null) return null;
  const bytes = freed.kib * KIB;
  if (freed.what.includes("text/rodata")) return roundUp(places.textEnd, 4 * KIB);
  if (freed.what.includes("rodata/data")) return roundUp(places.rodataEnd, 4 * KIB);
  if (freed.what === "SMP alternatives") return roundUp(places.initEnd, 4 * KIB);
  if (freed.what === "unused decrypted" && arch === "x86_64") return places.end - bytes;
  return roundUp(places.initStart, 4 * KIB);
}

function roundUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}
