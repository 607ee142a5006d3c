// Goal: every way in which C can ask for low memory is found, where it is written and where it
// arrives, and what only looks like it is not. Method: synthetic sources, one construct each.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { auditOf, lineOf, verdictsOf } from "./sources.ts";

const DRIVER = "drivers/x/x.c";

describe("a flag", () => {
  test("in a call's argument", () => {
    deepEqual(verdictsOf("void f(void)\n{\n\tp = kmalloc(8, GFP_KERNEL | GFP_DMA);\n}\n"), [
      "3 GFP_DMA kmalloc kmalloc-streaming",
    ]);
  });

  test("in its __ form, alone, and in brackets", () => {
    const text = `void f(void)
{
	a = kzalloc(8, __GFP_DMA);
	b = alloc_page((GFP_ATOMIC | (__GFP_DMA32)));
}
`;
    deepEqual(verdictsOf(text), [
      "3 __GFP_DMA kzalloc kmalloc-streaming",
      "4 __GFP_DMA32 alloc_page page-alloc-other",
    ]);
  });

  test("through a local variable, one branch of it", () => {
    const text = `void f(int small)
{
	gfp_t flags = GFP_KERNEL;
	if (small)
		flags |= GFP_DMA;
	p = kmalloc(8, flags);
}
`;
    deepEqual(verdictsOf(text), [
      "5 GFP_DMA kmalloc kmalloc-streaming",
      "6 GFP_DMA kmalloc kmalloc-streaming reached",
    ]);
  });

  test("through ?: and a cast", () => {
    const text = `void f(struct d *d)
{
	p = kmalloc(8, (gfp_t)(d->old ? GFP_DMA : 0) | GFP_KERNEL);
}
`;
    deepEqual(verdictsOf(text), ["3 GFP_DMA kmalloc kmalloc-streaming"]);
  });

  test("through a struct field", () => {
    const text = `void setup(struct chip *c)
{
	c->alloc_flags = GFP_KERNEL | GFP_DMA;
}
void *get(struct chip *c)
{
	return kmalloc(64, c->alloc_flags);
}
`;
    deepEqual(verdictsOf(text), [
      "3 GFP_DMA kmalloc kmalloc-streaming",
      "7 GFP_DMA kmalloc kmalloc-streaming reached",
    ]);
  });

  test("through a table's named field", () => {
    const text = `static const struct chip chips[] = {
	[OLD] = { .name = "old", .gfp = GFP_DMA },
	[NEW] = { .name = "new", .gfp = 0 },
};
void *get(const struct chip *c)
{
	return kmalloc(64, GFP_KERNEL | c->gfp);
}
`;
    deepEqual(verdictsOf(text), [
      "2 GFP_DMA kmalloc kmalloc-streaming",
      "7 GFP_DMA kmalloc kmalloc-streaming reached",
    ]);
  });

  test("through a table's field by place", () => {
    const text = `struct chip { const char *name; int bits; gfp_t low; };
static struct chip chips[] = { { "old", 24, GFP_DMA }, { "new", 64, 0 } };
void *get(struct chip *c)
{
	return kmalloc(64, GFP_KERNEL | c->low);
}
`;
    deepEqual(verdictsOf(text), [
      "2 GFP_DMA kmalloc kmalloc-streaming",
      "5 GFP_DMA kmalloc kmalloc-streaming reached",
    ]);
  });

  test("through a local macro", () => {
    const text = `#define CHIP_GFP (GFP_KERNEL | \\
		GFP_DMA)
void f(void)
{
	p = kmalloc(8, CHIP_GFP);
}
`;
    deepEqual(verdictsOf(text), [
      "2 GFP_DMA kmalloc kmalloc-streaming",
      "5 GFP_DMA kmalloc kmalloc-streaming reached",
    ]);
  });

  test("through a wrapper that takes it", () => {
    const text = `static void *get(size_t n, gfp_t gfp)
{
	return kzalloc(n, gfp | __GFP_NOWARN);
}
void f(void)
{
	p = get(8, GFP_KERNEL | GFP_DMA);
}
`;
    deepEqual(verdictsOf(text), ["7 GFP_DMA kzalloc kmalloc-streaming"]);
  });

  test("through a wrapper that hides it, function or macro", () => {
    const text = `static void *get(size_t n)
{
	void *p = kzalloc(n, GFP_KERNEL | GFP_DMA);
	return p;
}
#define make(n) kmalloc((n), GFP_ATOMIC | GFP_DMA)
void f(void)
{
	a = get(8);
	b = make(16);
}
`;
    deepEqual(verdictsOf(text), [
      "3 GFP_DMA kzalloc kmalloc-streaming",
      "6 GFP_DMA kmalloc kmalloc-streaming",
      "9 GFP_DMA get kmalloc-streaming reached",
      "10 GFP_DMA make kmalloc-streaming reached",
    ]);
  });

  test("in both halves of an #ifdef that tears braces apart", () => {
    const text = `void f(int a)
{
#ifdef CONFIG_OLD
	if (a) {
		p = kmalloc(8, GFP_KERNEL | GFP_DMA);
#else
	if (!a) {
		p = kmalloc(8, GFP_ATOMIC | GFP_DMA);
#endif
		use(p);
	}
}
`;
    deepEqual(verdictsOf(text), [
      "5 GFP_DMA kmalloc kmalloc-streaming",
      "8 GFP_DMA kmalloc kmalloc-streaming",
    ]);
  });

  test("behind attributes, loops that are macros, and what no parser takes", () => {
    const text = `static int __init f(void __iomem *io)
{
	list_for_each_entry(a, &list, node) {
		a->p = kmalloc(8, GFP_KERNEL | GFP_DMA);
	}
	DECLARE(?) %% {
	p = kzalloc(8, GFP_KERNEL | GFP_DMA);
}
`;
    deepEqual(verdictsOf(text), [
      "4 GFP_DMA kmalloc kmalloc-streaming",
      "7 GFP_DMA kzalloc kmalloc-streaming",
    ]);
  });

  test("for a slab cache of its own", () => {
    const text = `void f(void)
{
	c = kmem_cache_create("x", 64, 0, SLAB_HWCACHE_ALIGN | SLAB_CACHE_DMA, NULL);
}
`;
    deepEqual(verdictsOf(text), ["3 SLAB_CACHE_DMA kmem_cache_create kmalloc-streaming"]);
  });
});

describe("verdicts", () => {
  const one = (text: string, file = DRIVER) => {
    const [use] = auditOf({ [file]: text });
    ok(use !== undefined);
    return use;
  };

  test("a flag on the DMA API does nothing", () => {
    const use = one(
      "void f(void)\n{\n\tp = dma_alloc_coherent(d, 8, &h, GFP_DMA | GFP_KERNEL);\n}\n",
    );
    deepEqual(
      [use.category, use.verdict, use.group],
      ["redundant-flag-on-dma-api", "replaceable (no-op)", "redundant"],
    );
  });

  test("both zones in one request are a bug, in two branches not", () => {
    const call = (gfp: string): string => `void f(int a)\n{\n\tp = alloc_pages(${gfp}, 0);\n}\n`;
    equal(one(call("GFP_KERNEL | GFP_DMA | GFP_DMA32")).verdict, "bug");
    equal(one(call("GFP_KERNEL | (a ? GFP_DMA : GFP_DMA32)")).category, "page-alloc-other");
  });

  test("a buffer that is mapped later names the mapping", () => {
    const text = `int f(struct x *x)
{
	x->buf = kmalloc(512, GFP_KERNEL | GFP_DMA);
	x->dma = dma_map_single(x->dev, x->buf, 512, DMA_TO_DEVICE);
	return 0;
}
`;
    const use = one(text);
    equal(use.verdict, "replaceable (misuse)");
    equal(use.confidence, "high");
    match(use.why, /dma_map_single\(\) in line 4/);
    deepEqual(use.size, { text: "512", bytes: 512 });
  });

  test("ISA hardware keeps the zone, by another interface", () => {
    const text = `int f(void)
{
	buf = kmalloc(4096, GFP_KERNEL | GFP_DMA);
	set_dma_addr(chan, isa_virt_to_bus(buf));
	return request_dma(chan, "x");
}
`;
    deepEqual(
      auditOf({ [DRIVER]: text }).map(({ flag, category, verdict }) => [flag, category, verdict]),
      [
        ["GFP_DMA", "isa-24bit", "legitimate purpose, wrong interface"],
        ["isa_virt_to_bus", "isa-24bit", "legitimate purpose, wrong interface"],
        ["request_dma", "isa-24bit", "legitimate purpose, wrong interface"],
      ],
    );
  });

  test("s390's channel I/O keeps it", () => {
    const text = "void f(void)\n{\n\tp = kmalloc(8, GFP_KERNEL | GFP_DMA);\n}\n";
    deepEqual(
      [one(text, "drivers/s390/x.c").category, one(text, "drivers/s390/x.c").verdict],
      ["s390-31bit", "legitimate"],
    );
  });

  test("a retry for a 30-bit engine is for swiotlb", () => {
    const text = `void f(struct x *x)
{
	if (dma_mapping_error(x->dev, m) || m + 2048 > DMA_BIT_MASK(30))
		skb = alloc_skb(2048, GFP_ATOMIC | GFP_DMA);
}
`;
    const use = one(text);
    deepEqual([use.category, use.verdict], ["odd-mask-30bit", "replaceable"]);
    match(use.fix, /DMA_BIT_MASK\(30\)/);
  });

  test("pages whose address is programmed into a narrow table", () => {
    const text = `u32 f(struct t *t)
{
	t->page = (void *)get_zeroed_page(GFP_KERNEL | GFP_DMA32);
	return virt_to_phys(t->page);
}
`;
    deepEqual(
      ["drivers/iommu/x.c", "drivers/misc/x.c"].map((file) => one(text, file).category),
      ["gpu-iommu-32bit", "firmware-physical"],
    );
  });

  test("a hint under the device's width", () => {
    const text = `#include <net/page_pool.h>
void f(struct x *x)
{
	gfp_t gfp = GFP_ATOMIC;
	if (x->width <= 32)
		gfp |= GFP_DMA32;
	p = alloc_pages(gfp, 0);
}
`;
    equal(one(text).verdict, "optimisation");
  });

  test("a block driver's bounce buffer", () => {
    const text = "void f(struct d *d)\n{\n\td->bounce_buf = kmalloc(8, GFP_DMA);\n}\n";
    deepEqual(
      [one(text, "drivers/block/x.c").category, one(text, "drivers/block/x.c").group],
      ["block-bounce", "block-layer"],
    );
  });

  test("a test and a clearing of the bit ask for nothing", () => {
    const text = `gfp_t f(gfp_t gfp)
{
	if (gfp & GFP_DMA)
		return gfp & ~GFP_DMA32;
	gfp &= ~(__GFP_DMA | __GFP_HIGHMEM);
	return gfp;
}
`;
    deepEqual(
      auditOf({ [DRIVER]: text }).map(({ category, group }) => [category, group]),
      [
        ["flag-test", "machinery"],
        ["flag-test", "machinery"],
        ["flag-test", "machinery"],
      ],
    );
  });

  test("a cache of a driver that uses an IOMMU is no table of one", () => {
    const text = `struct iommu_domain *d;
void f(struct x *x)
{
	x->cache = kmem_cache_create("x", 64, 0, SLAB_CACHE_DMA, NULL);
}
`;
    deepEqual(verdictsOf(text), ["4 SLAB_CACHE_DMA kmem_cache_create kmalloc-streaming"]);
  });

  test("low pages only where the device's reach is limited save copies, also in graphics", () => {
    const text = `void f(struct x *x)
{
	gfp_t gfp = GFP_KERNEL;
	if (dma_addressing_limited(x->dev))
		gfp |= GFP_DMA32;
	x->page = alloc_page(gfp);
}
`;
    const [first] = auditOf({ "drivers/gpu/drm/x/x.c": text });
    deepEqual([first?.category, first?.verdict], ["net-page-pool-32bit", "optimisation"]);
  });

  test("pages of a function that maps are for the mapping; of one that does not, for nobody knows", () => {
    const text = (call: string): string => `void f(struct x *x)
{
	struct desc *d = (void *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
	x->at = ${call}(x->dev, d->inner, 64, DMA_TO_DEVICE);
}
`;
    const verdictOf = (call: string): string | undefined =>
      auditOf({ "drivers/x/x.c": text(call) })[0]?.verdict;
    deepEqual(["dma_map_single", "hash_it"].map(verdictOf), ["replaceable", "review"]);
  });

  test("what nobody can tell is said to be unknown", () => {
    const use = one("void f(void)\n{\n\tstart_engine(dev, GFP_DMA);\n}\n");
    deepEqual([use.verdict, use.confidence, use.allocator], ["review", "low", "start_engine"]);
  });
});

describe("older interfaces", () => {
  test("each is a use", () => {
    const text = `void f(struct request_queue *q, struct Scsi_Host *h)
{
	blk_queue_bounce_limit(q, BLK_BOUNCE_ISA);
	h->unchecked_isa_dma = 1;
	dma_declare_coherent_memory(d, a, b, n);
	p = (void *)__get_dma_pages(GFP_KERNEL, 2);
	v = vmalloc_32(size);
	b = virt_to_bus(p);
}
MACHINE_START(X, "x")
	.dma_zone_size = SZ_64M,
MACHINE_END
static const struct machine_desc m = { .dma_zone_size = SZ_64M };
`;
    deepEqual(
      auditOf({ [DRIVER]: text })
        .filter(({ textual }) => textual)
        .map(({ line, flag }) => `${line} ${flag}`),
      [
        "3 blk_queue_bounce_limit",
        "4 unchecked_isa_dma",
        "5 dma_declare_coherent_memory",
        "6 __get_dma_pages",
        "7 vmalloc_32",
        "8 virt_to_bus",
        `${lineOf(text, ".dma_zone_size")} dma_zone_size`,
        `${lineOf(text, "machine_desc m")} dma_zone_size`,
      ],
    );
  });
});

describe("look-alikes", () => {
  test("other names are not found", () => {
    const text = `#define MY_GFP_DMA 1
#define GFP_DMA_LIKE 2
int XGFP_DMA, GFP_DMA3, my_dma_set_mask, SLAB_CACHE_DMAX;
void f(void)
{
	my_dma_set_mask(d, 24);
	p = kmalloc(8, GFP_DMA_LIKE | MY_GFP_DMA);
}
`;
    deepEqual(auditOf({ [DRIVER]: text }), []);
  });

  test("comments and strings are listed as what they are, and ask for nothing", () => {
    const text = `/* kmalloc(8, GFP_DMA) */
// dma_set_mask(d, DMA_BIT_MASK(24)); GFP_DMA32 \\
   still GFP_DMA
void f(void)
{
	printk("kmalloc(8, GFP_DMA) \\" GFP_DMA32");
	c = '"'; /* " */ d = kmalloc(8, GFP_KERNEL); /* it's GFP_DMA's */
}
#if 0
	p = kmalloc(8, GFP_DMA);
#endif
`;
    deepEqual(
      auditOf({ [DRIVER]: text }).map(
        ({ line, category, group }) => `${line} ${category} ${group}`,
      ),
      [
        "1 comment no-use",
        "2 comment no-use",
        "3 comment no-use",
        "6 string no-use",
        "6 string no-use",
        "7 comment no-use",
        "10 never-compiled dead",
      ],
    );
  });

  test("a definition or a declaration is no request", () => {
    const text = `int dma_set_mask(struct device *dev, u64 mask)
{
	return 0;
}
extern int dma_set_coherent_mask(struct device *dev, u64 mask);
EXPORT_SYMBOL(dma_set_mask);
struct d { u64 coherent_dma_mask; u64 *dma_mask; };
`;
    deepEqual(auditOf({ [DRIVER]: text }), []);
  });
});

describe("what becomes of pages", () => {
  test("one function stores them, another puts the field into a list: they are mapped", () => {
    const text = `static int take(struct mem *mem)
{
	struct page *page;
	gfp_t flags = GFP_KERNEL | GFP_DMA;

	while (1) {
		page = alloc_pages(flags, 2);
		if (page)
			break;
	}
	mem->arr[mem->cnt].page = page;
	return 0;
}
static void fill(struct mem *mem, struct scatterlist *sg)
{
	sg_set_page(sg, mem->arr[0].page, PAGE_SIZE, 0);
}
`;
    const [use] = auditOf({ [DRIVER]: text });
    equal(use?.verdict, "replaceable");
    match(use?.why ?? "", /mapped by sg_set_page\(\) in line 16/);
    // Another field's pages are not these.
    const other = text.replace("mem->arr[0].page", "mem->dummy");
    equal(auditOf({ [DRIVER]: other })[0]?.verdict, "review");
  });

  test("a graphics driver's page that is mapped at once follows the mask; others name its address", () => {
    const text = `int init(struct gpu *g)
{
	g->dummy.page = alloc_page(GFP_DMA32 | GFP_KERNEL);
	g->dummy.addr = dma_map_page(g->dev, g->dummy.page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	return 0;
}
`;
    const file = "drivers/gpu/drm/x/x.c";
    const verdict = (source: string): string | undefined => auditOf({ [file]: source })[0]?.verdict;
    equal(verdict(text), "replaceable");
    // Tables of translations are mapped for the caches' sake.
    for (const table of [
      "drivers/iommu/x-iommu.c",
      "drivers/char/agp/x-gtt.c",
      "drivers/gpu/x/mmu/mem.c",
    ]) {
      equal(auditOf({ [table]: text })[0]?.verdict, "legitimate", table);
    }
    const both = text.replace(
      "\treturn 0;",
      "\tg->table = page_to_phys(g->dummy.page);\n\treturn 0;",
    );
    equal(verdict(both), "legitimate", "its physical address is asked for as well");
    equal(verdict(text.replace(/\tg->dummy\.addr = .*\n/, "")), "legitimate");
    const physical = text.replace(/dma_map_page\(.*\)/, "page_to_phys(g->dummy.page)");
    equal(verdict(physical), "legitimate");
    // Mapped by another function: what was taken here may be another's page.
    const later = text
      .replace("\treturn 0;\n}\n", "}\n")
      .replace("\tg->dummy.addr", "}\nint map(struct gpu *g)\n{\n\tg->dummy.addr");
    equal(verdict(later), "legitimate");
  });
});
