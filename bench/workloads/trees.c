/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trees.c: binary trees whose nodes know their parents, as the benchmarks game has them (there
 * without parents): one tree stays throughout, one deeper than it is made first, and then many of
 * each depth, each counted and dropped. A tree is one strongly connected component. On each thread
 * by itself.
 *
 * Invariant: the tree that is being made is held by the frame and grows from its top, so each node
 * is reachable at every safe point. Counts: the parent is not counted, so no cycle is ever made.
 */
#include "worker.h"

#define DEPTH_LEAST 4
#define DEPTH_DEFAULT 18
#define DEPTH_MOST 30
#define SAFE_HEIGHT 5 /* a subtree of so many levels is made or counted between safe points */

struct tree {
	MM_HEADER
	mm_slot child[2];
	mm_slot parent;
};

static const struct mm_shape tree_shape = {
	.id = 0,
	.name = "tree",
	.bytes = sizeof(struct tree),
	.refs_count = MM_COUNTS ? 2 : 3,
	.refs = { offsetof(struct tree, child[0]), offsetof(struct tree, child[1]),
		  offsetof(struct tree, parent) },
};

static const struct mm_shape *const shapes[] = { &tree_shape };

enum { LASTING, PASSING, TREES };

struct trees {
	void *tops[TREES];
	struct mm_frame frame;
	bool open;
	uint64_t made;
};

static bool begin(struct bench_thread *t)
{
	struct trees *trees = t->own;

	if (t->options->live > DEPTH_MOST)
		return false;
	mm_frame_open(t->m, &trees->frame, trees->tops, TREES);
	trees->open = true;
	return true;
}

static bool set_parent(struct bench_thread *t, struct tree *node, struct tree *parent)
{
	if (!MM_COUNTS)
		return mm_init(t->m, &node->parent, parent);
	memcpy(&node->parent, &parent, sizeof(parent));
	return true;
}

/* Gives parent subtrees of so many levels. False: no memory; what there is hangs together. */
static bool grow(struct bench_thread *t, struct tree *parent, unsigned height)
{
	if (height == 0)
		return true;
	for (unsigned side = 0; side < 2; side++) {
		struct tree *node = mm_new(t->m, &tree_shape);
		bool done;

		if (node == NULL)
			return false;
		done = set_parent(t, node, parent);
		done &= mm_init(t->m, &parent->child[side], node);
		mm_release(t->m, node);
		if (!done || !grow(t, node, height - 1))
			return false;
	}
	if (height == SAFE_HEIGHT)
		mm_safepoint(t->m);
	return true;
}

static bool make(struct bench_thread *t, unsigned which, unsigned depth)
{
	struct trees *trees = t->own;
	struct tree *top = mm_new(t->m, &tree_shape);

	trees->tops[which] = top;
	trees->made += (UINT64_C(2) << depth) - 1;
	return top != NULL && set_parent(t, top, NULL) && grow(t, top, depth);
}

static uint64_t count(struct bench_thread *t, const struct tree *node, unsigned height)
{
	const struct tree *left = mm_load(t->m, &node->child[0]);
	const struct tree *right = mm_load(t->m, &node->child[1]);
	uint64_t nodes = 1;

	if (left != NULL)
		nodes += count(t, left, height - 1);
	if (right != NULL)
		nodes += count(t, right, height - 1);
	if (height == SAFE_HEIGHT)
		mm_safepoint(t->m);
	return nodes;
}

static void free_tree(struct bench_thread *t, struct tree *node)
{
	if (node == NULL)
		return;
	free_tree(t, mm_load(t->m, &node->child[0]));
	free_tree(t, mm_load(t->m, &node->child[1]));
	mm_free(t->m, node);
}

static void drop(struct bench_thread *t, unsigned which)
{
	struct trees *trees = t->own;
	struct tree *top = trees->tops[which];

	trees->tops[which] = NULL;
	if (MM_BY_HAND)
		free_tree(t, top);
	mm_release(t->m, top);
	mm_safepoint(t->m);
}

/* A tree's whole life; false: no memory, or a node is missing. */
static bool pass(struct bench_thread *t, unsigned depth)
{
	struct trees *trees = t->own;
	bool done = make(t, PASSING, depth) &&
		    count(t, trees->tops[PASSING], depth) == (UINT64_C(2) << depth) - 1;

	drop(t, PASSING);
	return done;
}

static uint64_t turn(struct bench_thread *t)
{
	struct trees *trees = t->own;
	uint64_t live = t->options->live;
	unsigned most = live == 0 ? DEPTH_DEFAULT : (unsigned)live;

	most = most < DEPTH_LEAST + 2 ? DEPTH_LEAST + 2 : most;
	if (!pass(t, most + 1) || !make(t, LASTING, most))
		return 0;
	for (unsigned depth = DEPTH_LEAST; depth <= most; depth += 2)
		for (uint64_t i = UINT64_C(1) << (most - depth + DEPTH_LEAST); i > 0; i--)
			if (!pass(t, depth))
				return 0;
	if (count(t, trees->tops[LASTING], most) != (UINT64_C(2) << most) - 1)
		return 0;
	drop(t, LASTING);
	t->allocated = trees->made;
	return trees->made;
}

static void end(struct bench_thread *t)
{
	struct trees *trees = t->own;

	if (!trees->open)
		return;
	drop(t, LASTING); /* there only after a failure */
	mm_frame_close(t->m, &trees->frame);
}

const struct bench_workload bench_trees = {
	.name = "trees",
	.unit = "s",
	.kind = "once",
	.what = "binary trees with parents, depths 4, 6, .. to 18 (--live: another depth)",
	.shapes = shapes,
	.shapes_count = 1,
	.state_bytes = sizeof(struct trees),
	.begin = begin,
	.turn = turn,
	.end = end,
};
