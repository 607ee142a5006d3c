/**
 * What kernel builds take for themselves at boot, measured: no source tells how
 * large an image a compiler made, so these numbers exist for known builds only.
 *
 * A build is a series (the release up to its second number) and a flavour. The
 * numbers belong to one release each; another release of the same series and
 * flavour is near, and `exactRelease` says which case it is. All in pages of
 * 4 KiB unless said otherwise.
 */

export interface BuildConstants {
  readonly series: string;
  readonly flavour: string;
  /** The release the numbers were measured on, as in `uname -r`. */
  readonly release: string;
  /** Part of the image that is never freed: text, rodata, data, bss, brk. */
  readonly image: number;
  /** Parts of the image freed after the boot: init, gaps, decrypted. */
  readonly imageFreed: number;
  /** SMP alternatives, freed before the watermarks are first set. */
  readonly alternatives: number;
  /** What is left over when all parts that follow from the machine are taken off; may be negative. */
  readonly rest: number;
  /** Bound on |real - computed| of everything but the image. */
  readonly spread: number;
  /** RAM taken below 1 MiB; null for all of it. */
  readonly firstMib: number | null;
  /** First percpu chunk, each possible CPU. */
  readonly percpu: number;
  /** Node data and the like, each node. */
  readonly node: number;
  /** Bytes of one struct page. */
  readonly pageStructBytes: number;
  /** Page tables of the direct map, bytes of RAM to one page. */
  readonly ramPerTablePage: number;
  /** Bytes of all log buffers to one byte of log_buf_len=. */
  readonly logBufFactor: number;
  /** Initrd of the guests measured, freed at the end; a full Debian initrd has some 10000. */
  readonly initrd: number;
}

const GIB = 2 ** 30;
const AMD64 = { flavour: "amd64", pageStructBytes: 64, ramPerTablePage: GIB, logBufFactor: 4.5 };
const ARM64 = {
  flavour: "arm64",
  pageStructBytes: 64,
  // rodata=full maps the linear map with 4 KiB pages: a table for 2 MiB, and one for 1 GiB of tables.
  ramPerTablePage: 1 / (1 / (512 * 4096) + 1 / GIB),
  logBufFactor: 4.5,
  alternatives: 0,
  firstMib: null,
};
const X86_32 = { pageStructBytes: 40, ramPerTablePage: GIB, logBufFactor: 4.125, node: 0 };
const ARM32 = {
  pageStructBytes: 36,
  ramPerTablePage: GIB,
  logBufFactor: 4.125,
  alternatives: 0,
  firstMib: null,
  node: 0,
};

/** Every build measured. Sizes of freed parts are the ones its boot logs print. */
export const BUILDS: readonly BuildConstants[] = [
  // Measured on captures of 5.10.0-32-amd64, 256 MiB to 16 GiB, one and two nodes.
  {
    ...AMD64,
    series: "5.10",
    release: "5.10.0-32-amd64",
    image: 10465,
    imageFreed: 669 + 510 + 140 + 509,
    alternatives: 8,
    rest: 16,
    spread: 48,
    firstMib: 21,
    percpu: 63,
    node: 42,
    initrd: 266,
  },
  // Measured on captures of 6.1.0-50-amd64, 96 MiB to 128 GiB, one to four nodes.
  {
    ...AMD64,
    series: "6.1",
    release: "6.1.0-50-amd64",
    image: 11315,
    imageFreed: 705 + 510 + 281 + 509,
    alternatives: 9,
    rest: 16,
    spread: 48,
    firstMib: null,
    percpu: 62,
    node: 43,
    initrd: 271,
  },
  // Measured on captures of 6.12.95+deb12-amd64, 128 MiB to 16 GiB, one and two nodes.
  {
    ...AMD64,
    series: "6.12",
    release: "6.12.95+deb12-amd64",
    image: 9554,
    imageFreed: 1063 + 147 + 507,
    alternatives: 10,
    rest: 15,
    spread: 48,
    firstMib: null,
    percpu: 66,
    node: 43,
    initrd: 258,
  },
  // Measured on captures of 5.10.0-32-686-pae, 512 MiB to 8 GiB.
  {
    ...X86_32,
    series: "5.10",
    flavour: "686-pae",
    release: "5.10.0-32-686-pae",
    image: 3360,
    imageFreed: 224,
    alternatives: 8,
    rest: -48,
    spread: 320,
    firstMib: 19,
    percpu: 36,
    initrd: 271,
  },
  // Measured on captures of 6.1.0-50-686-pae, 128 MiB to 16 GiB.
  {
    ...X86_32,
    series: "6.1",
    flavour: "686-pae",
    release: "6.1.0-50-686-pae",
    image: 3600,
    imageFreed: 232,
    alternatives: 8,
    rest: 130,
    spread: 320,
    firstMib: null,
    percpu: 33,
    initrd: 274,
  },
  // Measured on captures of 6.1.0-50-686, 512 MiB and 4 GiB.
  {
    ...X86_32,
    series: "6.1",
    flavour: "686",
    release: "6.1.0-50-686",
    image: 3560,
    imageFreed: 228,
    alternatives: 8,
    rest: 130,
    spread: 320,
    firstMib: null,
    percpu: 33,
    initrd: 274,
  },
  // Measured on captures of 6.1.0-50-arm64, 256 MiB to 16 GiB, one and two nodes.
  {
    ...ARM64,
    series: "6.1",
    release: "6.1.0-50-arm64",
    image: 6828,
    imageFreed: 1616,
    rest: 49,
    spread: 48,
    percpu: 31,
    node: 4,
    initrd: 250,
  },
  // Measured on captures of 6.12.95+deb12-arm64, 512 MiB to 8 GiB.
  {
    ...ARM64,
    series: "6.12",
    release: "6.12.95+deb12-arm64",
    image: 8881,
    imageFreed: 2416,
    rest: 36,
    spread: 48,
    percpu: 34,
    node: 4,
    initrd: 245,
  },
  // Measured on captures of 6.1.0-50-armmp, 256 MiB to 2 GiB.
  {
    ...ARM32,
    series: "6.1",
    flavour: "armmp",
    release: "6.1.0-50-armmp",
    image: 4600,
    imageFreed: 512,
    rest: 36,
    spread: 96,
    percpu: 18,
    initrd: 225,
  },
  // Measured on captures of 6.1.0-50-armmp-lpae, 256 MiB to 3 GiB.
  {
    ...ARM32,
    series: "6.1",
    flavour: "armmp-lpae",
    release: "6.1.0-50-armmp-lpae",
    image: 4860,
    imageFreed: 512,
    rest: 38,
    spread: 96,
    percpu: 19,
    initrd: 225,
  },
];

export interface KnownBuild {
  readonly constants: BuildConstants;
  /** False when the constants belong to another release of this series and flavour. */
  readonly exactRelease: boolean;
}

/** The measured constants of a release (`uname -r`) and flavour, or null for a build never measured. */
export function knownBuild(release: string | null, flavour: string | null): KnownBuild | null {
  const series = release?.match(/^\d+\.\d+/)?.[0];
  const constants = BUILDS.find((one) => one.series === series && one.flavour === flavour);
  if (constants === undefined) return null;
  return { constants, exactRelease: constants.release === release };
}
