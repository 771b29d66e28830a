/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weak_notice.c: callbacks of weak cells in mode weak, and the account that is kept of them.
 *
 * Each registration has a record outside the heap, whose address is the callback's argument. The
 * worker that registered it may take it back. The callback comes on the thread that runs batches.
 * When all are at rest the sweep judges every record by whether its node was met by the walk: the
 * living have not been told of, the dead once, if the registration was made with
 * GYRE_NOTICE_ALWAYS or an entry that is still reachable holds the cell; never, if nobody but the
 * ring held it when all were at rest before; and else at most once.
 *
 * A record is reused only after a sweep, so a call that comes late or twice meets its own record or
 * one that it must not meet.
 */
#include "weakmode.h"

#define NOTICES_A_NODE 3
#define NAP_NS 20000

enum notice_state {
	NOTICE_FREE,
	NOTICE_REGISTERED,
	NOTICE_TAKING,
	NOTICE_TAKEN,   /* back */
	NOTICE_REFUSED, /* the cell was null already */
};

struct notice {
	struct stress_run *run;
	uint64_t target, place, id;
	struct notice *later;    /* registered after this one for the same node by one thread, */
	uint32_t later_use;      /* when that record was used for the how maniest time */
	_Atomic(uint32_t) uses;  /* of this record */
	_Atomic(uint32_t) state; /* written by the worker and the sweep */
	_Atomic(uint32_t) called;
	bool always;
	bool alone;   /* nobody but its ring holds the cell */
	bool settled; /* and all were at rest since */
};

/* Acquire and release: what the worker did before it changed the state is known to the callback. */
static uint32_t state_of(struct notice *notice)
{
	return atomic_load_explicit(&notice->state, memory_order_acquire);
}

static void set_state(struct notice *notice, uint32_t state)
{
	atomic_store_explicit(&notice->state, state, memory_order_release); /* see state_of */
}

static uint32_t calls_of(struct notice *notice)
{
	return atomic_load_explicit(&notice->called, memory_order_acquire); /* as state_of */
}

/* ---- The callback ---- */

/* Every cell of the group that must be null now is null. */
static void check_cleared(struct stress_worker *w, const struct notice *notice)
{
	struct weak *weak = w->run->shared;
	struct weak_entry *entry = gyre_load(&weak->entries->places[notice->place]);
	struct group_look look = { .w = w, .entry = entry };
	uint64_t k;

	if (!entry || !stress_check(w, entry, STRESS_ANY))
		return;
	k = notice->target - entry->first;
	if (k >= entry->length)
		return; /* another group's, by now */
	look.nulls = UINT32_C(1) << k;
	group_look(&look);
}

/* What was registered later is called before; unless it was taken back. */
static void check_order(struct stress_worker *w, struct notice *notice)
{
	struct notice *later = notice->later;

	/* Relaxed: a record that is used anew is so after a sweep, which orders. */
	if (later &&
	    atomic_load_explicit(&later->uses, memory_order_relaxed) == notice->later_use &&
	    state_of(later) == NOTICE_REGISTERED && calls_of(later) == 0)
		stress_fail(w->run, "of two callbacks of node %#llx the first came first",
			    (unsigned long long)notice->target);
}

static void told(struct gyre_mutator *m, void *arg)
{
	struct notice *notice = arg;
	struct weak *weak = notice->run->shared;
	struct stress_worker w = mortal_worker(notice->run, m, notice->target);
	uint32_t state = state_of(notice), calls;

	/* Acquire and release: see state_of. */
	calls = atomic_fetch_add_explicit(&notice->called, 1, memory_order_acq_rel) + 1;
	atomic_fetch_add_explicit(&weak->called, 1, memory_order_relaxed); /* a figure */
	if (calls != 1)
		stress_fail(w.run, "a callback of node %#llx was called %u times",
			    (unsigned long long)notice->target, calls);
	if (state != NOTICE_REGISTERED && state != NOTICE_TAKING)
		stress_fail(w.run, "a callback of node %#llx was called in state %u",
			    (unsigned long long)notice->target, state);
	check_order(&w, notice);
	check_cleared(&w, notice);
	/* Relaxed: numbers, in no order. */
	if (stress_chance(&w.rng, 1, 8))
		mortal_node(&w, weak->node,
			    atomic_fetch_add_explicit(&weak->identity, 1, memory_order_relaxed));
	if (stress_chance(&w.rng, 1, 256))
		mortal_nap(&w, stress_below(&w.rng, NAP_NS));
	if (stress_chance(&w.rng, 1, 4))
		gyre_safepoint(m);
}

/* ---- Registering ---- */

bool notice_begin(struct stress_run *run, struct weak *weak)
{
	return mortal_pool_make(run, &weak->notices, sizeof(struct notice),
				stress_param(run, "notices"));
}

static struct notice *take_record(struct stress_worker *w, uint64_t target, uint64_t place)
{
	struct weak *weak = w->run->shared;
	struct notice *notice = mortal_pool_take(w->run, &weak->notices);

	if (!notice)
		return NULL;
	notice->run = w->run;
	notice->target = target;
	notice->place = place;
	notice->later = NULL;
	atomic_fetch_add_explicit(&notice->uses, 1, memory_order_relaxed); /* see check_order */
	notice->always = notice->alone = notice->settled = false;
	atomic_store_explicit(&notice->called, 0, memory_order_relaxed); /* ours alone */
	return notice;
}

/* Registers it; false: the cell is null. The caller keeps the cell. */
static bool register_notice(struct stress_worker *w, struct gyre_weak *cell, struct notice *notice)
{
	unsigned flags = notice->always ? GYRE_NOTICE_ALWAYS : 0;
	struct weak_worker *own = w->own;
	enum gyre_status status;

	/* Before the call: the callback may come before the call returns. */
	set_state(notice, NOTICE_REGISTERED);
	do
		status = gyre_weak_notify(w->m, cell, told, notice, flags, &notice->id);
	while (stress_again(w, status));
	if (status == GYRE_OK) {
		own->registered++;
		return true;
	}
	set_state(notice, NOTICE_REFUSED);
	if (status != GYRE_CLEARED)
		stress_ok(w->run, status, "gyre_weak_notify");
	else if (gyre_weak_load(w->m, cell))
		stress_fail(w->run, "gyre_weak_notify says that node %#llx is gone",
			    (unsigned long long)notice->target);
	return false;
}

struct notice *notice_node(struct stress_worker *w, struct mortal_node *node, uint64_t place,
			   bool always)
{
	uint64_t count = 1 + stress_below(&w->rng, NOTICES_A_NODE), i;
	struct gyre_weak *cell = mortal_cell(w, node);
	struct notice *last = NULL, *notice;
	GYRE_KEEP(w->m, cell);

	for (i = 0; cell && i < count; i++) {
		notice = take_record(w, node->head.identity, place);
		if (!notice)
			break;
		notice->always = always;
		notice->alone = node->kind == GROUP_PRIVATE;
		if (!register_notice(w, cell, notice)) {
			stress_lost(w->run, "the cell of node %#llx, which is held, is null",
				    (unsigned long long)node->head.identity);
			break;
		}
		if (last) {
			last->later = notice;
			last->later_use = atomic_load_explicit(
				&notice->uses, memory_order_relaxed); /* see check_order */
		}
		last = notice;
	}
	return last;
}

struct notice *notice_cell(struct stress_worker *w, struct weak_entry *entry, unsigned member,
			   uint64_t place)
{
	struct gyre_weak *cell = gyre_load(&entry->cells[member]);
	struct notice *notice;
	GYRE_KEEP(w->m, cell);

	if (!cell)
		return NULL;
	notice = take_record(w, entry->first + member, place);
	if (!notice)
		return NULL;
	notice->always = stress_chance(&w->rng, 1, 2);
	return register_notice(w, cell, notice) ? notice : NULL;
}

void notice_back(struct stress_worker *w, struct notice *notice, struct gyre_weak *cell, bool held)
{
	struct weak_worker *own = w->own;
	enum gyre_status status;

	/* Before the call: from then on nobody can tell whether it is there. */
	set_state(notice, NOTICE_TAKING);
	status = gyre_weak_unnotify(w->m, cell, notice->id);
	if (status == GYRE_OK) {
		set_state(notice, NOTICE_TAKEN);
		own->taken_back++;
		if (calls_of(notice) != 0)
			stress_fail(w->run,
				    "a callback of node %#llx was taken back when it had "
				    "been called",
				    (unsigned long long)notice->target);
		return;
	}
	set_state(notice, NOTICE_REGISTERED);
	own->too_late++;
	if (status != GYRE_CLEARED)
		stress_ok(w->run, status, "gyre_weak_unnotify");
	else if (held || gyre_weak_load(w->m, cell))
		stress_lost(w->run,
			    "gyre_weak_unnotify says that node %#llx, which is not, is gone",
			    (unsigned long long)notice->target);
}

/* ---- The sweep ---- */

/* How often a registration of a node that is dead must have been called: 2 stands for never or
 * once. */
static uint32_t due_calls(const struct notice *notice, bool watched)
{
	if (notice->always || watched)
		return 1;
	return notice->alone && notice->settled ? 0 : 2;
}

/* Judges one; whether it is over. */
static bool judge(struct stress_worker *w, struct notice *notice, bool alive, bool watched)
{
	struct weak *weak = w->run->shared;
	uint32_t state = state_of(notice), calls = calls_of(notice), due;
	bool registered = state == NOTICE_REGISTERED;

	due = registered && !alive ? due_calls(notice, watched) : 0;
	if (due == 2 ? calls > 1 : calls != due)
		stress_fail(w->run,
			    "a callback of node %#llx, which is %s, was called %u times, and not "
			    "%u (state %u%s%s%s)",
			    (unsigned long long)notice->target, alive ? "alive" : "dead", calls,
			    due, state, notice->always ? ", always" : "",
			    watched ? ", watched" : "", notice->alone ? ", alone" : "");
	notice->settled = true;
	if (registered && alive)
		return false;
	if (registered && calls == 1)
		weak->told++;
	else if (registered)
		weak->untold++;
	return true;
}

/* Workers forget records that are over. They are parked. */
static void forget_notices(struct stress_run *run)
{
	struct weak *weak = run->shared;
	struct weak_hold *hold;
	unsigned i, h;

	for (i = 0; i < run->options->threads; i++)
		for (h = 0; weak->workers[i] && h < WEAK_HELD; h++) {
			hold = &weak->workers[i]->holds[h];
			if (hold->notice && state_of(hold->notice) == NOTICE_FREE)
				hold->notice = NULL;
		}
}

void notice_sweep(struct stress_worker *w, const struct mortal_walk *walk,
		  const struct mortal_list *watched)
{
	struct weak *weak = w->run->shared;
	struct notice *notices = (struct notice *)weak->notices.records, *notice;
	size_t i;

	for (i = 0; i < weak->notices.count; i++) {
		notice = &notices[i];
		if (state_of(notice) == NOTICE_FREE)
			continue;
		if (!judge(w, notice, mortal_walk_met(walk, notice->target),
			   mortal_list_has(watched, notice->target)))
			continue;
		set_state(notice, NOTICE_FREE);
		mortal_pool_give(&weak->notices, notice);
	}
	forget_notices(w->run);
}
