/**
 * Parameters whose value is more than one number: `memmap=`, `cma=`,
 * `hugetlb_cma=`, `swiotlb=`, `crashkernel=` and the three of huge pages.
 *
 * The traps are here too: a shell or boot loader that ate the `$` of
 * `memmap=64M$0x10000000` leaves a line that the kernel reads as "no RAM above
 * 64 MiB", and so do we, aloud.
 */
import type { Arch } from "../kernels/policy.ts";
import type { MemmapEdit } from "./command-line.ts";
import { type Draft, type Place, readBytes, reportCapped } from "./draft.ts";
import { memparse, parseInteger } from "./memparse.ts";

/** `memmap=` is a comma list of pieces. Linux: parse_memmap_one(), arch/x86/kernel/e820.c */
export function readMemmap(draft: Draft, value: string | null, place: Place): void {
  if (value === null || value === "") {
    place.complain("warning", "memmap= has no value; the kernel ignores it");
    return;
  }
  for (const piece of value.split(",")) {
    const edit = memmapPiece(piece, place);
    if (edit !== null) draft.edits.push(edit);
  }
}

const KIND_OF_MARK = { "@": "add", "#": "acpi", $: "reserve", "!": "protected" } as const;

function memmapPiece(piece: string, place: Place): MemmapEdit | null {
  if (piece.startsWith("exactmap")) return { kind: "exactmap" };
  const size = memparse(piece);
  if (size.end === 0) {
    place.complain(
      "warning",
      `the kernel cannot read "${piece.slice(0, 40)}" and ignores it`,
      "a piece is exactmap, or a size with @start, #start, $start, !start or %start-type+type",
    );
    return null;
  }
  reportCapped(size.capped, place);
  const mark = piece[size.end];
  const bytes = size.value;
  if (mark === undefined) return { kind: "limit", bytes };
  if (mark === "%") return retypePiece(piece, size.end + 1, bytes, place);
  if (mark !== "@" && mark !== "#" && mark !== "$" && mark !== "!") {
    reportEatenMark(piece, size.end, place);
    return { kind: "limit", bytes };
  }
  const start = memparse(piece, size.end + 1);
  reportCapped(start.capped, place);
  if (start.end === size.end + 1) {
    place.complain("warning", `no address after the ${mark}: the kernel reads it as 0`);
  } else if (start.end < piece.length) {
    place.complain(
      "warning",
      `the kernel does not read "${piece.slice(start.end, start.end + 40)}"`,
    );
  }
  return { kind: KIND_OF_MARK[mark], start: start.value, bytes };
}

function reportEatenMark(piece: string, end: number, place: Place): void {
  const rest = piece.slice(end);
  const size = piece.slice(0, end);
  // With `$0x…` a shell eats the `$` alone or the `$0`.
  const address = /^(?:0[xX]|[xX])([0-9a-fA-F]{1,16})$/.exec(rest)?.[1];
  const eaten = address !== undefined || /^\d/.test(rest);
  const mark = address === undefined ? `$${rest.slice(0, 40)}` : `$0x${address}`;
  place.complain(
    "warning",
    `the kernel reads "${piece.slice(0, 40)}" as memmap=${size}: all RAM above ${size} is lost${
      eaten ? ". A shell or boot loader has probably eaten the $" : ""
    }`,
    eaten
      ? `write memmap=${size}\\${mark}, with as many backslashes as the boot loader needs`
      : "put @, #, $ or ! between size and start; suffixes have no B",
  );
}

function retypePiece(piece: string, at: number, bytes: number, place: Place): MemmapEdit {
  const start = memparse(piece, at);
  let { end } = start;
  let from: number | null = null;
  let to: number | null = null;
  if (piece[end] === "-") {
    const type = parseInteger(piece, end + 1);
    from = type.value === 0 ? null : type.value;
    end = type.end;
  }
  if (piece[end] === "+") {
    const type = parseInteger(piece, end + 1);
    to = type.value === 0 ? null : type.value;
    end = type.end;
  }
  if (end < piece.length) {
    place.complain("warning", `the kernel refuses "${piece.slice(end, end + 40)}" after the types`);
    // It returns before it changes anything.
    return { kind: "retype", start: 0, bytes: 0, from: null, to: null };
  }
  return { kind: "retype", start: start.value, bytes, from, to };
}

/** `cma=size[@base[-limit]]`. Linux: early_cma(), kernel/dma/contiguous.c */
export function readCma(draft: Draft, value: string | null, place: Place): void {
  const parts = /^([^@]*)(?:@([^-]*)(?:-(.*))?)?$/s.exec(value ?? "");
  const bytes = readBytes(value === null ? null : (parts?.[1] ?? null), place);
  if (bytes === null) return;
  const base = parts?.[2] === undefined ? 0 : (readBytes(parts[2], place) ?? 0);
  const limit = parts?.[3] === undefined ? 0 : (readBytes(parts[3], place) ?? 0);
  if (limit !== 0 && limit < base + bytes) {
    place.complain("warning", "the area does not fit between base and limit", "raise the limit");
  }
  draft.cma = { bytes, base, limit };
}

/** Bytes in all, or `node:bytes` pairs. Linux: cmdline_parse_hugetlb_cma(), mm/hugetlb.c */
export function readHugetlbCma(draft: Draft, value: string | null, place: Place): void {
  const sizes = (value ?? "").split(",").map((piece) => piece.replace(/^\d+:/, ""));
  const bytes = sizes.map((size) => readBytes(size === "" ? null : size, place) ?? 0);
  draft.hugetlbCmaBytes = bytes.reduce((sum, size) => sum + size, 0);
}

/** `[slots][,areas][,force|noforce]`. Linux: setup_io_tlb_npages(), kernel/dma/swiotlb.c */
export function readSwiotlb(draft: Draft, value: string | null, place: Place): void {
  let { slots, areas, force, noforce } = draft.swiotlb;
  let rest = value ?? "";
  const number = (): number | null => {
    if (!/^\d/.test(rest)) return null;
    const parsed = parseInteger(rest);
    reportCapped(parsed.capped, place);
    rest = rest.slice(parsed.end);
    return parsed.value;
  };
  slots = number() ?? slots;
  if (rest.startsWith(",")) rest = rest.slice(1);
  areas = number() ?? areas;
  if (rest.startsWith(",")) rest = rest.slice(1);
  if (rest === "force") force = true;
  else if (rest === "noforce") noforce = true;
  else if (rest !== "" || value === null || value === "") {
    place.complain(
      "warning",
      `the kernel does not read "${rest.slice(0, 40)}" of swiotlb=`,
      "give slots of 2 KiB (without suffix), areas, and force or noforce, with commas between",
    );
  }
  if (slots === 0) place.complain("warning", "swiotlb=0 slots: the pool gets its least size");
  draft.swiotlb = { slots, areas, force, noforce };
}

const SIZE = "\\d[0-9a-fA-FxX]*[KMGTPEkmgtpe]?";
const CRASHKERNEL = new RegExp(
  `^(?:${SIZE}(?:@${SIZE}|,high|,low|,cma)?|${SIZE}-(?:${SIZE})?:${SIZE}` +
    `(?:,${SIZE}-(?:${SIZE})?:${SIZE})*(?:@${SIZE})?)$`,
);

/** All forms are kept as written. Linux: parse_crashkernel(), kernel/crash_core.c */
export function readCrashkernel(draft: Draft, value: string | null, place: Place): void {
  if (value === null || !CRASHKERNEL.test(value)) {
    place.complain(
      "warning",
      "the kernel cannot read this value",
      "write size, size@start, size,high, size,low or range:size,range:size[@start]",
    );
  }
  if (value !== null) draft.crashkernel = [...draft.crashkernel, value];
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Huge page sizes in bytes. Linux: arch_hugetlb_valid_size() of each architecture */
function isHugePageSize(bytes: number, arch: Arch, pageSize: number): boolean {
  const arm64: Record<number, readonly number[]> = {
    [4 * KIB]: [64 * KIB, 2 * MIB, 32 * MIB, GIB],
    [16 * KIB]: [2 * MIB, 32 * MIB, GIB, 64 * GIB],
    [64 * KIB]: [2 * MIB, 512 * MIB, 16 * GIB],
  };
  switch (arch) {
    case "x86_64":
      return bytes === 2 * MIB || bytes === GIB;
    case "i386":
      return bytes === 2 * MIB || bytes === 4 * MIB;
    case "arm":
      return bytes === 2 * MIB;
    case "arm64":
      return arm64[pageSize]?.includes(bytes) ?? false;
    case "riscv":
      return bytes === 2 * MIB || bytes === GIB;
    case "s390":
      return bytes === MIB || bytes === 2 * GIB;
    case "powerpc32":
    case "mips":
      return false;
    // Any power of two that the hardware's page tables have: which ones, the machine decides.
    case "ia64":
    case "powerpc":
    case "mips64":
    case "custom":
      return bytes > pageSize && Number.isInteger(Math.log2(bytes));
  }
}

/** Linux: hugepagesz_setup(), mm/hugetlb.c */
export function readHugePageSize(draft: Draft, value: string | null, place: Place): void {
  const bytes = readBytes(value, place);
  const valid = bytes !== null && isHugePageSize(bytes, place.arch, place.pageSize);
  if (!valid) {
    place.complain("warning", `${place.arch} kernels have no huge pages of this size`);
  }
  draft.hugePageState = valid ? bytes : "refused";
}

/** Linux: default_hugepagesz_setup(), mm/hugetlb.c */
export function readDefaultHugePageSize(draft: Draft, value: string | null, place: Place): void {
  const bytes = readBytes(value, place);
  if (bytes !== null && isHugePageSize(bytes, place.arch, place.pageSize)) {
    draft.defaultHugePageBytes = bytes;
    draft.hugePageState = "default";
    return;
  }
  place.complain("warning", `${place.arch} kernels have no huge pages of this size`);
  draft.hugePageState = "refused";
}

/** A count, or `node:count` pairs, summed. Linux: hugepages_setup(), mm/hugetlb.c */
export function readHugePages(draft: Draft, value: string | null, place: Place): void {
  if (draft.hugePageState === "refused" || draft.hugePageState === "counted") {
    const why =
      draft.hugePageState === "refused"
        ? "hugepages= does not follow a valid hugepagesz="
        : "hugepages= is given twice without a hugepagesz= between";
    place.complain("warning", `${why}; the kernel ignores it`);
    draft.hugePageState = "counted";
    return;
  }
  if (value === null || !/^(?:\d+|\d+:\d+(?:,\d+:\d+)*)$/.test(value)) {
    place.complain(
      "warning",
      "the kernel cannot read this count",
      "write 64, or 0:32,1:32 by node",
    );
    return;
  }
  const counts = value.split(",").map((piece) => Number(piece.slice(piece.indexOf(":") + 1)));
  const sum = counts.reduce((total, one) => total + one, 0);
  reportCapped(sum > Number.MAX_SAFE_INTEGER, place);
  const count = Math.min(sum, Number.MAX_SAFE_INTEGER);
  const pageBytes = draft.hugePageState === "default" ? null : draft.hugePageState;
  draft.hugePages.push({ pageBytes, count });
  draft.hugePageState = "counted";
}
