/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gyre.h: gyre as a manager, with either engine (MM_NAME names it). On the workload's threads, but
 * for what managers/gyre.c has.
 */
#ifndef BENCH_GYRE_H
#define BENCH_GYRE_H

#include <gyre/gyre.h>

#define MM_BY_HAND 0
#define MM_COUNTS 0
#define MM_ENDS 0
#define MM_HEADER
#define MM_CELLS 1
#define MM_JOURNALS 1

typedef struct gyre_mutator *mm_thread;
typedef gyre_ref mm_slot;
struct mm_frame {
	struct gyre_keep keep;
};
struct mm_root {
	struct gyre_root root;
};
struct mm_cell;

extern const struct gyre_type *mm_types[MM_SHAPES_MAX];

bool mm_know(const struct mm_shape *shape);

static inline void *mm_new(mm_thread m, const struct mm_shape *shape)
{
	return gyre_new(m, mm_types[shape->id]);
}

static inline void *mm_new_array(mm_thread m, const struct mm_shape *shape, size_t length)
{
	return gyre_new_array(m, mm_types[shape->id], length);
}

static inline bool mm_init(mm_thread m, mm_slot *slot, const void *object)
{
	return gyre_init(m, slot, object) == GYRE_OK;
}

static inline bool mm_store(mm_thread m, mm_slot *slot, const void *object)
{
	return gyre_store(m, slot, object) == GYRE_OK;
}

static inline void *mm_load(mm_thread m, const mm_slot *slot)
{
	(void)m;
	return gyre_load(slot);
}

static inline void mm_release(mm_thread m, void *object)
{
	(void)m;
	(void)object;
}

static inline void mm_free(mm_thread m, void *object)
{
	(void)m;
	(void)object;
}

static inline void mm_cut(mm_thread m, mm_slot *slot)
{
	(void)m;
	(void)slot;
}

static inline void mm_safepoint(mm_thread m)
{
	gyre_safepoint(m);
}

static inline void mm_park(mm_thread m)
{
	gyre_park(m);
}

static inline void mm_unpark(mm_thread m)
{
	gyre_unpark(m);
}

static inline void mm_frame_open(mm_thread m, struct mm_frame *frame, void **values, size_t count)
{
	gyre_keep_open(m, &frame->keep, values, count);
}

static inline void mm_frame_close(mm_thread m, struct mm_frame *frame)
{
	(void)m;
	gyre_keep_close(&frame->keep);
}

static inline bool mm_root_open(mm_thread m, struct mm_root *root, const void *object)
{
	return gyre_root_init(m, &root->root, object) == GYRE_OK;
}

static inline void mm_root_close(mm_thread m, struct mm_root *root)
{
	/* Should it be refused, the figure of what is left shows it. */
	(void)gyre_root_drop(m, &root->root);
}

static inline struct mm_cell *mm_weak_of(mm_thread m, const void *object)
{
	return (struct mm_cell *)gyre_weak_of(m, object);
}

static inline void *mm_weak_load(mm_thread m, const struct mm_cell *cell)
{
	return gyre_weak_load(m, (const struct gyre_weak *)cell);
}

static inline void mm_weak_free(mm_thread m, struct mm_cell *cell)
{
	(void)m;
	(void)cell;
}

#endif
