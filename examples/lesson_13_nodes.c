/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_13_nodes.c: what a node costs, and long lists that go without a deep stack.
 *
 * A list node of gyre is a plain struct: what is added lies beside it, 8 bytes and 3 bits. That is
 * measured here for a million nodes. Then the list is dropped. A free function that calls itself
 * for the next node would need a frame for each, of 16 bytes at least: here the thread that drops
 * the list and the collector's have a fraction of a byte of stack a node.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define STACK ((size_t)256 << 10)

struct single {
	gyre_ref next;
	uint64_t value;
};
struct twofold {
	gyre_ref next, previous;
	uint64_t value;
};
/* The first as a program counts it by hand. */
struct counted {
	struct counted *next;
	uint64_t value, count;
};

static const struct gyre_type_desc single_desc =
	GYRE_TYPE(struct single, GYRE_REFS(GYRE_REF(struct single, next)));
static const struct gyre_type_desc twofold_desc =
	GYRE_TYPE(struct twofold, GYRE_REFS(GYRE_REF(struct twofold, next),
					    GYRE_REF(struct twofold, previous)));

static unsigned long nodes = 1000000; /* or as the argument says */
static struct gyre_heap *heap;
static const struct gyre_type *single_type, *twofold_type;

static struct single *grow_single(struct gyre_mutator *m)
{
	struct single *first = NULL, *node;
	uint64_t i;

	GYRE_KEEP(m, first);
	for (i = 0; i < nodes; i++) {
		gyre_safepoint(m);
		if (!(node = gyre_new(m, single_type)) || gyre_init(m, &node->next, first))
			return NULL;
		node->value = i;
		first = node;
	}
	return first; /* no safe point from here to the caller's frame */
}

/* Closed to a ring: one cycle of them all. */
static struct twofold *grow_ring(struct gyre_mutator *m)
{
	struct twofold *first = NULL, *last = NULL, *node;
	uint64_t i;

	GYRE_KEEP(m, first, last);
	for (i = 0; i < nodes; i++) {
		gyre_safepoint(m);
		if (!(node = gyre_new(m, twofold_type)) || gyre_init(m, &node->previous, last) ||
		    (last && gyre_init(m, &last->next, node)))
			return NULL;
		node->value = i;
		first = first ? first : node;
		last = node;
	}
	return gyre_store(m, &last->next, first) || gyre_store(m, &first->previous, last) ? NULL :
											    first;
}

/* What there is: all of a list that is held, nothing of one that was dropped. */
static int measure(struct gyre_mutator *m, const char *what, size_t plain)
{
	struct gyre_stats stats = { .size = sizeof(stats) };

	if (gyre_collect(m, NULL) || gyre_heap_stats(heap, &stats))
		return 1;
	printf("%s: %" PRIu64 " nodes", what, stats.objects_live);
	if (plain > 0)
		printf(", %zu bytes each as a struct, %.1f with all that gyre adds", plain,
		       (double)stats.bytes_mapped / (double)nodes);
	printf("\n");
	return 0;
}

static void *run(void *failed)
{
	struct gyre_mutator *m;
	void *list = NULL;

	if (gyre_attach(heap, 0, &m))
		return failed;
	{
		GYRE_KEEP(m, list);
		if (!(list = grow_single(m)) || measure(m, "list", sizeof(struct single)))
			return failed;
		list = NULL;
		if (measure(m, "list dropped", 0) || !(list = grow_ring(m)) ||
		    measure(m, "ring", sizeof(struct twofold)))
			return failed;
		list = NULL;
		if (measure(m, "ring dropped", 0))
			return failed;
	}
	return gyre_detach(m) ? failed : NULL;
}

int main(int count, char **arguments)
{
	struct gyre_options options;
	struct counted *one = malloc(sizeof(*one));
	pthread_attr_t small;
	pthread_t thread;
	void *failed;

	if (count > 1)
		nodes = strtoul(arguments[1], NULL, 10);
	if (!one || nodes < 2)
		return 1;
	/* glibc has 8 bytes of its own before what it gives. */
	printf("counted by hand: %zu bytes each as a struct, %zu with all that malloc adds\n",
	       sizeof(*one), malloc_usable_size(one) + 8);
	free(one);

	gyre_options_init(&options);
	options.collector_stack = STACK;
	if (gyre_heap_open(&heap, &options) ||
	    gyre_type_register(heap, &single_desc, &single_type) ||
	    gyre_type_register(heap, &twofold_desc, &twofold_type) || pthread_attr_init(&small) ||
	    pthread_attr_setstacksize(&small, STACK) ||
	    pthread_create(&thread, &small, run, &options) || pthread_join(thread, &failed) ||
	    failed)
		return 1;
	printf("stack: %.2f bytes a node\n", (double)STACK / (double)nodes);
	return pthread_attr_destroy(&small) || gyre_heap_close(heap);
}
