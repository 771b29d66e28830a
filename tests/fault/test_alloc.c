/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_alloc.c: the system refuses memory, a thread or a key at the n-th call, for every n until a
 * whole program runs without reaching it; and several calls in a row; on mutators and on the
 * collector.
 *
 * Invariants of the program below: a call that fails answers what its header says, and only when
 * something was refused meanwhile; it has done nothing then, and is simply repeated. So the heap at
 * the end is always the same one, and is compared object by object when memory is back. All that
 * was got from the system is given back by gyre_heap_close, and by a gyre_heap_open that fails. A
 * hang ends the executable by SIGALRM.
 */
#include "insist.h"

enum {
	LIST = 200,       /* nodes of the list that lives */
	SECOND_LIST = 50, /* nodes of the second thread's */
	RINGS = 12,
	RING = 5,
	ITEMS = 64,
	WIDE = 4096,                       /* items of an array with a span of its own */
	LIVE = 2 * LIST + SECOND_LIST + 3, /* see check_what_lives */
	HUGE_BYTES = 9 << 20,
	FRAME = 4000, /* pointers in a keep frame: more than a mutator has chunks in store for */
};

struct program {
	struct world w;
	const struct gyre_type *traced;
	struct gyre_root list, wide, second;
};

static void trace_traced(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const gyre_ref *slots = object;

	(void)bytes;
	visit(arg, &slots[0]);
}

static void register_types(struct program *p)
{
	const struct gyre_type_desc node = GYRE_TYPE(
		struct node, GYRE_REFS(GYRE_REF(struct node, left), GYRE_REF(struct node, right)));
	const struct gyre_type_desc leaf = GYRE_TYPE(struct leaf);
	const struct gyre_type_desc refs =
		GYRE_TYPE(struct refs, GYRE_TRAILING_REFS(struct refs, items, length));
	const struct gyre_type_desc bytes =
		GYRE_TYPE(struct bytes, GYRE_TRAILING_BYTES(struct bytes, data, length));
	const struct gyre_type_desc traced = GYRE_TYPE(struct node, .trace = trace_traced);

	insist(gyre_type_register(p->w.heap, &node, &p->w.node), NO_MEMORY);
	insist(gyre_type_register(p->w.heap, &leaf, &p->w.leaf), NO_MEMORY);
	insist(gyre_type_register(p->w.heap, &refs, &p->w.refs), NO_MEMORY);
	insist(gyre_type_register(p->w.heap, &bytes, &p->w.bytes), NO_MEMORY);
	insist(gyre_type_register(p->w.heap, &traced, &p->traced), NO_MEMORY);
}

static struct node *new_node(const struct program *p, struct gyre_mutator *m, uint64_t id)
{
	struct node *n;

	insist(made(n, gyre_new(m, p->w.node)), NO_MEMORY);
	expect(n->id == 0 && n->canary == 0 && !gyre_load(&n->left) && !gyre_load(&n->right));
	n->id = id;
	n->canary = canary_of(id);
	return n;
}

static struct refs *new_refs(const struct program *p, struct gyre_mutator *m, size_t length)
{
	struct refs *r;

	insist(made(r, gyre_new_array(m, p->w.refs, length)), NO_MEMORY);
	expect_equal(r->length, length);
	return r;
}

/* One store that is refused must leave the slot as it is; nobody else writes these slots. */
static enum gyre_status store(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	void *before = gyre_load(slot);
	enum gyre_status status = gyre_store(m, slot, value);

	expect(gyre_load(slot) == (status == GYRE_OK ? value : before));
	return status;
}

/* The list with a leaf at each node, from id on; held by root alone. */
static void make_list(struct program *p, struct gyre_mutator *m, struct gyre_root *root,
		      uint64_t count, bool leaves)
{
	for (uint64_t id = 1; id <= count; id++) {
		struct node *n = new_node(p, m, id);

		insist(gyre_init(m, &n->left, gyre_load(&root->slot)), NO_MEMORY);
		if (leaves) {
			struct leaf *leaf;

			insist(made(leaf, gyre_new(m, p->w.leaf)), NO_MEMORY);
			leaf->id = id;
			insist(gyre_init(m, &n->right, leaf), NO_MEMORY);
		}
		insist(store(m, &root->slot, n), NO_MEMORY);
		if (id % 16 == 0)
			gyre_safepoint(m);
	}
}

static void make_rings(struct program *p, struct gyre_mutator *m)
{
	for (int ring = 0; ring < RINGS; ring++) {
		struct node *first = new_node(p, m, 1), *last = first;

		GYRE_KEEP(m, first, last);
		for (int i = 1; i < RING; i++) {
			struct node *n = new_node(p, m, 1);

			insist(gyre_init(m, &n->left, last), NO_MEMORY);
			last = n;
			gyre_safepoint(m);
		}
		insist(gyre_store_exclusive(m, &first->left, last), NO_MEMORY);
		gyre_safepoint(m);
	}
}

/* Each kind of store, on objects that die; each leaves what it should. */
static void store_in_each_way(struct program *p, struct gyre_mutator *m)
{
	struct node *a = new_node(p, m, 1), *b = new_node(p, m, 2);
	struct refs *r = new_refs(p, m, ITEMS);
	void *old = NULL, *expected;
	gyre_ref *traced;

	insist(made(traced, gyre_new(m, p->traced)), NO_MEMORY);
	insist(gyre_init(m, &traced[0], traced), NO_MEMORY);
	insist(gyre_init(m, &a->left, b), NO_MEMORY);
	insist(gyre_exchange(m, &a->left, a, &old), NO_MEMORY);
	expect(old == b && gyre_load(&a->left) == a);
	expected = a;
	insist(gyre_compare_exchange(m, &a->left, &expected, b), NO_MEMORY);
	expect(expected == a && gyre_load(&a->left) == b);
	insist(gyre_array_fill(m, r->items, ITEMS, r), NO_MEMORY);
	insist(gyre_array_copy(m, &r->items[ITEMS / 2], r->items, ITEMS / 2), NO_MEMORY);
	for (size_t i = 0; i < ITEMS; i++)
		expect(gyre_load(&r->items[i]) == r);
	gyre_safepoint(m);
}

static void make_large(struct program *p, struct gyre_mutator *m)
{
	struct refs *wide = new_refs(p, m, WIDE);
	struct bytes *bytes;
	struct node *n;

	insist(gyre_store(m, &p->wide.slot, wide), NO_MEMORY);
	n = new_node(p, m, WIDE);
	insist(gyre_array_fill(m, wide->items, WIDE, n), NO_MEMORY);
	insist(made(bytes, gyre_new_array(m, p->w.bytes, HUGE_BYTES)), NO_MEMORY);
	expect(bytes->data[0] == 0 && bytes->data[HUGE_BYTES - 1] == 0);
	bytes->data[HUGE_BYTES - 1] = 1;
	gyre_safepoint(m);
}

/* Boundaries whose snapshot may find no memory: they wait, and what the frame holds lives on. */
static void keep_many(struct program *p, struct gyre_mutator *m)
{
	static void *kept[FRAME];
	struct gyre_keep frame;

	for (size_t i = 0; i < FRAME; i++)
		kept[i] = i < RING ? new_node(p, m, i) : kept[i - RING];
	gyre_keep_open(m, &frame, kept, FRAME);
	for (int i = 0; i < 4; i++) {
		gyre_collect_soon(p->w.heap);
		gyre_safepoint(m);
		insist(gyre_store(m, &((struct node *)kept[i])->left, kept[i + 1]), NO_MEMORY);
	}
	insist(gyre_collect(m, NULL), NO_MEMORY);
	for (size_t i = 0; i < FRAME; i++)
		expect(node_is(kept[i], i % RING));
	gyre_keep_close(&frame);
}

/* A second thread's life: it leaves a list in a root, a ring, and a journal. */
static void *second_thread(void *arg)
{
	struct program *p = arg;
	struct gyre_mutator *m;

	wrap_role = WRAP_SECOND;
	insist(gyre_attach(p->w.heap, 0, &m), NO_MEMORY);
	insist(gyre_root_init(m, &p->second, NULL), NO_MEMORY);
	make_list(p, m, &p->second, SECOND_LIST, false);
	make_rings(p, m);
	store_in_each_way(p, m);
	expect_ok(gyre_detach(m));
	return NULL;
}

static void run_second_thread(struct program *p)
{
	pthread_t thread;

	expect(wrap_thread(&thread, second_thread, p));
	expect_ok(gyre_park(p->w.m));
	thread_join(thread);
	expect_ok(gyre_unpark(p->w.m));
}

static void walk(const struct gyre_root *root, uint64_t count)
{
	const struct node *n = gyre_load(&root->slot);

	for (uint64_t id = count; id > 0; id--) {
		expect(node_is(n, id));
		n = gyre_load(&n->left);
	}
	expect(n == NULL);
}

/* What must have lived: two lists, the leaves of one, the wide array and its node, the kept. */
static void check_what_lives(struct program *p, const struct node *kept)
{
	const struct refs *wide = gyre_load(&p->wide.slot);

	walk(&p->list, LIST);
	walk(&p->second, SECOND_LIST);
	expect_equal(wide->length, WIDE);
	for (size_t i = 0; i < WIDE; i++)
		expect(node_is(gyre_load(&wide->items[i]), WIDE));
	expect(node_is(kept, 7));
	expect_live(p->w.m, LIVE);
}

static void work(struct program *p)
{
	struct gyre_mutator *m = p->w.m;
	struct node *kept = new_node(p, m, 7);
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct gyre_stats stats = { .size = sizeof(stats) };

	GYRE_KEEP(m, kept);
	insist(gyre_root_init(m, &p->list, NULL), NO_MEMORY);
	insist(gyre_root_init(m, &p->wide, NULL), NO_MEMORY);
	make_list(p, m, &p->list, LIST, true);
	make_rings(p, m);
	insist(gyre_collect(m, NULL), NO_MEMORY);
	store_in_each_way(p, m);
	keep_many(p, m);
	make_large(p, m);
	run_second_thread(p);
	insist(gyre_collect(m, NULL), NO_MEMORY);
	insist(gyre_verify(m, &report, world_disagreement, NULL), NO_MEMORY);
	expect_equal(report.disagreements, 0);
	expect_equal(report.reachable, LIVE);
	expect_ok(gyre_heap_stats(p->w.heap, &stats));
	wrap_grant();
	check_what_lives(p, kept);
	expect_ok(gyre_root_drop(m, &p->list));
	expect_ok(gyre_root_drop(m, &p->wide));
	expect_ok(gyre_root_drop(m, &p->second));
	expect_live(m, 1);
}

static void open_heap(struct program *p)
{
	struct gyre_options options;
	struct wrap_held before = wrap_held();

	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	options.epoch_bytes = 32 << 10;
	options.delay_ns = 100000;
	options.log = support_log_line;
	options.log_arg = &p->w.log;
	for (;;) {
		unsigned refused = wrap_refused();
		enum gyre_status status = support_open_heap(&p->w.heap, &options);
		struct wrap_held after = wrap_held();

		if (granted(status, NO_MEMORY | MASK(GYRE_NO_THREAD) | MASK(GYRE_LIMIT), refused,
			    "gyre_heap_open"))
			break;
		expect(memcmp(&before, &after, sizeof(before)) == 0);
	}
}

/* The program with the calls first to first + count - 1 of role refused; whether it got so far. */
static bool run(enum wrap_role role, unsigned first, unsigned count)
{
	static struct program p;
	struct wrap_held before = wrap_held(), after;
	unsigned calls;

	alarm(120);
	memset(&p, 0, sizeof(p));
	pthread_mutex_init(&p.w.log.lock, NULL);
	pthread_cond_init(&p.w.log.more, NULL);
	wrap_role = WRAP_MAIN;
	wrap_refuse(role, first, count);
	open_heap(&p);
	support_open++;
	register_types(&p);
	insist(gyre_attach(p.w.heap, 0, &p.w.m), NO_MEMORY);
	work(&p);
	expect_ok(gyre_detach(p.w.m));
	expect_ok(gyre_heap_close(p.w.heap));
	support_open--;
	calls = wrap_refused();
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
static void refuse_every(enum wrap_role role, const char *name, unsigned count)
{
	unsigned n = 1, runs = 0;

	while (run(role, n, count)) {
		n += SUPPORT_SANITIZED ? 7 : 1;
		runs++;
	}
	fprintf(stderr, "%s: calls up to %u refused, %u at a time, in %u runs\n", name, n - 1,
		count, runs);
	expect(runs > 0);
}

static void the_program_needs_what_it_is_given(void **state)
{
	(void)state;
	expect(!run(WRAP_MAIN, 1, 0));
	expect(wrap_calls(WRAP_MAIN) > 50);
	expect(wrap_calls(WRAP_SECOND) >= 5);
	expect(wrap_calls(WRAP_COLLECTOR) > 10);
}

static void one_call_of_the_main_thread(void **state)
{
	(void)state;
	refuse_every(WRAP_MAIN, "main thread", 1);
}

static void some_calls_of_the_main_thread(void **state)
{
	(void)state;
	refuse_every(WRAP_MAIN, "main thread", 3);
	refuse_every(WRAP_MAIN, "main thread", 100);
}

static void calls_of_a_second_thread(void **state)
{
	(void)state;
	refuse_every(WRAP_SECOND, "second thread", 1);
	refuse_every(WRAP_SECOND, "second thread", 20);
}

static void one_call_of_the_collector(void **state)
{
	(void)state;
	refuse_every(WRAP_COLLECTOR, "collector", 1);
}

static void many_calls_of_the_collector(void **state)
{
	(void)state;
	refuse_every(WRAP_COLLECTOR, "collector", 4);
	refuse_every(WRAP_COLLECTOR, "collector", 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_needs_what_it_is_given),
		cmocka_unit_test(one_call_of_the_main_thread),
		cmocka_unit_test(some_calls_of_the_main_thread),
		cmocka_unit_test(calls_of_a_second_thread),
		cmocka_unit_test(one_call_of_the_collector),
		cmocka_unit_test(many_calls_of_the_collector),
	};

	wrap_role = WRAP_TEST;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
