/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.c: where chunks come from and go to. Mutators take chunks (from the ring in which the
 * collector returns what they used, so in the steady state no lock is touched); the collector
 * gives.
 *
 * Invariants: the heap's journal_bytes counts every chunk outside the store; a mutator holds enough
 * spare chunks for GYRE_STORES_RESERVED stores after each safe point that found memory.
 */
#include "journal.h"

#include <stdlib.h>

#include "heap.h"
#include "mutator.h"
#include "pressure.h"

/* Spare chunks that the store keeps before it gives memory back to the system. */
#define STORE_KEEPS 256

bool gyre__chunks_init(struct gyre__chunks *chunks)
{
	chunks->spare = NULL;
	chunks->spare_count = 0;
	return gyre__lock_init(&chunks->lock);
}

void gyre__chunks_destroy(struct gyre__chunks *chunks)
{
	while (chunks->spare != NULL) {
		struct gyre__chunk *chunk = chunks->spare;

		chunks->spare = chunk->next;
		free(chunk);
	}
	gyre__lock_destroy(&chunks->lock);
}

static struct gyre__chunk *take_spare(struct gyre__chunks *chunks)
{
	struct gyre__chunk *chunk;

	gyre__lock_take(&chunks->lock);
	chunk = chunks->spare;
	if (chunk != NULL) {
		chunks->spare = chunk->next;
		chunks->spare_count--;
	}
	gyre__lock_drop(&chunks->lock);
	return chunk;
}

static struct gyre__chunk *take_counted(struct gyre_mutator *m, size_t limit)
{
	struct gyre_heap *heap = m->heap;
	gyre__counter *used = &heap->shared.journal_bytes;
	uint64_t bytes = gyre__counter_add_shared(used, GYRE_CHUNK_BYTES);
	struct gyre__chunk *chunk = NULL;

	if (bytes <= limit) {
		chunk = take_spare(&heap->chunks);
		if (chunk == NULL)
			chunk = malloc(sizeof(*chunk));
	}
	/* Told now, as the limit may be gone at the next look. */
	m->refusal = bytes > limit ? GYRE_JOURNAL_FULL : GYRE_NO_MEMORY;
	if (chunk == NULL)
		atomic_fetch_sub_explicit(used, GYRE_CHUNK_BYTES, memory_order_relaxed);
	else
		gyre__counter_max_shared(&heap->shared.journal_bytes_max, bytes);
	return chunk;
}

static struct gyre__chunk *take(struct gyre_mutator *m, size_t limit)
{
	struct gyre__chunk *chunk = gyre__ring_take(&m->returned);

	if (chunk == NULL)
		chunk = take_counted(m, limit);
	if (chunk == NULL)
		return NULL;
	chunk->next = NULL;
	chunk->count = 0;
	gyre__pressure_add(m, GYRE_CHUNK_BYTES);
	return chunk;
}

/* An eighth of the limit is left to boundaries. */
static size_t limit_of(const struct gyre_heap *heap)
{
	return heap->options.journal_limit - heap->options.journal_limit / 8;
}

struct gyre__chunk *gyre__chunk_take(struct gyre_mutator *m)
{
	return take(m, limit_of(m->heap));
}

struct gyre__chunk *gyre__chunk_take_for_snapshot(struct gyre_mutator *m)
{
	struct gyre__chunk *chunk = take(m, SIZE_MAX);

	if (chunk == NULL && m->spare != NULL) {
		chunk = m->spare;
		m->spare = chunk->next;
		m->spare_count--;
		chunk->next = NULL;
	}
	return chunk;
}

void gyre__chunk_give(struct gyre_heap *heap, struct gyre__chunk *chain)
{
	struct gyre__chunk *excess = NULL;
	size_t bytes = 0;

	if (chain == NULL)
		return;
	gyre__lock_take(&heap->chunks.lock);
	while (chain != NULL) {
		struct gyre__chunk *chunk = chain;

		chain = chunk->next;
		bytes += GYRE_CHUNK_BYTES;
		if (heap->chunks.spare_count < STORE_KEEPS) {
			chunk->next = heap->chunks.spare;
			heap->chunks.spare = chunk;
			heap->chunks.spare_count++;
		} else {
			chunk->next = excess; /* rare: store of chunks is full */
			excess = chunk;
		}
	}
	gyre__lock_drop(&heap->chunks.lock);
	atomic_fetch_sub_explicit(&heap->shared.journal_bytes, bytes, memory_order_relaxed);
	while (excess != NULL) {
		struct gyre__chunk *chunk = excess;

		excess = chunk->next;
		free(chunk);
	}
}

static bool add_spare(struct gyre_mutator *m)
{
	struct gyre__chunk *chunk = gyre__chunk_take(m);

	if (chunk == NULL)
		return false;
	chunk->next = m->spare;
	m->spare = chunk;
	m->spare_count++;
	return true;
}

/* Words that fit before a chunk has to be taken. */
static size_t room(const struct gyre_mutator *m)
{
	return (size_t)(m->journal_end - m->journal_at) + m->spare_count * GYRE_CHUNK_ENTRIES;
}

bool gyre__journal_reserve(struct gyre_mutator *m, size_t entries)
{
	uint64_t start;

	if (room(m) >= entries)
		return true;
	start = gyre__now_ns();
	while (room(m) < entries && add_spare(m))
		;
	gyre__delay_record(&m->heap->shared, GYRE_DELAY_JOURNAL, gyre__now_ns() - start);
	if (room(m) >= entries)
		return true;
	/* What was gathered in vain must not keep others from writing. */
	while (m->spare != NULL && room(m) >= 2 * GYRE_STORES_RESERVED + GYRE_CHUNK_ENTRIES) {
		struct gyre__chunk *chunk = m->spare;

		m->spare = chunk->next;
		m->spare_count--;
		chunk->next = NULL;
		gyre__chunk_give(m->heap, chunk);
	}
	return false; /* rare: journal full */
}

void gyre__journal_turn(struct gyre_mutator *m)
{
	struct gyre__chunk *chunk = m->spare;

	m->spare = chunk->next;
	m->spare_count--;
	chunk->kind = GYRE_CHUNK_JOURNAL;
	chunk->next = NULL;
	if (m->journal != NULL) {
		m->journal->count = GYRE_CHUNK_ENTRIES;
		m->journal->next = m->filled;
		m->filled = m->journal;
	}
	m->journal = chunk;
	m->journal_at = chunk->entries;
	m->journal_end = chunk->entries + GYRE_CHUNK_ENTRIES;
}

void gyre__journal_refill(struct gyre_mutator *m)
{
	while (room(m) < 2 * GYRE_STORES_RESERVED)
		if (!add_spare(m)) {
			/* The next safe point tries again, after a delay if that may help. */
			gyre__mutator_poll(m, GYRE_POLL_REFILL | GYRE_POLL_PRESSURE);
			return;
		}
}
