/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.c: the calls that write slots, as far as they are the same whatever the engine. Runs on
 * mutator threads.
 */
#include <gyre/slot.h>

#include "engine.h"
#include "mutator.h"

enum gyre_status gyre_store_slow(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	uintptr_t old;

	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_store");
	gyre__check_value(m, value, "gyre_store");
	return m->heap->engine->exchange(m, slot, (uintptr_t)value, &old);
}

enum gyre_status gyre_store_exclusive_slow(struct gyre_mutator *m, gyre_ref *slot,
					   const void *value)
{
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_store_exclusive");
	gyre__check_value(m, value, "gyre_store_exclusive");
	return m->heap->engine->put(m, slot, (uintptr_t)value);
}

enum gyre_status gyre_init_slow(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_init");
	gyre__check_value(m, value, "gyre_init");
#if GYRE_CHECKED
	if (gyre_load(slot) != NULL)
		gyre__misuse("gyre_init: the slot at %p is not NULL", (void *)slot);
#endif
	return m->heap->engine->put(m, slot, (uintptr_t)value);
}

enum gyre_status gyre_exchange(struct gyre_mutator *m, gyre_ref *slot, const void *value,
			       void **old)
{
	enum gyre_status status;
	uintptr_t before;

	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_exchange");
	gyre__check_value(m, value, "gyre_exchange");
	if (old == NULL)
		return GYRE_INVALID;
	status = m->heap->engine->exchange(m, slot, (uintptr_t)value, &before);
	if (status == GYRE_OK)
		*old = (void *)before;
	return status;
}

enum gyre_status gyre_compare_exchange(struct gyre_mutator *m, gyre_ref *slot, void **expected,
				       const void *value)
{
	enum gyre_status status;
	uintptr_t before;

	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_compare_exchange");
	gyre__check_value(m, value, "gyre_compare_exchange");
	if (expected == NULL)
		return GYRE_INVALID;
	before = (uintptr_t)*expected;
	status = m->heap->engine->compare_exchange(m, slot, &before, (uintptr_t)value);
	*expected = (void *)before;
	return status;
}

/* So many that their entries cannot be counted. */
static bool too_many(size_t count)
{
	return count > SIZE_MAX / (4 * sizeof(gyre_ref));
}

/* All at once, so that a call that fails has stored nothing. */
static bool reserve(struct gyre_mutator *m, size_t writes)
{
	return gyre__spare_reserve(m, m->heap->engine->needs(m, writes));
}

static void write_reserved(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value)
{
	enum gyre_status status;
	uintptr_t old;

	status = m->heap->engine->exchange(m, slot, value, &old);
	GYRE_ASSERT(status == GYRE_OK);
	(void)status;
}

enum gyre_status gyre_array_copy(struct gyre_mutator *m, gyre_ref *target, const gyre_ref *source,
				 size_t count)
{
	size_t i;

	if (too_many(count) || (count > 0 && (!target || !source)))
		return GYRE_INVALID;
	if (count == 0)
		return GYRE_OK;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_array_copy");
	if (!reserve(m, count))
		return gyre__refuse(m);
	for (i = 0; i < count; i++) {
		/* Away from the overlap, as memmove does. */
		size_t at = target > source ? count - 1 - i : i;

		write_reserved(m, &target[at], (uintptr_t)gyre_load(&source[at]));
	}
	return GYRE_OK;
}

enum gyre_status gyre_array_fill(struct gyre_mutator *m, gyre_ref *slots, size_t count,
				 const void *value)
{
	size_t i;

	if (too_many(count) || (count > 0 && !slots))
		return GYRE_INVALID;
	if (count == 0)
		return GYRE_OK;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_array_fill");
	gyre__check_value(m, value, "gyre_array_fill");
	if (!reserve(m, count))
		return gyre__refuse(m);
	for (i = 0; i < count; i++)
		write_reserved(m, &slots[i], (uintptr_t)value);
	return GYRE_OK;
}
