/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * node.c: making and dropping the live objects of a workload. On the thread that works on them.
 */
#include "workloads/node.h"

const struct mm_shape *const bench_node_shapes[2] = { &node_shape, &holder_shape };

/* The holder first, under the root, then each object into it: nothing is lost at a safe point. */
static bool make(struct bench_thread *t, struct nodes *nodes)
{
	struct holder *holder = mm_new_array(t->m, &holder_shape, nodes->count);

	if (holder == NULL)
		return false;
	nodes->holder = holder;
	nodes->rooted = mm_root_open(t->m, &nodes->root, holder);
	mm_release(t->m, holder);
	for (size_t i = 0; nodes->rooted && i < nodes->count; i++) {
		struct node *node = mm_new(t->m, &node_shape);

		if (node == NULL || !mm_store(t->m, &holder->items[i], node))
			return false;
		mm_release(t->m, node);
		node->x[0] = node->x[1] = i;
		nodes->table[i] = node;
		if (i % BENCH_BATCH == 0)
			mm_safepoint(t->m);
	}
	return nodes->rooted;
}

bool bench_nodes_begin(struct bench_thread *t, struct nodes *nodes, size_t count)
{
	nodes->count = count;
	nodes->table = calloc(count, sizeof(*nodes->table));
	if (nodes->table == NULL || !make(t, nodes))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct node *node = nodes->table[i];
		uint64_t bits = bench_random(t);
		void *a = nodes->table[bench_below((uint32_t)bits, count)];
		void *b = nodes->table[bench_below((uint32_t)(bits >> 32), count)];

		if (!mm_store(t->m, &node->a, a) || !mm_store(t->m, &node->b, b))
			return false;
		if (i % (BENCH_BATCH / 2) == 0)
			mm_safepoint(t->m);
	}
	return true;
}

void bench_nodes_end(struct bench_thread *t, struct nodes *nodes)
{
	for (size_t i = 0; nodes->table != NULL && i < nodes->count; i++) {
		struct node *node = nodes->table[i];

		if (node == NULL)
			break;
		if (MM_COUNTS) {
			mm_cut(t->m, &node->a);
			mm_cut(t->m, &node->b);
		}
		if (MM_BY_HAND)
			mm_free(t->m, node);
	}
	if (nodes->rooted)
		mm_root_close(t->m, &nodes->root);
	if (MM_BY_HAND)
		mm_free(t->m, nodes->holder);
	free(nodes->table);
	nodes->table = NULL;
}
