/**
 * The events whose fields are read by a table: everything of vmscan, compaction,
 * migrate, cma, swiotlb, dma, iommu and oom, and the rarer ones of kmem. The
 * frequent page events have a scanner of their own (`ftrace-page.ts`).
 *
 * A field is written as the kernel prints it:
 *
 *   "order=%d"                  decimal, or hexadecimal behind 0x
 *   "dma_addr=%x"               hexadecimal, with or without 0x
 *   "sizes={%x}"                a list of such numbers
 *   "mode=%s"                   text up to the next field
 *   "?zid=%d"                   missing in some kernels: null there
 *   "priority=%d|mode=%d"       renamed between kernels
 *
 * Fields stand in the order of the line. The types of the records follow from
 * the table. Numbers beyond 2^53 - 1 (a DMA mask of 64 bits) are clamped to it.
 *
 * Linux: include/trace/events/{kmem,vmscan,compaction,migrate,cma,swiotlb,dma,iommu,oom}.h
 */

/** Fields of an event, by the event's name. */
export const EVENT_FIELDS = {
  kmalloc: {
    callSite: "call_site=%s",
    cache: "?name=%s",
    pointer: "ptr=%s",
    bytesRequested: "bytes_req=%d",
    bytesAllocated: "bytes_alloc=%d",
    gfp: "gfp_flags=%s",
    node: "?node=%d",
    accounted: "?accounted=%s",
  },
  kfree: { callSite: "call_site=%s", pointer: "ptr=%s" },
  kmem_cache_free: { callSite: "call_site=%s", pointer: "ptr=%s", cache: "?name=%s" },
  mm_setup_per_zone_wmarks: {
    node: "node_id=%d",
    zone: "zone name=%s",
    min: "watermark min=%d",
    low: "low=%d",
    high: "high=%d",
    promo: "promo=%d",
  },
  mm_setup_per_zone_lowmem_reserve: {
    node: "node_id=%d",
    zone: "zone name=%s",
    upperZone: "upper_zone name=%s",
    pages: "lowmem_reserve_pages=%d",
  },
  mm_calculate_totalreserve_pages: { pages: "totalreserve_pages=%d" },

  mm_vmscan_kswapd_sleep: { nid: "nid=%d" },
  mm_vmscan_kswapd_wake: { nid: "nid=%d", zid: "?zid=%d", order: "order=%d" },
  mm_vmscan_wakeup_kswapd: {
    nid: "nid=%d",
    zid: "?zid=%d",
    order: "order=%d",
    gfp: "?gfp_flags=%s",
  },
  mm_vmscan_direct_reclaim_begin: { order: "order=%d", gfp: "gfp_flags=%s" },
  mm_vmscan_direct_reclaim_end: { reclaimed: "nr_reclaimed=%d" },
  mm_vmscan_memcg_reclaim_begin: { order: "order=%d", gfp: "gfp_flags=%s" },
  mm_vmscan_node_reclaim_begin: { nid: "nid=%d", order: "order=%d", gfp: "gfp_flags=%s" },
  mm_vmscan_lru_isolate: {
    highestZone: "?classzone=%d",
    order: "order=%d",
    requested: "nr_requested=%d",
    scanned: "nr_scanned=%d",
    taken: "nr_taken=%d",
    lru: "?lru=%s",
  },
  mm_vmscan_lru_shrink_inactive: {
    nid: "nid=%d",
    scanned: "nr_scanned=%d",
    reclaimed: "nr_reclaimed=%d",
    priority: "priority=%d",
    flags: "flags=%s",
  },
  mm_vmscan_lru_shrink_active: {
    nid: "nid=%d",
    taken: "nr_taken=%d",
    deactivated: "?nr_deactivated=%d",
    priority: "priority=%d",
    flags: "flags=%s",
  },
  mm_vmscan_writepage: { page: "page=%s", pfn: "pfn=%d", flags: "flags=%s" },
  mm_vmscan_write_folio: { page: "page=%s", pfn: "pfn=%d", flags: "flags=%s" },
  mm_vmscan_throttled: {
    nid: "nid=%d",
    timeoutMicroseconds: "usec_timeout=%d",
    delayedMicroseconds: "usect_delayed=%d",
    reason: "reason=%s",
  },
  mm_shrink_slab_start: {
    shrinker: "%s",
    nid: "?nid: %d",
    objects: "objects to shrink %d",
    gfp: "gfp_flags %s",
    items: "cache items %d",
    totalScan: "total_scan %d",
  },
  mm_shrink_slab_end: {
    shrinker: "%s",
    nid: "?nid: %d",
    unused: "unused scan count %d",
    next: "new scan count %d",
    totalScan: "total_scan %d",
    freed: "last shrinker return val %d",
  },

  mm_compaction_isolate_migratepages: {
    start: "range=(%d",
    end: "~ %d",
    scanned: "nr_scanned=%d",
    taken: "nr_taken=%d",
  },
  mm_compaction_migratepages: { migrated: "nr_migrated=%d", failed: "nr_failed=%d" },
  mm_compaction_begin: {
    zoneStart: "zone_start=%d",
    migratePfn: "migrate_pfn=%d",
    freePfn: "free_pfn=%d",
    zoneEnd: "zone_end=%d",
    mode: "mode=%s",
  },
  mm_compaction_end: {
    zoneStart: "zone_start=%d",
    migratePfn: "migrate_pfn=%d",
    freePfn: "free_pfn=%d",
    zoneEnd: "zone_end=%d",
    mode: "mode=%s",
    status: "status=%s",
  },
  mm_compaction_try_to_compact_pages: {
    order: "order=%d",
    gfp: "gfp_mask=%s",
    priority: "priority=%d|mode=%d",
  },
  mm_compaction_finished: {
    node: "node=%d",
    zone: "zone=%s",
    order: "order=%d",
    result: "ret=%s",
  },
  mm_compaction_deferred: {
    node: "node=%d",
    zone: "zone=%s",
    order: "order=%d",
    orderFailed: "order_failed=%d",
    considered: "consider=%d",
    limit: "limit=%d",
  },
  mm_compaction_wakeup_kcompactd: {
    nid: "nid=%d",
    order: "order=%d",
    highestZone: "classzone_idx=%s|highest_zoneidx=%s",
  },

  mm_migrate_pages: {
    succeeded: "nr_succeeded=%d",
    failed: "nr_failed=%d",
    mode: "mode=%s",
    reason: "reason=%s",
  },
  mm_migrate_pages_start: { mode: "mode=%s", reason: "reason=%s" },

  cma_alloc: { pfn: "pfn=%x", page: "page=%s", count: "count=%d", alignOrder: "align=%d" },
  cma_alloc_start: {
    area: "name=%s",
    count: "count=%d|request_count=%d",
    available: "?available_count=%d",
    total: "?total_count=%d",
    alignOrder: "align=%d",
  },
  cma_alloc_finish: {
    area: "?name=%s",
    /** 0 when nothing was found. */
    pfn: "pfn=%x",
    page: "page=%s",
    count: "count=%d",
    alignOrder: "align=%d",
    error: "?errorno=%d",
  },
  cma_release: { area: "?name=%s", pfn: "pfn=%x", page: "page=%s", count: "count=%d" },

  swiotlb_bounced: {
    device: "dev_name: %s",
    dmaMask: "dma_mask=%x",
    address: "dev_addr=%x",
    bytes: "size=%d",
    /** NORMAL, FORCE or NO_FORCE. */
    force: "swiotlb_force=%s| %s",
  },

  dma_map_page: {
    device: "%s",
    direction: "dir=%s",
    dmaAddress: "dma_addr=%x",
    bytes: "size=%d",
    address: "phys_addr=%x",
    attributes: "attrs=%s",
  },
  dma_unmap_page: {
    device: "%s",
    direction: "dir=%s",
    dmaAddress: "dma_addr=%x",
    bytes: "size=%d",
    attributes: "attrs=%s",
  },
  dma_alloc: {
    device: "%s",
    direction: "?dir=%s",
    dmaAddress: "dma_addr=%x",
    bytes: "size=%d",
    virtual: "virt_addr=%s",
    gfp: "flags=%s",
    attributes: "attrs=%s",
  },
  dma_free: {
    device: "%s",
    direction: "?dir=%s",
    dmaAddress: "dma_addr=%x",
    bytes: "size=%d",
    virtual: "virt_addr=%s",
    attributes: "attrs=%s",
  },
  dma_map_sg: {
    device: "%s",
    direction: "dir=%s",
    entries: "?nents=%d",
    /** Of how many the line lists the first. */
    entriesOf: "?/%d",
    mappedEntries: "?ents=%d",
    dmaAddresses: "dma_addrs={%x}",
    bytes: "sizes={%x}",
    addresses: "phys_addrs={%x}",
    attributes: "attrs=%s",
  },
  dma_map_sg_err: {
    device: "%s",
    direction: "dir=%s",
    addresses: "phys_addrs={%x}",
    error: "err=%d",
    attributes: "attrs=%s",
  },
  dma_unmap_sg: {
    device: "%s",
    direction: "dir=%s",
    addresses: "phys_addrs={%x}",
    attributes: "attrs=%s",
  },
  dma_sync_single_for_cpu: {
    device: "%s",
    direction: "dir=%s",
    dmaAddress: "dma_addr=%x",
    bytes: "size=%d",
  },
  dma_sync_sg_for_cpu: {
    device: "%s",
    direction: "dir=%s",
    dmaAddresses: "dma_addrs={%x}",
    bytes: "sizes={%x}",
  },

  map: {
    start: "IOMMU: iova=%d",
    end: "?- %d",
    address: "paddr=%d",
    bytes: "size=%d",
  },
  unmap: {
    start: "IOMMU: iova=%d",
    end: "?- %d",
    bytes: "size=%d",
    unmappedBytes: "unmapped_size=%d",
  },
  add_device_to_group: { group: "groupID=%d", device: "device=%s" },
  attach_device_to_domain: { device: "IOMMU: device=%s" },
  io_page_fault: { device: "IOMMU:%s", address: "iova=%d", flags: "flags=%d" },

  oom_score_adj_update: { pid: "pid=%d", task: "comm=%s", scoreAdj: "oom_score_adj=%d" },
  reclaim_retry_zone: {
    node: "node=%d",
    zone: "zone=%s",
    order: "order=%d",
    reclaimable: "reclaimable=%d",
    available: "available=%d",
    minWatermark: "min_wmark=%d",
    loops: "no_progress_loops=%d",
    retry: "wmark_check=%d",
  },
  mark_victim: { pid: "pid=%d" },
  compact_retry: {
    order: "order=%d",
    priority: "priority=%s",
    result: "compaction_result=%s",
    retries: "retries=%d",
    maxRetries: "max_retries=%d",
    retry: "should_retry=%d",
  },
} as const;

/** Events that are printed like another of `EVENT_FIELDS`. */
export const SAME_FIELDS = {
  kmalloc_node: "kmalloc",
  kmem_cache_alloc: "kmalloc",
  kmem_cache_alloc_node: "kmalloc",
  mm_vmscan_memcg_reclaim_end: "mm_vmscan_direct_reclaim_end",
  mm_vmscan_memcg_softlimit_reclaim_begin: "mm_vmscan_memcg_reclaim_begin",
  mm_vmscan_memcg_softlimit_reclaim_end: "mm_vmscan_direct_reclaim_end",
  mm_vmscan_node_reclaim_end: "mm_vmscan_direct_reclaim_end",
  mm_compaction_isolate_freepages: "mm_compaction_isolate_migratepages",
  mm_compaction_fast_isolate_freepages: "mm_compaction_isolate_migratepages",
  mm_compaction_suitable: "mm_compaction_finished",
  mm_compaction_defer_compaction: "mm_compaction_deferred",
  mm_compaction_defer_reset: "mm_compaction_deferred",
  mm_compaction_kcompactd_sleep: "mm_vmscan_kswapd_sleep",
  mm_compaction_kcompactd_wake: "mm_compaction_wakeup_kcompactd",
  cma_alloc_busy_retry: "cma_alloc_finish",
  dma_map_phys: "dma_map_page",
  dma_map_resource: "dma_map_page",
  dma_unmap_phys: "dma_unmap_page",
  dma_unmap_resource: "dma_unmap_page",
  dma_alloc_pages: "dma_alloc",
  dma_alloc_sgt_err: "dma_alloc",
  dma_free_pages: "dma_free",
  dma_sync_single_for_device: "dma_sync_single_for_cpu",
  dma_sync_sg_for_device: "dma_sync_sg_for_cpu",
  remove_device_from_group: "add_device_to_group",
  detach_device_from_domain: "attach_device_to_domain",
  wake_reaper: "mark_victim",
  start_task_reaping: "mark_victim",
  finish_task_reaping: "mark_victim",
  skip_task_reaping: "mark_victim",
} as const;

type FieldTable = typeof EVENT_FIELDS;

/** What a field of the table is read as. */
export type FieldValue<F extends string> = F extends `?${infer Rest}`
  ? FieldValue<Rest> | null
  : F extends `${string}{%x}${string}`
    ? readonly number[]
    : F extends `${string}%d${string}` | `${string}%x${string}`
      ? number
      : string;

type Fields<Name extends keyof FieldTable> = {
  readonly [Field in keyof FieldTable[Name]]: FieldTable[Name][Field] extends string
    ? FieldValue<FieldTable[Name][Field]>
    : never;
};

/** The fields of each event of the tables, by name. */
export type EventRecords = {
  readonly [Name in keyof FieldTable]: { readonly name: Name } & Fields<Name>;
} & {
  readonly [Name in keyof typeof SAME_FIELDS]: { readonly name: Name } & Fields<
    (typeof SAME_FIELDS)[Name]
  >;
};
