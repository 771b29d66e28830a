/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plain.h: what managers without barriers share: references are pointers, written and read by plain
 * moves (release and acquire, which cost nothing more here and make a publication sound). On the
 * workload's threads.
 */
#ifndef BENCH_PLAIN_H
#define BENCH_PLAIN_H

#define MM_HEADER

typedef struct mm_arena *mm_thread;
typedef _Atomic(void *) mm_slot;
struct mm_frame {
	void **values;
	size_t count;
};
struct mm_root {
	void **held;
};
struct mm_cell;

static inline bool mm_know(const struct mm_shape *shape)
{
	(void)shape;
	return true;
}

static inline mm_slot *mm_slot_at(void *object, size_t offset)
{
	return (mm_slot *)((char *)object + offset);
}

static inline size_t mm_array_bytes(const struct mm_shape *shape, size_t length)
{
	return shape->trailing + length * sizeof(mm_slot);
}

/* The slots of a new object are made NULL. shape is a constant, so this is one move for each. */
static inline __attribute__((always_inline)) void *mm_plain_born(void *object,
								 const struct mm_shape *shape)
{
	if (object == NULL)
		return NULL;
	for (uint32_t i = 0; i < shape->refs_count; i++)
		atomic_init(mm_slot_at(object, shape->refs[i]), NULL);
	return object;
}

static inline void *mm_plain_born_array(void *object, const struct mm_shape *shape, size_t length)
{
	if (mm_plain_born(object, shape) == NULL)
		return NULL;
	memset((char *)object + shape->trailing, 0, length * sizeof(mm_slot));
	memcpy((char *)object + shape->length, &length, sizeof(length));
	return object;
}

static inline bool mm_init(mm_thread m, mm_slot *slot, const void *object)
{
	(void)m;
	atomic_store_explicit(slot, (void *)(uintptr_t)object, memory_order_relaxed);
	return true;
}

static inline bool mm_store(mm_thread m, mm_slot *slot, const void *object)
{
	(void)m;
	/* Release pairs with the acquire of mm_load: what the object holds. */
	atomic_store_explicit(slot, (void *)(uintptr_t)object, memory_order_release);
	return true;
}

static inline void *mm_load(mm_thread m, const mm_slot *slot)
{
	(void)m;
	/* Acquire pairs with the release of mm_store. */
	return atomic_load_explicit((mm_slot *)(uintptr_t)slot, memory_order_acquire);
}

static inline void mm_release(mm_thread m, void *object)
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
	(void)m;
}

static inline void mm_park(mm_thread m)
{
	(void)m;
}

static inline void mm_unpark(mm_thread m)
{
	(void)m;
}

#ifndef MM_OWN_ROOTS
static inline void mm_frame_open(mm_thread m, struct mm_frame *frame, void **values, size_t count)
{
	(void)m;
	frame->values = values;
	frame->count = count;
}

static inline void mm_frame_close(mm_thread m, struct mm_frame *frame)
{
	(void)m;
	(void)frame;
}

static inline bool mm_root_open(mm_thread m, struct mm_root *root, const void *object)
{
	(void)m;
	(void)object;
	root->held = NULL;
	return true;
}

static inline void mm_root_close(mm_thread m, struct mm_root *root)
{
	(void)m;
	(void)root;
}

/* There is nothing weak about a pointer: the cell is a place that holds one. It stays. */
static inline struct mm_cell *mm_weak_of(mm_thread m, const void *object)
{
	void **cell = malloc(sizeof(*cell));

	(void)m;
	if (cell != NULL)
		*cell = (void *)(uintptr_t)object;
	return (struct mm_cell *)cell;
}

static inline void *mm_weak_load(mm_thread m, const struct mm_cell *cell)
{
	(void)m;
	return __atomic_load_n((void *const *)cell, __ATOMIC_ACQUIRE);
}

static inline void mm_weak_free(mm_thread m, struct mm_cell *cell)
{
	(void)m;
	free(cell);
}
#endif

#endif
