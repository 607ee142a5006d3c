/*
 * The plain twin: how fast a page-frame allocator of Linux's kind is in C without its semantics.
 *
 * One circular doubly linked list of free blocks for each order, linked through the frames' own
 * records, and one per-CPU stack of single frames in front of them: refilled by 63, emptied from
 * its old end by 63 at 378. No zones, no watermarks, no mobility, no counters but one.
 */
#include <stdint.h>
#include <stdlib.h>

#define ORDERS 11
#define PCP_BATCH 63
#define PCP_HIGH 378
#define PCP_RING 512 /* a power of two above PCP_HIGH + 1 */
#define NOT_FREE 0xff

struct link {
	int32_t next, prev;
};

static int32_t twin_frames;
static struct link *links; /* frames, then one head for each order */
static uint8_t *state;     /* order of the free block that this frame heads, or NOT_FREE */
static uint32_t nonempty;  /* bit k: the list of order k has blocks */
static int64_t free_pages; /* in the lists, not on the stack */

static struct {
	uint32_t oldest, newest; /* counted up, used modulo PCP_RING */
	int32_t frame[PCP_RING];
} pcp;

static inline void list_add(int32_t frame, int order)
{
	int32_t head = twin_frames + order, first = links[head].next;
	links[frame].next = first;
	links[frame].prev = head;
	links[first].prev = frame;
	links[head].next = frame;
	state[frame] = order;
	nonempty |= 1u << order;
}

static inline void list_remove(int32_t frame, int order)
{
	int32_t next = links[frame].next, prev = links[frame].prev;
	links[prev].next = next;
	links[next].prev = prev;
	state[frame] = NOT_FREE;
	if (next == prev)
		nonempty &= ~(1u << order);
}

static int32_t buddy_alloc(int order)
{
	uint32_t enough = nonempty & ~0u << order;
	if (!enough)
		return -1;
	int from = __builtin_ctz(enough);
	int32_t frame = links[twin_frames + from].next;
	list_remove(frame, from);
	while (from > order) {
		from--;
		list_add(frame + (1 << from), from);
	}
	free_pages -= 1 << order;
	return frame;
}

static void buddy_free(int32_t frame, int order)
{
	free_pages += 1 << order;
	while (order < ORDERS - 1) {
		int32_t buddy = frame ^ 1 << order;
		if (buddy >= twin_frames || state[buddy] != order)
			break;
		list_remove(buddy, order);
		frame &= buddy;
		order++;
	}
	list_add(frame, order);
}

static int32_t twin_alloc(int order)
{
	if (order)
		return buddy_alloc(order);
	if (pcp.oldest == pcp.newest) {
		for (int i = 0; i < PCP_BATCH; i++) {
			int32_t frame = buddy_alloc(0);
			if (frame < 0)
				break;
			/* The first one comes to lie on top: frames leave in ascending order. */
			pcp.frame[--pcp.oldest % PCP_RING] = frame;
		}
		if (pcp.oldest == pcp.newest)
			return -1;
	}
	return pcp.frame[--pcp.newest % PCP_RING];
}

static void pcp_shed(uint32_t frames)
{
	while (frames--)
		buddy_free(pcp.frame[pcp.oldest++ % PCP_RING], 0);
}

static void twin_free(int32_t frame, int order)
{
	if (order) {
		buddy_free(frame, order);
		return;
	}
	pcp.frame[pcp.newest++ % PCP_RING] = frame;
	if (pcp.newest - pcp.oldest >= PCP_HIGH)
		pcp_shed(PCP_BATCH);
}

static void twin_reset(int32_t frames)
{
	twin_frames = frames;
	links = malloc((frames + ORDERS) * sizeof *links);
	state = malloc(frames);
	if (!links || !state)
		exit(2);
	for (int32_t i = 0; i < frames; i++)
		state[i] = NOT_FREE;
	for (int order = 0; order < ORDERS; order++)
		links[frames + order].next = links[frames + order].prev = frames + order;
	/* Descending, so that the lowest block is the first of its list. */
	int32_t end = frames;
	while (end > 0) {
		int order = ORDERS - 1;
		while (end & ((1 << order) - 1))
			order--;
		while (1 << order > end)
			order--;
		end -= 1 << order;
		list_add(end, order);
		free_pages += 1 << order;
	}
}

static inline void twin_drain(void)
{
	pcp_shed(pcp.newest - pcp.oldest);
}

static inline int64_t twin_free_pages(void)
{
	return free_pages;
}

/* All that the largest order can hold is of the largest order. */
static inline int twin_is_merged(void)
{
	int32_t blocks = 0, head = twin_frames + ORDERS - 1;
	for (int32_t at = links[head].next; at != head; at = links[at].next)
		blocks++;
	return blocks == twin_frames >> (ORDERS - 1);
}

#include "workloads.h"
