/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_vector.c: the collector's growing arrays and the mapping of memory below them: contents last
 * while they grow, a failure to grow loses nothing, reset gives memory back. One thread, no heap.
 */
#include "support.h"

#include "platform/memory.h"
#include "vector.h"

static void *item(size_t i)
{
	return (void *)(uintptr_t)(i * 8 + 8);
}

static void expect_items(const struct gyre__vector *v, size_t count)
{
	expect_equal(v->count, count);
	expect(v->room >= count);
	for (size_t i = 0; i < count; i++)
		expect(v->items[i] == item(i));
}

static void what_is_pushed_stays(void **state)
{
	struct gyre__vector v = { 0 };
	size_t moves = 0;

	(void)state;
	for (size_t i = 0; i < 300000; i++) {
		size_t room = v.room;

		expect(gyre__vector_push(&v, item(i)));
		moves += v.room != room;
	}
	expect_items(&v, 300000);
	/* It doubles, so it moves a few times only. */
	expect(moves > 1 && moves < 20);
	gyre__vector_destroy(&v);
	expect(v.items == NULL && v.count == 0 && v.room == 0);
	gyre__vector_destroy(&v);
}

static void reserve_makes_room(void **state)
{
	struct gyre__vector v = { 0 };

	(void)state;
	expect(gyre__vector_reserve(&v, 0));
	expect(gyre__vector_grow(&v));
	for (size_t i = 0; i < 1000; i++)
		expect(gyre__vector_push(&v, item(i)));
	for (size_t count = 1; count <= 1000000; count *= 10) {
		void **items = v.items;
		size_t room = v.room;

		expect(gyre__vector_reserve(&v, count));
		expect(v.room >= count);
		if (room >= count)
			expect(v.items == items && v.room == room);
		expect_items(&v, 1000);
	}
	/* The room is memory, up to its end. */
	while (v.count < v.room)
		expect(gyre__vector_push(&v, item(v.count)));
	expect_items(&v, v.room);
	gyre__vector_destroy(&v);
}

static void reset_keeps_a_modest_size(void **state)
{
	struct gyre__vector v = { 0 };
	size_t small;

	(void)state;
	expect(gyre__vector_grow(&v));
	small = v.room;
	expect(gyre__vector_push(&v, item(0)));
	gyre__vector_reset(&v);
	expect_equal(v.count, 0);
	expect_equal(v.room, small);
	expect(gyre__vector_reserve(&v, small * 8));
	for (size_t i = 0; i < small * 8; i++)
		expect(gyre__vector_push(&v, item(i)));
	gyre__vector_reset(&v);
	expect_equal(v.count, 0);
	expect_equal(v.room, small);
	for (size_t i = 0; i < small * 2; i++)
		expect(gyre__vector_push(&v, item(i)));
	expect_items(&v, small * 2);
	gyre__vector_destroy(&v);
}

/* No system has room for 2^50 items. The sanitizers' own maps would be in the way of trying. */
static void failure_loses_nothing(void **state)
{
	struct gyre__vector v = { 0 };

	(void)state;
	if (SUPPORT_SANITIZED)
		skip();
	for (size_t i = 0; i < 1000; i++)
		expect(gyre__vector_push(&v, item(i)));
	expect(!gyre__vector_reserve(&v, (size_t)1 << 50));
	expect_items(&v, 1000);
	expect(gyre__vector_push(&v, item(1000)));
	expect_items(&v, 1001);
	gyre__vector_destroy(&v);
}

static void maps_are_aligned_and_zero(void **state)
{
	(void)state;
	for (size_t align = 4096; align <= (size_t)32 << 20; align *= 8) {
		size_t bytes = 3 * 4096;
		unsigned char *map = (unsigned char *)gyre__map(bytes, align);

		expect(map != NULL);
		expect_equal((uintptr_t)map % align, 0);
		for (size_t i = 0; i < bytes; i++)
			expect(map[i] == 0);
		memset(map, 1, bytes);
		gyre__discard(map, bytes);
		for (size_t i = 0; i < bytes; i++)
			expect(map[i] == 0);
		gyre__unmap(map, bytes);
	}
	expect(gyre__map(SIZE_MAX - 4096, 8192) == NULL);
	expect(gyre__map(SIZE_MAX / 2, 4096) == NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_pushed_stays),
		cmocka_unit_test(reserve_makes_room),
		cmocka_unit_test(reset_keeps_a_modest_size),
		cmocka_unit_test(failure_loses_nothing),
		cmocka_unit_test(maps_are_aligned_and_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
