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

#include "engine.h"
#include "heap.h"
#include "mutator.h"
#include "pressure.h"

/* Spare chunks that the store keeps although nobody needs them, and the share of the limit that it
 * keeps until it is known that nobody does. */
#define STORE_KEEPS 256
#define STORE_SHARE 8

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
		if (chunks->spare_count < chunks->spare_low)
			chunks->spare_low = chunks->spare_count;
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
	gyre__pressure_journal(m, GYRE_CHUNK_BYTES);
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

static void free_chain(struct gyre__chunk *chain)
{
	while (chain != NULL) {
		struct gyre__chunk *chunk = chain;

		chain = chunk->next;
		free(chunk);
	}
}

void gyre__chunk_give(struct gyre_heap *heap, struct gyre__chunk *chain)
{
	size_t most = heap->options.journal_limit / STORE_SHARE / GYRE_CHUNK_BYTES;
	struct gyre__chunk *excess = NULL;
	size_t bytes = 0;

	if (chain == NULL)
		return;
	gyre__lock_take(&heap->chunks.lock);
	while (chain != NULL) {
		struct gyre__chunk *chunk = chain;

		chain = chunk->next;
		bytes += GYRE_CHUNK_BYTES;
		if (heap->chunks.spare_count < most) {
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
	free_chain(excess);
}

void gyre__chunks_trim(struct gyre_heap *heap)
{
	struct gyre__chunks *chunks = &heap->chunks;
	struct gyre__chunk *unneeded = NULL;

	gyre__lock_take(&chunks->lock);
	while (chunks->spare_low > STORE_KEEPS) {
		struct gyre__chunk *chunk = chunks->spare;

		chunks->spare = chunk->next;
		chunks->spare_count--;
		chunks->spare_low--;
		chunk->next = unneeded;
		unneeded = chunk;
	}
	chunks->spare_low = chunks->spare_count;
	gyre__lock_drop(&chunks->lock);
	free_chain(unneeded);
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

/* Spare chunks that a safe point promises. */
static size_t promised(const struct gyre_mutator *m)
{
	return m->heap->engine->needs(m, GYRE_STORES_RESERVED);
}

bool gyre__spare_reserve(struct gyre_mutator *m, size_t count)
{
	uint64_t start;

	if (__builtin_expect(m->spare_count >= count, 1))
		return true;
	start = gyre__now_ns();
	while (m->spare_count < count && add_spare(m))
		;
	gyre__delay_record(&m->heap->shared, GYRE_DELAY_JOURNAL, gyre__now_ns() - start);
	if (m->spare_count >= count)
		return true;
	/* What was gathered in vain must not keep others from writing. */
	while (m->spare_count > promised(m)) {
		struct gyre__chunk *chunk = m->spare;

		m->spare = chunk->next;
		m->spare_count--;
		chunk->next = NULL;
		gyre__chunk_give(m->heap, chunk);
	}
	return false; /* rare: journal full */
}

void gyre__log_turn(struct gyre_mutator *m, struct gyre__log *log)
{
	struct gyre__chunk *chunk = m->spare;

	m->spare = chunk->next;
	m->spare_count--;
	if (log->open != NULL) {
		log->open->count = (uint32_t)(log->at - log->open->entries);
		log->filled = log->open; /* linked to the rest since it was opened */
	}
	chunk->kind = log->kind;
	chunk->next = log->filled;
	log->open = chunk;
	log->at = chunk->entries;
	log->end = chunk->entries + GYRE_CHUNK_ENTRIES - (log->kind == GYRE_CHUNK_SLOTS);
}

struct gyre__chunk *gyre__log_seal(struct gyre__log *log)
{
	struct gyre__chunk *chain = log->filled;

	log->filled = NULL;
	if (log->open == NULL)
		return chain;
	log->open->count = (uint32_t)(log->at - log->open->entries);
	if (log->open->count == 0) {
		log->open->next = NULL;
		return chain; /* nothing in it: the chunk stays */
	}
	chain = log->open;
	log->open = NULL;
	log->at = log->end = NULL;
	return chain;
}

enum gyre_status gyre__refuse(struct gyre_mutator *m)
{
	struct gyre_heap *heap = m->heap;

	gyre__counter_add_shared(&heap->shared.stores_refused, 1);
	/* The next safe point tries to find memory, and waits for the collector if it must. */
	gyre__mutator_poll(m, GYRE_POLL_REFILL | GYRE_POLL_PRESSURE);
	return m->refusal;
}

void gyre__spare_refill(struct gyre_mutator *m)
{
	while (m->spare_count < promised(m))
		if (!add_spare(m)) {
			/* The next safe point tries again, after a delay if that may help. */
			gyre__mutator_poll(m, GYRE_POLL_REFILL | GYRE_POLL_PRESSURE);
			return;
		}
}
