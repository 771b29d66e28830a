/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_01_cycle.c: what a cycle is, and what collects it.
 *
 * A program that counts references by hand frees a chain when its first object is let go: each
 * object that goes lets go of the next. In a ring each object is held by the one before it; when
 * the program lets go of the ring, no count gets to 0. Here a ring is lost to counts first; then
 * gyre is given a chain and several rings, and says of each how it was found to be garbage.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH 3

/* An object as a C program counts it by hand. */
struct counted {
	struct counted *next;
	unsigned long count;
	int freed;
};

static void let_go(struct counted *object)
{
	if (object && --object->count == 0) {
		let_go(object->next);
		object->freed = 1; /* where free(object) would stand */
	}
}

/* Links a chain, or a ring, that the program refers to by its first object; then lets go of it. */
static void count_by_hand(const char *shape, int ring)
{
	struct counted objects[LENGTH] = { 0 };
	int i, freed = 0;

	for (i = 0; i < LENGTH; i++)
		objects[i].count = 1; /* of the object before it, or of the program */
	for (i = 0; i + 1 < LENGTH; i++)
		objects[i].next = &objects[i + 1];
	if (ring) {
		objects[LENGTH - 1].next = &objects[0];
		objects[0].count++;
	}
	let_go(&objects[0]);
	for (i = 0; i < LENGTH; i++)
		freed += objects[i].freed;
	printf("by hand, %s: %d of %d objects freed, counts are %lu %lu %lu\n", shape, freed,
	       LENGTH, objects[0].count, objects[1].count, objects[2].count);
}

/* The same for gyre: no count, no header; the table says where the reference is. */
struct node {
	gyre_ref next, other;
};
static const struct gyre_type_desc desc = GYRE_TYPE(
	struct node, GYRE_REFS(GYRE_REF(struct node, next), GYRE_REF(struct node, other)));

static struct gyre_heap *heap;
static const struct gyre_type *type;

enum shape { CHAIN, SELF, RING, TWO_RINGS };
static const char *const names[] = { "a chain", "an object that refers to itself", "a ring",
				     "two rings that hold each other" };

/* Makes the objects of a shape; from the first all others can be reached. NULL: no memory. */
static struct node *make(struct gyre_mutator *m, enum shape shape)
{
	struct node *n[2 * LENGTH];
	int i, count = shape == SELF ? 1 : shape == TWO_RINGS ? 2 * LENGTH : LENGTH;

	for (i = 0; i < count; i++) /* allocation is no safe point: n stays valid */
		if (!(n[i] = gyre_new(m, type)))
			return NULL;
	for (i = 0; i < count; i++) {
		int last = i % LENGTH == LENGTH - 1 || i == count - 1;
		struct node *next = !last ? n[i + 1] : shape == CHAIN ? NULL : n[i - i % LENGTH];

		if (gyre_store(m, &n[i]->next, next))
			return NULL;
	}
	if (shape == TWO_RINGS && (gyre_store(m, &n[0]->other, n[LENGTH]) ||
				   gyre_store(m, &n[LENGTH]->other, n[0])))
		return NULL;
	return n[0];
}

/* Holds the shape by a root over one collection, and lets go of it before the next. */
static int collect(struct gyre_mutator *m, enum shape shape)
{
	struct gyre_stats held = { .size = sizeof(held) }, after = held;
	struct gyre_root root;
	struct node *first = make(m, shape);

	if (!first || gyre_root_init(m, &root, first) || gyre_collect(m, NULL) ||
	    gyre_heap_stats(heap, &held) || gyre_root_drop(m, &root) || gyre_collect(m, NULL) ||
	    gyre_heap_stats(heap, &after))
		return 1;
	printf("gyre, %s: %" PRIu64 " live while held, %" PRIu64 " after: %" PRIu64
	       " went by count, %" PRIu64 " as a cycle\n",
	       names[shape], held.objects_live, after.objects_live,
	       after.reclaimed_by_count - held.reclaimed_by_count,
	       after.reclaimed_by_cycle - held.reclaimed_by_cycle);
	return 0;
}

int main(void)
{
	struct gyre_mutator *m;
	enum shape shape;

	count_by_hand("a chain", 0);
	count_by_hand("a ring", 1);
	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &desc, &type))
		return 1;
	for (shape = CHAIN; shape <= TWO_RINGS; shape++)
		if (collect(m, shape))
			return 1;
	return gyre_detach(m) || gyre_heap_close(heap);
}
