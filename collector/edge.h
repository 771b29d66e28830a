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
#include "side.h"
#include "twin.h"
#include "type.h"

/* What a slot is taken to hold. In the engine recycler all slots are clean at all times. */
enum gyre__reading {
	/* What trial deletion may subtract: nothing, if the open epoch has written the slot. */
	GYRE_READ_CLEAN,
	/* What it may follow from what it has found live: the same. */
	GYRE_READ_LIVE,
	/* What the slot held at the end of the epoch that is being processed: what is counted. */
	GYRE_READ_VIEW,
	/* The same; and the slot is clean from now on, if the open epoch has not written it. */
	GYRE_READ_AND_CLEAN,
	/* What the view has, but a slot that the open epoch has written gives itself, marked by
	 * GYRE_LATER: to be looked up before the next boundary. */
	GYRE_READ_LATER
};

#define GYRE_LATER ((uintptr_t)1)

/* Reads slot into *value. False if the open epoch has written it, and what it held has to be looked
 * up. */
static inline bool gyre__read_now(struct gyre__collector *c, const gyre_ref *slot,
				  enum gyre__reading reading, void **value)
{
	/* Acquire pairs with the release of every write, as in gyre_load. */
	uintptr_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

	while (__builtin_expect((word & GYRE_TAG_MASK) != 0, 0)) {
		if ((reading == GYRE_READ_CLEAN && !GYRE_TWIN(open_subtracted)) ||
		    (reading == GYRE_READ_LIVE && !GYRE_TWIN(open_blackens))) {
			*value = NULL;
			return true;
		}
		if (reading == GYRE_READ_CLEAN || reading == GYRE_READ_LIVE)
			break;
		if ((word & GYRE_TAG_MASK) == c->tagged.open) {
			if (reading != GYRE_READ_LATER)
				return false;
			if (GYRE_TWIN(captured_now))
				break;
			*value = (void *)((uintptr_t)slot | GYRE_LATER);
			return true;
		}
		if (GYRE_TWIN(cleaned_by_store) && reading == GYRE_READ_AND_CLEAN) {
			word &= ~GYRE_TAG_MASK;
			atomic_store_explicit(&((gyre_ref *)slot)->word, word,
					      memory_order_release);
			break;
		}
		/* Nothing is published by taking the tag away, and what was published with the
		 * value goes on being so, as an exchange continues a release. Acquire because a
		 * value that is met instead is looked into. */
		if (reading != GYRE_READ_AND_CLEAN ||
		    atomic_compare_exchange_weak_explicit(
			    &((gyre_ref *)slot)->word, &word, word & ~GYRE_TAG_MASK,
			    memory_order_acquire, memory_order_acquire))
			break;
	}
	*value = (void *)(word & ~GYRE_TAG_MASK);
	return true;
}

static inline void *gyre__read(struct gyre__collector *c, const gyre_ref *slot,
			       enum gyre__reading reading)
{
	void *value;

	if (__builtin_expect(gyre__read_now(c, slot, reading, &value), 1))
		return value;
	return gyre__view_look_up(c, slot);
}

/* Visits the slots of an object whose type has a trace callback. */
void gyre__each_edge_traced(struct gyre__collector *c, const void *object,
			    enum gyre__reading reading, void (*visit)(void *arg, void *child),
			    void *arg);

/* Calls visit(arg, child) for each slot of object that is not NULL, by reading. */
static inline __attribute__((always_inline)) void
gyre__each_read(struct gyre__collector *c, const void *object, enum gyre__reading reading,
		void (*visit)(void *arg, void *child), void *arg)
{
	const struct gyre__locator *locator = gyre__locator_of(object);
	const struct gyre_type *type = locator->type;
	const char *base = object, *at, *end;
	void *child;
	uint32_t i;

	/* An attachment was counted up by the journal of its maker, not by a look at its owner. */
	if (__builtin_expect(gyre__special(locator) & GYRE_SPECIAL_ATTACHED, 0) &&
	    reading != GYRE_READ_AND_CLEAN) {
		child = gyre__side_get(object, GYRE_SIDE_ATTACHMENT);
		if (child != NULL)
			visit(arg, child);
	}
	if (__builtin_expect(type->trace != NULL, 0)) {
		gyre__each_edge_traced(c, object, reading, visit, arg);
		return;
	}
	for (i = 0; i < type->offsets_count; i++) {
		child = gyre__read(c, (const gyre_ref *)(base + type->offsets[i]), reading);
		if (child != NULL)
			visit(arg, child);
	}
	if (type->element_count == 0)
		return;
	end = base + gyre__cell_bytes(gyre__slab_of(object)) - type->trailing_stride;
	for (at = base + type->trailing_offset; at <= end; at += type->trailing_stride) {
		for (i = 0; i < type->element_count; i++) {
			child = gyre__read(c, (const gyre_ref *)(at + type->element_offsets[i]),
					   reading);
			if (child != NULL)
				visit(arg, child);
		}
	}
}

/* The edges that trial deletion follows. */
static inline __attribute__((always_inline)) void
gyre__each_edge(struct gyre__collector *c, const void *object,
		void (*visit)(void *arg, void *child), void *arg)
{
	gyre__each_read(c, object, GYRE_READ_CLEAN, visit, arg);
}

/* The references that are counted. */
static inline __attribute__((always_inline)) void
gyre__each_reference(struct gyre__collector *c, const void *object,
		     void (*visit)(void *arg, void *child), void *arg)
{
	gyre__each_read(c, object, GYRE_READ_VIEW, visit, arg);
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
