/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alloc.c: new objects. Runs on mutator threads; sealing also on the collector, for a claimed
 * mutator.
 *
 * A mutator owns one slab for each class that it allocates from and takes cells in address order
 * over runs of vacant ones, zeroed about 2 KiB ahead so that they are in cache when they are handed
 * out, with slots that have the tag of the epoch (engine tagged). Newborns are not journalled one
 * by one: at the boundary each bin hands over where its newborns of the epoch lie, as (first cell,
 * number).
 *
 * Invariants: every object handed out lies in a run that has been, or will be, handed over; room
 * for that is promised before the first cell of a run is handed out, so handing over cannot fail.
 */
#include <gyre/mutator.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "mutator.h"
#include "poison.h"
#include "platform/tsan.h"
#include "pressure.h"
#include "profile.h"
#include "twin.h"
#include "type.h"

#define ZERO_AHEAD 2048
/* Bytes of newborns that are added to the pressure at once: all threads share that word. */
#define TOLD_AT_ONCE ((size_t)16 << 10)
/* Slabs given back at one boundary: each takes the slabs' lock. */
#define RELINQUISHED_AT_ONCE 32
#define PAIRS_IN_CHUNK (GYRE_CHUNK_ENTRIES / 2)

static bool promise(struct gyre_mutator *m)
{
	while (m->births_room < m->births_promised + 1) {
		struct gyre__chunk *chunk = gyre__chunk_take(m);

		if (chunk == NULL)
			return false;
		chunk->kind = GYRE_CHUNK_BIRTHS;
		chunk->next = m->births_spare;
		m->births_spare = chunk;
		m->births_room += PAIRS_IN_CHUNK;
	}
	m->births_promised++;
	return true;
}

/* Hands count newborns over that begin at first; the room was promised. */
static void hand_over(struct gyre_mutator *m, const void *first, size_t count)
{
	struct gyre__chunk *chunk = m->births;

	if (chunk == NULL || chunk->count == 2 * PAIRS_IN_CHUNK) {
		chunk = m->births_spare;
		m->births_spare = chunk->next;
		chunk->next = m->births;
		m->births = chunk;
	}
	chunk->entries[chunk->count++] = (uintptr_t)first;
	chunk->entries[chunk->count++] = count;
	m->births_room--;
}

static void hand_over_run(struct gyre_mutator *m, struct gyre__bin *bin)
{
	size_t bytes = (size_t)(bin->bump->cursor - bin->run_start);

	if (bytes > 0)
		hand_over(m, bin->run_start, bytes / bin->cell_bytes);
	m->handed += bytes;
	if (m->handed >= TOLD_AT_ONCE) {
		gyre__pressure_add(m, m->handed);
		m->handed = 0;
	}
	bin->run_start = bin->bump->cursor;
	m->births_promised--;
}

/* Gives what is left of the open run back to the slab. */
static void return_run(struct gyre__bin *bin)
{
	struct gyre__slab *slab = bin->slab;
	size_t bytes = (size_t)(bin->run_end - bin->bump->cursor);
	uint32_t from, count = (uint32_t)(bytes / bin->cell_bytes);

	if (count == 0)
		return;
	GYRE_ASAN_POISON(bin->bump->cursor, bytes);
	from = gyre__cell_index(slab, bin->bump->cursor);
	gyre__bits_set(gyre__vacant(slab), from, from + count);
	slab->vacant_count += count;
}

static void refill_poison(struct gyre_heap *heap, struct gyre__bin *bin)
{
	if (heap->options.flags & GYRE_POISON && bin->ready > bin->bump->cursor) {
		GYRE_ASAN_UNPOISON(bin->bump->cursor, (size_t)(bin->ready - bin->bump->cursor));
		gyre__poison_fill(bin->bump->cursor, (size_t)(bin->ready - bin->bump->cursor));
	}
}

/* The bin is in no list any more, and its newborns have been handed over. */
static void relinquish(struct gyre_mutator *m, struct gyre__bin *bin)
{
	if (bin->slab != NULL) {
		refill_poison(m->heap, bin);
		/* The cells zeroed ahead are not all that is vacant. */
		bin->slab->dirty = 1;
		return_run(bin);
		gyre__slab_relinquish(m->heap, bin->slab);
	}
	*bin->bump = (struct gyre_bump){ 0 };
	*bin = (struct gyre__bin){ .bump = bin->bump, .cell_bytes = bin->cell_bytes };
}

/* Cells with this epoch's tags are not for the next one. */
static void unready(struct gyre_mutator *m, struct gyre__bin *bin)
{
	if (m->heap->options.flags & GYRE_POISON) {
		refill_poison(m->heap, bin);
		if (bin->slab != NULL)
			bin->slab->dirty = 1;
	}
	if (bin->ready > bin->bump->cursor)
		GYRE_ASAN_POISON(bin->bump->cursor, (size_t)(bin->ready - bin->bump->cursor));
	bin->ready = bin->bump->cursor;
}

/* So a thread of many types that it seldom uses does not keep a slab of each. */
void gyre__bins_relinquish_idle(struct gyre_mutator *m)
{
	struct gyre__bin **at = &m->held, *bin;
	unsigned n = 0;

	while ((bin = *at) != NULL && n < RELINQUISHED_AT_ONCE) {
		if (bin->is_born) {
			at = &bin->next_held;
			continue;
		}
		*at = bin->next_held;
		relinquish(m, bin);
		n++;
	}
}

/* The next allocation takes the slow path. What was drawn for it is forgotten, whatever it was: to
 * look at it and draw once more would be two chances for one object. */
static void stop_run(struct gyre__bin *bin)
{
	bin->bump->limit = bin->bump->cursor;
	bin->sample_at = NULL;
}

void gyre__births_seal(struct gyre_mutator *m)
{
	struct gyre__bin *bin;

	gyre__bins_relinquish_idle(m);
	gyre__sampling_turn(m);
	for (bin = m->born; bin != NULL; bin = bin->next_born) {
		hand_over_run(m, bin);
		if (m->tag != 0 && !GYRE_TWIN(not_retagged))
			unready(m, bin);
		bin->is_born = false;
		/* The first allocation of the next epoch takes the slow path and is noticed. */
		stop_run(bin);
	}
	m->born = NULL;
	GYRE_ASSERT(m->births_promised == 0);
	/* What was left in the chunk that now goes to the collector is room no more. */
	if (m->births != NULL)
		m->births_room -= PAIRS_IN_CHUNK - m->births->count / 2;
}

void gyre__bins_relinquish(struct gyre_mutator *m)
{
	struct gyre__bin *bin;

	GYRE_ASSERT(m->born == NULL);
	while ((bin = m->held) != NULL) {
		m->held = bin->next_held;
		relinquish(m, bin);
	}
}

void gyre__bins_destroy(struct gyre_mutator *m)
{
	uint32_t i;

	for (i = 0; i < m->bins_count; i++)
		free(m->bins[i].bins);
	free(m->bins);
	free(m->head.bumps);
	m->bins = NULL;
	m->head.bumps = NULL;
	m->bins_count = m->head.bumps_count = 0;
}

bool gyre__is_newborn_of(const struct gyre_mutator *m, const void *object)
{
	uint32_t id = gyre__locator_of(object)->type->head.id;
	const struct gyre__bin *bin;

	if (id >= m->bins_count || !m->bins[id].one_size)
		return false;
	bin = m->bins[id].bins;
	return (const char *)object >= bin->run_start && (const char *)object < bin->bump->cursor;
}

void gyre__bins_freeze(struct gyre_mutator *m)
{
	struct gyre__bin *bin;

	for (bin = m->held; bin != NULL; bin = bin->next_held)
		stop_run(bin);
}

/* Whether the objects of a type come from one bin, whose bump is in the head's table. */
static bool has_one_size(const struct gyre_type *type)
{
	return type->classes_count == 1;
}

/* Makes the tables of m long enough for a type's id; false without memory. */
static bool grow_tables(struct gyre_mutator *m, uint32_t id)
{
	uint32_t i, count = id + 1 + id / 2;
	struct gyre__bins *bins = realloc(m->bins, count * sizeof(*bins));
	struct gyre_bump *bumps;

	if (bins == NULL)
		return false;
	m->bins = bins;
	bumps = realloc(m->head.bumps, count * sizeof(*bumps));
	if (bumps == NULL)
		return false;
	m->head.bumps = bumps;
	for (i = 0; i < m->bins_count; i++)
		if (bins[i].bins != NULL && bins[i].one_size)
			bins[i].bins->bump = &bumps[i];
	for (; i < count; i++) {
		bins[i] = (struct gyre__bins){ 0 };
		bumps[i] = (struct gyre_bump){ 0 };
	}
	m->bins_count = count;
	/* Builds with checks look at every allocation; but simulation is to see the inline one. */
	m->head.bumps_count = GYRE_IF_SIM(0, GYRE_CHECKED) ? 0 : count;
	return true;
}

/* The bin of a class, made at its first use; NULL without memory. */
static struct gyre__bin *bin_of(struct gyre_mutator *m, const struct gyre_type *type,
				uint32_t class)
{
	struct gyre__bins *all;
	uint32_t i;

	if (type->head.id >= m->bins_count && !grow_tables(m, type->head.id))
		return NULL;
	all = &m->bins[type->head.id];
	if (all->bins == NULL) {
		all->bins = calloc(type->classes_count, sizeof(*all->bins));
		if (all->bins == NULL)
			return NULL;
		all->one_size = has_one_size(type);
		for (i = 0; i < type->classes_count; i++) {
			struct gyre__bin *bin = &all->bins[i];

			bin->bump = all->one_size ? &m->head.bumps[type->head.id] : &bin->own;
			bin->cell_bytes = type->classes[i].shape.cell_bytes;
		}
	}
	return &all->bins[class];
}

/* Takes the next run of vacant cells of the bin's slab; false if there is none. */
static bool take_run(struct gyre__bin *bin)
{
	struct gyre__slab *slab = bin->slab;
	uint64_t *vacant = gyre__vacant(slab);
	uint32_t cells = slab->shape.cells, to;
	uint32_t from = gyre__bits_next(vacant, bin->next_cell, cells, true);

	if (from == cells)
		return false;
	to = gyre__bits_next(vacant, from, cells, false);
	gyre__bits_clear(vacant, from, to);
	slab->vacant_count -= to - from;
	bin->next_cell = to;
	bin->bump->cursor = bin->run_start = bin->ready = bin->bump->limit =
		gyre__cell(slab, from);
	bin->run_end = bin->bump->cursor + (size_t)(to - from) * bin->cell_bytes;
	return true;
}

static void check_poison(struct gyre_mutator *m, const struct gyre__bin *bin, char *from, char *to)
{
	for (; from < to; from += bin->cell_bytes) {
		if (gyre__poison_intact(from, bin->cell_bytes))
			continue;
		/* rare: poison fault */
		gyre__counter_add_shared(&m->heap->shared.poison_faults, 1);
		gyre__log(m->heap, GYRE_LOG_ERROR,
			  "a freed object at %p (its cell is now of type %s) was written to",
			  (void *)from, bin->slab->type->name);
	}
}

/* A cell's slots are born with the tag of the epoch, so what is stored into them in it is not
 * journalled. The cell is vacant: there is no slot yet that anyone could look at. */
static void put_tags(const struct gyre__bin *bin, char *cell, uintptr_t tag)
{
	const struct gyre_type *type = bin->slab->type;
	char *at = cell + type->trailing_offset;
	uint32_t i;

	for (i = 0; i < type->offsets_count; i++)
		memcpy(cell + type->offsets[i], &tag, sizeof(tag));
	if (type->element_count == 0)
		return;
	/* All that fit into the cell, as the collector reads all. */
	for (; at + type->trailing_stride <= cell + bin->cell_bytes; at += type->trailing_stride)
		for (i = 0; i < type->element_count; i++)
			memcpy(at + type->element_offsets[i], &tag, sizeof(tag));
}

/* Makes cells from `from` on, bytes of them, what newborns are: the first, and the others after
 * it. */
static void fill(const struct gyre__bin *bin, char *from, size_t bytes, uintptr_t tag)
{
	size_t done = bin->cell_bytes;

	memset(from, 0, done);
	put_tags(bin, from, tag);
	for (; done < bytes; done *= 2)
		memcpy(from + done, from, done < bytes - done ? done : bytes - done);
}

/* Makes the next cells of the run ready to be handed out. */
static void make_ready(struct gyre_mutator *m, struct gyre__bin *bin)
{
	size_t left = (size_t)(bin->run_end - bin->ready);
	size_t bytes = ZERO_AHEAD / bin->cell_bytes * bin->cell_bytes;
	char *from = bin->ready;
	uintptr_t tag = gyre__born_clean(bin->slab->type) ? 0 : m->tag;

	if (!bin->slab->dirty && tag == 0)
		bytes = left; /* the system zeroed them */
	else if (bytes < bin->cell_bytes)
		bytes = bin->cell_bytes;
	if (bytes > left)
		bytes = left;
	GYRE_ASAN_UNPOISON(from, bytes);
	if (m->heap->options.flags & GYRE_POISON)
		check_poison(m, bin, from, from + bytes);
	if (tag != 0)
		fill(bin, from, bytes, tag);
	else if (bin->slab->dirty)
		memset(from, 0, bytes);
	bin->ready = bin->bump->limit = from + bytes;
}

/* Goes to the next run, of this slab or another; false at the limit or without memory. */
static bool next_run(struct gyre_mutator *m, const struct gyre_type *type, uint32_t class,
		     struct gyre__bin *bin)
{
	struct gyre__slab *slab;
	uint64_t start;

	if (bin->slab != NULL) {
		if (take_run(bin))
			return true;
		gyre__slab_relinquish(m->heap, bin->slab);
		bin->slab = NULL;
	}
	start = gyre__now_ns();
	slab = gyre__slab_take(m->heap, type, &type->classes[class]);
	if (slab != NULL) {
		if (!bin->is_held) {
			bin->is_held = true;
			bin->next_held = m->held;
			m->held = bin;
		}
		bin->slab = slab;
		bin->next_cell = 0;
		take_run(bin);
	}
	gyre__delay_record(&m->heap->shared, GYRE_DELAY_ALLOCATION, gyre__now_ns() - start);
	return slab != NULL;
}

static inline void *bump(struct gyre__bin *bin)
{
	char *object = bin->bump->cursor;

	if (__builtin_expect(object == bin->bump->limit, 0))
		return NULL;
	bin->bump->cursor = object + bin->cell_bytes;
	return object;
}

/* The run goes up to the next object that is to be sampled, if it is among those that are ready. */
static void aim(struct gyre_mutator *m, struct gyre__bin *bin)
{
	struct gyre_bump *bump = bin->bump;
	uint32_t cells = (uint32_t)((size_t)(bin->ready - bump->cursor) / bin->cell_bytes);
	uint32_t passed = gyre__sample_after(m, bin->cell_bytes, cells);

	bump->limit = bump->cursor + (size_t)passed * bin->cell_bytes;
	bin->sample_at = passed < cells ? bump->limit : NULL;
}

/* The next cell while allocations are sampled: the one that the run was to end at, or one for which
 * nothing has been drawn yet. */
static void *new_sampled(struct gyre_mutator *m, struct gyre__bin *bin, const void *from)
{
	char *object = bin->bump->cursor;
	bool due;

	if (object != bin->sample_at)
		aim(m, bin);
	due = object == bin->sample_at;
	bin->bump->cursor = object + bin->cell_bytes;
	if (due) {
		gyre__sample(m, object, from);
		aim(m, bin);
	}
	return object;
}

/* from: where the call of the host returns to. */
__attribute__((noinline)) static void *new_slow(struct gyre_mutator *m,
						const struct gyre_type *type, uint32_t class,
						const void *from)
{
	struct gyre__bin *bin;

	if (gyre__frozen(m->heap))
		return NULL;
	bin = bin_of(m, type, class);
	if (bin == NULL)
		return NULL;
	if (!bin->is_born) {
		/* The bin's first newborn of this epoch. */
		if (!promise(m))
			return NULL;
		bin->is_born = true;
		bin->next_born = m->born;
		m->born = bin;
	}
	if (bin->bump->cursor == bin->run_end) {
		/* A run is handed over, and the next one promised, before the next one is known. */
		hand_over_run(m, bin);
		if (!promise(m)) {
			m->births_promised++; /* the pair just used up is owed to nobody */
			return NULL;
		}
		if (!next_run(m, type, class, bin))
			return NULL;
	}
	if (bin->bump->cursor == bin->ready)
		make_ready(m, bin);
	/* It was less: since the boundary, or for a sample. */
	bin->bump->limit = bin->ready;
	if (__builtin_expect(m->sample_rate != 0, 0))
		return new_sampled(m, bin, from);
	return bump(bin);
}

static void *new_large(struct gyre_mutator *m, const struct gyre_type *type, size_t bytes,
		       const void *from)
{
	uint64_t start = gyre__now_ns();
	void *object;

	if (gyre__frozen(m->heap) || !promise(m))
		return NULL;
	m->births_promised--;
	object = gyre__large_new(m->heap, type, bytes);
	if (object != NULL) {
		hand_over(m, object, 1);
		gyre__pressure_add(m, bytes);
		if (m->sample_rate != 0 &&
		    gyre__sample_after(m, gyre__cell_bytes(gyre__slab_of(object)), 1) == 0)
			gyre__sample(m, object, from);
	}
	gyre__delay_record(&m->heap->shared, GYRE_DELAY_ALLOCATION, gyre__now_ns() - start);
	return object;
}

static inline void *new_in_class(struct gyre_mutator *m, const struct gyre_type *type,
				 uint32_t class, const void *from)
{
	void *object = NULL;

	if (__builtin_expect(type->head.id < m->bins_count &&
				     m->bins[type->head.id].bins != NULL,
			     1))
		object = bump(&m->bins[type->head.id].bins[class]);
	return object != NULL ? object : new_slow(m, type, class, from);
}

static inline void *new_sized(struct gyre_mutator *m, const struct gyre_type *type, size_t bytes,
			      const void *from)
{
	if (bytes > GYRE_SLAB_OBJECT_MAX)
		return new_large(m, type, bytes, from);
	return new_in_class(m, type, gyre__size_class(bytes), from);
}

static void *new_array(struct gyre_mutator *m, const struct gyre_type *type, size_t length,
		       const void *from)
{
	size_t bytes;
	char *object;

	if (__builtin_mul_overflow(length, type->trailing_stride, &bytes) ||
	    __builtin_add_overflow(bytes, type->trailing_offset, &bytes))
		return NULL;
	if (bytes < type->object_bytes)
		bytes = type->object_bytes;
	object = new_sized(m, type, bytes, from);
	if (object != NULL && type->trailing_length_offset != GYRE_NO_LENGTH)
		*(size_t *)(object + type->trailing_length_offset) = length;
	return object;
}

static void *new_plain(struct gyre_mutator *m, const struct gyre_type *type, const void *from)
{
	if (has_one_size(type))
		return new_in_class(m, type, 0, from);
	if (type->trailing_stride != 0)
		return new_array(m, type, 0, from);
	return new_large(m, type, type->object_bytes, from);
}

void *gyre_new_slow(struct gyre_mutator *m, const struct gyre_type *type)
{
	gyre__check_mutator(m, "gyre_new");
	return new_plain(m, type, __builtin_return_address(0));
}

void *gyre_new_array(struct gyre_mutator *m, const struct gyre_type *type, size_t length)
{
	gyre__check_mutator(m, "gyre_new_array");
	if (type->trailing_stride == 0)
		return length == 0 ? new_plain(m, type, __builtin_return_address(0)) : NULL;
	return new_array(m, type, length, __builtin_return_address(0));
}
