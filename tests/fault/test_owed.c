/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_owed.c: the system refuses memory, a thread or a descriptor at the n-th call, for every n,
 * to a program of weak cells, callbacks and finalizers, while it runs and while its heap is closed;
 * on mutators, on the collector and on the finalizer thread.
 *
 * Invariants of the program below: a call that fails answers what its header says, has done
 * nothing, and is repeated. So at the end each finalizer and each callback that was due has run
 * exactly as often as was due, and nothing else is left than must be; a heap that could not be
 * closed is as usable as before. All that was got from the system is given back.
 */
#include "insist.h"

#include <gyre/finalize.h>
#include <gyre/weak.h>

enum {
	LIVE = 20,    /* things that live until the heap is closed */
	RINGS = 6,    /* of each thread: every other one is brought back */
	SINGLES = 30, /* of each thread */
	OF_A_THREAD = 2 * RINGS + SINGLES,
	THREADS = 2,
	LATE = LIVE + THREADS * OF_A_THREAD, /* made after a close that failed */
	LATE_MOST = 3 * ANSWERS,
	IDS = LATE + LATE_MOST,
};

struct thing {
	gyre_ref next;
	uint64_t id;
	uint64_t canary;
};

struct program {
	struct world w;
	const struct gyre_type *thing;
	struct gyre_root list, cells, saved;
	bool save, host;
	unsigned late;
	/* By id; written by who runs batches, one at a time. */
	unsigned short runs[IDS], told[IDS], told_at_close[IDS];
};

static struct program p;

/* Of a ring: number of the thread, of the ring, and 0 or 1. */
static uint64_t ring_id(unsigned thread, unsigned ring, unsigned which)
{
	return LIVE + thread * OF_A_THREAD + 2 * ring + which;
}

static uint64_t single_id(unsigned thread, unsigned single)
{
	return LIVE + thread * OF_A_THREAD + 2 * RINGS + single;
}

static bool is_saved(uint64_t id)
{
	for (unsigned thread = 0; thread < THREADS; thread++)
		for (unsigned ring = 0; ring < RINGS; ring += 2)
			if (id == ring_id(thread, ring, 0))
				return true;
	return false;
}

static void finalize(struct gyre_mutator *m, void *object)
{
	struct thing *thing = object;

	expect(thing->canary == canary_of(thing->id));
	expect(thing->id < IDS);
	p.runs[thing->id]++;
	if (p.save && is_saved(thing->id)) {
		struct refs *saved = gyre_load(&p.saved.slot);

		insist(gyre_store(m, &saved->items[thing->id], thing), NO_MEMORY);
	}
}

static void tell(struct gyre_mutator *m, void *arg)
{
	expect(m != NULL);
	p.told[(uintptr_t)arg]++;
}

static void tell_at_close(struct gyre_mutator *m, void *arg)
{
	expect(m != NULL);
	p.told_at_close[(uintptr_t)arg]++;
}

static struct thing *thing_new(struct gyre_mutator *m, uint64_t id)
{
	struct thing *thing;

	insist(made(thing, gyre_new(m, p.thing)), NO_MEMORY);
	thing->id = id;
	thing->canary = canary_of(id);
	return thing;
}

/* A cell of the thing, and a callback on it. */
static struct gyre_weak *watch(struct gyre_mutator *m, struct thing *thing, gyre_cleared_fn fn,
			       unsigned flags)
{
	struct gyre_weak *cell, *again;
	uint64_t id;

	insist(made(cell, gyre_weak_of(m, thing)), NO_MEMORY);
	expect(gyre_weak_load(m, cell) == thing);
	insist(gyre_weak_notify(m, cell, fn, (void *)(uintptr_t)thing->id, flags, NULL),
	       NO_MEMORY | MASK(GYRE_NO_THREAD));
	/* One that is taken back. */
	insist(gyre_weak_notify(m, cell, fn, NULL, GYRE_NOTICE_ALWAYS, &id),
	       NO_MEMORY | MASK(GYRE_NO_THREAD));
	expect_ok(gyre_weak_unnotify(m, cell, id));
	insist(made(again, gyre_weak_of(m, thing)), NO_MEMORY);
	expect(again == cell);
	return cell;
}

static void hold(struct gyre_mutator *m, struct gyre_root *root, uint64_t id, const void *object)
{
	struct refs *refs = gyre_load(&root->slot);

	insist(gyre_store(m, &refs->items[id], object), NO_MEMORY);
}

static void make_live(struct gyre_mutator *m)
{
	for (uint64_t id = 0; id < LIVE; id++) {
		struct thing *thing = thing_new(m, id);

		insist(gyre_init(m, &thing->next, gyre_load(&p.list.slot)), NO_MEMORY);
		insist(gyre_store(m, &p.list.slot, thing), NO_MEMORY);
		hold(m, &p.cells, id, watch(m, thing, tell, 0));
		watch(m, thing, tell_at_close, GYRE_NOTICE_AT_CLOSE);
		gyre_safepoint(m);
	}
}

/* What dies at once: rings of two things and a node, whose cells are held; and things alone, whose
 * cells nobody holds. */
static void make_dead(struct gyre_mutator *m, unsigned thread)
{
	for (unsigned ring = 0; ring < RINGS; ring++) {
		struct thing *first = thing_new(m, ring_id(thread, ring, 0));
		struct thing *second = thing_new(m, ring_id(thread, ring, 1));
		struct node *node;

		insist(made(node, gyre_new(m, p.w.node)), NO_MEMORY);
		insist(gyre_init(m, &first->next, node), NO_MEMORY);
		insist(gyre_init(m, &node->left, second), NO_MEMORY);
		insist(gyre_init(m, &second->next, first), NO_MEMORY);
		hold(m, &p.cells, first->id, watch(m, first, tell, 0));
		hold(m, &p.cells, second->id, watch(m, second, tell, 0));
		gyre_safepoint(m);
	}
	for (unsigned single = 0; single < SINGLES; single++) {
		struct thing *thing = thing_new(m, single_id(thread, single));

		watch(m, thing, tell, GYRE_NOTICE_ALWAYS);
		watch(m, thing, tell_at_close, GYRE_NOTICE_AT_CLOSE);
		gyre_safepoint(m);
	}
}

static void *second_thread(void *unused)
{
	struct gyre_mutator *m;

	(void)unused;
	wrap_role = WRAP_SECOND;
	insist(gyre_attach(p.w.heap, 0, &m), NO_MEMORY);
	make_dead(m, 1);
	expect_ok(gyre_detach(m));
	return NULL;
}

static void finish(struct gyre_mutator *m)
{
	for (int i = 0; i < 4; i++) {
		insist(gyre_collect(m, NULL), NO_MEMORY);
		expect_ok(gyre_finalize_wait(m));
	}
}

/* Each that died has had its due, the living have not; more are the runs of those that were
 * rearmed. */
static void check(struct gyre_mutator *m, unsigned more)
{
	struct refs *cells = gyre_load(&p.cells.slot);

	for (uint64_t id = 0; id < LATE; id++) {
		struct gyre_weak *cell = gyre_load(&cells->items[id]);
		bool dead = id >= LIVE;

		expect_equal(p.runs[id], dead + (is_saved(id) ? more : 0));
		expect_equal(p.told[id], dead);
		expect_equal(p.told_at_close[id], 0);
		if (cell != NULL)
			expect((gyre_weak_load(m, cell) == NULL) == dead);
	}
}

static void work(struct gyre_mutator *m)
{
	struct gyre_root *roots[] = { &p.list, &p.cells, &p.saved };
	struct refs *refs;
	pthread_t thread;

	for (unsigned i = 0; i < LENGTH(roots); i++) {
		insist(gyre_root_init(m, roots[i], NULL), NO_MEMORY);
		if (i == 0)
			continue;
		insist(made(refs, gyre_new_array(m, p.w.refs, LATE)), NO_MEMORY);
		insist(gyre_store(m, &roots[i]->slot, refs), NO_MEMORY);
	}
	make_live(m);
	make_dead(m, 0);
	expect(wrap_thread(&thread, second_thread, NULL));
	expect_ok(gyre_park(m));
	thread_join(thread);
	expect_ok(gyre_unpark(m));
	finish(m);
	check(m, 0);
	/* What was brought back is to be finalized again, and dies. */
	p.save = false;
	refs = gyre_load(&p.saved.slot);
	for (uint64_t id = 0; id < LATE; id++)
		if (gyre_load(&refs->items[id]) != NULL)
			insist(gyre_finalizer_rearm(m, gyre_load(&refs->items[id])), NO_MEMORY);
	insist(gyre_store(m, &p.saved.slot, NULL), NO_MEMORY);
	finish(m);
	check(m, 1);
}

static void check_what_lives(struct gyre_mutator *m)
{
	finish(m);
	/* The list and its cells, the array of cells, and those of the rings. */
	expect_live(m, 2 * LIVE + 1 + THREADS * RINGS * 2);
}

static void register_types(void)
{
	const struct gyre_type_desc node = GYRE_TYPE(
		struct node, GYRE_REFS(GYRE_REF(struct node, left), GYRE_REF(struct node, right)));
	const struct gyre_type_desc refs =
		GYRE_TYPE(struct refs, GYRE_TRAILING_REFS(struct refs, items, length));
	const struct gyre_type_desc thing = GYRE_TYPE(
		struct thing, GYRE_REFS(GYRE_REF(struct thing, next)), .finalize = finalize);

	insist(gyre_type_register(p.w.heap, &node, &p.w.node), NO_MEMORY);
	insist(gyre_type_register(p.w.heap, &refs, &p.w.refs), NO_MEMORY);
	insist(gyre_type_register(p.w.heap, &thing, &p.thing), NO_MEMORY | MASK(GYRE_NO_THREAD));
}

static void open_heap(void)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.flags = GYRE_POISON | GYRE_CLOSE_FINALIZES;
	options.finalizing = p.host ? GYRE_FINALIZE_HOST : GYRE_FINALIZE_THREAD;
	options.epoch_bytes = 32 << 10;
	options.log = support_log_line;
	options.log_arg = &p.w.log;
	for (;;) {
		unsigned refused = wrap_refused();
		struct wrap_held before = wrap_held(), after;
		enum gyre_status status = support_open_heap(&p.w.heap, &options);

		if (granted(status, NO_MEMORY | MASK(GYRE_NO_THREAD) | MASK(GYRE_LIMIT), refused,
			    "gyre_heap_open"))
			break;
		after = wrap_held();
		expect(memcmp(&before, &after, sizeof(before)) == 0);
	}
}

/* A heap that could not be closed goes on as before, its finalizers included. */
static void use_once_more(void)
{
	uint64_t id = LATE + p.late++;
	struct gyre_mutator *m;

	expect(id < IDS);
	insist(gyre_attach(p.w.heap, 0, &m), NO_MEMORY);
	/* No call that might start the finalizer thread anew but the wait itself. */
	thing_new(m, id);
	finish(m);
	expect_equal(p.runs[id], 1);
	expect_ok(gyre_detach(m));
}

static void close_heap(void)
{
	for (;;) {
		unsigned refused = wrap_refused();

		if (granted(gyre_heap_close(p.w.heap), NO_MEMORY, refused, "gyre_heap_close"))
			break;
		use_once_more();
	}
	for (uint64_t id = 0; id < LATE; id++) {
		expect_equal(p.runs[id], 1 + is_saved(id));
		expect_equal(p.told[id], id >= LIVE);
		expect_equal(p.told_at_close[id], id < LIVE);
	}
}

/* When calls are refused. */
enum stage { WORKING, CLOSING };

/* The program with the calls first to first + count - 1 of role refused; whether it got so far. */
static bool run(enum stage stage, enum wrap_role role, bool host, unsigned first, unsigned count)
{
	struct wrap_held before = wrap_held(), after;
	unsigned calls;

	alarm(120);
	memset(&p, 0, sizeof(p));
	p.host = host;
	p.save = true;
	pthread_mutex_init(&p.w.log.lock, NULL);
	pthread_cond_init(&p.w.log.more, NULL);
	wrap_role = WRAP_MAIN;
	wrap_refuse(role, first, stage == WORKING ? count : 0);
	open_heap();
	support_open++;
	register_types();
	insist(gyre_attach(p.w.heap, 0, &p.w.m), NO_MEMORY);
	work(p.w.m);
	calls = wrap_refused();
	wrap_grant();
	check_what_lives(p.w.m);
	expect_ok(gyre_detach(p.w.m));
	if (stage == CLOSING)
		wrap_refuse(role, first, count);
	close_heap();
	support_open--;
	if (stage == CLOSING)
		calls = wrap_refused();
	wrap_grant();
	wrap_role = WRAP_TEST;
	after = wrap_held();
	expect_equal(after.blocks, before.blocks);
	expect_equal(after.bytes_mapped, before.bytes_mapped);
	expect_equal(after.keys, before.keys);
	expect_equal(after.threads, before.threads);
	alarm(0);
	return calls > 0;
}

/* Every n, or with a sanitizer every seventh, until nothing was refused any more. */
static void refuse_every(enum stage stage, enum wrap_role role, bool host, unsigned count)
{
	static const char *const names[] = { "collector", "finalizer thread", "main thread",
					     "second thread" };
	unsigned n = 1, runs = 0;

	while (run(stage, role, host, n, count)) {
		n += SUPPORT_SANITIZED && stage == WORKING ? 7 : 1;
		runs++;
	}
	fprintf(stderr, "%s, %s, %s: calls up to %u refused, %u at a time, in %u runs\n",
		names[role], stage == WORKING ? "working" : "closing", host ? "host" : "thread",
		n - 1, count, runs);
	expect(runs > 0);
}

static void the_program_needs_what_it_is_given(void **state)
{
	(void)state;
	for (int host = 0; host < 2; host++) {
		expect(!run(WORKING, WRAP_MAIN, host, 1, 0));
		expect(!run(CLOSING, WRAP_MAIN, host, 1, 0));
	}
}

static void calls_of_the_main_thread(void **state)
{
	(void)state;
	refuse_every(WORKING, WRAP_MAIN, false, 1);
	refuse_every(WORKING, WRAP_MAIN, true, 1);
	refuse_every(WORKING, WRAP_MAIN, false, 30);
}

static void calls_of_a_second_thread(void **state)
{
	(void)state;
	refuse_every(WORKING, WRAP_SECOND, false, 1);
	refuse_every(WORKING, WRAP_SECOND, false, 20);
}

static void calls_of_the_collector(void **state)
{
	(void)state;
	refuse_every(WORKING, WRAP_COLLECTOR, false, 1);
	refuse_every(WORKING, WRAP_COLLECTOR, true, 1);
	refuse_every(WORKING, WRAP_COLLECTOR, false, 4);
	refuse_every(WORKING, WRAP_COLLECTOR, false, 200);
}

static void calls_of_the_finalizer_thread(void **state)
{
	(void)state;
	refuse_every(WORKING, WRAP_FINALIZER, false, 1);
	refuse_every(WORKING, WRAP_FINALIZER, false, 8);
}

static void calls_while_closing(void **state)
{
	(void)state;
	for (int host = 0; host < 2; host++) {
		refuse_every(CLOSING, WRAP_MAIN, host, 1);
		refuse_every(CLOSING, WRAP_MAIN, host, 5);
		refuse_every(CLOSING, WRAP_COLLECTOR, host, 1);
		refuse_every(CLOSING, WRAP_COLLECTOR, host, 40);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_needs_what_it_is_given),
		cmocka_unit_test(calls_of_the_main_thread),
		cmocka_unit_test(calls_of_a_second_thread),
		cmocka_unit_test(calls_of_the_collector),
		cmocka_unit_test(calls_of_the_finalizer_thread),
		cmocka_unit_test(calls_while_closing),
	};

	wrap_role = WRAP_TEST;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
