/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.h: chunks, the one form in which a mutator tells the collector anything.
 *
 * A chunk is a page of words of one kind. JOURNAL: an object a word, DECREMENT in its low bit, in
 * the order of writing. BIRTHS: pairs (first cell, number of cells), newborns that lie side by
 * side. SNAPSHOT: an object a word, what the keep frames held at the boundary.
 *
 * Owners: an open chunk belongs to its mutator; a sealed one to the collector, from the store of
 * the mutator's epoch word on; a spare one to whoever holds it. Nobody ever writes to a sealed
 * chunk.
 */
#ifndef GYRE_JOURNAL_H
#define GYRE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/wait.h"

struct gyre_heap;
struct gyre_mutator;

#define GYRE_CHUNK_BYTES 4096
#define GYRE_CHUNK_ENTRIES ((GYRE_CHUNK_BYTES - 24) / sizeof(uintptr_t))
#define GYRE_DECREMENT ((uintptr_t)1)

enum gyre__chunk_kind { GYRE_CHUNK_JOURNAL, GYRE_CHUNK_BIRTHS, GYRE_CHUNK_SNAPSHOT };

struct gyre__chunk {
	struct gyre__chunk *next;
	uint32_t kind;
	uint32_t count;
	uint64_t unused; /* keeps entries on a 8-byte boundary that is not the line's first word */
	uintptr_t entries[GYRE_CHUNK_ENTRIES];
};

_Static_assert(sizeof(struct gyre__chunk) == GYRE_CHUNK_BYTES, "a chunk is a page");

/* The heap's store of spare chunks. */
struct gyre__chunks {
	struct gyre__lock lock;
	struct gyre__chunk *spare;
	size_t spare_count;
};

bool gyre__chunks_init(struct gyre__chunks *chunks);
void gyre__chunks_destroy(struct gyre__chunks *chunks);

/* A chunk for m, from its ring, the heap's store or the system; NULL: the limit, or no memory. */
struct gyre__chunk *gyre__chunk_take(struct gyre_mutator *m);
/* The same for a snapshot. The limit does not hold here, as the journals shrink only by
 * boundaries; and without memory there are the mutator's spare chunks. */
struct gyre__chunk *gyre__chunk_take_for_snapshot(struct gyre_mutator *m);
/* Gives a chain of chunks back to the heap's store or the system. */
void gyre__chunk_give(struct gyre_heap *heap, struct gyre__chunk *chain);

static inline void gyre__chain_append(struct gyre__chunk **chain, struct gyre__chunk *more)
{
	while (*chain != NULL)
		chain = &(*chain)->next;
	*chain = more;
}

/* Makes room for entries more words in the journal of m. On failure nothing is lost or stored. */
bool gyre__journal_reserve(struct gyre_mutator *m, size_t entries);
/* Goes to the next chunk; room was reserved. */
void gyre__journal_turn(struct gyre_mutator *m);
/* Tops the spare chunks up to what a safe point promises, or asks the next one to try again. */
void gyre__journal_refill(struct gyre_mutator *m);

#endif
