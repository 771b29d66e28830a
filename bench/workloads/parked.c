/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parked.c: rings are made and dropped while very many other threads sleep, attached and parked, as
 * in a server with a thread for each client. Thread 0 starts the sleepers and ends them.
 *
 * Invariant: a sleeper uses no object. It sleeps until the mutex shows it that all are to leave.
 */
#include "workloads/rings.h"

#include <pthread.h>

#define SLEEPERS 2000
#define STACK_BYTES ((size_t)64 << 10)

struct parked {
	struct rings rings;
	pthread_t *threads;
	size_t started;
	/* The mutex guards what follows. */
	pthread_mutex_t mutex;
	pthread_cond_t arrival; /* thread 0 waits for them */
	pthread_cond_t departure;
	size_t attached, failed;
	bool leave;
};

static void *sleeper(void *arg)
{
	struct parked *parked = arg;
	mm_thread m;
	bool attached = mm_attach(&m);

	if (attached)
		mm_park(m);
	pthread_mutex_lock(&parked->mutex);
	parked->attached += attached;
	parked->failed += !attached;
	pthread_cond_signal(&parked->arrival);
	while (!parked->leave)
		pthread_cond_wait(&parked->departure, &parked->mutex);
	pthread_mutex_unlock(&parked->mutex);
	if (!attached)
		return NULL;
	mm_unpark(m);
	mm_detach(m);
	return NULL;
}

static bool start(struct bench_thread *t, struct parked *parked, size_t count)
{
	pthread_attr_t attributes;
	bool done = true;

	pthread_mutex_init(&parked->mutex, NULL);
	pthread_cond_init(&parked->arrival, NULL);
	pthread_cond_init(&parked->departure, NULL);
	parked->threads = calloc(count, sizeof(*parked->threads));
	if (parked->threads == NULL)
		return false;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	mm_park(t->m);
	while (done && parked->started < count) {
		done = pthread_create(&parked->threads[parked->started], &attributes, sleeper,
				      parked) == 0;
		parked->started += done;
	}
	pthread_mutex_lock(&parked->mutex);
	while (parked->attached + parked->failed < parked->started)
		pthread_cond_wait(&parked->arrival, &parked->mutex);
	done &= parked->failed == 0;
	pthread_mutex_unlock(&parked->mutex);
	mm_unpark(t->m);
	pthread_attr_destroy(&attributes);
	return done;
}

static bool begin(struct bench_thread *t)
{
	struct parked *parked = t->own;
	uint64_t live = t->options->live;

	bench_rings_begin(t, &parked->rings);
	return t != t->first || start(t, parked, live != 0 ? live : SLEEPERS);
}

static uint64_t turn(struct bench_thread *t)
{
	struct parked *parked = t->own;

	return bench_rings_turn(t, &parked->rings);
}

static void end(struct bench_thread *t)
{
	struct parked *parked = t->own;

	if (parked->threads == NULL)
		return;
	mm_park(t->m);
	pthread_mutex_lock(&parked->mutex);
	parked->leave = true;
	pthread_cond_broadcast(&parked->departure);
	pthread_mutex_unlock(&parked->mutex);
	for (size_t i = 0; i < parked->started; i++)
		pthread_join(parked->threads[i], NULL);
	mm_unpark(t->m);
	free(parked->threads);
}

const struct bench_workload bench_parked = {
	.name = "parked",
	.unit = "Mobj/s",
	.kind = "throughput",
	.what = "rings as in rings, while 2,000 other threads sleep (--live)",
	.shapes = bench_node_shapes,
	.shapes_count = 1,
	.state_bytes = sizeof(struct parked),
	.begin = begin,
	.turn = turn,
	.end = end,
};
