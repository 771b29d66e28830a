/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weak.c: loads through random weak cells of live objects, and of a field of what they lead to.
 * Managers without weak cells load a pointer that lies apart from its object in the same way. All
 * threads share what thread 0 makes.
 */
#include "workloads/node.h"

#define LIVE 4096

struct weak {
	struct nodes nodes;
	struct mm_cell **cells;
	bool ready; /* each node has its cell */
};

/* Where a cell is an object the node holds its own: it dies with it. */
static bool make_cells(struct bench_thread *t, struct weak *weak)
{
	const struct nodes *nodes = &weak->nodes;

	weak->cells = calloc(nodes->count, sizeof(struct mm_cell *));
	if (weak->cells == NULL)
		return false;
	for (size_t i = 0; i < nodes->count; i++) {
		weak->cells[i] = mm_weak_of(t->m, nodes->table[i]);
		if (weak->cells[i] == NULL)
			return false;
		if (MM_CELLS && !mm_store(t->m, &nodes->table[i]->a, weak->cells[i]))
			return false;
		if (i % BENCH_BATCH == 0)
			mm_safepoint(t->m);
	}
	return true;
}

static bool begin(struct bench_thread *t)
{
	struct weak *weak = t->first->own;
	uint64_t live = t->options->live;

	if (t != t->first)
		return weak != NULL && weak->ready;
	weak->ready =
		bench_nodes_begin(t, &weak->nodes, live != 0 ? live : LIVE) && make_cells(t, weak);
	return weak->ready;
}

static uint64_t turn(struct bench_thread *t)
{
	const struct weak *weak = t->first->own;
	uint64_t sum = 0;

	for (unsigned i = 0; i < BENCH_BATCH; i++) {
		size_t place = bench_below((uint32_t)bench_random(t), weak->nodes.count);
		struct node *node = mm_weak_load(t->m, weak->cells[place]);

		if (node == NULL)
			return 0;
		sum += node->x[0];
		mm_release(t->m, node);
	}
	mm_touch((void *)(uintptr_t)sum);
	mm_safepoint(t->m);
	return BENCH_BATCH;
}

static void end(struct bench_thread *t)
{
	struct weak *weak = t->own;

	if (t != t->first)
		return;
	for (size_t i = 0; weak->cells != NULL && i < weak->nodes.count; i++)
		if (weak->cells[i] != NULL)
			mm_weak_free(t->m, weak->cells[i]);
	free(weak->cells);
	bench_nodes_end(t, &weak->nodes);
}

const struct bench_workload bench_weak = {
	.name = "weak",
	.unit = "ns/load",
	.kind = "throughput",
	.what = "loads through random weak cells of 4,096 live objects (--live), and of a field",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct weak),
	.begin = begin,
	.turn = turn,
	.end = end,
};
