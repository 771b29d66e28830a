/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world_live.c: the calls of sim.h that look at the living heap: gyre's own calls, each with what
 * the oracle must know. Runs on the coroutines of mutators; built with points, like the library.
 *
 * Invariant: a visited object is held from the beginning of its visit to the end, and after the
 * call if it was the last; between the first access to it and that note there is no point.
 */
#include <gyre/gyre.h>

#include "mutator.h"
#include "oracle.h"
#include "world.h"

struct visiting {
	bool (*visit)(void *node);
	void *last;
};

static bool visited(void *arg, struct gyre_mutator *m, void *object)
{
	struct visiting *visiting = arg;
	bool more;

	(void)m;
	sim_let_go();
	sim_go_on();
	sim_hold(object);
	more = visiting->visit(object);
	visiting->last = more ? NULL : object;
	sim_let_go();
	sim_self()->is_parked = true;
	if (!more)
		sim_hold(object);
	return more;
}

void *sim_census(bool (*visit)(void *node))
{
	struct gyre_mutator *m = sim_mutator();
	struct visiting visiting = { visit, NULL };
	uint64_t before;
	enum gyre_status status;

	do {
		sim_let_go();
		sim_self()->is_parked = true;
		before = sim_refused();
		status = gyre_census(m, sim_node_type(), visited, &visiting);
		sim_go_on();
	} while (!sim_granted(status, before, "gyre_census"));
	return visiting.last;
}

void *sim_referrers(const void *node, bool (*visit)(void *node))
{
	struct gyre_mutator *m = sim_mutator();
	struct visiting visiting = { visit, NULL };
	uint64_t before;
	enum gyre_status status;

	do {
		sim_let_go();
		sim_self()->is_parked = true;
		before = sim_refused();
		status = gyre_referrers(m, node, visited, &visiting);
		sim_go_on();
	} while (!sim_granted(status, before, "gyre_referrers"));
	return visiting.last;
}

static void change(enum gyre_status (*call)(struct gyre_mutator *m), const char *name)
{
	struct gyre_mutator *m = sim_mutator();

	sim_let_go();
	sim_self()->is_parked = true;
	sim_expect(call(m), name);
	sim_go_on();
}

void sim_exempt(bool on)
{
	if (on)
		change(gyre_exempt_all, "gyre_exempt_all");
	else
		change(gyre_exempt_none, "gyre_exempt_none");
}

void sim_garbage_clear(void)
{
	change(gyre_garbage_clear, "gyre_garbage_clear");
}

static bool visited_cycle(void *arg, struct gyre_mutator *m, const struct gyre_cycle *cycle)
{
	bool (*visit)(uint64_t id, void *node) = *(bool (**)(uint64_t, void *))arg;
	bool more;

	(void)m;
	sim_let_go();
	sim_go_on();
	sim_hold(cycle->objects[0]);
	more = visit(cycle->id, cycle->objects[0]);
	sim_let_go();
	sim_self()->is_parked = true;
	return more;
}

void sim_garbage_visit(bool (*visit)(uint64_t id, void *node))
{
	struct gyre_mutator *m = sim_mutator();

	sim_let_go();
	sim_self()->is_parked = true;
	sim_expect(gyre_garbage_visit(m, visited_cycle, &visit), "gyre_garbage_visit");
	sim_go_on();
}

void sim_garbage_drop(uint64_t id)
{
	struct gyre_mutator *m = sim_mutator();

	sim_let_go();
	sim_self()->is_parked = true;
	sim_expect(gyre_garbage_drop(m, id), "gyre_garbage_drop");
	sim_go_on();
}
