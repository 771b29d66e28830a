/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ring.c: the ring between a mutator and the collector: first in, first out; full and empty
 * are noticed; and across two threads every item arrives once, in order, with its contents.
 */
#include "support.h"

#include <sched.h>

#include "platform/ring.h"

#define ITEMS 20000u

struct item {
	uint64_t number, canary;
};

struct pair {
	struct gyre__ring ring;
	struct item items[ITEMS];
};

static struct pair *pair_new(void)
{
	struct pair *pair = (struct pair *)calloc(1, sizeof(*pair));

	expect(pair != NULL);
	gyre__ring_init(&pair->ring);
	return pair;
}

/* Filled to each level and emptied again: every slot is once the first and once the last. */
static void one_thread(void **state)
{
	struct pair *pair = pair_new();
	unsigned in = 0, out = 0;

	(void)state;
	expect(gyre__ring_take(&pair->ring) == NULL);
	for (unsigned level = 1; level < GYRE_RING_SLOTS; level++) {
		for (unsigned round = 0; round < GYRE_RING_SLOTS; round++) {
			while (in - out < level)
				expect(gyre__ring_put(&pair->ring, &pair->items[in++]));
			while (out < in)
				expect(gyre__ring_take(&pair->ring) == &pair->items[out++]);
			expect(gyre__ring_take(&pair->ring) == NULL);
		}
	}
	free(pair);
}

static void full_is_refused(void **state)
{
	struct pair *pair = pair_new();

	(void)state;
	for (unsigned start = 0; start < GYRE_RING_SLOTS; start++) {
		for (unsigned i = 0; i < GYRE_RING_SLOTS - 1; i++)
			expect(gyre__ring_put(&pair->ring, &pair->items[i]));
		for (unsigned i = 0; i < 3; i++)
			expect(!gyre__ring_put(&pair->ring, &pair->items[100]));
		/* One out, one in, and no more. */
		expect(gyre__ring_take(&pair->ring) == &pair->items[0]);
		expect(gyre__ring_put(&pair->ring, &pair->items[GYRE_RING_SLOTS - 1]));
		expect(!gyre__ring_put(&pair->ring, &pair->items[100]));
		for (unsigned i = 1; i < GYRE_RING_SLOTS; i++)
			expect(gyre__ring_take(&pair->ring) == &pair->items[i]);
		expect(gyre__ring_take(&pair->ring) == NULL);
	}
	free(pair);
}

static void *produce(void *arg)
{
	struct pair *pair = (struct pair *)arg;

	for (unsigned i = 0; i < ITEMS; i++) {
		pair->items[i].number = i;
		pair->items[i].canary = canary_of(i);
		while (!gyre__ring_put(&pair->ring, &pair->items[i]))
			sched_yield();
	}
	return NULL;
}

static void two_threads(void **state)
{
	struct pair *pair = pair_new();
	pthread_t producer = thread_start(produce, pair);

	(void)state;
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item *item;

		while ((item = (struct item *)gyre__ring_take(&pair->ring)) == NULL)
			sched_yield();
		expect(item == &pair->items[i]);
		expect_equal(item->number, i);
		expect_equal(item->canary, canary_of(i));
		/* It is the consumer's now: if the producer still wrote, that would be a race. */
		item->canary = 0;
	}
	expect(gyre__ring_take(&pair->ring) == NULL);
	thread_join(producer);
	free(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread),
		cmocka_unit_test(full_is_refused),
		cmocka_unit_test(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
