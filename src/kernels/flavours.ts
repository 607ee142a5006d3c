/**
 * What a kernel's configuration decides about memory, for the flavours that
 * Debian builds: used where the machine does not come with its own
 * /boot/config. Read from the config files of the captured kernels.
 */
import type { Arch } from "./policy.ts";

const MIB = 1024 * 1024;

/** What a configuration decides, wherever it was learnt from. */
export interface ConfigFacts {
  /** x86-32 PAE or ARM LPAE: physical addresses above 4 GiB. */
  readonly physicalExtension: boolean;
  readonly zoneDma: boolean;
  readonly zoneDma32: boolean;
  readonly highmem: boolean;
  /** Whether /proc/zoneinfo has a Device zone (CONFIG_ZONE_DEVICE). */
  readonly zoneDevice: boolean;
  readonly cma: boolean;
  /** Default size of the CMA area in bytes when `cma=` is not given; 0 for none. */
  readonly cmaDefaultBytes: number;
  readonly thp: boolean;
  readonly thpDefault: "always" | "madvise" | "never";
  readonly numa: boolean;
  /** CONFIG_DEFERRED_STRUCT_PAGE_INIT: each node's last zone is set up late. Absent: no. */
  readonly deferredStructPages?: boolean;
  /** Pages in a pageblock: 512 with 2 MiB huge pages, 1024 without PAE, … */
  readonly pageblockPages: number;
  /** x86-32: end of the vmalloc area (virtual address), build dependent. */
  readonly vmallocEnd: number | null;
  /** 32-bit: where the kernel's half of the address space starts. */
  readonly pageOffset: number | null;
}

export interface FlavourFacts extends ConfigFacts {
  readonly arch: Arch;
  readonly pageSize: number;
  /** Pages of the largest buddy block: Movable starts are rounded up to it. */
  readonly maxOrderPages: number;
}

/** What all of them share unless they say otherwise. */
const COMMON: FlavourFacts = {
  arch: "x86_64",
  pageSize: 4096,
  physicalExtension: false,
  zoneDma: true,
  zoneDma32: false,
  highmem: false,
  zoneDevice: false,
  cma: false,
  cmaDefaultBytes: 0,
  thp: true,
  thpDefault: "always",
  numa: false,
  pageblockPages: 512,
  maxOrderPages: 1024,
  vmallocEnd: null,
  pageOffset: null,
};

const AMD64: FlavourFacts = { ...COMMON, zoneDma32: true, zoneDevice: true, numa: true };

const I686: FlavourFacts = {
  ...COMMON,
  arch: "i386",
  highmem: true,
  pageOffset: 0xc0000000, // VMSPLIT_3G
  // VMALLOC_END lies below the persistent kmap area, whose place depends on the build's fixmap:
  // measured as the end of low memory on captures of 6.1 686.
  vmallocEnd: 0xfebfe000,
  pageblockPages: 1024, // 4 MiB huge pages without PAE
};

// Measured as the end of low memory on captures of 5.10 and 6.1 686-pae.
const I686_PAE: FlavourFacts = {
  ...I686,
  physicalExtension: true,
  vmallocEnd: 0xfeffe000,
  pageblockPages: 512,
};

const ARMMP: FlavourFacts = {
  ...COMMON,
  arch: "arm",
  highmem: true,
  cma: true,
  cmaDefaultBytes: 16 * MIB, // CONFIG_CMA_SIZE_MBYTES
  thp: false,
  pageOffset: 0xc0000000,
  pageblockPages: 2048, // no huge pages: the largest order
  maxOrderPages: 2048, // CONFIG_ARCH_FORCE_MAX_ORDER is 12, exclusive
};

const ARMMP_LPAE: FlavourFacts = {
  ...ARMMP,
  physicalExtension: true,
  thp: true,
  pageblockPages: 512,
};

const ARM64: FlavourFacts = {
  ...COMMON,
  arch: "arm64",
  zoneDma32: true,
  zoneDevice: true,
  numa: true,
  cma: true,
  cmaDefaultBytes: 64 * MIB, // CONFIG_CMA_SIZE_MBYTES
};

/** Architectures without a measured flavour: what their usual configurations say. */
const OTHERS: ReadonlyMap<Arch, FlavourFacts> = new Map<Arch, FlavourFacts>([
  // PAGE_SIZE_16KB; the largest block is 2^16 pages with huge pages (FORCE_MAX_ZONEORDER 17).
  [
    "ia64",
    {
      ...COMMON,
      arch: "ia64",
      numa: true,
      thp: false,
      pageSize: 16384,
      pageblockPages: 16384,
      maxOrderPages: 65536,
    },
  ],
  [
    "riscv",
    {
      ...COMMON,
      arch: "riscv",
      zoneDma: false,
      zoneDma32: true,
      numa: true,
      cma: true,
      cmaDefaultBytes: 16 * MIB,
    },
  ],
  // Kernels of distributions for servers have pages of 64 KiB; 4 KiB is the kernel's own default.
  [
    "powerpc",
    { ...COMMON, arch: "powerpc", numa: true, pageblockPages: 4096, maxOrderPages: 4096 },
  ],
  [
    "powerpc32",
    {
      ...COMMON,
      arch: "powerpc32",
      highmem: true,
      thp: false,
      pageblockPages: 1024,
      pageOffset: 0xc0000000,
    },
  ],
  ["s390", { ...COMMON, arch: "s390", numa: false, pageblockPages: 256, maxOrderPages: 1024 }],
  ["mips", { ...COMMON, arch: "mips", zoneDma: false, thp: false, pageblockPages: 1024 }],
  [
    "mips64",
    { ...COMMON, arch: "mips64", zoneDma: false, zoneDma32: true, thp: false, numa: true },
  ],
]);

/** By the suffix of the release that Debian gives the flavour. */
export const FLAVOURS: ReadonlyMap<string, FlavourFacts> = new Map([
  ["amd64", AMD64],
  ["686", I686],
  ["686-pae", I686_PAE],
  ["armmp", ARMMP],
  ["armmp-lpae", ARMMP_LPAE],
  ["arm64", ARM64],
]);

/** What stands for an architecture when nothing else is known. */
export function typicalFacts(arch: Arch, physicalExtension: boolean): FlavourFacts {
  const other = OTHERS.get(arch);
  if (other !== undefined) return other;
  if (arch === "i386") return physicalExtension ? I686_PAE : I686;
  if (arch === "arm") return physicalExtension ? ARMMP_LPAE : ARMMP;
  return arch === "arm64" ? ARM64 : AMD64;
}

/** The flavour named at the end of a release such as "6.1.0-50-686-pae"; null for other builds. */
export function flavourOf(release: string): string | null {
  const names = [...FLAVOURS.keys()].sort((a, b) => b.length - a.length);
  return names.find((name) => release.endsWith(`-${name}`)) ?? null;
}

/** Words that releases of distributions end with ("4.18.0-80.el8.x86_64"), by architecture. */
const RELEASE_WORDS: ReadonlyMap<string, Arch> = new Map<string, Arch>([
  ["x86_64", "x86_64"],
  ["i686", "i386"],
  ["i586", "i386"],
  ["aarch64", "arm64"],
  ["armv7hl", "arm"],
  ["armv7l", "arm"],
  ["riscv64", "riscv"],
  ["ppc64", "powerpc"],
  ["ppc64le", "powerpc"],
  ["powerpc64le", "powerpc"],
  ["powerpc", "powerpc32"],
  ["powerpc-smp", "powerpc32"],
  ["s390x", "s390"],
  ["4kc-malta", "mips"],
  ["5kc-malta", "mips64"],
  ["octeon", "mips64"],
  ["loongson-3", "mips64"],
  ["mckinley", "ia64"],
  ["itanium", "ia64"],
]);

/** The architecture that a release names; null for none. */
export function archOfRelease(release: string): Arch | null {
  const flavour = flavourOf(release);
  const known = flavour === null ? undefined : FLAVOURS.get(flavour);
  if (known !== undefined) return known.arch;
  const words = [...RELEASE_WORDS].sort(([a], [b]) => b.length - a.length);
  return words.find(([word]) => new RegExp(`[.-]${word}$`).test(release))?.[1] ?? null;
}
