/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vector.h: growing arrays of words, for the collector's lists. Whoever owns one; no locks.
 *
 * Invariant: what is in a vector stays when it cannot grow.
 */
#ifndef GYRE_RUNTIME_VECTOR_H
#define GYRE_RUNTIME_VECTOR_H

#include <stdbool.h>
#include <stddef.h>

struct gyre__vector {
	void **items;
	size_t count;
	size_t room;
};

/* Makes room for at least one more item; false if the system has no memory. */
bool gyre__vector_grow(struct gyre__vector *vector);
/* Makes room for at least count items in all. */
bool gyre__vector_reserve(struct gyre__vector *vector, size_t count);
/* Empties it and gives memory beyond a modest size back. */
void gyre__vector_reset(struct gyre__vector *vector);
void gyre__vector_destroy(struct gyre__vector *vector);

static inline bool gyre__vector_push(struct gyre__vector *vector, void *item)
{
	if (__builtin_expect(vector->count == vector->room, 0) && !gyre__vector_grow(vector))
		return false;
	vector->items[vector->count++] = item;
	return true;
}

#endif
