/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alloc.c: new objects. Runs on mutator threads; sealing also on the collector, for a claimed
 * mutator.
 *
 * A mutator owns one slab for each class that it allocates from and takes cells in address order
 * over runs of vacant ones, zeroed about 2 KiB ahead so that they are in cache when they are handed
 * out. Newborns are not journalled one by one: at the boundary each bin hands over where its
 * newborns of the epoch lie, as (first cell, number).
 *
 * Invariants: every object handed out lies in a run that has been, or will be, handed over; room
 * for that is promised before the first cell of a run is handed out, so handing over cannot fail.
 */
#include <gyre/mutator.h>
#include <stdlib.h>

#include "mutator.h"
#include "poison.h"
#include "platform/tsan.h"
#include "pressure.h"
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
	size_t bytes = (size_t)(bin->cursor - bin->run_start);

	if (bytes > 0)
		hand_over(m, bin->run_start, bytes / bin->cell_bytes);
	m->handed += bytes;
	if (m->handed >= TOLD_AT_ONCE) {
		gyre__pressure_add(m, m->handed);
		m->handed = 0;
	}
	bin->run_start = bin->cursor;
	m->births_promised--;
}

static void set_range(uint64_t *bitmap, uint32_t from, uint32_t to)
{
	while (from < to) {
		uint32_t end = (from / 64 + 1) * 64, bits = (end < to ? end : to) - from;

		bitmap[from / 64] |= (~(uint64_t)0 >> (64 - bits)) << from % 64;
		from += bits;
	}
}

/* Gives what is left of the open run back to the slab. */
static void return_run(struct gyre__bin *bin)
{
	struct gyre__slab *slab = bin->slab;
	uint32_t from, count = (uint32_t)((size_t)(bin->run_end - bin->cursor) / bin->cell_bytes);

	if (count == 0)
		return;
	GYRE_ASAN_POISON(bin->cursor, (size_t)(bin->run_end - bin->cursor));
	from = gyre__cell_index(slab, bin->cursor);
	set_range(gyre__vacant(slab), from, from + count);
	slab->vacant_count += count;
}

static void refill_poison(struct gyre_heap *heap, struct gyre__bin *bin)
{
	if (heap->options.flags & GYRE_POISON && bin->ready > bin->cursor) {
		GYRE_ASAN_UNPOISON(bin->cursor, (size_t)(bin->ready - bin->cursor));
		gyre__poison_fill(bin->cursor, (size_t)(bin->ready - bin->cursor));
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
	*bin = (struct gyre__bin){ .cell_bytes = bin->cell_bytes };
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

void gyre__births_seal(struct gyre_mutator *m)
{
	struct gyre__bin *bin;

	gyre__bins_relinquish_idle(m);
	for (bin = m->born; bin != NULL; bin = bin->next_born) {
		hand_over_run(m, bin);
		bin->is_born = false;
		/* The first allocation of the next epoch takes the slow path and is noticed. */
		bin->limit = bin->cursor;
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
	m->bins = NULL;
	m->bins_count = 0;
}

void gyre__bins_freeze(struct gyre_mutator *m)
{
	struct gyre__bin *bin;

	for (bin = m->held; bin != NULL; bin = bin->next_held)
		bin->limit = bin->cursor;
}

/* The bin of a class, made at its first use; NULL without memory. */
static struct gyre__bin *bin_of(struct gyre_mutator *m, const struct gyre_type *type,
				uint32_t class)
{
	uint32_t i;

	if (type->id >= m->bins_count) {
		uint32_t count = type->id + 1 + type->id / 2;
		struct gyre__bins *bins = realloc(m->bins, count * sizeof(*bins));

		if (bins == NULL)
			return NULL;
		for (i = m->bins_count; i < count; i++)
			bins[i].bins = NULL;
		m->bins = bins;
		m->bins_count = count;
	}
	if (m->bins[type->id].bins == NULL) {
		struct gyre__bin *bins = calloc(type->classes_count, sizeof(*bins));

		if (bins == NULL)
			return NULL;
		for (i = 0; i < type->classes_count; i++)
			bins[i].cell_bytes = type->classes[i].shape.cell_bytes;
		m->bins[type->id].bins = bins;
	}
	return &m->bins[type->id].bins[class];
}

/* Takes the next run of vacant cells of the bin's slab; false if there is none. */
static bool take_run(struct gyre__bin *bin)
{
	struct gyre__slab *slab = bin->slab;
	uint64_t *vacant = gyre__vacant(slab);
	uint32_t cells = slab->shape.cells, from = bin->next_cell, to;

	while (from < cells && !(vacant[from / 64] >> from % 64 & 1)) {
		uint64_t rest = vacant[from / 64] >> from % 64;

		from = rest == 0 ? (from / 64 + 1) * 64 : from + (uint32_t)__builtin_ctzll(rest);
	}
	if (from >= cells)
		return false;
	for (to = from; to < cells && vacant[to / 64] >> to % 64 & 1; to++)
		vacant[to / 64] &= ~((uint64_t)1 << to % 64);
	slab->vacant_count -= to - from;
	bin->next_cell = to;
	bin->cursor = bin->run_start = bin->ready = bin->limit = gyre__cell(slab, from);
	bin->run_end = bin->cursor + (size_t)(to - from) * bin->cell_bytes;
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

/* Makes the next cells of the run ready to be handed out. */
static void make_ready(struct gyre_mutator *m, struct gyre__bin *bin)
{
	size_t left = (size_t)(bin->run_end - bin->ready);
	size_t bytes = ZERO_AHEAD / bin->cell_bytes * bin->cell_bytes;
	char *from = bin->ready;

	if (!bin->slab->dirty)
		bytes = left; /* the system zeroed them */
	else if (bytes < bin->cell_bytes)
		bytes = bin->cell_bytes;
	if (bytes > left)
		bytes = left;
	GYRE_ASAN_UNPOISON(from, bytes);
	if (m->heap->options.flags & GYRE_POISON)
		check_poison(m, bin, from, from + bytes);
	if (bin->slab->dirty)
		memset(from, 0, bytes);
	bin->ready = bin->limit = from + bytes;
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
	char *object = bin->cursor;

	if (__builtin_expect((size_t)(bin->limit - object) < bin->cell_bytes, 0))
		return NULL;
	bin->cursor = object + bin->cell_bytes;
	return object;
}

__attribute__((noinline)) static void *new_slow(struct gyre_mutator *m,
						const struct gyre_type *type, uint32_t class)
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
		bin->limit = bin->ready;
	}
	if (bin->cursor == bin->run_end) {
		/* A run is handed over, and the next one promised, before the next one is known. */
		hand_over_run(m, bin);
		if (!promise(m)) {
			m->births_promised++; /* the pair just used up is owed to nobody */
			return NULL;
		}
		if (!next_run(m, type, class, bin))
			return NULL;
	}
	if (bin->cursor == bin->ready)
		make_ready(m, bin);
	return bump(bin);
}

static void *new_large(struct gyre_mutator *m, const struct gyre_type *type, size_t bytes)
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
	}
	gyre__delay_record(&m->heap->shared, GYRE_DELAY_ALLOCATION, gyre__now_ns() - start);
	return object;
}

static inline void *new_in_class(struct gyre_mutator *m, const struct gyre_type *type,
				 uint32_t class)
{
	void *object = NULL;

	if (__builtin_expect(type->id < m->bins_count && m->bins[type->id].bins != NULL, 1))
		object = bump(&m->bins[type->id].bins[class]);
	return object != NULL ? object : new_slow(m, type, class);
}

static void *new_sized(struct gyre_mutator *m, const struct gyre_type *type, size_t bytes)
{
	if (bytes > GYRE_SLAB_OBJECT_MAX)
		return new_large(m, type, bytes);
	return new_in_class(m, type, gyre__size_class(bytes));
}

void *gyre_new(struct gyre_mutator *m, const struct gyre_type *type)
{
	gyre__check_mutator(m, "gyre_new");
	if (__builtin_expect(type->classes_count == 1, 1))
		return new_in_class(m, type, 0);
	if (type->trailing_stride != 0)
		return gyre_new_array(m, type, 0);
	return new_large(m, type, type->object_bytes);
}

void *gyre_new_array(struct gyre_mutator *m, const struct gyre_type *type, size_t length)
{
	size_t bytes;
	char *object;

	gyre__check_mutator(m, "gyre_new_array");
	if (type->trailing_stride == 0)
		return length == 0 ? gyre_new(m, type) : NULL;
	if (__builtin_mul_overflow(length, type->trailing_stride, &bytes) ||
	    __builtin_add_overflow(bytes, type->trailing_offset, &bytes))
		return NULL;
	if (bytes < type->object_bytes)
		bytes = type->object_bytes;
	object = new_sized(m, type, bytes);
	if (object != NULL && type->trailing_length_offset != GYRE_NO_LENGTH)
		*(size_t *)(object + type->trailing_length_offset) = length;
	return object;
}
