/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.c: what is true, and whether the library acts by it. Runs inside points and calls, on the
 * coroutine that is there, with the points muted.
 *
 * It keeps an account of its own of every object: where it is, where its slots are, whether it has
 * been freed. The graph is read from memory at the moment of each judgement: from the roots that
 * the scenario made, the open keep frames of each mutator, and what each mutator holds, through the
 * slots. Nothing of the collector's is believed, nor looked at.
 *
 * Judged: at each freeing, that the object was there, and that nothing reaches it (nor any freed
 * object); at each access to a slot, that its object is not freed; after each gyre_collect, that
 * what was garbage at the call is gone; at the end, that what is left is what is reached.
 * oracle_print.c puts the account into words.
 */
#include "core.h"

#include <string.h>

#include "heap.h"
#include "mutator.h"
#include "oracle.h"
#include "side.h"
#include "slab.h"

#define OBJECTS 1024 /* places that objects of one schedule have been in */
#define TABLE 2048   /* a power of two */

static struct {
	struct sim_object objects[OBJECTS];
	unsigned count;
	uint16_t table[TABLE]; /* index + 1, by place */
	uint32_t made;         /* objects, so far */
	uint32_t marking;
	struct sim_object *stack[OBJECTS];
	unsigned depth;
	struct gyre_root roots[SIM_ROOTS];
	bool root_made[SIM_ROOTS];
	bool closing;
	bool by_batch; /* what is followed now is reached from a batch */
	uint64_t revivals;
	struct sim_notice notices[SIM_NOTICES];
	unsigned notices_count;
} oracle;

void sim_oracle_reset(void)
{
	oracle.count = 0;
	oracle.made = oracle.marking = 0;
	oracle.closing = oracle.by_batch = false;
	oracle.revivals = 0;
	oracle.notices_count = 0;
	memset(oracle.table, 0, sizeof(oracle.table));
	memset(oracle.root_made, 0, sizeof(oracle.root_made));
}

static uint16_t *entry_of(const void *at)
{
	size_t i = ((uintptr_t)at >> 4) * 0x9e3779b97f4a7c15u >> 53;

	while (oracle.table[i] != 0 && oracle.objects[oracle.table[i] - 1].at != at)
		i = (i + 1) % TABLE;
	return &oracle.table[i];
}

struct sim_object *sim_object_at(const void *at)
{
	uint16_t index = *entry_of(at);

	return index == 0 ? NULL : &oracle.objects[index - 1];
}

const struct sim_object *sim_object_nth(unsigned i)
{
	return i < oracle.count ? &oracle.objects[i] : NULL;
}

struct sim_object *sim_object_add(void *at, gyre_ref *slots, size_t count)
{
	static const struct gyre__site site = { "sim_new", "MADE", SIM_SITE_POINT };
	uint16_t *entry = entry_of(at);
	struct sim_object *object;

	sim_note(&site, at);
	if (*entry == 0) {
		if (oracle.count == OBJECTS)
			sim_fail("more than %d objects", OBJECTS);
		*entry = (uint16_t)++oracle.count;
		oracle.objects[*entry - 1] = (struct sim_object){ .at = at };
	}
	object = &oracle.objects[*entry - 1];
	if (object->live)
		sim_fail("object %u was made where object %u lives", oracle.made + 1,
			 object->number);
	*object = (struct sim_object){
		.at = at,
		.number = ++oracle.made,
		.live = true,
		.slots = slots,
		.count = count,
		.heap = sim.current->heap,
	};
	return object;
}

struct gyre_root *sim_root(unsigned i)
{
	return &oracle.roots[i];
}

bool *sim_root_made(unsigned i)
{
	return &oracle.root_made[i];
}

uintptr_t sim_value_of(const gyre_ref *slot)
{
	return atomic_load_explicit(&slot->word, memory_order_relaxed) & ~GYRE_TAG_MASK;
}

/* by: what refers to it; NULL: a root, a frame or a thread, as `how` says. */
static void reach(const void *at, const struct sim_object *by, const char *how)
{
	struct sim_object *object;

	if (at == NULL)
		return;
	object = sim_object_at(at);
	if (object == NULL)
		sim_fail("%s refers to %p, where no object ever was", how, at);
	if (!object->live && by != NULL)
		sim_fail("object %u, which is reachable, refers to object %u, which is freed",
			 by->number, object->number);
	if (!object->live)
		sim_fail("%s refers to object %u, which is freed", how, object->number);
	if (object->mark == oracle.marking)
		return;
	if (object->dead && !oracle.by_batch)
		sim_fail("object %u was found dead, and %s refers to it", object->number, how);
	object->mark = oracle.marking;
	oracle.stack[oracle.depth++] = object;
}

const void *sim_beside(const struct sim_object *object, enum gyre__side_kind kind)
{
	const void *value;
	bool muted = sim.muted;

	sim.muted = true;
	value = gyre__side_get(object->at, kind);
	sim.muted = muted;
	return value;
}

static void follow(void)
{
	size_t n;

	while (oracle.depth > 0) {
		const struct sim_object *object = oracle.stack[--oracle.depth];

		for (n = 0; n < object->count; n++)
			reach((const void *)sim_value_of(&object->slots[n]), object, "an object");
		if (object->kind == SIM_CELL)
			continue;
		reach(sim_beside(object, GYRE_SIDE_WEAK), object, "an object that owns it");
		reach(sim_beside(object, GYRE_SIDE_ATTACHMENT), object, "an object that owns it");
	}
}

const void *sim_kept(const struct gyre_keep *keep, size_t i)
{
	const void *value;

	if (keep->addresses == NULL)
		return keep->values[i];
	memcpy(&value, keep->addresses[i], sizeof(value));
	return value;
}

static void reach_member(const struct sim_member *member)
{
	const struct gyre_keep *keep;
	size_t i;

	if (member->m == NULL)
		return;
	for (keep = member->m->head.keeps; keep != NULL; keep = keep->outer)
		for (i = 0; i < keep->count; i++)
			reach(sim_kept(keep, i), NULL, "a keep frame");
	for (i = 0; i < member->held_count; i++)
		reach(member->held[i], NULL, "a thread");
}

/* What a batch has pinned: until the last finalizer has returned, whatever the batch says. */
static void reach_batches(const struct gyre__batch *batch)
{
	size_t i;

	for (; batch != NULL; batch = batch->next)
		for (i = batch->run < batch->count ? 0 : batch->unpinned; i < batch->count; i++)
			reach(batch->objects[i], NULL, "a batch of finalizers");
}

/* Marks what is reachable now; first what is so not only for batches of finalizers. */
static void mark(void)
{
	const struct gyre__kept *kept;
	unsigned i, n;

	oracle.marking++;
	oracle.depth = 0;
	oracle.by_batch = oracle.closing;
	for (i = 0; i < SIM_ROOTS; i++)
		if (oracle.root_made[i])
			reach((const void *)sim_value_of(&oracle.roots[i].slot), NULL, "a root");
	for (i = 0; i < sim.count; i++)
		for (n = 0; n < SIM_HEAPS; n++)
			reach_member(&sim.threads[i].member[n]);
	follow();
	oracle.by_batch = true;
	for (i = 0; i < SIM_HEAPS; i++) {
		if (sim.heaps[i] == NULL)
			continue;
		reach_batches(sim.heaps[i]->ends.first);
		reach_batches(sim.heaps[i]->ends.active);
		reach_batches(sim.heaps[i]->ends.visited);
		for (kept = sim.heaps[i]->ends.kept; kept != NULL; kept = kept->next)
			reach_batches(&kept->batch);
	}
	follow();
}

static bool waits_in(const struct gyre__batch *batch, const void *object)
{
	size_t i;

	for (; batch != NULL; batch = batch->next)
		for (i = batch->run; i < batch->count; i++)
			if (batch->objects[i] == object)
				return true;
	return false;
}

bool sim_waits(const void *object)
{
	const struct gyre__ends *ends = &sim.heaps[sim.current->heap]->ends;

	return waits_in(ends->first, object) || waits_in(ends->active, object);
}

static bool marked(const struct sim_object *object)
{
	return object->mark == oracle.marking;
}

void gyre__sim_freeing(const void *at)
{
	static const struct gyre__site site = { "gyre__free_cell", "FREED", SIM_SITE_POINT };
	struct sim_object *object = sim_object_at(at);

	sim_note(&site, at);
	if (object == NULL)
		sim_fail("what is freed at %p never was an object", at);
	if (!object->live)
		sim_fail("object %u is freed twice", object->number);
	mark();
	if (marked(object))
		sim_fail("object %u is freed and is reachable", object->number);
	if (object->owed)
		sim_fail("object %u is freed and its finalizer has not run", object->number);
	object->live = false;
}

void gyre__sim_made(void *made, size_t slots, const void *owner)
{
	struct sim_object *object = sim_object_add(made, made, slots);

	object->kind = slots == 0 ? SIM_CELL : SIM_ATTACHMENT;
	object->target = owner;
	sim_hold(made);
}

void gyre__sim_cleared(const void *at, const void *cell_at)
{
	static const struct gyre__site site = { "clear", "CLEARED", SIM_SITE_POINT };
	struct sim_object *object = sim_object_at(at), *cell = sim_object_at(cell_at);
	unsigned i;

	sim_note(&site, at);
	if (cell == NULL || !cell->live || cell->target != at)
		sim_fail("object %u has lost a weak cell that is not its own", object->number);
	if (cell->cleared)
		sim_fail("weak cell %u is cleared twice", cell->number);
	cell->cleared = true;
	for (i = 0; i < oracle.notices_count; i++)
		if (oracle.notices[i].cell == cell->number)
			oracle.notices[i].cleared = true;
	if (oracle.closing)
		return;
	mark();
	if (marked(object))
		sim_fail("the weak cell of object %u is cleared, which is reachable",
			 object->number);
	object->dead = true;
}

void sim_weak_loaded(const void *cell_at, const void *value)
{
	struct sim_object *cell = sim_object_at(cell_at), *object;

	if (value != NULL && value != cell->target)
		sim_fail("weak cell %u gives another object than its own", cell->number);
	if (value != NULL && (cell->null || cell->cleared))
		sim_fail("weak cell %u was null and gives an object", cell->number);
	object = sim_object_at(cell->target);
	if (value == NULL) {
		cell->null = true;
		if (cell->cleared)
			return; /* judged when it was */
		mark();
		if (!object->live || marked(object))
			sim_fail("weak cell %u is null, and object %u is reachable", cell->number,
				 object->number);
		object->dead = true;
		return;
	}
	mark();
	if (marked(object))
		return;
	oracle.revivals++;
	/* It must not lead to what is dead. */
	oracle.by_batch = false;
	reach(value, NULL, "a weak load");
	follow();
}

uint64_t sim_revivals(void)
{
	return oracle.revivals;
}

void sim_finalizer_begins(const struct gyre_mutator *m, void *at)
{
	static const struct gyre__site site = { "finalize", "FINALIZED", SIM_SITE_POINT };
	struct sim_object *object = sim_object_at(at);
	unsigned i;
	size_t n;

	sim_note(&site, at);
	if (object == NULL || !object->live)
		sim_fail("the finalizer of an object that is freed is called");
	if (!object->owed)
		sim_fail("the finalizer of object %u runs again", object->number);
	object->owed = object->again;
	object->again = false;
	object->run = true;
	mark();
	if (m->batch == NULL)
		sim_fail("a finalizer runs outside of a batch");
	/* Whatever the batch reaches may live again from now on. */
	oracle.marking++;
	oracle.depth = 0;
	oracle.by_batch = true;
	for (n = 0; n < m->batch->count; n++)
		reach(m->batch->objects[n], NULL, "a batch of finalizers");
	follow();
	for (i = 0; i < oracle.count; i++)
		if (marked(&oracle.objects[i]))
			oracle.objects[i].dead = false;
}

void sim_closing(bool on)
{
	oracle.closing = on;
}

struct sim_notice *sim_notice_add(const void *cell, unsigned flags)
{
	struct sim_notice *notice;

	if (oracle.notices_count == SIM_NOTICES)
		sim_fail("more than %d callbacks", SIM_NOTICES);
	notice = &oracle.notices[oracle.notices_count++];
	*notice = (struct sim_notice){
		.cell = sim_number(cell),
		.flags = flags,
		.heap = sim.current->heap,
		/* The word may not be 0 yet. */
		.cleared = sim_object_at(cell)->cleared,
	};
	return notice;
}

struct sim_notice *sim_notice_at(unsigned i)
{
	return i < oracle.notices_count ? &oracle.notices[i] : NULL;
}

void sim_notices_check(void)
{
	unsigned i;

	for (i = 0; i < oracle.notices_count; i++) {
		const struct sim_notice *notice = &oracle.notices[i];

		if (notice->heap == sim.current->heap && notice->cleared && !notice->taken_back &&
		    !notice->called && notice->flags & GYRE_NOTICE_ALWAYS)
			sim_fail("callback %u, of weak cell %u, was not called", i, notice->cell);
	}
}

void sim_oracle_access(const struct gyre__site *site, const void *address)
{
	const struct gyre__arena *arena = gyre__arena_of(address);
	const struct gyre__slab *slab;
	const struct sim_object *object;

	/* The tables at the arena's front. */
	if ((const char *)address < (const char *)arena + GYRE_SLAB_BYTES)
		return;
	sim.muted = true;
	slab = gyre__slab_holding(&arena->heap->slabs, address);
	sim.muted = false;
	object = sim_object_at(gyre__cell(slab, gyre__cell_index(slab, address)));
	if (object == NULL)
		sim_fail("%s (%s): a slot where no object ever was", site->function, site->what);
	if (!object->live)
		sim_fail("%s (%s): a slot of object %u, which is freed", site->function, site->what,
			 object->number);
}

void sim_oracle_thread_ends(struct sim_thread *thread)
{
	/* Its frames are gone with its stack. gyre learns that it has ended by its leavings. */
	memset(thread->member, 0, sizeof(thread->member));
}

unsigned sim_garbage(uint32_t *numbers, unsigned most, bool spared)
{
	unsigned i, count = 0;

	mark();
	for (i = 0; i < oracle.count && spared; i++)
		if (oracle.objects[i].live && oracle.objects[i].owed)
			reach(oracle.objects[i].at, NULL, "a finalizer that is to run");
	follow();
	for (i = 0; i < oracle.count && count < most; i++)
		if (oracle.objects[i].live && oracle.objects[i].heap == sim.current->heap &&
		    oracle.objects[i].mark != oracle.marking)
			numbers[count++] = oracle.objects[i].number;
	return count;
}

unsigned sim_owed(void)
{
	unsigned i, count = 0;

	for (i = 0; i < oracle.count; i++)
		count += oracle.objects[i].live && oracle.objects[i].owed &&
			 oracle.objects[i].heap == sim.current->heap;
	return count;
}

unsigned sim_live(void)
{
	unsigned i, count = 0;

	for (i = 0; i < oracle.count; i++)
		count += oracle.objects[i].live && oracle.objects[i].heap == sim.current->heap;
	return count;
}

static void mix_reference(uint64_t *sum, uint64_t place, uintptr_t at)
{
	uint64_t state = place << 32 | (at == 0 ? 0 : sim_number((const void *)at));

	*sum += sim_random(&state);
}

uint64_t sim_graph(void)
{
	uint64_t sum = 0;
	unsigned i, n;

	for (i = 0; i < SIM_ROOTS; i++)
		if (oracle.root_made[i])
			mix_reference(&sum, i + 1, sim_value_of(&oracle.roots[i].slot));
	for (i = 0; i < oracle.count; i++) {
		const struct sim_object *object = &oracle.objects[i];

		if (!object->live || object->heap != sim.current->heap)
			continue;
		for (n = 0; n < object->count; n++)
			mix_reference(&sum, SIM_ROOTS + object->number * 1024 + n,
				      sim_value_of(&object->slots[n]));
	}
	return sum;
}

uint32_t sim_number(const void *at)
{
	return sim_object_at(at)->number;
}

bool sim_is_live(uint32_t number)
{
	unsigned i;

	for (i = 0; i < oracle.count; i++)
		if (oracle.objects[i].number == number)
			return oracle.objects[i].live;
	return false;
}

bool sim_is_journal_bytes(const void *address)
{
	unsigned i;

	for (i = 0; i < SIM_HEAPS; i++)
		if (sim.heaps[i] != NULL &&
		    address == (const void *)&sim.heaps[i]->shared.journal_bytes)
			return true;
	return false;
}
