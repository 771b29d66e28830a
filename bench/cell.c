/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell.c: one measurement from its heap to the last clock.
 *
 * The main thread leads, the cell's own threads work; all meet at one barrier between the steps:
 *
 *   threads: attach, make what they work on    main: opens the heap
 *   threads: run batches (to warm up)          main: sleeps, says stop
 *   threads: parked                            main: collects, reads clocks and statistics
 *   threads: run batches (measured)            main: sleeps, says stop
 *   threads: parked                            main: clocks; collects; clocks and statistics
 *   threads: drop everything, detach, end      main: collects, asks what is left, closes
 *
 * A thread is parked whenever it waits at the barrier, so that the main thread's collections wait
 * for nobody. The heap is new for each measurement; C's allocators keep what they have.
 */
#include "micro.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_PART 8 /* the warm-up is one part of so many of the measurement */

/* What the threads of a measurement share. */
struct run {
	const struct micro_options *options;
	const struct micro_cell *cell;
	const struct micro_calls *calls;
	struct gyre_heap *heap; /* NULL without gyre */
	const struct gyre_type *node_type, *array_type;
	pthread_barrier_t barrier;
	_Atomic(bool) stop;   /* set and cleared by the main thread */
	_Atomic(bool) failed; /* set by whoever is refused something */
};

struct worker {
	struct run *run;
	pthread_t thread;
	unsigned index;
	struct micro_work work;
	/* Of the measured phase; read by the main thread behind the barrier. */
	uint64_t wall_ns, own_ns, operations;
};

static void *take_calloc(size_t bytes)
{
	return calloc(1, bytes);
}

static const struct micro_calls libc_calls = {
	.take = malloc,
	.take_zeroed = take_calloc,
	.give = free,
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

/* Relaxed: the flags carry nothing, and the barrier stands between setting and reading. */
static void fail(struct run *run)
{
	atomic_store_explicit(&run->failed, true, memory_order_relaxed);
}

static bool failed(struct run *run)
{
	return atomic_load_explicit(&run->failed, memory_order_relaxed);
}

/* ---- The cell's threads ---- */

static void meet(struct worker *worker)
{
	struct gyre_mutator *m = worker->work.m;

	if (m != NULL)
		gyre_park(m);
	pthread_barrier_wait(&worker->run->barrier);
	if (m != NULL)
		gyre_unpark(m);
}

/* Batches until the main thread says stop or, if limit is not 0, so many operations are done. */
static void run_phase(struct worker *worker, uint64_t limit)
{
	struct run *run = worker->run;
	struct micro_work *work = &worker->work;
	uint64_t wall = clock_ns(CLOCK_MONOTONIC);
	uint64_t own = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t done = 0;

	/* One batch at least, should the thread come late. Relaxed: a stale flag is one more. */
	do {
		uint64_t batch = work->batch(work);

		if (batch == 0) {
			fail(run);
			break;
		}
		done += batch;
		if (limit != 0 && done >= limit)
			break;
	} while (!atomic_load_explicit(&run->stop, memory_order_relaxed));
	worker->own_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - own;
	worker->wall_ns = clock_ns(CLOCK_MONOTONIC) - wall;
	worker->operations = done;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct run *run = worker->run;
	struct micro_work *work = &worker->work;
	uint64_t operations = run->options->operations;

	if (run->heap != NULL && gyre_attach(run->heap, 0, &work->m) != GYRE_OK) {
		work->m = NULL;
		fail(run);
	}
	/* Who has failed goes on from barrier to barrier, or the others would wait for ever. */
	bool begun = (run->heap == NULL || work->m != NULL) && micro_work_begin(work);

	if (!begun)
		fail(run);
	meet(worker);
	if (begun)
		run_phase(worker, operations == 0 ? 0 : operations / WARM_PART + 1);
	meet(worker);
	meet(worker);
	if (begun)
		run_phase(worker, operations);
	meet(worker);
	meet(worker);
	micro_work_end(work);
	if (work->m != NULL)
		gyre_detach(work->m);
	return NULL;
}

/* ---- The heap ---- */

static bool open_heap(struct run *run)
{
	const struct gyre_type_desc node =
		GYRE_TYPE(struct micro_node, GYRE_REFS(GYRE_REF(struct micro_node, a),
						       GYRE_REF(struct micro_node, b)));
	const struct gyre_type_desc array = GYRE_TYPE(
		struct micro_array, GYRE_TRAILING_REFS(struct micro_array, items, length));
	struct gyre_options options;

	gyre_options_init(&options);
	options.name = "micro";
	options.engine =
		run->cell->manager == MICRO_TAGGED ? GYRE_ENGINE_TAGGED : GYRE_ENGINE_RECYCLER;
	if (gyre_heap_open(&run->heap, &options) != GYRE_OK) {
		run->heap = NULL;
		return false;
	}
	return gyre_type_register(run->heap, &node, &run->node_type) == GYRE_OK &&
	       gyre_type_register(run->heap, &array, &run->array_type) == GYRE_OK;
}

static void collect(struct run *run)
{
	struct gyre_mutator *m;

	if (run->heap == NULL)
		return;
	if (gyre_attach(run->heap, 0, &m) != GYRE_OK) {
		fail(run);
		return;
	}
	if (gyre_collect(m, NULL) != GYRE_OK)
		fail(run);
	gyre_detach(m);
}

static void read_stats(struct run *run, struct gyre_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->size = sizeof(*stats);
	if (run->heap != NULL && gyre_heap_stats(run->heap, stats) != GYRE_OK)
		fail(run);
}

static void close_heap(struct run *run, struct micro_sample *sample)
{
	struct gyre_stats stats;

	if (run->heap == NULL)
		return;
	collect(run);
	read_stats(run, &stats);
	sample->left = stats.objects_live;
	sample->mapped_max = stats.bytes_mapped_max;
	if (gyre_heap_close(run->heap) != GYRE_OK)
		fail(run);
}

/* ---- The main thread ---- */

/* Lets the threads run until they are done, or for so many seconds. */
static void lead_phase(struct run *run, double seconds)
{
	struct timespec time = { .tv_sec = (time_t)seconds };

	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	atomic_store_explicit(&run->stop, false, memory_order_relaxed);
	pthread_barrier_wait(&run->barrier);
	if (run->options->operations == 0) {
		nanosleep(&time, NULL);
		atomic_store_explicit(&run->stop, true, memory_order_relaxed);
	}
	pthread_barrier_wait(&run->barrier);
}

static void figure(struct micro_sample *sample, const struct worker *workers, unsigned threads,
		   const struct gyre_stats *before, const struct gyre_stats *after)
{
	uint64_t operations = 0, wall = 0, own = 0;

	for (unsigned i = 0; i < threads; i++) {
		operations += workers[i].operations;
		wall += workers[i].wall_ns;
		own += workers[i].own_ns;
	}
	double each = operations == 0 ? 1.0 : (double)operations;

	sample->operations = (double)operations;
	sample->wall = (double)wall / each;
	sample->own = (double)own / each;
	sample->cpu /= each;
	sample->drain /= each;
	sample->near_traced = (double)(after->near_traced - before->near_traced) / each;
	sample->far_traced = (double)(after->far_traced - before->far_traced) / each;
	sample->candidates = (double)(after->candidates - before->candidates) / each;
	sample->counted = (double)(after->newborns_counted - before->newborns_counted) / each;
	sample->looked_up = (double)(after->views_looked_up - before->views_looked_up) / each;
	sample->window_stores = (double)(after->window_stores - before->window_stores) / each;
}

static void lead(struct run *run, struct worker *workers, struct micro_sample *sample)
{
	double seconds = run->options->seconds;
	struct gyre_stats before, ran, after;
	uint64_t cpu[3];

	lead_phase(run, seconds / WARM_PART);
	collect(run);
	read_stats(run, &before);
	cpu[0] = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	lead_phase(run, seconds);
	cpu[1] = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	read_stats(run, &ran);
	collect(run);
	cpu[2] = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	read_stats(run, &after);
	sample->cpu = (double)(cpu[1] - cpu[0]);
	sample->drain = (double)(cpu[2] - cpu[1]);
	sample->epochs = (double)(ran.epochs - before.epochs);
	figure(sample, workers, run->cell->threads, &before, &after);
	pthread_barrier_wait(&run->barrier);
}

static void set_work(struct worker *worker, struct run *run, unsigned index)
{
	*worker = (struct worker){
		.run = run,
		.index = index,
		.work = {
			.workload = run->cell->workload,
			.manager = run->cell->manager,
			.calls = run->calls,
			.node_type = run->node_type,
			.array_type = run->array_type,
			.objects = run->options->large,
			.first = &worker[-(ptrdiff_t)index].work,
			/* The same for every manager. */
			.random = UINT64_C(0x9E3779B97F4A7C15) * (index + 1),
		},
	};
}

void micro_measure(const struct micro_options *options, const struct micro_cell *cell,
		   struct micro_sample *sample)
{
	bool mimalloc = cell->manager == MICRO_MIMALLOC || cell->manager == MICRO_MI_ZALLOC;
	struct run run = {
		.options = options,
		.cell = cell,
		.calls = mimalloc ? options->mimalloc : &libc_calls,
	};
	static struct worker workers[MICRO_THREADS_MAX];

	memset(sample, 0, sizeof(*sample));
	if (micro_is_gyre(cell->manager) && !open_heap(&run)) {
		fail(&run);
	} else {
		pthread_barrier_init(&run.barrier, NULL, cell->threads + 1);
		for (unsigned i = 0; i < cell->threads; i++) {
			set_work(&workers[i], &run, i);
			/* Without all its threads the barrier would never open. */
			if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) !=
			    0) {
				fprintf(stderr, "micro: no thread could be started\n");
				exit(1);
			}
		}
		lead(&run, workers, sample);
		for (unsigned i = 0; i < cell->threads; i++)
			pthread_join(workers[i].thread, NULL);
		pthread_barrier_destroy(&run.barrier);
	}
	close_heap(&run, sample);
	sample->failed = failed(&run);
}
