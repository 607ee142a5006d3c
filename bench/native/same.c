/*
 * The twin with the same semantics: what src/mm/ does for these workloads, in C.
 *
 * Zones DMA, DMA32 and Normal, with marks, lowmem_reserve and boost checked for each request; free
 * lists by order and migratetype with pageblocks, fallback and stealing; one CPU with linked page
 * lists for orders 0 to 3 and 9 by batch, high and free_factor; a free counter whose CPU part is
 * folded at the vm stats threshold. The rules are those of 6.1. Requests are GFP_KERNEL: Unmovable,
 * highest zone Normal, first with the low mark and without mixing mobilities, then without that,
 * then with the min mark. There is no reclaim, so a request that fails all three is refused.
 *
 *   links   frames, then the heads of the free lists, then those of the per-CPU lists
 *   state   of a frame that heads a block: its order in a free list, ON_PCP + the cached type on a
 *           per-CPU list; OTHER for all else
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define ORDERS 11
#define PAGEBLOCK_ORDER 9
#define PAGEBLOCK (1 << PAGEBLOCK_ORDER)
#define PCP_ORDERS 4 /* orders 0 to 3, and PAGEBLOCK_ORDER besides */
#define PCP_LISTS (PCP_ORDERS * TYPES + 2)
#define FREE_FACTOR_MAX 5
#define ON_PCP 0x80
#define OTHER 0xff

enum { UNMOVABLE, MOVABLE, RECLAIMABLE, TYPES };
enum { DMA, DMA32, NORMAL, ZONES };
enum { MIN, LOW, HIGH, MARKS };
enum { NOFRAGMENT = 1 };

struct link {
	int32_t next, prev;
};

struct zone {
	int64_t free; /* pages; short of the CPU's part below */
	int32_t drift, threshold;
	int32_t mark[MARKS], boost, managed;
	int32_t reserve[ZONES];
	int32_t start, end;
	int32_t free_heads, pcp_heads;
	int32_t blocks[ORDERS];
	uint32_t orders_of[TYPES]; /* bit k: the list of order k has blocks */
	bool boosted;
	struct {
		int32_t count, high, batch, free_factor;
	} pcp;
};

static int32_t twin_frames;
static struct link *links;
static uint8_t *state;
static uint8_t *block_type; /* per pageblock */
static struct zone zones[ZONES];
static uint64_t pages_allocated, pages_freed; /* vm events */

static const int fallbacks[TYPES][TYPES - 1] = {
	[UNMOVABLE] = { RECLAIMABLE, MOVABLE },
	[MOVABLE] = { RECLAIMABLE, UNMOVABLE },
	[RECLAIMABLE] = { UNMOVABLE, MOVABLE },
};

/* --- lists --- */

static inline void link_between(int32_t frame, int32_t prev, int32_t next)
{
	links[frame].prev = prev;
	links[frame].next = next;
	links[prev].next = frame;
	links[next].prev = frame;
}

static inline void unlink_frame(int32_t frame)
{
	int32_t next = links[frame].next, prev = links[frame].prev;
	links[prev].next = next;
	links[next].prev = prev;
}

static inline int32_t free_head(const struct zone *z, int order, int type)
{
	return z->free_heads + order * TYPES + type;
}

static inline void free_list_add(struct zone *z, int32_t frame, int order, int type, bool tail)
{
	int32_t head = free_head(z, order, type);
	if (tail)
		link_between(frame, links[head].prev, head);
	else
		link_between(frame, head, links[head].next);
	state[frame] = order;
	z->blocks[order]++;
	z->orders_of[type] |= 1u << order;
}

/* From whichever list it is on: the type is that of the list, not of the pageblock. */
static inline void free_list_remove(struct zone *z, int32_t frame, int order)
{
	int32_t next = links[frame].next, prev = links[frame].prev;
	links[prev].next = next;
	links[next].prev = prev;
	state[frame] = OTHER;
	z->blocks[order]--;
	if (next == prev)
		z->orders_of[(next - z->free_heads) % TYPES] &= ~(1u << order);
}

static inline void count_free(struct zone *z, int32_t pages)
{
	int32_t drift = z->drift + pages;
	if (drift > z->threshold || drift < -z->threshold) {
		z->free += drift;
		drift = 0;
	}
	z->drift = drift;
}

static inline struct zone *zone_of(int32_t frame)
{
	return &zones[frame >= zones[NORMAL].start ? NORMAL : frame >= zones[DMA32].start];
}

/* --- buddy --- */

static void buddy_free(struct zone *z, int32_t frame, int order, int type)
{
	int32_t buddy = 0;
	count_free(z, 1 << order);
	while (order < ORDERS - 1) {
		buddy = frame ^ 1 << order;
		if (buddy < z->start || buddy >= z->end || state[buddy] != order)
			break;
		free_list_remove(z, buddy, order);
		frame &= buddy;
		order++;
	}
	bool tail = false;
	if (order < ORDERS - 2) {
		int32_t parent = frame & buddy, above = parent ^ 1 << (order + 1);
		tail = above >= z->start && above < z->end && state[above] == order + 1;
	}
	free_list_add(z, frame, order, type, tail);
}

static inline int32_t take_smallest(struct zone *z, int order, int type)
{
	uint32_t enough = z->orders_of[type] & ~0u << order;
	if (!enough)
		return -1;
	int from = __builtin_ctz(enough);
	int32_t frame = links[free_head(z, from, type)].next;
	free_list_remove(z, frame, from);
	while (from > order) {
		from--;
		free_list_add(z, frame + (1 << from), from, type, false);
	}
	return frame;
}

static inline int fallback_type(const struct zone *z, int order, int type)
{
	for (int i = 0; i < TYPES - 1; i++)
		if (z->orders_of[fallbacks[type][i]] >> order & 1)
			return fallbacks[type][i];
	return -1;
}

static inline void move_block(struct zone *z, int32_t frame, int order, int type)
{
	free_list_remove(z, frame, order);
	free_list_add(z, frame, order, type, true);
}

static void raise_boost(struct zone *z)
{
	if (z->managed < 4 * PAGEBLOCK)
		return;
	int32_t most = z->mark[HIGH] + z->mark[HIGH] / 2;
	if (most < PAGEBLOCK)
		most = PAGEBLOCK;
	z->boost = z->boost + PAGEBLOCK < most ? z->boost + PAGEBLOCK : most;
	z->boosted = true;
}

static void steal(struct zone *z, int32_t frame, int order, int type, bool whole)
{
	if (order >= PAGEBLOCK_ORDER) {
		for (int32_t at = frame; at < frame + (1 << order); at += PAGEBLOCK)
			block_type[at >> PAGEBLOCK_ORDER] = type;
		move_block(z, frame, order, type);
		return;
	}
	raise_boost(z);
	int32_t first = frame & ~(PAGEBLOCK - 1), last = first + PAGEBLOCK;
	if (!whole || first < z->start || last > z->end) {
		move_block(z, frame, order, type);
		return;
	}
	int32_t freed = 0;
	for (int32_t at = first; at < last;) {
		if (state[at] >= ORDERS) {
			at++;
			continue;
		}
		int32_t pages = 1 << state[at];
		move_block(z, at, state[at], type);
		freed += pages;
		at += pages;
	}
	/* None of our pages is movable, so what is not free in a Movable block suits the others. */
	bool was_movable = block_type[first >> PAGEBLOCK_ORDER] == MOVABLE;
	int32_t alike = type != MOVABLE && was_movable ? PAGEBLOCK - freed : 0;
	if (freed + alike >= PAGEBLOCK / 2)
		block_type[first >> PAGEBLOCK_ORDER] = type;
}

/* Makes a block of another type available to `type`; whether there was one. */
static bool fall_back(struct zone *z, int order, int type, int flags)
{
	int least = flags & NOFRAGMENT && order < PAGEBLOCK_ORDER ? PAGEBLOCK_ORDER : order;
	for (int at = ORDERS - 1; at >= least; at--) {
		int from = fallback_type(z, at, type);
		if (from < 0)
			continue;
		bool whole = at >= PAGEBLOCK_ORDER / 2 || type != MOVABLE;
		if (!whole && at > order) {
			for (at = order; (from = fallback_type(z, at, type)) < 0;)
				at++;
		}
		steal(z, links[free_head(z, at, from)].next, at, type, whole);
		return true;
	}
	return false;
}

static int32_t take_block(struct zone *z, int order, int type, int flags)
{
	for (;;) {
		int32_t frame = take_smallest(z, order, type);
		if (frame >= 0 || !fall_back(z, order, type, flags))
			return frame;
	}
}

/* --- per-CPU lists --- */

static inline bool is_pcp_order(int order)
{
	return order < PCP_ORDERS || order == PAGEBLOCK_ORDER;
}

static inline int pcp_index(int order, int type)
{
	return order < PCP_ORDERS ? order * TYPES + type : PCP_ORDERS * TYPES + (type == MOVABLE);
}

static inline int pcp_order(int index)
{
	return index < PCP_ORDERS * TYPES ? index / TYPES : PAGEBLOCK_ORDER;
}

static void refill(struct zone *z, int order, int type, int32_t head, int flags)
{
	int n = z->pcp.batch, got = 0;
	if (n > 1)
		n = n >> order > 2 ? n >> order : 2;
	for (; got < n; got++) {
		int32_t frame = take_block(z, order, type, flags);
		if (frame < 0)
			break;
		state[frame] = ON_PCP | type;
		link_between(frame, links[head].prev, head);
	}
	z->pcp.count += got << order;
	count_free(z, -(got << order));
}

static int32_t take_from_pcp(struct zone *z, int order, int type, int flags)
{
	int32_t head = z->pcp_heads + pcp_index(order, type);
	z->pcp.free_factor >>= 1;
	if (links[head].next == head) {
		refill(z, order, type, head, flags);
		if (links[head].next == head)
			return -1;
	}
	int32_t frame = links[head].next;
	unlink_frame(frame);
	state[frame] = OTHER;
	z->pcp.count -= 1 << order;
	return frame;
}

/* From the oldest of list `index` on, then list after list. */
static void shed(struct zone *z, int32_t pages, int index)
{
	if (pages > z->pcp.count)
		pages = z->pcp.count;
	while (pages > 0) {
		int32_t head = z->pcp_heads + index;
		int order = pcp_order(index);
		while (pages > 0 && links[head].prev != head) {
			int32_t frame = links[head].prev;
			int type = state[frame] & ~ON_PCP;
			unlink_frame(frame);
			state[frame] = OTHER;
			z->pcp.count -= 1 << order;
			pages -= 1 << order;
			buddy_free(z, frame, order, type);
		}
		index = index + 1 < PCP_LISTS ? index + 1 : 0;
	}
}

static int32_t pages_to_shed(struct zone *z, bool all)
{
	int32_t batch = z->pcp.batch, high = z->pcp.high;
	if (all)
		return z->pcp.count;
	if (high < batch)
		return 1;
	int32_t most = high - batch, pages = batch << z->pcp.free_factor;
	if (pages < most && z->pcp.free_factor < FREE_FACTOR_MAX)
		z->pcp.free_factor++;
	return pages > most ? most : pages < batch ? batch : pages;
}

static void give_to_pcp(struct zone *z, int32_t frame, int order, int type)
{
	int index = pcp_index(order, type);
	int32_t head = z->pcp_heads + index;
	state[frame] = ON_PCP | type;
	link_between(frame, head, links[head].next);
	z->pcp.count += 1 << order;
	bool all = z->pcp.free_factor && order && order < PCP_ORDERS;
	int32_t high = all ? 0 : z->pcp.high;
	if (z->pcp.count >= high)
		shed(z, pages_to_shed(z, all), index);
}

/* --- requests --- */

static bool watermark_ok(const struct zone *z, int order, int mark, int highest)
{
	int64_t least = z->mark[mark] + z->boost + z->reserve[highest];
	int64_t usable = z->free - ((1 << order) - 1);
	if (usable <= least)
		return false;
	if (!order)
		return true;
	uint32_t any = z->orders_of[UNMOVABLE] | z->orders_of[MOVABLE] | z->orders_of[RECLAIMABLE];
	return any >> order;
}

static int32_t pass(int order, int type, int mark, int flags)
{
	for (int i = NORMAL; i >= DMA; i--) {
		struct zone *z = &zones[i];
		if (!watermark_ok(z, order, mark, NORMAL))
			continue;
		int32_t frame = -1;
		if (is_pcp_order(order))
			frame = take_from_pcp(z, order, type, flags);
		if (frame < 0) {
			frame = take_block(z, order, type, flags);
			if (frame < 0)
				continue;
			count_free(z, -(1 << order));
		}
		z->boosted = false; /* where kswapd would be woken */
		pages_allocated += 1 << order;
		return frame;
	}
	return -1;
}

static int32_t twin_alloc(int order)
{
	int32_t frame = pass(order, UNMOVABLE, LOW, NOFRAGMENT);
	if (__builtin_expect(frame < 0, 0)) {
		frame = pass(order, UNMOVABLE, LOW, 0);
		if (frame < 0)
			frame = pass(order, UNMOVABLE, MIN, 0);
	}
	return frame;
}

static void twin_free(int32_t frame, int order)
{
	struct zone *z = zone_of(frame);
	int type = block_type[frame >> PAGEBLOCK_ORDER];
	pages_freed += 1 << order;
	if (is_pcp_order(order))
		give_to_pcp(z, frame, order, type);
	else
		buddy_free(z, frame, order, type);
}

/* --- boot --- */

static int32_t square_root(int64_t n)
{
	int64_t root = 0;
	while ((root + 1) * (root + 1) <= n)
		root++;
	return (int32_t)root;
}

static int width(uint32_t n)
{
	return n ? 32 - __builtin_clz(n) : 0;
}

static void set_marks(int32_t lowmem)
{
	int64_t min_free_kb = square_root((int64_t)lowmem * 4 * 16);
	min_free_kb = min_free_kb < 128 ? 128 : min_free_kb > 262144 ? 262144 : min_free_kb;
	for (int i = 0; i < ZONES; i++) {
		struct zone *z = &zones[i];
		int32_t min = (int32_t)(min_free_kb / 4 * z->managed / lowmem);
		int32_t gap = z->managed / 1000; /* watermark_scale_factor 10 */
		if (gap < min >> 2)
			gap = min >> 2;
		z->mark[MIN] = min;
		z->mark[LOW] = min + gap;
		z->mark[HIGH] = min + 2 * gap;
		int32_t above = 0;
		for (int j = i + 1; j < ZONES; j++) {
			above += zones[j].managed;
			z->reserve[j] = above / 256;
		}
		int32_t batch = (z->managed >> 10 > 256 ? 256 : z->managed >> 10) / 4;
		batch = batch < 1 ? 1 : batch;
		batch = (1 << (width(batch + batch / 2) - 1)) - 1;
		z->pcp.batch = batch < 1 ? 1 : batch;
		z->pcp.high = z->mark[LOW] > 4 * z->pcp.batch ? z->mark[LOW] : 4 * z->pcp.batch;
		z->threshold = 2 * (1 + width(z->managed >> 15)); /* one CPU */
	}
}

static void add_zone(int i, int32_t start, int32_t pages, int32_t heads)
{
	struct zone *z = &zones[i];
	z->start = start;
	z->end = start + pages;
	z->managed = pages;
	z->free_heads = heads;
	z->pcp_heads = heads + ORDERS * TYPES;
	for (int32_t head = heads; head < z->pcp_heads + PCP_LISTS; head++)
		links[head].next = links[head].prev = head;
	for (int32_t at = start; at < z->end;) {
		int order = ORDERS - 1;
		while (at & ((1 << order) - 1) || at + (1 << order) > z->end)
			order--;
		free_list_add(z, at, order, MOVABLE, true);
		z->free += 1 << order;
		at += 1 << order;
	}
}

/* As in bench/adapters/zonewright.ts: nearly all in Normal, and what the marks keep back besides. */
static void twin_reset(int32_t frames)
{
	const int32_t pages[ZONES] = { 4096, 4096, frames + 8192 };
	const int32_t zone_heads = ORDERS * TYPES + PCP_LISTS;
	twin_frames = pages[DMA] + pages[DMA32] + pages[NORMAL];
	links = malloc((twin_frames + ZONES * zone_heads) * sizeof *links);
	state = malloc(twin_frames);
	block_type = malloc(twin_frames / PAGEBLOCK + 1);
	if (!links || !state || !block_type)
		exit(2);
	for (int32_t i = 0; i < twin_frames; i++)
		state[i] = OTHER;
	for (int32_t i = 0; i <= twin_frames / PAGEBLOCK; i++)
		block_type[i] = MOVABLE;
	int32_t start = 0;
	for (int i = 0; i < ZONES; i++) {
		add_zone(i, start, pages[i], twin_frames + i * zone_heads);
		start += pages[i];
	}
	set_marks(twin_frames);
}

static inline void twin_drain(void)
{
	for (int i = 0; i < ZONES; i++)
		shed(&zones[i], zones[i].pcp.count, 0);
}

static inline int64_t twin_free_pages(void)
{
	int64_t free = 0;
	for (int i = 0; i < ZONES; i++)
		free += zones[i].free + zones[i].drift;
	return free;
}

/* Counters tell what the lists hold, and all that the largest order can hold is of that order. */
static inline bool twin_is_merged(void)
{
	bool merged = pages_allocated == pages_freed;
	for (int i = 0; i < ZONES; i++) {
		struct zone *z = &zones[i];
		int64_t pages = 0;
		for (int order = 0; order < ORDERS; order++) {
			int32_t blocks = 0;
			for (int type = 0; type < TYPES; type++) {
				int32_t head = free_head(z, order, type), at = links[head].next;
				if ((at == head) == (z->orders_of[type] >> order & 1))
					return false;
				for (; at != head; at = links[at].next)
					blocks++;
			}
			if (blocks != z->blocks[order])
				return false;
			pages += (int64_t)blocks << order;
		}
		merged &= pages == z->managed && pages == z->free + z->drift;
		merged &= z->blocks[ORDERS - 1] == z->managed >> (ORDERS - 1);
	}
	return merged;
}

#include "workloads.h"
