/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edge.h: the references of an object, as the collector reads them while mutators run.
 *
 * Every slot that the object's cell has is read, also those of a trailing array beyond the length
 * that was asked for: they hold NULL for ever, and the cell's size cannot be tampered with. A
 * callback that names a slot outside its object is not believed.
 */
#ifndef GYRE_EDGE_H
#define GYRE_EDGE_H

#include <gyre/slot.h>

#include "collector.h"
#include "type.h"

/* Visits the slots of an object whose type has a trace callback. */
void gyre__each_edge_traced(struct gyre__collector *c, const void *object,
			    void (*visit)(void *arg, void *child), void *arg);

/* Calls visit(arg, child) for each slot of object that is not NULL. */
static inline __attribute__((always_inline)) void
gyre__each_edge(struct gyre__collector *c, const void *object,
		void (*visit)(void *arg, void *child), void *arg)
{
	const struct gyre_type *type = gyre__locator_of(object)->type;
	const char *base = object, *at, *end;
	void *child;
	uint32_t i;

	if (__builtin_expect(type->trace != NULL, 0)) {
		gyre__each_edge_traced(c, object, visit, arg);
		return;
	}
	for (i = 0; i < type->offsets_count; i++) {
		child = gyre_load((const gyre_ref *)(base + type->offsets[i]));
		if (child != NULL)
			visit(arg, child);
	}
	if (type->element_count == 0)
		return;
	end = base + gyre__cell_bytes(gyre__slab_of(object)) - type->trailing_stride;
	for (at = base + type->trailing_offset; at <= end; at += type->trailing_stride) {
		for (i = 0; i < type->element_count; i++) {
			child = gyre_load((const gyre_ref *)(at + type->element_offsets[i]));
			if (child != NULL)
				visit(arg, child);
		}
	}
}

/* The slots of an object, roughly: what looking into it costs. */
static inline size_t gyre__edge_cost(const void *object)
{
	const struct gyre_type *type = gyre__locator_of(object)->type;
	size_t bytes;

	if (type->trace == NULL && type->element_count == 0)
		return type->offsets_count;
	bytes = gyre__cell_bytes(gyre__slab_of(object));
	if (type->trace != NULL)
		return bytes / sizeof(gyre_ref);
	return type->offsets_count + bytes / type->trailing_stride * type->element_count;
}

#endif
