/**
 * One reader for each parameter that decides where memory goes. A reader
 * writes into the draft of the parsed line what the kernel would take the value
 * for, and complains about what was hardly meant.
 *
 * A parameter that the architecture does not have is reported and not read.
 * Shapes of more than one number (`memmap=`, `swiotlb=`, huge pages …) are in
 * `parameter-shapes.ts`.
 */
import type { Arch } from "../kernels/policy.ts";
import type { CoreSize } from "./command-line.ts";
import { type Draft, type Place, type ReadParameter, readBytes } from "./draft.ts";
import { parseInteger } from "./memparse.ts";
import {
  readCma,
  readCrashkernel,
  readDefaultHugePageSize,
  readHugePageSize,
  readHugePages,
  readHugetlbCma,
  readMemmap,
  readSwiotlb,
} from "./parameter-shapes.ts";

/** Wraps a reader of a parameter that only some architectures have. */
function onlyOn(archs: readonly Arch[], read: ReadParameter): ReadParameter {
  return (draft, value, place) => {
    if (archs.includes(place.arch) || place.arch === "custom") read(draft, value, place);
    else {
      place.complain("warning", `${place.arch} kernels do not have this parameter; it is ignored`);
    }
  };
}

function readMem(draft: Draft, value: string | null, place: Place): void {
  if (value === "nopentium" && place.arch === "i386") return;
  const [size, rest] = splitAt(value, "@");
  const bytes = readBytes(size, place);
  if (bytes === null) return;
  // arm takes an empty bank and ends up without RAM; the others refuse it.
  if (bytes === 0 && place.arch !== "arm") {
    place.complain("warning", "mem=0 would leave no memory; the kernel ignores it");
    return;
  }
  if (rest === null) draft.edits.push({ kind: "mem", bytes });
  else if (place.arch === "arm") {
    const start = readBytes(rest, place);
    if (start !== null) draft.edits.push({ kind: "mem", bytes, start });
  } else {
    place.complain(
      "warning",
      `${place.arch} kernels do not read what follows the @`,
      "to add RAM at an address use memmap=size@start on x86",
    );
    draft.edits.push({ kind: "mem", bytes });
  }
}

function splitAt(value: string | null, mark: string): [string | null, string | null] {
  const at = value?.indexOf(mark) ?? -1;
  if (value === null || at < 0) return [value, null];
  return [value.slice(0, at), value.slice(at + 1)];
}

function readCore(value: string | null, place: Place): CoreSize | null {
  const number = parseInteger(value ?? "");
  if (value?.[number.end] !== "%" || number.end === 0) {
    const bytes = readBytes(value, place);
    return bytes === null ? null : { kind: "bytes", bytes };
  }
  if (number.value > 100) {
    place.complain("warning", "more than 100 % of memory", "give a percentage from 1 to 100");
  }
  return { kind: "percent", percent: number.value };
}

function readKernelcore(draft: Draft, value: string | null, place: Place): void {
  // Once asked for, mirror stays: the kernel keeps it in a flag of its own.
  if (value?.split(",").includes("mirror")) draft.kernelcore = { kind: "mirror" };
  else if (draft.kernelcore?.kind !== "mirror") {
    draft.kernelcore = readCore(value, place) ?? draft.kernelcore;
  }
}

function readNuma(draft: Draft, value: string | null, place: Place): void {
  const flags = draft.numaFlags;
  if (value?.startsWith("off")) flags.off = true;
  else if (value?.startsWith("fake=")) flags.fake = value.slice("fake=".length);
  else if (value?.startsWith("noacpi")) flags.noacpi = true;
  else if (value !== "on" && !value?.startsWith("nohmat")) {
    place.complain("warning", "the kernel does not know this value", "use off, noacpi or fake=…");
  }
}

function readTransparentHugepage(draft: Draft, value: string | null, place: Place): void {
  if (value === "always" || value === "madvise" || value === "never") {
    draft.transparentHugepage = value;
  } else {
    place.complain("warning", "the kernel ignores this value", "use always, madvise or never");
  }
}

/** A count of CPUs; null, with a complaint, where there is no number. */
function readCount(value: string | null, place: Place, least: number): number | null {
  const { value: count, end } = parseInteger(value ?? "");
  if (value !== null && end === value.length && end > 0 && count >= least) return count;
  place.complain("warning", "the kernel ignores this value", `give a number from ${least} up`);
  return null;
}

/** Linux: log_buf_len_setup() and LOG_BUF_LEN_MAX, kernel/printk/printk.c */
const LOG_BUF_MAX = 2 ** 31;

function readLogBuf(draft: Draft, value: string | null, place: Place): void {
  const bytes = readBytes(value, place);
  if (bytes === null || bytes === 0) return;
  if (bytes > LOG_BUF_MAX) place.complain("warning", "the log buffer is at most 2 GiB");
  draft.logBufBytes = 2 ** Math.ceil(Math.log2(Math.min(bytes, LOG_BUF_MAX)));
}

const X86: readonly Arch[] = ["x86_64", "i386"];

/** Every parameter that is read, by the kernel's name for it. */
export const PARAMETERS: ReadonlyMap<string, ReadParameter> = new Map<string, ReadParameter>([
  ["mem", readMem],
  ["memmap", onlyOn(X86, readMemmap)],
  ["kernelcore", readKernelcore],
  [
    "movablecore",
    (draft, value, place) => {
      draft.movablecore = readCore(value, place) ?? draft.movablecore;
    },
  ],
  [
    "movable_node",
    (draft) => {
      draft.movableNode = true;
    },
  ],
  [
    "highmem",
    onlyOn(["i386"], (draft, value, place) => {
      draft.highmemBytes = readBytes(value, place) ?? draft.highmemBytes;
    }),
  ],
  [
    "vmalloc",
    onlyOn(["i386", "arm"], (draft, value, place) => {
      draft.vmallocBytes = readBytes(value, place) ?? draft.vmallocBytes;
    }),
  ],
  ["cma", readCma],
  ["hugetlb_cma", readHugetlbCma],
  ["swiotlb", readSwiotlb],
  [
    "iommu",
    (draft, value) => {
      draft.iommu = [...draft.iommu, ...(value ?? "").split(",").filter((word) => word !== "")];
    },
  ],
  ["crashkernel", readCrashkernel],
  ["hugepages", readHugePages],
  ["hugepagesz", readHugePageSize],
  ["default_hugepagesz", readDefaultHugePageSize],
  ["numa", onlyOn(["x86_64", "i386", "arm64"], readNuma)],
  ["transparent_hugepage", readTransparentHugepage],
  [
    "maxcpus",
    (draft, value, place) => {
      draft.maxCpus = readCount(value, place, 0) ?? draft.maxCpus;
    },
  ],
  [
    "nosmp",
    (draft) => {
      draft.maxCpus = 0;
    },
  ],
  [
    "nr_cpus",
    (draft, value, place) => {
      draft.nrCpus = readCount(value, place, 1) ?? draft.nrCpus;
    },
  ],
  [
    "possible_cpus",
    onlyOn(X86, (draft, value, place) => {
      draft.possibleCpus = readCount(value, place, 1) ?? draft.possibleCpus;
    }),
  ],
  ["log_buf_len", readLogBuf],
  [
    "nokaslr",
    (draft) => {
      draft.kaslr = false;
    },
  ],
  [
    "kaslr",
    (draft) => {
      draft.kaslr = true;
    },
  ],
]);
