/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.h: a registered type, as the collector and the allocator read it.
 *
 * A type is written once, by gyre_type_register, and then read by everyone without a lock; only the
 * lists of partial slabs in its classes change, under the slabs' lock, `once`, under the registry's
 * lock, and `counted`, which is the collector's. It lives as long as its heap.
 */
#ifndef GYRE_RUNTIME_TYPE_H
#define GYRE_RUNTIME_TYPE_H

#include <gyre/type.h>

#include "counters.h"
#include "slab.h"

/* Figures of a type; written by the collector thread. */
struct gyre__type_counters {
	gyre__counter allocated, bytes_allocated, reclaimed, bytes_reclaimed, by_cycle;
};

/* Cells of one size for one type. */
struct gyre__class {
	struct gyre__shape shape;
	struct gyre__slab *partial;
};

struct gyre_type {
	struct gyre_type_head head;
	struct gyre_heap *heap;
	struct gyre_type *next; /* of the heap's list */
	char *name;
	const struct gyre_type_desc *once; /* gyre's own, of collections.h; or NULL */
	bool acyclic;
	bool declared_acyclic; /* by the user, not known from the layout */
	size_t object_bytes, object_align;
	/* Offsets of the slots of the fixed part, one each. */
	uint32_t *offsets;
	uint32_t offsets_count;
	/* The trailing array, and the offsets of slots within an element. */
	size_t trailing_offset, trailing_stride, trailing_length_offset;
	uint32_t *element_offsets;
	uint32_t element_count;
	gyre_trace_fn trace;
	gyre_finalize_fn finalize;
	/* One class for a fixed size (none if large), or one for each size class of arrays. */
	struct gyre__class *classes;
	uint32_t classes_count;
	struct gyre__type_counters *counted; /* lies behind the type */
};

#define GYRE_TYPES_MAX 65535u

/* Collector: adds to the figures of a type. */
static inline void gyre__type_allocated(const struct gyre_type *type, uint64_t count,
					uint64_t bytes)
{
	gyre__counter_add(&type->counted->allocated, count);
	gyre__counter_add(&type->counted->bytes_allocated, bytes);
}

static inline void gyre__type_reclaimed(const struct gyre_type *type, uint64_t count,
					uint64_t bytes)
{
	gyre__counter_add(&type->counted->reclaimed, count);
	gyre__counter_add(&type->counted->bytes_reclaimed, bytes);
}

/* The class for an array object of bytes, at most GYRE_SLAB_OBJECT_MAX. */
uint32_t gyre__size_class(size_t bytes);

/* Slots that only a callback knows are not tagged at birth; so what is stored into them in the
 * epoch of their birth is journalled, which is of no use and does no harm. */
static inline bool gyre__born_clean(const struct gyre_type *type)
{
	return type->trace != NULL || (type->offsets_count == 0 && type->element_count == 0);
}

/* Types that are registered. */
uint32_t gyre__types_count(struct gyre_heap *heap);
void gyre__types_destroy(struct gyre_heap *heap);

#endif
