/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite.c: the same 16 slots get new objects at full speed, each of which dies when the next one
 * comes (a decoder that works on the same few buffers). What a barrier that notes every store pays
 * each time, one that notes a slot once an epoch does not. Each thread has its own slots.
 */
#include "workloads/node.h"

#define SLOTS 16

struct rewrite {
	struct holder *holder; /* held by root */
	struct mm_root root;
	bool rooted;
};

static bool begin(struct bench_thread *t)
{
	struct rewrite *rewrite = t->own;
	struct holder *holder = mm_new_array(t->m, &holder_shape, SLOTS);

	if (holder == NULL)
		return false;
	rewrite->holder = holder;
	rewrite->rooted = mm_root_open(t->m, &rewrite->root, holder);
	mm_release(t->m, holder);
	return rewrite->rooted;
}

static bool put(struct bench_thread *t, mm_slot *slot, struct node *node)
{
	void *old = MM_BY_HAND ? mm_load(t->m, slot) : NULL;
	bool done = mm_store(t->m, slot, node);

	mm_release(t->m, node);
	if (MM_BY_HAND && old != NULL)
		mm_free(t->m, old);
	return done;
}

static uint64_t turn(struct bench_thread *t)
{
	struct rewrite *rewrite = t->own;
	bool done = true;

	for (unsigned i = 0; i < BENCH_BATCH; i++) {
		struct node *node = mm_new(t->m, &node_shape);

		if (node == NULL)
			return 0;
		node->x[0] = i;
		done &= put(t, &rewrite->holder->items[i % SLOTS], node);
	}
	mm_safepoint(t->m);
	return done ? BENCH_BATCH : 0;
}

static void end(struct bench_thread *t)
{
	struct rewrite *rewrite = t->own;

	if (!rewrite->rooted) {
		if (MM_BY_HAND)
			mm_free(t->m, rewrite->holder);
		return;
	}
	for (unsigned i = 0; i < SLOTS; i++)
		put(t, &rewrite->holder->items[i], NULL);
	mm_root_close(t->m, &rewrite->root);
	if (MM_BY_HAND)
		mm_free(t->m, rewrite->holder);
}

const struct bench_workload bench_rewrite = {
	.name = "rewrite",
	.unit = "ns/object",
	.kind = "throughput",
	.what = "new objects into the same 16 slots, over and over",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct rewrite),
	.begin = begin,
	.turn = turn,
	.end = end,
};
