/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_verify.c: gyre_verify agrees with a sound heap, counts rightly, runs beside threads that
 * work, and says what is wrong with a heap that is broken on purpose (here, by writing a slot's
 * word without gyre, which the contract forbids).
 */
#include "support.h"

static void a_sound_heap_agrees(void **state)
{
	struct world *w = *state;
	struct gyre_verify_report report;
	struct gyre_root root;
	struct node *n;

	expect_equal(world_verify(w->m).objects, 0);
	node_new(w, w->m, 1);
	expect_equal(world_verify(w->m).reachable, 0);
	world_collect(w->m);
	n = node_new(w, w->m, 1);
	expect_ok(gyre_init(w->m, &n->left, node_new(w, w->m, 2)));
	expect_ok(gyre_init(w->m, &n->right, n));
	expect_ok(gyre_root_init(w->m, &root, n));
	report = world_verify(w->m);
	expect_equal(report.size, sizeof(report));
	expect_equal(report.objects, 2);
	expect_equal(report.reachable, 2);
	expect(report.bytes >= 2 * sizeof(struct node));
	expect_ok(gyre_store(w->m, &n->left, NULL));
	report = world_verify(w->m);
	expect_equal(report.reachable, 1);
	expect_equal(report.objects, 1 + report.unreachable);
	expect_ok(gyre_verify(w->m, NULL, NULL, NULL));
	expect_ok(gyre_verify(w->m, &report, NULL, NULL));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	expect_equal(world_verify(w->m).bytes, 0);
}

/* Bytes are those of the cells, large objects included. */
static void bytes_are_counted(void **state)
{
	struct world *w = *state;
	struct gyre_root roots[3];
	void *objects[3];
	size_t bytes = 0;

	objects[0] = node_new(w, w->m, 1);
	objects[1] = refs_new(w, w->m, 100);
	objects[2] = refs_new(w, w->m, 1000000);
	for (size_t i = 0; i < LENGTH(roots); i++) {
		expect_ok(gyre_root_init(w->m, &roots[i], objects[i]));
		bytes += gyre_object_bytes(objects[i]);
	}
	world_collect(w->m);
	expect_equal(world_verify(w->m).bytes, bytes);
	expect_equal(world_stats(w->heap).bytes_live, bytes);
	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

/* What frames hold is reachable, nested and explicit ones too. */
static void frames_are_roots(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1);
	void *values[3] = { node_new(w, w->m, 2), NULL, node_new(w, w->m, 3) };
	struct gyre_keep frame;
	GYRE_KEEP(w->m, n);

	gyre_keep_open(w->m, &frame, values, 3);
	expect_equal(world_verify(w->m).reachable, 3);
	gyre_keep_close(&frame);
	expect_equal(world_verify(w->m).reachable, 1);
	n = NULL;
	expect_equal(world_verify(w->m).reachable, 0);
}

struct found {
	struct world *w;
	const void *object;
	const char *type;
	unsigned calls, named;
};

/* Runs on the thread that verifies. Counts the calls, and those that name the object rightly. */
static void find(void *arg, const void *object, const char *text)
{
	struct found *f = arg;
	char address[32];

	f->calls++;
	snprintf(address, sizeof(address), "%p", object);
	if (object == f->object && strstr(text, f->type) && strstr(text, address))
		f->named++;
}

/* Copies the word of one slot over another: a reference that no journal knows of. */
static uintptr_t forge(gyre_ref *slot, const gyre_ref *from)
{
	return atomic_exchange(&slot->word, atomic_load(&from->word));
}

static void uncounted_references_are_found(void **state)
{
	struct world *w = *state;
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);
	struct found f = { w, b, "struct node", 0, 0 };
	struct gyre_root roots[2];
	uintptr_t before;

	expect_ok(gyre_root_init(w->m, &roots[0], a));
	expect_ok(gyre_root_init(w->m, &roots[1], b));
	expect_ok(gyre_init(w->m, &a->left, b));
	expect_live(w->m, 2);
	before = forge(&a->right, &a->left);
	expect_status(gyre_verify(w->m, &report, find, &f), GYRE_DISAGREES);
	expect_equal(report.disagreements, 1);
	expect_equal(f.calls, 1);
	expect_equal(f.named, 1);
	expect_status(gyre_verify(w->m, NULL, NULL, NULL), GYRE_DISAGREES);
	atomic_store(&a->right.word, before);
	expect_equal(world_verify(w->m).disagreements, 0);
	before = forge(&a->left, &a->right); /* now a counted reference is missing */
	f.calls = f.named = 0;
	expect_status(gyre_verify(w->m, &report, find, &f), GYRE_DISAGREES);
	expect_equal(f.calls, report.disagreements);
	expect_equal(f.named, 1);
	atomic_store(&a->left.word, before);
	expect_ok(gyre_root_drop(w->m, &roots[0]));
	expect_ok(gyre_root_drop(w->m, &roots[1]));
	expect_live(w->m, 0);
}

/* A cycle through a type that was declared acyclic is never reclaimed, and is reported. */
static void cycles_of_acyclic_types_are_found(void **state)
{
	struct world *w = *state;
	const struct gyre_type_desc desc =
		GYRE_TYPE(struct node, GYRE_REFS(GYRE_REF(struct node, left)),
			  .flags = GYRE_ACYCLIC);
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct found f = { .w = w, .type = "struct node" };
	const struct gyre_type *type;
	struct gyre_root root;
	struct node *a, *b;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	a = gyre_new(w->m, type);
	b = gyre_new(w->m, type);
	expect(a && b);
	expect_ok(gyre_init(w->m, &a->left, b));
	expect_ok(gyre_root_init(w->m, &root, a));
	expect_live(w->m, 2);
	expect_ok(gyre_store(w->m, &b->left, a));
	expect_ok(gyre_root_drop(w->m, &root));
	world_collect(w->m);
	world_collect(w->m);
	expect_status(gyre_verify(w->m, &report, find, &f), GYRE_DISAGREES);
	expect_equal(report.objects, 2);
	expect(report.disagreements >= 1);
	expect_equal(f.calls, report.disagreements);
	expect_ok(gyre_store(w->m, &b->left, NULL)); /* never reclaimed, so b is still there */
	expect_live(w->m, 0);
}

struct busy {
	struct world *w;
	_Atomic(bool) stop;
	bool verify;
};

static void *work_or_verify(void *arg)
{
	struct busy *b = arg;
	struct gyre_mutator *m;
	struct gyre_root root;

	expect_ok(gyre_attach(b->w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &root, NULL));
	for (uint64_t i = 0; !atomic_load(&b->stop); i++) {
		struct node *n = node_new(b->w, m, i);

		expect_ok(gyre_init(m, &n->left, n));
		expect_ok(gyre_init(m, &n->right, i % 50 ? gyre_load(&root.slot) : NULL));
		expect_ok(gyre_store(m, &root.slot, n));
		gyre_safepoint(m);
		if (b->verify && i % 1000 == 0)
			world_verify(m);
	}
	expect_ok(gyre_root_drop(m, &root));
	expect_ok(gyre_detach(m));
	return NULL;
}

static void verify_runs_beside_threads(void **state)
{
	struct world *w = *state;
	struct busy working = { .w = w }, verifying = { .w = w, .verify = true };
	pthread_t threads[3];

	threads[0] = thread_start(work_or_verify, &working);
	threads[1] = thread_start(work_or_verify, &verifying);
	threads[2] = thread_start(work_or_verify, &verifying);
	for (int i = 0; i < 50; i++)
		world_verify(w->m);
	atomic_store(&working.stop, true);
	atomic_store(&verifying.stop, true);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_sound_heap_agrees),
		world_test(bytes_are_counted),
		world_test(frames_are_roots),
		world_test(uncounted_references_are_found),
		world_test(cycles_of_acyclic_types_are_found),
		world_test(verify_runs_beside_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
