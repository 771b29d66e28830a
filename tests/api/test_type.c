/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_type.c: the registration of types: every invalid layout, what is acyclic, names, copies, the
 * limit of types. What a layout describes is shown by what it keeps alive in test_layout.c.
 */
#include "support.h"

static enum gyre_status try(struct world *w, struct gyre_type_desc desc)
{
	const struct gyre_type *type = NULL;
	enum gyre_status status = gyre_type_register(w->heap, &desc, &type);

	if (status == GYRE_OK)
		expect(type != NULL);
	return status;
}

/* A type of 64 bytes with these slots and nothing else. */
static struct gyre_type_desc with_refs(const struct gyre_refs *refs, size_t count)
{
	return (struct gyre_type_desc){ .size = sizeof(struct gyre_type_desc),
					.name = "layout",
					.object_bytes = 64,
					.object_align = 8,
					.refs = refs,
					.refs_count = count };
}

/* 16 bytes fixed, then elements of stride bytes with these slots. */
static struct gyre_type_desc with_elements(size_t offset, size_t stride,
					   const struct gyre_refs *refs, size_t count)
{
	struct gyre_type_desc desc = with_refs(NULL, 0);

	desc.object_bytes = 16;
	desc.trailing = (struct gyre_trailing){ offset, stride, refs, count, GYRE_NO_LENGTH };
	return desc;
}

static void fixed_slots_are_checked(void **state)
{
	static const struct gyre_refs bad[] = {
		{ 4, 1 },                          /* misaligned */
		{ 1, 1 },                          /* misaligned by one */
		{ 64, 1 },                         /* begins where the object ends */
		{ 72, 1 },                         /* begins outside */
		{ 56, 2 },                         /* ends outside */
		{ 0, 9 },                          /* longer than the object */
		{ SIZE_MAX - 7, 1 },               /* the end wraps round */
		{ SIZE_MAX - 7, 2 },               /* wraps to the front */
		{ 8, SIZE_MAX / sizeof(gyre_ref) }, /* the length wraps */
		{ 0, SIZE_MAX / 8 + 2 },           /* the length in bytes wraps to 8 */
		{ 0, SIZE_MAX },
	};
	static const struct gyre_refs good[] = { { 0, 1 }, { 56, 1 }, { 0, 8 }, { 8, 7 } };

	for (size_t i = 0; i < LENGTH(bad); i++)
		expect_status(try(*state, with_refs(&bad[i], 1)), GYRE_INVALID);
	for (size_t i = 0; i < LENGTH(good); i++)
		expect_ok(try(*state, with_refs(&good[i], 1)));
}

static void overlapping_slots_are_refused(void **state)
{
	static const struct gyre_refs bad[][2] = {
		{ { 8, 1 }, { 8, 1 } },  { { 0, 8 }, { 56, 1 } }, { { 56, 1 }, { 0, 8 } },
		{ { 16, 2 }, { 24, 2 } }, { { 24, 2 }, { 16, 2 } }, { { 0, 8 }, { 0, 8 } },
	};
	static const struct gyre_refs good[][2] = {
		{ { 0, 1 }, { 8, 1 } }, { { 8, 1 }, { 0, 1 } }, { { 0, 4 }, { 32, 4 } },
		{ { 32, 4 }, { 0, 4 } }, { { 56, 1 }, { 0, 1 } },
	};

	for (size_t i = 0; i < LENGTH(bad); i++)
		expect_status(try(*state, with_refs(bad[i], 2)), GYRE_INVALID);
	for (size_t i = 0; i < LENGTH(good); i++)
		expect_ok(try(*state, with_refs(good[i], 2)));
}

static void overlap_among_many_slots_is_found(void **state)
{
	struct gyre_refs refs[8];

	for (size_t i = 0; i < 8; i++)
		refs[i] = (struct gyre_refs){ (7 - i) * 8, 1 };
	expect_ok(try(*state, with_refs(refs, 8)));
	refs[7].offset = 56; /* the last entry repeats the first */
	expect_status(try(*state, with_refs(refs, 8)), GYRE_INVALID);
}

static void element_slots_are_checked(void **state)
{
	static const struct {
		size_t offset, stride;
		struct gyre_refs refs;
	} bad[] = {
		{ 16, 24, { 4, 1 } },            /* misaligned in the element */
		{ 16, 12, { 0, 1 } },            /* misaligned in the second element */
		{ 12, 8, { 0, 1 } },             /* the array itself is misaligned */
		{ 16, 24, { 24, 1 } },           /* outside the element */
		{ 16, 24, { 16, 2 } },           /* ends outside */
		{ 16, 24, { SIZE_MAX - 7, 1 } }, /* wraps */
		{ 16, 4, { 0, 1 } },             /* a slot is longer than the element */
	};

	for (size_t i = 0; i < LENGTH(bad); i++) {
		struct gyre_type_desc desc =
			with_elements(bad[i].offset, bad[i].stride, &bad[i].refs, 1);

		expect_status(try(*state, desc), GYRE_INVALID);
	}
	expect_ok(try(*state, with_elements(16, 24, (struct gyre_refs[]){ { 16, 1 } }, 1)));
	expect_ok(try(*state, with_elements(16, 8, (struct gyre_refs[]){ { 0, 1 } }, 1)));
	expect_ok(try(*state, with_elements(13, 1, NULL, 0)));
	expect_ok(try(*state, with_elements(16, 3, NULL, 0)));
}

static void element_slots_must_not_overlap(void **state)
{
	static const struct gyre_refs twice[] = { { 8, 1 }, { 8, 1 } };
	static const struct gyre_refs within[] = { { 0, 3 }, { 16, 1 } };
	static const struct gyre_refs apart[] = { { 16, 1 }, { 0, 2 } };

	expect_status(try(*state, with_elements(16, 24, twice, 2)), GYRE_INVALID);
	expect_status(try(*state, with_elements(16, 24, within, 2)), GYRE_INVALID);
	expect_ok(try(*state, with_elements(16, 24, apart, 2)));
}

/* A fixed slot that lies where the elements begin is two slots in one place. */
static void fixed_slots_must_not_overlap_elements(void **state)
{
	static const struct gyre_refs fixed = { 8, 1 };
	static const struct gyre_refs element = { 0, 1 };
	struct gyre_type_desc desc = with_elements(8, 8, &element, 1);

	desc.refs = &fixed;
	desc.refs_count = 1;
	expect_status(try(*state, desc), GYRE_INVALID);
	desc.trailing.offset = 16;
	expect_ok(try(*state, desc));
}

static void alignment_is_a_power_of_two_up_to_64(void **state)
{
	static const size_t bad[] = { 0, 3, 5, 6, 7, 24, 63, 65, 96, 128, 4096, SIZE_MAX,
				      SIZE_MAX / 2 + 1 };
	struct gyre_type_desc desc = with_refs(NULL, 0);

	for (size_t i = 0; i < LENGTH(bad); i++) {
		desc.object_align = bad[i];
		expect_status(try(*state, desc), GYRE_INVALID);
	}
	for (size_t align = 1; align <= 64; align *= 2) {
		desc.object_align = align;
		expect_ok(try(*state, desc));
	}
}

static void unknown_desc_sizes_are_refused(void **state)
{
	static const size_t bad[] = { 0, 1, 8, sizeof(struct gyre_type_desc) - 1,
				      sizeof(struct gyre_type_desc) + 8, SIZE_MAX };
	struct gyre_type_desc desc = with_refs(NULL, 0);

	for (size_t i = 0; i < LENGTH(bad); i++) {
		desc.size = bad[i];
		expect_status(try(*state, desc), GYRE_INVALID);
	}
}

static void trace_nothing(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	(void)object, (void)bytes, (void)visit, (void)arg;
}

static void trace_excludes_tables(void **state)
{
	static const struct gyre_refs slot = { 0, 1 };
	struct gyre_type_desc desc = with_refs(&slot, 1);

	desc.trace = trace_nothing;
	expect_status(try(*state, desc), GYRE_INVALID);
	desc = with_elements(16, 8, &slot, 1);
	desc.trace = trace_nothing;
	expect_status(try(*state, desc), GYRE_INVALID);
	desc = with_elements(16, 8, NULL, 0);
	desc.trace = trace_nothing;
	expect_ok(try(*state, desc));
}

/* An object that no address space holds is refused, at the registration or at the birth. */
static void impossible_sizes_make_no_object(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2, (size_t)1 << 60 };
	struct world *w = *state;

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		struct gyre_type_desc desc = with_refs(NULL, 0);
		const struct gyre_type *type = NULL;
		enum gyre_status status;

		desc.object_bytes = sizes[i];
		status = gyre_type_register(w->heap, &desc, &type);
		expect(status == GYRE_OK || status == GYRE_INVALID);
		if (status == GYRE_OK)
			expect(gyre_new(w->m, type) == NULL);
	}
}

static bool acyclic(struct world *w, struct gyre_type_desc desc, unsigned flags)
{
	const struct gyre_type *type;

	desc.flags = flags;
	expect_ok(gyre_type_register(w->heap, &desc, &type));
	return gyre_type_is_acyclic(type);
}

static void acyclic_types_are_known(void **state)
{
	static const struct gyre_refs slot = { 0, 1 }, none = { 0, 0 };
	struct world *w = *state;
	struct gyre_type_desc traced = with_refs(NULL, 0);

	traced.trace = trace_nothing;
	expect(acyclic(w, with_refs(NULL, 0), 0));
	expect(acyclic(w, with_refs(NULL, 0), GYRE_ACYCLIC));
	expect(acyclic(w, with_refs(&none, 1), 0));
	expect(acyclic(w, with_elements(16, 1, NULL, 0), 0));
	expect(!acyclic(w, with_refs(&slot, 1), 0));
	expect(acyclic(w, with_refs(&slot, 1), GYRE_ACYCLIC));
	expect(!acyclic(w, with_elements(16, 8, &slot, 1), 0));
	expect(acyclic(w, with_elements(16, 8, &slot, 1), GYRE_ACYCLIC));
	expect(!acyclic(w, traced, 0));
	expect(acyclic(w, traced, GYRE_ACYCLIC));
	expect(gyre_type_is_acyclic(w->leaf) && gyre_type_is_acyclic(w->bytes));
	expect(!gyre_type_is_acyclic(w->node) && !gyre_type_is_acyclic(w->refs));
}

/* Nothing of the description is looked at after the call: it is overwritten here before its use. */
static void descriptions_are_copied(void **state)
{
	struct world *w = *state;
	char name[] = "periwinkle";
	struct gyre_refs slots[] = { { 0, 1 } }, element[] = { { 8, 1 } };
	struct gyre_type_desc desc = with_elements(16, 16, element, 1);
	const struct gyre_type *type;
	struct gyre_root root;
	char *object;

	desc.name = name;
	desc.refs = slots;
	desc.refs_count = 1;
	expect_ok(gyre_type_register(w->heap, &desc, &type));
	memset(name, 'x', sizeof(name) - 1);
	memset(slots, 0x18, sizeof(slots));
	memset(element, 0x18, sizeof(element));
	memset(&desc, 0x18, sizeof(desc));
	assert_string_equal(gyre_type_name(type), "periwinkle");
	object = gyre_new_array(w->m, type, 3);
	expect(object != NULL);
	expect_ok(gyre_root_init(w->m, &root, object));
	expect_ok(gyre_init(w->m, (gyre_ref *)object, node_new(w, w->m, 1)));
	expect_ok(gyre_init(w->m, (gyre_ref *)(object + 16 + 2 * 16 + 8), node_new(w, w->m, 2)));
	expect_live(w->m, 3);
	expect(node_is(gyre_load((gyre_ref *)object), 1));
	expect(node_is(gyre_load((gyre_ref *)(object + 16 + 2 * 16 + 8)), 2));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void names_and_types_come_back(void **state)
{
	struct world *w = *state;

	assert_string_equal(gyre_type_name(w->node), "struct node");
	assert_string_equal(gyre_type_name(w->bytes), "struct bytes");
	expect(gyre_type_of(gyre_new(w->m, w->node)) == w->node);
	expect(gyre_type_of(gyre_new(w->m, w->leaf)) == w->leaf);
	expect(gyre_type_of(gyre_new_array(w->m, w->refs, 5)) == w->refs);
	expect(gyre_type_of(gyre_new_array(w->m, w->bytes, 300000)) == w->bytes);
}

/* The four types of the world count: 65,535 in all, then GYRE_LIMIT; the last is usable. */
static void a_heap_has_65535_types(void **state)
{
	struct world *w = *state;
	const struct gyre_type *type = NULL, *last = NULL;
	struct gyre_type_desc desc = with_refs(NULL, 0);
	char name[32];

	desc.name = name;
	for (unsigned i = 4; i < 65535; i++) {
		snprintf(name, sizeof(name), "type %u", i);
		expect_ok(gyre_type_register(w->heap, &desc, &last));
	}
	expect_status(gyre_type_register(w->heap, &desc, &type), GYRE_LIMIT);
	expect_status(gyre_type_register(w->heap, &desc, &type), GYRE_LIMIT);
	assert_string_equal(gyre_type_name(last), "type 65534");
	expect(gyre_type_of(gyre_new(w->m, last)) == last);
	expect(gyre_type_of(gyre_new(w->m, w->leaf)) == w->leaf);
}

static void *register_types(void *arg)
{
	struct world *w = arg;
	const struct gyre_type *types[200];
	char name[32];

	for (unsigned i = 0; i < LENGTH(types); i++) {
		struct gyre_type_desc desc = with_refs(NULL, 0);

		snprintf(name, sizeof(name), "%u of %d", i, gettid());
		desc.name = name;
		expect_ok(gyre_type_register(w->heap, &desc, &types[i]));
	}
	for (unsigned i = 0; i < LENGTH(types); i++) {
		snprintf(name, sizeof(name), "%u of %d", i, gettid());
		expect(strcmp(gyre_type_name(types[i]), name) == 0);
	}
	return NULL;
}

static void threads_that_are_not_attached_register(void **state)
{
	pthread_t threads[4];

	for (size_t i = 0; i < LENGTH(threads); i++)
		threads[i] = thread_start(register_types, *state);
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(fixed_slots_are_checked),
		world_test(overlapping_slots_are_refused),
		world_test(overlap_among_many_slots_is_found),
		world_test(element_slots_are_checked),
		world_test(element_slots_must_not_overlap),
		world_test(fixed_slots_must_not_overlap_elements),
		world_test(alignment_is_a_power_of_two_up_to_64),
		world_test(unknown_desc_sizes_are_refused),
		world_test(trace_excludes_tables),
		world_test(impossible_sizes_make_no_object),
		world_test(acyclic_types_are_known),
		world_test(descriptions_are_copied),
		world_test(names_and_types_come_back),
		world_test(a_heap_has_65535_types),
		world_test(threads_that_are_not_attached_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
