/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.c: copies a heap for a snapshot. Collector thread, as an errand between two cycles, while
 * mutators run.
 *
 * A cycle of its own comes first, so that all that its caller did is in the view, and few slots
 * have been written since. Then the slabs are walked in order, each object's slots read as the
 * counts have them. Slots that the open epoch has written are looked up when all else is done: the
 * sooner the walk ends, the fewer there are. What can wait is left to the caller on its own thread.
 * What mutators allocate meanwhile calls for no back-pressure, as nothing is behind but this.
 *
 * Invariants: no count, no flag and no slot is changed. In the engine tagged, an object's count is
 * the number of its references in the capture: from objects, frames, snoops, roots as they were at
 * the boundary, and pins; and of what GYRE_CAPTURED_OWED names, which was gone by then and is taken
 * back a boundary late.
 */
#include "capture.h"

#include <stdlib.h>
#include <string.h>

#include "edge.h"
#include "ends.h"
#include "engine.h"
#include "platform/memory.h"
#include "platform/wait.h"
#include "pressure.h"
#include "profile.h"
#include "twin.h"

/* Targets between the fetch of where one is looked up and its use. */
#define AHEAD 24
#define PARDON_EACH 4096 /* targets */

struct walk {
	struct gyre__collector *c;
	struct gyre__capture *capture;
};

static void push(struct gyre__capture *capture, struct gyre__vector *vector, uint64_t word)
{
	if (!gyre__vector_push(vector, (void *)(uintptr_t)word))
		capture->starved = true;
}

/* Room for one more item of bytes each; NULL without memory, and items is as it was. */
static void *grow(void *items, size_t count, size_t *room, size_t bytes)
{
	size_t more = *room == 0 ? 64 : 2 * *room;
	void *moved = items;

	if (count < *room)
		return items;
	moved = realloc(items, more * bytes);
	if (moved != NULL)
		*room = more;
	return moved;
}

static void hold(struct gyre__capture *capture, const void *object, enum gyre__captured_by by,
		 const void *address, uint32_t name)
{
	struct gyre__captured *held =
		grow(capture->held, capture->held_count, &capture->held_room, sizeof(*held));

	if (held == NULL) {
		capture->starved = true;
		return;
	}
	capture->held = held;
	held[capture->held_count++] = (struct gyre__captured){
		.object = (uintptr_t)object,
		.address = (uintptr_t)address,
		.by = by,
		.name = name,
	};
}

static void add_target(void *arg, void *child)
{
	struct gyre__capture *capture = arg;

	push(capture, &capture->targets, (uintptr_t)child);
}

/* Counted, and not dead with its references given up. */
static inline bool counted(uint64_t word)
{
	return !(word & GYRE_RELEASED) && (word & GYRE_BORN || gyre__rc(word) > 0);
}

static void copy_references(struct walk *walk, const void *object)
{
	void *cell;

	if (gyre__special(gyre__locator_of(object)) & GYRE_SPECIAL_WEAK) {
		cell = gyre__side_get(object, GYRE_SIDE_WEAK);
		/* One that was made since is not counted for the object yet. */
		if (cell != NULL && *gyre__word_of(cell) & GYRE_BORN)
			add_target(walk->capture, cell);
	}
	gyre__each_read(walk->c, object, GYRE_READ_LATER, add_target, walk->capture);
}

static void copy_object(struct walk *walk, const void *object, uint64_t word)
{
	struct gyre__capture *capture = walk->capture;
	size_t before = capture->targets.count;
	/* In the engine recycler a birth counts 1 for its thread, for an epoch. */
	uint64_t count = gyre__rc(word) - gyre__is_newborn(word);
	uint32_t site = gyre__site_of(object);

	if (site != UINT32_MAX) {
		push(capture, &capture->sites, capture->objects.count);
		push(capture, &capture->sites, site);
	}
	/* The slots of one that the boundary refers to before its birth are not counted. */
	if (word & GYRE_BORN)
		copy_references(walk, object);
	push(capture, &capture->objects,
	     (uint64_t)(capture->targets.count - before) << GYRE_CAPTURE_DEGREE_SHIFT |
		     count << GYRE_CAPTURE_COUNT_SHIFT |
		     ((word & GYRE_STUCK) != 0 ? GYRE_CAPTURE_STUCK : 0));
}

static void copy_cells(struct walk *walk, const struct gyre__slab *slab)
{
	const uint64_t *words = gyre__words(slab);
	uint64_t bits = 0;
	uint32_t cell;

	for (cell = 0; cell < slab->shape.cells; cell++) {
		if (counted(words[cell])) {
			bits |= (uint64_t)1 << cell % 64;
			copy_object(walk, gyre__cell(slab, cell), words[cell]);
		}
		if (cell % 64 == 63 || cell + 1 == slab->shape.cells) {
			push(walk->capture, &walk->capture->bitmaps, bits);
			bits = 0;
		}
	}
}

static bool copy_slab(struct gyre__slab *slab, void *arg)
{
	struct walk *walk = arg;
	struct gyre__capture *capture = walk->capture;
	struct gyre__capture_slab *slabs = grow(capture->slabs, capture->slabs_count,
						&capture->slabs_room, sizeof(*slabs));

	if (slabs == NULL) {
		capture->starved = true;
		return false;
	}
	capture->slabs = slabs;
	slabs[capture->slabs_count] = (struct gyre__capture_slab){
		.base = (uintptr_t)slab->base,
		.type = slab->type,
		.bytes = gyre__cell_bytes(slab),
		.first_object = capture->objects.count,
		.bitmap = capture->bitmaps.count,
		.cells = slab->shape.cells,
		.cell_bytes = slab->shape.cell_bytes,
		.first = slab->shape.first,
		.reciprocal = slab->shape.reciprocal,
	};
	copy_cells(walk, slab);
	if (capture->objects.count > slabs[capture->slabs_count].first_object)
		capture->slabs_count++;
	else
		capture->bitmaps.count = slabs[capture->slabs_count].bitmap;
	gyre__pressure_pardon(walk->c->heap);
	return !capture->starved;
}

/* One that held nothing becomes 0. */
static void look_up_open(struct walk *walk)
{
	uintptr_t *targets = (uintptr_t *)walk->capture->targets.items;
	size_t count = walk->capture->targets.count, i;

	for (i = 0; i < count; i++) {
		if (i + AHEAD < count && targets[i + AHEAD] & GYRE_LATER)
			gyre__view_prefetch(walk->c,
					    (const gyre_ref *)(targets[i + AHEAD] - GYRE_LATER));
		if (targets[i] & GYRE_LATER)
			targets[i] = (uintptr_t)gyre__view_look_up(
				walk->c, (const gyre_ref *)(targets[i] - GYRE_LATER));
		if (i % PARDON_EACH == 0)
			gyre__pressure_pardon(walk->c->heap);
	}
}

/* Room for what is likely, in large pages: most of the time would go into getting small ones. */
static void make_room(struct walk *walk)
{
	const struct gyre__collector_counters *counted = &walk->c->heap->counted;
	struct gyre__vector *objects = &walk->capture->objects, *targets = &walk->capture->targets;
	size_t live = (size_t)(gyre__counter_get(&counted->objects_allocated) -
			       gyre__counter_get(&counted->objects_reclaimed));

	if (!gyre__vector_reserve(objects, live) || !gyre__vector_reserve(targets, 2 * live)) {
		walk->capture->starved = true;
		return;
	}
	gyre__favour_huge(objects->items, objects->room * sizeof(*objects->items));
	gyre__favour_huge(targets->items, targets->room * sizeof(*targets->items));
}

/* The number of a name. */
static uint32_t add_name(struct gyre__capture *capture, const char name[32])
{
	char(*names)[32] = grow(capture->names, capture->names_count, &capture->names_room,
				sizeof(*names));

	if (names == NULL) {
		capture->starved = true;
		return UINT32_MAX;
	}
	capture->names = names;
	memcpy(names[capture->names_count], name, sizeof(*names));
	return (uint32_t)capture->names_count++;
}

static uint32_t name_of(struct gyre__capture *capture, struct gyre_mutator *m)
{
	char name[32];

	gyre__lock_take(&m->heap->registry.lock);
	memcpy(name, m->name, sizeof(name));
	gyre__lock_drop(&m->heap->registry.lock);
	return add_name(capture, name);
}

/* What mutators held at the boundary, with what they snooped. */
static void copy_frames(struct walk *walk)
{
	struct gyre__capture *capture = walk->capture;
	struct gyre_mutator *m;

	for (m = gyre__mutators(walk->c->heap); m != NULL; m = m->next) {
		const struct gyre__chunk *chunk = m->snapshot;
		uint32_t name = chunk == NULL ? UINT32_MAX : name_of(capture, m), i;

		for (; chunk != NULL; chunk = chunk->next)
			for (i = 0; i < chunk->count; i++)
				hold(capture, (const void *)chunk->entries[i],
				     chunk->kind == GYRE_CHUNK_SNOOPED ? GYRE_CAPTURED_SNOOPED
								       : GYRE_CAPTURED_FRAME,
				     NULL, name);
	}
}

static void copy_root_names(struct gyre__capture *capture, const struct gyre__root_name *name)
{
	for (; name != NULL; name = name->next) {
		struct gyre__captured_name *named = grow(capture->named, capture->named_count,
							 &capture->named_room, sizeof(*named));

		if (named == NULL) {
			capture->starved = true;
			return;
		}
		capture->named = named;
		named[capture->named_count++] = (struct gyre__captured_name){
			(uintptr_t)name->root, add_name(capture, name->name)
		};
	}
}

/* Roots are of the moment: what they held at the boundary no journal tells, but counts do. */
static void copy_roots(struct walk *walk)
{
	struct gyre_heap *heap = walk->c->heap;
	const struct gyre_root *root;

	gyre__lock_take(&heap->roots_lock);
	for (root = heap->roots; root != NULL; root = root->next) {
		const void *object = gyre_load(&root->slot);

		if (object != NULL)
			hold(walk->capture, object, GYRE_CAPTURED_ROOT, root, UINT32_MAX);
	}
	copy_root_names(walk->capture, heap->root_names);
	gyre__lock_drop(&heap->roots_lock);
}

static void copy_batches(struct gyre__capture *capture, const struct gyre__batch *batch)
{
	size_t i;

	for (; batch != NULL; batch = batch->next)
		/* Relaxed: what its mutator unpins just now is counted until the next boundary. */
		for (i = atomic_load_explicit(&batch->unpinned, memory_order_relaxed);
		     i < batch->count; i++)
			hold(capture, batch->objects[i], GYRE_CAPTURED_PIN, NULL, UINT32_MAX);
}

static void copy_pins(struct walk *walk)
{
	struct gyre__ends *ends = &walk->c->heap->ends;

	gyre__lock_take(&ends->lock);
	copy_batches(walk->capture, ends->first);
	copy_batches(walk->capture, ends->active);
	gyre__lock_drop(&ends->lock);
}

static void copy_owed(struct walk *walk)
{
	const struct gyre__chunk *chunk;
	uint32_t i;

	for (chunk = walk->c->journal_before; chunk != NULL; chunk = chunk->next)
		for (i = 0; i < chunk->count; i++)
			if (chunk->entries[i] & GYRE_DECREMENT && !GYRE_TWIN(owed_held))
				hold(walk->capture,
				     (const void *)(chunk->entries[i] & ~GYRE_DECREMENT),
				     GYRE_CAPTURED_OWED, NULL, UINT32_MAX);
}

static void capture_heap(struct gyre__collector *c, void *arg)
{
	struct walk walk = { .c = c, .capture = arg };
	uint64_t start;

	gyre__cycle(c);
	start = gyre__now_ns();
	walk.capture->exact = c->heap->engine == &gyre__tagged;
	copy_frames(&walk);
	copy_owed(&walk);
	copy_roots(&walk);
	copy_pins(&walk);
	make_room(&walk);
	if (!walk.capture->starved)
		gyre__slabs_each(c->heap, copy_slab, &walk);
	if (!walk.capture->starved)
		look_up_open(&walk);
	walk.capture->took_ns = gyre__now_ns() - start;
}

static int by_address(const void *left, const void *right)
{
	uintptr_t a = ((const struct gyre__captured_name *)left)->address;
	uintptr_t b = ((const struct gyre__captured_name *)right)->address;

	return (a > b) - (a < b);
}

uint32_t gyre__captured_name(const struct gyre__capture *capture, uintptr_t root)
{
	struct gyre__captured_name key = { .address = root };
	const struct gyre__captured_name *found = NULL;

	if (capture->named_count > 0)
		found = bsearch(&key, capture->named, capture->named_count, sizeof(key),
				by_address);
	return found == NULL ? UINT32_MAX : found->name;
}

bool gyre__capture(struct gyre_heap *heap, struct gyre__capture *capture)
{
	memset(capture, 0, sizeof(*capture));
	gyre__collector_errand(heap, capture_heap, capture);
	if (capture->named_count > 0)
		qsort(capture->named, capture->named_count, sizeof(*capture->named), by_address);
	return !capture->starved;
}

void gyre__capture_destroy(struct gyre__capture *capture)
{
	gyre__vector_destroy(&capture->bitmaps);
	gyre__vector_destroy(&capture->objects);
	gyre__vector_destroy(&capture->targets);
	gyre__vector_destroy(&capture->sites);
	free(capture->slabs);
	free(capture->held);
	free(capture->names);
	free(capture->named);
}
