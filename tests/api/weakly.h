/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weakly.h: what the tests of the weak collections share: heaps whose host runs the finalizers, the
 * wait until everything that was to go has gone, objects that are held by number, threads.
 *
 * Invariant: what a test wants alive is in world_held, a root with an array; nothing else keeps it.
 */
#ifndef GYRE_TESTS_WEAKLY_H
#define GYRE_TESTS_WEAKLY_H

#include "support.h"

#include <sys/wait.h>

enum { HELD = 4096 };

struct weakly {
	struct world *w;
	struct gyre_root root; /* struct refs of HELD nodes */
};

static inline struct weakly *weakly_make(enum gyre_finalizing finalizing)
{
	struct weakly *t = (struct weakly *)calloc(1, sizeof(*t));
	struct gyre_options options;

	expect(t != NULL);
	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	options.finalizing = finalizing;
	t->w = world_make(&options);
	expect_ok(gyre_root_init(t->w->m, &t->root, refs_new(t->w, t->w->m, HELD)));
	return t;
}

static inline int weakly_setup(void **state)
{
	*state = weakly_make(GYRE_FINALIZE_THREAD);
	return 0;
}

static inline int weakly_setup_host(void **state)
{
	*state = weakly_make(GYRE_FINALIZE_HOST);
	return 0;
}

static inline gyre_ref *held_slot(const struct weakly *t, size_t i)
{
	return &((struct refs *)gyre_load(&t->root.slot))->items[i];
}

static inline struct node *held(const struct weakly *t, size_t i)
{
	return (struct node *)gyre_load(held_slot(t, i));
}

/* A new node with number i for its id, held from now on. */
static inline struct node *hold_new(const struct weakly *t, struct gyre_mutator *m, size_t i)
{
	struct node *n = node_new(t->w, m, i);

	expect_ok(gyre_store(m, held_slot(t, i), n));
	return n;
}

static inline void let_go(const struct weakly *t, struct gyre_mutator *m, size_t i)
{
	expect_ok(gyre_store(m, held_slot(t, i), NULL));
}

/* Collects, and returns when all callbacks and finalizers of what was garbage have run. */
static inline void settle(struct gyre_mutator *m)
{
	world_collect(m);
	expect_ok(gyre_finalize_wait(m));
}

/* The same until nothing is there but the array: no collection, no object, no cell. */
static inline int weakly_teardown(void **state)
{
	struct weakly *t = (struct weakly *)*state;
	struct gyre_mutator *m = t->w->m;

	expect_ok(gyre_array_fill(m, held_slot(t, 0), HELD, NULL));
	settle(m);
	expect_live(m, 1);
	expect_ok(gyre_root_drop(m, &t->root));
	settle(m);
	expect_live(m, 0);
	world_end(t->w);
	free(t);
	return 0;
}

/* What a thread of a test gets. */
struct weakly_thread {
	struct weakly *t;
	struct gyre_mutator *m;
	void *arg;
	unsigned number;
	uint64_t random;
	void (*run)(struct weakly_thread *thread);
};

static inline uint64_t random_of(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

static inline void *weakly_run(void *arg)
{
	struct weakly_thread *thread = (struct weakly_thread *)arg;

	expect_ok(gyre_attach(thread->t->w->heap, 0, &thread->m));
	thread->run(thread);
	expect_ok(gyre_detach(thread->m));
	return NULL;
}

enum { THREADS = 3 };

/* Runs THREADS threads, the main one parked meanwhile. */
static inline void run_threads(struct weakly *t, void (*run)(struct weakly_thread *), void *arg)
{
	struct weakly_thread threads[THREADS];
	pthread_t ids[THREADS];

	expect_ok(gyre_park(t->w->m));
	for (unsigned i = 0; i < THREADS; i++) {
		threads[i] = (struct weakly_thread){ t, NULL, arg, i, 88172645463325252u + i, run };
		ids[i] = thread_start(weakly_run, &threads[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(ids[i]);
	expect_ok(gyre_unpark(t->w->m));
}

/* Runs child in a frozen child of a fork, which says on stderr what was wrong, and exits by it. */
static inline void in_frozen_child(struct weakly *t, bool (*child)(struct weakly *t, void *arg),
				   void *arg)
{
	int end = 0;
	pid_t pid;

	expect_ok(gyre_fork_before(t->w->heap));
	pid = fork();
	if (pid == 0)
		_exit(gyre_fork_child(t->w->heap) == GYRE_OK && child(t, arg) ? 0 : 1);
	expect_ok(gyre_fork_parent(t->w->heap));
	expect(pid > 0 && waitpid(pid, &end, 0) == pid);
	expect(WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
}

#define weakly_test(f) cmocka_unit_test_setup_teardown(f, weakly_setup, weakly_teardown)
#define weakly_host_test(f) cmocka_unit_test_setup_teardown(f, weakly_setup_host, weakly_teardown)

#endif
