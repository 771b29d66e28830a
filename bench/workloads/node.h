/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * node.h: the object that most workloads are made of, 32 bytes with two slots (what a manager adds
 * in front apart), and the live objects that several of them work on. On the workload's threads.
 */
#ifndef BENCH_NODE_H
#define BENCH_NODE_H

#include "worker.h"

struct node {
	MM_HEADER
	mm_slot a, b;
	uint64_t x[2];
};

/* Holds live objects for others: under a root. */
struct holder {
	MM_HEADER
	size_t length;
	mm_slot items[];
};

/* Constants of each file, so that what managers do inline sees what they are. */
static const struct mm_shape node_shape = {
	.id = 0,
	.name = "node",
	.bytes = sizeof(struct node),
	.refs_count = 2,
	.refs = { offsetof(struct node, a), offsetof(struct node, b) },
};

static const struct mm_shape holder_shape = {
	.id = 1,
	.name = "holder",
	.bytes = sizeof(struct holder),
	.trailing = offsetof(struct holder, items),
	.length = offsetof(struct holder, length),
};

extern const struct mm_shape *const bench_node_shapes[2];

/* Live objects of one thread, found by number in memory of the workload's own. */
struct nodes {
	size_t count;
	struct node **table;
	struct holder *holder; /* held by root */
	struct mm_root root;
	bool rooted;
};

/* Makes count nodes that hold random others of them. */
bool bench_nodes_begin(struct bench_thread *t, struct nodes *nodes, size_t count);
void bench_nodes_end(struct bench_thread *t, struct nodes *nodes);

#endif
