/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rings.h: makes a ring and drops it. On the thread that calls it.
 */
#ifndef BENCH_RINGS_H
#define BENCH_RINGS_H

#include "workloads/node.h"

#define RING_SIZES 1024

/* The sizes to come, drawn beforehand. */
struct rings {
	unsigned next;
	uint8_t sizes[RING_SIZES];
};

static inline void bench_rings_begin(struct bench_thread *t, struct rings *rings)
{
	for (unsigned i = 0; i < RING_SIZES; i++)
		rings->sizes[i] = (uint8_t)(2 + bench_below((uint32_t)bench_random(t), 9));
}

/*
 * The ring is dead: what that takes, from its first member on; a chain that ends in NULL too.
 * Counts: all links back are cut, and the one that closes it; then the count of the first is 0
 * at its release, and the others follow.
 */
static inline void bench_ring_drop(struct bench_thread *t, struct node *first)
{
	struct node *node = first;

	if (!MM_BY_HAND && !MM_COUNTS)
		return;
	do {
		struct node *next = mm_load(t->m, &node->a);

		mm_cut(t->m, &node->b);
		if (MM_COUNTS && next == first)
			mm_cut(t->m, &node->a);
		mm_free(t->m, node);
		node = next;
	} while (node != first && node != NULL);
	mm_release(t->m, first);
}

/*
 * Makes a ring from the first object on, each linked with the one before; the ends meet at last.
 * mm_init: nobody else sees it yet. The size of the ring, which is dropped; 0: no memory.
 */
static inline unsigned bench_ring(struct bench_thread *t, struct rings *rings)
{
	unsigned size = rings->sizes[rings->next++ % RING_SIZES];
	struct node *first = mm_new(t->m, &node_shape), *last = first;
	bool done = true;

	if (first == NULL)
		return 0;
	first->x[0] = 0;
	for (unsigned i = 1; i < size; i++) {
		struct node *node = mm_new(t->m, &node_shape);

		if (node == NULL) {
			bench_ring_drop(t, first);
			return 0;
		}
		node->x[0] = i;
		done &= mm_init(t->m, &node->b, last);
		done &= mm_init(t->m, &last->a, node);
		mm_release(t->m, i == 1 ? NULL : last);
		last = node;
	}
	done &= mm_init(t->m, &first->b, last);
	done &= mm_init(t->m, &last->a, first);
	mm_release(t->m, last == first ? NULL : last);
	mm_touch(first);
	bench_ring_drop(t, first);
	return done ? size : 0;
}

/* A batch of rings, and a safe point. */
static inline uint64_t bench_rings_turn(struct bench_thread *t, struct rings *rings)
{
	uint64_t made = 0;

	while (made < BENCH_BATCH) {
		unsigned size = bench_ring(t, rings);

		if (size == 0)
			return 0;
		made += size;
	}
	mm_safepoint(t->m);
	return made;
}

#endif
