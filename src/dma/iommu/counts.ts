/** What a domain has done and holds, in numbers. */
import { type Domain, PAGE_BYTES } from "./domain.ts";
import { waitingEntries } from "./flush-queue.ts";
import { type IotlbCounts, iotlbCounts } from "./iotlb.ts";
import { type IovaCounts, iovaCounts } from "./iova-domain.ts";
import { rangeCount } from "./range-tree.ts";
import { cachedBlocks } from "./rcache.ts";
import { tableCount } from "./table-store.ts";

export interface DomainCounts {
  readonly iova: IovaCounts;
  /** Blocks in the tree: mapped, reserved, cached or waiting. */
  readonly blocks: number;
  /** Of those, in caches of CPUs; and waiting for a flush. */
  readonly cached: number;
  readonly waiting: number;
  /** Bytes of page tables. */
  readonly tableBytes: number;
  readonly iotlb: IotlbCounts;
}

export function domainCounts({ iova, table, tlb, queue }: Domain): DomainCounts {
  return {
    iova: iovaCounts(iova),
    blocks: rangeCount(iova.tree),
    cached: cachedBlocks(iova.rcache),
    waiting: queue === null ? 0 : waitingEntries(queue),
    tableBytes: tableCount(table) * PAGE_BYTES,
    iotlb: iotlbCounts(tlb),
  };
}
