/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_locked.c: the system refuses to take pages back, as Linux does for memory that the host has
 * locked (mlockall). What was there stays there; new objects are zero all the same, and the heap
 * is sound. Main thread.
 */
#include "../support.h"

#include <sched.h>

#include "wrap.h"

enum { LARGE_BYTES = 1 << 20, SMALL_BYTES = 4000, SMALLS = 2000, SLAB_BYTES = 64 << 10 };

static struct bytes *filled(struct world *w, size_t length)
{
	struct bytes *b = gyre_new_array(w->m, w->bytes, length);

	expect(b != NULL);
	expect_equal(b->length, length);
	for (size_t i = 0; i < length; i++)
		expect(b->data[i] == 0);
	memset(b->data, 0xff, length);
	return b;
}

/* Until most of the slabs that nobody needs any more were to be given back. */
static void wait_until_trimmed(struct world *w)
{
	unsigned until = wrap_discards_refused() + SMALLS * SMALL_BYTES / SLAB_BYTES / 2;

	while (wrap_discards_refused() < until) {
		gyre_collect_soon(w->heap);
		gyre_safepoint(w->m);
		sched_yield();
	}
}

static void the_cells_of_large_objects(void **state)
{
	struct world *w = *state;

	wrap_refuse_discards(true);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 8; i++)
			filled(w, LARGE_BYTES);
		expect_live(w->m, 0);
	}
	expect(wrap_discards_refused() > 0);
	/* The same pages as slabs of small ones: their tables must begin empty. */
	for (int i = 0; i < SMALLS; i++)
		filled(w, SMALL_BYTES);
	expect_live(w->m, 0);
	wrap_refuse_discards(false);
}

static void slabs_that_were_trimmed(void **state)
{
	struct world *w = *state;

	wrap_refuse_discards(true);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < SMALLS; i++)
			filled(w, SMALL_BYTES);
		expect_live(w->m, 0);
		wait_until_trimmed(w);
	}
	for (int i = 0; i < 8; i++)
		filled(w, LARGE_BYTES);
	expect_live(w->m, 0);
	wrap_refuse_discards(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(the_cells_of_large_objects),
		world_test(slabs_that_were_trimmed),
	};

	wrap_role = WRAP_TEST;
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
