/*
 * The floor: what the workloads cost in C without an allocator. The barriers keep the calls from
 * vanishing; a frame's number rotates, as in bench/adapters/js-null.ts.
 */
#include <stdint.h>

static int32_t twin_frames, mask, next_frame;

static inline int32_t twin_alloc(int order)
{
	next_frame = (next_frame + (1 << order)) & mask;
	__asm__ volatile("" ::: "memory");
	return next_frame;
}

static inline void twin_free(int32_t frame, int order)
{
	__asm__ volatile("" ::"r"(frame), "r"(order) : "memory");
}

static void twin_reset(int32_t frames)
{
	twin_frames = frames;
	for (mask = 1; mask < frames; mask <<= 1)
		;
	mask--;
}

static inline void twin_drain(void) {}
static inline int64_t twin_free_pages(void) { return 0; }
static inline int twin_is_merged(void) { return 1; }

#include "workloads.h"
