/**
 * Who takes gfp flags: for each allocator of the kernel the argument they are in, the arguments that
 * multiply to a size, and what kind of memory comes out.
 *
 * Linux: include/linux/{slab,gfp,dma-mapping,dmapool,skbuff,vmalloc,pagemap,kfifo,device}.h
 */

export type Family =
  /** kmalloc and what is built on it: zone flags pick one of its DMA caches. */
  | "slab"
  /** A cache of the driver's own, which carries the flag itself. */
  | "cache"
  | "cache-create"
  /** Pages of the buddy. */
  | "pages"
  /** The DMA API: it picks the zone by the device's mask. */
  | "dma"
  | "skb"
  /** Flags kept for pages that somebody else will allocate. */
  | "mapping"
  | "vmalloc";

export interface Allocator {
  readonly family: Family;
  /** 0-based argument of the flags. */
  readonly gfp: number;
  /** Arguments whose product is the size in bytes. */
  readonly size: readonly number[];
  /** The argument that is an order of pages. */
  readonly order: number | null;
}

type Row = readonly [names: string, gfp: number, size?: readonly number[], order?: number];

const SLAB: readonly Row[] = [
  ["kmalloc kzalloc kmalloc_node kzalloc_node kvmalloc kvzalloc kvmalloc_node", 1, [0]],
  ["__kmalloc __kmalloc_node kmalloc_track_caller kmalloc_large", 1, [0]],
  ["kcalloc kmalloc_array kvmalloc_array kvcalloc kmalloc_array_node kcalloc_node", 2, [0, 1]],
  ["krealloc kmemdup kvmemdup", 2, [1]],
  ["krealloc_array", 3, [1, 2]],
  ["kmemdup_nul", 2, [1]],
  ["kstrdup kstrdup_const kvasprintf", 1],
  ["kstrndup", 2, [1]],
  ["kasprintf", 0],
  ["devm_kmalloc devm_kzalloc", 2, [1]],
  ["devm_krealloc", 3, [2]],
  ["devm_kcalloc devm_kmalloc_array", 3, [1, 2]],
  ["devm_kmemdup", 3, [2]],
  ["devm_kstrdup", 2],
  ["kfifo_alloc __kfifo_alloc", 2, [1]],
  ["mempool_alloc", 1],
  ["drmm_kzalloc drmm_kmalloc", 2, [1]],
];
const CACHE: readonly Row[] = [
  ["kmem_cache_alloc kmem_cache_zalloc kmem_cache_alloc_node kmem_cache_alloc_lru", 1],
];
const CACHE_CREATE: readonly Row[] = [
  ["kmem_cache_create", 3, [1]],
  ["kmem_cache_create_usercopy", 3, [1]],
  ["KMEM_CACHE", 1],
];
const PAGES: readonly Row[] = [
  ["alloc_page __get_free_page get_zeroed_page", 0],
  ["alloc_pages __get_free_pages __get_dma_pages folio_alloc __alloc_pages", 0, [], 1],
  ["alloc_pages_node __alloc_pages_node devm_get_free_pages", 1, [], 2],
  ["alloc_pages_exact", 1, [0]],
  ["alloc_pages_exact_nid", 2, [1]],
  ["dma_alloc_contiguous", 2, [1]],
  ["alloc_pages_vma", 0, [], 1],
  ["dev_alloc_pages", 1, [], 0],
  ["__dev_alloc_pages __dev_alloc_page", 0],
];
const DMA: readonly Row[] = [
  ["dma_alloc_coherent dma_alloc_attrs dma_alloc_wc dma_alloc_writecombine", 3, [1]],
  ["dma_zalloc_coherent dmam_alloc_coherent dmam_alloc_attrs dmam_alloc_noncoherent", 3, [1]],
  ["dma_alloc_noncoherent dma_alloc_pages", 4, [1]],
  ["dma_alloc_noncontiguous", 3, [1]],
  ["dma_pool_alloc dma_pool_zalloc pci_pool_alloc pci_pool_zalloc", 1],
  ["usb_alloc_coherent hcd_buffer_alloc", 2, [1]],
  ["gen_pool_dma_alloc", 1, [1]],
];
const SKB: readonly Row[] = [
  ["alloc_skb __dev_alloc_skb alloc_skb_fclone napi_alloc_skb_gfp", 1, [0]],
  ["__netdev_alloc_skb __netdev_alloc_skb_ip_align __napi_alloc_skb", 2, [1]],
  ["skb_copy skb_clone pskb_copy skb_realloc_headroom skb_unshare", 1],
  ["skb_copy_expand pskb_expand_head", 3],
];
const MAPPING: readonly Row[] = [
  ["mapping_set_gfp_mask mapping_gfp_constraint", 1],
  ["shmem_read_mapping_page_gfp read_cache_page_gfp", 2],
];
const VMALLOC: readonly Row[] = [["__vmalloc vmalloc_32 vmalloc_32_user", 1, [0]]];

const FAMILIES: readonly (readonly [Family, readonly Row[]])[] = [
  ["slab", SLAB],
  ["cache", CACHE],
  ["cache-create", CACHE_CREATE],
  ["pages", PAGES],
  ["dma", DMA],
  ["skb", SKB],
  ["mapping", MAPPING],
  ["vmalloc", VMALLOC],
];

export const ALLOCATORS: ReadonlyMap<string, Allocator> = new Map(
  FAMILIES.flatMap(([family, rows]) =>
    rows.flatMap(([names, gfp, size = [], order]) =>
      names
        .split(" ")
        .map((name): [string, Allocator] => [name, { family, gfp, size, order: order ?? null }]),
    ),
  ),
);
