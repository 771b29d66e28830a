/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.c: arenas, slabs and spans: taking them from the system, handing them to mutators, giving
 * them back. Mutators call take, relinquish and large_new on their slow paths, the collector flush
 * and trim.
 *
 * Invariants: `bytes` never exceeds the heap's limit; a FREE slab is either clean (never used, or
 * given back to the system: all zero) or in the list of dirty ones; a slab's words are all 0 when
 * it becomes FREE. The lock is held for list operations only, never while memory is filled or
 * returned, but for the unmapping of an arena that is not needed any more.
 */
#include "slab.h"

#include <string.h>

#include "bits.h"
#include "heap.h"
#include "platform/memory.h"
#include "platform/tsan.h"
#include "poison.h"
#include "side.h"
#include "type.h"

/* Room before a large object: its word, the bitmaps, and the largest alignment. */
#define LARGE_FIRST 64
/* Arenas without huge pages. Tracing a heap of more than this would miss in the TLB at every step;
 * in a smaller one the pages of slabs that are hardly used would be the most of it. */
#define HUGE_FROM 2
/* Slabs that are handed over in one hold of the lock. */
#define FLUSH_AT_ONCE 32

void gyre__shape_compute(struct gyre__shape *shape, size_t cell_bytes, size_t align)
{
	size_t cells = GYRE_SLAB_BYTES / (cell_bytes + 8);
	size_t first;

	for (;;) {
		first = cells * 8 + (cells + 63) / 64 * 24;
		first = (first + align - 1) / align * align;
		if (first + cells * cell_bytes <= GYRE_SLAB_BYTES)
			break;
		cells--;
	}
	shape->cell_bytes = (uint32_t)cell_bytes;
	shape->cells = (uint32_t)cells;
	shape->first = (uint32_t)first;
	shape->reciprocal = (uint32_t)((((uint64_t)1 << 32) + cell_bytes - 1) / cell_bytes);
}

static void arena_unmap(struct gyre__arena *arena)
{
	size_t i;

	for (i = 1; i < GYRE_ARENA_SLABS; i++)
		gyre__side_destroy(&arena->slabs[i]);
	GYRE_ASAN_UNPOISON(arena, arena->bytes);
	gyre__unmap(arena, arena->bytes);
}

bool gyre__slabs_init(struct gyre__slabs *slabs)
{
	memset(slabs, 0, sizeof(*slabs));
	return gyre__lock_init(&slabs->lock);
}

void gyre__slabs_destroy(struct gyre__slabs *slabs)
{
	while (slabs->arenas != NULL) {
		struct gyre__arena *arena = slabs->arenas;

		slabs->arenas = arena->next;
		arena_unmap(arena);
	}
	gyre__lock_destroy(&slabs->lock);
}

static void slab_publish(struct gyre__slab *slab, enum gyre__slab_state state)
{
	/* Release pairs with the acquire in gyre__slab_state. */
	atomic_store_explicit(&slab->state, state, memory_order_release);
}

/* Whether at least half of the slabs in use is live objects. The counters lag by an epoch, which
 * says rather less than is true. */
static bool is_dense(struct gyre_heap *heap)
{
	/* In this order, so that the difference is never below 0. */
	uint64_t reclaimed = gyre__counter_get(&heap->counted.bytes_reclaimed);
	uint64_t allocated = gyre__counter_get(&heap->counted.bytes_allocated);

	return allocated > reclaimed && allocated - reclaimed > heap->slabs.bytes / 2;
}

static struct gyre__arena *arena_open(struct gyre_heap *heap, size_t bytes)
{
	struct gyre__arena *arena = gyre__map(bytes, GYRE_ARENA_BYTES);

	if (arena == NULL)
		return NULL;
	if (heap->slabs.arena_count >= HUGE_FROM && is_dense(heap))
		gyre__favour_huge(arena, bytes);
	arena->heap = heap;
	arena->bytes = bytes;
	arena->free_slabs = GYRE_ARENA_SLABS - 1;
	arena->hint = 1;
	arena->next = heap->slabs.arenas;
	heap->slabs.arenas = arena;
	heap->slabs.arena_count++;
	return arena;
}

static void account(struct gyre_heap *heap, uint64_t bytes)
{
	heap->slabs.bytes = bytes;
	gyre__counter_set(&heap->shared.bytes_mapped, bytes);
	gyre__counter_max_shared(&heap->shared.bytes_mapped_max, bytes);
}

/* Books bytes under the limit; false when they do not fit. Lock held. */
static bool book(struct gyre_heap *heap, size_t bytes)
{
	size_t limit = heap->options.heap_limit;

	if (limit != 0 && (bytes > limit || heap->slabs.bytes > limit - bytes))
		return false;
	account(heap, heap->slabs.bytes + bytes);
	return true;
}

/* count clean or dirty slabs side by side in one arena; clean ones only if count is more than
 * one, so that a span never mixes them. Lock held. */
static struct gyre__slab *find_span(struct gyre__arena *arena, size_t count)
{
	struct gyre__slab *table = arena->slabs;
	size_t i, run = 0;

	if (arena->sole || arena->free_slabs < count)
		return NULL;
	for (i = arena->hint; i < GYRE_ARENA_SLABS; i++) {
		bool usable = gyre__slab_state(&table[i]) == GYRE_SLAB_FREE && !table[i].dirty;

		run = usable ? run + 1 : 0;
		if (run == count) {
			if (count == 1)
				arena->hint = (uint32_t)i + 1;
			return &table[i + 1 - count];
		}
	}
	if (count == 1)
		arena->hint = GYRE_ARENA_SLABS;
	return NULL;
}

/* A clean slab is FREE again. Lock held. */
static void add_clean(struct gyre__arena *arena, struct gyre__slab *slab)
{
	uint32_t index = (uint32_t)(slab - arena->slabs);

	slab->dirty = 0;
	slab->next = slab->previous = NULL;
	if (index < arena->hint)
		arena->hint = index;
	arena->free_slabs++;
	slab_publish(slab, GYRE_SLAB_FREE);
}

static struct gyre__slab *take_clean(struct gyre_heap *heap, size_t count)
{
	struct gyre__arena *arena;
	struct gyre__slab *slab = NULL;

	for (arena = heap->slabs.arenas; arena != NULL && slab == NULL; arena = arena->next)
		slab = find_span(arena, count);
	if (slab == NULL) {
		arena = arena_open(heap, GYRE_ARENA_BYTES);
		if (arena == NULL)
			return NULL;
		slab = &arena->slabs[1];
	}
	gyre__arena_of(slab)->free_slabs -= (uint32_t)count;
	return slab;
}

static struct gyre__slab *take_dirty(struct gyre__slabs *slabs)
{
	struct gyre__slab *slab = slabs->dirty_free;

	if (slab == NULL)
		return NULL;
	slabs->dirty_free = slab->next;
	slabs->dirty_count--;
	if (slabs->dirty_count < slabs->dirty_low)
		slabs->dirty_low = slabs->dirty_count;
	gyre__arena_of(slab)->free_slabs--;
	return slab;
}

static char *base_of(struct gyre__slab *slab)
{
	struct gyre__arena *arena = gyre__arena_of(slab);
	size_t index = (size_t)(slab - arena->slabs);

	return (char *)arena + index * GYRE_SLAB_BYTES;
}

/* The identity of a slab that is being laid out, for itself and for its locator. */
static void identify(struct gyre__slab *slab, const struct gyre_type *type,
		     struct gyre__class *class, struct gyre__shape shape)
{
	slab->base = base_of(slab);
	slab->type = type;
	slab->class = class;
	slab->shape = shape;
	gyre__side_destroy(slab);
	*gyre__locator_of(slab->base) = (struct gyre__locator){
		.type = type,
		.reciprocal = shape.reciprocal,
		.first = (uint16_t)shape.first,
		.acyclic = type->acyclic,
		.special = type->finalize != NULL ? GYRE_SPECIAL_FINAL : 0,
	};
}

/* Lays an empty slab out for a class. The caller owns it; no lock is needed. */
static void lay_out(struct gyre__slab *slab, const struct gyre_type *type,
		    struct gyre__class *class)
{
	/* The words of a slab that is FREE are 0: if the shape stays there is nothing to clear. */
	bool again = slab->shape.cell_bytes == class->shape.cell_bytes &&
		     slab->shape.first == class->shape.first;

	identify(slab, type, class, class->shape);
	slab->slabs = 1;
	slab->bytes = GYRE_SLAB_BYTES;
	slab->vacant_count = class->shape.cells;
	slab->freed_count = 0;
	GYRE_ASAN_UNPOISON(slab->base, GYRE_SLAB_BYTES);
	if (slab->dirty && !again)
		memset(slab->base, 0, class->shape.first);
	gyre__bits_set(gyre__vacant(slab), 0, class->shape.cells);
	if (slab->dirty && type->heap->options.flags & GYRE_POISON)
		gyre__poison_fill(slab->base + slab->shape.first,
				  (size_t)slab->shape.cells * slab->shape.cell_bytes);
	GYRE_ASAN_POISON(slab->base + slab->shape.first, GYRE_SLAB_BYTES - slab->shape.first);
	slab_publish(slab, GYRE_SLAB_OWNED);
}

static void unlink_partial(struct gyre__slab *slab)
{
	if (slab->previous != NULL)
		slab->previous->next = slab->next;
	else
		slab->class->partial = slab->next;
	if (slab->next != NULL)
		slab->next->previous = slab->previous;
	slab->next = slab->previous = NULL;
}

static void link_partial(struct gyre__slab *slab)
{
	slab->previous = NULL;
	slab->next = slab->class->partial;
	if (slab->next != NULL)
		slab->next->previous = slab;
	slab->class->partial = slab;
	slab_publish(slab, GYRE_SLAB_PARTIAL);
}

struct gyre__slab *gyre__slab_take(struct gyre_heap *heap, const struct gyre_type *type,
				   struct gyre__class *class)
{
	struct gyre__slab *slab;

	gyre__lock_take(&heap->slabs.lock);
	slab = class->partial;
	if (slab != NULL) {
		unlink_partial(slab);
		slab_publish(slab, GYRE_SLAB_OWNED);
		gyre__lock_drop(&heap->slabs.lock);
		return slab;
	}
	if (book(heap, GYRE_SLAB_BYTES)) {
		slab = take_dirty(&heap->slabs);
		if (slab == NULL)
			slab = take_clean(heap, 1);
		if (slab == NULL)
			account(heap, heap->slabs.bytes - GYRE_SLAB_BYTES);
		else
			/* No longer FREE to others; lay_out publishes it when it is fit to be
			 * seen. */
			atomic_store_explicit(&slab->state, GYRE_SLAB_TAIL, memory_order_relaxed);
	}
	gyre__lock_drop(&heap->slabs.lock);
	if (slab != NULL)
		lay_out(slab, type, class);
	return slab;
}

/* Enough vacant cells to be worth allocating from: an eighth. */
static bool is_sparse(const struct gyre__slab *slab)
{
	return slab->vacant_count > slab->shape.cells / 8;
}

void gyre__slab_relinquish(struct gyre_heap *heap, struct gyre__slab *slab)
{
	gyre__lock_take(&heap->slabs.lock);
	if (is_sparse(slab) && slab->vacant_count > 0)
		link_partial(slab);
	else
		slab_publish(slab, GYRE_SLAB_FULL);
	if (slab->waits) {
		slab->waits = 0;
		slab->touched = heap->slabs.returned;
		heap->slabs.returned = slab;
	}
	gyre__lock_drop(&heap->slabs.lock);
}

static struct gyre__slab *take_sole(struct gyre_heap *heap, size_t bytes)
{
	struct gyre__arena *arena = arena_open(heap, GYRE_SLAB_BYTES + bytes);

	if (arena == NULL)
		return NULL;
	arena->sole = 1;
	arena->free_slabs = 0;
	if (arena->bytes > GYRE_ARENA_BYTES) {
		/* Relaxed: the lock is held. */
		arena->next_wide = atomic_load_explicit(&heap->slabs.wide, memory_order_relaxed);
		/* Release pairs with the acquire of lookups by the collector. */
		atomic_store_explicit(&heap->slabs.wide, arena, memory_order_release);
	}
	return &arena->slabs[1];
}

void *gyre__large_new(struct gyre_heap *heap, const struct gyre_type *type, size_t bytes)
{
	struct gyre__slab *slab = NULL;
	size_t count, all, i;

	if (bytes > PTRDIFF_MAX - 2 * GYRE_ARENA_BYTES)
		return NULL;
	count = (LARGE_FIRST + bytes + GYRE_SLAB_BYTES - 1) / GYRE_SLAB_BYTES;
	all = count * GYRE_SLAB_BYTES;
	gyre__lock_take(&heap->slabs.lock);
	if (book(heap, all)) {
		slab = count <= GYRE_SPAN_SLABS_MAX ? take_clean(heap, count)
						    : take_sole(heap, all);
		if (slab == NULL)
			account(heap, heap->slabs.bytes - all);
	}
	if (slab == NULL) {
		gyre__lock_drop(&heap->slabs.lock);
		return NULL;
	}
	if (count <= GYRE_SPAN_SLABS_MAX)
		for (i = 1; i < count; i++) {
			slab[i].next = slab;
			gyre__locator_of(base_of(&slab[i]))->reciprocal = 0;
			slab_publish(&slab[i], GYRE_SLAB_TAIL);
		}
	identify(slab, type, NULL, (struct gyre__shape){ 0, 1, LARGE_FIRST, 0 });
	slab->slabs = (uint32_t)count;
	slab->bytes = all - LARGE_FIRST;
	slab->vacant_count = slab->freed_count = 0;
	slab_publish(slab, GYRE_SLAB_LARGE);
	gyre__lock_drop(&heap->slabs.lock);
	return slab->base + LARGE_FIRST;
}

/* Takes an arena out of the list; the caller unmaps it without the lock. Lock held. */
static void arena_unlink(struct gyre__slabs *slabs, struct gyre__arena *arena)
{
	struct gyre__arena **at = &slabs->arenas, *before;

	while (*at != arena)
		at = &(*at)->next;
	*at = arena->next;
	slabs->arena_count--;
	if (arena->bytes <= GYRE_ARENA_BYTES)
		return;
	before = atomic_load_explicit(&slabs->wide, memory_order_relaxed);
	if (before == arena) {
		atomic_store_explicit(&slabs->wide, arena->next_wide, memory_order_relaxed);
		return;
	}
	while (before->next_wide != arena)
		before = before->next_wide;
	before->next_wide = arena->next_wide;
}

/* An empty slab of cells becomes FREE and stays in memory for a while. Lock held. */
static void add_dirty(struct gyre_heap *heap, struct gyre__slab *slab)
{
	account(heap, heap->slabs.bytes - GYRE_SLAB_BYTES);
	gyre__arena_of(slab)->free_slabs++;
	slab->dirty = 1;
	slab->previous = NULL;
	slab->next = heap->slabs.dirty_free;
	heap->slabs.dirty_free = slab;
	heap->slabs.dirty_count++;
	slab_publish(slab, GYRE_SLAB_FREE);
}

/* The spans of dead large objects, a chain by next, go back to the system. */
static void return_spans(struct gyre_heap *heap, struct gyre__slab *spans)
{
	while (spans != NULL) {
		struct gyre__slab *span = spans;
		struct gyre__arena *arena = gyre__arena_of(span);
		size_t i, count = span->slabs;
		bool sole = arena->sole;

		spans = span->next;
		GYRE_ASAN_UNPOISON(span->base, count * GYRE_SLAB_BYTES);
		if (!sole)
			gyre__discard(span->base, count * GYRE_SLAB_BYTES);
		gyre__lock_take(&heap->slabs.lock);
		account(heap, heap->slabs.bytes - count * GYRE_SLAB_BYTES);
		if (sole)
			arena_unlink(&heap->slabs, arena);
		else
			for (i = 0; i < count; i++)
				add_clean(arena, &span[i]);
		gyre__lock_drop(&heap->slabs.lock);
		if (sole)
			arena_unmap(arena);
	}
}

/* Lock held, the slab not OWNED. */
static void merge_freed(struct gyre_heap *heap, struct gyre__slab *slab)
{
	bool listed = gyre__slab_state(slab) == GYRE_SLAB_PARTIAL;
	size_t i;

	for (i = 0; i < gyre__bitmap_words(slab); i++) {
		gyre__vacant(slab)[i] |= gyre__freed(slab)[i];
		gyre__freed(slab)[i] = 0;
	}
	slab->vacant_count += slab->freed_count;
	slab->freed_count = 0;
	slab->dirty = 1;
	if (slab->vacant_count == slab->shape.cells) {
		if (listed)
			unlink_partial(slab);
		add_dirty(heap, slab);
	} else if (!listed && is_sparse(slab)) {
		link_partial(slab);
	}
}

/* What a flush does not hand over to mutators: dead large objects, and slabs that are held. */
struct rest {
	uint32_t processing;
	struct gyre__slab *spans, *held;
};

/* Hands over the first slabs of a chain, as many as a short hold of the lock allows, and gives the
 * rest. Lock held. */
static struct gyre__slab *flush_some(struct gyre_heap *heap, struct gyre__slab *touched,
				     struct rest *rest)
{
	unsigned n;

	for (n = 0; n < FLUSH_AT_ONCE && touched != NULL; n++) {
		struct gyre__slab *slab = touched;

		touched = slab->touched;
		if (slab->held == rest->processing) {
			slab->touched = rest->held; /* rare: held slab */
			rest->held = slab;
			continue;
		}
		if (gyre__slab_state(slab) == GYRE_SLAB_OWNED) {
			slab->waits = 1; /* rare: freed cells in an owned slab */
			continue;
		}
		slab->is_touched = 0;
		if (slab->class == NULL) {
			slab_publish(slab, GYRE_SLAB_TAIL);
			slab->next = rest->spans;
			rest->spans = slab;
		} else {
			merge_freed(heap, slab);
		}
	}
	return touched;
}

struct gyre__slab *gyre__slabs_flush(struct gyre_heap *heap, struct gyre__slab *touched,
				     uint32_t processing)
{
	struct rest rest = { .processing = processing };
	struct gyre__slab *returned;

	gyre__lock_take(&heap->slabs.lock);
	returned = heap->slabs.returned;
	heap->slabs.returned = NULL;
	returned = flush_some(heap, returned, &rest);
	gyre__lock_drop(&heap->slabs.lock);
	while (touched != NULL || returned != NULL) {
		gyre__lock_take(&heap->slabs.lock);
		touched = flush_some(heap, touched, &rest);
		returned = flush_some(heap, returned, &rest);
		gyre__lock_drop(&heap->slabs.lock);
	}
	return_spans(heap, rest.spans);
	return rest.held;
}

/* Takes slabs that nobody needed lately out of the list of dirty ones, the coldest. Lock held. */
static struct gyre__slab *cut_cold(struct gyre__slabs *slabs)
{
	struct gyre__slab **at = &slabs->dirty_free, *cold, *slab;
	size_t keep = slabs->dirty_count - slabs->dirty_low;

	while (keep-- > 0)
		at = &(*at)->next;
	cold = *at;
	*at = NULL;
	slabs->dirty_count -= slabs->dirty_low;
	slabs->dirty_low = slabs->dirty_count;
	for (slab = cold; slab != NULL; slab = slab->next) {
		/* Nobody may take it while its pages are given back. */
		slab_publish(slab, GYRE_SLAB_TAIL);
		gyre__arena_of(slab)->free_slabs--;
	}
	return cold;
}

/* Gives arenas without a slab in use back, but for the last one. No slab is in the list of dirty
 * ones. Rare enough to be done with the lock held. */
static void unmap_empty(struct gyre__slabs *slabs)
{
	struct gyre__arena *arena = slabs->arenas, *next;

	for (; arena != NULL && slabs->arena_count > 1; arena = next) {
		next = arena->next;
		if (arena->sole || arena->free_slabs < GYRE_ARENA_SLABS - 1)
			continue;
		arena_unlink(slabs, arena);
		arena_unmap(arena); /* rare: arena given back */
	}
}

void gyre__slabs_trim(struct gyre_heap *heap)
{
	struct gyre__slabs *slabs = &heap->slabs;
	struct gyre__slab *cold, *slab;

	gyre__lock_take(&slabs->lock);
	cold = cut_cold(slabs);
	gyre__lock_drop(&slabs->lock);
	for (slab = cold; slab != NULL; slab = slab->next) {
		GYRE_ASAN_UNPOISON(base_of(slab), GYRE_SLAB_BYTES);
		gyre__discard(base_of(slab), GYRE_SLAB_BYTES);
	}
	gyre__lock_take(&slabs->lock);
	while (cold != NULL) {
		slab = cold;
		cold = slab->next;
		add_clean(gyre__arena_of(slab), slab);
	}
	if (slabs->dirty_free == NULL)
		unmap_empty(slabs);
	gyre__lock_drop(&slabs->lock);
}
