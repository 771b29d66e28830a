/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_weak.c: readers that race the death of what they look at through weak cells.
 *
 * Two tables that all threads share: in the one are entries with the weak cells of groups of nodes,
 * at the same place of the other is what keeps the group alive, until somebody drops it. A third
 * holds nodes that readers have put there. Workers make groups, drop them, look at entries, hold
 * entries and nodes over safe points, put back what they hold, change the links of groups of the
 * kind LOOSE, and register callbacks and take them back. weakmode.h says what they may see.
 *
 * No shadow knows what is reachable while all threads change it; when they are at rest it is found
 * by a walk from the tables and the workers' frames. Then every cell of a node that was met must
 * lead to it, and that of every other must be null.
 */
#include "weakmode.h"

#include <stdlib.h>

#define STEPS_PER_ROUND 512
#define SOON_ONE_IN 1024 /* steps: then a boundary is asked for */

static const struct gyre_type_desc entry_desc =
	GYRE_TYPE(struct weak_entry, GYRE_TRAILING_REFS(struct weak_entry, cells, length),
		  .flags = GYRE_ACYCLIC);

/* ---- Steps ---- */

static struct weak_entry *entry_at(struct stress_worker *w, uint64_t place)
{
	struct weak *weak = w->run->shared;
	struct weak_entry *entry = gyre_load(&weak->entries->places[place]);

	return entry && stress_check(w, entry, STRESS_ANY) ? entry : NULL;
}

/* Looks at a place of the tables. */
static void look_at(struct stress_worker *w, uint64_t place)
{
	struct weak *weak = w->run->shared;
	struct group_look look = { .w = w, .entry = entry_at(w, place) };
	const struct mortal_node *node;

	if (!look.entry)
		return;
	group_look(&look);
	/* After the look: what is there now was not dead then. */
	node = gyre_load(&weak->strong->places[place]);
	if (node)
		group_reached(&look, node);
}

/* Whether nothing is left at a place: neither a group nor a cell that is not null. */
static bool is_over(struct stress_worker *w, uint64_t place)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = w->own;
	const struct weak_entry *entry = entry_at(w, place);
	const struct gyre_weak *cell;
	size_t k;

	if (gyre_load(&weak->strong->places[place]))
		return false;
	for (k = 0; entry && k < entry->length; k++) {
		cell = gyre_load(&entry->cells[k]);
		own->loads += cell != NULL;
		if (cell && gyre_weak_load(w->m, cell))
			return false;
	}
	return true;
}

/* A new group where an old one is over; seldom where it is not, or nobody would see it die. */
static void renew(struct stress_worker *w, uint64_t place)
{
	if (is_over(w, place) || stress_chance(&w->rng, 1, 64))
		group_make(w, place);
}

/* Whether a thread may hold this member over safe points. */
static bool may_hold(const struct weak_entry *entry, size_t member)
{
	return entry->kind != GROUP_HUNG || member < (entry->length + 1) / 2;
}

/* Takes an entry into the frame, and what one of its cells leads to, if anything. */
static void grab(struct stress_worker *w, size_t h)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = w->own;
	struct weak_hold *hold = &own->holds[h];
	uint64_t place = stress_below(&w->rng, weak->places);
	struct weak_entry *entry = entry_at(w, place);
	const struct gyre_weak *cell;

	own->entries[h] = entry;
	own->nodes[h] = NULL;
	*hold = (struct weak_hold){ .place = place };
	if (!entry)
		return;
	hold->member = (unsigned)stress_below(&w->rng, entry->length);
	cell = gyre_load(&entry->cells[hold->member]);
	if (!cell || !may_hold(entry, hold->member))
		return;
	own->nodes[h] = gyre_weak_load(w->m, cell);
	own->loads++;
	if (!own->nodes[h]) {
		own->nulls++;
		hold->nulls |= UINT32_C(1) << hold->member;
		return;
	}
	own->hits++;
	stress_check(w, own->nodes[h], entry->first + hold->member);
}

/* Looks at what is held. */
static void look_again(struct stress_worker *w, size_t h)
{
	struct weak_worker *own = w->own;
	struct weak_hold *hold = &own->holds[h];
	struct group_look look = {
		.w = w, .entry = own->entries[h], .held = own->nodes[h], .nulls = hold->nulls
	};
	uint32_t known = hold->nulls;
	size_t k;

	if (!look.entry)
		return;
	if (look.held)
		stress_check(w, look.held, look.entry->first + hold->member);
	/* Known nulls first: each must still be one, whatever the kind. */
	for (k = 0; k < look.entry->length; k++) {
		const struct gyre_weak *cell = gyre_load(&look.entry->cells[k]);

		if ((known >> k & 1) != 0 && cell && gyre_weak_load(w->m, cell))
			stress_fail(w->run, "the cell of node %#llx + %zu was null and is not now",
				    (unsigned long long)look.entry->first, k);
	}
	group_look(&look);
	hold->nulls = look.nulls;
}

/* Puts what is held back into the tables; or another member than was there. */
static void restore(struct stress_worker *w, size_t h)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = w->own;
	uint64_t place = stress_below(&w->rng, weak->places);

	if (!own->nodes[h])
		return;
	own->restored++;
	mortal_exchange(w, &weak->entries->places[place], own->entries[h]);
	mortal_exchange(w, &weak->strong->places[place], own->nodes[h]);
}

/* Registers a callback for what is held, or takes the last one back. */
static void change_notice(struct stress_worker *w, size_t h)
{
	struct weak_worker *own = w->own;
	struct weak_hold *hold = &own->holds[h];
	struct weak_entry *entry = own->entries[h];
	struct gyre_weak *cell;

	if (!entry)
		return;
	cell = gyre_load(&entry->cells[hold->member]);
	if (hold->notice) {
		if (stress_chance(&w->rng, 3, 4))
			return;
		if (cell)
			notice_back(w, hold->notice, cell, own->nodes[h] != NULL);
		hold->notice = NULL;
	} else if (own->nodes[h] && stress_chance(&w->rng, 1, 2)) {
		hold->notice =
			notice_node(w, own->nodes[h], hold->place, stress_chance(&w->rng, 1, 2));
	} else if (may_hold(entry, hold->member)) {
		hold->notice = notice_cell(w, entry, hold->member, hold->place);
	}
}

/* Changes a link of a node of a LOOSE group that is held, or stores it elsewhere. */
static void change_links(struct stress_worker *w, size_t h)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = w->own;
	struct mortal_node *node = own->nodes[h], *other;
	gyre_ref *links[3], *side;

	side = &weak->side->places[stress_below(&w->rng, weak->places)];
	if (!node || node->kind != GROUP_LOOSE) {
		mortal_exchange(w, side, NULL);
		return;
	}
	links[0] = &node->next;
	links[1] = &node->previous;
	links[2] = &node->other;
	switch (stress_below(&w->rng, 4)) {
	case 0:
		mortal_exchange(w, side, node);
		break;
	case 1:
		/* Of another kind, or of the same group: no chain of groups may grow. */
		other = own->nodes[stress_below(&w->rng, WEAK_HELD)];
		if (other && (other->kind != GROUP_LOOSE || group_of(other) == group_of(node)))
			stress_store(w, node, &node->other, other);
		break;
	case 2:
		stress_store(w, node, links[stress_below(&w->rng, 3)], node);
		break;
	default:
		stress_store(w, node, links[stress_below(&w->rng, 3)], NULL);
	}
}

/* Something with what is held at h. */
static void use_held(struct stress_worker *w, size_t h)
{
	struct weak_worker *own = w->own;

	switch (stress_below(&w->rng, 16)) {
	case 0:
		restore(w, h);
		break;
	case 1:
	case 2:
		change_links(w, h);
		break;
	case 3:
	case 4:
		change_notice(w, h);
		break;
	case 5:
		if (own->nodes[h])
			group_ask(w, own->entries[h], own->nodes[h]);
		break;
	case 6:
		own->nodes[h] = NULL; /* the entry stays, and is looked at */
		break;
	case 7:
	case 8:
		/* What may die under the worker's eyes is seldom let go before it does. */
		if (!own->entries[h] || own->holds[h].nulls != 0 || stress_chance(&w->rng, 1, 4))
			grab(w, h);
		break;
	default:
		/* A load may keep what is about to die: who always looks sees little die. */
		if (!own->nodes[h] && stress_chance(&w->rng, 31, 32))
			return;
		look_again(w, h);
		own->kept += own->nodes[h] != NULL;
	}
}

static void weak_step(struct stress_worker *w)
{
	struct weak *weak = w->run->shared;
	uint64_t place = stress_below(&w->rng, weak->places);

	switch (stress_below(&w->rng, 16)) {
	case 0:
	case 1:
	case 2:
		renew(w, place);
		break;
	case 3:
		mortal_exchange(w, &weak->strong->places[place], NULL);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
		look_at(w, place);
		break;
	default:
		use_held(w, stress_below(&w->rng, WEAK_HELD));
	}
	if (stress_chance(&w->rng, 1, SOON_ONE_IN))
		gyre_collect_soon(w->run->heap);
	if (stress_chance(&w->rng, 1, 2))
		gyre_safepoint(w->m);
}

static void weak_work(struct stress_worker *w)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = weak->workers[w->index];
	uint64_t epoch = 0;
	unsigned step;

	w->own = own;
	own->identity = shape_identities(w->index);
	gyre_keep_open(w->m, &own->keeps[0], own->entries, WEAK_HELD);
	gyre_keep_open(w->m, &own->keeps[1], own->nodes, WEAK_HELD);
	gyre_keep_open(w->m, &own->keeps[2], own->making, GROUP_MAX + 1);
	while (stress_round(w)) {
		for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++)
			weak_step(w);
		mortal_await_epoch(w, &epoch);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, 0);
	}
	gyre_keep_close(&own->keeps[2]);
	gyre_keep_close(&own->keeps[1]);
	gyre_keep_close(&own->keeps[0]);
	for (step = 0; step < WEAK_HELD; step++)
		own->entries[step] = own->nodes[step] = NULL;
	w->own = NULL;
	w->left = 0;
}

/* ---- The count ---- */

/* Whether each cell of an entry says what the walk found; those it has are watched. */
static void check_entry(struct stress_worker *w, const struct weak_entry *entry,
			const struct mortal_walk *walk, struct mortal_list *watched)
{
	const struct mortal_node *node;
	const struct gyre_weak *cell;
	size_t k;

	for (k = 0; k < entry->length; k++) {
		cell = gyre_load(&entry->cells[k]);
		if (!cell)
			continue;
		mortal_list_add(w->run, watched, entry->first + k);
		node = gyre_weak_load(w->m, cell);
		if (node && stress_check(w, node, entry->first + k) && node->walked != walk->number)
			stress_fail(w->run,
				    "the cell of node %#llx + %zu, which is garbage, is not "
				    "null",
				    (unsigned long long)entry->first, k);
		if (!node && mortal_walk_met(walk, entry->first + k))
			stress_lost(w->run,
				    "the cell of node %#llx + %zu, which is reachable, is "
				    "null",
				    (unsigned long long)entry->first, k);
	}
}

/* Every entry that is reachable, each once. */
static void list_entries(struct stress_worker *w, struct mortal_list *list)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own;
	uint64_t i;
	size_t h;

	for (i = 0; i < weak->places; i++)
		mortal_list_add(w->run, list,
				(uint64_t)(uintptr_t)gyre_load(&weak->entries->places[i]));
	for (i = 0; i < w->run->options->threads; i++) {
		own = weak->workers[i];
		for (h = 0; h < WEAK_HELD; h++)
			mortal_list_add(w->run, list, (uint64_t)(uintptr_t)own->entries[h]);
	}
	mortal_list_sort(list);
}

static void walk_nodes(struct stress_worker *w, struct mortal_walk *walk)
{
	struct weak *weak = w->run->shared;
	uint64_t i;
	size_t h;

	for (i = 0; i < weak->places; i++) {
		mortal_walk_node(walk, gyre_load(&weak->strong->places[i]));
		mortal_walk_node(walk, gyre_load(&weak->side->places[i]));
	}
	for (i = 0; i < w->run->options->threads; i++)
		for (h = 0; h < WEAK_HELD; h++)
			mortal_walk_node(walk, weak->workers[i]->nodes[h]);
}

/* Looks at everything that is reachable, judges cells and callbacks, and counts. */
static uint64_t count_shared(struct stress_worker *w)
{
	struct weak *weak = w->run->shared;
	struct mortal_list entries = { 0 }, watched = { 0 };
	struct mortal_walk walk;
	struct weak_entry *entry;
	uint64_t count = 0, last = 0;
	size_t i, k;

	mortal_walk_begin(&walk, w);
	walk_nodes(w, &walk);
	list_entries(w, &entries);
	for (i = 0; i < entries.count; i++) {
		if (entries.values[i] == last)
			continue;
		last = entries.values[i];
		entry = (void *)(uintptr_t)last;
		if (!stress_check(w, entry, STRESS_ANY))
			break;
		count++;
		for (k = 0; k < entry->length; k++)
			mortal_walk_cell(&walk, gyre_load(&entry->cells[k]));
	}
	mortal_walk_end(&walk);
	last = 0;
	for (i = 0; i < entries.count && !stress_failed(w->run); i++) {
		if (entries.values[i] != last)
			check_entry(w, (void *)(uintptr_t)entries.values[i], &walk, &watched);
		last = entries.values[i];
	}
	mortal_list_sort(&watched);
	if (!stress_failed(w->run))
		notice_sweep(w, &walk, &watched);
	mortal_hosts_check_idle(w->run);
	count += weak->base + walk.nodes + walk.distinct_cells;
	stress_count(&w->run->main->reachable, count);
	mortal_walk_free(&walk);
	free(entries.values);
	free(watched.values);
	return count;
}

/* ---- The run ---- */

/* The callbacks that gyre says it called are those that came. */
static void compare_called(struct stress_run *run, struct weak *weak)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	uint64_t called = atomic_load_explicit(&weak->called, memory_order_relaxed); /* at rest */

	if (stress_ok(run, gyre_heap_stats(run->heap, &stats), "gyre_heap_stats") &&
	    stats.notices_called != called)
		stress_fail(run, "%llu callbacks came, the heap counts %llu",
			    (unsigned long long)called, (unsigned long long)stats.notices_called);
}

static void note_figures(struct stress_run *run, const struct weak *weak)
{
	struct weak_worker sum = { 0 };
	unsigned i;

	for (i = 0; i < run->options->threads; i++) {
		const struct weak_worker *own = weak->workers[i];

		sum.loads += own->loads;
		sum.nulls += own->nulls;
		sum.hits += own->hits;
		sum.kept += own->kept;
		sum.restored += own->restored;
		sum.asked += own->asked;
		sum.registered += own->registered;
		sum.taken_back += own->taken_back;
		sum.too_late += own->too_late;
	}
	stress_figure(run, "weak_loads", sum.loads);
	stress_figure(run, "weak_loads_a_second", stress_rate(run, sum.loads));
	stress_figure(run, "weak_loads_null", sum.nulls);
	stress_figure(run, "looks_with_a_node_held", sum.kept);
	stress_figure(run, "nodes_put_back", sum.restored);
	stress_figure(run, "cells_asked_for_again", sum.asked);
	stress_figure(run, "callbacks_registered", sum.registered);
	stress_figure(run, "callbacks_taken_back", sum.taken_back);
	stress_figure(run, "callbacks_taken_back_too_late", sum.too_late);
	stress_figure(run, "callbacks_called",
		      atomic_load_explicit(&weak->called, memory_order_relaxed)); /* at rest */
	stress_figure(run, "callbacks_of_the_dead_not_called", weak->untold);
	stress_figure(run, "callbacks_by_the_host",
		      atomic_load_explicit(&weak->hosts.ran, memory_order_relaxed)); /* at rest */
}

static bool open_tables(struct stress_run *run, struct weak *weak)
{
	uint64_t identity = shape_identities(run->main->index);

	weak->entries = mortal_table(run, weak->table, &weak->roots[0], weak->places, identity);
	if (!weak->entries)
		return false;
	weak->strong = mortal_table(run, weak->table, &weak->roots[1], weak->places, identity + 1);
	if (!weak->strong)
		return false;
	weak->side = mortal_table(run, weak->table, &weak->roots[2], weak->places, identity + 2);
	weak->base = 3;
	return weak->side != NULL;
}

static bool make_workers(struct stress_run *run, struct weak *weak)
{
	unsigned i;

	weak->workers = calloc(run->options->threads, sizeof(*weak->workers));
	for (i = 0; weak->workers && i < run->options->threads; i++) {
		weak->workers[i] = calloc(1, sizeof(*weak->workers[i]));
		if (!weak->workers[i])
			break;
	}
	if (weak->workers && i == run->options->threads)
		return true;
	stress_fail(run, "no memory for workers");
	return false;
}

/* Drops what the tables hold, in two steps: nodes, then the entries with their null cells. */
static void drop_all(struct stress_run *run)
{
	struct weak *weak = run->shared;
	struct stress_worker *w = run->main;
	uint64_t i;

	for (i = 0; i < weak->places; i++) {
		mortal_exchange(w, &weak->strong->places[i], NULL);
		mortal_exchange(w, &weak->side->places[i], NULL);
		gyre_safepoint(w->m);
	}
	stress_settle(w);
	stress_expect(w, count_shared(w), "after the nodes were dropped");
	for (i = 0; i < weak->places; i++) {
		mortal_exchange(w, &weak->entries->places[i], NULL);
		gyre_safepoint(w->m);
	}
	stress_settle(w);
	stress_expect(w, count_shared(w), "after the entries were dropped");
	/* Relaxed: at rest. Every record is over by now. */
	if (!stress_failed(run) &&
	    (size_t)atomic_load_explicit(&weak->notices.left, memory_order_relaxed) !=
		    weak->notices.count)
		stress_fail(run, "callbacks are still registered when everything is gone");
	for (i = 0; i < 3 && !stress_failed(run); i++)
		stress_root_drop(w, &weak->roots[i]);
	stress_expect(w, 0, "after the tables were dropped");
}

static void weak_free(struct stress_run *run, struct weak *weak)
{
	unsigned i;

	/* In a heap that is broken callbacks may still come: then everything stays. */
	if (stress_failed(run))
		return;
	for (i = 0; i < run->options->threads; i++)
		free(weak->workers[i]);
	free(weak->workers);
	mortal_pool_free(&weak->notices);
	free(weak);
}

static void weak_run(struct stress_run *run)
{
	struct weak *weak = calloc(1, sizeof(*weak));

	if (!weak) {
		stress_fail(run, "no memory for the mode");
		return;
	}
	run->shared = weak;
	weak->places = stress_param(run, "places");
	weak->node = mortal_type(run, "weak node", false, NULL);
	weak->acyclic = mortal_type(run, "weak acyclic node", true, NULL);
	weak->entry = shape_type(run, &entry_desc);
	weak->table = mortal_table_type(run);
	/* Relaxed: no callback yet. */
	atomic_store_explicit(&weak->identity, shape_identities(run->main->index + 1),
			      memory_order_relaxed);
	if (!weak->node || !weak->acyclic || !weak->entry || !weak->table ||
	    !make_workers(run, weak) || !notice_begin(run, weak) || !open_tables(run, weak))
		return;
	mortal_run(run, &weak->hosts, weak_work, count_shared, drop_all);
	if (!stress_failed(run))
		compare_called(run, weak);
	note_figures(run, weak);
	weak_free(run, weak);
}

const struct stress_mode stress_mode_weak = {
	.name = "weak",
	.summary = "readers race the death of what they look at through weak cells",
	.run = weak_run,
	.options = mortal_options,
	.params = {
		{ "places", "Groups of nodes in the table", 256, 1, 1000000 },
		{ "notices", "Callbacks registered at a time, at most", 65536, 16, 100000000 },
		{ "host", MORTAL_HOST_DOC, 2, 0, 2 },
	},
};
