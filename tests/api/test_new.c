/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_new.c: new objects: zeroed, aligned, apart from each other, of every size, their size and
 * type known, their memory used again. One thread.
 */
#include "support.h"

static bool all_zero(const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

static const size_t odd_sizes[] = { 0,    1,    7,     8,     9,     15,    16,    17,   24,
				    31,   32,   33,    48,    63,    64,    65,    100,  127,
				    128,  129,  250,   255,   256,   500,   1000,  1023, 1024,
				    1025, 2040, 2048,  3000,  4000,  4096,  4097,  8000, 8192,
				    9000, 12000, 16000, 16384, 16385, 20000, 32768, 50000, 65536 };

/* Cells come back dirty; what is born in them is zero all the same. */
static void memory_is_zero_also_when_reused(void **state)
{
	struct world *w = *state;

	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < LENGTH(odd_sizes); i++) {
			for (int j = 0; j < 30; j++) {
				struct bytes *b = gyre_new_array(w->m, w->bytes, odd_sizes[i]);

				expect(b != NULL);
				expect_equal(b->length, odd_sizes[i]);
				expect(all_zero(b->data, odd_sizes[i]));
				memset(b->data, 0xff, odd_sizes[i]);
			}
		}
		expect_live(w->m, 0);
	}
}

static void fixed_objects_are_zero_when_reused(void **state)
{
	struct world *w = *state;

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 5000; i++) {
			struct leaf *l = gyre_new(w->m, w->leaf);
			struct node *n = gyre_new(w->m, w->node);

			expect(l && l->id == 0 && l->canary == 0);
			expect(n && n->id == 0 && n->canary == 0);
			expect(!gyre_load(&n->left) && !gyre_load(&n->right));
			memset(l, 0xff, sizeof(*l));
			n->id = n->canary = UINT64_MAX;
			expect_ok(gyre_init(w->m, &n->left, n));
			expect_ok(gyre_init(w->m, &n->right, l));
		}
		expect_live(w->m, 0);
	}
}

static void objects_are_aligned(void **state)
{
	struct world *w = *state;

	for (size_t align = 1; align <= 64; align *= 2) {
		for (size_t bytes = 1; bytes <= 40000; bytes = bytes * 3 + 1) {
			struct gyre_type_desc desc = { .size = sizeof(desc),
						       .name = "aligned",
						       .object_bytes = bytes,
						       .object_align = align };
			const struct gyre_type *type;

			expect_ok(gyre_type_register(w->heap, &desc, &type));
			for (int i = 0; i < 20; i++) {
				unsigned char *object = gyre_new(w->m, type);

				expect(object != NULL);
				expect_equal((uintptr_t)object % align, 0);
				expect(all_zero(object, bytes));
				expect(gyre_object_bytes(object) >= bytes);
				expect(gyre_type_of(object) == type);
			}
		}
	}
	expect_live(w->m, 0);
}

/* Objects of every size at once, each filled with its own byte: none lies in another. */
static void objects_do_not_overlap(void **state)
{
	struct world *w = *state;
	struct refs *all = refs_new(w, w->m, LENGTH(odd_sizes) * 20);
	struct gyre_root root;
	struct bytes *b;

	expect_ok(gyre_root_init(w->m, &root, all));
	for (size_t i = 0; i < all->length; i++) {
		size_t size = odd_sizes[i % LENGTH(odd_sizes)];

		b = gyre_new_array(w->m, w->bytes, size);
		expect(b && gyre_object_bytes(b) >= sizeof(*b) + size);
		memset(b->data, (int)(i * 7 & 0xff), size);
		expect_ok(gyre_init(w->m, &all->items[i], b));
	}
	expect_live(w->m, all->length + 1);
	for (size_t i = 0; i < all->length; i++) {
		size_t size = odd_sizes[i % LENGTH(odd_sizes)];

		b = gyre_load(&all->items[i]);
		expect_equal(b->length, size);
		for (size_t j = 0; j < size; j++)
			expect(b->data[j] == (i * 7 & 0xff));
	}
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static int by_address(const void *a, const void *b)
{
	uintptr_t left = *(const uintptr_t *)a, right = *(const uintptr_t *)b;

	return (left > right) - (left < right);
}

static void addresses_are_distinct(void **state)
{
	enum { COUNT = 100000 };
	static uintptr_t seen[COUNT];
	struct world *w = *state;

	/* No safe point in this loop: all of them are valid at once. */
	for (size_t i = 0; i < COUNT; i++) {
		seen[i] = (uintptr_t)gyre_new(w->m, i % 2 ? w->leaf : w->node);
		expect(seen[i] != 0);
	}
	qsort(seen, COUNT, sizeof(seen[0]), by_address);
	for (size_t i = 1; i < COUNT; i++)
		expect(seen[i] - seen[i - 1] >= sizeof(struct leaf));
	expect_equal(world_collect(w->m), COUNT);
}

static void large_object(struct world *w, size_t size)
{
	struct bytes *b = gyre_new_array(w->m, w->bytes, size);
	struct gyre_root root;

	expect(b != NULL);
	expect_equal(b->length, size);
	expect(gyre_object_bytes(b) >= sizeof(*b) + size);
	expect(gyre_type_of(b) == w->bytes);
	for (size_t i = 0; i < size; i += 4093)
		expect(b->data[i] == 0);
	b->data[0] = 1;
	b->data[size / 2] = 2;
	b->data[size - 1] = 3;
	expect_ok(gyre_root_init(w->m, &root, b));
	expect_live(w->m, 1);
	expect(b->data[0] == 1 && b->data[size / 2] == 2 && b->data[size - 1] == 3);
	expect(world_stats(w->heap).bytes_live >= size);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	expect_equal(world_stats(w->heap).bytes_live, 0);
}

static void large_objects_come_and_go(void **state)
{
	struct world *w = *state;

	for (size_t size = 17 << 10; size <= 200 << 20; size = size * 5 / 3 + 1)
		large_object(w, size);
	large_object(w, 200 << 20);
	expect(world_stats(w->heap).bytes_mapped < 64 << 20);
}

/* Many large ones at once, with references among them: a ring of big arrays. */
static void large_objects_die_in_cycles(void **state)
{
	struct world *w = *state;
	struct refs *first = refs_new(w, w->m, 5000), *last = first;
	struct gyre_root root;

	for (size_t i = 1; i < 200; i++) {
		struct refs *r = refs_new(w, w->m, 2000 + i * 50);

		expect_ok(gyre_init(w->m, &r->items[r->length - 1], last));
		expect_ok(gyre_init(w->m, &r->items[0], first));
		last = r;
	}
	expect_ok(gyre_init(w->m, &first->items[4999], last));
	expect_ok(gyre_root_init(w->m, &root, first));
	expect_live(w->m, 200);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void overflowing_sizes_are_null(void **state)
{
	static const size_t lengths[] = { SIZE_MAX,     SIZE_MAX / 8,     SIZE_MAX / 8 - 1,
					  SIZE_MAX / 8 + 1, SIZE_MAX / 2, (size_t)1 << 61,
					  (size_t)1 << 60, (size_t)1 << 56 };
	struct world *w = *state;

	for (size_t i = 0; i < LENGTH(lengths); i++) {
		expect(gyre_new_array(w->m, w->refs, lengths[i]) == NULL);
		expect(gyre_new_array(w->m, w->bytes, lengths[i]) == NULL);
	}
	expect(gyre_new_array(w->m, w->bytes, SIZE_MAX - sizeof(struct bytes)) == NULL);
	expect(gyre_new_array(w->m, w->bytes, SIZE_MAX - sizeof(struct bytes) + 1) == NULL);
	expect(gyre_new_array(w->m, w->bytes, SIZE_MAX - 4096) == NULL);
	expect(node_is(node_new(w, w->m, 3), 3));
	expect_equal(world_collect(w->m), 1);
}

static void arrays_know_their_length(void **state)
{
	struct world *w = *state;
	struct refs *r = gyre_new(w->m, w->refs);

	expect(r && r->length == 0);
	for (size_t length = 0; length < 3000; length = length * 2 + 1) {
		r = refs_new(w, w->m, length);
		for (size_t i = 0; i < length; i++)
			expect(gyre_load(&r->items[i]) == NULL);
		expect(gyre_object_bytes(r) >= sizeof(*r) + length * sizeof(gyre_ref));
		/* A cell is not absurdly larger than what was asked for. */
		expect(gyre_object_bytes(r) <= 2 * (sizeof(*r) + length * sizeof(gyre_ref)) + 64);
	}
}

/* 20 rounds of the same amount of garbage do not need 20 times the memory. */
static void memory_is_used_again(void **state)
{
	struct world *w = *state;
	uint64_t first = 0;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 100000; i++)
			node_new(w, w->m, 1);
		expect_equal(world_collect(w->m), 100000);
		if (round == 0)
			first = world_stats(w->heap).bytes_mapped_max;
	}
	expect(first >= 100000 * sizeof(struct node));
	expect(world_stats(w->heap).bytes_mapped_max <= 3 * first);
}

/* What was mapped for objects that are dead goes back to the system. */
static void empty_slabs_go_back(void **state)
{
	struct world *w = *state;
	struct gyre_stats stats;

	for (int i = 0; i < 2000000; i++)
		expect(gyre_new(w->m, w->node) != NULL);
	expect(world_stats(w->heap).bytes_mapped >= 2000000 * sizeof(struct node));
	world_collect(w->m);
	world_collect(w->m);
	stats = world_stats(w->heap);
	expect_equal(stats.objects_live, 0);
	expect(stats.bytes_mapped < stats.bytes_mapped_max / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(memory_is_zero_also_when_reused),
		world_test(fixed_objects_are_zero_when_reused),
		world_test(objects_are_aligned),
		world_test(objects_do_not_overlap),
		world_test(addresses_are_distinct),
		world_test(large_objects_come_and_go),
		world_test(large_objects_die_in_cycles),
		world_test(overflowing_sizes_are_null),
		world_test(arrays_know_their_length),
		world_test(memory_is_used_again),
		world_test(empty_slabs_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
