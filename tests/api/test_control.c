/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_control.c: switching the collection of cycles off, changing thresholds, exempt objects,
 * being told of collections; and figures by type.
 */
#include "support.h"

static struct node *ring_new(struct world *w, uint64_t id)
{
	struct node *a = node_new(w, w->m, id), *b = node_new(w, w->m, id + 1);

	expect_ok(gyre_init(w->m, &a->left, b));
	expect_ok(gyre_init(w->m, &b->left, a));
	return a;
}

/* A ring that has been counted and let go, so that only a trial can find it. */
static void drop_ring(struct world *w)
{
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, ring_new(w, 1)));
	for (uint64_t until = world_stats(w->heap).epochs + 3;
	     world_stats(w->heap).epochs < until;) {
		gyre_collect_soon(w->heap);
		gyre_safepoint(w->m);
	}
	expect_ok(gyre_root_drop(w->m, &root));
}

/* Lets so many boundaries pass. */
static void pass_epochs(struct world *w, unsigned count)
{
	uint64_t until = world_stats(w->heap).epochs + count;

	while (world_stats(w->heap).epochs < until) {
		gyre_collect_soon(w->heap);
		gyre_safepoint(w->m);
	}
}

static void cycles_stay_while_disabled(void **state)
{
	struct world *w = *state;

	expect(gyre_is_enabled(w->heap));
	expect_ok(gyre_disable(w->heap));
	expect(!gyre_is_enabled(w->heap));
	drop_ring(w);
	node_new(w, w->m, 9); /* what dies by its count goes as ever */
	pass_epochs(w, 12);
	expect_equal(world_stats(w->heap).objects_live, 2);
	expect_equal(world_stats(w->heap).near_passes + world_stats(w->heap).far_passes, 0);
	expect(world_stats(w->heap).candidates_waiting > 0);
	expect_equal(world_collect(w->m), 2);
	drop_ring(w);
	pass_epochs(w, 12);
	expect_equal(world_stats(w->heap).objects_live, 2);
	expect_ok(gyre_enable(w->heap));
	/* By the far pass that is due after its rest. */
	while (world_stats(w->heap).objects_live > 0)
		pass_epochs(w, 1);
	expect_live(w->m, 0);
}

static void thresholds_change(void **state)
{
	struct world *w = *state;
	struct gyre_thresholds t = { .size = sizeof(t) }, u = { .size = sizeof(u) };
	struct gyre_thresholds bad[] = {
		{ .size = sizeof(t) - 1, .near_budget = 5 },
		{ .size = sizeof(t), .near_budget = 5, .epoch_bytes = 4095 },
		{ .size = sizeof(t), .near_budget = 5, .epoch_ns = UINT64_MAX },
		{ .size = sizeof(t), .near_budget = 5, .delay_ns = UINT64_MAX },
		{ .size = sizeof(t), .near_budget = UINT32_MAX },
		{ .size = sizeof(t), .near_budget = 5, .far_percent = 100001 },
	};

	expect_ok(gyre_thresholds_get(w->heap, &t));
	expect_equal(t.near_budget, 1024);
	expect_equal(t.far_percent, 50);
	for (size_t i = 0; i < LENGTH(bad); i++)
		expect_status(gyre_thresholds_set(w->heap, &bad[i]), GYRE_INVALID);
	expect_ok(gyre_thresholds_get(w->heap, &u));
	expect_equal(u.near_budget, 1024);
	u = (struct gyre_thresholds){ .size = sizeof(u), .near_budget = 7, .epoch_ns = 1000000 };
	expect_ok(gyre_thresholds_set(w->heap, &u));
	expect_ok(gyre_thresholds_get(w->heap, &u));
	expect_equal(u.near_budget, 7);
	expect_equal(u.epoch_ns, 1000000);
	expect_equal(u.epoch_bytes, t.epoch_bytes);
	expect_equal(u.delay_ns, t.delay_ns);
	expect_equal(u.far_percent, t.far_percent);
	t.size = 0;
	expect_status(gyre_thresholds_get(w->heap, &t), GYRE_INVALID);
	expect_status(gyre_thresholds_get(NULL, &u), GYRE_INVALID);
	expect_status(gyre_thresholds_set(w->heap, NULL), GYRE_INVALID);
	expect_status(gyre_disable(NULL), GYRE_INVALID);
	expect_status(gyre_enable(NULL), GYRE_INVALID);
}

static void exempt_objects_are_not_traced(void **state)
{
	struct world *w = *state;
	struct gyre_root kept, ring, single;
	uint64_t traced;

	expect_ok(gyre_root_init(w->m, &kept, ring_new(w, 1)));
	expect_ok(gyre_root_init(w->m, &ring, ring_new(w, 3)));
	expect_ok(gyre_root_init(w->m, &single, node_new(w, w->m, 5)));
	expect_ok(gyre_exempt_all(w->m));
	expect_equal(gyre_exempt_count(w->heap), 5);
	expect_equal(world_stats(w->heap).exempt, 5);
	/* They are counted, and freed by their counts; cycles stay. */
	expect_ok(gyre_root_drop(w->m, &ring));
	expect_ok(gyre_root_drop(w->m, &single));
	traced = world_stats(w->heap).far_traced + world_stats(w->heap).near_traced;
	expect_equal(world_collect(w->m), 1);
	expect_equal(world_stats(w->heap).far_traced + world_stats(w->heap).near_traced, traced);
	expect_equal(gyre_exempt_count(w->heap), 4);
	expect_equal(world_verify(w->m).unreachable, 2);
	/* What is made afterwards is ordinary. */
	drop_ring(w);
	expect_equal(world_collect(w->m), 2);
	expect_ok(gyre_exempt_none(w->m));
	expect_equal(gyre_exempt_count(w->heap), 0);
	expect_live(w->m, 2);
	expect_ok(gyre_root_drop(w->m, &kept));
	expect_live(w->m, 0);
	expect_status(gyre_exempt_all(NULL), GYRE_INVALID);
	expect_ok(gyre_park(w->m));
	expect_status(gyre_exempt_all(w->m), GYRE_PARKED);
	expect_status(gyre_exempt_none(w->m), GYRE_PARKED);
	expect_ok(gyre_unpark(w->m));
	expect_equal(gyre_exempt_count(NULL), 0);
}

#define MUTATORS 8
static struct {
	struct world *w;
	atomic_bool stop;
} busy;

static void *mutate(void *arg)
{
	struct world *w = busy.w;
	struct gyre_mutator *m;
	struct gyre_root root;

	(void)arg;
	expect_ok(gyre_attach(w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &root, NULL));
	while (!atomic_load(&busy.stop)) {
		struct node *a = gyre_new(m, w->node), *b = gyre_new(m, w->node);

		if (a == NULL || b == NULL) {
			gyre_store(m, &root.slot, NULL);
			gyre_park(m);
			usleep(500);
			gyre_unpark(m);
		} else if (gyre_init(m, &a->left, b) == GYRE_OK &&
			   gyre_init(m, &b->left, a) == GYRE_OK &&
			   gyre_init(m, &a->right, gyre_load(&root.slot)) == GYRE_OK) {
			gyre_store(m, &root.slot, (uintptr_t)a / 64 % 8 ? a : NULL);
		}
		gyre_safepoint(m);
	}
	while (gyre_root_drop(m, &root) != GYRE_OK)
		gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

static void note(void *arg, const struct gyre_collect_info *info)
{
	(void)info;
	atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Everything is changed while eight threads make garbage; in the end none of it is left. In a heap
 * that is soon full of what is not collected. */
static void all_of_it_while_others_run(void **state)
{
	struct gyre_options options;
	struct world *w;
	pthread_t threads[MUTATORS];
	atomic_uint told = 0;
	unsigned rounds = SUPPORT_SLOW ? 4 : 12;
	struct gyre_thresholds t = { .size = sizeof(t), .far_percent = 10, .epoch_ns = 2000000 };
	uint64_t id;

	(void)state;
	gyre_options_init(&options);
	options.heap_limit = (size_t)8 << 20;
	busy.w = w = world_make(&options);
	atomic_store(&busy.stop, false);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < MUTATORS; i++)
		threads[i] = thread_start(mutate, NULL);
	expect_ok(gyre_unpark(w->m));
	for (unsigned i = 0; i < rounds; i++) {
		expect_ok(gyre_on_collect(w->heap, note, &told, &id));
		expect_ok(i % 2 ? gyre_disable(w->heap) : gyre_enable(w->heap));
		t.near_budget = 2 + i * 100;
		expect_ok(gyre_thresholds_set(w->heap, &t));
		expect_ok(gyre_exempt_all(w->m));
		pass_epochs(w, 1);
		expect_ok(gyre_exempt_none(w->m));
		expect_ok(gyre_off_collect(w->heap, id));
	}
	expect_ok(gyre_enable(w->heap));
	atomic_store(&busy.stop, true);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < MUTATORS; i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_equal(gyre_exempt_count(w->heap), 0);
	expect_live(w->m, 0);
	world_end(w);
}

struct heard {
	atomic_uint begun[3], ended[3];
	atomic_ullong freed, sets, traced;
};

static void hear(void *arg, const struct gyre_collect_info *info)
{
	struct heard *heard = arg;

	expect_equal(info->size, sizeof(*info));
	if (!info->ended) {
		expect_equal(info->traced + info->sets_found + info->freed + info->duration_ns, 0);
		atomic_fetch_add(&heard->begun[info->kind], 1);
		return;
	}
	atomic_fetch_add(&heard->ended[info->kind], 1);
	atomic_fetch_add(&heard->freed, info->freed);
	if (info->kind == GYRE_COLLECT_FULL) {
		atomic_fetch_add(&heard->sets, info->sets_found);
		atomic_fetch_add(&heard->traced, info->traced);
	}
}

static void the_host_is_told(void **state)
{
	struct world *w = *state;
	static struct heard left;
	struct heard heard = { 0 };
	uint64_t id, other;

	expect_ok(gyre_disable(w->heap)); /* no pass but those of gyre_collect */
	drop_ring(w);
	expect_ok(gyre_on_collect(w->heap, hear, &heard, &id));
	expect_ok(gyre_on_collect(w->heap, hear, &heard, &other));
	expect_ok(gyre_off_collect(w->heap, other));
	expect_equal(world_collect(w->m), 2);
	expect_equal(heard.begun[GYRE_COLLECT_FULL], 1);
	expect_equal(heard.ended[GYRE_COLLECT_FULL], 1);
	expect(heard.begun[GYRE_COLLECT_FAR] > 0);
	expect_equal(heard.begun[GYRE_COLLECT_FAR], heard.ended[GYRE_COLLECT_FAR]);
	expect_equal(heard.begun[GYRE_COLLECT_NEAR], 0);
	expect_equal(heard.freed, 2);
	expect_equal(heard.sets, 1);
	expect(heard.traced >= 2);
	expect_equal(world_stats(w->heap).full_collects, 1);
	expect_ok(gyre_enable(w->heap));
	drop_ring(w);
	while (heard.ended[GYRE_COLLECT_NEAR] == 0)
		pass_epochs(w, 1);
	expect_ok(gyre_off_collect(w->heap, id));
	expect_status(gyre_off_collect(w->heap, id), GYRE_INVALID);
	expect_status(gyre_on_collect(w->heap, NULL, NULL, &id), GYRE_INVALID);
	expect_status(gyre_on_collect(w->heap, hear, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_on_collect(NULL, hear, NULL, &id), GYRE_INVALID);
	expect_status(gyre_off_collect(NULL, id), GYRE_INVALID);
	heard.begun[GYRE_COLLECT_FULL] = 0;
	world_collect(w->m);
	expect_equal(heard.begun[GYRE_COLLECT_FULL], 0);
	/* One that is left is released with the heap, after this test. */
	expect_ok(gyre_on_collect(w->heap, hear, &left, &id));
}

static struct gyre_type_stats of(const struct gyre_type *type)
{
	struct gyre_type_stats stats = { .size = sizeof(stats) };

	expect_ok(gyre_type_stats(type, &stats));
	return stats;
}

static void figures_by_type(void **state)
{
	struct world *w = *state;
	struct gyre_type_stats s = { .size = 1 };
	const struct gyre_type *type;
	struct gyre_stats all;
	uint64_t live = 0, bytes = 0;
	unsigned types = 0;
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, refs_new(w, w->m, 100)));
	drop_ring(w);
	node_new(w, w->m, 4);
	world_collect(w->m);
	s = of(w->node);
	expect(strcmp(s.name, "struct node") == 0);
	expect_equal(s.objects_allocated, 3);
	expect_equal(s.objects_reclaimed, 3);
	expect_equal(s.reclaimed_by_cycle, 2);
	expect_equal(s.reclaimed_by_count, 1);
	expect_equal(s.objects_live + s.bytes_live, 0);
	s = of(w->refs);
	expect_equal(s.objects_live, 1);
	expect_equal(s.bytes_live, gyre_object_bytes(gyre_load(&root.slot)));
	expect_equal(of(w->leaf).objects_allocated, 0);
	for (type = gyre_type_next(w->heap, NULL); type != NULL;
	     type = gyre_type_next(w->heap, type), types++) {
		live += of(type).objects_live;
		bytes += of(type).bytes_live;
	}
	all = world_stats(w->heap);
	expect_equal(live, all.objects_live);
	expect_equal(bytes, all.bytes_live);
	expect_equal(types, all.types);
	expect(gyre_type_next(NULL, NULL) == NULL);
	s.size = 1;
	expect_status(gyre_type_stats(w->node, &s), GYRE_INVALID);
	expect_status(gyre_type_stats(NULL, &s), GYRE_INVALID);
	expect_status(gyre_type_stats(w->node, NULL), GYRE_INVALID);
	expect_ok(gyre_root_drop(w->m, &root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(cycles_stay_while_disabled),
		world_test(thresholds_change),
		world_test(exempt_objects_are_not_traced),
		world_test(the_host_is_told),
		world_test(figures_by_type),
		cmocka_unit_test(all_of_it_while_others_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
