/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chains.c: a chain of rings, each of which refers to the next, dropped from its head on. Every
 * ring was also held by a table and loses that reference in turn, so each is a candidate for a
 * cycle collector and reaches all that come after it: who traces from one candidate after another
 * takes time quadratic in the length of the chain. On each thread by itself.
 *
 * Source: Bacon, Rajan, "Concurrent Cycle Collection in Reference Counted Systems", ECOOP 2001,
 * section 3.1, on Lins' algorithm.
 */
#include "workloads/node.h"

#define RING 4
#define LIVE_DEFAULT 4096

struct chains {
	size_t count; /* rings */
	struct holder *holder; /* held by root */
	struct mm_root root;
	bool rooted;
};

static bool begin(struct bench_thread *t)
{
	struct chains *chains = t->own;
	uint64_t live = t->options->live != 0 ? t->options->live : LIVE_DEFAULT;

	chains->count = (size_t)(live + RING - 1) / RING;
	chains->holder = mm_new_array(t->m, &holder_shape, chains->count);
	if (chains->holder == NULL)
		return false;
	chains->rooted = mm_root_open(t->m, &chains->root, chains->holder);
	mm_release(t->m, chains->holder);
	return chains->rooted;
}

/* The nodes are linked by a; the first refers by b to the next ring's. */
static bool make_ring(struct bench_thread *t, mm_slot *place, struct node *next)
{
	struct node *first = mm_new(t->m, &node_shape), *last = first;
	bool done;

	if (first == NULL)
		return false;
	done = mm_init(t->m, &first->b, next);
	done &= mm_store(t->m, place, first);
	mm_release(t->m, first);
	for (unsigned i = 1; i < RING; i++) {
		struct node *node = mm_new(t->m, &node_shape);

		if (node == NULL)
			return false;
		done &= mm_init(t->m, &last->a, node);
		mm_release(t->m, node);
		last = node;
	}
	return mm_init(t->m, &last->a, first) && done;
}

/* Also of a ring that was not finished: it ends in NULL. */
static bool drop_ring(struct bench_thread *t, mm_slot *place)
{
	struct node *first = mm_load(t->m, place), *node = first;

	if (!MM_BY_HAND && !MM_COUNTS)
		return mm_store(t->m, place, NULL);
	while (node != NULL) {
		struct node *next = mm_load(t->m, &node->a);

		if (next == first) {
			mm_cut(t->m, &node->a);
			next = NULL;
		}
		mm_free(t->m, node);
		node = next;
	}
	return mm_store(t->m, place, NULL);
}

static bool drop_all(struct bench_thread *t)
{
	struct chains *chains = t->own;
	bool done = true;

	for (size_t i = 0; i < chains->count; i++) {
		done &= drop_ring(t, &chains->holder->items[i]);
		if (i % (BENCH_BATCH / RING) == 0)
			mm_safepoint(t->m);
	}
	return done;
}

static uint64_t turn(struct bench_thread *t)
{
	struct chains *chains = t->own;
	mm_slot *items = chains->holder->items;

	for (size_t i = chains->count; i-- > 0;) {
		struct node *next = i + 1 < chains->count ? mm_load(t->m, &items[i + 1]) : NULL;

		if (!make_ring(t, &items[i], next))
			return 0;
		if (i % (BENCH_BATCH / RING) == 0)
			mm_safepoint(t->m);
	}
	return drop_all(t) ? chains->count * RING : 0;
}

static void end(struct bench_thread *t)
{
	struct chains *chains = t->own;

	if (chains->rooted) {
		(void)drop_all(t); /* only after a failure there is anything */
		mm_root_close(t->m, &chains->root);
	}
	if (MM_BY_HAND)
		mm_free(t->m, chains->holder);
}

const struct bench_workload bench_chains = {
	.name = "chains",
	.unit = "ns/object",
	.kind = "throughput",
	.what = "chains of 1,024 rings of 4 objects (--live: objects), dropped from the head",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct chains),
	.begin = begin,
	.turn = turn,
	.end = end,
};
