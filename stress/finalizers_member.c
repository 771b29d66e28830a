/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finalizers_member.c: members with finalizers, what those do, and the account of it.
 *
 * A finalizer runs on gyre's thread or on one of the host, maybe within another finalizer, and
 * maybe on several threads at once for different members. It first judges its own run by the
 * record: not more often than armed, its owner's before it, its own weak cell null, and all that it
 * reaches intact. Then it does its deeds. It keeps nothing in frames of its own: what it can reach
 * must not need that.
 */
#include "finmode.h"

#define NAP_NS 20000
#define REACH_MAX 64
#define NESTED_MAX 3

static _Thread_local unsigned depth; /* finalizers within finalizers of this thread */

/* Relaxed: whose record it is changes at rest only; but an owner's may be another's by now. */
static uint64_t identity_of(const struct mortal_record *record)
{
	return atomic_load_explicit(&record->identity, memory_order_relaxed);
}

/* ---- The deeds ---- */

static gyre_ref *random_place(struct stress_worker *w, struct mortal_table *table)
{
	return &table->places[stress_below(&w->rng, table->length)];
}

/* Takes one of the record's lives; false: none is left. Only its finalizer does. */
static bool take_life(struct mortal_record *record)
{
	uint32_t lives = atomic_load_explicit(&record->lives, memory_order_relaxed);

	if (lives == 0)
		return false;
	atomic_store_explicit(&record->lives, lives - 1, memory_order_relaxed);
	return true;
}

void member_rearm(struct stress_worker *w, struct mortal_node *node)
{
	struct fin *fin = w->run->shared;
	struct mortal_record *record = node->record;
	enum gyre_status status;
	uint32_t runs;

	if (!record)
		return;
	/* Acquire and release: who runs next finds the claim before the arming. */
	runs = atomic_load_explicit(&record->runs, memory_order_acquire);
	if (!atomic_compare_exchange_strong_explicit(&record->armed, &(uint32_t){ runs }, runs + 1,
						     memory_order_acq_rel, memory_order_relaxed))
		return;
	fin_count(&fin->counts.rearmed);
	do
		status = gyre_finalizer_rearm(w->m, node);
	while (stress_again(w, status));
	stress_ok(w->run, status, "gyre_finalizer_rearm");
}

void member_rearm_idle(struct stress_worker *w, struct mortal_node *node)
{
	enum gyre_status status = gyre_finalizer_rearm(w->m, node);

	if (status != (node->record ? GYRE_OK : GYRE_INVALID) && status != GYRE_NO_MEMORY)
		stress_fail(w->run, "gyre_finalizer_rearm of an object with%s finalizer: %s",
			    node->record ? " a" : "out", gyre_status_name(status));
}

static void deed_links(struct stress_worker *w, struct mortal_node *node)
{
	struct fin *fin = w->run->shared;

	if ((node->deeds & DEED_BREAK) != 0) {
		stress_store(w, node, &node->next, NULL);
		stress_store(w, node, &node->previous, NULL);
	}
	/* Where it has a slot for it that is not of the ring, and may be part of a cycle. */
	if ((node->deeds & DEED_ALLOCATE) != 0) {
		struct mortal_node *made =
			mortal_node(w, fin->plain,
				    atomic_fetch_add_explicit(&fin->identity, 1,
							      memory_order_relaxed)); /* a number */

		if (made)
			stress_store(w, node, &node->other, made);
		fin_count(&fin->counts.made);
	}
}

static void deed_rise(struct stress_worker *w, struct mortal_node *node)
{
	struct fin *fin = w->run->shared;
	struct mortal_record *record = node->record;

	if ((node->deeds & (DEED_RISE | DEED_REARM)) == 0 || !take_life(record))
		return;
	if ((node->deeds & DEED_RISE) != 0) {
		mortal_exchange(w, random_place(w, fin->risen), node);
		fin_count(&fin->counts.risen);
	}
	if ((node->deeds & DEED_REARM) != 0)
		member_rearm(w, node);
}

/* A member that nobody will ever reach. */
static void deed_make(struct stress_worker *w)
{
	struct fin *fin = w->run->shared;

	/* Relaxed: a number. Quiet, so that the line ends. */
	member_make(w, stress_chance(&w->rng, 1, 2), DEED_CELL | DEED_NAP,
		    atomic_fetch_add_explicit(&fin->identity, 1, memory_order_relaxed));
	fin_count(&fin->counts.made);
}

/* A new cell, as the old one was cleared. */
static void deed_cell(struct stress_worker *w, struct mortal_node *node)
{
	struct fin *fin = w->run->shared;
	struct gyre_weak *cell = mortal_cell(w, node);

	if (!cell)
		return;
	if (gyre_weak_load(w->m, cell) != node)
		stress_lost(w->run, "the new cell of node %#llx in its finalizer leads elsewhere",
			    (unsigned long long)node->head.identity);
	stress_store(w, node, &node->cell, cell);
	fin_count(&fin->counts.celled);
}

static void deed_calls(struct stress_worker *w, const struct mortal_node *node)
{
	struct fin *fin = w->run->shared;
	enum gyre_status status;

	if ((node->deeds & DEED_NAP) != 0 && stress_chance(&w->rng, 1, 64)) {
		mortal_nap(w, stress_below(&w->rng, NAP_NS));
		fin_count(&fin->counts.napped);
	}
	if ((node->deeds & DEED_COLLECT) != 0 && stress_chance(&w->rng, 1, 1024)) {
		stress_ok(w->run, gyre_collect(w->m, NULL), "gyre_collect in a finalizer");
		fin_count(&fin->counts.collected);
	}
	if ((node->deeds & DEED_NEXT) != 0 && depth < NESTED_MAX && stress_chance(&w->rng, 1, 64)) {
		stress_ok(w->run, gyre_finalize_next(w->m, NULL),
			  "gyre_finalize_next in a finalizer");
		fin_count(&fin->counts.nested);
	}
	if ((node->deeds & DEED_WAIT) == 0 || !stress_chance(&w->rng, 1, 64))
		return;
	status = gyre_finalize_wait(w->m);
	if (status != GYRE_BUSY)
		stress_fail(w->run, "gyre_finalize_wait in a finalizer answered %s",
			    gyre_status_name(status));
}

/* ---- The finalizer ---- */

/* Counts the run and judges it. */
static void check_run(struct stress_worker *w, const struct mortal_node *node)
{
	struct mortal_record *record = node->record, *owner = record->owner;
	uint32_t armed, runs;

	/* Acquire and release: see member_rearm. */
	runs = atomic_fetch_add_explicit(&record->runs, 1, memory_order_acq_rel) + 1;
	armed = atomic_load_explicit(&record->armed, memory_order_acquire);
	if (identity_of(record) != node->head.identity)
		stress_fail(w->run, "the finalizer of %#llx ran when its record was over",
			    (unsigned long long)node->head.identity);
	else if (runs > armed)
		stress_fail(w->run, "the finalizer of %#llx ran %u times, armed %u times",
			    (unsigned long long)node->head.identity, runs, armed);
	/* The owner's record may be another's by now: then the owner is long gone. */
	if (runs == 1 && owner && identity_of(owner) == record->owner_identity &&
	    atomic_load_explicit(&owner->runs, memory_order_acquire) == 0)
		stress_fail(w->run, "the finalizer of %#llx ran before that of its owner %#llx",
			    (unsigned long long)node->head.identity,
			    (unsigned long long)record->owner_identity);
}

/* What it reaches is intact, and its cell is null. */
static void check_reach(struct stress_worker *w, const struct mortal_node *node)
{
	const struct gyre_weak *cell = gyre_load(&node->cell);
	const struct mortal_node *at = gyre_load(&node->next), *near;
	unsigned step;

	if (cell && gyre_weak_load(w->m, cell))
		stress_fail(w->run, "the cell of %#llx is not null in its finalizer",
			    (unsigned long long)node->head.identity);
	near = gyre_load(&node->previous);
	if (near)
		stress_check(w, near, STRESS_ANY);
	near = gyre_load(&node->other);
	if (near)
		stress_check(w, near, STRESS_ANY);
	for (step = 0; at && at != node && step < REACH_MAX; step++) {
		if (!stress_check(w, at, STRESS_ANY))
			return;
		near = gyre_load(&at->other);
		if (near && !stress_check(w, near, STRESS_ANY))
			return;
		at = gyre_load(&at->next);
	}
}

static void member_finalize(struct gyre_mutator *m, void *object)
{
	struct mortal_node *node = object;
	struct mortal_record *record = node->record;
	struct fin *fin = node->run->shared;
	struct stress_worker w;

	w = mortal_worker(
		node->run, m,
		identity_of(record) ^
			(uint64_t)atomic_load_explicit(&record->runs, memory_order_relaxed)
				<< 60); /* another stream for each run */
	if (!stress_check(&w, node, STRESS_ANY))
		return;
	depth++;
	fin_count(&fin->counts.runs);
	check_run(&w, node);
	check_reach(&w, node);
	/* Its cell died with it. Relaxed: read when all are at rest. */
	atomic_store_explicit(&node->celled, 0, memory_order_relaxed);
	deed_calls(&w, node);
	if ((node->deeds & DEED_CELL) != 0)
		deed_cell(&w, node);
	if (stress_chance(&w.rng, 1, 2))
		gyre_safepoint(m);
	deed_links(&w, node);
	deed_rise(&w, node);
	if ((node->deeds & DEED_MAKE) != 0 && stress_chance(&w.rng, 1, 4))
		deed_make(&w);
	stress_check(&w, node, identity_of(record));
	depth--;
}

/* ---- Members ---- */

bool member_types(struct stress_run *run, struct fin *fin)
{
	fin->plain = mortal_type(run, "plain member", false, NULL);
	fin->plain_acyclic = mortal_type(run, "plain acyclic member", true, NULL);
	fin->final = mortal_type(run, "member with a finalizer", false, member_finalize);
	fin->final_acyclic =
		mortal_type(run, "acyclic member with a finalizer", true, member_finalize);
	fin->table_type = mortal_table_type(run);
	return fin->plain && fin->plain_acyclic && fin->final && fin->final_acyclic &&
	       fin->table_type;
}

static struct mortal_record *take_record(struct stress_worker *w, uint64_t identity)
{
	struct fin *fin = w->run->shared;
	struct mortal_record *record = mortal_pool_take(w->run, &fin->records);

	if (!record)
		return NULL;
	atomic_store_explicit(&record->identity, identity, memory_order_relaxed); /* see above */
	record->owner = NULL;
	/* Relaxed: the node that leads to it is not published yet. */
	atomic_store_explicit(&record->armed, 1, memory_order_relaxed);
	atomic_store_explicit(&record->runs, 0, memory_order_relaxed);
	atomic_store_explicit(&record->lives, (uint32_t)stress_below(&w->rng, 4),
			      memory_order_relaxed);
	return record;
}

struct mortal_node *member_make(struct stress_worker *w, bool acyclic, uint32_t deeds,
				uint64_t identity)
{
	struct fin *fin = w->run->shared;
	struct mortal_record *record = NULL;
	struct mortal_node *node;

	if (stress_chance(&w->rng, 1, 2))
		record = take_record(w, identity);
	if (record)
		node = mortal_node(w, acyclic ? fin->final_acyclic : fin->final, identity);
	else
		node = mortal_node(w, acyclic ? fin->plain_acyclic : fin->plain, identity);
	if (!node) {
		/* Nothing will run; the sweep takes the record back. */
		if (record)
			atomic_store_explicit(&record->armed, 0, memory_order_relaxed);
		return NULL;
	}
	node->record = record;
	/* One in two members does nothing but be counted. */
	if (record && stress_chance(&w->rng, 1, 2))
		node->deeds = (uint32_t)stress_random(&w->rng) & deeds;
	return node;
}

void member_owns(const struct mortal_node *owner, struct mortal_node *owned)
{
	if (!owner->record || !owned->record)
		return;
	owned->record->owner = owner->record;
	owned->record->owner_identity = identity_of(owner->record);
}

/* ---- The sweep ---- */

void member_sweep(struct stress_worker *w, const struct mortal_walk *walk)
{
	struct fin *fin = w->run->shared;
	struct mortal_record *records = (struct mortal_record *)fin->records.records, *record;
	uint32_t armed, runs;
	bool alive;
	size_t i;

	for (i = 0; i < fin->records.count; i++) {
		record = &records[i];
		if (identity_of(record) == 0)
			continue;
		alive = mortal_walk_met(walk, identity_of(record));
		armed = atomic_load_explicit(&record->armed, memory_order_relaxed); /* at rest */
		runs = atomic_load_explicit(&record->runs, memory_order_relaxed);   /* at rest */
		if (alive ? runs != armed && runs + 1 != armed : runs != armed)
			stress_fail(w->run,
				    "the finalizer of %#llx, which is %s, ran %u times, armed %u "
				    "times",
				    (unsigned long long)identity_of(record),
				    alive ? "alive" : "dead", runs, armed);
		if (alive)
			continue;
		atomic_store_explicit(&record->identity, 0, memory_order_relaxed); /* at rest */
		mortal_pool_give(&fin->records, record);
	}
}
