/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bdwgc.h: the collector of Boehm, Demers and Weiser, as it comes (thread-local allocation and
 * parallel marking as Debian builds it) or incremental (MM_INCREMENTAL). On the workload's threads.
 */
#ifndef BENCH_BDWGC_H
#define BENCH_BDWGC_H

#define GC_THREADS
#include <gc/gc.h>

#define MM_BY_HAND 0
#define MM_COUNTS 0
#define MM_ENDS 0
#define MM_OWN_ROOTS

#include "managers/plain.h"

static inline void *mm_new(mm_thread m, const struct mm_shape *shape)
{
	(void)m;
	return GC_MALLOC(shape->bytes); /* zeroed */
}

static inline void *mm_new_array(mm_thread m, const struct mm_shape *shape, size_t length)
{
	void *object = GC_MALLOC(mm_array_bytes(shape, length));

	(void)m;
	if (object != NULL)
		memcpy((char *)object + shape->length, &length, sizeof(length));
	return object;
}

static inline void mm_free(mm_thread m, void *object)
{
	(void)m;
	(void)object;
}

static inline void mm_frame_open(mm_thread m, struct mm_frame *frame, void **values, size_t count)
{
	(void)m;
	frame->values = values;
	frame->count = count;
	GC_add_roots(values, values + count);
}

static inline void mm_frame_close(mm_thread m, struct mm_frame *frame)
{
	(void)m;
	GC_remove_roots(frame->values, frame->values + frame->count);
}

static inline bool mm_root_open(mm_thread m, struct mm_root *root, const void *object)
{
	(void)m;
	root->held = GC_MALLOC_UNCOLLECTABLE(sizeof(*root->held));
	if (root->held == NULL)
		return false;
	*root->held = (void *)(uintptr_t)object;
	return true;
}

static inline void mm_root_close(mm_thread m, struct mm_root *root)
{
	(void)m;
	if (root->held != NULL)
		GC_FREE(root->held);
	root->held = NULL;
}

struct mm_cell *mm_weak_of(mm_thread m, const void *object);
void *mm_weak_reveal(void *cell);

/* As gc.h asks for it: under the allocation lock, so that it is not cleared between the look and
 * the reference. */
static inline void *mm_weak_load(mm_thread m, const struct mm_cell *cell)
{
	(void)m;
	return GC_call_with_alloc_lock(mm_weak_reveal, (void *)(uintptr_t)cell);
}

static inline void mm_weak_free(mm_thread m, struct mm_cell *cell)
{
	(void)m;
	(void)GC_unregister_disappearing_link((void **)cell);
	GC_FREE(cell);
}

#endif
