/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shapes.c: rings, and the counting of identities, for the modes of gyre-stress.
 *
 * A ring is built so that every node hangs on the first one as soon as it exists: whenever a safe
 * point comes, the two pointers that the caller keeps reach all that was made so far.
 */
#include "shapes.h"

#include <stdlib.h>

/* Nodes between two safe points of a long build: well below GYRE_STORES_RESERVED stores. */
#define NODES_PER_SAFEPOINT 32

static const struct gyre_type_desc node_desc =
	GYRE_TYPE(struct shape_node, GYRE_REFS(GYRE_REF(struct shape_node, next),
					       GYRE_REF(struct shape_node, previous),
					       GYRE_REF(struct shape_node, other)));

const struct gyre_type *shape_type(struct stress_run *run, const struct gyre_type_desc *desc)
{
	const struct gyre_type *type = NULL;

	if (!stress_ok(run, gyre_type_register(run->heap, desc, &type), "gyre_type_register"))
		return NULL;
	return type;
}

const struct gyre_type *shape_node_type(struct stress_run *run)
{
	return shape_type(run, &node_desc);
}

uint64_t shape_ring(struct stress_worker *w, const struct gyre_type *type, void *held[2],
		    uint64_t count, uint64_t identity, void **nodes)
{
	struct shape_node *first, *last, *node;
	uint64_t made;

	held[0] = held[1] = NULL;
	for (made = 0; made < count; made++) {
		node = stress_new(w, type, 0, identity + made);
		if (!node)
			break;
		if (nodes)
			nodes[made] = node;
		last = held[1];
		if (!last)
			held[0] = node;
		else if (!shape_init(w, last, &last->next, node) ||
			 !shape_init(w, node, &node->previous, last))
			return made;
		held[1] = node;
		if (made % NODES_PER_SAFEPOINT == NODES_PER_SAFEPOINT - 1)
			gyre_safepoint(w->m);
	}
	first = held[0];
	last = held[1];
	if (first && shape_init(w, last, &last->next, first))
		shape_init(w, first, &first->previous, last);
	held[1] = NULL;
	return made;
}

bool shape_ring_check(struct stress_worker *w, const void *first, uint64_t count, uint64_t identity)
{
	const struct shape_node *node = first, *next;
	uint64_t i;

	for (i = 0; i < count; i++) {
		if (!stress_check(w, node, identity + i))
			return false;
		next = gyre_load(&node->next);
		if (!next || gyre_load(&next->previous) != (const void *)node) {
			stress_fail(w->run, "ring of %llu: node %llu and the one after it disagree",
				    (unsigned long long)count, (unsigned long long)i);
			return false;
		}
		node = next;
	}
	if (count > 0 && (const void *)node != first) {
		stress_fail(w->run, "ring of %llu does not close", (unsigned long long)count);
		return false;
	}
	return true;
}

static int compare_values(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t shape_distinct(uint64_t *values, size_t count)
{
	uint64_t distinct = 0;
	size_t i;

	qsort(values, count, sizeof(*values), compare_values);
	for (i = 0; i < count; i++)
		if (values[i] != 0 && (i == 0 || values[i] != values[i - 1]))
			distinct++;
	return distinct;
}
