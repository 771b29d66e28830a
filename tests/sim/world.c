/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.c: the calls of sim.h that scenarios are made of: gyre's own calls, each with what the
 * oracle must know. Runs on the coroutines of mutators; built with points, like the library.
 *
 * Invariant: between the access that gives a pointer to a thread and the note that the thread holds
 * it there is no point, so the oracle never sees a moment in which it is held and not noted.
 */
#include <gyre/gyre.h>
#include <stdio.h>

#include "engine.h"
#include "mutator.h"
#include "oracle.h"
#include "world.h"

#define OPENINGS_REFUSED 1000
#define ROUNDS 10

static const struct gyre_type *node_types[SIM_HEAPS];

static struct sim_member *self(void)
{
	return sim_self();
}

void sim_use(unsigned heap)
{
	sim.current->heap = heap;
}

struct gyre_mutator *sim_mutator(void)
{
	if (self()->m == NULL || self()->is_parked)
		sim_fail("the scenario uses the heap on thread %s, which is not attached or parked",
			 sim.current->name);
	return self()->m;
}

struct gyre_heap *sim_heap(void)
{
	return sim.heaps[sim.current->heap];
}

const struct gyre_type *sim_node_type(void)
{
	return node_types[sim.current->heap];
}

void sim_hold(const void *object)
{
	struct sim_member *member;
	const struct sim_object *known;
	unsigned i;

	if (object == NULL)
		return;
	known = sim_object_at(object);
	if (known == NULL || !known->live)
		sim_fail("thread %s got hold of object %u, which is freed", sim.current->name,
			 known == NULL ? 0 : known->number);
	member = &sim.current->member[known->heap];
	for (i = 0; i < member->held_count; i++)
		if (member->held[i] == object)
			return;
	if (member->held_count == SIM_HELD)
		sim_fail("thread %s holds more than %d objects", sim.current->name, SIM_HELD);
	member->held[member->held_count++] = object;
}

void sim_let_go(void)
{
	self()->held_count = 0;
}

void sim_go_on(void)
{
	const struct gyre_keep *keep;
	size_t i;

	self()->is_parked = false;
	for (keep = self()->m->head.keeps; keep != NULL; keep = keep->outer)
		for (i = 0; i < keep->count; i++)
			sim_hold(sim_kept(keep, i));
}

void sim_expect(enum gyre_status status, const char *call)
{
	if (status != GYRE_OK)
		sim_fail("%s: %s", call, gyre_status_name(status));
}

uint64_t sim_refused(void)
{
	return sim.current->refused;
}

bool sim_granted(enum gyre_status status, uint64_t before, const char *call)
{
	if (status == GYRE_NO_MEMORY && sim_refused() > before)
		return false;
	sim_expect(status, call);
	return true;
}

static void heard(void *arg, enum gyre_log_level level, const char *text)
{
	(void)arg;
	if (level == GYRE_LOG_ERROR)
		sim_fail("the log says: %s", text);
}

void sim_options(struct gyre_options *options)
{
	gyre_options_init(options);
	options->name = "sim";
	options->epoch_ns = 20000;
	options->epoch_bytes = (size_t)1 << 20;
	options->near_budget = 8;
	options->engine = sim_engine_of(sim.plan.seed);
	options->flags = sim_pick(2) ? GYRE_POISON : 0;
	options->log = heard;
}

/* What can be refused here besides memory is answered by a status of its own. Opening takes so many
 * calls that, where each is refused by a chance of one half, all of them may not be granted within
 * a schedule's steps: after so many tries none is refused. */
static enum gyre_status open_heap(const struct gyre_options *options, unsigned *tries)
{
	bool starves = sim.starves;
	uint64_t before = sim_refused();
	enum gyre_status status;

	sim.starves = starves && ++*tries <= OPENINGS_REFUSED;
	status = gyre_heap_open(&sim.heaps[sim.current->heap], options);
	sim.starves = starves;
	if ((status == GYRE_NO_THREAD || status == GYRE_LIMIT) && sim_refused() > before)
		return GYRE_NO_MEMORY;
	return status;
}

void sim_open(const struct gyre_options *options)
{
	static const struct gyre_refs refs[] = { GYRE_REF(struct sim_node, slot) };
	static const struct gyre_type_desc desc =
		GYRE_TYPE(struct sim_node, .refs = refs, .refs_count = 1);
	struct gyre_options usual;
	unsigned tries = 0;

	sim_options(&usual);
	sim_insist(open_heap(options != NULL ? options : &usual, &tries));
	sim_insist(gyre_type_register(sim_heap(), &desc, &node_types[sim.current->heap]));
	sim_ends_reset();
}

static void attach(unsigned flags)
{
	struct gyre_mutator *m;

	sim_insist(gyre_attach(sim_heap(), flags, &m));
	self()->m = m;
	self()->is_parked = false;
}

void sim_attach(void)
{
	attach(0);
}

void sim_attach_host(void)
{
	attach(GYRE_ATTACH_QSBR);
}

void sim_detach(void)
{
	struct gyre_mutator *m = self()->m;

	sim_let_go();
	/* gyre_detach fails with frames open; so there are none. */
	self()->m = NULL;
	sim_expect(gyre_detach(m), "gyre_detach");
}

void *sim_new_of(const struct gyre_type *type, size_t length, size_t slots_offset, size_t slots)
{
	uint64_t before;
	char *object;

	do {
		before = sim_refused();
		object = length > 0 ? gyre_new_array(sim_mutator(), type, length)
				    : gyre_new(sim_mutator(), type);
	} while (object == NULL && sim_refused() > before);
	if (object == NULL)
		return NULL;
	sim_object_add(object, (gyre_ref *)(object + slots_offset), slots);
	sim_hold(object);
	return object;
}

void *sim_new(void)
{
	void *node = sim_new_of(sim_node_type(), 0, offsetof(struct sim_node, slot), SIM_SLOTS);

	if (node == NULL)
		sim_fail("gyre_new: no memory");
	return node;
}

void *sim_new_cycle(void)
{
	void *first = sim_new(), *second = sim_new();

	sim_init(sim_slot(first, 0), second);
	sim_init(sim_slot(second, 0), first);
	return first;
}

gyre_ref *sim_slot(void *node, unsigned i)
{
	return &((struct sim_node *)node)->slot[i];
}

void *sim_load(const gyre_ref *slot)
{
	void *value;

	sim_mutator();
	value = gyre_load(slot);
	sim_hold(value);
	return value;
}

void sim_store(gyre_ref *slot, void *value)
{
	sim_insist(gyre_store(sim_mutator(), slot, value));
}

void sim_init(gyre_ref *slot, void *value)
{
	sim_insist(gyre_init(sim_mutator(), slot, value));
}

void *sim_exchange(gyre_ref *slot, void *value)
{
	void *old;

	sim_insist(gyre_exchange(sim_mutator(), slot, value, &old));
	sim_hold(old);
	return old;
}

bool sim_compare_exchange(gyre_ref *slot, void *expected, void *value)
{
	enum gyre_status status;
	uint64_t before;
	void *found;

	do {
		found = expected;
		before = sim_refused();
		status = gyre_compare_exchange(sim_mutator(), slot, &found, value);
	} while (status != GYRE_CHANGED && !sim_granted(status, before, "gyre_compare_exchange"));
	if (status == GYRE_OK)
		return true;
	sim_hold(found);
	return false;
}

void sim_root_set(unsigned i, void *value)
{
	if (*sim_root_made(i)) {
		sim_store(&sim_root(i)->slot, value);
		return;
	}
	sim_insist(gyre_root_init(sim_mutator(), sim_root(i), value));
	*sim_root_made(i) = true;
}

gyre_ref *sim_root_slot(unsigned i)
{
	return &sim_root(i)->slot;
}

void *sim_root_get(unsigned i)
{
	return sim_load(&sim_root(i)->slot);
}

static void drop_roots(void)
{
	unsigned i;

	for (i = 0; i < SIM_ROOTS; i++) {
		if (!*sim_root_made(i) || sim_root(i)->heap != sim_heap())
			continue;
		sim_expect(gyre_root_drop(sim_mutator(), sim_root(i)), "gyre_root_drop");
		*sim_root_made(i) = false;
	}
}

void sim_safepoint(void)
{
	struct gyre_mutator *m = sim_mutator();

	sim_let_go();
	gyre_safepoint(m);
	sim_go_on();
}

void sim_park(void)
{
	struct gyre_mutator *m = sim_mutator();

	sim_let_go();
	self()->is_parked = true;
	sim_expect(gyre_park(m), "gyre_park");
}

void sim_unpark(void)
{
	sim_expect(gyre_unpark(self()->m), "gyre_unpark");
	sim_go_on();
}

void sim_collect(void)
{
	uint32_t garbage[256];
	struct gyre_mutator *m = sim_mutator();
	uint64_t before = sim.refused, revivals = sim_revivals();
	enum gyre_status status;
	unsigned i, count;

	sim_let_go();
	count = sim_garbage(garbage, sizeof(garbage) / sizeof(garbage[0]), true);
	self()->is_parked = true;
	status = gyre_collect(m, NULL);
	sim_go_on();
	/* The collector's own calls were refused. */
	if (status == GYRE_NO_MEMORY && sim.refused > before)
		return;
	sim_expect(status, "gyre_collect");
	/* A weak load keeps all of its set, also what does not hang on what it gave. */
	if (sim_revivals() != revivals)
		return;
	for (i = 0; i < count; i++)
		if (sim_is_live(garbage[i]))
			sim_fail("object %u was garbage when gyre_collect was called and has "
				 "outlived it",
				 garbage[i]);
}

static void disagreement(void *arg, const void *object, const char *text)
{
	(void)arg;
	(void)object;
	sim_fail("gyre_verify: %s", text);
}

void sim_verify(void)
{
	struct gyre_mutator *m = sim_mutator();
	uint64_t before = sim.refused;
	enum gyre_status status;

	sim_let_go();
	self()->is_parked = true;
	status = gyre_verify(m, NULL, disagreement, NULL);
	sim_go_on();
	/* The collector's own calls were refused. */
	if (status != GYRE_NO_MEMORY || sim.refused == before)
		sim_expect(status, "gyre_verify");
}

void sim_collect_soon(void)
{
	gyre_collect_soon(sim_heap());
}

static uint64_t epochs(void)
{
	return gyre__counter_get(&sim_heap()->counted.epochs);
}

uint64_t sim_far_passes(void)
{
	return gyre__counter_get(&sim_heap()->counted.far_passes);
}

static uint32_t handshakes(void)
{
	return sim_heap()->engine->handshakes;
}

uint64_t sim_epoch(void)
{
	uint64_t phase = atomic_load_explicit(&self()->m->phase, memory_order_relaxed);

	/* Of three handshakes the second one is the switch. */
	return (phase + handshakes() / 2) / handshakes();
}

bool sim_in_window(void)
{
	return atomic_load_explicit(&self()->m->phase, memory_order_relaxed) % handshakes() != 0;
}

uint64_t sim_newest_epoch(void)
{
	uint64_t phase = atomic_load_explicit(&sim_heap()->phase, memory_order_relaxed);

	return (phase + handshakes() - 1) / handshakes();
}

void sim_boundaries(unsigned count)
{
	uint64_t until;

	sim_park();
	until = epochs() + count;
	while (epochs() < until) {
		sim_collect_soon();
		sim_sleep(5000);
	}
	sim_unpark();
}

void sim_keep(struct gyre_keep *keep, void **values, size_t count)
{
	gyre_keep_open(sim_mutator(), keep, values, count);
}

void sim_unkeep(struct gyre_keep *keep)
{
	/* What it kept across the last safe point stays held until the next. */
	gyre_keep_close(keep);
}

/* Everything that is left is reached, and the heap says the same. */
static void expect_exact(void)
{
	struct gyre_verify_report report = { .size = sizeof(report) };
	uint32_t garbage[1];
	unsigned live;

	if (sim_garbage(garbage, 1, false) != 0)
		sim_fail("object %u is garbage and was not reclaimed", garbage[0]);
	live = sim_live();
	sim_expect(gyre_verify(sim_mutator(), &report, disagreement, NULL), "gyre_verify");
	if (report.objects != live || report.reachable != live)
		sim_fail("%u objects are left; gyre_verify says %llu, of them %llu reachable", live,
			 (unsigned long long)report.objects, (unsigned long long)report.reachable);
}

static void expect_nothing(void)
{
	const struct gyre__collector_counters *counted = &sim_heap()->counted;
	const struct gyre__shared_counters *shared = &sim_heap()->shared;

	if (sim_live() != 0)
		sim_fail("%u objects are left although nothing refers to any", sim_live());
	/* Not by gyre_heap_stats, which looks at thousands of counters for its percentiles. */
	sim_check(gyre__counter_get(&counted->objects_allocated) ==
		  gyre__counter_get(&counted->objects_reclaimed));
	sim_check(gyre__counter_get(&counted->counts_stuck) == 0);
	sim_check(gyre__counter_get(&counted->trace_faults) == 0);
	sim_check(gyre__counter_get(&shared->poison_faults) == 0);
}

enum gyre_status sim_close(void)
{
	enum gyre_status status;

	sim_closing(true);
	status = gyre_heap_close(sim_heap());
	sim_closing(false);
	if (status == GYRE_OK)
		sim.heaps[sim.current->heap] = NULL;
	return status;
}

/* Collects, and runs what is owed to what is found, until nothing is garbage; a finalizer may make
 * garbage anew. */
static void settle(void)
{
	uint32_t garbage[1];
	unsigned rounds = 0;

	sim_collect();
	while (rounds++ < ROUNDS && sim_owes()) {
		sim_finalize_wait();
		if (sim_garbage(garbage, 1, false) == 0)
			break;
		sim_collect();
	}
}

void sim_finish(void)
{
	unsigned rounds = 0;

	sim_contest(false);
	sim_starve(false);
	settle();
	expect_exact();
	sim.end = sim_graph();
	/* Finalizers may give to the roots again. */
	do {
		drop_roots();
		settle();
	} while (sim_owes() && sim_live() > 0 && rounds++ < ROUNDS);
	expect_nothing();
	sim_notices_check();
	sim_detach();
	sim_expect(sim_close(), "gyre_heap_close");
}

void sim_end(void)
{
	sim_join();
	sim_unpark();
	sim_finish();
}
