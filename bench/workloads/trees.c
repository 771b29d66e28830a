/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trees.c: binary trees whose nodes know their parents: a large one that lives throughout, and many
 * smaller ones that are made and dropped, of depths 4, 6, ... up to that of the large one. The more
 * levels, the fewer trees. One thread each.
 *
 * Counts: the link to the parent is not counted, as a C program would have it (it is no slot for
 * them, and no cycle comes to be).
 *
 * Source: Boehm's GCBench by way of the Computer Language Benchmarks Game, with parents added.
 */
#include "worker.h"

#define LEAST_DEPTH 4
#define DEFAULT_DEPTH 18
#define DEEPEST 28

struct tree {
	MM_HEADER
	mm_slot left, right, parent;
};

static const struct mm_shape tree_shape = {
	.id = 0,
	.name = "tree",
	.bytes = sizeof(struct tree),
	.refs_count = MM_COUNTS ? 2 : 3,
	.refs = { offsetof(struct tree, left), offsetof(struct tree, right),
		  offsetof(struct tree, parent) },
};

static const struct mm_shape *const shapes[] = { &tree_shape };

struct trees {
	unsigned depth;
	struct tree *lasting;
	struct mm_root root;
	bool rooted;
	uint64_t made;
};

static bool link_parent(struct bench_thread *t, struct tree *child, struct tree *parent)
{
	if (MM_COUNTS) {
		atomic_init((_Atomic(void *) *)(void *)&child->parent, parent);
		return true;
	}
	return mm_init(t->m, &child->parent, parent);
}

/* The thread's own reference to the child ends: its parent holds it. */
static bool adopt(struct bench_thread *t, struct tree *parent, mm_slot *slot, struct tree *child)
{
	bool done = mm_init(t->m, slot, child) && link_parent(t, child, parent);

	mm_release(t->m, child);
	return done;
}

/* A tree of 2^(depth + 1) - 1 nodes; NULL without memory. Between two safe points, as a caller's
 * frames hold only the top. */
static struct tree *make(struct bench_thread *t, unsigned depth)
{
	struct tree *tree = mm_new(t->m, &tree_shape), *left, *right;

	if (tree == NULL || depth == 0)
		return tree;
	left = make(t, depth - 1);
	if (left == NULL || !adopt(t, tree, &tree->left, left))
		return NULL;
	right = make(t, depth - 1);
	if (right == NULL || !adopt(t, tree, &tree->right, right))
		return NULL;
	return tree;
}

/* The number of nodes, by looking at each. */
static uint64_t check(struct bench_thread *t, struct tree *tree)
{
	struct tree *left = mm_load(t->m, &tree->left);

	if (left == NULL)
		return 1;
	return 1 + check(t, left) + check(t, mm_load(t->m, &tree->right));
}

static void drop(struct bench_thread *t, struct tree *tree)
{
	struct tree *left;

	if (!MM_BY_HAND) {
		mm_release(t->m, tree);
		return;
	}
	left = mm_load(t->m, &tree->left);
	if (left != NULL) {
		drop(t, left);
		drop(t, mm_load(t->m, &tree->right));
	}
	mm_free(t->m, tree);
}

static bool begin(struct bench_thread *t)
{
	struct trees *trees = t->own;

	trees->depth = t->options->live == 0 ? DEFAULT_DEPTH : (unsigned)t->options->live;
	return trees->depth > LEAST_DEPTH && trees->depth <= DEEPEST;
}

static bool make_and_drop(struct bench_thread *t, unsigned depth)
{
	struct trees *trees = t->own;
	struct tree *tree = make(t, depth);

	if (tree == NULL)
		return false;
	trees->made += check(t, tree);
	drop(t, tree);
	mm_safepoint(t->m);
	return true;
}

static uint64_t turn(struct bench_thread *t)
{
	struct trees *trees = t->own;
	unsigned deepest = trees->depth;

	if (!make_and_drop(t, deepest + 1))
		return 0;
	trees->lasting = make(t, deepest);
	if (trees->lasting == NULL)
		return 0;
	trees->rooted = mm_root_open(t->m, &trees->root, trees->lasting);
	for (unsigned depth = LEAST_DEPTH; depth <= deepest; depth += 2)
		for (uint64_t i = (uint64_t)1 << (deepest - depth + LEAST_DEPTH); i > 0; i--)
			if (!make_and_drop(t, depth))
				return 0;
	trees->made += check(t, trees->lasting);
	return trees->rooted ? trees->made : 0;
}

static void end(struct bench_thread *t)
{
	struct trees *trees = t->own;

	if (trees->lasting == NULL)
		return;
	if (trees->rooted)
		mm_root_close(t->m, &trees->root);
	drop(t, trees->lasting);
}

const struct bench_workload bench_trees = {
	.name = "trees",
	.unit = "s",
	.kind = "once",
	.what = "binary trees with parents; --live: depth of the largest (18)",
	.shapes = shapes,
	.shapes_count = 1,
	.state_bytes = sizeof(struct trees),
	.begin = begin,
	.turn = turn,
	.end = end,
};
