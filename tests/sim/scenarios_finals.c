/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_finals.c: finalizers: of newborns, in chains, such as write and bring back, are armed
 * again, end their thread, or run when the heap is closed. Runs in coroutines; finalizers on that
 * of the finalizer thread, or of whoever calls gyre_finalize_next.
 *
 * Invariant: finalizers bring back, arm again and make only what they can afford, so each scenario
 * ends.
 */
#include <setjmp.h>

#include "scenarios_ends.h"

/* Newborns with finalizers that nothing ever counts down: rings that nobody held, rings that hang
 * on a newborn that dies, single ones. */
static void final_maker(void *unused)
{
	unsigned rounds = 2 + sim_pick(5);

	(void)unused;
	sim_attach();
	while (rounds-- > 0 && sim_live() < 60) {
		void *ring, *owner;

		switch (sim_pick(5)) {
		case 0:
			make_ring(2, 1 + sim_pick(3));
			break;
		case 1:
			ring = make_ring(2, 1 + sim_pick(3));
			owner = sim_new();
			sim_init(sim_slot(owner, 0), ring);
			if (sim_pick(2))
				sim_root_set(FOUND, owner);
			break;
		case 2:
			sim_new_final();
			break;
		case 3:
			owner = sim_new_leaf();
			sim_init(sim_slot(owner, 1), make_ring(2, sim_pick(4)));
			break;
		default:
			owner = sim_new_final();
			sim_init(sim_slot(owner, 0), owner);
			if (sim_pick(2))
				sim_root_set(FOUND, owner);
		}
		if (sim_pick(2))
			rest();
	}
	sim_common.working--;
	sim_detach();
}

static void run_final_newborns(void)
{
	begin(no_finalizer);
	sim_root_set(FOUND, sim_new());
	sim_park();
	sim_common.working = 2;
	sim_start("a", final_maker, NULL);
	sim_start("b", final_maker, NULL);
	sim_end();
}

/* A chain of objects that are all special and die by their counts: an owner before what it owns.
 * Cells of its members are loaded meanwhile. */
static uint32_t last_finalized;

static void in_order(void *node)
{
	/* Of a chain that nobody touched, which was made from its first member on. */
	sim_check(sim_number(node) > last_finalized);
	last_finalized = sim_number(node);
}

static void run_chain(void)
{
	bool ordered = sim_pick(2);
	unsigned i;
	void *last;

	last_finalized = 0;
	begin(ordered ? in_order : no_finalizer);
	last = sim_new_final();
	sim_root_set(ROOT, last);
	for (i = 0; i < 3; i++) {
		void *more = sim_pick(4) ? sim_new_final() : sim_new();

		sim_store(sim_slot(last, 0), more);
		if (sim_pick(3) == 0)
			sim_store(sim_slot(last, 1), more);
		last = more;
		if (!ordered)
			set_cell(i, more);
		if (sim_pick(4) == 0)
			sim_boundaries(1), last = next(sim_root_get(ROOT));
		if (last == NULL)
			last = sim_root_get(ROOT);
		while (next(last) != NULL)
			last = next(last);
	}
	if (sim_pick(2))
		sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("loader", ordered ? weak_loader : all_loader, NULL);
	sim_end();
}

/* Finalizers that write into what dies and out of it, wait for boundaries in between, and bring
 * some of it back. */
static void write_around(void *node)
{
	void *values[2] = { node, NULL }, *near;
	struct gyre_keep keep;
	unsigned steps = 1 + sim_pick(3);

	sim_keep(&keep, values, 2);
	while (steps-- > 0) {
		near = next(node);
		switch (sim_pick(9)) {
		case 0:
			if (afford())
				sim_root_set(FOUND, node);
			break;
		case 1:
			if (near != NULL && afford())
				sim_root_set(FOUND, near);
			break;
		case 2:
			sim_store(sim_slot(node, 0), sim_pick(2) ? NULL : node);
			break;
		case 3:
			if (near != NULL)
				sim_store(sim_slot(near, 1), sim_pick(2) ? node : NULL);
			break;
		case 4:
			if (near != NULL && afford())
				sim_store(sim_slot(near, 2), sim_new_cycle());
			break;
		case 5:
			near = sim_root_get(OTHER);
			if (near == NULL)
				break; /* it was dropped at the end */
			sim_store(sim_slot(near, sim_pick(2)), sim_pick(2) ? node : next(node));
			break;
		case 6:
			set_cell(sim_pick(CELLS_COUNT), node);
			break;
		case 7:
			load_cell(sim_pick(CELLS_COUNT));
			break;
		default:
			sim_store(sim_slot(node, 0), NULL);
		}
		if (sim_pick(3) == 0) {
			sim_collect_soon();
			sim_safepoint();
		} else if (sim_pick(3) == 0) {
			sim_boundaries(1);
		}
	}
	sim_unkeep(&keep);
}

/* Takes what finalizers brought back, and drops it, or moves it. */
static void finder(void *unused)
{
	unsigned rounds = 4 + sim_pick(8);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		void *found = sim_pick(2) ? sim_root_get(FOUND)
					  : sim_load(sim_slot(sim_root_get(OTHER), sim_pick(2)));

		if (found != NULL && sim_pick(2) && afford())
			sim_rearm(sim_was_finalized(found) ? found : sim_new_final());
		if (sim_pick(2))
			sim_root_set(FOUND, NULL);
		if (sim_pick(3) == 0)
			sim_store(sim_slot(sim_root_get(OTHER), sim_pick(2)), found);
		if (sim_pick(3) == 0)
			load_cell(sim_pick(CELLS_COUNT));
		rest();
	}
	sim_detach();
}

static void begin_finals(void)
{
	void *first;

	begin(write_around);
	sim_root_set(OTHER, sim_new());
	if (sim_pick(2)) {
		first = make_ring(2 + sim_pick(2), 1 + sim_pick(7));
	} else {
		first = sim_new_final();
		sim_init(sim_slot(first, 0), sim_pick(2) ? sim_new_final() : sim_new());
	}
	sim_root_set(ROOT, first);
	if (sim_pick(2))
		set_cell(0, first);
	if (sim_pick(2))
		set_cell(1, next(first));
	if (sim_pick(2))
		sim_collect();
	sim_park();
}

static void run_finals(void)
{
	begin_finals();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("finder", finder, NULL);
	if (sim_pick(2))
		sim_start("other", finder, NULL);
	sim_end();
}

/* Finalizers that are armed again: by themselves, by others of their batch, by threads that hold
 * the object or have just lost it. */
static void rearm_some(void *node)
{
	void *near = next(node);

	if (sim_pick(2) && afford())
		sim_rearm(node);
	if (near != NULL && sim_pick(2) && afford() && sim_owed() > 0)
		sim_rearm(near);
	if (sim_pick(3) == 0 && afford())
		sim_root_set(FOUND, node);
	if (sim_pick(3) == 0)
		rest();
}

static void rearmer(void *unused)
{
	unsigned rounds = 4 + sim_pick(8);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		void *found = sim_root_get(sim_pick(2) ? ROOT : FOUND);

		if (found == NULL)
			found = load_cell(0);
		if (found != NULL && sim_pick(2)) {
			if (afford())
				sim_rearm(found);
			if (sim_pick(2))
				sim_root_set(sim_pick(2) ? ROOT : FOUND, NULL);
		} else if (found != NULL && sim_pick(3) == 0) {
			sim_root_set(FOUND, NULL);
		}
		rest();
	}
	sim_detach();
}

static void run_rearm(void)
{
	void *first;

	begin(rearm_some);
	first = sim_pick(2) ? make_ring(2, 3) : sim_new_final();
	sim_root_set(ROOT, first);
	if (sim_pick(2))
		set_cell(0, first);
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("a", rearmer, NULL);
	sim_start("b", rearmer, NULL);
	sim_end();
}

/* A thread that ends within a finalizer leaves the rest of its batch to another. */
static jmp_buf last_words;
static bool may_die;

static void die(void *node)
{
	(void)node;
	if (may_die && sim_pick(2)) {
		may_die = false;
		longjmp(last_words, 1);
	}
	if (sim_pick(3) == 0)
		sim_store(sim_slot(node, 0), NULL);
}

static void mortal(void *unused)
{
	(void)unused;
	sim_attach();
	if (setjmp(last_words) != 0)
		return;
	may_die = true;
	while (sim_common.working > 0 || sim_pick(4) > 0) {
		sim_collect_soon();
		sim_finalize_next();
		sim_sleep(3000);
	}
	may_die = false;
	sim_detach();
}

static void run_mortal(void)
{
	struct gyre_options options;

	sim_options(&options);
	options.finalizing = GYRE_FINALIZE_HOST;
	/* Nobody but the mortal one runs what waits, as only that may end so. */
	sim_common.host = false;
	sim_open(&options);
	may_die = false;
	sim_finals(die);
	begin_roots();
	sim_root_set(ROOT, make_ring(3, 7));
	set_cell(0, next(sim_root_get(ROOT)));
	if (sim_pick(2))
		sim_notify(sim_root_get(CELLS), GYRE_NOTICE_ALWAYS);
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("mortal", mortal, NULL);
	sim_start("loader", weak_loader, NULL);
	sim_end();
}

/* A heap is closed with finalizers still to run, of garbage and of what lives. */
static void run_closing(void)
{
	unsigned left = 0;

	begin_with(write_around, GYRE_CLOSE_FINALIZES | (sim_pick(2) ? GYRE_CLOSE_REPORTS : 0));
	sim_root_set(OTHER, sim_new());
	sim_root_set(ROOT, make_ring(3, 1 + sim_pick(7)));
	set_cell(0, sim_root_get(ROOT));
	sim_notify(sim_root_get(CELLS), GYRE_NOTICE_ALWAYS | GYRE_NOTICE_AT_CLOSE);
	make_ring(2, 3);
	sim_store(sim_slot(sim_root_get(OTHER), 0), sim_new_leaf());
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("finder", finder, NULL);
	sim_join();
	sim_unpark();
	sim_contest(true);
	sim_detach();
	sim_check(sim_close() == GYRE_OK);
	sim_contest(false);
	left = sim_owed();
	sim_check(left == 0);
}

SIM_SCENARIO(final_newborns, run_final_newborns, false,
	     "newborns with finalizers that are never counted down");
SIM_SCENARIO(final_chain, run_chain, false, "a chain of objects with finalizers and weak cells");
SIM_SCENARIO(final_writes, run_finals, false,
	     "finalizers that write, across boundaries, and bring back");
SIM_SCENARIO(final_rearm, run_rearm, false, "finalizers that are armed again while they die");
SIM_SCENARIO(final_mortal, run_mortal, false, "a thread ends within a finalizer");
SIM_SCENARIO(final_closing, run_closing, false, "a heap is closed with finalizers still to run");
