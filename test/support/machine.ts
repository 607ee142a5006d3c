// Machines made up for tests: a build of each architecture with the usual options, and RAM in MiB.

import type { Outcome } from "../../src/base/issue.ts";
import { parseCommandLine } from "../../src/boot/command-line.ts";
import type { Build, Hardware, Layout } from "../../src/boot/hardware.ts";
import { layOut } from "../../src/boot/layout.ts";
import type { FirmwareRange, SratRange } from "../../src/formats/boot-log.ts";
import { type Arch, is32Bit, type Policy } from "../../src/kernels/policy.ts";
import { V6_1 } from "../../src/kernels/v6_1.ts";

export const MIB: number = 2 ** 20;
export const GIB: number = 2 ** 30;

export function buildFor(arch: Arch): Build {
  const is32 = is32Bit(arch);
  return {
    release: null,
    flavour: null,
    pageSize: 4096,
    physicalExtension: false,
    zoneDma: true,
    zoneDma32: !is32,
    highmem: is32,
    zoneDevice: false,
    cma: false,
    cmaDefaultBytes: 0,
    thp: true,
    thpDefault: "always",
    numa: !is32,
    pageblockPages: 512,
    vmallocEnd: null,
    pageOffset: is32 ? 0xc0000000 : null,
  };
}

export type Overrides = Partial<Omit<Hardware, "build">> & { readonly build?: Partial<Build> };

export function machine(arch: Arch, { build, ...rest }: Overrides): Hardware {
  return {
    arch,
    build: { ...buildFor(arch), ...build },
    memory: [],
    affinity: [],
    nodes: [],
    cpus: { possible: 1, online: 1, byNode: null },
    dmaLimit: null,
    armDmaZoneBytes: null,
    customZones: [],
    ...rest,
  };
}

/** A usable range; start and size in MiB. */
export function ram(start: number, size: number): FirmwareRange {
  return { start: start * MIB, end: (start + size) * MIB, type: "usable" };
}

/** Affinity of a range; start and size in MiB. */
export function onNode(node: number, start: number, size: number, hotplug = false): SratRange {
  return { node, start: start * MIB, end: (start + size) * MIB, hotplug };
}

export function layoutFor(hardware: Hardware, line = "", policy: Policy = V6_1): Outcome<Layout> {
  const { value } = parseCommandLine(line, hardware.arch, hardware.build.pageSize);
  return layOut(hardware, value, policy);
}

/** Populated zones as "node name start+spanned/present", numbers in pages. */
export function populated({ zones }: Layout): string[] {
  return zones
    .filter(({ spanned }) => spanned > 0)
    .map(
      ({ node, name, startPfn, spanned, present }) =>
        `${node} ${name} ${startPfn}+${spanned}/${present}`,
    );
}
