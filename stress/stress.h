/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress.h: what a mode of gyre-stress is written against.
 *
 * A mode is one entry of the table in modes.c. Its run function is called on the main thread with
 * the heap open; it registers its types, has workers do its work, and says how many objects the
 * heap must hold. The framework keeps the clock, the seeds, the live line, the verdict, the
 * reports.
 *
 *	static void work(struct stress_worker *w)
 *	{
 *		while (stress_round(w)) {
 *			... one round, with gyre_safepoint(w->m) now and then ...
 *			if (stress_checkpoint_due(w))
 *				stress_checkpoint(w, reachable objects that its shadow knows);
 *		}
 *		w->left = objects that stay reachable without this worker (0: none);
 *	}
 *
 *	static void run(struct stress_run *run)
 *	{
 *		... gyre_type_register(run->heap, ...), set up what is shared with run->main ...
 *		stress_workers(run, work, NULL);
 *		stress_expect(run->main, stress_left(run), "after the last round");
 *		... drop what is left ...
 *		stress_expect(run->main, 0, "after everything was dropped");
 *	}
 *
 * The three oracles: the mode's shadow, held outside gyre, knows what is reachable; every object
 * begins with a struct stress_head that is checked at every visit; stress_checkpoint and
 * stress_expect collect, verify, and compare the objects in the heap with the shadow's number.
 *
 * Rules for a mode: every wait of an attached thread is parked; everything random comes from the
 * worker's rng; no output but through stress_fail; no time but through stress_round and
 * stress_stopped; only <gyre/...> of gyre.
 */
#ifndef STRESS_H
#define STRESS_H

#include <gyre/gyre.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stress_run;
struct stress_worker;

/* ---- Modes (modes.c) ---- */

/* A number that a mode takes from the command line as --NAME=N. */
struct stress_param {
	const char *name; /* of the long option; none of the common options' names */
	const char *doc;  /* one line for --help */
	uint64_t fallback, least, most;
};

#define STRESS_PARAMS_MAX 16

struct stress_mode {
	const char *name;
	const char *summary; /* one line for --help and the verdict: "objects that die at once" */
	const char *operand; /* NULL, or what follows the mode's name: "FILE" */
	void (*run)(struct stress_run *run);
	/* NULL, or changes the options of the heap before it is opened; stress_param works. */
	void (*options)(const struct stress_run *run, struct gyre_options *options);
	struct stress_param params[STRESS_PARAMS_MAX]; /* ends at the first without a name */
};

extern const struct stress_mode stress_mode_heap, stress_mode_churn, stress_mode_rings,
	stress_mode_trees, stress_mode_lru, stress_mode_hubs, stress_mode_lists, stress_mode_ggauss,
	stress_mode_threads, stress_mode_weak, stress_mode_finalizers, stress_mode_cache;

extern const struct stress_mode *const stress_modes[]; /* ends with NULL */

/* ---- Random numbers (oracle.c) ---- */

/* One stream; a stream is used by one thread. */
struct stress_rng {
	uint64_t state;
};

/* The stream of (seed, number): equal arguments give equal streams. */
struct stress_rng stress_rng_make(uint64_t seed, uint64_t number);
uint64_t stress_random(struct stress_rng *rng);
/* Uniform in [0, bound); bound is not 0. */
uint64_t stress_below(struct stress_rng *rng, uint64_t bound);
/* True with probability parts in whole. */
bool stress_chance(struct stress_rng *rng, uint64_t parts, uint64_t whole);

/* ---- The run ---- */

struct stress_options {
	unsigned threads;      /* workers that stress_workers starts; at least 1 */
	uint64_t rounds;       /* of each worker; UINT64_MAX: no limit */
	double seconds;        /* of the whole run; 0: no limit */
	uint64_t seed;
	double checkpoint;     /* seconds between checkpoints; 0: only at the end */
	uint64_t checkpoint_rounds; /* rounds of a worker between checkpoints; 0: time tells */
	double report_every;   /* seconds between live lines when stderr is no terminal */
	bool quiet;            /* no live line */
	bool poison;           /* the heap is opened with GYRE_POISON */
	enum gyre_engine engine;
	size_t heap_limit, epoch_bytes, journal_limit, collector_stack; /* 0: gyre's default */
	const char *json, *report; /* files to write, or NULL */
	const char *operand;       /* what followed the mode's name, or NULL */
	uint64_t params[STRESS_PARAMS_MAX]; /* in the order of the mode's table */
};

struct stress_oracle; /* what disagreed, the meeting of a checkpoint (oracle.c) */
struct stress_record; /* samples over time (sample.c) */

/* A number of a mode's own in the JSON and the report. */
struct stress_figure {
	const char *name;
	uint64_t value;
};

#define STRESS_FIGURES_MAX 24

/* What all threads of a run share. Everything but stop, what a mode sets and the two pointers is
 * fixed in advance. */
struct stress_run {
	const struct stress_mode *mode;
	const struct stress_options *options;
	struct gyre_heap *heap;
	struct stress_worker *main;    /* the main thread, attached; parked inside stress_workers */
	struct stress_worker *workers; /* options->threads of them, while stress_workers runs */
	uint64_t secret;               /* of the canaries, from the seed */

	/*
	 * Set by a mode whose threads share objects, before stress_workers; or NULL. Called while
	 * all workers are parked but w, which called stress_checkpoint; returns the number of
	 * objects that only the shared shadow knows (what the workers announce is not counted
	 * again). It may read the heap with gyre_load from the shared roots, and reports what is
	 * broken.
	 */
	uint64_t (*shared_count)(struct stress_worker *w);
	void *shared; /* the mode's own */

	/*
	 * Set by a mode with finalizers or callbacks of weak cells, before stress_workers: a
	 * comparison then begins with stress_settle, and so does shared_count. What finalizers
	 * make of the heap, and of the shadow, is part of both.
	 */
	bool settles;
	struct stress_figure figures[STRESS_FIGURES_MAX]; /* up to the first without a name */

	_Atomic(bool) stop;
	struct stress_oracle *oracle;
	struct stress_record *record;
};

/* The value of a parameter of the run's mode, by name. */
uint64_t stress_param(const struct stress_run *run, const char *name);

/* The run must end now: time is over, an oracle disagreed, or the user interrupted. Any thread.
 * Cheap. */
static inline bool stress_stopped(const struct stress_run *run)
{
	/* Relaxed: nothing else is published by it, and a late answer is only a later end. */
	return atomic_load_explicit(&run->stop, memory_order_relaxed);
}

/* ---- Workers (worker.c) ---- */

/* One mutator. All fields but the two counters are for the worker's own thread. */
struct stress_worker {
	struct stress_run *run;
	struct gyre_mutator *m;
	unsigned index; /* 0 to threads - 1; the main thread's is options->threads */
	struct stress_rng rng;
	uint64_t round; /* of the round that stress_round began, from 0 */
	uint64_t left;  /* set at the end: objects that stay reachable without this worker */
	void *arg;      /* as given to stress_workers */
	void *own;      /* the mode's own */

	/* For the live line and the series; written by the worker with stress_count. */
	_Atomic(uint64_t) made;      /* objects allocated (kept by stress_new) */
	_Atomic(uint64_t) reachable; /* objects its shadow knows as reachable, roughly */

	/* The framework's. */
	void (*work)(struct stress_worker *w);
	pthread_t thread;
	bool started, begun;
	unsigned tries; /* in a row, by stress_again */
};

/* Sets a counter that only the calling thread writes and the live line reads. */
static inline void stress_count(_Atomic(uint64_t) *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed); /* a figure, orders nothing */
}

/*
 * Starts options->threads threads, each attached, each calling work(w) with w->arg = arg, and
 * returns when all have returned and detached. The calling main thread is parked meanwhile. A
 * worker must have no keep frame open when it returns.
 */
void stress_workers(struct stress_run *run, void (*work)(struct stress_worker *w), void *arg);

/* The sum of w->left over the workers of the last stress_workers. Main thread. */
uint64_t stress_left(const struct stress_run *run);

/* Adds a number to the JSON and the report, under a name without quotes. Main thread. */
void stress_figure(struct stress_run *run, const char *name, uint64_t value);
/* So many a second, over the run so far. */
uint64_t stress_rate(const struct stress_run *run, uint64_t count);

/* Begins the worker's next round: false when its rounds are done or the run must end. A safe
 * point. */
bool stress_round(struct stress_worker *w);

/* ---- Objects (oracle.c) ---- */

/*
 * Every object of every mode begins with this. The canary depends on the identity, the object's
 * address and the run, so neither a freed, nor a poisoned, nor a copied object passes for another.
 */
struct stress_head {
	uint64_t identity;
	uint64_t canary;
};

#define STRESS_ANY UINT64_MAX /* no object has this identity */

/*
 * A new object with its head written: gyre_new_array(type, length), or gyre_new where length is 0.
 * At the heap's limit it collects and tries again, so it MAY BE A SAFE POINT: what the caller needs
 * afterwards must be kept or rooted. NULL: still no memory (the run has failed and is stopped), or
 * the run is stopped while it waited.
 */
void *stress_new(struct stress_worker *w, const struct gyre_type *type, size_t length,
		 uint64_t identity);

/* Writes the head of an object that the mode made with gyre_new itself and nobody else sees yet. */
void stress_brand(const struct stress_run *run, void *object, uint64_t identity);

/* Whether the object is intact and has this identity (or any); if not, that is an object lost. Any
 * attached thread that reached the object since its last safe point, or keeps it. */
bool stress_check(struct stress_worker *w, const void *object, uint64_t identity);

/*
 * gyre_store, tried again after a safe point when journals are full: MAY BE A SAFE POINT. holder
 * (the object that slot lies in, or NULL for a root's slot) and value are kept meanwhile. false:
 * the run has failed, and nothing was stored.
 */
bool stress_store(struct stress_worker *w, const void *holder, gyre_ref *slot, const void *value);

/* gyre_root_init and gyre_root_drop in the same way; value is kept meanwhile. */
bool stress_root_init(struct stress_worker *w, struct gyre_root *root, const void *value);
bool stress_root_drop(struct stress_worker *w, struct gyre_root *root);

/*
 * For the other calls that can answer GYRE_JOURNAL_FULL or GYRE_NO_MEMORY: true, after a safe
 * point, when the call should be made again; false when status is neither, or when waiting did not
 * help (then the run has failed). Keep what you need first.
 *
 *	do
 *		status = gyre_exchange(w->m, slot, value, &old);
 *	while (stress_again(w, status));
 */
bool stress_again(struct stress_worker *w, enum gyre_status status);

/* Fails the run unless status is GYRE_OK; returns whether it is. what: "gyre_detach" and so on. */
bool stress_ok(struct stress_run *run, enum gyre_status status, const char *what);

/* ---- Oracles (oracle.c) ---- */

/*
 * Something disagreed: the text is collected for the verdict (with the seed), shown at once, and
 * the run is stopped. Any thread, attached or not.
 */
__attribute__((format(printf, 2, 3))) void stress_fail(struct stress_run *run, const char *format,
						       ...);

/* The same, for an object that was lost although it is reachable: counted as lost, too. */
__attribute__((format(printf, 2, 3))) void stress_lost(struct stress_run *run, const char *format,
						       ...);

/*
 * The operand or the parameters cannot be used (no such file, not of the format): the program ends
 * with this text and exit status 2. Main thread, before stress_workers.
 */
__attribute__((format(printf, 2, 3))) void stress_refuse(struct stress_run *run, const char *format,
							 ...);

/* Whether an oracle has disagreed so far. Any thread. */
bool stress_failed(const struct stress_run *run);

/*
 * Collects and waits for finalizers and callbacks in turn until nothing is reclaimed and none runs
 * any more. For moments when no other thread but those that run finalizers changes the heap; a
 * heap that never comes to rest fails the run. Safe point.
 */
void stress_settle(struct stress_worker *w);

/* Calls for a checkpoint before it is due by the clock or the rounds, for a mode whose shadow has
 * no more room. Any worker. */
void stress_checkpoint_soon(struct stress_run *run);

/* A checkpoint has been called for; the worker should come to stress_checkpoint soon. Cheap. */
bool stress_checkpoint_due(const struct stress_worker *w);

/*
 * If a checkpoint is due: parks, waits until every worker that has not returned is here, lets the
 * last to come collect, verify and compare, and unparks. A safe point in any case. reachable: the
 * number of objects that the worker's own shadow knows as reachable, those that its keep frames
 * hold included, none of them announced by another worker or counted by run->shared_count.
 */
void stress_checkpoint(struct stress_worker *w, uint64_t reachable);

/*
 * Collects, verifies and compares: the heap must hold exactly objects objects, all reachable. For
 * moments when no other thread changes the heap. when: for the report, "after the last round". Safe
 * point.
 */
void stress_expect(struct stress_worker *w, uint64_t objects, const char *when);

#endif
