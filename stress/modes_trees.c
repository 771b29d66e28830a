/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_trees.c: binary trees with parent pointers, grown, cut, grafted and dropped.
 *
 * Each worker owns a few trees, each held by a root. An edge and its parent pointer are a cycle, so
 * a tree is one strongly connected component; a subtree that is cut off and dropped still refers to
 * the live tree by its parent pointer, which makes live nodes candidates; one that is grafted to
 * another tree of the worker must survive.
 *
 * The shadow is a second tree of twigs outside the heap, one a node, with the node's identity and
 * address. An address is used only while its twig is in a tree, and then the node is reachable from
 * the tree's root.
 */
#include "shapes.h"

#include <stdlib.h>
#include <string.h>

#define TREES 4
#define STEPS_PER_ROUND 8
#define STORES_PER_SAFEPOINT 16

struct tree_node {
	struct stress_head head;
	gyre_ref child[2], parent;
};

static const struct gyre_type_desc node_desc =
	GYRE_TYPE(struct tree_node,
		  GYRE_REFS(GYRE_REF(struct tree_node, child), GYRE_REF(struct tree_node, parent)));

/* Twigs are numbered; 0 is none. A free one's child[0] is the next free one. */
struct twig {
	struct tree_node *node;
	uint64_t identity;
	uint32_t child[2];
};

struct trees {
	const struct gyre_type *node;
	uint64_t nodes_max;
};

struct trees_worker {
	struct gyre_root roots[TREES];
	uint32_t tops[TREES];
	struct twig *twigs;
	uint32_t *stack; /* room for every twig */
	uint32_t twigs_count, free;
	uint64_t reachable;
	uint64_t identity; /* the next one */
};

static uint32_t twig_take(struct trees_worker *own)
{
	uint32_t twig = own->free;

	if (twig != 0) {
		own->free = own->twigs[twig].child[0];
		memset(&own->twigs[twig], 0, sizeof(own->twigs[twig]));
	}
	return twig;
}

static void twig_give(struct trees_worker *own, uint32_t twig)
{
	own->twigs[twig].node = NULL;
	own->twigs[twig].child[0] = own->free;
	own->free = twig;
}

/* Takes all twigs of a subtree out of the shadow. */
static void forget(struct trees_worker *own, uint32_t top)
{
	struct twig *twig;
	size_t depth = 0;
	int side;

	if (top != 0)
		own->stack[depth++] = top;
	while (depth > 0) {
		top = own->stack[--depth];
		twig = &own->twigs[top];
		for (side = 0; side < 2; side++)
			if (twig->child[side] != 0)
				own->stack[depth++] = twig->child[side];
		twig_give(own, top);
		own->reachable--;
	}
}

/* Goes down from top at random until it finds a side without a child. */
static uint32_t find_place(struct stress_worker *w, uint32_t top, unsigned *side)
{
	struct trees_worker *own = w->own;
	uint64_t bits = stress_random(&w->rng);

	for (;; bits >>= 1) {
		if (bits <= 1)
			bits = stress_random(&w->rng) | UINT64_C(1) << 63;
		*side = bits & 1;
		if (own->twigs[top].child[*side] == 0)
			return top;
		top = own->twigs[top].child[*side];
	}
}

/* Adds a node below base, or at the top of the tree if base is 0; returns its twig, or 0. */
static uint32_t add_node(struct stress_worker *w, size_t tree, uint32_t base, unsigned side)
{
	struct trees *trees = w->run->shared;
	struct trees_worker *own = w->own;
	struct tree_node *node, *parent = own->twigs[base].node;
	uint32_t twig = twig_take(own);
	bool stored;

	if (twig == 0)
		return 0;
	node = stress_new(w, trees->node, 0, own->identity);
	if (!node) {
		twig_give(own, twig);
		return 0;
	}
	if (base != 0)
		stored = shape_init(w, node, &node->parent, parent) &&
			 stress_store(w, parent, &parent->child[side], node);
	else
		stored = stress_store(w, NULL, &own->roots[tree].slot, node);
	if (!stored) {
		twig_give(own, twig);
		return 0;
	}
	own->twigs[twig].node = node;
	own->twigs[twig].identity = own->identity++;
	if (base != 0)
		own->twigs[base].child[side] = twig;
	else
		own->tops[tree] = twig;
	own->reachable++;
	return twig;
}

/* Grows a subtree of up to count nodes at a free place. */
static void grow(struct stress_worker *w, size_t tree, uint32_t base, unsigned side, uint64_t count)
{
	uint32_t top = add_node(w, tree, base, side);
	uint64_t i;

	for (i = 1; top != 0 && i < count && !stress_stopped(w->run); i++) {
		base = find_place(w, top, &side);
		if (add_node(w, tree, base, side) == 0)
			break;
		if (i % STORES_PER_SAFEPOINT == 0)
			gyre_safepoint(w->m);
	}
	gyre_safepoint(w->m);
}

/* Drops a tree and grows another. */
static void replace_tree(struct stress_worker *w, size_t tree)
{
	struct trees *trees = w->run->shared;
	struct trees_worker *own = w->own;

	if (!stress_store(w, NULL, &own->roots[tree].slot, NULL))
		return;
	forget(own, own->tops[tree]);
	own->tops[tree] = 0;
	gyre_safepoint(w->m);
	grow(w, tree, 0, 0, 1 + stress_below(&w->rng, trees->nodes_max));
}

/* Grafts the subtree of twig, which hangs nowhere now, to some tree. The caller keeps its node. */
static void graft(struct stress_worker *w, size_t tree, uint32_t twig)
{
	struct trees_worker *own = w->own;
	struct tree_node *node = own->twigs[twig].node, *parent;
	unsigned side;
	uint32_t base = find_place(w, own->tops[tree], &side);

	parent = own->twigs[base].node;
	if (stress_store(w, node, &node->parent, parent) &&
	    stress_store(w, parent, &parent->child[side], node))
		own->twigs[base].child[side] = twig;
}

/* Cuts off a random subtree; drops it, grafts it, or puts a new one in its place. */
static void cut(struct stress_worker *w, size_t tree)
{
	struct trees *trees = w->run->shared;
	struct trees_worker *own = w->own;
	uint32_t base = own->tops[tree], twig = 0, steps = (uint32_t)stress_below(&w->rng, 12);
	unsigned side = 0;
	struct tree_node *parent, *node = NULL;
	size_t other = stress_below(&w->rng, TREES);
	GYRE_KEEP(w->m, node);

	for (;; steps--, base = twig) {
		side = (unsigned)stress_below(&w->rng, 2);
		twig = own->twigs[base].child[side];
		if (twig == 0)
			return;
		if (steps == 0)
			break;
	}
	parent = own->twigs[base].node;
	node = own->twigs[twig].node;
	if (gyre_load(&parent->child[side]) != (void *)node)
		stress_fail(w->run, "a child of node %#llx is not the one that was stored",
			    (unsigned long long)own->twigs[base].identity);
	if (!stress_store(w, parent, &parent->child[side], NULL))
		return;
	own->twigs[base].child[side] = 0;
	if (own->tops[other] != 0 && stress_chance(&w->rng, 1, 2)) {
		graft(w, other, twig);
		return;
	}
	forget(own, twig);
	node = NULL;
	gyre_safepoint(w->m);
	if (stress_chance(&w->rng, 1, 2))
		grow(w, tree, base, side, 1 + stress_below(&w->rng, trees->nodes_max / 4 + 1));
}

/* Visits every node of a tree from its root and compares with the shadow. */
static void check_tree(struct stress_worker *w, size_t tree)
{
	struct trees_worker *own = w->own;
	const struct tree_node *node = gyre_load(&own->roots[tree].slot), *child;
	const struct twig *twig;
	size_t depth = 0;
	int side;

	if (own->tops[tree] == 0 || !stress_check(w, node, own->twigs[own->tops[tree]].identity))
		return;
	own->stack[depth++] = own->tops[tree];
	while (depth > 0) {
		twig = &own->twigs[own->stack[--depth]];
		for (side = 0; side < 2; side++) {
			child = gyre_load(&twig->node->child[side]);
			if (twig->child[side] == 0 && !child)
				continue;
			if (twig->child[side] == 0 ||
			    !stress_check(w, child, own->twigs[twig->child[side]].identity) ||
			    gyre_load(&child->parent) != (void *)twig->node) {
				stress_fail(w->run, "node %#llx has a child that is not its own",
					    (unsigned long long)twig->identity);
				return;
			}
			own->stack[depth++] = twig->child[side];
		}
		if (depth % STORES_PER_SAFEPOINT == 0)
			gyre_safepoint(w->m);
	}
}

static void trees_loop(struct stress_worker *w)
{
	struct trees_worker *own = w->own;
	size_t tree, step;

	while (stress_round(w)) {
		for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++) {
			tree = stress_below(&w->rng, TREES);
			if (own->tops[tree] == 0 || stress_chance(&w->rng, 1, 16))
				replace_tree(w, tree);
			else if (stress_chance(&w->rng, 1, 16))
				check_tree(w, tree);
			else
				cut(w, tree);
		}
		stress_count(&w->reachable, own->reachable);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, own->reachable);
	}
}

static void trees_work(struct stress_worker *w)
{
	struct trees *trees = w->run->shared;
	struct trees_worker own = { .identity = shape_identities(w->index) };
	size_t tree, rooted = 0;
	uint32_t twig;

	own.twigs_count = (uint32_t)(2 * TREES * trees->nodes_max + 1);
	own.twigs = calloc(own.twigs_count, sizeof(*own.twigs));
	own.stack = calloc(own.twigs_count, sizeof(*own.stack));
	if (!own.twigs || !own.stack) {
		stress_fail(w->run, "no memory for the shadow of trees");
	} else {
		for (twig = own.twigs_count - 1; twig > 0; twig--)
			twig_give(&own, twig);
		w->own = &own;
		while (rooted < TREES && stress_root_init(w, &own.roots[rooted], NULL))
			rooted++;
		if (rooted == TREES)
			trees_loop(w);
		for (tree = 0; tree < rooted; tree++) {
			check_tree(w, tree);
			stress_root_drop(w, &own.roots[tree]);
		}
		w->own = NULL;
	}
	free(own.twigs);
	free(own.stack);
	w->left = 0;
}

static void trees_run(struct stress_run *run)
{
	struct trees trees = { .node = shape_type(run, &node_desc),
			       .nodes_max = stress_param(run, "nodes") };

	if (!trees.node)
		return;
	run->shared = &trees;
	stress_workers(run, trees_work, NULL);
	stress_expect(run->main, stress_left(run), "after every tree was dropped");
}

const struct stress_mode stress_mode_trees = {
	.name = "trees",
	.summary = "trees with parent pointers, grown, cut, grafted and dropped",
	.run = trees_run,
	.params = {
		{ "nodes", "Most nodes of a new tree", 4096, 1, 100000000 },
	},
};
