/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_heap.c: mode heap, in which threads take the object graph of a real program apart.
 *
 * The main thread reads the file, registers the types, and builds the shared copy. In each round a
 * worker builds its own copies, changes them, the islands it has come by, and the shared copy at
 * random, and drops the copies; the islands stay, and move on.
 */
#include "heapmode.h"

#include <stdlib.h>

#define SHARED_STEPS 35 /* of 100 */
#define MOVE_STEPS 2

/* All objects that this worker's shadows know as reachable, each of them visited. */
static uint64_t count_own(struct hand *hand)
{
	uint64_t count = 0;

	for (size_t i = 0; i < hand->islands; i++)
		count += island_reach(hand, hand->island[i], true);
	return count;
}

static void any_step(struct hand *hand)
{
	uint64_t draw = stress_below(&hand->w->rng, 100);

	if (draw < SHARED_STEPS)
		heap_shared_step(hand);
	else if (draw < SHARED_STEPS + MOVE_STEPS)
		heap_move(hand);
	else
		heap_step(hand);
}

/* The copies come first in the list of islands; what was there makes room. */
static bool build_copies(struct hand *hand)
{
	size_t copies = hand->mode->copies;

	while (hand->islands + copies > ISLANDS_MAX)
		island_drop(hand, hand->island[--hand->islands]);
	for (size_t i = 0; i < copies; i++) {
		struct island *copy = island_copy(hand);

		if (copy == NULL)
			return false;
		/* The first that is no copy yet goes to the end. */
		hand->island[hand->islands++] = hand->island[i];
		hand->island[i] = copy;
	}
	return true;
}

static void drop_copies(struct hand *hand)
{
	for (size_t i = hand->mode->copies; i-- > 0;) {
		struct island *copy = hand->island[i];

		hand->island[i] = hand->island[--hand->islands];
		island_drop(hand, copy);
	}
}

/* What a failed build leaves behind: some copies, perhaps, and then the rest. */
static void drop_all(struct hand *hand)
{
	while (hand->islands > 0)
		island_drop(hand, hand->island[--hand->islands]);
}

static void work(struct stress_worker *w)
{
	struct heap_mode *mode = w->run->shared;
	struct hand *hand = &mode->hands[w->index];

	hand->w = w;
	w->own = hand;
	while (stress_round(w) && build_copies(hand)) {
		for (size_t step = 0; step < mode->steps && !stress_stopped(w->run); step++) {
			gyre_safepoint(w->m);
			any_step(hand);
			if (step % 25000 == 24999)
				stress_count(&w->reachable, count_own(hand));
			if (stress_checkpoint_due(w))
				stress_checkpoint(w, count_own(hand));
		}
		/* Every second round the copies are looked at once more before they go. */
		if (w->round % 2 == 0 && !stress_failed(w->run))
			stress_count(&w->reachable, count_own(hand));
		if (stress_failed(w->run))
			return;
		drop_copies(hand);
	}
	drop_all(hand);
}

static bool make_hands(struct stress_run *run, struct heap_mode *mode)
{
	unsigned threads = run->options->threads;

	mode->hands = calloc(threads + 1, sizeof(*mode->hands));
	mode->inbox = calloc(threads, sizeof(*mode->inbox));
	if (mode->hands == NULL || mode->inbox == NULL)
		return false;
	for (unsigned i = 0; i <= threads; i++) {
		struct hand *hand = &mode->hands[i];

		hand->mode = mode;
		hand->local = calloc(mode->file.objects, sizeof(*hand->local));
		hand->list = calloc(mode->file.objects, sizeof(*hand->list));
		if (hand->local == NULL || hand->list == NULL)
			return false;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_mutex_init(&mode->inbox[i].lock, NULL);
		for (size_t e = 0; e < INBOX_ENTRIES; e++)
			if (!stress_root_init(run->main, &mode->inbox[i].root[e], NULL))
				return false;
	}
	mode->hands[threads].w = run->main;
	run->main->own = &mode->hands[threads];
	return true;
}

static void free_mode(struct stress_run *run, struct heap_mode *mode)
{
	for (unsigned i = 0; mode->hands != NULL && i <= run->options->threads; i++) {
		free(mode->hands[i].local);
		free(mode->hands[i].list);
		free(mode->hands[i].work);
	}
	for (unsigned i = 0; mode->inbox != NULL && i < run->options->threads; i++)
		pthread_mutex_destroy(&mode->inbox[i].lock);
	free(mode->hands);
	free(mode->inbox);
	free(mode->root);
	free(mode->kinds);
	heapfile_free(&mode->file);
	free(mode);
}

static void run_with(struct stress_run *run, struct heap_mode *mode)
{
	struct stress_worker *main = run->main;

	if (!make_hands(run, mode)) {
		stress_refuse(run, "no memory for %u threads", run->options->threads);
		return;
	}
	if (heap_shared_make(main->own)) { /* if not, it was reported or the run is over */
		run->shared_count = heap_shared_count;
		stress_workers(run, work, NULL);
	}
	if (stress_failed(run))
		return;
	stress_expect(main, stress_left(run) + heap_shared_count(main), "after the last round");
	heap_shared_drop(main->own);
	stress_expect(main, 0, "after everything was dropped");
	stress_count(&main->reachable, 0);
}

/* Reads the file and makes the types; the main thread is parked, since large files take long. */
static bool prepare(struct stress_run *run, struct heap_mode *mode)
{
	char error[512];

	if (!heapfile_read(&mode->file, run->options->operand, error, sizeof(error))) {
		stress_refuse(run, "%s", error);
		return false;
	}
	return heap_types(run, mode);
}

static void run_heap(struct stress_run *run)
{
	struct heap_mode *mode = calloc(1, sizeof(*mode));
	bool good;

	if (mode == NULL) {
		stress_refuse(run, "no memory");
		return;
	}
	mode->copies = (size_t)stress_param(run, "copies");
	mode->steps = (size_t)stress_param(run, "steps");
	mode->piece = (size_t)stress_param(run, "piece");
	run->shared = mode;
	stress_ok(run, gyre_park(run->main->m), "gyre_park");
	good = prepare(run, mode);
	stress_ok(run, gyre_unpark(run->main->m), "gyre_unpark");
	if (good)
		run_with(run, mode);
	/* A heap that was not emptied still refers to the mode's roots. */
	if (!good || !stress_failed(run))
		free_mode(run, mode);
}

const struct stress_mode stress_mode_heap = {
	.name = "heap",
	.summary = "a real program's object graph, cut, spliced, shared, moved",
	.operand = "FILE",
	.run = run_heap,
	.params = {
		{ "copies", "Copies of the graph that each thread has for itself", 1, 0, 8 },
		{ "steps", "Changes that each thread makes in a round", 50000, 1, UINT32_MAX },
		{ "piece", "Objects of the largest pieces spliced in", 300, 1, UINT32_MAX },
	},
};
