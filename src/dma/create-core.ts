/**
 * Puts the parts of a DMA layer together.
 */
import { assert } from "../base/assert.ts";
import type { Range } from "../base/range.ts";
import { type DeclaredPolicy, type DmaPolicy, dmaPolicy } from "../kernels/dma.ts";
import type { Memory } from "../mm/memory.ts";
import { APART_CELLS, ApartMappings } from "./apart.ts";
import { AtomicPools } from "./atomic-pool.ts";
import { createBooks } from "./books.ts";
import type { Bounce } from "./bounce.ts";
import { CmaArea } from "./cma-areas.ts";
import type { Core } from "./core.ts";
import { createCounts } from "./counts.ts";
import { CpuCache } from "./cpu-cache.ts";
import { type DebugOptions, DmaDebug } from "./debug.ts";
import { DeclaredAreas } from "./declared.ts";
import type { DeviceSpec } from "./device.ts";
import { createDirectOps } from "./direct.ts";
import type { CmaChoice } from "./direct-alloc.ts";
import type { DmaDevice } from "./dma-device.ts";
import type { DmaEvent } from "./events.ts";
import { Heap } from "./heap.ts";
import { machineOf } from "./machine.ts";
import type { DmaOps } from "./ops.ts";
import { PoolTable } from "./pool-table.ts";
import { Reports } from "./reports.ts";
import type { Device } from "./runtime-device.ts";
import { Space } from "./space.ts";

/** Cells of the heap beside those for mappings: pools, areas, lists of many buffers. */
const OTHER_CELLS = 2 ** 17;

export interface DmaOptions {
  /** Kernel whose rules count: "2.6.18", "6.1.0-50-amd64" …; 6.1 by default. */
  readonly era?: string;
  /** "x86_64" by default; before 4.19 architectures had rules of their own. */
  readonly arch?: string;
  /** Rules of your own in place of an era's. */
  readonly policy?: DmaPolicy;
  /** What dma_declare_coherent_memory() means, where it is not the era's: DECLARED_AS_PROPOSED. */
  readonly declared?: DeclaredPolicy;
  readonly devices?: readonly DeviceSpec[];
  /**
   * Ops of the devices whose `iommu` is true: an IOMMU's, a GART's, a mask pool's. As
   * a function they are made of the direct mapping, which identity domains use.
   */
  readonly ops?: DmaOps | ((direct: DmaOps) => DmaOps) | null;
  /** Where the others' buffers bounce; null, or nothing, for no pool. */
  readonly bounce?: Bounce | null;
  /** A pool for a device that firmware gives a restricted one. */
  readonly restrictedPool?: (device: DeviceSpec) => Bounce | null;
  /** Last address that GFP_DMA stands for; by the DMA zone's end by default. */
  readonly zoneDmaLimit?: number;
  /** RAM that no zone has, pfns: a mask pool's ranges, whose pages drivers map as any other. */
  readonly aside?: readonly Range[];
  /** CMA areas that were lent to the memory (`lendCma`): the first is everybody's. */
  readonly cma?: readonly { readonly startPfn: number; readonly pages: number }[];
  /** All devices bounce, and those who may not wait use atomic pools: an encrypted guest. */
  readonly encrypted?: boolean;
  /** coherent_pool=, bytes. */
  readonly coherentPool?: number;
  /** dma-debug; no by default. Kernels before 2.6.30 have none. */
  readonly debug?: boolean | DebugOptions;
  readonly onEvent?: (event: DmaEvent) => void;
  /** Mappings that may be live at once, a power of two; 65536 by default. */
  readonly mappings?: number;
  /** Devices at most; 256 by default. */
  readonly maxDevices?: number;
  /** Bytes of a CPU's cache line; 64 by default. */
  readonly cacheLine?: number;
  /** Model the CPU's cache; by default where a device of `devices` does not look into it. */
  readonly cache?: boolean;
  /** "checked": an access that no mapping covers is a fault; "physical": it is reported and done, as hardware would. */
  readonly bus?: "checked" | "physical";
  /** Name of the regions in the memory's image, for a second layer over one memory; "dma" by default. */
  readonly name?: string;
}

/** Asserts that the era is known and the sizes are powers of two. */
export function createCore(memory: Memory, options: DmaOptions): Core {
  const policy = policyOf(options);
  const machine = machineOf(memory, options.zoneDmaLimit, options.aside);
  const { name = "dma", mappings = 65536, cacheLine = 64, encrypted = false } = options;
  assert(Number.isInteger(Math.log2(mappings)), "mappings is no power of two", mappings);
  assert(Number.isInteger(Math.log2(cacheLine)), "cacheLine is no power of two", cacheLine);
  const reports = new Reports();
  const { maxDevices = 256 } = options;
  const heap = new Heap(memory, name, mappings * APART_CELLS + OTHER_CELLS);
  const declared = new DeclaredAreas(memory, name, heap, maxDevices);
  const space = new Space(machine, declared);
  const books = createBooks(memory, name, mappings);
  const pools = atomicPoolsOf(options, policy, machine, name, heap, reports);
  const bounce = options.bounce ?? null;
  const restricted = new Map<string, Bounce | null>();
  const restrictedOf = (device: DmaDevice): Bounce | null => restricted.get(device.name) ?? null;
  const bounceOf = (device: DmaDevice): Bounce | null => restricted.get(device.name) ?? bounce;
  const onEvent = options.onEvent ?? null;
  const direct = createDirectOps({
    machine,
    policy,
    bounce,
    bouncesSmall: policy.streaming.bouncesSmall && options.arch === "arm64",
    bounceOf,
    reports,
    alloc: {
      machine,
      policy: policy.coherent,
      bounce,
      atomic: pools,
      restrictedOf,
      cmaOf: cmaChooser(options, memory, name),
      remaps: (device) => encrypted || !device.coherent,
    },
    onBounce: onEvent === null ? null : (device, dma, size) => onEvent(bounced(device, dma, size)),
  });
  const apart = options.devices?.some((device) => device.coherent === false) ?? false;
  const { ops = null } = options;
  return {
    memory,
    machine,
    policy,
    books,
    apart: new ApartMappings(memory, name, heap, mappings),
    counts: createCounts(memory, name, maxDevices),
    reports,
    space,
    cache: (options.cache ?? apart) ? new CpuCache(space, name, cacheLine) : null,
    direct,
    translated: typeof ops === "function" ? ops(direct) : ops,
    atomic: pools,
    bounceOf,
    restricted,
    debug: debugOf(options, policy, books, reports, cacheLine),
    onEvent,
    devices: [],
    declared,
    pools: new PoolTable(memory, name, heap),
    strictBus: options.bus !== "physical",
  };
}

function policyOf(options: DmaOptions): DmaPolicy {
  const policy = options.policy ?? dmaPolicy(options.era ?? "6.1", options.arch ?? "x86_64");
  assert(policy !== null, "no rules of the DMA layer are known for this era and architecture");
  return options.declared === undefined ? policy : { ...policy, declared: options.declared };
}

function atomicPoolsOf(
  options: DmaOptions,
  policy: DmaPolicy,
  machine: Core["machine"],
  name: string,
  heap: Heap,
  reports: Reports,
): AtomicPools | null {
  // Only architectures that remap or encrypt have them.
  const apart = options.devices?.some((device) => device.coherent === false) ?? false;
  const needed = options.encrypted === true || options.cache === true || apart;
  if (policy.atomicPools === "none" || !needed) return null;
  const pools = new AtomicPools(machine, name, heap, options.coherentPool);
  for (const line of pools.log) reports.say(line);
  return pools;
}

function debugOf(
  options: DmaOptions,
  policy: DmaPolicy,
  books: Core["books"],
  reports: Reports,
  cacheLine: number,
): DmaDebug | null {
  const { debug = false } = options;
  if (debug === false || policy.debug === null) return null;
  return new DmaDebug(policy.debug, debug === true ? {} : debug, books, reports, cacheLine);
}

function cmaChooser(
  options: DmaOptions,
  memory: Memory,
  name: string,
): (device: DmaDevice) => CmaChoice {
  const { pageSize } = memory;
  const areas = (options.cma ?? []).map(({ startPfn, pages }, i) => {
    return new CmaArea(memory, `${name}.cma${i}`, startPfn, pages);
  });
  const global = areas[0] ?? null;
  const own = new Map<string, CmaArea | null>();
  for (const { name, regions = [] } of options.devices ?? []) {
    const region = regions.find(({ kind }) => kind === "cma");
    const area = areas.find(({ startPfn }) => startPfn * pageSize === region?.start);
    if (area !== undefined) own.set(name, area);
  }
  return (device) => ({ own: own.get(device.name) ?? null, global });
}

function bounced(device: DmaDevice, dma: number, size: number): DmaEvent {
  const { name, streamingLimit, forceBounce } = device;
  return {
    name: "swiotlb_bounced",
    device: name,
    mask: streamingLimit,
    dma,
    size,
    force: forceBounce,
  };
}

/** Enters a device's own pool. */
export function setRestricted(core: Core, device: Device, pool: Bounce | null): void {
  core.restricted.set(device.name, pool);
}

/** The driver's masks, as its probe sets them; what is refused, and what firmware says wrong, is told. */
export function setMasks(core: Core, device: Device): void {
  const { spec, driver, name, firmwareIssue } = device;
  const who = `${driver} ${name}`.trim();
  if (firmwareIssue !== null) core.reports.say(`${who}: ${firmwareIssue}`);
  const set = [
    [spec.dmaBits, device.setMask(spec.dmaBits)],
    [spec.coherentBits, device.setCoherentMask(spec.coherentBits)],
  ];
  for (const [bits, result] of set) {
    if (result !== 0) core.reports.say(`${who}: a DMA mask of ${bits} bits is refused (${result})`);
  }
}
