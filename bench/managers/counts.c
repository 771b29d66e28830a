/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counts.c: the end of a counted object. On the workload's threads.
 *
 * Invariant: a dead object that still refers to others waits in a list that is linked through its
 * word, so a chain of any length is given up without recursion.
 */
#include "malloc.c"

const struct mm_shape *mm_shapes[MM_SHAPES_MAX];

bool mm_know(const struct mm_shape *shape)
{
	mm_shapes[shape->id] = shape;
	return true;
}

static const struct mm_shape *shape_of(struct mm_head *object)
{
	return mm_shapes[atomic_load_explicit(&object->word, memory_order_relaxed) >>
			 MM_SHAPE_SHIFT];
}

#define ADDRESS_MASK (((uint64_t)1 << MM_SHAPE_SHIFT) - 1)

/* Puts object, which is dead, before next. Relaxed: nobody else has it. */
static struct mm_head *queue(struct mm_head *object, struct mm_head *next)
{
	uint64_t word = atomic_load_explicit(&object->word, memory_order_relaxed);

	atomic_store_explicit(&object->word, (word & ~ADDRESS_MASK) | (uintptr_t)next,
			      memory_order_relaxed);
	return object;
}

/* Gives up one reference; what that ends goes to the list, or is freed if it refers to nothing. */
static struct mm_head *give_up(mm_slot *slot, struct mm_head *list)
{
	struct mm_head *child = atomic_load_explicit(slot, memory_order_relaxed);
	const struct mm_shape *shape;

	if (child == NULL ||
	    (uint32_t)atomic_fetch_sub_explicit(&child->word, 1, memory_order_acq_rel) != 1)
		return list;
	shape = shape_of(child);
	if (shape->refs_count > 0 || shape->trailing != 0)
		return queue(child, list);
	free(child);
	return list;
}

void mm_die(struct mm_head *object)
{
	struct mm_head *list = queue(object, NULL);

	while (list != NULL) {
		const struct mm_shape *shape;
		char *dead = (char *)list;
		size_t length = 0;

		shape = shape_of(list);
		list = (struct mm_head *)(uintptr_t)(
			atomic_load_explicit(&list->word, memory_order_relaxed) & ADDRESS_MASK);
		for (uint32_t i = 0; i < shape->refs_count; i++)
			list = give_up((mm_slot *)(dead + shape->refs[i]), list);
		if (shape->trailing != 0)
			memcpy(&length, dead + shape->length, sizeof(length));
		for (size_t i = 0; i < length; i++)
			list = give_up((mm_slot *)(dead + shape->trailing) + i, list);
		free(dead);
	}
}
