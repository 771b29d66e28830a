/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_threads.c: threads that come and go, park, and die.
 *
 * Each worker starts guests by the dozen: threads that attach, make rings, exchange them with what
 * other guests left on a board that all share, park for a while, and leave. They leave in every way
 * there is: they detach; they detach in a destructor of thread-specific data; they end while they
 * are attached, with or without a keep frame open, running or parked. What a guest put on the board
 * must be there afterwards, and what only its frames kept must be reclaimed.
 *
 * A ring is on the board once at most, as exchanges only move it. So the shadow is, for each
 * worker, what its guests put on the board less what they took from it: the number of nodes, and
 * the sum of the identities. A guest's own share is added to it when it has been joined. A worker
 * waits for its guests parked, and comes to checkpoints without any.
 *
 * The frames of guests lie in memory of the worker, which outlives them: a guest that has left its
 * functions has no stack that a frame could be in.
 */
#include "shapes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEPT 4 /* rings of a guest */
#define FRAME (KEPT + 3)
#define TAKEN KEPT        /* the place in the frame of the ring that comes from the board */
#define MAKING (KEPT + 1) /* and the two that shape_ring needs */
#define RING_MAX 24
#define STEPS_MAX 64
#define GUEST_IDENTITIES ((STEPS_MAX + KEPT) * RING_MAX)
#define PARK_NS_MAX 200000
#define ATTACH_TRIES_MAX 1000

struct board {
	struct stress_head head;
	size_t length;
	gyre_ref places[];
};

static const struct gyre_type_desc board_desc =
	GYRE_TYPE(struct board, GYRE_TRAILING_REFS(struct board, places, length));

enum leaving {
	LEAVE_DETACHED,
	LEAVE_DETACHED_BY_DESTRUCTOR,
	LEAVE_ATTACHED,
	LEAVE_ATTACHED_KEEPING,
	LEAVE_ATTACHED_PARKED,
	LEAVE_ATTACHED_PARKED_KEEPING,
	LEAVE_COUNT
};

struct threads {
	const struct gyre_type *node, *board_type;
	struct gyre_root root;
	struct board *board; /* held by root */
	pthread_key_t key;   /* its destructor detaches */
	uint64_t crowd, places;
	_Atomic(uint64_t) nodes, sum; /* on the board, by the shadows; modulo 2^64 */
	_Atomic(uint64_t) deaths;     /* threads that ended while attached */
};

struct guest {
	struct stress_worker w; /* the framework's calls want one */
	enum leaving leaving;
	bool exits; /* by pthread_exit */
	bool started;
	pthread_t thread;
	struct gyre_keep keep;
	void *frame[FRAME];
	uint64_t nodes[KEPT], identities[KEPT]; /* of the rings kept */
	uint64_t identity;                      /* the next one */
	uint64_t put_nodes, put_sum;            /* onto the board less off it, modulo 2^64 */
};

/* The number of nodes of a ring, all of them checked; 0: it is broken, and the run has failed. */
static uint64_t ring_count(struct stress_worker *w, const struct shape_node *first, uint64_t *sum)
{
	const struct shape_node *node = first, *next;
	uint64_t count = 0;

	do {
		if (!stress_check(w, node, first->head.identity + count))
			return 0;
		*sum += node->head.identity;
		next = gyre_load(&node->next);
		if (!next || gyre_load(&next->previous) != (const void *)node) {
			stress_fail(w->run, "a ring of the board is broken");
			return 0;
		}
		node = next;
	} while (++count <= RING_MAX && node != first);
	return count;
}

/* Makes a ring into the frame's place MAKING; its size, 0 if the run was stopped. */
static uint64_t guest_ring(struct guest *guest)
{
	struct stress_worker *w = &guest->w;
	struct threads *threads = w->run->shared;
	uint64_t made = shape_ring(w, threads->node, &guest->frame[MAKING],
				   1 + stress_below(&w->rng, RING_MAX), guest->identity, NULL);

	guest->identity += made;
	return made;
}

/*
 * Exchanges what is at a place of the board for value, one of the frame's rings or NULL. What was
 * there is in the frame's place TAKEN afterwards.
 */
static bool exchange(struct guest *guest, struct shape_node *value)
{
	struct stress_worker *w = &guest->w;
	struct threads *threads = w->run->shared;
	gyre_ref *place = &threads->board->places[stress_below(&w->rng, threads->places)];
	enum gyre_status status;
	uint64_t sum = 0;
	void *old = NULL;

	if (value)
		guest->put_nodes += ring_count(w, value, &guest->put_sum);
	do
		status = gyre_exchange(w->m, place, value, &old);
	while (stress_again(w, status));
	if (!stress_ok(w->run, status, "gyre_exchange"))
		return false;
	guest->frame[TAKEN] = old;
	if (old) {
		guest->put_nodes -= ring_count(w, old, &sum);
		guest->put_sum -= sum;
	}
	return true;
}

static void guest_park(struct guest *guest)
{
	struct timespec time = { .tv_nsec = (long)stress_below(&guest->w.rng, PARK_NS_MAX) };

	stress_ok(guest->w.run, gyre_park(guest->w.m), "gyre_park");
	nanosleep(&time, NULL);
	stress_ok(guest->w.run, gyre_unpark(guest->w.m), "gyre_unpark");
}

static void guest_step(struct guest *guest)
{
	struct stress_worker *w = &guest->w;
	size_t place = stress_below(&w->rng, KEPT);

	switch (stress_below(&w->rng, 8)) {
	case 0:
		guest_park(guest);
		break;
	case 1:
		exchange(guest, NULL);
		break;
	case 2:
		if (guest->nodes[place] > 0)
			shape_ring_check(w, guest->frame[place], guest->nodes[place],
					 guest->identities[place]);
		guest->identities[place] = guest->identity;
		guest->nodes[place] = guest_ring(guest);
		guest->frame[place] = guest->frame[MAKING];
		break;
	default:
		if (guest_ring(guest) == 0 || !exchange(guest, guest->frame[MAKING]))
			break;
		/* What was taken goes to another place, and what is taken there is dropped. */
		if (guest->frame[TAKEN] && stress_chance(&w->rng, 1, 2)) {
			guest->frame[MAKING] = guest->frame[TAKEN];
			exchange(guest, guest->frame[MAKING]);
		}
	}
	guest->frame[TAKEN] = guest->frame[MAKING] = NULL;
	gyre_safepoint(w->m);
}

/* The destructor of the key. */
static void detach_late(void *value)
{
	struct guest *guest = value;

	stress_ok(guest->w.run, gyre_detach(guest->w.m), "gyre_detach in a destructor");
}

static void guest_leave(struct guest *guest)
{
	struct threads *threads = guest->w.run->shared;
	struct stress_run *run = guest->w.run;

	if (guest->leaving != LEAVE_ATTACHED_KEEPING &&
	    guest->leaving != LEAVE_ATTACHED_PARKED_KEEPING)
		gyre_keep_close(&guest->keep);
	if (guest->leaving == LEAVE_DETACHED) {
		stress_ok(run, gyre_detach(guest->w.m), "gyre_detach");
		return;
	}
	if (guest->leaving == LEAVE_DETACHED_BY_DESTRUCTOR) {
		if (pthread_setspecific(threads->key, guest) != 0)
			stress_fail(run, "pthread_setspecific failed");
		return;
	}
	if (guest->leaving == LEAVE_ATTACHED_PARKED ||
	    guest->leaving == LEAVE_ATTACHED_PARKED_KEEPING)
		stress_ok(run, gyre_park(guest->w.m), "gyre_park");
	/* Relaxed: read when all guests have been joined. */
	atomic_fetch_add_explicit(&threads->deaths, 1, memory_order_relaxed);
}

static bool guest_attach(struct guest *guest)
{
	struct timespec time = { .tv_nsec = 1000000 };
	enum gyre_status status;
	unsigned tries = 0;

	/* Journals may be short for a moment; a thread that is not attached yet can only wait. */
	while ((status = gyre_attach(guest->w.run->heap, 0, &guest->w.m)) == GYRE_NO_MEMORY &&
	       ++tries < ATTACH_TRIES_MAX)
		nanosleep(&time, NULL);
	return stress_ok(guest->w.run, status, "gyre_attach");
}

static void *guest_main(void *arg)
{
	struct guest *guest = arg;
	uint64_t steps = stress_below(&guest->w.rng, STEPS_MAX + 1), step;

	if (!guest_attach(guest))
		return NULL;
	gyre_keep_open(guest->w.m, &guest->keep, guest->frame, FRAME);
	for (step = 0; step < steps && !stress_stopped(guest->w.run); step++)
		guest_step(guest);
	guest_leave(guest);
	if (guest->exits)
		pthread_exit(NULL);
	return NULL;
}

/* Starts a crowd of guests and waits for all of them; the worker is parked meanwhile. */
static void host(struct stress_worker *w, struct guest *guests, uint64_t count)
{
	struct threads *threads = w->run->shared;
	uint64_t *identity = w->own, made = 0, nodes = 0, sum = 0, i;
	struct guest *guest;

	stress_ok(w->run, gyre_park(w->m), "gyre_park");
	for (i = 0; i < count; i++) {
		guest = &guests[i];
		memset(guest, 0, sizeof(*guest));
		guest->w.run = w->run;
		guest->w.index = w->index;
		guest->w.rng = stress_rng_make(stress_random(&w->rng), i);
		guest->leaving = (enum leaving)stress_below(&w->rng, LEAVE_COUNT);
		guest->exits = stress_chance(&w->rng, 1, 4);
		guest->identity = *identity;
		*identity += GUEST_IDENTITIES;
		guest->started = pthread_create(&guest->thread, NULL, guest_main, guest) == 0;
		if (!guest->started)
			stress_fail(w->run, "a guest could not be started");
	}
	for (i = 0; i < count; i++) {
		guest = &guests[i];
		if (!guest->started)
			continue;
		pthread_join(guest->thread, NULL);
		nodes += guest->put_nodes;
		sum += guest->put_sum;
		made += atomic_load_explicit(&guest->w.made, memory_order_relaxed);
	}
	/* Relaxed: read at checkpoints, which order by a mutex. */
	atomic_fetch_add_explicit(&threads->nodes, nodes, memory_order_relaxed);
	atomic_fetch_add_explicit(&threads->sum, sum, memory_order_relaxed);
	stress_count(&w->made, atomic_load_explicit(&w->made, memory_order_relaxed) + made);
	stress_ok(w->run, gyre_unpark(w->m), "gyre_unpark");
}

/* Visits the board, compares, and counts; no guest is there. */
static uint64_t count_shared(struct stress_worker *w)
{
	struct threads *threads = w->run->shared;
	uint64_t nodes = 0, sum = 0, expected, i;
	const struct shape_node *first;

	for (i = 0; i < threads->places; i++) {
		first = gyre_load(&threads->board->places[i]);
		if (first)
			nodes += ring_count(w, first, &sum);
	}
	expected = atomic_load_explicit(&threads->nodes, memory_order_relaxed); /* see host */
	if (nodes != expected ||
	    sum != atomic_load_explicit(&threads->sum, memory_order_relaxed)) /* see host */
		stress_lost(w->run, "the board holds %llu nodes, %llu were put there%s",
			    (unsigned long long)nodes, (unsigned long long)expected,
			    nodes == expected ? ", and not the same" : "");
	return expected + 1;
}

static void threads_work(struct stress_worker *w)
{
	struct threads *threads = w->run->shared;
	struct guest *guests = calloc(threads->crowd, sizeof(*guests));
	uint64_t identity = shape_identities(w->index);

	if (!guests) {
		stress_fail(w->run, "no memory for guests");
		return;
	}
	w->own = &identity;
	while (stress_round(w)) {
		host(w, guests, 1 + stress_below(&w->rng, threads->crowd));
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, 0);
	}
	w->own = NULL;
	w->left = 0;
	free(guests);
}

/* Every thread that ended while attached must have been noticed, once. */
static void check_deaths(struct stress_run *run, const struct threads *threads)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	uint64_t deaths = atomic_load_explicit(&threads->deaths, memory_order_relaxed);

	if (stress_ok(run, gyre_heap_stats(run->heap, &stats), "gyre_heap_stats") &&
	    stats.orphans != deaths)
		stress_fail(run, "%llu threads ended while attached, %llu were noticed",
			    (unsigned long long)deaths, (unsigned long long)stats.orphans);
}

static void threads_run(struct stress_run *run)
{
	struct threads threads = { .node = shape_node_type(run),
				   .board_type = shape_type(run, &board_desc),
				   .crowd = stress_param(run, "crowd"),
				   .places = stress_param(run, "places") };
	struct stress_worker *w = run->main;

	if (!threads.node || !threads.board_type)
		return;
	if (pthread_key_create(&threads.key, detach_late) != 0) {
		stress_fail(run, "no key of thread-specific data is left");
		return;
	}
	run->shared = &threads;
	threads.board =
		stress_new(w, threads.board_type, threads.places, shape_identities(w->index));
	if (threads.board && stress_root_init(w, &threads.root, threads.board)) {
		run->shared_count = count_shared;
		stress_workers(run, threads_work, NULL);
		check_deaths(run, &threads);
		stress_expect(w, stress_left(run) + count_shared(w), "after the last round");
		run->shared_count = NULL;
		stress_root_drop(w, &threads.root);
		stress_expect(w, 0, "after the board was dropped");
	}
	pthread_key_delete(threads.key);
}

const struct stress_mode stress_mode_threads = {
	.name = "threads",
	.summary = "threads that come and go, park, and die",
	.run = threads_run,
	.params = {
		{ "crowd", "Most guests that a thread has at once", 100, 1, 10000 },
		{ "places", "Rings that the board has room for", 256, 1, 16777216 },
	},
};
