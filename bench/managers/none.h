/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * none.h: no reclamation at all: each thread takes objects from fresh memory, one after another.
 * The lower bound of what managing memory can cost; not of what using it costs, as fresh memory is
 * always a miss. A run ends when its memory is used up. On the workload's threads.
 */
#ifndef BENCH_NONE_H
#define BENCH_NONE_H

#define MM_BY_HAND 0
#define MM_COUNTS 0
#define MM_ENDS 1

#include "managers/plain.h"

struct mm_arena {
	char *cursor, *limit;
};

/* More memory for the arena, room for bytes of it; NULL: all that a run may use is used. */
void *mm_more(struct mm_arena *arena, size_t bytes);

static inline void *mm_take(mm_thread m, size_t bytes)
{
	char *object = m->cursor;

	bytes = (bytes + 15) & ~(size_t)15;
	if ((size_t)(m->limit - object) < bytes)
		return mm_more(m, bytes);
	m->cursor = object + bytes;
	return object;
}

static inline void *mm_new(mm_thread m, const struct mm_shape *shape)
{
	return mm_take(m, shape->bytes); /* fresh memory is zero */
}

static inline void *mm_new_array(mm_thread m, const struct mm_shape *shape, size_t length)
{
	void *object = mm_take(m, mm_array_bytes(shape, length));

	if (object != NULL)
		memcpy((char *)object + shape->length, &length, sizeof(length));
	return object;
}

static inline void mm_free(mm_thread m, void *object)
{
	(void)m;
	(void)object;
}

#endif
