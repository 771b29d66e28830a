/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_profile.c: where objects were allocated, each of them sampled: the figures of every place
 * are those of the program, however its objects die; and what the calls refuse.
 */
#include "profiled.h"

#include <sys/wait.h>

NODE_PLACE(make_young)
NODE_PLACE(make_counted)
NODE_PLACE(make_cyclic)
NODE_PLACE(make_kept)
NODE_PLACE(make_unseen)
BYTES_PLACE(make_small_arrays)
BYTES_PLACE(make_large_arrays)

static void expect_place(struct world *w, const char *place, uint64_t allocated, uint64_t live,
			 uint64_t bytes)
{
	struct gyre_profile *p;
	struct gyre_profile_site site;

	world_collect(w->m);
	p = profile_take(w, 0);
	site = profile_of(p, place);
	expect_equal(site.allocated.samples, allocated);
	expect_equal(site.allocated.objects, allocated);
	expect_equal(site.allocated.bytes, allocated * bytes);
	expect_equal(site.live.samples, live);
	expect_equal(site.live.objects, live);
	expect_equal(site.live.bytes, live * bytes);
	expect_equal(site.freed.objects, allocated - live);
	expect_equal(site.freed.bytes, (allocated - live) * bytes);
	expect_equal(site.old.objects, live); /* of age 0 they all are */
	expect_equal(profile_totals(p).lost, 0);
	gyre_profile_free(p);
}

enum { MANY = 2000 };

static void what_dies_young(void **state)
{
	struct world *w = *state;

	expect_ok(gyre_profile_start(w->heap, 1));
	for (int i = 0; i < MANY; i++) {
		make_young(w, w->m);
		if (i % 100 == 0)
			gyre_safepoint(w->m);
	}
	expect_place(w, "make_young", MANY, 0, NODE_BYTES);
	expect_ok(gyre_profile_stop(w->heap));
}

static void what_dies_by_count(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	struct refs *all = refs_new(w, w->m, MANY);

	expect_ok(gyre_root_init(w->m, &root, all));
	expect_ok(gyre_profile_start(w->heap, 1));
	for (int i = 0; i < MANY; i++)
		expect_ok(gyre_init(w->m, &all->items[i], make_counted(w, w->m)));
	expect_place(w, "make_counted", MANY, MANY, NODE_BYTES);
	for (int i = 0; i < MANY; i += 2)
		expect_ok(gyre_store(w->m, &all->items[i], NULL));
	expect_place(w, "make_counted", MANY, MANY / 2, NODE_BYTES);
	/* Cells are used again: what lies there now is another object, of another place. */
	for (int i = 0; i < MANY; i += 2)
		expect_ok(gyre_store(w->m, &all->items[i], make_kept(w, w->m)));
	expect_place(w, "make_counted", MANY, MANY / 2, NODE_BYTES);
	expect_place(w, "make_kept", MANY / 2, MANY / 2, NODE_BYTES);
	expect_ok(gyre_profile_stop(w->heap));
	for (int i = 1; i < MANY; i += 2) /* not sampled, but what was is followed */
		expect_ok(gyre_store(w->m, &all->items[i], make_unseen(w, w->m)));
	expect_place(w, "make_counted", MANY, 0, NODE_BYTES);
	expect_place(w, "make_unseen", 0, 0, NODE_BYTES);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_place(w, "make_kept", MANY / 2, 0, NODE_BYTES);
}

static void what_dies_in_cycles(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	struct refs *all = refs_new(w, w->m, MANY / 2);

	expect_ok(gyre_root_init(w->m, &root, all));
	expect_ok(gyre_profile_start(w->heap, 1));
	for (int i = 0; i < MANY / 2; i++) {
		struct node *a = make_cyclic(w, w->m), *b = make_cyclic(w, w->m);

		expect_ok(gyre_init(w->m, &a->left, b));
		expect_ok(gyre_init(w->m, &b->left, a));
		expect_ok(gyre_init(w->m, &all->items[i], a));
	}
	expect_place(w, "make_cyclic", MANY, MANY, NODE_BYTES);
	for (int i = 0; i < MANY / 4; i++)
		expect_ok(gyre_store(w->m, &all->items[i], NULL));
	expect_place(w, "make_cyclic", MANY, MANY / 2, NODE_BYTES);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_place(w, "make_cyclic", MANY, 0, NODE_BYTES);
	expect_ok(gyre_profile_stop(w->heap));
}

/* Sizes of cells are the heap's business; but those of a place sum up to what the heap says. */
static void arrays_and_large_objects(void **state)
{
	static const size_t large[] = { 20000, 65536, 300000, 40 << 20 };
	struct world *w = *state;
	struct gyre_root root;
	struct refs *all = refs_new(w, w->m, 512);
	struct gyre_stats before, after;
	struct gyre_profile *p;
	struct gyre_profile_site small, big;

	expect_ok(gyre_root_init(w->m, &root, all));
	world_collect(w->m);
	expect_ok(gyre_profile_start(w->heap, 1));
	for (size_t i = 0; i < 500; i++)
		expect_ok(gyre_store(w->m, &all->items[i],
				     make_small_arrays(w, w->m, 1 + i * 7)));
	for (size_t i = 0; i < LENGTH(large); i++)
		expect_ok(gyre_store(w->m, &all->items[500 + i],
				     make_large_arrays(w, w->m, large[i])));
	world_collect(w->m);
	before = world_stats(w->heap);
	p = profile_take(w, 0);
	small = profile_of(p, "make_small_arrays");
	big = profile_of(p, "make_large_arrays");
	expect_equal(small.live.objects, 500);
	expect(small.live.bytes >= 500 * 501 / 2 * 7 && small.live.bytes < 2 * 500 * 501 / 2 * 7);
	expect_equal(big.live.objects, LENGTH(large));
	expect(big.live.bytes >= 40 << 20 && big.live.bytes < 42 << 20);
	gyre_profile_free(p);
	expect_ok(gyre_array_fill(w->m, all->items, 512, NULL));
	world_collect(w->m);
	after = world_stats(w->heap);
	expect_equal(after.bytes_reclaimed - before.bytes_reclaimed,
		     small.live.bytes + big.live.bytes);
	p = profile_take(w, 0);
	expect_equal(profile_of(p, "make_small_arrays").live.objects, 0);
	expect_equal(profile_of(p, "make_small_arrays").freed.bytes, small.live.bytes);
	expect_equal(profile_of(p, "make_large_arrays").live.objects, 0);
	expect_equal(profile_of(p, "make_large_arrays").freed.bytes, big.live.bytes);
	expect_ok(gyre_profile_stop(w->heap));
	gyre_profile_free(p);
	expect_ok(gyre_root_drop(w->m, &root));
}

void *make_both(const struct world *w, struct gyre_mutator *m, const struct gyre_type *type);

PLACE void *make_both(const struct world *w, struct gyre_mutator *m, const struct gyre_type *type)
{
	uint64_t *object = gyre_new(m, type);

	expect(object != NULL);
	object[type == w->leaf ? 1 : 3] = 1;
	return object;
}

static void types_of_a_site(void **state)
{
	struct world *w = *state;
	struct gyre_profile_type type = { .size = sizeof(type) };
	struct gyre_profile *p;
	struct gyre_root root;
	struct refs *all = refs_new(w, w->m, 30);
	uint32_t i = 0;

	expect_ok(gyre_root_init(w->m, &root, all));
	expect_ok(gyre_profile_start(w->heap, 1));
	for (int n = 0; n < 30; n++)
		expect_ok(gyre_init(w->m, &all->items[n],
				    make_both(w, w->m, n < 10 ? w->leaf : w->node)));
	for (int n = 0; n < 5; n++)
		expect_ok(gyre_store(w->m, &all->items[n], NULL));
	world_collect(w->m);
	p = profile_take(w, 0);
	while (!profile_passes(p, i, "make_both"))
		i++;
	expect_equal(profile_site(p, i).types, 2);
	expect(profile_site(p, i).frames_count > 1 && profile_site(p, i).frames[0] != NULL);
	expect_ok(gyre_profile_type(p, i, 0, &type));
	expect(strcmp(type.name, "struct node") == 0);
	expect_equal(type.live.objects, 20);
	expect_equal(type.live.bytes, 20 * NODE_BYTES);
	expect_equal(type.freed.objects, 0);
	expect_ok(gyre_profile_type(p, i, 1, &type));
	expect(strcmp(type.name, "struct leaf") == 0);
	expect_equal(type.live.objects, 5);
	expect_equal(type.allocated.bytes, 10 * LEAF_BYTES);
	expect_equal(type.freed.objects, 5);
	expect_status(gyre_profile_type(p, i, 2, &type), GYRE_INVALID);
	gyre_profile_free(p);
	expect_ok(gyre_profile_stop(w->heap));
	expect_ok(gyre_root_drop(w->m, &root));
}

static struct node *deep(struct world *w, unsigned depth)
{
	struct node *n = depth == 0 ? make_kept(w, w->m) : deep(w, depth - 1);

	n->id += depth != 0;
	return n;
}

static void deep_backtraces_are_cut(void **state)
{
	struct world *w = *state;
	struct gyre_profile *p;
	char text[8192], cut[8];
	size_t length;
	uint32_t i = 0;

	expect_ok(gyre_profile_start(w->heap, 1));
	expect_equal(deep(w, 100)->id, 101);
	expect_ok(gyre_profile_stop(w->heap));
	p = profile_take(w, 0);
	expect_equal(profile_totals(p).sites, 1);
	expect_equal(profile_site(p, i).frames_count, GYRE_PROFILE_DEPTH);
	length = gyre_profile_name(p, 0, text, sizeof(text));
	expect_equal(strlen(text), length);
	expect_equal(gyre_profile_name(p, 0, cut, sizeof(cut)), length);
	expect(strlen(cut) == 7 && strncmp(cut, text, 7) == 0);
	expect_equal(gyre_profile_name(p, 0, NULL, 0), length);
	expect_equal(gyre_profile_name(p, 1, text, sizeof(text)), 0);
	gyre_profile_free(p);
}

static void misuse(void **state)
{
	struct world *w = *state;
	struct gyre_profile *p = NULL, *later;
	struct gyre_profile_totals totals = { .size = sizeof(totals) - 8 };
	struct gyre_profile_site site = { .size = 1 };
	struct gyre_profile_type type = { .size = 0 };

	expect_status(gyre_profile_start(NULL, 1), GYRE_INVALID);
	expect_status(gyre_profile_start(w->heap, 0), GYRE_INVALID);
	expect_status(gyre_profile_stop(NULL), GYRE_INVALID);
	expect_status(gyre_profile_stop(w->heap), GYRE_INVALID);
	expect_status(gyre_profile_take(w->heap, 0, &p), GYRE_INVALID);
	expect_ok(gyre_profile_start(w->heap, 1));
	expect_status(gyre_profile_start(w->heap, 4096), GYRE_BUSY);
	expect_status(gyre_profile_take(NULL, 0, &p), GYRE_INVALID);
	expect_status(gyre_profile_take(w->heap, 0, NULL), GYRE_INVALID);
	make_young(w, w->m);
	p = profile_take(w, UINT64_MAX); /* nothing is so old */
	expect_equal(profile_totals(p).old.objects, 0);
	expect_equal(profile_totals(p).allocated.objects, 1);
	later = profile_take(w, 0);
	expect_status(gyre_profile_totals(p, &totals), GYRE_INVALID);
	expect_status(gyre_profile_totals(NULL, &totals), GYRE_INVALID);
	expect_status(gyre_profile_site(p, 0, &site), GYRE_INVALID);
	site.size = sizeof(site);
	expect_status(gyre_profile_site(p, 1, &site), GYRE_INVALID);
	expect_ok(gyre_profile_site(p, 0, &site));
	expect_status(gyre_profile_type(p, 0, 0, &type), GYRE_INVALID);
	expect_status(gyre_profile_compare(later, p), GYRE_INVALID);
	expect_status(gyre_profile_compare(NULL, p), GYRE_INVALID);
	expect_status(gyre_profile_compare(p, NULL), GYRE_INVALID);
	expect_ok(gyre_profile_compare(p, later));
	expect_status(gyre_profile_write(NULL, GYRE_PROFILE_PPROF, 1), GYRE_INVALID);
	expect_status(gyre_profile_write(p, (enum gyre_profile_format)7, 1), GYRE_INVALID);
	expect_status(gyre_profile_write(p, GYRE_PROFILE_FOLDED, -1), GYRE_INVALID);
	expect_status(gyre_profile_write(p, GYRE_PROFILE_PPROF, 1 << 20), GYRE_LIMIT);
	gyre_profile_free(NULL);
	gyre_profile_free(p);
	gyre_profile_free(later);
}

/* A profile holds nothing of its heap; and one of another heap is not compared with it. */
static void a_profile_outlives_its_heap(void **state)
{
	struct gyre_options options;
	struct world *w, *other = *state;
	struct gyre_profile *p, *of_other;

	gyre_options_init(&options);
	w = world_make(&options);
	expect_ok(gyre_profile_start(w->heap, 1));
	for (int i = 0; i < 10; i++)
		make_young(w, w->m);
	p = profile_take(w, 0);
	world_end(w); /* with the profile still running */
	expect_equal(profile_of(p, "make_young").allocated.objects, 10);
	expect_ok(gyre_profile_start(other->heap, 1));
	of_other = profile_take(other, 0);
	expect_status(gyre_profile_compare(p, of_other), GYRE_INVALID);
	gyre_profile_free(of_other);
	gyre_profile_free(p);
}

static void fork_while_it_runs(void **state)
{
	struct world *w = *state;
	struct gyre_profile *p;
	pid_t child;
	int end = 0;

	expect_ok(gyre_profile_start(w->heap, 1));
	make_young(w, w->m);
	expect_ok(gyre_fork_before(w->heap));
	child = fork();
	if (child == 0) {
		bool frozen = gyre_fork_child(w->heap) == GYRE_OK &&
			      gyre_new(w->m, w->node) == NULL &&
			      gyre_profile_start(w->heap, 1) == GYRE_FROZEN &&
			      gyre_profile_stop(w->heap) == GYRE_FROZEN &&
			      gyre_profile_take(w->heap, 0, &p) == GYRE_FROZEN;

		_exit(frozen ? 0 : 1);
	}
	expect_ok(gyre_fork_parent(w->heap));
	make_young(w, w->m);
	expect(child > 0 && waitpid(child, &end, 0) == child);
	expect(WIFEXITED(end) && WEXITSTATUS(end) == 0);
	expect_place(w, "make_young", 2, 0, NODE_BYTES);
	expect_ok(gyre_profile_stop(w->heap));
}

static void *die_attached(void *arg)
{
	struct world *w = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(w->heap, 0, &m)); /* it samples from here on */
	for (int i = 0; i < 100; i++)
		make_counted(w, m);
	gyre_safepoint(m);
	for (int i = 0; i < 100; i++)
		make_young(w, m);
	return NULL; /* without a boundary since */
}

static void a_thread_that_dies_loses_nothing(void **state)
{
	struct world *w = *state;

	expect_ok(gyre_profile_start(w->heap, 1));
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(die_attached, w));
	expect_ok(gyre_unpark(w->m));
	expect_place(w, "make_counted", 100, 0, NODE_BYTES);
	expect_place(w, "make_young", 100, 0, NODE_BYTES);
	expect_ok(gyre_profile_stop(w->heap));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(what_dies_young),
		world_test(what_dies_by_count),
		world_test(what_dies_in_cycles),
		world_test(arrays_and_large_objects),
		world_test(types_of_a_site),
		world_test(deep_backtraces_are_cut),
		world_test(misuse),
		world_test(a_profile_outlives_its_heap),
		world_test(fork_while_it_runs),
		world_test(a_thread_that_dies_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
