/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stores.c: a random slot of a random live object gets a random target, among 4,096 objects that
 * the cache holds and among 1,000,000 that it does not. Each thread has its own objects. Choosing
 * slot and target is part of the figure, with every manager.
 */
#include "workloads/node.h"

static bool begin_among(struct bench_thread *t, size_t count)
{
	uint64_t live = t->options->live;

	return bench_nodes_begin(t, t->own, live != 0 ? live : count);
}

static bool begin_4k(struct bench_thread *t)
{
	return begin_among(t, 4096);
}

static bool begin_1m(struct bench_thread *t)
{
	return begin_among(t, 1000000);
}

static uint64_t turn(struct bench_thread *t)
{
	const struct nodes *nodes = t->own;
	struct node **table = nodes->table;
	size_t count = nodes->count;
	bool done = true;

	for (unsigned i = 0; i < BENCH_BATCH; i++) {
		uint64_t bits = bench_random(t);
		struct node *node = table[bench_below((uint32_t)bits, count)];
		mm_slot *slot = bits & 1 ? &node->a : &node->b;

		done &= mm_store(t->m, slot, table[bench_below((uint32_t)(bits >> 32), count)]);
	}
	mm_safepoint(t->m);
	return done ? BENCH_BATCH : 0;
}

static void end(struct bench_thread *t)
{
	bench_nodes_end(t, t->own);
}

const struct bench_workload bench_stores4k = {
	.name = "stores4k",
	.unit = "ns/store",
	.kind = "throughput",
	.what = "stores into random slots of 4,096 live objects (--live)",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct nodes),
	.begin = begin_4k,
	.turn = turn,
	.end = end,
};

const struct bench_workload bench_stores1m = {
	.name = "stores1m",
	.unit = "ns/store",
	.kind = "throughput",
	.what = "stores into random slots of 1,000,000 live objects (--live)",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct nodes),
	.begin = begin_1m,
	.turn = turn,
	.end = end,
};
