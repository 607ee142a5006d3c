/*
 * The workloads of bench/workloads.ts, operation for operation, for the C twins.
 *
 * A twin defines twin_reset(), twin_alloc(), twin_free(), twin_drain() and twin_free_pages(), then
 * includes this file, which has main():
 *
 *   TWIN WORKLOAD FRAMES SCALE     prints one line of JSON: ops, ns, held, used, fails
 *
 * Time is CPU time of the thread: other work on the machine costs caches, not the clock.
 * With -DCHECK every block is compared with all that are held, for place, alignment and overlap,
 * and the end state is taken apart: everything freed and drained has to merge again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEED 0x9E3779B9u
#define BATCH 1024
#define LARGEST 9

typedef struct {
	double ns;
	uint64_t ops;
	int32_t held, used;
	uint64_t fails;
} result;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static inline uint32_t step(uint32_t x)
{
	x ^= x << 13;
	x ^= x >> 17;
	return x ^ x << 5;
}

static inline int32_t below(uint32_t x, int32_t n)
{
	return (int32_t)((uint64_t)x * (uint32_t)n >> 32);
}

static inline int order_of(uint32_t x)
{
	return __builtin_ctz(x | 1u << LARGEST);
}

static void *array(size_t count, size_t bytes)
{
	void *p = calloc(count, bytes);
	if (!p) {
		fputs("out of memory\n", stderr);
		exit(2);
	}
	return p;
}

#ifdef CHECK
static uint8_t *owned; /* per frame: held by the workload */
static int32_t owned_count;

static void complain(const char *what, int32_t frame, int order)
{
	fprintf(stderr, "%s: frame %d order %d\n", what, frame, order);
	exit(3);
}

static int32_t get(int order)
{
	int32_t frame = twin_alloc(order);
	if (frame < 0)
		return frame;
	if (frame + (1 << order) > twin_frames)
		complain("outside", frame, order);
	if (frame & ((1 << order) - 1))
		complain("not aligned", frame, order);
	for (int32_t i = frame; i < frame + (1 << order); i++) {
		if (owned[i])
			complain("held already", i, order);
		owned[i] = 1;
	}
	owned_count += 1 << order;
	return frame;
}

static void put(int32_t frame, int order)
{
	for (int32_t i = frame; i < frame + (1 << order); i++) {
		if (!owned[i])
			complain("not held", i, order);
		owned[i] = 0;
	}
	owned_count -= 1 << order;
	twin_free(frame, order);
}
#else
#define get twin_alloc
#define put twin_free
#endif

static int32_t *held;
static uint8_t *orders;
static int32_t count;

static uint64_t one_round(int32_t frames)
{
	int32_t n = 0;
	for (int32_t i = 0; i < frames; i++) {
		int32_t frame = get(0);
		if (frame >= 0)
			held[n++] = frame;
	}
	for (int32_t i = 0; i < n; i++)
		put(held[i], 0);
	return (uint64_t)(frames - n);
}

static result fill_and_empty(int32_t frames, int rounds)
{
	result r = { .ops = 2ull * frames * rounds };
	r.fails = one_round(frames);
	double start = now();
	for (int i = 0; i < rounds; i++)
		r.fails += one_round(frames);
	r.ns = now() - start;
	return r;
}

static void hold(int32_t to, int order)
{
	while (count < to) {
		int32_t frame = get(order);
		if (frame < 0)
			break;
		held[count++] = frame;
	}
}

static result replace_one(int32_t wanted, int order, uint64_t ops)
{
	result r = { .ops = ops };
	uint32_t x = SEED;
	hold(wanted, order);
	r.fails = wanted - count;
	double start = now();
	for (uint64_t op = 0; op < ops; op++) {
		if (count == 0) {
			r.fails++;
			continue;
		}
		x = step(x);
		int32_t i = below(x, count);
		put(held[i], order);
		int32_t frame = get(order);
		if (frame >= 0) {
			held[i] = frame;
		} else {
			r.fails++;
			held[i] = held[--count];
		}
	}
	r.ns = now() - start;
	r.held = count;
	r.used = count << order;
	return r;
}

static result replace_batches(int32_t wanted, uint64_t ops)
{
	result r = { 0 };
	uint32_t x = SEED;
	hold(wanted, 0);
	r.fails = wanted - count;
	int32_t size = count < BATCH ? count : BATCH;
	uint64_t batches = ops / BATCH ? ops / BATCH : 1;
	double start = now();
	for (uint64_t batch = 0; batch < batches; batch++) {
		int32_t target = count;
		for (int32_t k = 0; k < size && count > 0; k++) {
			x = step(x);
			int32_t i = below(x, count);
			put(held[i], 0);
			held[i] = held[--count];
		}
		hold(target, 0);
		r.fails += target - count;
	}
	r.ns = now() - start;
	r.ops = batches * size;
	r.held = r.used = count;
	return r;
}

static result ping_pong(uint64_t ops)
{
	result r = { .ops = ops };
	double start = now();
	for (uint64_t op = 0; op < ops; op++) {
		int32_t frame = get(0);
		if (frame >= 0)
			put(frame, 0);
		else
			r.fails++;
	}
	r.ns = now() - start;
	return r;
}

static struct {
	int32_t limit, used;
	uint64_t fails;
	uint32_t x;
	int next; /* order of the next allocation, which waits until it fits */
} mix;

static void mix_ops(uint64_t ops)
{
	int32_t used = mix.used, n = count;
	uint32_t x = mix.x;
	int next = mix.next;
	for (uint64_t op = 0; op < ops; op++) {
		if (used + (1 << next) <= mix.limit) {
			int32_t frame = get(next);
			if (frame >= 0) {
				held[n] = frame;
				orders[n++] = next;
				used += 1 << next;
				x = step(x);
				next = order_of(x);
				continue;
			}
			mix.fails++;
			x = step(x);
			next = order_of(x);
		}
		if (n == 0)
			continue;
		x = step(x);
		int32_t i = below(x, n);
		put(held[i], orders[i]);
		used -= 1 << orders[i];
		n--;
		held[i] = held[n];
		orders[i] = orders[n];
	}
	mix.used = used;
	mix.x = x;
	mix.next = next;
	count = n;
}

static result mixed_orders(int32_t frames, uint64_t ops)
{
	result r = { .ops = ops };
	mix.limit = (int32_t)(frames * 0.75);
	mix.x = SEED;
	mix.next = order_of(SEED);
	for (int32_t i = 0; i < 2 * frames && mix.used + (1 << mix.next) <= mix.limit; i++)
		mix_ops(1);
	mix_ops(ops < 200000 ? ops : 200000);
	double start = now();
	mix_ops(ops);
	r.ns = now() - start;
	r.held = count;
	r.used = mix.used;
	r.fails = mix.fails;
	return r;
}

static uint64_t scaled(double ops, double scale)
{
	return ops / scale < 1 ? 1 : (uint64_t)(ops / scale);
}

static result run(const char *workload, int32_t frames, double scale)
{
	if (!strcmp(workload, "W1")) {
		int rounds = (int)(10 / scale + 0.5);
		return fill_and_empty(frames, rounds < 1 ? 1 : rounds);
	}
	if (!strcmp(workload, "W2"))
		return replace_one((int32_t)(frames * 0.9), 0, scaled(10e6, scale));
	if (!strcmp(workload, "W2b"))
		return replace_batches((int32_t)(frames * 0.9), scaled(10e6, scale));
	if (!strcmp(workload, "W3"))
		return ping_pong(scaled(20e6, scale));
	if (!strcmp(workload, "W4"))
		return mixed_orders(frames, scaled(5e6, scale));
	if (!strcmp(workload, "W5"))
		return replace_one((int32_t)((frames >> LARGEST) * 0.9), LARGEST, scaled(5e6, scale));
	fprintf(stderr, "no workload %s\n", workload);
	exit(2);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: %s WORKLOAD FRAMES SCALE\n", argv[0]);
		return 2;
	}
	int32_t frames = atoi(argv[2]);
	held = array(frames, sizeof *held);
	orders = array(frames, 1);
	twin_reset(frames);
#ifdef CHECK
	owned = array(twin_frames, 1);
	int64_t free_before = twin_free_pages();
#endif
	result r = run(argv[1], frames, atof(argv[3]));
#ifdef CHECK
	if (owned_count != r.used)
		complain("frames held are not those counted", owned_count, 0);
	for (int32_t i = 0; i < count; i++)
		put(held[i], !strcmp(argv[1], "W5") ? LARGEST : orders[i]);
	twin_drain();
	if (twin_free_pages() != free_before)
		complain("pages lost", (int32_t)twin_free_pages(), 0);
	if (!twin_is_merged())
		complain("not merged", 0, 0);
#endif
	printf("{\"ops\":%llu,\"ns\":%.0f,\"held\":%d,\"used\":%d,\"fails\":%llu}\n",
	       (unsigned long long)r.ops, r.ns, r.held, r.used, (unsigned long long)r.fails);
	return 0;
}
