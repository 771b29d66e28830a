/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c: programs in which two threads pass a payload through the ring of a mutator, rightly or
 * wrongly: tsan_ring MODE. The annotations in platform/ring.h stand for what Concurrency Kit does
 * where ThreadSanitizer cannot look; the wrong modes show that they stand for no more than that.
 *
 * The order in which things happen is forced by a step word with relaxed accesses, which order
 * nothing for ThreadSanitizer: so a race is there in every run, whatever the scheduler does, and
 * only the ring can make it go away.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/ring.h"

struct item {
	uint64_t payload[8];
};

static struct gyre__ring forth, back;
static struct item items[GYRE_RING_SLOTS + 1];
static _Atomic(int) step;

static void go(int to)
{
	atomic_store_explicit(&step, to, memory_order_relaxed);
}

static void await(int to)
{
	while (atomic_load_explicit(&step, memory_order_relaxed) < to)
		sched_yield();
}

/* What the report must name. */
__attribute__((noinline)) static void payload_write(struct item *item, uint64_t value)
{
	item->payload[3] = value;
}

/* What was read goes to a word of its own: a read that nobody uses would not be compiled. */
__attribute__((noinline)) static uint64_t payload_read(const struct item *item)
{
	static _Atomic(uint64_t) last;
	uint64_t value = item->payload[3];

	atomic_store_explicit(&last, value, memory_order_relaxed);
	return value;
}

/* The ring without one of its annotations, or without both. */
static void put_bare(struct gyre__ring *ring, struct item *item)
{
	GYRE_TSAN_IGNORE_BEGIN();
	if (!ck_ring_enqueue_spsc(&ring->ring, ring->slots, item))
		abort();
	GYRE_TSAN_IGNORE_END();
}

static struct item *take_bare(struct gyre__ring *ring)
{
	void *item = NULL;
	bool found;

	do {
		GYRE_TSAN_IGNORE_BEGIN();
		found = ck_ring_dequeue_spsc(&ring->ring, ring->slots, &item);
		GYRE_TSAN_IGNORE_END();
	} while (!found && sched_yield() == 0);
	return item;
}

static void put(struct gyre__ring *ring, struct item *item)
{
	while (!gyre__ring_put(ring, item))
		sched_yield();
}

static struct item *take(struct gyre__ring *ring)
{
	void *item;

	while ((item = gyre__ring_take(ring)) == NULL)
		sched_yield();
	return item;
}

static void check(uint64_t got, uint64_t want)
{
	if (got != want)
		abort();
}

/* Right: written, put, taken, read; many times, so that the ring is now full, now empty. */
static void handed_over_producer(void)
{
	for (uint64_t i = 0; i < GYRE_RING_SLOTS; i++) {
		payload_write(&items[i], i);
		put(&forth, &items[i]);
	}
}

static void handed_over_consumer(void)
{
	for (uint64_t i = 0; i < GYRE_RING_SLOTS; i++) {
		struct item *item = take(&forth);

		check(payload_read(item), i);
		payload_write(item, 0);
	}
}

/* Right: the consumer writes as well, and the producer uses the item again when it has it back. */
static void handed_back_producer(void)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct item *item = i < 4 ? &items[i] : take(&back);

		payload_write(item, i);
		put(&forth, item);
	}
}

static void handed_back_consumer(void)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct item *item = take(&forth);

		check(payload_read(item), i);
		payload_write(item, 0);
		if (i < 996)
			put(&back, item);
	}
}

/* Wrong: without the annotations nothing is known to come before anything else. */
static void bare_producer(void)
{
	payload_write(&items[0], 1);
	put_bare(&forth, &items[0]);
}

static void bare_consumer(void)
{
	payload_read(take_bare(&forth));
}

/* Wrong: one of the two alone orders nothing. */
static void annotated_producer(void)
{
	payload_write(&items[0], 1);
	put(&forth, &items[0]);
}

static void annotated_consumer(void)
{
	payload_read(take(&forth));
}

/* Wrong: the producer writes what it has put; the consumer reads before that, or after it. */
static void write_after_producer(void)
{
	put(&forth, &items[0]);
	await(1);
	payload_write(&items[0], 1);
}

static void write_after_consumer(void)
{
	payload_read(take(&forth));
	go(1);
}

static void read_after_producer(void)
{
	put(&forth, &items[0]);
	payload_write(&items[0], 1);
	go(1);
}

static void read_after_consumer(void)
{
	struct item *item = take(&forth);

	await(1);
	payload_read(item);
}

/* Wrong: the consumer gives the item back and goes on with it. */
static void give_producer(void)
{
	payload_write(&items[0], 1);
	put(&forth, &items[0]);
	payload_write(take(&back), 2);
	go(1);
}

static void write_after_give_consumer(void)
{
	struct item *item = take(&forth);

	put(&back, item);
	await(1);
	payload_write(item, 3);
}

static void read_after_give_consumer(void)
{
	struct item *item = take(&forth);

	put(&back, item);
	await(1);
	payload_read(item);
}

/* Wrong: a later item in the same ring says nothing about an earlier one, while it is not taken. An
 * annotation of the ring instead of the item would hide this. */
static void neighbour_producer(void)
{
	put(&forth, &items[0]);
	payload_write(&items[0], 1);
	put(&forth, &items[1]);
	go(1);
}

static void neighbour_consumer(void)
{
	await(1);
	payload_read(take(&forth));
}

/* Wrong: to find the ring empty is to learn nothing, though something was in it before. */
static void empty_producer(void)
{
	put(&forth, &items[0]);
	await(1);
	payload_write(&items[1], 1);
	go(2);
}

static void empty_consumer(void)
{
	take(&forth);
	go(1);
	await(2);
	if (gyre__ring_take(&forth) != NULL)
		abort();
	payload_read(&items[1]);
}

/* Wrong: an item that found no place was not handed over, whatever the consumer takes. */
static void full_producer(void)
{
	unsigned i = 0;

	while (gyre__ring_put(&forth, &items[i]))
		i++;
	payload_write(&items[i], 1);
	if (gyre__ring_put(&forth, &items[i]))
		abort();
	go(1);
}

static void full_consumer(void)
{
	await(1);
	take(&forth);
	payload_read(&items[GYRE_RING_SLOTS - 1]);
}

static const struct mode {
	const char *name;
	void (*producer)(void), (*consumer)(void);
} modes[] = {
	{ "handed_over", handed_over_producer, handed_over_consumer },
	{ "handed_back", handed_back_producer, handed_back_consumer },
	{ "unannotated", bare_producer, bare_consumer },
	{ "release_only", annotated_producer, bare_consumer },
	{ "acquire_only", bare_producer, annotated_consumer },
	{ "write_after", write_after_producer, write_after_consumer },
	{ "read_after", read_after_producer, read_after_consumer },
	{ "write_after_give", give_producer, write_after_give_consumer },
	{ "read_after_give", give_producer, read_after_give_consumer },
	{ "neighbour", neighbour_producer, neighbour_consumer },
	{ "empty", empty_producer, empty_consumer },
	{ "full", full_producer, full_consumer },
};

static void *run(void *function)
{
	(*(void (*const *)(void))function)();
	return NULL;
}

int main(int argc, char **argv)
{
	const struct mode *mode = modes, *end = modes + sizeof(modes) / sizeof(modes[0]);
	pthread_t producer, consumer;

	while (mode < end && (argc != 2 || strcmp(mode->name, argv[1]) != 0))
		mode++;
	if (mode == end) {
		fprintf(stderr, "usage: tsan_ring MODE\n");
		return 2;
	}
	gyre__ring_init(&forth);
	gyre__ring_init(&back);
	if (pthread_create(&producer, NULL, run, (void *)&mode->producer) != 0 ||
	    pthread_create(&consumer, NULL, run, (void *)&mode->consumer) != 0)
		return 2;
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	return 0;
}
