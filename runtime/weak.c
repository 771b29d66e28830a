/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weak.c: weak cells: making, loading, notices; and attachments. Runs on mutator threads.
 *
 * Invariants: an object owns its weak cell and its attachment, each counted once for it from the
 * journal of its maker on. Making one also counts the object itself over the next boundary, so that
 * it is not judged before the collector sees that it is special; in the engine tagged that is also
 * what has a newborn looked at that nothing else reaches.
 */
#include "weak.h"

#include <stdlib.h>

#include "ends.h"
#include "engine.h"
#include "platform/yield.h"
#include "twin.h"
#include "type.h"

struct attachment {
	gyre_ref first;
};

static const struct gyre_type_desc weak_desc = { .size = sizeof(struct gyre_type_desc),
						 .name = "gyre.weak",
						 .object_bytes = sizeof(struct gyre__weak_cell),
						 .object_align = _Alignof(struct gyre__weak_cell) };
static const struct gyre_type_desc attachment_desc = {
	.size = sizeof(struct gyre_type_desc),
	.name = "gyre.attachment",
	.object_bytes = sizeof(struct attachment),
	.object_align = _Alignof(struct attachment),
	.refs = (const struct gyre_refs[]){ { offsetof(struct attachment, first), 1 } },
	.refs_count = 1,
};

/* A type of gyre's own, registered when it is first needed. NULL without memory. */
static const struct gyre_type *own_type(struct gyre_heap *heap,
					_Atomic(const struct gyre_type *) *place,
					const struct gyre_type_desc *desc)
{
	/* Acquire pairs with the release below. */
	const struct gyre_type *type = atomic_load_explicit(place, memory_order_acquire);

	if (type != NULL)
		return type;
	gyre__lock_take(&heap->ends.lock);
	type = atomic_load_explicit(place, memory_order_relaxed);
	if (type == NULL && gyre_type_register(heap, desc, &type) == GYRE_OK)
		atomic_store_explicit(place, type, memory_order_release);
	gyre__lock_drop(&heap->ends.lock);
	return type;
}

/* Makes made, which is new, what the entry of object says, if it says nothing yet; gives what it
 * says then. Room for the journal entries was reserved. */
static void *own(struct gyre_mutator *m, const void *object, gyre__side_entry *entry, void *made,
		 unsigned special)
{
	void *there = NULL;

	/* Relaxed: it matters to who judges the object, and until then it is counted. */
	atomic_fetch_or_explicit(&gyre__locator_of(object)->special, (uint8_t)special,
				 memory_order_relaxed);
	/* Release publishes what made holds; acquire if another thread was first. */
	if (!atomic_compare_exchange_strong_explicit(entry, &there, made, memory_order_acq_rel,
						     memory_order_acquire))
		return there; /* rare: two threads make a weak cell */
	if (!GYRE_TWIN(creation_uncounted))
		m->heap->engine->count_once(m, object);
	gyre__journal_add(m, (uintptr_t)made);
	return made;
}

/* The entry of object in its side table, with all that own() needs reserved. NULL without
 * memory. */
static gyre__side_entry *prepare(struct gyre_mutator *m, const void *object,
				 enum gyre__side_kind kind)
{
	gyre__side_entry *entry = gyre__side_make(object, kind);

	if (entry == NULL)
		return NULL;
	if (!gyre__spare_reserve(m, m->heap->engine->needs(m, 2))) {
		gyre__refuse(m);
		return NULL;
	}
	return entry;
}

static struct gyre_weak *make_cell(struct gyre_mutator *m, const void *object)
{
	const struct gyre_type *type = own_type(m->heap, &m->heap->ends.weak_type, &weak_desc);
	gyre__side_entry *entry = type == NULL ? NULL : prepare(m, object, GYRE_SIDE_WEAK);
	struct gyre__weak_cell *cell, *there;
	uintptr_t marks = m->heap->engine->logs_loads ? GYRE_WEAK_LOGGED : 0;

	if (entry == NULL)
		return NULL;
	cell = gyre_new(m, type);
	if (cell == NULL)
		return NULL;
	GYRE_MADE(cell, 0, object);
	/* Release pairs with the acquire of gyre_weak_load, should a race hand the cell on. */
	atomic_store_explicit(&cell->head.word, (uintptr_t)object | marks, memory_order_release);
	there = own(m, object, entry, cell, GYRE_SPECIAL_WEAK);
	/* Of two that are made at once one is nobody's. */
	if (there == cell)
		gyre__counter_add_shared(&m->heap->shared.weak_cells, 1);
	return &there->head;
}

struct gyre_weak *gyre_weak_of(struct gyre_mutator *m, const void *object)
{
	struct gyre__weak_cell *cell;

	if (m == NULL || object == NULL || gyre__frozen(m->heap))
		return NULL;
	gyre__check_mutator(m, "gyre_weak_of");
	gyre__check_value(m, object, "gyre_weak_of");
	cell = gyre__side_get(object, GYRE_SIDE_WEAK);
	return cell != NULL ? &cell->head : make_cell(m, object);
}

/* Notes that the cell was loaded in this epoch. */
static void touch(struct gyre_mutator *m, struct gyre__weak_cell *cell)
{
	/* Relaxed: only the owner writes its phase; and the collector reads `touch` after the
	 * boundary that ends the epoch. */
	uint32_t epoch = (uint32_t)atomic_load_explicit(&m->phase, memory_order_relaxed);

	/* Looked at first, so that threads that read the same cell share its line. */
	if (atomic_load_explicit(&cell->touch, memory_order_relaxed) != epoch &&
	    !gyre__frozen(m->heap) && !GYRE_TWIN(no_touch))
		atomic_store_explicit(&cell->touch, epoch, memory_order_relaxed);
}

/* Whether what m loads now is counted at the boundary after which the leader's group is judged, if
 * m has it still then: it has not done the last handshake of that one. */
static bool counts_still(const struct gyre_mutator *m, const struct gyre__weak_cell *leader)
{
	/* Relaxed: only the owner, or for it the collector, writes its phase; the stamp is ordered
	 * by the mark. */
	uint32_t phase = (uint32_t)atomic_load_explicit(&m->phase, memory_order_relaxed);
	uint32_t armed = atomic_load_explicit(&leader->touch, memory_order_relaxed);

	return phase - armed < m->heap->engine->handshakes;
}

void *gyre_weak_load_slow(struct gyre_mutator *m, const struct gyre_weak *weak)
{
	struct gyre__weak_cell *cell = (struct gyre__weak_cell *)weak, *leader;
	/* Acquire pairs with the release of the mark: the group, and the leader's state. */
	uintptr_t word = atomic_load_explicit(&cell->head.word, memory_order_acquire);
	void *object = (void *)(word & ~GYRE_WEAK_MARKS);
	uint32_t state;

	gyre__check_mutator(m, "gyre_weak_load");
	if (word & GYRE_WEAK_LOGGED)
		touch(m, cell);
	if (!(word & GYRE_WEAK_ARMED) || GYRE_TWIN(group_unasked))
		return object;
	/* Relaxed: ordered by the word. */
	leader = atomic_load_explicit(&cell->group, memory_order_relaxed);
	if (!(word & GYRE_WEAK_LOGGED) && counts_still(m, leader))
		return object;
	state = GYRE_GROUP_PENDING;
	/* Release and acquire pair with the collector's exchange: whoever comes second knows that
	 * the other came first. */
	if (atomic_compare_exchange_strong_explicit(&leader->state, &state, GYRE_GROUP_REVIVED,
						    memory_order_acq_rel, memory_order_acquire))
		return object; /* rare: weak load revives a set */
	return state == GYRE_GROUP_DEAD ? NULL : object;
}

/* In builds with checks: m may call, and the argument is a cell of its heap. */
static void check_cell(const struct gyre_mutator *m, const struct gyre_weak *weak, const char *call)
{
#if GYRE_CHECKED
	gyre__check_mutator(m, call);
	gyre__check_value(m, weak, call);
	if (gyre__locator_of(weak)->type !=
	    atomic_load_explicit(&m->heap->ends.weak_type, memory_order_relaxed))
		gyre__misuse("%s: %p is not a weak cell", call, (const void *)weak);
#else
	(void)m;
	(void)weak;
	(void)call;
#endif
}

static struct gyre__notice *notice_make(gyre_cleared_fn fn, void *arg, unsigned flags)
{
	struct gyre__notice *notice = calloc(1, sizeof(*notice));

	if (notice == NULL)
		return NULL;
	notice->fn = fn;
	notice->arg = arg;
	notice->registered.flags = flags;
	return notice;
}

enum gyre_status gyre_weak_notify(struct gyre_mutator *m, struct gyre_weak *weak,
				  gyre_cleared_fn fn, void *arg, unsigned flags, uint64_t *id)
{
	struct gyre__weak_cell *cell = (struct gyre__weak_cell *)weak;
	struct gyre__notice *notice;
	struct gyre_heap *heap;
	bool cleared;

	if (m == NULL || weak == NULL || fn == NULL ||
	    (flags & ~(unsigned)(GYRE_NOTICE_ALWAYS | GYRE_NOTICE_AT_CLOSE)) != 0)
		return GYRE_INVALID;
	heap = m->heap;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	check_cell(m, weak, "gyre_weak_notify");
	if (!gyre__finalizer_start(heap))
		return GYRE_NO_THREAD;
	notice = notice_make(fn, arg, flags);
	if (notice == NULL)
		return GYRE_NO_MEMORY;
	gyre__lock_take(&heap->ends.lock);
	/* The collector clears the word before it takes the notices. */
	cleared = gyre__weak_target(cell) == NULL;
	if (!cleared) {
		notice->registered.id = ++heap->ends.next_id;
		if (id != NULL)
			*id = notice->registered.id;
		notice->next = cell->notices;
		cell->notices = notice;
	}
	gyre__lock_drop(&heap->ends.lock);
	if (!cleared)
		return GYRE_OK;
	free(notice);
	return GYRE_CLEARED;
}

enum gyre_status gyre_weak_unnotify(struct gyre_mutator *m, struct gyre_weak *weak, uint64_t id)
{
	struct gyre__weak_cell *cell = (struct gyre__weak_cell *)weak;
	struct gyre__notice *found = NULL, **at;
	struct gyre_heap *heap;
	bool cleared;

	if (m == NULL || weak == NULL)
		return GYRE_INVALID;
	heap = m->heap;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	check_cell(m, weak, "gyre_weak_unnotify");
	gyre__lock_take(&heap->ends.lock);
	cleared = gyre__weak_target(cell) == NULL;
	if (!cleared) {
		at = &cell->notices;
		while (*at != NULL && (*at)->registered.id != id)
			at = &(*at)->next;
		found = *at;
		if (found != NULL)
			*at = found->next;
	}
	gyre__lock_drop(&heap->ends.lock);
	free(found);
	if (found != NULL)
		return GYRE_OK;
	return cleared ? GYRE_CLEARED : GYRE_INVALID;
}

/* An object with an attachment may be part of a cycle, whatever its slots say: the collector is
 * told of the first one in a slab, before the boundary over which own() counts the object. */
static bool note_attached(struct gyre_mutator *m, void *key)
{
	const struct gyre__locator *locator = gyre__locator_of(key);
	struct gyre__ends *ends = &m->heap->ends;
	bool noted;

	if (!locator->type->acyclic || gyre__special(locator) & GYRE_SPECIAL_ATTACHED)
		return true;
	gyre__lock_take(&ends->lock);
	noted = gyre__vector_push(&ends->attached, key);
	gyre__lock_drop(&ends->lock);
	return noted;
}

gyre_ref *gyre__attachment(struct gyre_mutator *m, void *key, bool make)
{
	struct attachment *there = gyre__side_get(key, GYRE_SIDE_ATTACHMENT);
	const struct gyre_type *type;
	gyre__side_entry *entry;

	if (there != NULL)
		return &there->first;
	if (!make)
		return NULL;
	type = own_type(m->heap, &m->heap->ends.attachment_type, &attachment_desc);
	entry = type == NULL ? NULL : prepare(m, key, GYRE_SIDE_ATTACHMENT);
	if (entry == NULL)
		return NULL;
	there = gyre_new(m, type);
	if (there == NULL)
		return NULL;
	GYRE_MADE(there, 1, key);
	if (!note_attached(m, key))
		return NULL;
	there = own(m, key, entry, there, GYRE_SPECIAL_ATTACHED);
	return &there->first;
}
