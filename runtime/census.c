/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * census.c: visiting objects on the thread that asked for it, which runs all of this; what the
 * collector does for it is in collector/census.c.
 *
 * Invariant: an object that is being visited is pinned, by a batch that m holds; its pin ends by an
 * entry of m's journal after its visit, so it is counted as long as all that the visit has stored.
 * No safe point lies between the end of the last pin and the return.
 */
#include "census.h"

#include <gyre/inspect.h>
#include <stdlib.h>

#include "mutator.h"
#include "type.h"

/* What m holds is looked at, from the first on; false: no more is wanted. */
static bool visit_batch(struct gyre_mutator *m, struct gyre__batch *batch,
			gyre_visit_object_fn visit, void *arg)
{
	bool more = true;
	size_t i;

	batch->outer = m->visiting;
	m->visiting = batch;
	for (i = 0; i < batch->count && more; i++) {
		const struct gyre_keep *keeps = m->head.keeps;
		void *object = batch->objects[i];

		gyre__counter_add_shared(&m->heap->shared.census_visits, 1);
		more = visit(arg, m, object);
		gyre__returned(m, "a visitor", keeps);
		if (more) {
			gyre__unpin_up_to(m, batch, i + 1);
			continue;
		}
		/* It is unpinned last, so that it is valid after the call. */
		batch->objects[i] = batch->objects[batch->count - 1];
		batch->objects[batch->count - 1] = object;
	}
	gyre__unpin_up_to(m, batch, batch->count);
	m->visiting = batch->outer;
	gyre__visit_end(m, batch);
	return more;
}

static enum gyre_status run(struct gyre_mutator *m, struct gyre__census *census,
			    gyre_visit_object_fn visit, void *arg)
{
	bool more = true;

	census->batch = gyre__batch_make(GYRE_CENSUS_BATCH);
	if (census->batch == NULL)
		return GYRE_NO_MEMORY;
	while (more && !census->ended) {
		gyre__errand_for(m, gyre__census_take, census);
		if (census->batch->count > 0)
			more = visit_batch(m, census->batch, visit, arg);
	}
	free(census->batch);
	return GYRE_OK;
}

enum gyre_status gyre_census(struct gyre_mutator *m, const struct gyre_type *type,
			     gyre_visit_object_fn visit, void *arg)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_census");
	struct gyre__census census = { .type = type };

	if (status != GYRE_OK)
		return status;
	if (visit == NULL || (type != NULL && type->heap != m->heap))
		return GYRE_INVALID;
	return run(m, &census, visit, arg);
}

enum gyre_status gyre_referrers(struct gyre_mutator *m, const void *object,
				gyre_visit_object_fn visit, void *arg)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_referrers");
	struct gyre__census census = { .target = object };

	if (status != GYRE_OK)
		return status;
	if (visit == NULL || object == NULL)
		return GYRE_INVALID;
	gyre__check_value(m, object, "gyre_referrers");
	return run(m, &census, visit, arg);
}

enum gyre_status gyre_count_of(struct gyre_mutator *m, const void *object, uint64_t *count)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_count_of");
	struct gyre__count_asked asked = { .object = object };

	if (status != GYRE_OK)
		return status;
	if (object == NULL || count == NULL)
		return GYRE_INVALID;
	gyre__check_value(m, object, "gyre_count_of");
	gyre__errand_for(m, gyre__count_tell, &asked);
	*count = asked.count;
	return GYRE_OK;
}

struct referents {
	struct gyre_mutator *m;
	const char *object;
	size_t bytes;
	gyre_visit_object_fn visit;
	void *arg;
	bool done;
};

static void visit_slot(void *arg, const gyre_ref *slot)
{
	struct referents *r = arg;
	uintptr_t offset = (uintptr_t)slot - (uintptr_t)r->object;
	void *value;

	/* What a trace callback names is not believed. */
	if (r->done || offset % _Alignof(gyre_ref) != 0 || offset > r->bytes - sizeof(gyre_ref))
		return;
	value = gyre_load(slot);
	if (value != NULL)
		r->done = !r->visit(r->arg, r->m, value);
}

static void visit_slots(struct referents *r, const struct gyre_type *type)
{
	const char *at, *end = r->object + r->bytes - type->trailing_stride;
	uint32_t i;

	for (i = 0; i < type->offsets_count; i++)
		visit_slot(r, (const gyre_ref *)(r->object + type->offsets[i]));
	if (type->element_count == 0)
		return;
	for (at = r->object + type->trailing_offset; at <= end && !r->done;
	     at += type->trailing_stride)
		for (i = 0; i < type->element_count; i++)
			visit_slot(r, (const gyre_ref *)(at + type->element_offsets[i]));
}

enum gyre_status gyre_referents(struct gyre_mutator *m, const void *object,
				gyre_visit_object_fn visit, void *arg)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_referents");
	struct referents r = { .m = m, .object = object, .visit = visit, .arg = arg };
	const struct gyre_type *type;

	if (status != GYRE_OK)
		return status;
	if (object == NULL || visit == NULL)
		return GYRE_INVALID;
	gyre__check_value(m, object, "gyre_referents");
	type = gyre_type_of(object);
	r.bytes = gyre_object_bytes(object);
	if (type->trace != NULL)
		type->trace(object, r.bytes, visit_slot, &r);
	else
		visit_slots(&r, type);
	return GYRE_OK;
}
