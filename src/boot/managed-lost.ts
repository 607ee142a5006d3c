/**
 * What every kernel frees right before its first user process, and a boot log
 * does not tell of: the log was cut there, or lost a line.
 *
 *   initrd, init section           all architectures
 *   text/rodata, rodata/data gap   x86-64, up to the next 2 MiB; one of no size is not printed
 *
 * As long as a piece is missing no managed count is exact.
 */
import type { Issue } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Arch } from "../kernels/policy.ts";
import { PMD_BYTES } from "./managed-late.ts";

/** Memory that was freed without a line in the log. */
export interface LostPiece {
  readonly what: string;
  /** Most bytes that it can have; infinite where the log does not tell. */
  readonly bytes: number;
}

const KIB = 1024;
/** More than the SMP alternatives of any build captured: 28 to 52 KiB. */
const ALTERNATIVES_BYTES = 128 * KIB;
/** `rodata=` with what kstrtobool() reads as no: nothing is protected, and no gap is freed. */
const UNPROTECTED = /(?:^|\s)rodata=(?:o[fF]|[0nNfF])/;
const KEEPS_INITRD = /(?:^|\s)(?:retain_initrd|keepinitrd)(?:\s|$)/;

/**
 * The pieces that should have been freed by the end of boot and were not, in the
 * order in which the kernel frees them; empty for a log that is whole.
 * Linux: kernel_init(), init/main.c; mark_rodata_ro(), arch/x86/mm/init_64.c
 */
export function piecesLost(log: BootLog, arch: Arch): LostPiece[] {
  const unused = log.freed.filter(({ what }) => what.startsWith("unused kernel"));
  const gapsNamed = unused.filter(({ what }) => what.endsWith("gap)")).length;
  const initFreed = unused.length > gapsNamed;
  const lost: LostPiece[] = [];
  const initrd = initrdLost(log, arch, unused.length > 0);
  if (initrd !== null) lost.push(initrd);
  if (!initFreed) {
    // Of x86-64 "unused decrypted" comes just before, and ends where a huge page does.
    const decrypted = arch === "x86_64" ? PMD_BYTES : 0;
    const init = log.memory === null ? Number.POSITIVE_INFINITY : log.memory.initKib * KIB;
    lost.push({ what: "init", bytes: init + ALTERNATIVES_BYTES + decrypted });
  }
  if (arch !== "x86_64" || UNPROTECTED.test(log.commandLine ?? "")) return lost;
  // Up to 4.17 a build could do without protection, and its log says nothing of images.
  if (initFreed && !unused.some(({ what }) => what.includes("image"))) return lost;
  // Up to 5.4 the three lines are alike, init first.
  const gapsAlike = Math.max(0, unused.length - gapsNamed - 1);
  const gaps = gapsOf(log);
  const missing = gaps.filter(({ what }) => !unused.some((one) => one.what.includes(what)));
  return [...lost, ...(gapsNamed > 0 ? missing : missing.slice(gapsAlike))];
}

/** Gaps between the sections of an x86-64 image, those that have pages. */
function gapsOf({ memory }: BootLog): LostPiece[] {
  if (memory === null) return [];
  const gap = (what: string, kib: number): LostPiece => {
    return { what, bytes: Math.ceil((kib * KIB) / PMD_BYTES) * PMD_BYTES - kib * KIB };
  };
  return [
    gap("text/rodata gap", memory.kernelCodeKib),
    gap("rodata/data gap", memory.rodataKib),
  ].filter(({ bytes }) => bytes > 0);
}

/**
 * x86 says where the boot loader put an initrd, so one that was never freed is
 * missed; of the others one may have been there as long as the log does not go on.
 */
function initrdLost(log: BootLog, arch: Arch, goesOn: boolean): LostPiece | null {
  const what = "initrd";
  if (log.freed.some((one) => one.what === what)) return null;
  if (KEEPS_INITRD.test(log.commandLine ?? "")) return null;
  const range = log.ramdiskMoved ?? log.ramdisk;
  if (range !== null) return { what, bytes: Math.max(0, range.end - range.start) };
  if (goesOn || arch === "x86_64" || arch === "i386") return null;
  return { what, bytes: Number.POSITIVE_INFINITY };
}

/** Most pages that the lost pieces can have given back. */
export function pagesOfLost(lost: readonly LostPiece[], pageSize: number): number {
  return Math.ceil(lost.reduce((sum, { bytes }) => sum + bytes, 0) / pageSize);
}

/** The warning for a log with lost pieces; none for a whole one. */
export function issuesOfLost(lost: readonly LostPiece[]): Issue[] {
  if (lost.length === 0) return [];
  const names = lost.map(({ what }) => what).join(", ");
  const message = lost.some(({ what }) => what === "init")
    ? "the boot log ends before the kernel freed its init memory: it was cut"
    : `the boot log does not tell that this was freed: ${names}; it was cut, or a line is missing`;
  const mend = "take the whole log once the machine is up; until then managed pages are bounds";
  return [{ severity: "warning", message, mend }];
}
