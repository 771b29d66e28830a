/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_collections.c: the system refuses memory, or the finalizer thread, at the n-th call of a
 * program that uses weak collections and scopes, for every n until it runs without reaching it; and
 * several calls in a row.
 *
 * Invariants: a call that fails answers that there is no memory (or no thread), only when something
 * was refused meanwhile, and has done nothing: what was there is there, what was not is not, and a
 * key is the caller's still. It is then simply repeated. At the end all that was got from the
 * system is given back.
 */
#include "../support.h"

#include "wrap.h"

enum { ENTRIES = 100, HELD = 16, ANSWERS = 20 * 1000 };

struct program {
	struct world w;
	struct gyre_root root;
	struct gyre_weakmap *map;
	struct gyre_weakset *set;
	struct gyre_ephemeron *ephemeron;
	long keys; /* that the map has, or the program */
};

/* Whether the call is done. If not, something was refused since. */
static bool granted(enum gyre_status status, unsigned refused_before, const char *call)
{
	static unsigned answers;

	if (status == GYRE_OK) {
		answers = 0;
		return true;
	}
	if ((status != GYRE_NO_MEMORY && status != GYRE_NO_THREAD) ||
	    wrap_refused() == refused_before || ++answers > ANSWERS) {
		fprintf(stderr, "%s answered %s, with %u calls refused before and %u after\n", call,
			gyre_status_name(status), refused_before, wrap_refused());
		abort();
	}
	return false;
}

/* Repeats the call until it is granted; after each refusal unchanged must hold. */
#define insist_that(call, unchanged)                                                               \
	do {                                                                                       \
		unsigned refused_before_ = wrap_refused();                                         \
                                                                                                   \
		if (granted((call), refused_before_, #call))                                       \
			break;                                                                     \
		expect(unchanged);                                                                 \
	} while (true)
#define insist(call) insist_that(call, true)
#define made(pointer, call) (((pointer) = (call)) != NULL ? GYRE_OK : GYRE_NO_MEMORY)

static void free_key(void *arg, void *key)
{
	((struct program *)arg)->keys--;
	free(key);
}

static uint64_t hash_key(void *arg, const void *key)
{
	(void)arg;
	return *(const uint64_t *)key;
}

static bool equal_keys(void *arg, const void *key, const void *other)
{
	(void)arg;
	return *(const uint64_t *)key == *(const uint64_t *)other;
}

static struct node *new_node(struct program *p, uint64_t id)
{
	struct node *n;

	insist(made(n, gyre_new(p->w.m, p->w.node)));
	n->id = id;
	n->canary = canary_of(id);
	return n;
}

static gyre_ref *slot(struct program *p, uint64_t i)
{
	return &((struct refs *)gyre_load(&p->root.slot))->items[i % HELD];
}

static void *get(struct program *p, uint64_t number)
{
	return gyre_weakmap_get(p->w.m, p->map, &number);
}

static void put(struct program *p, uint64_t number, struct node *value)
{
	void *before = get(p, number), *winner;
	size_t count = gyre_weakmap_count(p->map);
	uint64_t *key;

	insist(made(key, malloc(sizeof(*key))));
	*key = number;
	p->keys++;
	if (number % 3 == 0)
		insist_that(gyre_weakmap_put_if_absent(p->w.m, p->map, key, value, &winner),
			    winner == NULL && get(p, number) == before);
	else
		insist_that(gyre_weakmap_put(p->w.m, p->map, key, value),
			    gyre_weakmap_count(p->map) <= count && get(p, number) == before);
	expect(get(p, number) == (number % 3 == 0 && before ? before : value));
}

static void add(struct program *p, struct node *n)
{
	size_t count = gyre_weakset_count(p->set);

	insist_that(gyre_weakset_add(p->w.m, p->set, n, NULL),
		    gyre_weakset_count(p->set) <= count &&
			    !gyre_weakset_contains(p->w.m, p->set, n));
	expect(gyre_weakset_contains(p->w.m, p->set, n));
}

static void attach(struct program *p, struct node *key, struct node *value)
{
	void *before = gyre_ephemeron_get(p->w.m, p->ephemeron, key);
	size_t count = gyre_ephemeron_count(p->ephemeron);

	insist_that(gyre_ephemeron_put(p->w.m, p->ephemeron, key, value),
		    gyre_ephemeron_get(p->w.m, p->ephemeron, key) == before &&
			    gyre_ephemeron_count(p->ephemeron) <= count);
	expect(gyre_ephemeron_get(p->w.m, p->ephemeron, key) == value);
}

/* Entries come; the older ones die of themselves, or are removed. */
static void use_collections(struct program *p)
{
	struct gyre_mutator *m = p->w.m;

	for (uint64_t i = 0; i < ENTRIES; i++) {
		struct node *n = new_node(p, i);

		insist(gyre_store(m, slot(p, i), n));
		put(p, i % 70, n);
		put(p, 1000 + i, n);
		add(p, n);
		attach(p, n, new_node(p, 500 + i));
		if (i % 4 == 0) {
			uint64_t number = 1000 + i;

			expect(gyre_weakmap_remove(m, p->map, &number) == n);
			expect(gyre_weakset_remove(m, p->set, n));
			insist_that(gyre_ephemeron_remove(m, p->ephemeron, n, NULL),
				    gyre_ephemeron_get(m, p->ephemeron, n) != NULL);
			expect(gyre_ephemeron_get(m, p->ephemeron, n) == NULL);
			attach(p, n, n);
		}
		if (i % 40 == 39) {
			insist(gyre_collect(m, NULL));
			expect_ok(gyre_finalize_wait(m));
		}
		gyre_safepoint(m);
	}
}

static int count_closed(void *closed)
{
	++*(unsigned *)closed;
	return 0;
}

static void use_a_scope(void)
{
	unsigned closed = 0;
	{
		GYRE_SCOPE(scope);

		for (size_t i = 0; i < 40; i++)
			insist_that(gyre_scope_add(&scope, &closed, count_closed),
				    closed == 0 && i >= GYRE_SCOPE_FEW);
		insist(gyre_scope_reserve(&scope, 200));
		for (unsigned refused = wrap_refused(), i = 0; i < 200; i++) {
			expect_ok(gyre_scope_add(&scope, &closed, count_closed));
			expect_equal(wrap_refused(), refused);
		}
		expect_equal(closed, 0);
	}
	expect_equal(closed, 240);
}

static void work(struct program *p)
{
	struct gyre_keys keys = { hash_key, equal_keys, free_key, p };
	struct refs *held;

	insist(made(held, gyre_new_array(p->w.m, p->w.refs, HELD)));
	insist(gyre_root_init(p->w.m, &p->root, held));
	insist(gyre_weakmap_open(p->w.m, &keys, &p->map));
	insist(gyre_weakset_open(p->w.m, NULL, &p->set));
	insist(gyre_ephemeron_open(p->w.m, &p->ephemeron));
	use_collections(p);
	use_a_scope();
	insist(gyre_weakmap_close(p->w.m, p->map));
	expect_equal(p->keys, 0);
	insist(gyre_weakset_close(p->w.m, p->set));
	insist(gyre_ephemeron_close(p->w.m, p->ephemeron));
	wrap_grant();
	expect_ok(gyre_root_drop(p->w.m, &p->root));
	world_collect(p->w.m);
	expect_ok(gyre_finalize_wait(p->w.m));
	expect_live(p->w.m, 0);
}

/* The program with the calls first to first + count - 1 refused; whether it got so far. */
static bool run(enum wrap_role role, unsigned first, unsigned count)
{
	struct program p = { .keys = 0 };
	struct wrap_held before = wrap_held(), after;
	struct gyre_options options;
	unsigned refused;

	alarm(120);
	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	expect_ok(support_open_heap(&p.w.heap, &options));
	support_open++;
	world_types(&p.w);
	expect_ok(gyre_attach(p.w.heap, 0, &p.w.m));
	wrap_role = WRAP_MAIN;
	wrap_refuse(role, first, count);
	work(&p);
	refused = wrap_refused();
	wrap_role = WRAP_TEST;
	expect_ok(gyre_detach(p.w.m));
	expect_ok(gyre_heap_close(p.w.heap));
	support_open--;
	after = wrap_held();
	expect_equal(after.blocks, before.blocks);
	expect_equal(after.bytes_mapped, before.bytes_mapped);
	expect_equal(after.threads, before.threads);
	alarm(0);
	return refused > 0;
}

static void refuse_every(enum wrap_role role, const char *name, unsigned count)
{
	unsigned n = 1, runs = 0;

	while (run(role, n, count)) {
		/* Most calls are of the same few kinds: each one at first, then one in eleven. */
		n += n < 150 && !SUPPORT_SANITIZED ? 1 : 11;
		runs++;
	}
	fprintf(stderr, "%s: calls up to %u refused, %u at a time, in %u runs\n", name, n - 1,
		count, runs);
	expect(runs > 0);
}

static void one_call_of_the_program(void **state)
{
	(void)state;
	refuse_every(WRAP_MAIN, "program", 1);
}

static void some_calls_of_the_program(void **state)
{
	(void)state;
	refuse_every(WRAP_MAIN, "program", 3);
	refuse_every(WRAP_MAIN, "program", 60);
}

/* Also of the finalizer thread, which has the same role. */
static void calls_of_the_collector(void **state)
{
	(void)state;
	refuse_every(WRAP_COLLECTOR, "collector", 2);
	refuse_every(WRAP_COLLECTOR, "collector", 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_call_of_the_program),
		cmocka_unit_test(some_calls_of_the_program),
		cmocka_unit_test(calls_of_the_collector),
	};

	wrap_role = WRAP_TEST;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
