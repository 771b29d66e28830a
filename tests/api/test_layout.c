/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_layout.c: what a type's layout says is what the collector follows: scattered slots, fixed
 * arrays, trailing arrays of mixed elements, the length word, trace callbacks. Callbacks run on the
 * collector thread.
 */
#include "support.h"

/* Slots of one object at scattered places: a node in each, and words between them of all ones. */
static void scattered_slots_are_followed(void **state)
{
	static const struct gyre_refs refs[] = { { 120, 1 }, { 8, 3 }, { 64, 2 } };
	static const size_t slots[] = { 8, 16, 24, 64, 72, 120 };
	struct world *w = *state;
	const struct gyre_type_desc desc = { .size = sizeof(desc),
					     .name = "scattered",
					     .object_bytes = 136,
					     .object_align = 8,
					     .refs = refs,
					     .refs_count = LENGTH(refs) };
	const struct gyre_type *type;
	struct gyre_root root;
	char *object;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	object = gyre_new(w->m, type);
	expect(object != NULL);
	memset(object, 0xff, 8);
	memset(object + 32, 0xff, 32);
	memset(object + 80, 0xff, 40);
	memset(object + 128, 0xff, 8);
	for (size_t i = 0; i < LENGTH(slots); i++)
		expect_ok(gyre_init(w->m, (gyre_ref *)(object + slots[i]), node_new(w, w->m, i)));
	expect_ok(gyre_root_init(w->m, &root, object));
	for (size_t i = 0; i < LENGTH(slots); i++) {
		expect_live(w->m, 1 + LENGTH(slots) - i);
		expect(node_is(gyre_load((gyre_ref *)(object + slots[i])), i));
		expect_ok(gyre_store(w->m, (gyre_ref *)(object + slots[i]), NULL));
	}
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

struct entry {
	uint64_t key;
	gyre_ref value, next;
	uint32_t hash;
};

struct table {
	gyre_ref meta;
	size_t capacity;
	struct entry entries[];
};

static const struct gyre_type *register_table(struct world *w, size_t length_offset)
{
	const struct gyre_refs element[] = { GYRE_REF(struct entry, value),
					     GYRE_REF(struct entry, next) };
	const struct gyre_type_desc desc = GYRE_TYPE(
		struct table, GYRE_REFS(GYRE_REF(struct table, meta)),
		.trailing = { offsetof(struct table, entries), sizeof(struct entry), element,
			      LENGTH(element), length_offset });
	const struct gyre_type *type;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	return type;
}

/* Elements with words that are no slots; small, of one slab, and mapped apart. */
static void mixed_elements_are_followed(void **state)
{
	static const size_t lengths[] = { 0, 1, 2, 7, 100, 3000, 60000 };
	struct world *w = *state;
	const struct gyre_type *type = register_table(w, offsetof(struct table, capacity));

	for (size_t i = 0; i < LENGTH(lengths); i++) {
		struct table *t = gyre_new_array(w->m, type, lengths[i]);
		size_t step = lengths[i] > 100 ? 97 : 1, nodes = 1;
		struct gyre_root root;

		expect(t != NULL);
		expect_equal(t->capacity, lengths[i]);
		expect_ok(gyre_init(w->m, &t->meta, node_new(w, w->m, 77)));
		for (size_t j = 0; j < lengths[i]; j++) {
			t->entries[j].key = UINT64_MAX - j;
			t->entries[j].hash = UINT32_MAX;
			if (j % step)
				continue;
			expect_ok(gyre_init(w->m, &t->entries[j].value, node_new(w, w->m, j)));
			expect_ok(gyre_init(w->m, &t->entries[j].next, t));
			nodes++;
		}
		expect_ok(gyre_root_init(w->m, &root, t));
		expect_live(w->m, nodes + 1);
		for (size_t j = 0; j < lengths[i]; j += step)
			expect(node_is(gyre_load(&t->entries[j].value), j));
		expect_equal(t->capacity, lengths[i]);
		expect_ok(gyre_root_drop(w->m, &root));
		expect_live(w->m, 0);
	}
}

static void no_length_is_written_unasked(void **state)
{
	struct world *w = *state;
	struct table *t = gyre_new_array(w->m, register_table(w, GYRE_NO_LENGTH), 9);

	expect(t != NULL);
	expect_equal(t->capacity, 0);
	expect(gyre_object_bytes(t) >= sizeof(*t) + 9 * sizeof(struct entry));
}

/* A fixed array of slots by GYRE_REF. */
struct page {
	uint64_t id;
	gyre_ref entries[12];
};

static void fixed_arrays_are_followed(void **state)
{
	struct world *w = *state;
	const struct gyre_type_desc desc =
		GYRE_TYPE(struct page, GYRE_REFS(GYRE_REF(struct page, entries)));
	const struct gyre_type *type;
	struct gyre_root root;
	struct page *p;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	expect(!gyre_type_is_acyclic(type));
	p = gyre_new(w->m, type);
	expect(p != NULL);
	expect_ok(gyre_root_init(w->m, &root, p));
	for (size_t i = 0; i < 12; i++)
		expect_ok(gyre_init(w->m, &p->entries[i],
				    i % 2 ? (void *)p : node_new(w, w->m, i)));
	expect_live(w->m, 7);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* An object whose slots begin after a header of words, their number fixed at birth by its bytes. */
static void trace_half(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const gyre_ref *slots = object;

	(void)bytes;
	for (size_t i = 0; i < 4; i++)
		visit(arg, &slots[2 * i]);
}

static const struct gyre_type *register_traced(struct world *w, gyre_trace_fn trace,
					       size_t object_bytes)
{
	const struct gyre_type_desc desc = { .size = sizeof(desc),
					     .name = "traced",
					     .object_bytes = object_bytes,
					     .object_align = 8,
					     .trace = trace };
	const struct gyre_type *type;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	return type;
}

static void trace_callbacks_are_followed(void **state)
{
	struct world *w = *state;
	const struct gyre_type *type = register_traced(w, trace_half, 64);
	struct gyre_root root;
	gyre_ref *object = gyre_new(w->m, type);

	expect(object != NULL);
	expect_ok(gyre_root_init(w->m, &root, object));
	for (size_t i = 0; i < 4; i++) {
		expect_ok(gyre_init(w->m, &object[2 * i], node_new(w, w->m, i)));
		memset(&object[2 * i + 1], 0xff, sizeof(gyre_ref));
	}
	expect_live(w->m, 5);
	for (size_t i = 0; i < 4; i++)
		expect(node_is(gyre_load(&object[2 * i]), i));
	expect_ok(gyre_store(w->m, &object[6], NULL));
	expect_live(w->m, 4);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* A ring of 100 traced objects, each with a node of its own. */
static void cycles_through_trace_callbacks_die(void **state)
{
	struct world *w = *state;
	const struct gyre_type *type = register_traced(w, trace_half, 64);
	gyre_ref *first = gyre_new(w->m, type), *last = first;
	struct gyre_root root;

	expect(first != NULL);
	for (int i = 1; i < 100; i++) {
		gyre_ref *object = gyre_new(w->m, type);

		expect(object != NULL);
		expect_ok(gyre_init(w->m, &object[0], last));
		expect_ok(gyre_init(w->m, &object[2], node_new(w, w->m, (uint64_t)i)));
		last = object;
	}
	expect_ok(gyre_init(w->m, &first[0], last));
	expect_ok(gyre_root_init(w->m, &root, last));
	expect_live(w->m, 199);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

#if !GYRE_CHECKS
static gyre_ref outside_slot;

static void trace_outside(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const gyre_ref *slots = object;

	visit(arg, &slots[0]);
	visit(arg, (const gyre_ref *)((const char *)object + bytes + (1 << 20)));
	visit(arg, &outside_slot);
}

/*
 * Such a slot is ignored, counted and logged; the sound slot beside it works. The object is kept
 * for an epoch: what dies in the epoch of its birth is looked at by the engine recycler only.
 */
static void slots_outside_the_object_are_ignored(void **state)
{
	struct world *w = *state;
	const struct gyre_type *type = register_traced(w, trace_outside, 64);
	gyre_ref *object = gyre_new(w->m, type);
	struct gyre_root root;
	char line[512];

	expect(object != NULL);
	expect_ok(gyre_init(w->m, &object[0], object)); /* a cycle, so that it must be traced */
	expect_ok(gyre_root_init(w->m, &root, object));
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &root));
	world_collect(w->m);
	support_log_wait(&w->log, "traced", line, sizeof(line));
	expect_live(w->m, 0);
	expect(world_stats(w->heap).trace_faults >= 1);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(scattered_slots_are_followed),
		world_test(mixed_elements_are_followed),
		world_test(no_length_is_written_unasked),
		world_test(fixed_arrays_are_followed),
		world_test(trace_callbacks_are_followed),
		world_test(cycles_through_trace_callbacks_die),
#if !GYRE_CHECKS
		world_test(slots_outside_the_object_are_ignored),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
