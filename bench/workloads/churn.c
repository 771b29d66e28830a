/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn.c: acyclic objects that die young: each takes the place of the one of 64 allocations ago
 * in what the thread keeps. On each thread by itself.
 */
#include "workloads/node.h"

#define KEPT 64

struct churn {
	void *kept[KEPT];
	struct mm_frame frame;
	unsigned next;
	bool open;
};

static bool begin(struct bench_thread *t)
{
	struct churn *churn = t->own;

	mm_frame_open(t->m, &churn->frame, churn->kept, KEPT);
	churn->open = true;
	return true;
}

static void give_up(struct bench_thread *t, void *node)
{
	if (node == NULL)
		return;
	mm_release(t->m, node);
	mm_free(t->m, node);
}

static uint64_t turn(struct bench_thread *t)
{
	struct churn *churn = t->own;
	unsigned next = churn->next;

	for (unsigned i = 0; i < BENCH_BATCH; i++) {
		struct node *node = mm_new(t->m, &node_shape);
		void **place = &churn->kept[next++ % KEPT];

		if (node == NULL)
			return 0;
		node->x[0] = i;
		mm_touch(node);
		give_up(t, *place);
		*place = node;
	}
	churn->next = next;
	mm_safepoint(t->m);
	return BENCH_BATCH;
}

static void end(struct bench_thread *t)
{
	struct churn *churn = t->own;

	if (!churn->open)
		return;
	for (unsigned i = 0; i < KEPT; i++) {
		give_up(t, churn->kept[i]);
		churn->kept[i] = NULL;
	}
	mm_frame_close(t->m, &churn->frame);
}

const struct bench_workload bench_churn = {
	.name = "churn",
	.unit = "ns/object",
	.kind = "throughput",
	.what = "acyclic 32-byte objects, each kept until 64 more are made",
	.shapes = bench_node_shapes,
	.shapes_count = 1,
	.state_bytes = sizeof(struct churn),
	.begin = begin,
	.turn = turn,
	.end = end,
};
