/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_refusals.c: what each call answers to arguments that it cannot take, to a mutator that is
 * parked, to a pair of calls in the wrong order, and to options and layouts at the edges of their
 * ranges. Nothing of it changes the heap, which the teardown verifies.
 */
#include "support.h"

#include <sys/wait.h>

static void null_is_no_heap(void **state)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	struct gyre_mutator *m;

	(void)state;
	expect_status(gyre_heap_open(NULL, NULL), GYRE_INVALID);
	expect_status(gyre_heap_close(NULL), GYRE_INVALID);
	expect_status(gyre_heap_stats(NULL, &stats), GYRE_INVALID);
	expect_status(gyre_attach(NULL, 0, &m), GYRE_INVALID);
	expect_status(gyre_fork_before(NULL), GYRE_INVALID);
	expect_status(gyre_fork_parent(NULL), GYRE_INVALID);
	expect_status(gyre_fork_child(NULL), GYRE_INVALID);
}

static void null_is_no_mutator(void **state)
{
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct gyre_root root, other;

	(void)state;
	expect_status(gyre_detach(NULL), GYRE_INVALID);
	expect_status(gyre_park(NULL), GYRE_INVALID);
	expect_status(gyre_unpark(NULL), GYRE_INVALID);
	expect_status(gyre_collect(NULL, NULL), GYRE_INVALID);
	expect_status(gyre_verify(NULL, &report, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_root_init(NULL, &root, NULL), GYRE_INVALID);
	expect_status(gyre_root_drop(NULL, &root), GYRE_INVALID);
	expect_status(gyre_root_move(NULL, &other, &root), GYRE_INVALID);
}

static void other_arguments_are_looked_at(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_verify_report report = { .size = sizeof(report) - 1 };
	struct gyre_stats stats = { .size = sizeof(stats) - 1 };
	struct gyre_mutator *m;

	expect_status(gyre_attach(w->heap, 0, NULL), GYRE_INVALID);
	expect_status(gyre_attach(w->heap, GYRE_ATTACH_QSBR << 1, &m), GYRE_INVALID);
	expect_status(gyre_attach(w->heap, 0, &m), GYRE_ATTACHED);
	expect_status(gyre_heap_stats(w->heap, NULL), GYRE_INVALID);
	expect_status(gyre_heap_stats(w->heap, &stats), GYRE_INVALID);
	expect_status(gyre_verify(w->m, &report, NULL, NULL), GYRE_INVALID);
	gyre_mutator_name(w->m, NULL);
	expect(strcmp(gyre_delay_name(GYRE_DELAY_COUNT), "unknown") == 0);
	expect(strcmp(gyre_delay_name((enum gyre_delay)-1), "unknown") == 0);
}

static void slots_and_their_values(void **state)
{
	struct world *w = (struct world *)*state;
	struct node *n = node_new(w, w->m, 1);
	struct refs *r = refs_new(w, w->m, 4);
	size_t many = SIZE_MAX / (2 * sizeof(gyre_ref)) + 1;

	expect_status(gyre_exchange(w->m, &n->left, n, NULL), GYRE_INVALID);
	expect_status(gyre_compare_exchange(w->m, &n->left, NULL, n), GYRE_INVALID);
	expect_status(gyre_array_copy(w->m, NULL, r->items, 1), GYRE_INVALID);
	expect_status(gyre_array_copy(w->m, r->items, NULL, 1), GYRE_INVALID);
	expect_status(gyre_array_copy(w->m, r->items, r->items + 1, many), GYRE_INVALID);
	expect_status(gyre_array_fill(w->m, NULL, 1, n), GYRE_INVALID);
	expect_status(gyre_array_fill(w->m, r->items, many, n), GYRE_INVALID);
	/* Nothing to do is always done. */
	expect_ok(gyre_array_copy(w->m, NULL, NULL, 0));
	expect_ok(gyre_array_fill(w->m, NULL, 0, n));
	expect(gyre_load(&n->left) == NULL && gyre_load(&r->items[0]) == NULL);
}

static void roots_belong_to_one_heap(void **state)
{
	struct world *w = (struct world *)*state, *other;
	struct gyre_options options;
	struct gyre_root root, elsewhere;

	gyre_options_init(&options);
	other = world_make(&options);
	expect_ok(gyre_root_init(other->m, &root, node_new(other, other->m, 1)));
	expect_status(gyre_root_init(w->m, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_root_drop(w->m, NULL), GYRE_INVALID);
	expect_status(gyre_root_drop(w->m, &root), GYRE_INVALID);
	expect_status(gyre_root_move(w->m, &elsewhere, &root), GYRE_INVALID);
	expect_status(gyre_root_move(other->m, NULL, &root), GYRE_INVALID);
	expect_status(gyre_root_move(other->m, &elsewhere, NULL), GYRE_INVALID);
	expect(node_is((struct node *)gyre_load(&root.slot), 1));
	expect_ok(gyre_root_drop(other->m, &root));
	expect_status(gyre_root_drop(other->m, &root), GYRE_INVALID); /* it is none any more */
	world_end(other);
}

static void parked_mutators_do_not_collect(void **state)
{
	struct world *w = (struct world *)*state;

	expect_status(gyre_unpark(w->m), GYRE_INVALID);
	expect_ok(gyre_park(w->m));
	expect_status(gyre_park(w->m), GYRE_PARKED);
	expect_status(gyre_collect(w->m, NULL), GYRE_PARKED);
	expect_status(gyre_verify(w->m, NULL, NULL, NULL), GYRE_PARKED);
	expect_ok(gyre_unpark(w->m));
	/* A parked one may leave. */
	expect_ok(gyre_park(w->m));
	expect_ok(gyre_detach(w->m));
	expect_ok(gyre_attach(w->heap, 0, &w->m));
	expect_ok(gyre_collect(w->m, NULL));
	{
		void *values[1] = { NULL };
		struct gyre_keep frame;

		gyre_keep_open(w->m, &frame, values, 1);
		expect_status(gyre_detach(w->m), GYRE_BUSY);
		gyre_keep_close(&frame);
	}
}

/* The halves of a fork in the wrong order; in the child, twice, and then the parent's. */
static void forks_have_an_order(void **state)
{
	struct world *w = (struct world *)*state;
	int end = 0;
	pid_t child;

	expect_status(gyre_fork_parent(w->heap), GYRE_INVALID);
	expect_status(gyre_fork_child(w->heap), GYRE_INVALID);
	expect_ok(gyre_park(w->m));
	expect_ok(gyre_fork_before(w->heap)); /* of a thread that is parked: it stays so */
	fflush(NULL);
	child = fork();
	if (child == 0) {
		struct gyre_stats stats = { .size = sizeof(stats) };
		bool right = gyre_fork_child(w->heap) == GYRE_OK &&
			     gyre_fork_child(w->heap) == GYRE_FROZEN &&
			     gyre_fork_parent(w->heap) == GYRE_FROZEN &&
			     gyre_heap_stats(w->heap, &stats) == GYRE_FROZEN &&
			     gyre_detach(w->m) == GYRE_FROZEN;

		gyre_mutator_name(w->m, "frozen");
		if (!right || SUPPORT_SANITIZED) /* which look for leaks when a thread ends */
			_exit(!right);
		/* The thread ends attached: its destructor leaves a frozen heap alone. */
		pthread_exit(NULL);
	}
	expect_ok(gyre_fork_parent(w->heap));
	expect_status(gyre_unpark(w->m), GYRE_OK);
	expect(child > 0 && waitpid(child, &end, 0) == child);
	expect(WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
}

static enum gyre_status open_with(const struct gyre_options *options)
{
	struct gyre_heap *heap;
	enum gyre_status status = support_open_heap(&heap, options);

	if (status == GYRE_OK)
		expect_ok(gyre_heap_close(heap));
	return status;
}

/* One field at a time: its last good value opens a heap, the first bad one does not. */
#define expect_range(field, good, bad)                                                             \
	do {                                                                                       \
		struct gyre_options options_;                                                      \
                                                                                                   \
		gyre_options_init(&options_);                                                      \
		options_.field = (good);                                                           \
		expect_ok(open_with(&options_));                                                   \
		options_.field = (bad);                                                            \
		expect_status(open_with(&options_), GYRE_INVALID);                                 \
	} while (0)

static void options_have_ranges(void **state)
{
	const uint64_t hour = 3600u * (uint64_t)1000000000;

	(void)state;
	expect_range(journal_limit, 16 * 4096, 16 * 4096 - 1);
	expect_range(journal_limit, SIZE_MAX / 2, SIZE_MAX / 2 + 1);
	expect_range(epoch_bytes, 4096, 4095);
	expect_range(epoch_bytes, SIZE_MAX / 64, SIZE_MAX / 64 + 1);
	expect_range(heap_limit, SIZE_MAX / 2, SIZE_MAX / 2 + 1);
	expect_range(epoch_ns, hour, hour + 1);
	expect_range(stall_ns, hour, hour + 1);
	expect_range(delay_ns, hour, hour + 1);
	expect_range(near_budget, (uint32_t)1 << 30, ((uint32_t)1 << 30) + 1);
	expect_range(far_percent, 100000, 100001);
	expect_range(flags, GYRE_POISON | GYRE_CLOSE_FINALIZES | GYRE_CLOSE_REPORTS,
		     GYRE_CLOSE_REPORTS << 1);
	expect_range(finalizing, GYRE_FINALIZE_HOST, GYRE_FINALIZE_HOST + 1);
	expect_range(finalizer_ns, hour, hour + 1);
	expect_range(collector_nice, 19, 20);
	expect_range(collector_nice, -1, -2);
	/* A stack that is too small for any thread is made large enough. */
	expect_range(collector_stack, 1, ((size_t)1 << 30) + 1);
}

static void *die_attached(void *arg)
{
	struct gyre_mutator *m;

	expect_ok(gyre_attach((struct gyre_heap *)arg, 0, &m));
	return NULL;
}

/* A heap without a log has something to say, and nobody to say it to. */
static void a_heap_needs_no_log(void **state)
{
	struct gyre_heap *heap;

	(void)state;
	expect_ok(support_open_heap(&heap, NULL));
	thread_join(thread_start(die_attached, heap));
	expect_equal(world_stats(heap).orphans, 1);
	expect_ok(gyre_heap_close(heap));
}

static void trace_nothing(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	(void)object, (void)bytes, (void)visit, (void)arg;
}

static enum gyre_status try(struct world *w, const struct gyre_type_desc *desc)
{
	const struct gyre_type *type;

	return gyre_type_register(w->heap, desc, &type);
}

static void type_descriptions_are_looked_at(void **state)
{
	struct world *w = (struct world *)*state;
	const struct gyre_refs slot = { 0, 1 };
	const struct gyre_type_desc good = GYRE_TYPE(struct node, .refs = &slot, .refs_count = 1);
	const struct gyre_type *type;
	struct gyre_type_desc desc = good;

	expect_ok(try(w, &desc));
	expect_status(gyre_type_register(NULL, &good, &type), GYRE_INVALID);
	expect_status(gyre_type_register(w->heap, NULL, &type), GYRE_INVALID);
	expect_status(gyre_type_register(w->heap, &good, NULL), GYRE_INVALID);
	desc.name = NULL;
	expect_status(try(w, &desc), GYRE_INVALID);
	desc = good, desc.refs = NULL;
	expect_status(try(w, &desc), GYRE_INVALID);
	desc = good, desc.flags = GYRE_ACYCLIC << 1;
	expect_status(try(w, &desc), GYRE_INVALID);
	/* Offsets are 32 bits: no slots in what is larger, but bytes may be. */
	desc = good, desc.object_bytes = (size_t)UINT32_MAX + 1;
	expect_status(try(w, &desc), GYRE_INVALID);
	desc.refs_count = 0;
	expect_ok(try(w, &desc));
	desc.trace = trace_nothing;
	expect_status(try(w, &desc), GYRE_INVALID);
	desc = good, desc.object_bytes = SIZE_MAX;
	expect_status(try(w, &desc), GYRE_INVALID);
}

static void trailing_arrays_are_looked_at(void **state)
{
	static const struct {
		size_t offset, stride, length_offset, refs_count;
	} bad[] = {
		{ 16, 0, GYRE_NO_LENGTH, 1 },                 /* slots in no element */
		{ 16 + 65, 1, GYRE_NO_LENGTH, 0 },            /* far behind the fixed part */
		{ 16, (size_t)UINT32_MAX + 1, GYRE_NO_LENGTH, 0 },
		{ 16, 8, 4, 0 },                              /* a length that is misaligned, */
		{ 16, 8, 24, 0 },                             /* behind the array, */
		{ 12, 1, 8, 0 },                              /* partly in it, */
		{ 16, 8, 16, 0 },                             /* and in its first element */
	};
	const struct gyre_refs slot = { 0, 1 };
	struct world *w = (struct world *)*state;

	for (size_t i = 0; i < LENGTH(bad); i++) {
		struct gyre_type_desc desc = {
			.size = sizeof(desc), .name = "array", .object_bytes = 16,
			.object_align = 8,
			.trailing = { bad[i].offset, bad[i].stride, &slot, bad[i].refs_count,
				      bad[i].length_offset },
		};

		expect_status(try(w, &desc), GYRE_INVALID);
		desc.trailing = (struct gyre_trailing){ 16, 8, &slot, 1, 8 };
		expect_ok(try(w, &desc));
	}
	{
		struct gyre_type_desc desc = {
			.size = sizeof(desc), .name = "large", .object_align = 8,
			.object_bytes = (size_t)UINT32_MAX + 1,
			.trailing = { (size_t)UINT32_MAX + 1, 8, NULL, 0, GYRE_NO_LENGTH },
		};

		expect_status(try(w, &desc), GYRE_INVALID);
	}
}

/* A length for a type without an array; an array that begins before the fixed part ends. */
static void lengths_fit_the_type(void **state)
{
	struct world *w = (struct world *)*state;
	const struct gyre_type_desc desc = {
		.size = sizeof(desc), .name = "early", .object_bytes = 48, .object_align = 8,
		.trailing = { 8, 1, NULL, 0, 0 },
	};
	const struct gyre_type *early;
	void *object;

	expect(gyre_new_array(w->m, w->node, 1) == NULL);
	expect(gyre_new_array(w->m, w->node, 0) != NULL);
	expect_ok(gyre_type_register(w->heap, &desc, &early));
	for (size_t length = 0; length <= 100; length += 10) {
		object = gyre_new_array(w->m, early, length);
		expect(object != NULL && *(size_t *)object == length);
		expect(gyre_object_bytes(object) >= (length > 40 ? 8 + length : 48));
	}
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_no_heap),
		cmocka_unit_test(null_is_no_mutator),
		world_test(other_arguments_are_looked_at),
		world_test(slots_and_their_values),
		world_test(roots_belong_to_one_heap),
		world_test(parked_mutators_do_not_collect),
		world_test(forks_have_an_order),
		cmocka_unit_test(options_have_ranges),
		cmocka_unit_test(a_heap_needs_no_log),
		world_test(type_descriptions_are_looked_at),
		world_test(trailing_arrays_are_looked_at),
		world_test(lengths_fit_the_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
