/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world_ends.c: the calls of sim.h about weak cells, finalizers and attachments: gyre's own calls,
 * each with what the oracle must know. Runs on the coroutines of mutators, that of the finalizer
 * thread among them; built with points, like the library.
 *
 * Invariant: as in world.c, between the access that gives a pointer to a thread and the note that
 * the thread holds it there is no point.
 */
#include <gyre/gyre.h>

#include "mutator.h"
#include "oracle.h"
#include "weak.h"
#include "world.h"

static struct {
	const struct gyre_type *type, *leaf_type;
	void (*finalize)(void *node);
} ends[SIM_HEAPS];

/* What the thread was before a batch lent it a mutator. */
struct guest {
	struct sim_member member;
	unsigned heap;
};

/* A callback or finalizer begins on the mutator m. */
static void enter(struct gyre_mutator *m, struct guest *guest)
{
	unsigned i;

	for (i = 0; i < SIM_HEAPS && sim.heaps[i] != m->heap; i++)
		;
	if (i == SIM_HEAPS)
		sim_fail("a batch is run in no heap");
	guest->heap = sim.current->heap;
	sim.current->heap = i;
	guest->member = *sim_self();
	if (guest->member.m != NULL && guest->member.m != m)
		sim_fail("a batch is run by another mutator than its thread's");
	sim_self()->m = m;
	sim_self()->is_parked = false;
}

/* It ends, right before a safe point. */
static void leave(const struct guest *guest)
{
	sim_let_go();
	sim_self()->m = guest->member.m;
	sim_self()->is_parked = guest->member.is_parked;
	sim.current->heap = guest->heap;
}

static void finalize(struct gyre_mutator *m, void *node)
{
	struct guest guest;

	enter(m, &guest);
	sim_finalizer_begins(m, node);
	sim_hold(node);
	ends[sim.current->heap].finalize(node);
	leave(&guest);
}

/* A refused thread is like refused memory here. */
static enum gyre_status register_type(const struct gyre_type_desc *desc,
				      const struct gyre_type **type)
{
	uint64_t before = sim_refused();
	enum gyre_status status = gyre_type_register(sim_heap(), desc, type);

	return status == GYRE_NO_THREAD && sim_refused() > before ? GYRE_NO_MEMORY : status;
}

void sim_finals(void (*fn)(void *node))
{
	static const struct gyre_refs refs[] = { GYRE_REF(struct sim_node, slot) };
	static const struct gyre_type_desc node =
		GYRE_TYPE(struct sim_node, .refs = refs, .refs_count = 1, .finalize = finalize);
	static const struct gyre_type_desc leaf =
		GYRE_TYPE(struct sim_node, .refs = refs, .refs_count = 1, .flags = GYRE_ACYCLIC,
			  .finalize = finalize);
	unsigned heap = sim.current->heap;

	ends[heap].finalize = fn;
	sim_insist(register_type(&node, &ends[heap].type));
	sim_insist(register_type(&leaf, &ends[heap].leaf_type));
}

static void *new_final(const struct gyre_type *type)
{
	void *node = sim_new_of(type, 0, offsetof(struct sim_node, slot), SIM_SLOTS);

	if (node == NULL)
		sim_fail("gyre_new: no memory");
	sim_object_at(node)->owed = true;
	return node;
}

void *sim_new_final(void)
{
	return new_final(ends[sim.current->heap].type);
}

void *sim_new_leaf(void)
{
	void *node = new_final(ends[sim.current->heap].leaf_type);

	sim_object_at(node)->leaf = true;
	return node;
}

bool sim_is_leaf(const void *node)
{
	return sim_object_at(node)->leaf;
}

bool sim_was_finalized(const void *node)
{
	return sim_object_at(node)->run;
}

void sim_rearm(const void *node)
{
	struct sim_object *object = sim_object_at(node);
	bool died = object->run || sim_waits(node);

	/* The caller has hold of it, so if it has not died yet it does not do so in between. */
	sim_insist(gyre_finalizer_rearm(sim_mutator(), node));
	if (!died)
		return;
	if (sim_waits(node))
		object->again = true;
	else
		object->owed = true;
}

struct gyre_weak *sim_weak_of(const void *object)
{
	struct gyre_weak *cell;
	uint64_t before;

	do {
		before = sim_refused();
		cell = gyre_weak_of(sim_mutator(), object);
	} while (cell == NULL && sim_refused() > before);
	if (cell == NULL)
		sim_fail("gyre_weak_of: no memory");
	if (sim_object_at(cell)->target != object)
		sim_fail("the weak cell of object %u is that of another", sim_number(object));
	sim_hold(cell);
	return cell;
}

void *sim_weak_load(const struct gyre_weak *cell)
{
	void *value = gyre_weak_load(sim_mutator(), cell);

	sim_weak_loaded(cell, value);
	sim_hold(value);
	return value;
}

static void called(struct gyre_mutator *m, void *arg)
{
	struct sim_notice *notice = arg;
	struct guest guest;

	enter(m, &guest);
	if (!notice->cleared)
		sim_fail("a callback of weak cell %u is called before that is null", notice->cell);
	if (notice->called)
		sim_fail("a callback of weak cell %u is called twice", notice->cell);
	if (notice->taken_back)
		sim_fail("a callback of weak cell %u is called, which was taken back",
			 notice->cell);
	notice->called = true;
	leave(&guest);
}

bool sim_notify(struct gyre_weak *cell, unsigned flags)
{
	struct sim_notice *notice = sim_notice_add(cell, flags);
	uint64_t before;
	enum gyre_status status;

	do {
		before = sim_refused();
		status = gyre_weak_notify(sim_mutator(), cell, called, notice, flags, &notice->id);
		if (status == GYRE_NO_THREAD && sim_refused() > before)
			status = GYRE_NO_MEMORY;
	} while (status != GYRE_CLEARED && !sim_granted(status, before, "gyre_weak_notify"));
	if (status == GYRE_OK)
		return true;
	if (!sim_object_at(cell)->cleared)
		sim_fail("weak cell %u is said to be null, and is not", sim_number(cell));
	notice->taken_back = true; /* it never was */
	return false;
}

void sim_unnotify(struct gyre_weak *cell)
{
	struct sim_notice *notice;
	enum gyre_status status;
	unsigned i;

	for (i = 0; (notice = sim_notice_at(i)) != NULL; i++)
		if (notice->cell == sim_number(cell) && !notice->taken_back && notice->id != 0)
			break;
	if (notice == NULL)
		return;
	status = gyre_weak_unnotify(sim_mutator(), cell, notice->id);
	/* Another thread may have taken it back meanwhile. */
	if (status == GYRE_OK && notice->taken_back)
		sim_fail("a callback of weak cell %u is taken back twice", notice->cell);
	if (status == GYRE_OK && notice->called)
		sim_fail("a callback of weak cell %u is taken back, which was called",
			 notice->cell);
	if (status == GYRE_CLEARED && !notice->cleared)
		sim_fail("weak cell %u is said to be null, and is not", notice->cell);
	if (status == GYRE_INVALID && !notice->taken_back)
		sim_fail("a callback of weak cell %u is not known", notice->cell);
	notice->taken_back = notice->taken_back || status == GYRE_OK;
}

gyre_ref *sim_attachment(void *key, bool make)
{
	gyre_ref *slot;
	uint64_t before;

	do {
		before = sim_refused();
		slot = gyre__attachment(sim_mutator(), key, make);
	} while (slot == NULL && make && sim_refused() > before);
	if (slot != NULL)
		sim_hold(slot);
	else if (make)
		sim_fail("gyre__attachment: no memory");
	return slot;
}

bool sim_finalize_next(void)
{
	struct gyre_mutator *m = sim_mutator();
	uint64_t ran;

	sim_let_go();
	sim_expect(gyre_finalize_next(m, &ran), "gyre_finalize_next");
	sim_go_on();
	return ran > 0;
}

void sim_finalize_wait(void)
{
	struct gyre_mutator *m = sim_mutator();

	sim_let_go();
	sim_expect(gyre_finalize_wait(m), "gyre_finalize_wait");
	sim_go_on();
}

bool sim_owes(void)
{
	return atomic_load_explicit(&sim_heap()->ends.weak_type, memory_order_relaxed) != NULL ||
	       ends[sim.current->heap].type != NULL;
}

void sim_ends_reset(void)
{
	ends[sim.current->heap].type = ends[sim.current->heap].leaf_type = NULL;
}
