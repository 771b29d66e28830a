/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journals.c: how fast the collector applies journal entries (entries_per_s). Stores into random
 * slots of many live objects, few of them twice in an epoch, so that nearly each is an entry. On
 * each thread by itself.
 *
 * The slots of a batch are drawn first and fetched ahead: a mutator that does not wait for memory
 * outruns the collector, which does.
 */
#include "workloads/node.h"

#define LIVE 1000000

static bool begin(struct bench_thread *t)
{
	uint64_t live = t->options->live;

	return bench_nodes_begin(t, t->own, live != 0 ? live : LIVE);
}

static uint64_t turn(struct bench_thread *t)
{
	const struct nodes *nodes = t->own;
	mm_slot *slots[BENCH_BATCH];
	void *targets[BENCH_BATCH];
	bool done = true;

	for (unsigned i = 0; i < BENCH_BATCH; i++) {
		uint64_t bits = bench_random(t);
		struct node *node = nodes->table[bench_below((uint32_t)bits, nodes->count)];

		slots[i] = bits & 1 ? &node->a : &node->b;
		targets[i] = nodes->table[bench_below((uint32_t)(bits >> 32), nodes->count)];
		__builtin_prefetch(node, 1);
	}
	for (unsigned i = 0; i < BENCH_BATCH; i++)
		done &= mm_store(t->m, slots[i], targets[i]);
	mm_safepoint(t->m);
	return done ? BENCH_BATCH : 0;
}

static void end(struct bench_thread *t)
{
	bench_nodes_end(t, t->own);
}

static const char *refused(void)
{
	return MM_JOURNALS ? NULL : "it has no journals";
}

const struct bench_workload bench_journals = {
	.name = "journals",
	.unit = "ns/store",
	.kind = "throughput",
	.what = "journal entries applied a second: stores all over 1,000,000 live objects (--live)",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct nodes),
	.begin = begin,
	.turn = turn,
	.end = end,
	.refused = refused,
};
