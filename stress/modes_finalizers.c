/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_finalizers.c: rings and chains whose members have finalizers, or not.
 *
 * Workers make rings of plain members, of such as cut their links when they are finalized, and of
 * such as bring themselves back; chains hang on some, others are alone. They hold them for a while
 * or put them into a table from which any thread drops them. What came back lies in a second table:
 * workers take it out, have its finalizer armed again, drop it, put it back. Finalizers run on
 * gyre's thread, or on two of the host's and now and then on the workers.
 *
 * When all are at rest, a walk from tables and frames finds what is reachable. Every finalizer of
 * what is not must have run as often as it was armed, and that of what is at most one time less.
 */
#include "finmode.h"

#include <stdlib.h>

#define STEPS_PER_ROUND 256

/* ---- Making ---- */

/* Makes count members into the frame's places from first on, and links each to the next. */
static bool make_line(struct stress_worker *w, size_t first, size_t count, bool acyclic,
		      uint32_t deeds)
{
	struct fin_worker *own = w->own;
	struct mortal_node *node, *last = NULL;
	size_t k;

	for (k = 0; k < count; k++) {
		node = member_make(w, acyclic, deeds, own->identity++);
		own->making[first + k] = node;
		if (!node || (last && !shape_init(w, last, &last->next, node)))
			return false;
		node->place = (uint32_t)k;
		if (stress_chance(&w->rng, 1, 64))
			member_rearm_idle(w, node);
		last = node;
	}
	return true;
}

/* Each of a chain is owned by the nearest with a finalizer before it. */
static void own_chain(struct stress_worker *w, size_t first, size_t count,
		      struct mortal_node *owner)
{
	struct fin_worker *own = w->own;
	struct mortal_node *node;
	size_t k;

	for (k = 0; k < count; k++) {
		node = own->making[first + k];
		if (owner)
			member_owns(owner, node);
		if (node->record)
			owner = node;
	}
}

/* Asks for the cells of some; a node may refer to its own, and the worker watches some. */
static bool make_cells(struct stress_worker *w, size_t count)
{
	struct fin_worker *own = w->own;
	struct mortal_node *node;
	struct gyre_weak *cell;
	size_t k, h;

	for (k = 0; k < count; k++) {
		node = own->making[k];
		if (!stress_chance(&w->rng, 1, 8))
			continue;
		cell = mortal_cell(w, node);
		if (!cell)
			return false;
		h = stress_below(&w->rng, FIN_CELLS);
		/* One that is not null yet is seldom let go before it is. */
		if (!own->cells[h] || own->nulls[h] || stress_chance(&w->rng, 1, 256)) {
			own->cells[h] = cell;
			own->targets[h] = node->head.identity;
			own->nulls[h] = false;
		}
		if (stress_chance(&w->rng, 1, 2) && !shape_init(w, node, &node->cell, cell))
			return false;
	}
	return true;
}

/* A ring, and a chain that hangs on one of its members, into the frame. */
static bool make_ring(struct stress_worker *w)
{
	struct fin_worker *own = w->own;
	size_t count = 2 + stress_below(&w->rng, FIN_RING_MAX - 1), k;
	size_t chain = stress_chance(&w->rng, 1, 4) ? 1 + stress_below(&w->rng, FIN_CHAIN_MAX) : 0;
	bool acyclic = stress_chance(&w->rng, 1, 2);
	struct mortal_node *first, *last, *node;

	if (!make_line(w, 0, count, false, DEED_ALL) ||
	    !make_line(w, count, chain, acyclic, DEED_QUIET))
		return false;
	first = own->making[0];
	last = own->making[count - 1];
	if (!shape_init(w, last, &last->next, first))
		return false;
	for (k = 0; k < count; k++) {
		node = own->making[k];
		if (stress_chance(&w->rng, 1, 2) &&
		    !shape_init(w, node, &node->previous,
				own->making[stress_below(&w->rng, count)]))
			return false;
	}
	if (chain > 0) {
		node = own->making[stress_below(&w->rng, count)];
		if (!shape_init(w, node, &node->other, own->making[count]))
			return false;
		own_chain(w, count, chain, node->record ? node : NULL);
	}
	return make_cells(w, count + chain);
}

/* A chain alone. */
static bool make_chain(struct stress_worker *w)
{
	size_t count = 1 + stress_below(&w->rng, FIN_CHAIN_MAX);

	if (!make_line(w, 0, count, stress_chance(&w->rng, 1, 2), DEED_QUIET))
		return false;
	own_chain(w, 0, count, NULL);
	return make_cells(w, count);
}

static void make(struct stress_worker *w)
{
	struct fin *fin = w->run->shared;
	struct fin_worker *own = w->own;
	bool made = stress_chance(&w->rng, 3, 4) ? make_ring(w) : make_chain(w);
	size_t k;

	if (made) {
		switch (stress_below(&w->rng, 3)) {
		case 0:
			own->held[stress_below(&w->rng, FIN_HELD)] = own->making[0];
			break;
		case 1:
			mortal_exchange(w, &fin->table->places[stress_below(&w->rng, fin->places)],
					own->making[0]);
			break;
		default:
			break; /* garbage at once */
		}
	}
	for (k = 0; k < FIN_MAKING; k++)
		own->making[k] = NULL;
}

/* ---- Steps ---- */

/* What came back. */
static void take_risen(struct stress_worker *w)
{
	struct fin *fin = w->run->shared;
	struct fin_worker *own = w->own;
	gyre_ref *place = &fin->risen->places[stress_below(&w->rng, fin->places)];
	size_t h = stress_below(&w->rng, FIN_HELD);
	struct mortal_node *node = mortal_exchange(w, place, NULL);
	const struct mortal_node *next;

	if (!node || !stress_check(w, node, STRESS_ANY))
		return;
	own->held[h] = node;
	next = gyre_load(&node->next);
	if (next)
		stress_check(w, next, STRESS_ANY);
	if (stress_chance(&w->rng, 1, 8))
		member_rearm(w, node);
	if (stress_chance(&w->rng, 1, 4))
		mortal_exchange(w, &fin->risen->places[stress_below(&w->rng, fin->places)], node);
	if (stress_chance(&w->rng, 1, 2))
		own->held[h] = NULL;
}

static void watch_cell(struct stress_worker *w)
{
	struct fin_worker *own = w->own;
	size_t h = stress_below(&w->rng, FIN_CELLS);
	struct mortal_node *node;

	if (!own->cells[h])
		return;
	node = gyre_weak_load(w->m, own->cells[h]);
	own->loads++;
	if (!node) {
		own->load_nulls++;
		own->nulls[h] = true;
		return;
	}
	if (own->nulls[h])
		stress_fail(w->run, "the cell of node %#llx was null and is not now",
			    (unsigned long long)own->targets[h]);
	if (stress_check(w, node, own->targets[h]) && stress_chance(&w->rng, 1, 64))
		own->held[stress_below(&w->rng, FIN_HELD)] = node;
}

/* Walks along what is held. */
static void look(struct stress_worker *w)
{
	struct fin_worker *own = w->own;
	const struct mortal_node *node = own->held[stress_below(&w->rng, FIN_HELD)], *other;
	unsigned step;

	for (step = 0; node && step < FIN_RING_MAX; step++) {
		if (!stress_check(w, node, STRESS_ANY))
			return;
		other = gyre_load(&node->other);
		if (other && !stress_check(w, other, STRESS_ANY))
			return;
		node = gyre_load(&node->next);
	}
}

static void run_batch(struct stress_worker *w)
{
	struct fin_worker *own = w->own;
	uint64_t ran = 0;

	stress_ok(w->run, gyre_finalize_next(w->m, &ran), "gyre_finalize_next");
	own->ran += ran;
}

static void fin_step(struct stress_worker *w)
{
	struct fin *fin = w->run->shared;
	struct fin_worker *own = w->own;

	switch (stress_below(&w->rng, 16)) {
	case 0:
	case 1:
		make(w);
		break;
	case 2:
	case 3:
		own->held[stress_below(&w->rng, FIN_HELD)] = NULL;
		break;
	case 4:
	case 5:
		mortal_exchange(w, &fin->table->places[stress_below(&w->rng, fin->places)], NULL);
		break;
	case 6:
	case 7:
	case 8:
		take_risen(w);
		break;
	case 9:
		if (stress_chance(&w->rng, 1, 4))
			run_batch(w);
		break;
	case 10:
	case 11:
		look(w);
		break;
	default:
		watch_cell(w);
	}
	gyre_safepoint(w->m);
}

static void fin_work(struct stress_worker *w)
{
	struct fin *fin = w->run->shared;
	struct fin_worker *own = fin->workers[w->index];
	uint64_t epoch = 0;
	unsigned step;

	w->own = own;
	own->identity = shape_identities(w->index);
	gyre_keep_open(w->m, &own->keeps[0], own->held, FIN_HELD);
	gyre_keep_open(w->m, &own->keeps[1], own->cells, FIN_CELLS);
	gyre_keep_open(w->m, &own->keeps[2], own->making, FIN_MAKING);
	while (stress_round(w)) {
		for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++)
			fin_step(w);
		mortal_await_epoch(w, &epoch);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, 0);
	}
	gyre_keep_close(&own->keeps[2]);
	gyre_keep_close(&own->keeps[1]);
	gyre_keep_close(&own->keeps[0]);
	for (step = 0; step < FIN_HELD; step++)
		own->held[step] = NULL;
	for (step = 0; step < FIN_CELLS; step++)
		own->cells[step] = NULL;
	w->own = NULL;
	w->left = 0;
}

/* ---- The count ---- */

/* Finds what is reachable, judges the finalizers, and counts. *nodes: the members. */
static uint64_t count_members(struct stress_worker *w, uint64_t *nodes)
{
	struct fin *fin = w->run->shared;
	struct mortal_walk walk;
	struct fin_worker *own;
	uint64_t i, count;
	size_t h;

	mortal_walk_begin(&walk, w);
	for (i = 0; i < fin->places; i++) {
		mortal_walk_node(&walk, gyre_load(&fin->table->places[i]));
		mortal_walk_node(&walk, gyre_load(&fin->risen->places[i]));
	}
	for (i = 0; i < w->run->options->threads; i++) {
		own = fin->workers[i];
		for (h = 0; h < FIN_HELD; h++)
			mortal_walk_node(&walk, own->held[h]);
		for (h = 0; h < FIN_CELLS; h++)
			mortal_walk_cell(&walk, own->cells[h]);
	}
	mortal_walk_end(&walk);
	for (i = 0; i < w->run->options->threads; i++) {
		own = fin->workers[i];
		for (h = 0; h < FIN_CELLS; h++) {
			if (!own->cells[h])
				continue;
			if (!mortal_walk_met(&walk, own->targets[h]) &&
			    gyre_weak_load(w->m, own->cells[h]))
				stress_fail(w->run, "the cell of %#llx, which is gone, is not null",
					    (unsigned long long)own->targets[h]);
		}
	}
	if (!stress_failed(w->run))
		member_sweep(w, &walk);
	mortal_hosts_check_idle(w->run);
	*nodes = walk.nodes;
	count = fin->base + walk.nodes + walk.distinct_cells;
	stress_count(&w->run->main->reachable, count);
	mortal_walk_free(&walk);
	return count;
}

static uint64_t count_shared(struct stress_worker *w)
{
	uint64_t nodes;

	return count_members(w, &nodes);
}

/* ---- The run ---- */

static void drop_table(struct stress_worker *w, struct mortal_table *table)
{
	size_t i;

	for (i = 0; i < table->length; i++) {
		mortal_exchange(w, &table->places[i], NULL);
		gyre_safepoint(w->m);
	}
}

#define DROPS_MAX 100 /* a member has three lives, and what it lets go may have so, too */

/* Drops everything until nothing comes back any more. */
static void drop_all(struct stress_run *run)
{
	struct fin *fin = run->shared;
	struct stress_worker *w = run->main;
	uint64_t nodes = 1, count = 0;
	unsigned i;

	for (i = 0; i < DROPS_MAX && nodes > 0 && !stress_failed(run); i++) {
		drop_table(w, fin->table);
		drop_table(w, fin->risen);
		stress_settle(w);
		count = count_members(w, &nodes);
		stress_expect(w, count, "while the tables are dropped");
	}
	if (!stress_failed(run) && nodes > 0)
		stress_fail(run, "%llu members come back for ever", (unsigned long long)nodes);
	/* Relaxed: at rest. */
	if (!stress_failed(run) &&
	    (size_t)atomic_load_explicit(&fin->records.left, memory_order_relaxed) !=
		    fin->records.count)
		stress_fail(run, "finalizers are still to run when everything is gone");
	for (i = 0; i < 2 && !stress_failed(run); i++)
		stress_root_drop(w, &fin->roots[i]);
	stress_expect(w, 0, "after the tables were dropped");
}

static void compare_runs(struct stress_run *run, struct fin *fin)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	uint64_t runs = atomic_load_explicit(&fin->counts.runs, memory_order_relaxed); /* at rest */

	if (!stress_ok(run, gyre_heap_stats(run->heap, &stats), "gyre_heap_stats"))
		return;
	if (stats.finalizers_run != runs)
		stress_fail(run, "%llu finalizers ran, the heap counts %llu",
			    (unsigned long long)runs, (unsigned long long)stats.finalizers_run);
	if (stats.finalizers_waiting != 0)
		stress_fail(run, "%llu finalizers wait, by the heap's count",
			    (unsigned long long)stats.finalizers_waiting);
}

/* All threads are at rest: so every load is relaxed. */
static void note_figures(struct stress_run *run, const struct fin *fin)
{
	const struct fin_counts *c = &fin->counts;
	uint64_t loads = 0, nulls = 0, ran = 0;
	unsigned i;

	for (i = 0; i < run->options->threads; i++) {
		loads += fin->workers[i]->loads;
		nulls += fin->workers[i]->load_nulls;
		ran += fin->workers[i]->ran;
	}
#define NOTE(name, counter)                                                                        \
	stress_figure(run, name, atomic_load_explicit(&(counter), memory_order_relaxed))
	NOTE("finalizers", c->runs);
	NOTE("brought_back", c->risen);
	NOTE("armed_again", c->rearmed);
	NOTE("made_by_finalizers", c->made);
	NOTE("new_cells_in_finalizers", c->celled);
	NOTE("naps_in_finalizers", c->napped);
	NOTE("collections_in_finalizers", c->collected);
	NOTE("batches_within_finalizers", c->nested);
	NOTE("run_by_the_host", fin->hosts.ran);
#undef NOTE
	stress_figure(run, "run_by_workers", ran);
	stress_figure(run, "weak_loads", loads);
	stress_figure(run, "weak_loads_a_second", stress_rate(run, loads));
	stress_figure(run, "weak_loads_null", nulls);
}

static bool begin(struct stress_run *run, struct fin *fin)
{
	uint64_t identity = shape_identities(run->main->index);
	unsigned i;

	fin->places = stress_param(run, "places");
	/* Relaxed: no finalizer yet. */
	atomic_store_explicit(&fin->identity, shape_identities(run->main->index + 1),
			      memory_order_relaxed);
	fin->workers = calloc(run->options->threads, sizeof(*fin->workers));
	for (i = 0; fin->workers && i < run->options->threads; i++) {
		fin->workers[i] = calloc(1, sizeof(*fin->workers[i]));
		if (!fin->workers[i])
			break;
	}
	if (!fin->workers || i < run->options->threads) {
		stress_fail(run, "no memory for workers");
		return false;
	}
	if (!mortal_pool_make(run, &fin->records, sizeof(struct mortal_record),
			      stress_param(run, "records")) ||
	    !member_types(run, fin))
		return false;
	fin->table = mortal_table(run, fin->table_type, &fin->roots[0], fin->places, identity);
	if (!fin->table)
		return false;
	fin->risen = mortal_table(run, fin->table_type, &fin->roots[1], fin->places, identity + 1);
	fin->base = 2;
	return fin->risen != NULL;
}

static void fin_free(struct stress_run *run, struct fin *fin)
{
	unsigned i;

	/* In a heap that is broken finalizers may still run: then everything stays. */
	if (stress_failed(run))
		return;
	for (i = 0; i < run->options->threads; i++)
		free(fin->workers[i]);
	free(fin->workers);
	mortal_pool_free(&fin->records);
	free(fin);
}

static void fin_run(struct stress_run *run)
{
	struct fin *fin = calloc(1, sizeof(*fin));

	if (!fin) {
		stress_fail(run, "no memory for the mode");
		return;
	}
	run->shared = fin;
	if (!begin(run, fin))
		return;
	mortal_run(run, &fin->hosts, fin_work, count_shared, drop_all);
	if (!stress_failed(run))
		compare_runs(run, fin);
	note_figures(run, fin);
	fin_free(run, fin);
}

const struct stress_mode stress_mode_finalizers = {
	.name = "finalizers",
	.summary = "rings that mix members which are finalized, cut their links or come back",
	.run = fin_run,
	.options = mortal_options,
	.params = {
		{ "places", "Rings in each of the two tables", 128, 1, 1000000 },
		{ "records", "Objects with a finalizer at a time, at most", 65536, 16, 100000000 },
		{ "host", MORTAL_HOST_DOC, 2, 0, 2 },
	},
};
