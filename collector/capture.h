/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h: a heap copied as fast as it can be read: what inspect/ makes an object graph of. The
 * door to the collector for that room.
 *
 * Filled in by the collector thread between two cycles (capture.c), then read on the thread that
 * asked. Nothing in it is looked up yet: a reference is an address. It stands for the heap as of
 * the boundary of the last cycle, which the counts speak of: in the engine tagged exactly; in the
 * engine recycler, whose slots do not tell what they held then, references are those of the moment
 * of the copy.
 *
 * Invariant: its objects are those that are counted at that boundary and not released; those that
 * were born in the open epoch are left out, unless the boundary refers to one already.
 */
#ifndef GYRE_COLLECTOR_CAPTURE_H
#define GYRE_COLLECTOR_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "to_collector.h"
#include "vector.h"

/* A slab with objects. Bit i of its bitmap: cell i holds one. Objects are numbered over all slabs,
 * in the order of slabs and cells. */
struct gyre__capture_slab {
	uintptr_t base;
	const struct gyre_type *type;
	uint64_t bytes; /* of each object */
	uint64_t first_object;
	size_t bitmap; /* where it begins in bitmaps */
	uint32_t cells, cell_bytes;
	uint32_t first, reciprocal; /* of the shape */
};

/* The word of an object: how often it is counted, and how many of the references are its own. */
#define GYRE_CAPTURE_STUCK ((uint64_t)1) /* its count says nothing any more */
#define GYRE_CAPTURE_COUNT_SHIFT 1
#define GYRE_CAPTURE_COUNT_MASK (((uint64_t)1 << 26) - 1)
#define GYRE_CAPTURE_DEGREE_SHIFT 27

enum gyre__captured_by {
	GYRE_CAPTURED_FRAME,   /* name: of the mutator */
	GYRE_CAPTURED_SNOOPED, /* the same; it was stored during the boundary */
	GYRE_CAPTURED_ROOT,    /* address: of the root, which holds it now */
	GYRE_CAPTURED_PIN,     /* held now for a finalizer that waits or runs */
	GYRE_CAPTURED_OWED,    /* a reference that was gone by then, but is counted still */
};

struct gyre__captured {
	uintptr_t object;
	uintptr_t address;
	uint32_t by;   /* enum gyre__captured_by */
	uint32_t name; /* into names; UINT32_MAX: none */
};

/* A root that has a name. */
struct gyre__captured_name {
	uintptr_t address;
	uint32_t name;
};

struct gyre__capture {
	bool exact;   /* slots are read as they were at the boundary */
	bool starved; /* no memory: what is here is not all */
	struct gyre__capture_slab *slabs;
	size_t slabs_count, slabs_room;
	struct gyre__vector bitmaps; /* words */
	struct gyre__vector objects; /* a word each */
	struct gyre__vector targets; /* references, in the order of the objects; some may be 0 */
	struct gyre__vector sites;   /* pairs: number of the object, site; where they are known */
	struct gyre__captured *held;
	size_t held_count, held_room;
	char (*names)[32];
	size_t names_count, names_room;
	struct gyre__captured_name *named; /* by address */
	size_t named_count, named_room;
	uint64_t took_ns; /* from the end of the cycle on */
};

/* Copies the heap of m's, which is parked, after a boundary that begins after the call. False
 * without memory. */
bool gyre__capture(struct gyre_heap *heap, struct gyre__capture *capture);
/* The number of the name of a root, or UINT32_MAX. */
uint32_t gyre__captured_name(const struct gyre__capture *capture, uintptr_t root);
void gyre__capture_destroy(struct gyre__capture *capture);

#endif
