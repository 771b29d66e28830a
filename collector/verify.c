/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verify.c: the verifier: is the collector's account of the heap true? Collector thread, with every
 * mutator at rest.
 *
 * It brings all mutators to rest and claims them, lets three epochs pass so that every journal is
 * applied, and then counts anew, from slots, roots and frames alone, into tables of its own. What
 * the allocator says is in use, what the collector says was born, and what the slots refer to must
 * agree; each count must be the number of references; and what is reachable is found by a plain
 * search.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge.h"
#include "ends.h"

enum mark { UNSEEN, REACHED, ENTERED, LEFT }; /* the last two: in the search for acyclic cycles */

struct cells {
	struct gyre__slab *slab;
	uint32_t *counts; /* references to each cell */
	unsigned char *marks;
};

struct verifier {
	struct gyre__collector *c;
	struct gyre_verify_report report;
	gyre_verify_fn found;
	void *arg;
	struct cells *cells; /* by slab->verify_index */
	size_t count, room;
	struct gyre__vector stack;
	uintptr_t *arenas; /* addresses, in order */
	size_t arenas_count;
	uintptr_t last;   /* the arena of the last object */
	const void *from; /* whose references are being looked at */
	bool starved;
};

__attribute__((format(printf, 3, 4))) static void disagree(struct verifier *v, const void *object,
							   const char *format, ...)
{
	va_list arguments;
	char what[160], text[320];

	v->report.disagreements++; /* rare: disagreement */
	if (v->found == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	snprintf(text, sizeof(text), "%s at %p: %s",
		 object != NULL ? gyre__slab_of(object)->type->name : "?", object, what);
	v->found(v->arg, object, text);
}

static struct cells *cells_of(struct verifier *v, const void *object)
{
	return &v->cells[gyre__slab_of(object)->verify_index];
}

static uint64_t word_of(const void *object)
{
	return *gyre__word_of(object);
}

/* In use: born, and not dead and merely waiting to be freed. */
static bool alive(uint64_t word)
{
	return (word & (GYRE_BORN | GYRE_RELEASED)) == GYRE_BORN;
}

static bool vacant(const struct gyre__slab *slab, uint32_t cell)
{
	uint64_t bit = (uint64_t)1 << cell % 64;

	if (slab->class == NULL)
		return (gyre__freed(slab)[0] & bit) != 0;
	return ((gyre__vacant(slab)[cell / 64] | gyre__freed(slab)[cell / 64]) & bit) != 0;
}

static bool add_slab(struct gyre__slab *slab, void *verifier)
{
	struct verifier *v = verifier;
	struct cells *cells;

	if (v->count == v->room) {
		size_t room = v->room == 0 ? 64 : v->room * 2;
		struct cells *more = realloc(v->cells, room * sizeof(*more));

		if (more == NULL) {
			v->starved = true;
			return false;
		}
		v->cells = more;
		v->room = room;
	}
	cells = &v->cells[v->count];
	cells->slab = slab;
	cells->counts = calloc(slab->shape.cells, sizeof(*cells->counts));
	cells->marks = calloc(slab->shape.cells, sizeof(*cells->marks));
	slab->verify_index = (uint32_t)v->count++;
	v->starved = v->starved || cells->counts == NULL || cells->marks == NULL;
	return !v->starved;
}

static int in_order(const void *left, const void *right)
{
	uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;

	return (a > b) - (a < b);
}

/* With everyone at rest the heap's arenas stay as they are. */
static bool list_arenas(struct verifier *v)
{
	const struct gyre__slabs *slabs = &v->c->heap->slabs;
	const struct gyre__arena *arena;

	v->arenas = malloc((slabs->arena_count + 1) * sizeof(*v->arenas));
	v->starved = v->arenas == NULL;
	if (v->starved)
		return false;
	for (arena = slabs->arenas; arena != NULL; arena = arena->next)
		v->arenas[v->arenas_count++] = (uintptr_t)arena;
	qsort(v->arenas, v->arenas_count, sizeof(*v->arenas), in_order);
	return true;
}

/* Whether the address lies in an arena of the heap, so that its slab's descriptor can be read. */
static bool in_arena(struct verifier *v, const void *address)
{
	uintptr_t arena = (uintptr_t)gyre__arena_of(address);

	if (arena == v->last)
		return true;
	if (bsearch(&arena, v->arenas, v->arenas_count, sizeof(arena), in_order) == NULL)
		return false;
	v->last = arena;
	return true;
}

/* Whether address is a cell in use; what a slot refers to must be. */
static bool valid_target(struct verifier *v, const void *address)
{
	struct gyre__slab *slab = gyre__slab_of(address);
	uint32_t cell;

	if (!in_arena(v, address) || gyre__slab_index(address) == 0 ||
	    slab->verify_index >= v->count || v->cells[slab->verify_index].slab != slab)
		return false;
	cell = gyre__cell_index(slab, address);
	return cell < slab->shape.cells && gyre__cell(slab, cell) == address &&
	       !vacant(slab, cell) && alive(word_of(address));
}

static void count_reference(void *verifier, void *child)
{
	struct verifier *v = verifier;

	if (!valid_target(v, child)) {
		if (v->from != NULL)
			disagree(v, v->from, "refers to %p, which is no object", child);
		else
			disagree(v, NULL, "a root or frame refers to %p, which is no object",
				 child);
		return;
	}
	cells_of(v, child)->counts[gyre__cell_index(gyre__slab_of(child), child)]++;
}

static void count_slab(struct verifier *v, struct cells *cells)
{
	struct gyre__slab *slab = cells->slab;
	uint32_t cell;

	for (cell = 0; cell < slab->shape.cells; cell++) {
		void *object = gyre__cell(slab, cell);
		uint64_t word = gyre__words(slab)[cell];

		if (vacant(slab, cell)) {
			if (word != 0)
				disagree(v, object, "a vacant cell has the word %#llx",
					 (unsigned long long)word);
			continue;
		}
		if (!(word & GYRE_BORN)) {
			disagree(v, object, "in use, but never born (word %#llx)",
				 (unsigned long long)word);
			continue;
		}
		if (!alive(word))
			continue;
		v->report.objects++;
		v->report.bytes += gyre__cell_bytes(slab);
		v->from = object;
		gyre__each_edge(v->c, object, count_reference, v);
		if (gyre__side_get(object, GYRE_SIDE_WEAK) != NULL)
			count_reference(v, gyre__side_get(object, GYRE_SIDE_WEAK));
	}
}

static void each_batch(struct verifier *v, const struct gyre__batch *batch,
		       void (*visit)(void *arg, void *object))
{
	size_t i;

	for (; batch != NULL; batch = batch->next)
		for (i = atomic_load_explicit(&batch->unpinned, memory_order_relaxed);
		     i < batch->count; i++)
			visit(v, batch->objects[i]);
}

/* Calls visit for what is pinned for finalizers that wait or run, or by threads that look. */
static void each_pinned(struct verifier *v, void (*visit)(void *arg, void *object))
{
	struct gyre__ends *ends = &v->c->heap->ends;
	const struct gyre__kept *kept;

	gyre__lock_take(&ends->lock);
	each_batch(v, ends->first, visit);
	each_batch(v, ends->active, visit);
	each_batch(v, ends->visited, visit);
	for (kept = ends->kept; kept != NULL; kept = kept->next)
		each_batch(v, &kept->batch, visit);
	gyre__lock_drop(&ends->lock);
}

/* Weak cells that were cleared, but are counted for their objects until a boundary later. */
static void count_cleared(struct verifier *v)
{
	struct gyre__weak_cell *cell;

	for (cell = v->c->cleared; cell != NULL; cell = cell->next)
		count_reference(v, cell);
}

/* Calls visit for each root, and for what the mutators' frames hold. */
static void each_root(struct verifier *v, void (*visit)(void *arg, void *object))
{
	struct gyre_heap *heap = v->c->heap;
	struct gyre_root *root;

	gyre__lock_take(&heap->roots_lock);
	for (root = heap->roots; root != NULL; root = root->next) {
		void *object = gyre_load(&root->slot);

		if (object != NULL)
			visit(v, object);
	}
	gyre__lock_drop(&heap->roots_lock);
}

static void each_kept(struct verifier *v, void (*visit)(void *arg, void *object))
{
	struct gyre_mutator *m;
	const struct gyre_keep *keep;
	size_t i;

	for (m = v->c->heap->registry.first; m != NULL; m = m->next) {
		for (keep = m->head.keeps; keep != NULL; keep = keep->outer) {
			for (i = 0; i < keep->count; i++) {
				void *object;

				memcpy(&object,
				       keep->addresses ? keep->addresses[i]
						       : (const void *)&keep->values[i],
				       sizeof(object));
				if (object != NULL)
					visit(v, object);
			}
		}
	}
}

static void check_counts(struct verifier *v, struct cells *cells)
{
	struct gyre__slab *slab = cells->slab;
	uint32_t cell;

	for (cell = 0; cell < slab->shape.cells; cell++) {
		uint64_t word = gyre__words(slab)[cell];

		if (vacant(slab, cell) || !alive(word) || word & GYRE_STUCK)
			continue;
		if (gyre__rc(word) != cells->counts[cell])
			disagree(v, gyre__cell(slab, cell), "counted %llu, referred to by %u",
				 (unsigned long long)gyre__rc(word), cells->counts[cell]);
		if (word & GYRE_TRACE && !gyre__is_newborn(word) && !(word & GYRE_IN_TRACE))
			disagree(v, gyre__cell(slab, cell), "coloured outside a pass");
	}
}

static void reach(void *verifier, void *object)
{
	struct verifier *v = verifier;
	struct gyre__slab *slab = gyre__slab_of(object);
	unsigned char *mark;

	if (!valid_target(v, object))
		return;
	mark = &v->cells[slab->verify_index].marks[gyre__cell_index(slab, object)];
	if (*mark == REACHED)
		return;
	*mark = REACHED;
	v->report.reachable++;
	if (!gyre__vector_push(&v->stack, object))
		v->starved = true;
}

static void search(struct verifier *v)
{
	each_root(v, reach);
	each_kept(v, reach);
	each_pinned(v, reach);
	while (v->stack.count > 0) {
		void *object = v->stack.items[--v->stack.count];
		void *cell = gyre__side_get(object, GYRE_SIDE_WEAK);

		gyre__each_edge(v->c, object, reach, v);
		if (cell != NULL)
			reach(v, cell);
	}
	v->report.unreachable = v->report.objects - v->report.reachable;
}

/* A reference between declared acyclic objects that closes a cycle, met in a depth-first search. */
static void follow_acyclic(void *verifier, void *child)
{
	struct verifier *v = verifier;
	struct gyre__slab *slab = gyre__slab_of(child);
	unsigned char *mark;

	if (!slab->type->declared_acyclic || !valid_target(v, child))
		return;
	mark = &v->cells[slab->verify_index].marks[gyre__cell_index(slab, child)];
	if (*mark == ENTERED)
		disagree(v, child, "part of a cycle of a type declared acyclic");
	else if (*mark == UNSEEN && !gyre__vector_push(&v->stack, child))
		v->starved = true;
}

/* Objects of acyclic types that nothing reaches: are they cycles, which no count ever frees? */
static void search_acyclic(struct verifier *v, void *start)
{
	v->stack.count = 0;
	follow_acyclic(v, start);
	while (v->stack.count > 0 && !v->starved) {
		void *object = v->stack.items[v->stack.count - 1];
		struct gyre__slab *slab = gyre__slab_of(object);
		unsigned char *mark =
			&v->cells[slab->verify_index].marks[gyre__cell_index(slab, object)];

		if (*mark != UNSEEN) {
			/* All that it reaches has been looked at. */
			*mark = LEFT;
			v->stack.count--;
			continue;
		}
		*mark = ENTERED;
		gyre__each_edge(v->c, object, follow_acyclic, v);
	}
}

static void check_acyclic(struct verifier *v)
{
	uint32_t cell;
	size_t i;

	for (i = 0; i < v->count && v->report.unreachable > 0; i++) {
		struct gyre__slab *slab = v->cells[i].slab;

		for (cell = 0; cell < slab->shape.cells && slab->type->declared_acyclic; cell++)
			if (!vacant(slab, cell) && alive(gyre__words(slab)[cell]) &&
			    v->cells[i].marks[cell] == UNSEEN)
				search_acyclic(v, gyre__cell(slab, cell));
	}
}

static void check(struct verifier *v)
{
	size_t i;

	if (!list_arenas(v) || !gyre__slabs_each(v->c->heap, add_slab, v))
		return;
	for (i = 0; i < v->count; i++)
		count_slab(v, &v->cells[i]);
	v->from = NULL;
	each_root(v, count_reference);
	each_kept(v, count_reference);
	each_pinned(v, count_reference);
	count_cleared(v);
	for (i = 0; i < v->count; i++)
		check_counts(v, &v->cells[i]);
	search(v);
	check_acyclic(v);
}

static void release_tables(struct verifier *v)
{
	size_t i;

	for (i = 0; i < v->count; i++) {
		free(v->cells[i].counts);
		free(v->cells[i].marks);
	}
	free(v->cells);
	free(v->arenas);
	gyre__vector_destroy(&v->stack);
}

/* Claims who is parked; whether all are at rest now. */
static bool claim_all(struct gyre_heap *heap)
{
	struct gyre_mutator *m;
	bool all = true;

	gyre__lock_take(&heap->registry.lock);
	for (m = heap->registry.first; m != NULL; m = m->next) {
		uint32_t state = gyre__mutator_state(m);

		if (state == GYRE_MUTATOR_EXITED || state == GYRE_MUTATOR_CLAIMED)
			continue;
		if (state != GYRE_MUTATOR_PARKED || !gyre__claim(m))
			all = false;
	}
	gyre__lock_drop(&heap->registry.lock);
	return all;
}

static void stop_all(struct gyre__collector *c)
{
	struct gyre_heap *heap = c->heap;
	struct gyre_mutator *m;

	gyre__lock_take(&heap->registry.lock);
	heap->registry.stopping = true;
	for (m = heap->registry.first; m != NULL; m = m->next)
		gyre__mutator_poll(m, GYRE_POLL_STOP);
	gyre__lock_drop(&heap->registry.lock);
	atomic_store_explicit(&c->waiting_since, gyre__now_ns(), memory_order_relaxed);
	while (!claim_all(heap))
		gyre__pause_ns(20000); /* rare: stop waits for a thread */
	atomic_store_explicit(&c->waiting_since, 0, memory_order_relaxed);
}

static void let_all_go(struct gyre_heap *heap)
{
	struct gyre_mutator *m;

	gyre__lock_take(&heap->registry.lock);
	heap->registry.stopping = false;
	for (m = heap->registry.first; m != NULL; m = m->next) {
		gyre__mutator_unpoll(m, GYRE_POLL_STOP);
		if (gyre__mutator_state(m) == GYRE_MUTATOR_CLAIMED)
			gyre__unclaim(m);
	}
	gyre__event_signal(&heap->registry.released);
	gyre__lock_drop(&heap->registry.lock);
}

/* Applies every journal: with all at rest, the third boundary finds nothing. Cells that are neither
 * free nor born exist only in runs, so the runs go back to their slabs. */
static void settle(struct gyre__collector *c)
{
	struct gyre_mutator *m;
	unsigned i;

	for (i = 0; i < 3; i++)
		gyre__cycle(c);
	for (m = c->heap->registry.first; m != NULL; m = m->next)
		gyre__bins_relinquish(m);
	gyre__flush(c);
}

void gyre__serve_verify(struct gyre__collector *c)
{
	struct gyre__requests *r = &c->requests;
	struct verifier v = { .c = c, .report = { .size = sizeof(v.report) } };
	bool asked;

	gyre__lock_take(&r->lock);
	asked = r->verify_asked;
	v.found = r->found;
	v.arg = r->found_arg;
	gyre__lock_drop(&r->lock);
	if (!asked)
		return;
	gyre__stop_begin();
	stop_all(c);
	settle(c);
	check(&v);
	let_all_go(c->heap);
	gyre__stop_end();
	release_tables(&v);
	gyre__lock_take(&r->lock);
	*r->report = v.report;
	r->verify_status = v.starved                    ? GYRE_NO_MEMORY
			   : v.report.disagreements > 0 ? GYRE_DISAGREES
							: GYRE_OK;
	r->verify_asked = false;
	gyre__event_signal(&r->done);
	gyre__lock_drop(&r->lock);
}
