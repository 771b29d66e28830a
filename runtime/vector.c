/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vector.c: growing arrays of words, on memory that moves by pages. See vector.h.
 */
#include "vector.h"

#include <stdint.h>

#include "platform/memory.h"
#include "twin.h"

/* Items that an emptied vector keeps. Few in the simulation, so that lists grow and move there. */
#define VECTOR_KEEP GYRE_IF_SIM((size_t)16, (size_t)1 << 16)

static bool resize(struct gyre__vector *vector, size_t room)
{
	void *items;

	if (room > SIZE_MAX / sizeof(void *))
		return false;
	items = gyre__resize(vector->items, vector->room * sizeof(void *), room * sizeof(void *));
	if (items == NULL)
		return false;
	vector->items = items;
	vector->room = room;
	return true;
}

bool gyre__vector_grow(struct gyre__vector *vector)
{
	return resize(vector, vector->room == 0 ? VECTOR_KEEP : vector->room * 2);
}

bool gyre__vector_reserve(struct gyre__vector *vector, size_t count)
{
	while (vector->room < count)
		if (!gyre__vector_grow(vector))
			return false;
	return true;
}

void gyre__vector_reset(struct gyre__vector *vector)
{
	vector->count = 0;
	if (vector->room > VECTOR_KEEP)
		resize(vector, VECTOR_KEEP);
}

void gyre__vector_destroy(struct gyre__vector *vector)
{
	gyre__resize(vector->items, vector->room * sizeof(void *), 0);
	*vector = (struct gyre__vector){ 0 };
}
