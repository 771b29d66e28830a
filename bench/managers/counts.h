/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counts.h: atomic reference counts, as C programs keep them: a count in front of each object,
 * changed with every reference that is written, and cycles cut by hand. On the workload's threads.
 *
 * mm_load does not count, so a thread must know by other means (a lock, a reference of its own)
 * that what it loads stays: counts alone do not make a load beside a racing store safe.
 */
#ifndef BENCH_COUNTS_H
#define BENCH_COUNTS_H

#define MM_BY_HAND 0
#define MM_COUNTS 1
#define MM_ENDS 0

/* The count; the shape's number above it. Of a dead object that waits to be freed: the next one. */
struct mm_head {
	_Atomic(uint64_t) word;
};

#define MM_HEADER struct mm_head mm_head;
#define MM_SHAPE_SHIFT 48

typedef struct mm_arena *mm_thread;
typedef _Atomic(void *) mm_slot;
struct mm_frame {
	void **values;
};
struct mm_root {
	void *held;
};
struct mm_cell;

extern const struct mm_shape *mm_shapes[MM_SHAPES_MAX];

bool mm_know(const struct mm_shape *shape);
/* The count of object is 0: gives up what it refers to, and frees it. Does not recurse. */
void mm_die(struct mm_head *object);

static inline struct mm_head *mm_head_of(const void *object)
{
	return (struct mm_head *)(uintptr_t)object;
}

static inline void mm_count_up(const void *object)
{
	/* Relaxed: who counts up holds a reference already. */
	if (object != NULL)
		atomic_fetch_add_explicit(&mm_head_of(object)->word, 1, memory_order_relaxed);
}

static inline void mm_release(mm_thread m, void *object)
{
	uint64_t word;

	(void)m;
	if (object == NULL)
		return;
	/* Acquire and release: all that others did with the object comes before its end. */
	word = atomic_fetch_sub_explicit(&mm_head_of(object)->word, 1, memory_order_acq_rel);
	if ((uint32_t)word == 1)
		mm_die(object);
}

static inline __attribute__((always_inline)) void *mm_born(void *object,
							   const struct mm_shape *shape)
{
	if (object == NULL)
		return NULL;
	atomic_init(&mm_head_of(object)->word, (uint64_t)shape->id << MM_SHAPE_SHIFT | 1);
	for (uint32_t i = 0; i < shape->refs_count; i++)
		atomic_init((mm_slot *)((char *)object + shape->refs[i]), NULL);
	return object;
}

static inline void *mm_new(mm_thread m, const struct mm_shape *shape)
{
	(void)m;
	return mm_born(malloc(shape->bytes), shape);
}

static inline void *mm_new_array(mm_thread m, const struct mm_shape *shape, size_t length)
{
	void *object = malloc(shape->trailing + length * sizeof(mm_slot));

	(void)m;
	if (mm_born(object, shape) == NULL)
		return NULL;
	memset((char *)object + shape->trailing, 0, length * sizeof(mm_slot));
	memcpy((char *)object + shape->length, &length, sizeof(length));
	return object;
}

static inline bool mm_init(mm_thread m, mm_slot *slot, const void *object)
{
	(void)m;
	mm_count_up(object);
	atomic_store_explicit(slot, (void *)(uintptr_t)object, memory_order_relaxed);
	return true;
}

static inline bool mm_store(mm_thread m, mm_slot *slot, const void *object)
{
	mm_count_up(object);
	mm_release(m, atomic_exchange_explicit(slot, (void *)(uintptr_t)object,
					       memory_order_acq_rel));
	return true;
}

static inline void *mm_load(mm_thread m, const mm_slot *slot)
{
	(void)m;
	return atomic_load_explicit((mm_slot *)(uintptr_t)slot, memory_order_acquire);
}

static inline void mm_cut(mm_thread m, mm_slot *slot)
{
	(void)mm_store(m, slot, NULL);
}

static inline void mm_free(mm_thread m, void *object)
{
	(void)m;
	(void)object;
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

/* What is in a frame is a reference of the thread's own: it came from mm_new and is released. */
static inline void mm_frame_open(mm_thread m, struct mm_frame *frame, void **values, size_t count)
{
	(void)m;
	(void)count;
	frame->values = values;
}

static inline void mm_frame_close(mm_thread m, struct mm_frame *frame)
{
	(void)m;
	(void)frame;
}

static inline bool mm_root_open(mm_thread m, struct mm_root *root, const void *object)
{
	(void)m;
	mm_count_up(object);
	root->held = (void *)(uintptr_t)object;
	return true;
}

static inline void mm_root_close(mm_thread m, struct mm_root *root)
{
	mm_release(m, root->held);
}

static inline struct mm_cell *mm_weak_of(mm_thread m, const void *object)
{
	void **cell = malloc(sizeof(*cell));

	(void)m;
	if (cell != NULL)
		*cell = (void *)(uintptr_t)object;
	return (struct mm_cell *)cell;
}

/* As std::weak_ptr's lock: counted up unless it is 0. The caller releases it. */
static inline void *mm_weak_load(mm_thread m, const struct mm_cell *cell)
{
	void *object = __atomic_load_n((void *const *)cell, __ATOMIC_ACQUIRE);
	_Atomic(uint64_t) *word = &mm_head_of(object)->word;
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	(void)m;
	do {
		if ((uint32_t)seen == 0)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(word, &seen, seen + 1,
							memory_order_acquire,
							memory_order_relaxed));
	return object;
}

static inline void mm_weak_free(mm_thread m, struct mm_cell *cell)
{
	(void)m;
	free(cell);
}

#endif
