/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c: the threads that a mode's work is done on.
 *
 * The main thread starts and joins them, parked, so that no boundary waits for it. Each worker
 * attaches before its work and detaches after it, and leaves the checkpoints only when it is
 * detached.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static void *worker_main(void *arg)
{
	struct stress_worker *w = arg;
	struct stress_run *run = w->run;
	char name[32];

	if (stress_ok(run, gyre_attach(run->heap, 0, &w->m), "gyre_attach")) {
		snprintf(name, sizeof(name), "worker %u", w->index);
		gyre_mutator_name(w->m, name);
		w->work(w);
		stress_ok(run, gyre_detach(w->m), "gyre_detach");
		w->m = NULL;
	}
	stress_count(&w->reachable, w->left);
	stress_oracle_leave(w);
	return NULL;
}

void stress_workers(struct stress_run *run, void (*work)(struct stress_worker *w), void *arg)
{
	unsigned threads = run->options->threads;
	int error;

	stress_oracle_begin(run, threads);
	stress_ok(run, gyre_park(run->main->m), "gyre_park");
	for (unsigned i = 0; i < threads; i++) {
		struct stress_worker *w = &run->workers[i];

		w->run = run;
		w->m = NULL;
		w->index = i;
		w->rng = stress_rng_make(run->options->seed, i);
		w->round = 0;
		w->begun = false;
		w->left = 0;
		w->arg = arg;
		w->own = NULL;
		w->work = work;
		w->tries = 0;
		error = pthread_create(&w->thread, NULL, worker_main, w);
		w->started = error == 0;
		if (!w->started) {
			stress_fail(run, "worker %u could not be started: %s", i, strerror(error));
			stress_oracle_leave(w);
		}
	}
	for (unsigned i = 0; i < threads; i++)
		if (run->workers[i].started)
			pthread_join(run->workers[i].thread, NULL);
	stress_ok(run, gyre_unpark(run->main->m), "gyre_unpark");
}

uint64_t stress_left(const struct stress_run *run)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < run->options->threads; i++)
		left += run->workers[i].left;
	return left;
}

bool stress_round(struct stress_worker *w)
{
	gyre_safepoint(w->m);
	if (w->begun)
		w->round++;
	w->begun = true;
	stress_oracle_round(w);
	return !stress_stopped(w->run) && w->round < w->run->options->rounds;
}
