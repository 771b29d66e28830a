/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.h: chunks, the one form in which a mutator tells the collector anything, and logs, the
 * chunks of one kind that a mutator fills in an epoch.
 *
 * A chunk is a page of words of one kind. JOURNAL: an object a word, DECREMENT in its low bit, in
 * the order of writing. SLOTS: pairs (slot, with ENTRY_EARLY in its low bit; the object that it
 * held at the end of the epoch before). BIRTHS: pairs (first cell, number of cells), newborns that
 * lie side by side. SNAPSHOT: an object a word, what the keep frames held at the boundary. SNOOPED:
 * the same, what was snooped; it is counted as part of the snapshot.
 *
 * Owners: an open chunk belongs to its mutator; a sealed one to the collector, from the store of
 * the mutator's phase word on; a spare one to whoever holds it. Nobody but the collector ever
 * writes to a sealed chunk. Of an open chunk of SLOTS the collector may read the words that it
 * shows.
 */
#ifndef GYRE_JOURNAL_H
#define GYRE_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

#include "platform/wait.h"

struct gyre_heap;
struct gyre_mutator;

#define GYRE_CHUNK_BYTES 4096
#define GYRE_CHUNK_ENTRIES ((GYRE_CHUNK_BYTES - 24) / sizeof(uintptr_t))
#define GYRE_DECREMENT ((uintptr_t)1)

enum gyre__chunk_kind {
	GYRE_CHUNK_JOURNAL,
	GYRE_CHUNK_SLOTS,
	GYRE_CHUNK_BIRTHS,
	GYRE_CHUNK_SNAPSHOT,
	GYRE_CHUNK_SNOOPED
};

struct gyre__chunk {
	struct gyre__chunk *next;
	uint32_t kind;
	uint32_t count;
	_Atomic(uint64_t) shown; /* SLOTS: words that the collector may read while it is open */
	uintptr_t entries[GYRE_CHUNK_ENTRIES];
};

_Static_assert(sizeof(struct gyre__chunk) == GYRE_CHUNK_BYTES, "a chunk is a page");

/* Chunks of one kind that a mutator fills. */
struct gyre__log {
	uintptr_t *at, *end;        /* in the open chunk */
	struct gyre__chunk *open;   /* NULL: none was needed yet */
	struct gyre__chunk *filled; /* of this epoch, most recent first */
	uint32_t kind;
};

/* The heap's store of spare chunks. */
struct gyre__chunks {
	struct gyre__lock lock;
	struct gyre__chunk *spare;
	size_t spare_count;
	size_t spare_low; /* least spare_count since the last trim */
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

/* Collector: gives spare chunks that were not needed since the last call back to the system. */
void gyre__chunks_trim(struct gyre_heap *heap);

static inline void gyre__chain_append(struct gyre__chunk **chain, struct gyre__chunk *more)
{
	while (*chain != NULL)
		chain = &(*chain)->next;
	*chain = more;
}

/* Spare chunks that words more in a log may take. */
static inline size_t gyre__log_needs(const struct gyre__log *log, size_t words)
{
	size_t rest = (size_t)(log->end - log->at), room = GYRE_CHUNK_ENTRIES;

	if (__builtin_expect(words <= rest, 1))
		return 0;
	/* A pair never lies in two chunks. */
	room -= log->kind == GYRE_CHUNK_SLOTS;
	return (words - rest + room - 1) / room;
}

/* Goes to the next chunk of a log; m has a spare one. */
void gyre__log_turn(struct gyre_mutator *m, struct gyre__log *log);
/* What was written to a log, as a chain; it goes on empty. */
struct gyre__chunk *gyre__log_seal(struct gyre__log *log);

/* Makes sure that m has count spare chunks; false without memory or at the limit, and then nothing
 * is lost or kept. */
bool gyre__spare_reserve(struct gyre_mutator *m, size_t count);
/* Tops the spare chunks up to what a safe point promises, or asks the next one to try again. */
void gyre__spare_refill(struct gyre_mutator *m);
/* Why m's write is refused: there was no room for its entries. */
enum gyre_status gyre__refuse(struct gyre_mutator *m);

#endif
