/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h: where objects lie, and how an object's collector word is found from its address.
 *
 * An arena is 32 MiB, aligned to its size; its first slab holds two dense tables, the locators and
 * the descriptors of its slabs. A slab is 64 KiB of cells of one size and one type: first the
 * collector words (8 bytes a cell), then three bitmaps, then the cells. Descriptors lie apart from
 * their slabs because all slab heads would fall into the same few sets of a cache; locators lie
 * apart from descriptors because the collector needs one for every reference that it follows: those
 * of a heap of 8 million small objects fit into a second-level cache. An object larger than
 * GYRE_SLAB_OBJECT_MAX has a span of slabs, or a mapping, of its own, laid out like a slab of one
 * cell. What few objects have beside their slots (weak cells) is in a side table of the slab, made
 * when it is needed (side.h).
 *
 * Owners: while a slab is OWNED, its `vacant` bitmap and the descriptor's vacant_count belong to
 * the mutator that allocates from it, otherwise to whoever holds the slabs' lock. The collector
 * words and the `freed` and `young` bitmaps belong to the collector at all times. The word of a
 * cell that is not in use, or that was never counted, is 0, and only the collector makes a used
 * slab FREE again, so it may walk slabs without the lock.
 */
#ifndef GYRE_SLAB_H
#define GYRE_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/wait.h"

#define GYRE_ARENA_BYTES ((size_t)32 << 20)
#define GYRE_SLAB_SHIFT 16
#define GYRE_SLAB_BYTES ((size_t)1 << GYRE_SLAB_SHIFT)
#define GYRE_ARENA_SLABS (GYRE_ARENA_BYTES / GYRE_SLAB_BYTES)
#define GYRE_SLAB_OBJECT_MAX ((size_t)16 << 10)
/* Objects whose span does not fit into this share of an arena have a mapping of their own. */
#define GYRE_SPAN_SLABS_MAX (GYRE_ARENA_SLABS / 4)

struct gyre_heap;
struct gyre_type;
struct gyre__side;

enum gyre__slab_state {
	GYRE_SLAB_FREE,
	GYRE_SLAB_OWNED,   /* a mutator allocates from it */
	GYRE_SLAB_FULL,    /* too few vacant cells to bother */
	GYRE_SLAB_PARTIAL, /* in its class's list */
	GYRE_SLAB_LARGE,   /* one object */
	GYRE_SLAB_TAIL,    /* the rest of a span */
};

/* How cells of one size lie in a slab. */
struct gyre__shape {
	uint32_t cell_bytes;
	uint32_t cells;
	uint32_t first;      /* offset of cell 0 */
	uint32_t reciprocal; /* 2^32 / cell_bytes, rounded up */
};

/* What objects of a slab may have that their slots do not tell. */
enum gyre__special {
	GYRE_SPECIAL_FINAL = 1,    /* their type has a finalizer */
	GYRE_SPECIAL_WEAK = 2,     /* some have weak cells */
	GYRE_SPECIAL_ATTACHED = 4, /* some own an attachment */
	GYRE_SPECIAL_SAMPLED = 8,  /* some are samples: nothing to how they die */
};

/* What it takes to find an object's collector word and slots: written when a slab is laid out. But
 * for `special`, which mutators add to before the object that is special can die. */
struct gyre__locator {
	const struct gyre_type *type;
	uint32_t reciprocal; /* of the shape */
	uint16_t first;      /* of the shape */
	uint8_t acyclic;     /* the type is, and nothing here has an attachment; the collector's */
	_Atomic(uint8_t) special; /* enum gyre__special */
};

_Static_assert(sizeof(struct gyre__locator) == 16, "four to a cache line");
_Static_assert(GYRE_SLAB_BYTES - 1 <= UINT16_MAX, "an offset in a slab fits");

struct gyre__slab {
	char *base;
	const struct gyre_type *type;
	struct gyre__class *class; /* NULL: large */
	struct gyre__shape shape;
	_Atomic(uint8_t) state;
	uint8_t dirty;      /* cells that are vacant may hold old bytes */
	uint8_t is_touched; /* collector: in its chain, or waits */
	uint8_t waits; /* for its owner, until its freed cells can be handed over; by the lock */
	uint32_t vacant_count;
	uint32_t freed_count; /* collector */
	uint32_t held; /* collector: nothing is handed over in the processing of this number */
	size_t bytes;  /* large: of the object's cell; otherwise of the slab */
	struct gyre__slab *next, *previous; /* class's list, or the arena's free list */
	struct gyre__slab *touched;         /* next slab with freed cells */
	_Atomic(struct gyre__side *) side;  /* NULL: no object of it needs one */
	uint32_t slabs;                     /* of the span */
	uint32_t verify_index;              /* the verifier's, while it runs */
};

/* Entry 0 of the tables is this structure itself, and never used. */
struct gyre__arena {
	struct gyre__locator locators[GYRE_ARENA_SLABS];
	struct gyre__slab slabs[GYRE_ARENA_SLABS];
	struct gyre_heap *heap;
	struct gyre__arena *next;
	struct gyre__arena *next_wide;
	size_t bytes; /* of the mapping */
	uint32_t free_slabs;
	uint32_t sole; /* holds one large object and nothing else */
	uint32_t hint; /* no clean slab lies before this one */
};

_Static_assert(sizeof(struct gyre__arena) <= GYRE_SLAB_BYTES, "it lies in the first slab");

/* The slabs of a heap. */
struct gyre__slabs {
	struct gyre__lock lock;
	struct gyre__arena *arenas;
	/* Those that are longer than GYRE_ARENA_BYTES; only the collector takes any out. */
	_Atomic(struct gyre__arena *) wide;
	struct gyre__slab *dirty_free; /* free slabs that hold old bytes, most recent first */
	struct gyre__slab *returned;   /* slabs that waited for their owners, who are done */
	size_t dirty_count;
	size_t dirty_low; /* least dirty_count since the last trim */
	size_t arena_count;
	uint64_t bytes; /* in use; bounded by heap_limit */
};

static inline struct gyre__arena *gyre__arena_of(const void *address)
{
	return (struct gyre__arena *)((uintptr_t)address & ~(uintptr_t)(GYRE_ARENA_BYTES - 1));
}

static inline size_t gyre__slab_index(const void *object)
{
	return ((uintptr_t)object & (GYRE_ARENA_BYTES - 1)) >> GYRE_SLAB_SHIFT;
}

static inline struct gyre__slab *gyre__slab_of(const void *object)
{
	return &gyre__arena_of(object)->slabs[gyre__slab_index(object)];
}

static inline struct gyre__locator *gyre__locator_of(const void *object)
{
	return &gyre__arena_of(object)->locators[gyre__slab_index(object)];
}

/* Relaxed: a bit that matters was set before the last boundary. */
static inline bool gyre__has_any(const struct gyre__locator *locator, unsigned special)
{
	return (atomic_load_explicit(&locator->special, memory_order_relaxed) & special) != 0;
}

/* What matters to how objects die: all but samples. */
static inline unsigned gyre__special(const struct gyre__locator *locator)
{
	return atomic_load_explicit(&locator->special, memory_order_relaxed) &
	       ~(unsigned)GYRE_SPECIAL_SAMPLED;
}

static inline uint32_t gyre__cell_index(const struct gyre__slab *slab, const void *object)
{
	uint32_t offset = (uint32_t)((uintptr_t)object & (GYRE_SLAB_BYTES - 1));

	return (uint32_t)(((uint64_t)(offset - slab->shape.first) * slab->shape.reciprocal) >> 32);
}

static inline void *gyre__cell(const struct gyre__slab *slab, uint32_t index)
{
	return slab->base + slab->shape.first + (size_t)index * slab->shape.cell_bytes;
}

static inline uint64_t *gyre__words(const struct gyre__slab *slab)
{
	return (uint64_t *)slab->base;
}

/* The collector word of an object whose slab has this locator. */
static inline uint64_t *gyre__word_at(const struct gyre__locator *locator, const void *object)
{
	uint32_t offset = (uint32_t)((uintptr_t)object & (GYRE_SLAB_BYTES - 1));
	uint64_t cell = ((uint64_t)(offset - locator->first) * locator->reciprocal) >> 32;

	return (uint64_t *)((uintptr_t)object & ~(uintptr_t)(GYRE_SLAB_BYTES - 1)) + cell;
}

static inline uint64_t *gyre__word_of(const void *object)
{
	return gyre__word_at(gyre__locator_of(object), object);
}

static inline size_t gyre__bitmap_words(const struct gyre__slab *slab)
{
	return (slab->shape.cells + 63) / 64;
}

/* Bit set: the cell may be allocated. */
static inline uint64_t *gyre__vacant(const struct gyre__slab *slab)
{
	return gyre__words(slab) + slab->shape.cells;
}

/* Bit set: the collector has freed the cell and has not handed it over yet. */
static inline uint64_t *gyre__freed(const struct gyre__slab *slab)
{
	return gyre__vacant(slab) + gyre__bitmap_words(slab);
}

/* Bit set: born in the epoch that is being processed, and nothing counted has reached it. */
static inline uint64_t *gyre__young(const struct gyre__slab *slab)
{
	return gyre__freed(slab) + gyre__bitmap_words(slab);
}

/* The slab of the object that has a slot at address; and its word, if the object may be large. */
struct gyre__slab *gyre__slab_holding(const struct gyre__slabs *slabs, const void *address);
uint64_t *gyre__word_afar(const struct gyre__slabs *slabs, const void *address);

/* Whether an address may lie in another arena than its object begins in. */
static inline bool gyre__has_wide(const struct gyre__slabs *slabs)
{
	/* Acquire pairs with the release in take_sole. */
	return atomic_load_explicit(&slabs->wide, memory_order_acquire) != NULL;
}

/* The collector word of that object. */
static inline uint64_t *gyre__word_holding(const struct gyre__slabs *slabs, const void *address)
{
	const struct gyre__locator *locator = gyre__locator_of(address);

	/* A large object may reach into the next arenas, and its slots into other slabs than its
	 * first. */
	if (__builtin_expect(gyre__has_wide(slabs) || locator->reciprocal == 0, 0))
		return gyre__word_afar(slabs, address);
	return gyre__word_at(locator, address);
}

/* Bytes of an object's cell. */
static inline size_t gyre__cell_bytes(const struct gyre__slab *slab)
{
	return slab->class != NULL ? slab->shape.cell_bytes : slab->bytes;
}

static inline enum gyre__slab_state gyre__slab_state(const struct gyre__slab *slab)
{
	/* Acquire pairs with the release in slab_publish: the table and the words are laid out. */
	return atomic_load_explicit(&slab->state, memory_order_acquire);
}

/* Computes a shape; cells of cell_bytes at multiples of align. */
void gyre__shape_compute(struct gyre__shape *shape, size_t cell_bytes, size_t align);

bool gyre__slabs_init(struct gyre__slabs *slabs);
void gyre__slabs_destroy(struct gyre__slabs *slabs);

/* A slab with vacant cells for class, OWNED by the caller; NULL at the limit or without memory. */
struct gyre__slab *gyre__slab_take(struct gyre_heap *heap, const struct gyre_type *type,
				   struct gyre__class *class);
/* The owner is done with it. */
void gyre__slab_relinquish(struct gyre_heap *heap, struct gyre__slab *slab);
/* A cell of its own for a large object, zeroed; NULL at the limit or without memory. */
void *gyre__large_new(struct gyre_heap *heap, const struct gyre_type *type, size_t bytes);

/* Collector: hands the freed cells of a chain of touched slabs over, and of those that waited for
 * their owners, but not of slabs that are held in the processing of the given number: a chain of
 * those. */
struct gyre__slab *gyre__slabs_flush(struct gyre_heap *heap, struct gyre__slab *touched,
				     uint32_t processing);
/* Collector: gives memory that was not needed since the last call back to the system. */
void gyre__slabs_trim(struct gyre_heap *heap);

/* Collector: calls visit for each slab in use (OWNED, FULL, PARTIAL, LARGE) until it returns
 * false. */
bool gyre__slabs_each(struct gyre_heap *heap, bool (*visit)(struct gyre__slab *slab, void *arg),
		      void *arg);

/* A place in a walk over the cells of a heap that goes on later: by address, so that it does not
 * matter what becomes of the slab or arena that it was in. All 0: the beginning. */
struct gyre__cursor {
	uintptr_t arena;
	uint32_t slab, cell;
};

/* Collector: the slab in use at the cursor, or the next one, to whose first cell the cursor moves;
 * NULL: there is none. At the end of a slab the cursor's cell is the number of its cells. */
struct gyre__slab *gyre__cursor_slab(struct gyre_heap *heap, struct gyre__cursor *cursor);

/* Whether address is the start of a cell in use by heap; takes the slabs' lock. For checks. */
bool gyre__is_object(struct gyre_heap *heap, const void *address);

#endif
