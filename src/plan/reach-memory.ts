/** The memory that devices are asked about, and which devices every plan asks for. */
import type { Range } from "../base/range.ts";
import type { Layout, Pools, ReservedRegion } from "../boot/hardware.ts";
import { type DeviceSpec, simpleDevice } from "../dma/device.ts";
import type { ReachMemory } from "../dma/reach.ts";
import type { Arch } from "../kernels/policy.ts";
import type { MachineInput } from "./machine.ts";
import type { PlannedMaskPool } from "./mask-pool.ts";

/** Masks that every plan shows, besides the machine's own devices: the classic ones. */
const CLASSIC_MASK_BITS = [24, 29, 30, 32, 64];

export function devicesOf(input: MachineInput, { reserved }: Pools): DeviceSpec[] {
  const own = input.devices.map((device) => withPlaces(device, reserved ?? []));
  return [...CLASSIC_MASK_BITS.map((bits) => simpleDevice(`${bits}-bit`, bits)), ...own];
}

/** The device with its regions where they came to lie; without those that the kernel gave up. */
function withPlaces(device: DeviceSpec, reserved: readonly ReservedRegion[]): DeviceSpec {
  if (device.regions === undefined || reserved.length === 0) return device;
  const regions = device.regions.flatMap((region) => {
    const placed = reserved.find(({ name }) => name === region.name);
    return placed?.start == null ? [] : [{ ...region, start: placed.start }];
  });
  return { ...device, regions };
}

export function reachMemory(
  input: MachineInput,
  layout: Layout,
  pools: Pools,
  ram: readonly Range[][],
  maskPool: PlannedMaskPool | null,
): ReachMemory {
  const { hardware, commandLine } = input;
  const { swiotlb } = pools;
  return {
    pageSize: hardware.build.pageSize,
    zones: layout.zones.map((zone, i) => ({
      node: zone.node,
      index: zone.index,
      name: zone.name,
      present: zone.present,
      ram: ram[i] ?? [],
    })),
    zoneDmaLimit: zoneDmaLimit(input, layout),
    hasDma32: layout.zoneNames.includes("DMA32"),
    swiotlb:
      swiotlb === null
        ? null
        : {
            start: swiotlb.start,
            bytes: swiotlb.bytes,
            maxMapping: swiotlb.maxMapping,
            ...poolLimit(input, layout),
            forced: commandLine.swiotlb.force,
          },
    cma: pools.cma,
    maskPool: maskPool && { ...maskPool, end: maskPool.lowestEnd },
    custom: hardware.arch === "custom",
  };
}

/** arm and arm64 take the pool below what every device reaches. Linux: ARCH_LOW_ADDRESS_LIMIT */
function poolLimit({ hardware }: MachineInput, layout: Layout): { readonly below?: number } {
  const pfn = layout.dmaLimitPfn;
  if (pfn === null || hardware.arch !== "arm64") return {};
  return { below: Math.min(2 ** 32, pfn * hardware.build.pageSize) };
}

/**
 * Address bits of ZONE_DMA where the architecture sets them; elsewhere 24, or by the board.
 *
 * Linux: zone_dma_bits, arch/powerpc/mm/mem.c, arch/s390/mm/init.c; ARCH_ZONE_DMA_BITS before
 */
const DMA_BITS: Partial<Record<Arch, number>> = { ia64: 32, powerpc: 31, powerpc32: 30, s390: 31 };

/**
 * The last address that GFP_DMA stands for: zone_dma_bits, or zone_dma_limit.
 *
 * Linux: zone_dma_bits, kernel/dma/direct.c (24 unless the architecture sets it)
 */
function zoneDmaLimit(input: MachineInput, layout: Layout): number | null {
  const { hardware } = input;
  if (hardware.arch === "custom") {
    // The lowest zone is what such a machine keeps for its narrowest devices.
    const lowest = layout.zones.find((zone) => zone.present > 0);
    if (lowest === undefined) return null;
    return (lowest.startPfn + lowest.spanned) * hardware.build.pageSize - 1;
  }
  if (!layout.zoneNames.includes("DMA")) return null;
  const bits = DMA_BITS[hardware.arch];
  if (bits !== undefined) return 2 ** bits - 1;
  if (hardware.arch !== "arm64") return 2 ** 24 - 1;
  const pfn = layout.dmaLimitPfn;
  if (pfn === null) return 2 ** 32 - 1;
  const last = pfn * hardware.build.pageSize - 1;
  // "bits" rounds up to a whole mask; "limit" is the address itself.
  if (input.era.policy.boot.arm64ZoneDma === "limit") return Math.min(last, 2 ** 32 - 1);
  return Math.min(2 ** Math.ceil(Math.log2(last + 1)) - 1, 2 ** 32 - 1);
}
