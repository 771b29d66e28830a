/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc.h: memory by hand, by the allocator that the program is linked with: the workload frees
 * each object when it knows it dead. On the workload's threads.
 */
#ifndef BENCH_MALLOC_H
#define BENCH_MALLOC_H

#define MM_BY_HAND 1
#define MM_COUNTS 0
#define MM_ENDS 0

#include "managers/plain.h"

static inline void *mm_new(mm_thread m, const struct mm_shape *shape)
{
	(void)m;
	return mm_plain_born(malloc(shape->bytes), shape);
}

static inline void *mm_new_array(mm_thread m, const struct mm_shape *shape, size_t length)
{
	(void)m;
	return mm_plain_born_array(malloc(mm_array_bytes(shape, length)), shape, length);
}

static inline void mm_free(mm_thread m, void *object)
{
	(void)m;
	free(object);
}

#endif
