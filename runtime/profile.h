/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile.h: sampled allocations: which ones are, where they were made, and whether they live.
 *
 * A sample is an entry of kind GYRE_SIDE_SAMPLE in the side table of the object's slab, a word: the
 * number of a tally, and when the object was born. A tally counts the samples that have all in
 * common: backtrace (a site), type, bytes of the cell, rate; so each of them stands for the same
 * number of objects, and the counts are whole numbers. Tallies and sites are made by mutators, and
 * stay as long as the heap.
 *
 * Who writes: `rate` who starts and stops; `allocated` mutators; `freed` the collector; the tables
 * whoever has the lock. What a mutator has found in the tables the collector may look up after the
 * boundary without it.
 *
 * Invariant: a sample is counted as allocated before its entry is set, and as freed when the entry
 * is taken away, before the cell is vacant; so allocated - freed is the number of entries, or more.
 */
#ifndef GYRE_RUNTIME_PROFILE_H
#define GYRE_RUNTIME_PROFILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/wait.h"

struct gyre_heap;
struct gyre_mutator;
struct gyre_type;
struct gyre__slab;

#define GYRE_NO_SITE UINT32_MAX

/* A site: a backtrace. */
struct gyre__stack {
	struct gyre__stack *next; /* with the same hash, more or less */
	uint64_t hash;
	uint32_t index, depth;
	const void *frames[];
};

struct gyre__tally {
	struct gyre__tally *next;
	uint64_t hash;
	const struct gyre__stack *stack;
	const struct gyre_type *type;
	size_t bytes;
	uint64_t rate;
	uint32_t number;
	_Atomic(uint64_t) allocated, freed; /* samples */
};

#define GYRE_PROFILE_HEADS 4096
#define GYRE_PROFILE_CHUNK 512
#define GYRE_PROFILE_CHUNKS 2048
#define GYRE_TALLIES_MAX (GYRE_PROFILE_CHUNK * GYRE_PROFILE_CHUNKS)

/* Pointers by number, in chunks that stay where they are. */
struct gyre__numbered {
	uint32_t count;
	void **chunks[GYRE_PROFILE_CHUNKS];
};

/* Made at the first start. */
struct gyre__profile_tables {
	uint64_t began_ns;
	uint64_t rate;                                  /* of the last start */
	struct gyre__stack *stacks[GYRE_PROFILE_HEADS]; /* with the lock */
	_Atomic(struct gyre__tally *) tallies[GYRE_PROFILE_HEADS];
	struct gyre__numbered sites, all; /* stacks; tallies */
};

struct gyre__profile {
	_Atomic(uint64_t) rate; /* 0: off */
	_Atomic(uint64_t) lost;
	_Atomic(uint64_t) seeds; /* threads that have drawn */
	struct gyre__lock lock;
	struct gyre__profile_tables *tables;
};

bool gyre__profile_init(struct gyre__profile *profile);
void gyre__profile_destroy(struct gyre__profile *profile);

/* m's rate becomes the heap's: at each boundary, and when it attaches. Who owns m. */
void gyre__sampling_turn(struct gyre_mutator *m);

/* How many of m's next objects, of so many bytes each, go by before one is to be sampled; if none
 * of the next `objects` is, that number. */
uint32_t gyre__sample_after(struct gyre_mutator *m, size_t bytes, uint32_t objects);

/* Samples an object that m has just made, at the call that returns to from. */
void gyre__sample(struct gyre_mutator *m, const void *object, const void *from);

/* Collector: the object is freed; if it was sampled, it is so no more. */
void gyre__sample_end(struct gyre_heap *heap, const void *object);
/* The same for the cells of a word of a bitmap of the slab's; first is a multiple of 64. */
void gyre__samples_end(struct gyre_heap *heap, const struct gyre__slab *slab, uint32_t first,
		       uint64_t cells);

/* For each object that a sample stands for itself: the inverse of the probability. */
double gyre__sample_weight(size_t bytes, uint64_t rate);

/* The tally of a number below what was read with the lock held; any thread. */
struct gyre__tally *gyre__tally_at(const struct gyre_heap *heap, uint32_t number);

/* What an entry says. */
struct gyre__sample {
	const struct gyre__tally *tally;
	uint32_t number;  /* of the tally */
	uint64_t born_ns; /* since began_ns, to the millisecond */
};

/* False: the object is no sample. Collector, between two cycles, or a thread that holds it. */
bool gyre__sample_of(const struct gyre_heap *heap, const void *object, struct gyre__sample *sample);

/* The site of an object, or GYRE_NO_SITE. The same. */
uint32_t gyre__site_of(const void *object);
/* Sites so far: they are numbered from 0. Any thread; 0 in a frozen heap. */
uint32_t gyre__sites_count(struct gyre_heap *heap);
/* The site's name as gyre_profile_name gives it; the same. */
size_t gyre__site_name(struct gyre_heap *heap, uint32_t site, char *text, size_t bytes);

/* profile_write.c: the same, of a backtrace. */
size_t gyre__stack_name(const void *const *frames, uint32_t depth, char *text, size_t bytes);

#endif
