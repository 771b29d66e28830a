/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shapes.h: what several modes of gyre-stress build alike: first writes of slots, and rings.
 *
 * Everything here runs on the thread of the worker that is given. A function that allocates or
 * stores may be a safe point (see stress.h), so it works on pointers that its caller keeps.
 */
#ifndef SHAPES_H
#define SHAPES_H

#include "stress.h"

/* The first of 2^48 identities of the worker with this index; none is 0, none another worker's. */
static inline uint64_t shape_identities(unsigned index)
{
	return ((uint64_t)index + 1) << 48 | 1;
}

/*
 * The first write of a slot of holder, which no other thread can see yet. May be a safe point,
 * during which holder and value are kept. false: the run has failed.
 */
static inline bool shape_init(struct stress_worker *w, const void *holder, gyre_ref *slot,
			      const void *value)
{
	if (__builtin_expect(gyre_init(w->m, slot, value) == GYRE_OK, 1))
		return true;
	return stress_store(w, holder, slot, value);
}

/* The same for a slot that the caller alone writes at this time: its own, or under a lock. */
static inline bool shape_store_exclusive(struct stress_worker *w, const void *holder,
					 gyre_ref *slot, const void *value)
{
	if (__builtin_expect(gyre_store_exclusive(w->m, slot, value) == GYRE_OK, 1))
		return true;
	return stress_store(w, holder, slot, value);
}

/* A node of a doubly linked ring, with one slot more for whoever builds something larger of it. */
struct shape_node {
	struct stress_head head;
	gyre_ref next, previous, other;
};

/* Registers a type; NULL: the run has failed. */
const struct gyre_type *shape_type(struct stress_run *run, const struct gyre_type_desc *desc);

/* Registers struct shape_node; NULL: the run has failed. */
const struct gyre_type *shape_node_type(struct stress_run *run);

/*
 * Makes a ring of count nodes with the identities identity, identity + 1, ... and returns how many
 * it made: fewer than count when the run was stopped; those are linked all the same. held is two
 * pointers of an open keep frame; held[0] is the first node afterwards and reaches the others.
 * nodes, if not NULL, gets the address of each.
 */
uint64_t shape_ring(struct stress_worker *w, const struct gyre_type *type, void *held[2],
		    uint64_t count, uint64_t identity, void **nodes);

/*
 * Visits all nodes of a ring that shape_ring made; false: something is broken, and the run has
 * failed. Not a safe point.
 */
bool shape_ring_check(struct stress_worker *w, const void *first, uint64_t count,
		      uint64_t identity);

/* The number of different values among count values, which it sorts; 0 stands for no value. */
uint64_t shape_distinct(uint64_t *values, size_t count);

#endif
