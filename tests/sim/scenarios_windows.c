/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_windows.c: what mutators do to the same slots while some of them are in the next epoch
 * already. With the engine tagged a boundary has three handshakes; a straggler, who seldom comes to
 * a safe point, keeps the window between them open. Runs in coroutines.
 */
#include "sim.h"

#define HOLDER 0 /* the root of an old object whose slots all write */
#define ROOTS 4
#define SLOTS 2 /* of it that are written */

static unsigned working; /* mutators that a straggler waits for */

/* A holder that is old, and something in the other roots. */
static void begin(void)
{
	unsigned i;

	sim_open(NULL);
	sim_attach();
	for (i = 0; i < ROOTS; i++)
		sim_root_set(i, sim_new());
	sim_collect();
	sim_park();
	working = 0;
}

/* Two that work, and one that straggles until they are done. */
static void start_two(void (*work)(void *), void (*straggler)(void *))
{
	working = 2;
	sim_start("a", work, NULL);
	sim_start("b", work, NULL);
	sim_start("straggler", straggler, NULL);
}

static gyre_ref *holder_slot(unsigned i)
{
	return sim_slot(sim_root_get(HOLDER), i);
}

static gyre_ref *any_slot(void)
{
	return holder_slot(sim_pick(SLOTS));
}

static void *any_root(void)
{
	return sim_root_get(1 + sim_pick(ROOTS - 1));
}

static void *something(void)
{
	switch (sim_pick(4)) {
	case 0:
		return NULL;
	case 1:
		return sim_live() < 100 ? sim_new() : NULL;
	case 2:
		return any_root();
	default:
		return sim_load(holder_slot(sim_pick(SIM_SLOTS)));
	}
}

/* Writes without a safe point: long after others have switched, with the tags that they left. */
static void straggle(void (*write)(void))
{
	sim_attach();
	while (working > 0) {
		unsigned writes = sim_pick(6);

		sim_collect_soon();
		while (writes-- > 0) {
			write();
			sim_sleep(sim_pick(2000));
		}
		sim_safepoint();
	}
	sim_detach();
}

/* One slot: every kind of write to the same two slots, and what is taken from them put elsewhere.
 * A third one has one writer, who does not exchange. */
static void write_one(void)
{
	gyre_ref *slot = any_slot();
	void *seen;

	switch (sim_pick(6)) {
	case 0:
	case 1:
		sim_store(slot, something());
		break;
	case 2:
		seen = sim_exchange(slot, something());
		sim_store(any_slot(), seen);
		break;
	case 3:
		seen = sim_load(slot);
		sim_compare_exchange(slot, seen, something());
		break;
	case 4:
		seen = sim_load(slot);
		sim_store(slot, NULL);
		sim_root_set(1 + sim_pick(ROOTS - 1), seen);
		break;
	default:
		sim_check(gyre_array_copy(sim_mutator(), any_slot(), slot, 1) == GYRE_OK);
	}
}

static void slot_straggler(void *unused)
{
	(void)unused;
	straggle(write_one);
}

static void slot_writer(void *owner)
{
	unsigned rounds = 6 + sim_pick(20), calm = 1 + sim_pick(4);

	sim_attach();
	while (rounds-- > 0) {
		if (owner != NULL && sim_pick(2))
			sim_insist(gyre_store_exclusive(sim_mutator(), holder_slot(SLOTS),
							something()));
		write_one();
		if (sim_pick(3) == 0)
			sim_collect_soon();
		if (sim_pick(calm) == 0)
			sim_safepoint();
	}
	working--;
	sim_detach();
}

static void one_slot(void)
{
	begin();
	working = 2;
	sim_start("owner", slot_writer, &working);
	sim_start("b", slot_writer, NULL);
	sim_start("straggler", slot_straggler, NULL);
	sim_end();
}

/* The same, short enough for all its schedules: two mutators, one boundary between two writes. */
static void short_writer(void *unused)
{
	unsigned i;

	(void)unused;
	sim_attach();
	for (i = 0; i < 2; i++) {
		gyre_ref *slot = sim_slot(sim_root_get(HOLDER), 0);

		sim_store(slot, i == 0 ? sim_new() : sim_load(sim_slot(sim_root_get(HOLDER), 1)));
		sim_safepoint();
	}
	sim_detach();
}

static void two_writers(void)
{
	sim_open(NULL);
	sim_attach();
	sim_root_set(HOLDER, sim_new());
	sim_store(sim_slot(sim_root_get(HOLDER), 1), sim_new());
	sim_collect();
	sim_collect_soon();
	sim_park();
	sim_start("a", short_writer, NULL);
	sim_start("b", short_writer, NULL);
	sim_end();
}

/*
 * Newborns: who makes them, who refers to them first and whose frame holds them are different
 * threads, in different epochs. Single ones and cycles; reached by an old slot, by another newborn,
 * by a root, or by a frame only; and cut off again, so that what nothing but newborns or garbage
 * refers to is garbage, too.
 */
static void *make(void)
{
	void *made;

	if (sim_live() > 60)
		return any_root();
	made = sim_pick(2) ? sim_new() : sim_new_cycle();
	if (sim_pick(2))
		sim_init(sim_slot(made, 1), sim_pick(2) ? sim_new() : something());
	return made;
}

static void deliver(void *made)
{
	void *seen;

	switch (sim_pick(4)) {
	case 0:
		sim_root_set(1 + sim_pick(ROOTS - 1), made);
		break;
	case 1:
		seen = sim_load(any_slot());
		if (seen != NULL)
			sim_store(sim_slot(seen, 2), made);
		break;
	default:
		sim_store(any_slot(), made);
	}
}

static void newborn_maker(void *unused)
{
	unsigned rounds = 4 + sim_pick(16);
	void *kept[1] = { NULL };
	struct gyre_keep frame;

	(void)unused;
	sim_attach();
	sim_keep(&frame, kept, 1);
	while (rounds-- > 0) {
		void *made = make();

		if (sim_pick(2))
			kept[0] = made;
		if (sim_pick(2))
			deliver(made);
		if (sim_pick(2))
			sim_collect_soon();
		if (sim_pick(2))
			sim_safepoint();
		if (kept[0] != NULL && sim_pick(3) == 0) {
			deliver(kept[0]);
			kept[0] = NULL;
		}
	}
	sim_unkeep(&frame);
	working--;
	sim_detach();
}

static void cut(void)
{
	void *seen = sim_load(any_slot());

	if (seen != NULL && sim_pick(2))
		sim_store(sim_slot(seen, 1 + sim_pick(2)), something());
	sim_store(any_slot(), sim_pick(2) ? seen : NULL);
	if (sim_pick(3) == 0)
		sim_root_set(1 + sim_pick(ROOTS - 1), sim_pick(2) ? seen : NULL);
}

static void newborn_straggler(void *unused)
{
	(void)unused;
	straggle(cut);
}

static void newborns(void)
{
	begin();
	start_two(newborn_maker, newborn_straggler);
	sim_end();
}

/*
 * Comers: threads attach, write, park, run again, detach or die while a boundary stands between two
 * of its handshakes.
 */
static void comer(void *unused)
{
	unsigned rounds = 2 + sim_pick(4), writes;

	(void)unused;
	while (rounds-- > 0) {
		sim_attach();
		for (writes = sim_pick(3); writes > 0; writes--)
			write_one();
		sim_collect_soon();
		if (sim_pick(2))
			sim_safepoint();
		if (sim_pick(2)) {
			write_one();
			sim_park();
			sim_sleep(sim_pick(6000));
			sim_unpark();
		}
		for (writes = sim_pick(3); writes > 0; writes--)
			write_one();
		if (rounds == 0 && sim_pick(2))
			break; /* it ends without a word */
		sim_detach();
	}
	working--;
}

static void comers(void)
{
	begin();
	start_two(comer, slot_straggler);
	sim_end();
}

/*
 * A dead cell with a slot of the open epoch: the hasty thread has switched, and writes to a thing
 * that it took from a slot which a thread that has not switched clears then. So the thing is dead
 * in the view, and a journal has an entry of it that is processed an epoch later. Meanwhile its
 * slab, which held nothing else, is wanted for cells of another size.
 */
struct thing {
	gyre_ref slot[SIM_SLOTS];
	unsigned char filler[4000];
};

struct small {
	gyre_ref slot[1];
};

static const struct gyre_type *thing_type, *small_type;
static uint32_t thing_number;

static void hasty(void *unused)
{
	void *thing = NULL;
	uint64_t epoch;
	unsigned i;

	(void)unused;
	sim_attach();
	epoch = sim_epoch();
	for (i = 0; i < 40 && sim_epoch() == epoch; i++) {
		sim_collect_soon();
		sim_safepoint();
		sim_sleep(300);
	}
	/* For the other one to take, and to store into what dies before this is born. */
	sim_root_set(2, sim_new());
	for (i = 0; i < 20 && thing == NULL; i++)
		thing = sim_load(holder_slot(0));
	for (i = sim_pick(SIM_SLOTS) + 1; thing != NULL && i > 0; i--)
		sim_store(sim_slot(thing, i - 1), something());
	if (sim_pick(3) == 0)
		sim_store(holder_slot(1), thing);
	sim_safepoint();
	sim_detach();
}

static void cutter(void *unused)
{
	unsigned i, n;
	void *thing;

	(void)unused;
	sim_attach();
	for (i = 0; i < 40 && !sim_in_window(); i++) {
		sim_sleep(300);
		sim_safepoint();
	}
	sim_sleep(sim_pick(4000));
	thing = sim_load(holder_slot(0));
	/* Twice counted down in one epoch, so that a list of candidates still has it. */
	sim_store(holder_slot(0), NULL);
	sim_store(holder_slot(1), NULL);
	if (thing != NULL && sim_pick(2))
		sim_store(sim_slot(thing, sim_pick(SIM_SLOTS)), sim_root_get(2));
	for (i = 0; i < 60 && sim_is_live(thing_number); i++) {
		sim_safepoint();
		sim_sleep(500);
	}
	for (i = 0; i < 4; i++) {
		void *last = NULL;

		for (n = 0; n < 4; n++) {
			void *made = sim_new_of(small_type, 0, 0, 1);

			sim_check(made != NULL);
			sim_init(&((struct small *)made)->slot[0], last);
			last = made;
		}
		sim_root_set(1, last);
		sim_collect_soon();
		sim_safepoint();
	}
	sim_detach();
}

static void dead_cell(void)
{
	const struct gyre_type_desc thing =
		GYRE_TYPE(struct thing, GYRE_REFS(GYRE_REF(struct thing, slot)));
	const struct gyre_type_desc small =
		GYRE_TYPE(struct small, GYRE_REFS(GYRE_REF(struct small, slot)));
	void *made;

	begin();
	sim_unpark();
	sim_check(gyre_type_register(sim_heap(), &thing, &thing_type) == GYRE_OK);
	sim_check(gyre_type_register(sim_heap(), &small, &small_type) == GYRE_OK);
	made = sim_new_of(thing_type, 0, 0, SIM_SLOTS);
	thing_number = sim_number(made);
	sim_store(holder_slot(0), made);
	if (sim_pick(2))
		sim_store(holder_slot(1), made);
	if (sim_pick(2))
		sim_store(sim_slot(made, 0), made);
	sim_collect();
	sim_park();
	sim_start("hasty", hasty, NULL);
	sim_start("cutter", cutter, NULL);
	sim_end();
}

/*
 * Other kinds of objects whose slots are written across boundaries: large ones, whose slots lie
 * behind their first slab, and ones with a trace callback, whose slots no table describes. What
 * they refer to may be acyclic.
 */
#define FAR_BYTES 140000

struct distant {
	unsigned char filler[FAR_BYTES];
	gyre_ref slot[SIM_SLOTS];
};

struct leaf {
	unsigned char content[48];
};

static const struct gyre_type *distant_type, *traced_type, *leaf_type;

static void trace(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const struct sim_node *node = object;
	unsigned i;

	(void)bytes;
	for (i = 0; i < SIM_SLOTS; i++)
		visit(arg, &node->slot[i]);
}

static gyre_ref *slot_of_kind(void *object, unsigned kind, unsigned i)
{
	return kind ? &((struct distant *)object)->slot[i] : sim_slot(object, i);
}

static void *new_of_kind(unsigned kind)
{
	void *made = kind ? sim_new_of(distant_type, 0, FAR_BYTES, SIM_SLOTS) :
			    sim_new_of(traced_type, 0, 0, SIM_SLOTS);

	sim_check(made != NULL);
	return made;
}

static void *some_value(void)
{
	void *leaf;

	switch (sim_pick(4)) {
	case 0:
		return sim_new_cycle();
	case 1:
		leaf = sim_new_of(leaf_type, 0, 0, 0);
		sim_check(leaf != NULL);
		return leaf;
	default:
		return sim_root_get(sim_pick(2));
	}
}

/* Root number kind has objects of that kind only; those are in each other's slots 2. */
static void write_kind(void)
{
	unsigned kind = sim_pick(2);
	void *object = sim_root_get(kind), *made;

	switch (sim_pick(5)) {
	case 0:
		if (sim_live() > 30)
			break;
		made = new_of_kind(kind);
		sim_init(slot_of_kind(made, kind, 2), object);
		if (sim_pick(2))
			sim_store(slot_of_kind(object, kind, 2), made);
		sim_root_set(kind, made);
		break;
	case 1:
		made = sim_load(slot_of_kind(object, kind, 2));
		if (made != NULL)
			sim_root_set(kind, made);
		break;
	case 2:
		sim_store(slot_of_kind(object, kind, 2), NULL);
		break;
	case 3:
		made = sim_load(slot_of_kind(object, kind, sim_pick(2)));
		sim_store(slot_of_kind(object, kind, sim_pick(2)), made);
		break;
	default:
		sim_store(slot_of_kind(object, kind, sim_pick(2)), some_value());
	}
}

static void kind_straggler(void *unused)
{
	(void)unused;
	straggle(write_kind);
}

static void kind_writer(void *unused)
{
	unsigned rounds = 6 + sim_pick(16);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		write_kind();
		if (sim_pick(2))
			sim_collect_soon();
		if (sim_pick(2))
			sim_safepoint();
	}
	working--;
	sim_detach();
}

static void kinds(void)
{
	const struct gyre_type_desc distant =
		GYRE_TYPE(struct distant, GYRE_REFS(GYRE_REF(struct distant, slot)));
	const struct gyre_type_desc traced = GYRE_TYPE(struct sim_node, .trace = trace);
	const struct gyre_type_desc leaf = GYRE_TYPE(struct leaf, .refs = NULL);
	unsigned kind;

	sim_open(NULL);
	sim_check(gyre_type_register(sim_heap(), &distant, &distant_type) == GYRE_OK);
	sim_check(gyre_type_register(sim_heap(), &traced, &traced_type) == GYRE_OK);
	sim_check(gyre_type_register(sim_heap(), &leaf, &leaf_type) == GYRE_OK);
	sim_attach();
	for (kind = 0; kind < 2; kind++)
		sim_root_set(kind, new_of_kind(kind));
	sim_park();
	start_two(kind_writer, kind_straggler);
	sim_end();
}

SIM_SCENARIO(one_slot, one_slot, false, "all kinds of writes of one slot across a switch");
SIM_SCENARIO(two_writers, two_writers, false, "two writes of one slot by two mutators");
SIM_SCENARIO(newborns, newborns, false, "newborns reached from other epochs, and cut off");
SIM_SCENARIO(comers, comers, false, "threads come and go between two handshakes");
SIM_SCENARIO(dead_cell, dead_cell, false, "a cell dies with an entry in an open journal");
SIM_SCENARIO(kinds, kinds, false, "large and traced objects written across boundaries");
