/** The rules of sentences in the order in which they are asked: the first claim stands. */
import type { MessageRule } from "./message-case.ts";
import { addressSpace } from "./rules/address-space.ts";
import { atomicPool } from "./rules/atomic-pool.ts";
import { cmaNotReserved } from "./rules/cma-not-reserved.ts";
import { cmaRefused } from "./rules/cma-refused.ts";
import { dmaApi } from "./rules/dma-api.ts";
import { iommuFault } from "./rules/iommu-fault.ts";
import { iommuSpace } from "./rules/iommu-space.ts";
import { maskOverflow } from "./rules/mask-overflow.ts";
import { oomKill } from "./rules/oom-kill.ts";
import { swiotlbAbsent } from "./rules/swiotlb-absent.ts";
import { swiotlbFull } from "./rules/swiotlb-full.ts";
import { swiotlbSegment } from "./rules/swiotlb-segment.ts";
import { swiotlbSetup } from "./rules/swiotlb-setup.ts";
import { swiotlbTooLarge } from "./rules/swiotlb-too-large.ts";
import { swiotlbUnexplained } from "./rules/swiotlb-unexplained.ts";
import { tinyZoneTable } from "./rules/tiny-zone-table.ts";
import { waitsForEver } from "./rules/waits-for-ever.ts";

export const MESSAGE_RULES: readonly MessageRule[] = [
  swiotlbAbsent,
  swiotlbTooLarge,
  swiotlbFull,
  swiotlbSegment,
  swiotlbUnexplained,
  swiotlbSetup,
  maskOverflow,
  cmaRefused,
  cmaNotReserved,
  atomicPool,
  dmaApi,
  iommuFault,
  iommuSpace,
  waitsForEver,
  addressSpace,
  oomKill,
  tinyZoneTable,
];
