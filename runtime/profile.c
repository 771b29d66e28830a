/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile.c: drawing which allocations are sampled, and noting them. Runs on mutator threads, on
 * their slow path of allocation; gyre__sample_end on the collector.
 *
 * Along the bytes that a thread allocates lie the events of a Poisson process, one in `rate` of
 * them; an object is sampled if one or more lie within it, which has probability
 * 1 - exp(-n / rate) for n bytes. The process is without memory: bytes that were passed in vain,
 * because a run of cells ended early, change nothing about those that follow, as long as what lay
 * in them is forgotten (docs/decisions/0024).
 *
 * Invariant: without memory a sample is dropped and counted, and nothing else changes.
 */
#include "profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gyre/profile.h>

#include "mutator.h"
#include "platform/unwind.h"
#include "side.h"
#include "to_collector.h"
#include "type.h"

/* An entry: the tally's number + 1, and above it the milliseconds since began_ns: 500 years. */
#define NUMBER_BITS 20
#define NS_IN_MS 1000000u

_Static_assert(GYRE_TALLIES_MAX <= 1 << NUMBER_BITS, "and the last number is not used");

bool gyre__profile_init(struct gyre__profile *profile)
{
	return gyre__lock_init(&profile->lock);
}

static void numbered_destroy(struct gyre__numbered *numbered)
{
	uint32_t i;

	for (i = 0; i < numbered->count; i++)
		free(numbered->chunks[i / GYRE_PROFILE_CHUNK][i % GYRE_PROFILE_CHUNK]);
	for (i = 0; i < GYRE_PROFILE_CHUNKS; i++)
		free(numbered->chunks[i]);
}

void gyre__profile_destroy(struct gyre__profile *profile)
{
	if (profile->tables != NULL) {
		numbered_destroy(&profile->tables->sites);
		numbered_destroy(&profile->tables->all);
		free(profile->tables);
	}
	gyre__lock_destroy(&profile->lock);
}

static void *numbered_get(const struct gyre__numbered *numbered, uint32_t number)
{
	return numbered->chunks[number / GYRE_PROFILE_CHUNK][number % GYRE_PROFILE_CHUNK];
}

/* Room for one more; false without memory. */
static bool numbered_reserve(struct gyre__numbered *numbered)
{
	void ***chunk = &numbered->chunks[numbered->count / GYRE_PROFILE_CHUNK];

	if (numbered->count == GYRE_TALLIES_MAX - 1)
		return false;
	if (*chunk == NULL)
		*chunk = calloc(GYRE_PROFILE_CHUNK, sizeof(**chunk));
	return *chunk != NULL;
}

static uint32_t numbered_add(struct gyre__numbered *numbered, void *item)
{
	numbered->chunks[numbered->count / GYRE_PROFILE_CHUNK]
			[numbered->count % GYRE_PROFILE_CHUNK] = item;
	return numbered->count++;
}

/* The calling thread's mutator, if it runs. */
static struct gyre_mutator *own_mutator(struct gyre_heap *heap)
{
	struct gyre_mutator *m = gyre__leavings_get(&heap->leavings);

	return m != NULL && gyre__mutator_state(m) == GYRE_MUTATOR_RUNNING ? m : NULL;
}

/* The rate is another one from now on. */
static void set_rate(struct gyre_heap *heap, uint64_t rate)
{
	struct gyre_mutator *m = own_mutator(heap);

	/* Release pairs with the acquire in gyre__sampling_turn: the tables. */
	atomic_store_explicit(&heap->profile.rate, rate, memory_order_release);
	if (m != NULL) {
		gyre__sampling_turn(m);
		gyre__bins_freeze(m); /* the open runs are as long as the old rate has it */
	}
}

enum gyre_status gyre_profile_start(struct gyre_heap *heap, size_t rate_bytes)
{
	struct gyre__profile *profile;
	enum gyre_status status = GYRE_OK;

	if (heap == NULL || rate_bytes == 0)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	profile = &heap->profile;
	gyre__lock_take(&profile->lock);
	if (profile->tables == NULL) {
		profile->tables = calloc(1, sizeof(*profile->tables));
		if (profile->tables != NULL)
			profile->tables->began_ns = gyre__now_ns();
	}
	/* Relaxed: written with the lock held. */
	if (profile->tables == NULL) {
		status = GYRE_NO_MEMORY;
	} else if (atomic_load_explicit(&profile->rate, memory_order_relaxed) != 0) {
		status = GYRE_BUSY;
	} else {
		profile->tables->rate = rate_bytes;
		set_rate(heap, rate_bytes);
	}
	gyre__lock_drop(&profile->lock);
	if (status == GYRE_OK)
		gyre__collector_wake(heap); /* for the boundary at which the others turn */
	return status;
}

enum gyre_status gyre_profile_stop(struct gyre_heap *heap)
{
	enum gyre_status status = GYRE_INVALID;

	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	gyre__lock_take(&heap->profile.lock);
	if (atomic_load_explicit(&heap->profile.rate, memory_order_relaxed) != 0) {
		set_rate(heap, 0);
		status = GYRE_OK;
	}
	gyre__lock_drop(&heap->profile.lock);
	if (status == GYRE_OK)
		gyre__collector_wake(heap);
	return status;
}

/* Uniform, above 0 and at most 1. By xorshift64* (Vigna, "An experimental exploration of
 * Marsaglia's xorshift generators, scrambled"); each thread has a sequence of its own, the same in
 * every run. */
static double draw(struct gyre_mutator *m)
{
	uint64_t x = m->sample_dice;

	if (x == 0) {
		x = atomic_fetch_add_explicit(&m->heap->profile.seeds, 1, memory_order_relaxed);
		x = (x + 1) * UINT64_C(0x9e3779b97f4a7c15);
		x ^= x >> 29;
		x *= UINT64_C(0xbf58476d1ce4e5b9);
		x |= 1;
	}
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	m->sample_dice = x;
	return (double)((x * UINT64_C(0x2545f4914f6cdd1d) >> 11) + 1) * 0x1p-53;
}

/* The distance to the next event, in bytes: exponential. */
static double draw_distance(struct gyre_mutator *m)
{
	return -log(draw(m)) * (double)m->sample_rate;
}

void gyre__sampling_turn(struct gyre_mutator *m)
{
	/* Acquire pairs with the release in set_rate. */
	uint64_t rate = atomic_load_explicit(&m->heap->profile.rate, memory_order_acquire);

	if (rate == m->sample_rate)
		return;
	m->sample_rate = rate;
	m->sample_left = draw_distance(m);
}

uint32_t gyre__sample_after(struct gyre_mutator *m, size_t bytes, uint32_t objects)
{
	double span = (double)bytes * objects, passed;

	if (m->sample_rate == 1 || objects == 0)
		return 0;
	if (m->sample_left >= span) {
		m->sample_left -= span;
		return objects;
	}
	passed = m->sample_left / (double)bytes;
	m->sample_left = draw_distance(m);
	/* By rounding it may have become as many as there are. */
	return passed < objects ? (uint32_t)passed : objects - 1;
}

double gyre__sample_weight(size_t bytes, uint64_t rate)
{
	return rate == 1 ? 1 : -1 / expm1(-(double)bytes / (double)rate);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

/* A backtrace that may be a known one. */
struct trace {
	const void *frames[GYRE_PROFILE_DEPTH];
	uint32_t depth;
	uint64_t hash;
};

static bool is_trace_of(const struct gyre__stack *stack, const struct trace *trace)
{
	return stack->hash == trace->hash && stack->depth == trace->depth &&
	       memcmp(stack->frames, trace->frames, trace->depth * sizeof(void *)) == 0;
}

/* The site of a backtrace, made if it is new; NULL without memory. Lock held. */
static const struct gyre__stack *site_of(struct gyre__profile_tables *tables,
					 const struct trace *trace)
{
	struct gyre__stack **head = &tables->stacks[trace->hash % GYRE_PROFILE_HEADS], *stack;

	for (stack = *head; stack != NULL; stack = stack->next)
		if (is_trace_of(stack, trace))
			return stack;
	if (!numbered_reserve(&tables->sites))
		return NULL;
	stack = malloc(sizeof(*stack) + trace->depth * sizeof(void *));
	if (stack == NULL)
		return NULL;
	stack->hash = trace->hash;
	stack->depth = trace->depth;
	memcpy(stack->frames, trace->frames, trace->depth * sizeof(void *));
	stack->index = numbered_add(&tables->sites, stack);
	stack->next = *head;
	*head = stack;
	return stack;
}

/* The tally that is like wanted, from at on. */
static struct gyre__tally *find(struct gyre__tally *at, const struct gyre__tally *wanted,
				const struct trace *trace)
{
	while (at != NULL && !(at->hash == wanted->hash && at->type == wanted->type &&
			       at->bytes == wanted->bytes && at->rate == wanted->rate &&
			       is_trace_of(at->stack, trace)))
		at = at->next;
	return at;
}

static struct gyre__tally *make_tally(struct gyre__profile_tables *tables,
				      const struct gyre__tally *wanted, const struct trace *trace)
{
	const struct gyre__stack *stack;
	struct gyre__tally *made;

	if (!numbered_reserve(&tables->all))
		return NULL;
	stack = site_of(tables, trace);
	made = stack == NULL ? NULL : calloc(1, sizeof(*made));
	if (made == NULL)
		return NULL;
	made->hash = wanted->hash;
	made->stack = stack;
	made->type = wanted->type;
	made->bytes = wanted->bytes;
	made->rate = wanted->rate;
	made->number = numbered_add(&tables->all, made);
	return made;
}

/* The tally for objects like wanted; NULL without memory. */
static struct gyre__tally *tally_of(struct gyre__profile *profile, const struct gyre__tally *wanted,
				    const struct trace *trace)
{
	_Atomic(struct gyre__tally *) *head =
		&profile->tables->tallies[wanted->hash % GYRE_PROFILE_HEADS];
	/* Acquire pairs with the release below. */
	struct gyre__tally *tally =
		find(atomic_load_explicit(head, memory_order_acquire), wanted, trace);

	if (tally != NULL)
		return tally;
	gyre__lock_take(&profile->lock);
	/* Relaxed: written with the lock held. */
	tally = find(atomic_load_explicit(head, memory_order_relaxed), wanted, trace);
	if (tally == NULL) {
		tally = make_tally(profile->tables, wanted, trace);
		if (tally != NULL) {
			tally->next = atomic_load_explicit(head, memory_order_relaxed);
			atomic_store_explicit(head, tally, memory_order_release);
		}
	}
	gyre__lock_drop(&profile->lock);
	return tally;
}

static void take_trace(struct trace *trace, const void *from)
{
	uint32_t i;

	trace->depth = gyre__unwind(trace->frames, GYRE_PROFILE_DEPTH, from);
	trace->hash = trace->depth;
	for (i = 0; i < trace->depth; i++)
		trace->hash = mix(trace->hash, (uintptr_t)trace->frames[i]);
}

void gyre__sample(struct gyre_mutator *m, const void *object, const void *from)
{
	struct gyre__profile *profile = &m->heap->profile;
	struct gyre__slab *slab = gyre__slab_of(object);
	struct gyre__locator *locator = gyre__locator_of(object);
	gyre__side_entry *entry = gyre__side_make(object, GYRE_SIDE_SAMPLE);
	struct gyre__tally wanted, *tally = NULL;
	struct trace trace;
	uint64_t born;

	if (entry != NULL) {
		take_trace(&trace, from);
		wanted.type = slab->type;
		wanted.bytes = gyre__cell_bytes(slab);
		wanted.rate = m->sample_rate;
		wanted.hash = mix(mix(mix(trace.hash, (uintptr_t)wanted.type), wanted.bytes),
				  wanted.rate);
		tally = tally_of(profile, &wanted, &trace);
	}
	if (tally == NULL) {
		atomic_fetch_add_explicit(&profile->lost, 1, memory_order_relaxed);
		return;
	}
	/* Relaxed: whoever looks before the boundary that hands the object over does not know of
	 * it; the release below is for a survey of the collector's. */
	atomic_fetch_add_explicit(&tally->allocated, 1, memory_order_relaxed);
	if (!gyre__has_any(locator, GYRE_SPECIAL_SAMPLED))
		atomic_fetch_or_explicit(&locator->special, GYRE_SPECIAL_SAMPLED,
					 memory_order_relaxed);
	born = (gyre__now_ns() - profile->tables->began_ns) / NS_IN_MS;
	atomic_store_explicit(entry, (void *)(uintptr_t)(born << NUMBER_BITS | (tally->number + 1)),
			      memory_order_release);
}

struct gyre__tally *gyre__tally_at(const struct gyre_heap *heap, uint32_t number)
{
	return numbered_get(&heap->profile.tables->all, number);
}

static uint32_t number_in(uintptr_t entry)
{
	return (uint32_t)(entry & ((1u << NUMBER_BITS) - 1)) - 1;
}

/* The entry's object is freed. */
static void end(struct gyre_heap *heap, gyre__side_entry *entry)
{
	/* Relaxed: the boundary that handed the object over ordered it; its cell is handed over
	 * under a lock. */
	uintptr_t word = (uintptr_t)atomic_load_explicit(entry, memory_order_relaxed);
	struct gyre__tally *tally;

	if (word == 0)
		return;
	atomic_store_explicit(entry, NULL, memory_order_relaxed);
	tally = gyre__tally_at(heap, number_in(word));
	/* Relaxed: the collector alone writes it, and reads it. */
	atomic_store_explicit(&tally->freed,
			      atomic_load_explicit(&tally->freed, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

void gyre__sample_end(struct gyre_heap *heap, const void *object)
{
	gyre__side_entry *entry = gyre__side_find(object, GYRE_SIDE_SAMPLE);

	if (entry != NULL)
		end(heap, entry);
}

void gyre__samples_end(struct gyre_heap *heap, const struct gyre__slab *slab, uint32_t first,
		       uint64_t cells)
{
	gyre__side_entry *row = cells == 0 ? NULL : gyre__side_row(slab, first, GYRE_SIDE_SAMPLE);

	if (row == NULL)
		return;
	for (; cells != 0; cells &= cells - 1)
		end(heap, &row[__builtin_ctzll(cells)]);
}

bool gyre__sample_of(const struct gyre_heap *heap, const void *object, struct gyre__sample *sample)
{
	uintptr_t word = (uintptr_t)gyre__side_get(object, GYRE_SIDE_SAMPLE);

	if (word == 0)
		return false;
	sample->number = number_in(word);
	sample->tally = gyre__tally_at(heap, sample->number);
	sample->born_ns = (uint64_t)(word >> NUMBER_BITS) * NS_IN_MS;
	return true;
}

uint32_t gyre__site_of(const void *object)
{
	struct gyre__sample sample;

	return gyre__sample_of(gyre__arena_of(object)->heap, object, &sample)
		       ? sample.tally->stack->index
		       : GYRE_NO_SITE;
}

uint32_t gyre__sites_count(struct gyre_heap *heap)
{
	uint32_t count = 0;

	if (gyre__frozen(heap))
		return 0;
	gyre__lock_take(&heap->profile.lock);
	if (heap->profile.tables != NULL)
		count = heap->profile.tables->sites.count;
	gyre__lock_drop(&heap->profile.lock);
	return count;
}

size_t gyre__site_name(struct gyre_heap *heap, uint32_t site, char *text, size_t bytes)
{
	const struct gyre__stack *stack = NULL;

	if (gyre__frozen(heap))
		return 0;
	gyre__lock_take(&heap->profile.lock);
	if (heap->profile.tables != NULL && site < heap->profile.tables->sites.count)
		stack = numbered_get(&heap->profile.tables->sites, site);
	gyre__lock_drop(&heap->profile.lock);
	return stack == NULL ? 0 : gyre__stack_name(stack->frames, stack->depth, text, bytes);
}
