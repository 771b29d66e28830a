/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * costs.c: what each single operation costs, with the physical limit beside it: the plain move, the
 * exchange or the append that nothing of its kind can be cheaper than. One thread; the collector
 * beside it.
 *
 * Without arguments a table of all: ns, the median of rounds that are taken in turns. With
 * --only NAME --operations N that operation alone, N times, without a clock: for tools that count
 * instructions (bench/instructions takes the difference of two such runs).
 */
#include <getopt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gyre/gyre.h>

#define NODES 4096 /* of live objects, and a power of two */
#define MASK (NODES - 1)
#define BATCH 64
#define ROUNDS 15
#define WORDS ((size_t)8 << 20) /* in no cache, and a power of two */
#define AHEAD 16

struct node {
	gyre_ref a, b;
	uint64_t x[2];
};

struct holder {
	size_t length;
	gyre_ref items[];
};

/* What the operations work on. */
struct bench {
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	const struct gyre_type *node, *holder;
	struct gyre_root root;
	struct node *nodes[NODES];
	struct gyre_weak *cells[NODES];
	struct plain {
		_Atomic(void *) slot;
		void *unused[3];
	} plain[NODES];
	void *log[2 * NODES];
	uint64_t *words; /* WORDS of them, all 0 */
	size_t at;       /* the word that was visited last */
	uint64_t sum;
};

static inline void touch(const void *object)
{
	__asm__ volatile("" : : "r"(object) : "memory");
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

/* ---- The limits ---- */

static void plain_store(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		atomic_store_explicit(&b->plain[i & MASK].slot, b, memory_order_release);
		touch(b);
	}
}

static void plain_load(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		touch(atomic_load_explicit(&b->plain[i & MASK].slot, memory_order_acquire));
}

static void exchange(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		touch(atomic_exchange_explicit(&b->plain[i & MASK].slot, b, memory_order_acq_rel));
}

/* A store that keeps what it replaces in a log of two words each. */
static void append(struct bench *b, uint64_t count)
{
	void **at = b->log, **end = b->log + 2 * NODES;

	for (uint64_t i = 0; i < count; i++) {
		_Atomic(void *) *slot = &b->plain[i & MASK].slot;

		if (at == end)
			at = b->log;
		at[0] = slot;
		at[1] = atomic_load_explicit(slot, memory_order_relaxed);
		at += 2;
		atomic_store_explicit(slot, b, memory_order_release);
		touch(at);
	}
}

static void bump(struct bench *b, uint64_t count)
{
	char *cursor = (char *)b->plain, *limit = cursor + sizeof(b->plain);

	for (uint64_t i = 0; i < count; i++) {
		if (cursor == limit)
			cursor = (char *)b->plain;
		*(uint64_t *)(void *)(cursor + 16) = i;
		touch(cursor);
		cursor += sizeof(b->plain[0]);
	}
}

/* All words in turn, in an order that no prefetcher knows: a generator of full period (Knuth, The
 * Art of Computer Programming, volume 2, section 3.2.1.2). */
static size_t word_after(size_t at)
{
	return (at * 1664525 + 1013904223) & (WORDS - 1);
}

/* Where the next one lies is known when this one has come. */
static void miss(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		b->at = word_after(b->at + b->words[b->at]);
}

static void miss_fetched(struct bench *b, uint64_t count)
{
	size_t ahead = b->at;

	for (unsigned i = 0; i < AHEAD; i++)
		ahead = word_after(ahead);
	for (uint64_t i = 0; i < count; i++) {
		ahead = word_after(ahead);
		__builtin_prefetch(&b->words[ahead], 1);
		b->at = word_after(b->at);
		b->words[b->at] += i >> 63; /* nothing, which the compiler does not know */
		touch(&b->words[b->at]);
	}
}

static void malloc_free(struct bench *b, uint64_t count)
{
	(void)b;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t *object = malloc(sizeof(struct node));

		if (object == NULL)
			exit(1);
		object[2] = i;
		touch(object);
		free(object);
	}
}

static void clock_read(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		b->sum += now();
}

/* ---- gyre ---- */

static void new_object(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct node *node = gyre_new(b->m, b->node);

		if (node == NULL)
			exit(1);
		node->x[0] = i;
		touch(node);
		if (i % BATCH == 0)
			gyre_safepoint(b->m);
	}
}

static void load(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		touch(gyre_load(&b->nodes[i & MASK]->a));
}

/* Slots that this epoch has written before, most of them. */
static void store_again(struct bench *b, uint64_t count)
{
	struct node *target = b->nodes[0];

	for (uint64_t i = 0; i < count; i++) {
		(void)gyre_store(b->m, &b->nodes[i & MASK]->a, target);
		if (i % BATCH == 0)
			gyre_safepoint(b->m);
	}
}

static uint64_t epochs(struct bench *b)
{
	struct gyre_stats stats = { .size = sizeof(stats) };

	(void)gyre_heap_stats(b->heap, &stats);
	return stats.epochs;
}

/* A new epoch is open. */
static void boundary(struct bench *b)
{
	uint64_t before = epochs(b);

	gyre_collect_soon(b->heap);
	while (epochs(b) == before)
		gyre_safepoint(b->m);
}

/* The same for the price of a few calls: the collector does this thread's part. */
static void boundary_parked(struct bench *b)
{
	const struct timespec time = { 0, 20000000 };
	uint64_t before = epochs(b);

	(void)gyre_park(b->m);
	do {
		gyre_collect_soon(b->heap);
		nanosleep(&time, NULL);
	} while (epochs(b) == before);
	(void)gyre_unpark(b->m);
}

/* Each slot once in an epoch. The boundaries between are in the figure of instructions, not in that
 * of time: see timed. */
static void store_first(struct bench *b, uint64_t count)
{
	struct node *target = b->nodes[0];

	for (uint64_t i = 0; i < count; i++)
		(void)gyre_store(b->m, &b->nodes[i & MASK]->a, target);
}

static void store_first_exclusive(struct bench *b, uint64_t count)
{
	struct node *target = b->nodes[0];

	for (uint64_t i = 0; i < count; i++)
		(void)gyre_store_exclusive(b->m, &b->nodes[i & MASK]->a, target);
}

static void new_and_init(struct bench *b, uint64_t count)
{
	struct node *target = b->nodes[0];

	for (uint64_t i = 0; i < count; i++) {
		struct node *node = gyre_new(b->m, b->node);

		if (node == NULL)
			exit(1);
		(void)gyre_init(b->m, &node->a, target);
		touch(node);
		if (i % BATCH == 0)
			gyre_safepoint(b->m);
	}
}

static void safepoint(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		gyre_safepoint(b->m);
}

static void park_unpark(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		(void)gyre_park(b->m);
		(void)gyre_unpark(b->m);
	}
}

static void root_pair(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct gyre_root root;

		(void)gyre_root_init(b->m, &root, b->nodes[0]);
		(void)gyre_root_drop(b->m, &root);
		if (i % BATCH == 0)
			gyre_safepoint(b->m);
	}
}

static void weak_load(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		touch(gyre_weak_load(b->m, b->cells[i & MASK]));
		if (i % BATCH == 0)
			gyre_safepoint(b->m);
	}
}

static void boundaries(struct bench *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		boundary(b);
}

/* ---- The table ---- */

struct cost {
	const char *name, *limit; /* the name of the operation that is its limit; NULL: it is one */
	void (*run)(struct bench *b, uint64_t count);
	uint64_t count; /* of a round */
	bool alone;     /* a boundary before each round, outside the time */
	double ns[ROUNDS];
};

static struct cost costs[] = {
	{ "plain store", NULL, plain_store, 1000000, false, { 0 } },
	{ "plain load", NULL, plain_load, 1000000, false, { 0 } },
	{ "exchange", NULL, exchange, 300000, false, { 0 } },
	{ "log append", NULL, append, 1000000, false, { 0 } },
	{ "bump", NULL, bump, 1000000, false, { 0 } },
	{ "malloc and free", NULL, malloc_free, 300000, false, { 0 } },
	{ "clock", NULL, clock_read, 50000, false, { 0 } },
	{ "miss of the cache", NULL, miss, 200000, false, { 0 } },
	{ "miss, fetched 16 ahead", NULL, miss_fetched, 500000, false, { 0 } },
	{ "gyre_new", "bump", new_object, 1000000, false, { 0 } },
	{ "gyre_new and gyre_init", "bump", new_and_init, 500000, false, { 0 } },
	{ "gyre_load", "plain load", load, 1000000, false, { 0 } },
	{ "gyre_store, slot written in the epoch", "plain store", store_again, 1000000, false,
	  { 0 } },
	{ "gyre_store, first of the epoch", "exchange", store_first, NODES, true, { 0 } },
	{ "gyre_store_exclusive, first of the epoch", "log append", store_first_exclusive, NODES,
	  true, { 0 } },
	{ "gyre_safepoint", "plain load", safepoint, 1000000, false, { 0 } },
	{ "gyre_park and gyre_unpark", "exchange", park_unpark, 300000, false, { 0 } },
	{ "gyre_root_init and gyre_root_drop", "exchange", root_pair, 20000, false, { 0 } },
	{ "gyre_weak_load", "plain load", weak_load, 1000000, false, { 0 } },
	{ "boundary, asked for and waited for", "clock", boundaries, 20, false, { 0 } },
};

#define COSTS (sizeof(costs) / sizeof(costs[0]))

static bool begin(struct bench *b, bool recycler)
{
	const struct gyre_type_desc node =
		GYRE_TYPE(struct node,
			  GYRE_REFS(GYRE_REF(struct node, a), GYRE_REF(struct node, b)));
	const struct gyre_type_desc holder =
		GYRE_TYPE(struct holder, GYRE_TRAILING_REFS(struct holder, items, length));
	struct gyre_options options;
	struct holder *held;

	b->words = malloc(WORDS * sizeof(*b->words));
	if (b->words == NULL)
		return false;
	memset(b->words, 0, WORDS * sizeof(*b->words)); /* pages of its own */
	gyre_options_init(&options);
	options.engine = recycler ? GYRE_ENGINE_RECYCLER : GYRE_ENGINE_TAGGED;
	if (gyre_heap_open(&b->heap, &options) != GYRE_OK ||
	    gyre_type_register(b->heap, &node, &b->node) != GYRE_OK ||
	    gyre_type_register(b->heap, &holder, &b->holder) != GYRE_OK ||
	    gyre_attach(b->heap, 0, &b->m) != GYRE_OK)
		return false;
	held = gyre_new_array(b->m, b->holder, NODES);
	if (held == NULL || gyre_root_init(b->m, &b->root, held) != GYRE_OK)
		return false;
	for (size_t i = 0; i < NODES; i++) {
		b->nodes[i] = gyre_new(b->m, b->node);
		if (b->nodes[i] == NULL ||
		    gyre_store(b->m, &held->items[i], b->nodes[i]) != GYRE_OK)
			return false;
		gyre_safepoint(b->m);
	}
	for (size_t i = 0; i < NODES; i++) {
		b->cells[i] = gyre_weak_of(b->m, b->nodes[i]);
		if (b->cells[i] == NULL ||
		    gyre_store(b->m, &b->nodes[i]->b, b->cells[i]) != GYRE_OK)
			return false;
		gyre_safepoint(b->m);
	}
	return true;
}

static bool end(struct bench *b)
{
	free(b->words);
	return gyre_root_drop(b->m, &b->root) == GYRE_OK && gyre_detach(b->m) == GYRE_OK &&
	       gyre_heap_close(b->heap) == GYRE_OK;
}

static double timed(struct bench *b, const struct cost *cost)
{
	uint64_t start;

	if (cost->alone)
		boundary_parked(b);
	else
		cost->run(b, cost->count / 16 + 1);
	start = now();
	cost->run(b, cost->count);
	return (double)(now() - start) / (double)cost->count;
}

static int in_order(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double limit_of(const struct cost *cost)
{
	for (size_t i = 0; i < COSTS; i++)
		if (strcmp(costs[i].name, cost->limit) == 0)
			return costs[i].ns[ROUNDS / 2];
	return 0;
}

static void table(struct bench *b)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < COSTS; i++)
			costs[i].ns[round] = timed(b, &costs[i]);
	for (size_t i = 0; i < COSTS; i++)
		qsort(costs[i].ns, ROUNDS, sizeof(double), in_order);
	printf("# operation\tns (median)\tquartiles\tlimit\tns\n");
	for (size_t i = 0; i < COSTS; i++) {
		const struct cost *c = &costs[i];

		printf("%s\t%.2f\t%.2f-%.2f\t", c->name, c->ns[ROUNDS / 2], c->ns[ROUNDS / 4],
		       c->ns[3 * ROUNDS / 4]);
		if (c->limit != NULL)
			printf("%s\t%.2f\n", c->limit, limit_of(c));
		else
			printf("-\t-\n");
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: costs [--recycler] [--list | --only NAME --operations N]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "recycler", no_argument, NULL, 'r' },
					       { "list", no_argument, NULL, 'l' },
					       { "only", required_argument, NULL, 'n' },
					       { "operations", required_argument, NULL, 'o' },
					       { NULL, 0, NULL, 0 } };
	static struct bench bench;
	const char *only = NULL;
	unsigned long long operations = 0;
	bool recycler = false;
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == 'r')
			recycler = true;
		else if (option == 'n')
			only = optarg;
		else if (option == 'o')
			operations = strtoull(optarg, NULL, 10);
		else if (option != 'l')
			return usage();
		for (size_t i = 0; option == 'l' && i < COSTS; i++)
			printf("%s\t%llu\n", costs[i].name, (unsigned long long)costs[i].count);
		if (option == 'l')
			return 0;
	}
	if (optind != argc || (only == NULL) != (operations == 0))
		return usage();
	if (!begin(&bench, recycler)) {
		fprintf(stderr, "costs: no memory\n");
		return 1;
	}
	if (only == NULL)
		table(&bench);
	for (size_t i = 0; only != NULL; i++) {
		if (i == COSTS)
			return usage();
		if (strcmp(costs[i].name, only) != 0)
			continue;
		if (costs[i].alone)
			boundary_parked(&bench);
		costs[i].run(&bench, operations);
		break;
	}
	return end(&bench) ? 0 : 1;
}
