/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.c: what slots held when the open epoch began: engine tagged. Collector thread, while
 * mutators write.
 *
 * A slot that the open epoch has written already does not tell its value at the end of the epoch
 * that is being processed. The journal of who wrote it first does, and that journal is still open.
 * So the open journals are read as far as their owners show them, into a table; what is not there
 * yet is waited for: its writer stands between the exchange of the slot and the entry. Nearly all
 * lookups are of slots that the processing was about to clean; their entries say so, and the table
 * holds only those until another one is asked for.
 *
 * Invariants: an entry is read after its owner has shown it, and never again in the same
 * processing; no mutator waits for a lookup. Without memory for the table each lookup reads all
 * open journals.
 */
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "platform/wait.h"
#include "tag.h"

#define LEAST_ROOM 1024
/* A table with more room than this is given back after an epoch that did not need it. */
#define KEPT_ROOM ((size_t)1 << 16)
#define PAUSE_NS 20000
/* Entries between the fetch of their places and their use. */
#define AHEAD 24

static size_t place(const struct gyre__view *view, uintptr_t slot)
{
	return (size_t)((slot >> 3) * 0x9e3779b97f4a7c15u >> 20) & (view->room - 1);
}

/* The pair of a slot, or the empty one where it would be. */
static uintptr_t *find(const struct gyre__view *view, uintptr_t slot)
{
	size_t at = place(view, slot);

	while (view->pairs[2 * at] != 0 && view->pairs[2 * at] != slot)
		at = (at + 1) & (view->room - 1);
	return &view->pairs[2 * at];
}

GYRE_FETCHES prefetch(const struct gyre__view *view, uintptr_t slot)
{
	if (view->room > 0)
		__builtin_prefetch(&view->pairs[2 * place(view, slot)], 1);
}

static bool grow(struct gyre__view *view)
{
	struct gyre__view more = { .room = view->room == 0 ? LEAST_ROOM : 2 * view->room };
	size_t i;

	more.pairs = calloc(more.room, 2 * sizeof(*more.pairs));
	if (more.pairs == NULL)
		return false;
	for (i = 0; i < view->room; i++) {
		uintptr_t *pair;

		if (view->pairs[2 * i] == 0)
			continue;
		pair = find(&more, view->pairs[2 * i]);
		pair[0] = view->pairs[2 * i];
		pair[1] = view->pairs[2 * i + 1];
	}
	free(view->pairs);
	view->pairs = more.pairs;
	view->room = more.room;
	return true;
}

static void add(struct gyre__view *view, uintptr_t slot, uintptr_t old)
{
	uintptr_t *pair;

	if (2 * view->count >= view->room && !grow(view)) {
		view->starved = true; /* rare: lookup table without memory */
		return;
	}
	pair = find(view, slot);
	view->count += pair[0] == 0;
	pair[0] = slot;
	pair[1] = old;
}

void gyre__view_begin(struct gyre__collector *c)
{
	struct gyre__view *view = &c->tagged.view;
	struct gyre_mutator *m;

	for (m = gyre__mutators(c->heap); m != NULL; m = m->next)
		m->seen = NULL;
	if (view->room > KEPT_ROOM && 4 * view->count < view->room)
		gyre__view_destroy(view);
	else if (view->count > 0)
		memset(view->pairs, 0, 2 * view->room * sizeof(*view->pairs));
	view->count = 0;
	view->starved = view->whole = false;
}

void gyre__view_destroy(struct gyre__view *view)
{
	free(view->pairs);
	view->pairs = NULL;
	view->room = 0;
}

/* Adds what m has shown since it was last looked at. */
static void gather_from(struct gyre__view *view, struct gyre_mutator *m)
{
	/* Acquire pairs with the release in turn_slots: the chunk and its link. */
	struct gyre__chunk *newest = atomic_load_explicit(&m->shown, memory_order_acquire);
	struct gyre__chunk *chunk = newest;
	uint64_t newest_words = 0, i;

	for (; chunk != NULL && !view->starved; chunk = chunk->next) {
		/* Acquire pairs with the release in record: the entries. */
		uint64_t words = atomic_load_explicit(&chunk->shown, memory_order_acquire);

		for (i = chunk == m->seen ? m->seen_words : 0; i < words; i += 2) {
			if (i + 2 * AHEAD < words)
				prefetch(view, chunk->entries[i + 2 * AHEAD]);
			if (chunk->entries[i] & GYRE_ENTRY_EARLY || view->whole)
				add(view, chunk->entries[i] & ~GYRE_ENTRY_EARLY,
				    chunk->entries[i + 1]);
		}
		if (chunk == newest)
			newest_words = words;
		if (chunk == m->seen)
			break;
	}
	m->seen = newest;
	m->seen_words = newest_words;
}

/* Searches the journal of m; true if slot is there. */
static bool search(struct gyre_mutator *m, uintptr_t slot, uintptr_t *old)
{
	struct gyre__chunk *chunk = atomic_load_explicit(&m->shown, memory_order_acquire);
	uint64_t i;

	for (; chunk != NULL; chunk = chunk->next) {
		uint64_t words = atomic_load_explicit(&chunk->shown, memory_order_acquire);

		for (i = 0; i < words; i += 2) {
			if ((chunk->entries[i] & ~GYRE_ENTRY_EARLY) != slot)
				continue;
			*old = chunk->entries[i + 1];
			return true;
		}
	}
	return false;
}

static bool known(const struct gyre__view *view, uintptr_t slot, uintptr_t *old)
{
	const uintptr_t *pair;

	if (view->count == 0)
		return false;
	pair = find(view, slot);
	*old = pair[1];
	return pair[0] == slot;
}

static bool look_again(struct gyre__collector *c, uintptr_t slot, uintptr_t *old)
{
	struct gyre__view *view = &c->tagged.view;
	struct gyre_mutator *m;

	for (m = gyre__mutators(c->heap); m != NULL; m = m->next)
		gather_from(view, m);
	if (known(view, slot, old))
		return true;
	if (!view->whole && !GYRE_TWIN(clean_not_sought)) {
		/* A slot that was clean when it was written: of a dead object, or of a newborn that
		 * was born so. */
		view->whole = true; /* rare: lookup of a slot that was clean */
		for (m = gyre__mutators(c->heap); m != NULL; m = m->next)
			m->seen = NULL;
		return look_again(c, slot, old);
	}
	if (!view->starved || GYRE_TWIN(starved_not_searched))
		return false;
	for (m = gyre__mutators(c->heap); m != NULL; m = m->next)
		if (search(m, slot, old))
			return true;
	return false;
}

void gyre__view_prefetch(const struct gyre__collector *c, const gyre_ref *slot)
{
	prefetch(&c->tagged.view, (uintptr_t)slot);
}

void *gyre__view_look_up(struct gyre__collector *c, const gyre_ref *slot)
{
	uintptr_t old;

	gyre__counter_add(&c->heap->counted.views_looked_up, 1);
	if (GYRE_TWIN(view_is_now))
		return gyre_load(slot);
	if (known(&c->tagged.view, (uintptr_t)slot, &old))
		return (void *)old;
	while (!look_again(c, (uintptr_t)slot, &old)) {
		if (GYRE_TWIN(lookup_does_not_wait))
			return gyre_load(slot);
		gyre__pause_ns(PAUSE_NS); /* rare: lookup waits for a writer */
	}
	return (void *)old;
}
