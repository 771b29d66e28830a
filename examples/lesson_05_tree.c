/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_05_tree.c: a tree whose nodes know their parents.
 *
 * In plain C somebody must own each node, every pointer up is a pointer that must not count, and
 * who removes a branch must be sure that nobody still looks at a node of it. With gyre a pointer up
 * is a reference like any other, a branch is removed by unlinking it, and a node that somebody
 * holds is valid as long as he holds it. The price to know: it holds what it refers to, and through
 * its parent that is the whole tree.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdio.h>

#define CHILDREN 3
#define DEPTH 4 /* 1 + 3 + 9 + 27 + 81 nodes */

struct node {
	gyre_ref parent, child[CHILDREN];
	unsigned number;
};
static const struct gyre_type_desc desc = GYRE_TYPE(
	struct node, GYRE_REFS(GYRE_REF(struct node, parent), GYRE_REF(struct node, child)));

static struct gyre_heap *heap;
static const struct gyre_type *type;
static unsigned made;

/* A node with all below it, or NULL. No safe point anywhere: nothing needs to be kept. */
static struct node *grow(struct gyre_mutator *m, struct node *parent, int depth)
{
	struct node *node = gyre_new(m, type), *child;
	int i;

	if (!node || gyre_init(m, &node->parent, parent))
		return NULL;
	node->number = made++;
	for (i = 0; depth > 0 && i < CHILDREN; i++)
		if (!(child = grow(m, node, depth - 1)) || gyre_init(m, &node->child[i], child))
			return NULL;
	return node;
}

static struct node *child(struct node *node, int i)
{
	return gyre_load(&node->child[i]);
}

/* The way up, as any node can tell it. */
static void print_path(const char *when, struct node *node)
{
	printf("%s: node %u", when, node->number);
	while ((node = gyre_load(&node->parent)))
		printf(" < %u", node->number);
	printf("\n");
}

static int collect(struct gyre_mutator *m, const char *when)
{
	struct gyre_stats stats = { .size = sizeof(stats) };

	if (gyre_collect(m, NULL) || gyre_heap_stats(heap, &stats))
		return 1;
	printf("%s: %" PRIu64 " nodes live\n", when, stats.objects_live);
	return 0;
}

static int run(struct gyre_mutator *m)
{
	struct node *root = grow(m, NULL, DEPTH), *leaf = NULL, *branch;

	GYRE_KEEP(m, root, leaf);
	if (!root || collect(m, "grown"))
		return 1;
	leaf = child(child(child(child(root, 1), 1), 1), 1);
	print_path("a leaf", leaf);
	leaf = NULL;

	/* A branch is removed: one store, though 40 nodes refer up and down within it. */
	if (gyre_store(m, &root->child[0], NULL) || collect(m, "removed a branch"))
		return 1;

	/* A branch is moved: it needs no owner meanwhile, as this thread has loaded it. */
	branch = child(child(root, 1), 1);
	if (gyre_store(m, &child(root, 1)->child[1], NULL) ||
	    gyre_store(m, &branch->parent, root) || gyre_store(m, &root->child[0], branch) ||
	    collect(m, "moved a branch"))
		return 1;
	leaf = child(child(child(root, 0), 1), 1);
	print_path("the same leaf", leaf);

	/* The trap: somebody keeps one leaf of a tree that is done with. Its parent is there, so
	 * are the parent's other children, and the whole tree. */
	root = NULL;
	if (collect(m, "only a leaf is held"))
		return 1;
	/* Who wants the leaf alone cuts it off; or refers to it weakly (lesson 3). */
	if (gyre_store(m, &leaf->parent, NULL) || collect(m, "the leaf is cut off"))
		return 1;
	leaf = NULL;
	return collect(m, "nothing is held");
}

int main(void)
{
	struct gyre_mutator *m;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &desc, &type) || run(m))
		return 1;
	return gyre_detach(m) || gyre_heap_close(heap);
}
