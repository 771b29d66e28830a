/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_heaps.c: what is about a heap as a whole: its limits, collections at once, closing it,
 * two heaps, threads that stall or that their host registered, and counts at their end. Runs in
 * coroutines.
 */
#include "sim.h"

#include <string.h>

struct array {
	size_t length;
	gyre_ref items[];
};

static const struct gyre_type *array_type;

static void register_array(void)
{
	static const struct gyre_refs element = { 0, 1 };
	static const struct gyre_type_desc desc = {
		.size = sizeof(desc),
		.name = "array",
		.object_bytes = sizeof(struct array),
		.object_align = _Alignof(struct array),
		.trailing = { offsetof(struct array, items), sizeof(gyre_ref), &element, 1,
			      offsetof(struct array, length) },
	};

	sim_check(gyre_type_register(sim_heap(), &desc, &array_type) == GYRE_OK);
}

static void *new_array(size_t length)
{
	void *array = sim_new_of(array_type, length, offsetof(struct array, items), length);

	sim_check(array != NULL);
	return array;
}

static gyre_ref *item(void *array, size_t i)
{
	return &((struct array *)array)->items[i];
}

/*
 * Journals at their limit. While one thread holds up all boundaries, another writes until it is
 * refused; nothing of what was refused is stored, and when the boundary comes there is room again.
 */
#define WIDE 200

static bool was_refused;
static unsigned arrived;

/* Attaches, and waits until so many have. */
static void arrive(unsigned count)
{
	sim_attach();
	arrived++;
	while (arrived < count)
		sim_sleep(500);
}

static void check_filled(void *array, const void *value)
{
	unsigned i;

	for (i = 0; i < WIDE; i++)
		if (gyre_load(item(array, i)) != value)
			sim_fail("slot %u of %u was written by a store that was refused", i, WIDE);
}

/* A root's writes are journalled one by one whatever the engine; those of one slot of an object are
 * not. */
static void write_root(unsigned root, void *value)
{
	gyre_ref *slot = sim_root_slot(root);
	unsigned i;

	for (i = 0; i < WIDE / 2; i++) {
		void *wanted = i % 2 ? NULL : value;
		const void *held = gyre_load(slot);
		enum gyre_status status = gyre_store(sim_mutator(), slot, wanted);

		if (status == GYRE_OK)
			continue;
		was_refused = true;
		sim_check(status == GYRE_JOURNAL_FULL && gyre_load(slot) == held);
	}
}

static void writer(void *arg)
{
	unsigned root = *(const unsigned *)arg, rounds = 2 + sim_pick(4);

	arrive(3);
	sim_root_set(root, new_array(WIDE));
	while (rounds > 0 || !was_refused) {
		void *array = sim_root_get(root), *before = sim_load(item(array, 0));
		bool wanted = sim_pick(2);
		void *value = wanted ? sim_new_of(sim_node_type(), 0, 0, SIM_SLOTS) : NULL;
		enum gyre_status status = gyre_array_fill(sim_mutator(), item(array, 0), WIDE,
							  value);

		/* No room for its birth. Where NULL replaces NULL there is nothing to refuse. */
		if (wanted && value == NULL)
			was_refused = true;
		if (status == GYRE_JOURNAL_FULL) {
			was_refused = true;
			check_filled(array, before);
		} else {
			sim_check(status == GYRE_OK);
			rounds -= rounds > 0;
			write_root(2 + root, value);
		}
		sim_safepoint();
		sim_sleep(1000);
	}
	sim_detach();
}

static void hinderer(void *arg)
{
	(void)arg;
	arrive(3);
	while (!was_refused)
		sim_sleep(20000);
	sim_detach();
}

static void pressure(void)
{
	static const unsigned roots[] = { 0, 1 };
	struct gyre_options options;

	sim_options(&options);
	options.journal_limit = 24 * 4096;
	options.epoch_bytes = 16384;
	options.delay_ns = 50000;
	sim_open(&options);
	register_array();
	sim_attach();
	sim_root_set(2, NULL);
	sim_root_set(3, NULL);
	was_refused = false;
	arrived = 0;
	sim_park();
	sim_start("a", writer, (void *)&roots[0]);
	sim_start("b", writer, (void *)&roots[1]);
	sim_start("hinderer", hinderer, NULL);
	sim_end();
}

/* Full collections asked for by several threads at once. */
static void collecting(void *arg)
{
	unsigned rounds = 1 + sim_pick(3), root = *(const unsigned *)arg;

	sim_attach();
	while (rounds-- > 0) {
		void *made = sim_new_cycle();

		sim_root_set(root, made);
		if (sim_pick(2))
			sim_root_set(sim_pick(2), NULL);
		else
			sim_store(sim_slot(made, 1), sim_new_cycle());
		sim_collect();
	}
	sim_detach();
}

static void collectors(void)
{
	static const unsigned roots[] = { 0, 1, 2 };

	sim_open(NULL);
	sim_attach();
	sim_root_set(0, NULL);
	sim_root_set(1, NULL);
	sim_park();
	sim_start("a", collecting, (void *)&roots[0]);
	sim_start("b", collecting, (void *)&roots[1]);
	if (sim_pick(2))
		sim_start("c", collecting, (void *)&roots[2]);
	sim_end();
}

/* Closing the heap as soon as it can be, while the last threads store, detach, or just end. */
#define LAST 2

static void last(void *arg)
{
	unsigned root = *(const unsigned *)arg;

	sim_attach();
	arrived++;
	sim_root_set(root, sim_new_cycle());
	if (sim_pick(2))
		sim_collect_soon();
	if (sim_pick(2))
		sim_safepoint();
	sim_root_set(1 - root, sim_new());
	if (sim_pick(3))
		sim_detach();
}

static void closing(void)
{
	static const unsigned roots[LAST] = { 0, 1 };
	enum gyre_status status;

	sim_open(NULL);
	sim_attach();
	sim_root_set(0, sim_new());
	sim_root_set(1, sim_new());
	sim_detach();
	arrived = 0;
	sim_start("a", last, (void *)&roots[0]);
	sim_start("b", last, (void *)&roots[1]);
	sim_contest(true);
	while (arrived < LAST)
		sim_sleep(500);
	while ((status = sim_close()) == GYRE_BUSY)
		sim_sleep(500);
	sim_check(status == GYRE_OK);
	sim_join();
}

/* Two heaps, and threads that are attached to both. In one of them a thread may be parked. */
static void in_heap(unsigned heap)
{
	unsigned n = 1 + sim_pick(3);

	sim_use(heap);
	while (n-- > 0) {
		void *seen = sim_root_get(heap);

		sim_store(sim_slot(seen, sim_pick(SIM_SLOTS)),
			  sim_pick(2) ? seen : sim_new_cycle());
		if (sim_pick(3) == 0)
			sim_root_set(heap, sim_new_cycle());
		if (sim_pick(2))
			sim_safepoint();
	}
}

static void commuter(void *arg)
{
	unsigned rounds = 1 + sim_pick(3), heap;

	(void)arg;
	for (heap = 0; heap < 2; heap++) {
		sim_use(heap);
		sim_attach();
	}
	while (rounds-- > 0) {
		heap = sim_pick(2);
		in_heap(heap);
		in_heap(1 - heap);
		sim_park();
		in_heap(heap);
		if (sim_pick(2))
			sim_collect();
		sim_use(1 - heap);
		sim_unpark();
	}
	for (heap = 0; heap < 2; heap++) {
		sim_use(heap);
		sim_detach();
	}
}

static void two_heaps(void)
{
	unsigned heap;

	for (heap = 0; heap < 2; heap++) {
		sim_use(heap);
		sim_open(NULL);
		sim_attach();
		sim_root_set(heap, sim_new_cycle());
		sim_park();
	}
	sim_start("a", commuter, NULL);
	sim_start("b", commuter, NULL);
	sim_join();
	for (heap = 0; heap < 2; heap++) {
		sim_use(heap);
		sim_unpark();
		sim_finish();
	}
}

/* Runs of slots that two threads fill, copy within and between objects, and clear. */
#define RUN 6

static void copier(void *arg)
{
	unsigned rounds = 4 + sim_pick(12);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		void *source = sim_root_get(sim_pick(2)), *target = sim_root_get(sim_pick(2));
		unsigned from = sim_pick(RUN), to = sim_pick(RUN);
		unsigned count = sim_pick(RUN + 1 - (from > to ? from : to));

		if (sim_pick(2))
			sim_check(gyre_array_copy(sim_mutator(), item(target, to),
						  item(source, from), count) == GYRE_OK);
		else
			sim_check(gyre_array_fill(sim_mutator(), item(target, to), RUN - to,
						  sim_pick(3) == 0 ? NULL :
						  sim_pick(2)	   ? sim_new() :
								     source) == GYRE_OK);
		if (sim_pick(4) == 0)
			sim_root_set(sim_pick(2), new_array(RUN));
		if (sim_pick(2))
			sim_collect_soon();
		sim_safepoint();
	}
	sim_detach();
}

static void arrays(void)
{
	sim_open(NULL);
	register_array();
	sim_attach();
	sim_root_set(0, new_array(RUN));
	sim_root_set(1, new_array(RUN));
	sim_park();
	sim_start("a", copier, NULL);
	sim_start("b", copier, NULL);
	sim_end();
}

/*
 * A thread that its host has registered with QSBR: it is quiescent when the host says so, which has
 * nothing to do with safe points, and gyre never says it.
 */
static void hosted(void *arg)
{
	unsigned rounds = 3 + sim_pick(6);
	uint64_t seen;

	(void)arg;
	sim_host_register();
	/* gyre finds out by itself as well. */
	if (sim_pick(2))
		sim_attach_host();
	else
		sim_attach();
	while (rounds-- > 0) {
		void *held = sim_root_get(0);

		seen = sim_host_seen();
		if (held != NULL)
			sim_store(sim_slot(held, sim_pick(SIM_SLOTS)), sim_new_cycle());
		if (sim_pick(2))
			sim_safepoint();
		if (sim_pick(3) == 0) {
			sim_park();
			sim_unpark();
		}
		sim_check(sim_host_seen() == seen);
		if (sim_pick(4) == 0) {
			sim_park();
			sim_host_offline();
			sim_sleep(sim_pick(50000));
			sim_unpark();
			sim_check(sim_host_seen() == 0);
		}
		sim_host_quiescent();
	}
	sim_detach();
	sim_host_unregister();
}

static void host(void)
{
	static const unsigned root = 1;

	sim_open(NULL);
	sim_attach();
	sim_root_set(0, sim_new_cycle());
	sim_root_set(1, NULL);
	sim_park();
	sim_start("hosted", hosted, NULL);
	sim_start("other", collecting, (void *)&root);
	sim_end();
}

/* A thread that neither reaches a safe point nor parks is named in the log; one that is parked is
 * not. */
#define STALL_NS 50000000u

static struct {
	unsigned staller, main;
} named;

static void heard(void *arg, enum gyre_log_level level, const char *text)
{
	(void)arg;
	if (level == GYRE_LOG_WARNING && strstr(text, "held up") != NULL) {
		named.staller += strstr(text, "thread staller ") != NULL;
		named.main += strstr(text, "thread main ") != NULL;
	}
}

static void staller(void *arg)
{
	(void)arg;
	sim_attach();
	sim_root_set(0, sim_new());
	sim_collect_soon();
	while (named.staller == 0)
		sim_sleep(STALL_NS);
	sim_safepoint();
	sim_detach();
}

static void stalled(void)
{
	struct gyre_options options;

	sim_options(&options);
	options.stall_ns = STALL_NS;
	options.log = heard;
	memset(&named, 0, sizeof(named));
	sim_open(&options);
	sim_attach();
	sim_park();
	sim_start("staller", staller, NULL);
	sim_join();
	sim_check(named.main == 0);
	sim_unpark();
	sim_finish();
}

/*
 * Threads that never park, one of them attached to another heap only: boundaries must come all the
 * same, as each safe point is a quiescent state while someone waits.
 */
#define EPOCHS 6

static unsigned running;

static void runner(void *arg)
{
	uint64_t until;

	sim_use(*(const unsigned *)arg);
	sim_attach();
	until = sim_newest_epoch() + EPOCHS;
	running++;
	while (sim_newest_epoch() < until) {
		sim_collect_soon();
		sim_safepoint();
		sim_sleep(1000);
	}
	running--;
	/* In a heap of its own nobody waits for it; it goes on until the others are done. */
	while (running > 0) {
		sim_safepoint();
		sim_sleep(1000);
	}
	sim_detach();
}

static void runners(void)
{
	static const unsigned heaps[] = { 0, 0, 1 };
	unsigned heap;

	running = 0;
	for (heap = 0; heap < 2; heap++) {
		sim_use(heap);
		sim_open(NULL);
	}
	sim_start("a", runner, (void *)&heaps[0]);
	sim_start("b", runner, (void *)&heaps[1]);
	sim_start("elsewhere", runner, (void *)&heaps[2]);
	sim_join();
	for (heap = 0; heap < 2; heap++) {
		sim_use(heap);
		sim_check(sim_close() == GYRE_OK);
	}
}

/*
 * Counts at their end: a count that overflows sticks, and its object and what that holds stay for
 * ever; nothing else does. In simulation counts end at 1023.
 */
#define MANY 600

static unsigned stuck;

static void heard_stuck(void *arg, enum gyre_log_level level, const char *text)
{
	(void)arg;
	stuck += level == GYRE_LOG_WARNING && strstr(text, "overflowed") != NULL;
}

static void filler(void *arg)
{
	unsigned root = *(const unsigned *)arg;
	void *array;

	sim_attach();
	array = new_array(MANY);
	sim_root_set(root, array);
	sim_check(gyre_array_fill(sim_mutator(), item(array, 0), MANY, sim_root_get(0)) ==
		  GYRE_OK);
	if (sim_pick(2))
		sim_boundaries(sim_pick(3));
	sim_root_set(root, NULL);
	if (sim_pick(2))
		sim_root_set(root, sim_new_cycle());
	sim_detach();
}

static void sticky(void)
{
	static const unsigned roots[] = { 1, 2 };
	struct gyre_options options;
	void *popular;
	uint32_t numbers[2];

	sim_options(&options);
	options.log = heard_stuck;
	stuck = 0;
	sim_open(&options);
	register_array();
	sim_attach();
	popular = sim_new();
	sim_root_set(0, popular);
	sim_init(sim_slot(popular, 0), sim_new());
	numbers[0] = sim_number(popular);
	numbers[1] = sim_number(sim_load(sim_slot(popular, 0)));
	/* It overflows if the arrays refer to it in the same epoch, or nearly. */
	sim_root_set(1, NULL);
	sim_root_set(2, NULL);
	sim_park();
	sim_start("a", filler, (void *)&roots[0]);
	sim_start("b", filler, (void *)&roots[1]);
	sim_join();
	sim_unpark();
	sim_root_set(0, NULL);
	sim_root_set(1, NULL);
	sim_root_set(2, NULL);
	sim_safepoint();
	sim_check(gyre_collect(sim_mutator(), NULL) == GYRE_OK);
	if (stuck > 0) {
		sim_check(stuck == 1 && sim_live() == 2);
		sim_check(sim_is_live(numbers[0]) && sim_is_live(numbers[1]));
	} else {
		sim_check(sim_live() == 0);
	}
	sim_verify();
	sim_detach();
	sim_check(sim_close() == GYRE_OK);
}

SIM_SCENARIO(pressure, pressure, false, "journals at their limit: a status, nothing is lost");
SIM_SCENARIO(collectors, collectors, false, "full collections by several threads at once");
SIM_SCENARIO(closing, closing, false, "the heap is closed against last stores and ends");
SIM_SCENARIO(two_heaps, two_heaps, false, "threads that are attached to two heaps");
SIM_SCENARIO(arrays, arrays, false, "runs of slots filled and copied at once");
SIM_SCENARIO(host, host, false, "a thread that its host has registered with QSBR");
SIM_SCENARIO(stalled, stalled, false, "a thread that holds up a boundary is named");
SIM_SCENARIO(runners, runners, false, "threads that never park, in two heaps");
SIM_SCENARIO(sticky, sticky, false, "a count that overflows");
