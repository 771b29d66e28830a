/* SPDX-License-Identifier: BSD-2-Clause */
/* hello.c: one thread makes a cycle, keeps it over one collection, drops it over the next. */
#include <gyre/gyre.h>
#include <inttypes.h>
#include <stdio.h>

struct node {
	gyre_ref other;
};
static const struct gyre_type_desc desc =
	GYRE_TYPE(struct node, GYRE_REFS(GYRE_REF(struct node, other)));

int main(void)
{
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	const struct gyre_type *type;
	uint64_t kept, dropped;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &desc, &type))
		return 1;
	struct node *a = gyre_new(m, type), *b = gyre_new(m, type);
	if (!a || !b || gyre_store(m, &a->other, b) || gyre_store(m, &b->other, a))
		return 1;
	{
		GYRE_KEEP(m, a); /* until the block ends, a and what it reaches stay */
		if (gyre_collect(m, &kept))
			return 1;
	}
	if (gyre_collect(m, &dropped)) /* a safe point: nothing holds a and b any more */
		return 1;
	printf("reclaimed %" PRIu64 " while kept, %" PRIu64 " after\n", kept, dropped);
	return gyre_detach(m) || gyre_heap_close(heap);
}
