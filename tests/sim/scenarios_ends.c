/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_ends.c: what is owed to the dead, all at once: attachments, and random programs with
 * weak cells, callbacks, finalizers and attachments, with memory and without. Runs in coroutines;
 * finalizers on that of the finalizer thread, or of whoever calls gyre_finalize_next. What these
 * share with scenarios_weak.c, scenarios_weak_sets.c and scenarios_finals.c is in scenarios_ends.h.
 *
 * Invariant: as there, finalizers do only what they can afford, so each program ends.
 */
#include "scenarios_ends.h"

struct sim_common sim_common;

/* Attachments: what a key has beside it lives as long as the key, whatever it refers to: the key
 * itself, another key, something young. Keys die, by count and as cycles. */
static void attacher(void *unused)
{
	unsigned rounds = 4 + sim_pick(10);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		unsigned root = sim_pick(3);
		void *key = sim_root_get(root);
		gyre_ref *slot;

		if (key == NULL && sim_live() < 60) {
			key = sim_pick(2) ? sim_new() : sim_new_cycle();
			sim_root_set(root, key);
		}
		slot = key == NULL ? NULL : sim_attachment(key, sim_pick(3) > 0);
		if (slot != NULL)
			switch (sim_pick(4)) {
			case 0:
				sim_store(slot, key);
				break;
			case 1:
				sim_store(slot, sim_root_get(sim_pick(3)));
				break;
			case 2:
				sim_store(slot, sim_new());
				break;
			default:
				sim_root_set(sim_pick(3), sim_load(slot));
			}
		if (key != NULL && sim_pick(4) == 0)
			set_cell(sim_pick(2), key);
		if (sim_pick(3) == 0)
			sim_root_set(sim_pick(3), load_cell(sim_pick(2)));
		if (sim_pick(3) == 0)
			sim_root_set(sim_pick(3), NULL);
		if (sim_pick(2))
			rest();
	}
	sim_detach();
}

static void run_attachments(void)
{
	unsigned i;

	begin(NULL);
	for (i = 0; i < 3; i++)
		sim_root_set(i, sim_new());
	sim_park();
	sim_start("a", attacher, NULL);
	sim_start("b", attacher, NULL);
	sim_end();
}

/* Anything. */
struct program {
	void *registers[4];
	void *kept[3]; /* of a keep frame; the last one is a cell */
};

#define KEPT 3
#define CELL 2

static void forget(struct program *p)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		p->registers[i] = i < CELL ? p->kept[i] : NULL;
}

static void make(struct program *p, void **to, void *other)
{
	if (sim_live() >= 20)
		return;
	switch (sim_pick(4)) {
	case 0:
		*to = sim_new_final();
		break;
	case 1:
		*to = sim_new_leaf();
		break;
	default:
		*to = sim_new();
	}
	if (other != NULL && sim_pick(2) && !sim_is_leaf(other))
		sim_init(sim_slot(*to, 0), other);
	if (sim_pick(2))
		p->kept[sim_pick(CELL)] = *to;
}

/* Leaves must not be in cycles: only roots and frames refer to them. */
static bool may_refer(const void *value)
{
	return value == NULL || !sim_is_leaf(value);
}

static void use_slot(void **to, void *object, void *value)
{
	gyre_ref *slot = sim_slot(object, sim_pick(SIM_SLOTS));

	switch (sim_pick(4)) {
	case 0:
		*to = sim_load(slot);
		break;
	case 1:
		if (may_refer(value))
			sim_store(slot, value);
		break;
	case 2:
		if (may_refer(value))
			*to = sim_exchange(slot, value);
		break;
	default:
		if (may_refer(value))
			sim_compare_exchange(slot, sim_load(slot), value);
	}
}

static void use_ends(struct program *p, void **to, void *object)
{
	gyre_ref *slot;

	switch (sim_pick(9)) {
	case 0:
	case 1:
		*to = load_cell(sim_pick(CELLS_COUNT));
		break;
	case 2:
		if (p->kept[CELL] != NULL)
			*to = sim_weak_load(p->kept[CELL]);
		break;
	case 3:
		p->kept[CELL] = sim_root_get(CELLS + sim_pick(CELLS_COUNT));
		break;
	case 4:
		if (object != NULL)
			set_cell(sim_pick(CELLS_COUNT), object);
		break;
	case 5:
		if (object != NULL)
			p->kept[CELL] = sim_weak_of(object);
		break;
	case 6:
		if (p->kept[CELL] != NULL && afford())
			sim_notify(p->kept[CELL], sim_pick(2) ? GYRE_NOTICE_ALWAYS : 0);
		else if (p->kept[CELL] != NULL)
			sim_unnotify(p->kept[CELL]);
		break;
	case 7:
		if (object != NULL && sim_live() < 24) {
			slot = sim_attachment(object, sim_pick(2));
			if (slot != NULL && sim_pick(2) && (*to == NULL || !sim_is_leaf(*to)))
				sim_store(slot, *to);
			else if (slot != NULL)
				*to = sim_load(slot);
		}
		break;
	default:
		if (object != NULL && sim_was_finalized(object) && afford())
			sim_rearm(object);
	}
}

static void operate(struct program *p)
{
	void **to = &p->registers[sim_pick(4)];
	void *object = p->registers[sim_pick(4)];
	void *value = sim_pick(3) ? p->registers[sim_pick(4)] : NULL;

	switch (sim_pick(11)) {
	case 0:
	case 1:
		make(p, to, object);
		break;
	case 2:
	case 3:
		if (object != NULL)
			use_slot(to, object, value);
		break;
	case 4:
		*to = sim_root_get(sim_pick(3));
		break;
	case 5:
		sim_root_set(sim_pick(3), value);
		break;
	case 6:
	case 7:
	case 8:
		use_ends(p, to, object);
		break;
	case 9:
		p->kept[sim_pick(CELL)] = value;
		break;
	default:
		if (sim_pick(12) == 0)
			sim_collect();
		else if (sim_pick(12) == 0)
			sim_verify();
		else if (sim_pick(12) == 0)
			sim_finalize_wait();
		else
			rest();
		forget(p);
	}
}

static void finalize_any(void *node)
{
	void *values[1] = { node }, *near = next(node);
	struct gyre_keep keep;

	sim_keep(&keep, values, 1);
	switch (sim_pick(8)) {
	case 0:
		sim_store(sim_slot(node, 0), NULL);
		break;
	case 1:
		if (afford())
			sim_root_set(sim_pick(3), node);
		break;
	case 2:
		if (afford() && near != NULL)
			sim_root_set(sim_pick(3), near);
		break;
	case 3:
		set_cell(sim_pick(CELLS_COUNT), node);
		break;
	case 4:
		if (afford())
			sim_rearm(node);
		break;
	case 5:
		if (afford())
			sim_store(sim_slot(node, 1), sim_new_final());
		break;
	default:
		if (near != NULL && may_refer(node))
			sim_store(sim_slot(near, 1), node);
	}
	if (sim_pick(3) == 0)
		rest();
	sim_unkeep(&keep);
}

static void mutate(void *unused)
{
	struct program p = { { NULL }, { NULL } };
	unsigned operations = 15 + sim_pick(60);
	struct gyre_keep keep;

	(void)unused;
	sim_attach();
	sim_keep(&keep, p.kept, KEPT);
	while (operations-- > 0)
		operate(&p);
	sim_unkeep(&keep);
	sim_detach();
}

static void run_some(bool starved)
{
	static const char *const names[] = { "a", "b", "c" };
	unsigned i, mutators = 2 + sim_pick(2);

	/* Opening again and again takes long, so it is refused seldom. */
	sim_starve(starved && sim_pick(8) == 0);
	begin(finalize_any);
	sim_starve(starved);
	sim_common.budget = 8;
	for (i = 0; i < 3; i++)
		sim_root_set(i, sim_new());
	sim_park();
	for (i = 0; i < mutators; i++)
		sim_start(names[i], mutate, NULL);
	sim_end();
}

static void run_programs(void)
{
	run_some(false);
}

static void run_starved(void)
{
	run_some(true);
}

SIM_SCENARIO(ends_program, run_programs, false,
	     "2 or 3 mutators do anything, with weak cells, finalizers and attachments");
SIM_SCENARIO(attachments, run_attachments, false, "keys with attachments die");
SIM_SCENARIO(ends_starved, run_starved, false, "calls for memory fail during all this");
