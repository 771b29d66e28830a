/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_scars.c: defects that gyre once had, each with the mechanism that led to it, so that they
 * stay gone. Runs on the main thread and on threads that a test starts and joins.
 *
 * Invariant: a defect that blocks somebody for ever ends the executable by SIGALRM, and nothing is
 * asserted about speed before that. Threads wait for each other by counts that always advance.
 */
#include "support.h"

#include <sched.h>
#include <sys/wait.h>

#define SLAB_BYTES ((size_t)64 << 10)
#define ROUNDS(most) (SUPPORT_SLOW ? ((most) + 3) / 4 : (most))

/* A signal that nobody catches: what blocks beyond it has failed. */
static void blocks_never(void)
{
	alarm(120);
}

static void did_not_block(void)
{
	alarm(0);
}

/* A second heap, which calls for a boundary all the time; the caller is not attached to it. */
static struct gyre_heap *busy_heap(const struct gyre_type **leaf)
{
	const struct gyre_type_desc desc = GYRE_TYPE(struct leaf);
	struct gyre_options options;
	struct gyre_heap *heap;

	gyre_options_init(&options);
	options.epoch_bytes = SLAB_BYTES;
	options.epoch_ns = 100000;
	expect_ok(support_open_heap(&heap, &options));
	expect_ok(gyre_type_register(heap, &desc, leaf));
	return heap;
}

/*
 * An exhausted slab stayed in the mutator's bin until another slab took its place. In a heap at its
 * limit there was no other slab: allocation failed, and the bin went on holding the slab. The
 * collector then reclaimed every object in it, but a slab that a mutator holds is never handed out,
 * and its vacant cells were not looked at either, as the bin took a slab with no run left for one
 * that is full. So a heap that had been full once stayed so, with no live object in it.
 */
static void a_heap_at_its_limit_recovers(void **state)
{
	struct gyre_options options;
	struct world *w;

	(void)state;
	gyre_options_init(&options);
	options.heap_limit = SLAB_BYTES;
	w = world_make(&options);
	for (unsigned round = 0; round < 6; round++) {
		/* In turn, as a slab must be of use to another type as well. */
		const struct gyre_type *type = round % 2 ? w->leaf : w->node;
		uint64_t filled = 0;

		while (gyre_new(w->m, type) != NULL)
			filled++;
		expect(filled > 0);
		/* No verification in between: it takes the slabs from the bins. */
		expect_equal(world_collect(w->m), filled);
	}
	world_end(w);
}

/* Few enough stores that the journal's limit holds them all, even if the collector never ran. */
static void *store_a_little(void *arg)
{
	const struct world *w = arg;
	struct gyre_mutator *m;
	struct gyre_root root;

	expect_ok(gyre_attach(w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &root, node_new(w, m, 1)));
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 100; i++)
			expect_ok(gyre_store(m, &root.slot, gyre_load(&root.slot)));
		gyre_safepoint(m);
	}
	expect(node_is(gyre_load(&root.slot), 1));
	expect_ok(gyre_root_drop(m, &root));
	expect_ok(gyre_detach(m));
	return NULL;
}

/*
 * A bulk write reserves journal for all of its entries before it stores the first. One too large
 * for the limit took every chunk that was left, was refused, and kept them as spares of its own
 * mutator. They were not sealed at a boundary, as nothing was written into them, so nothing brought
 * them back, and from then on no other thread could store or even make a root.
 */
static void a_refused_bulk_write_gives_back(void **state)
{
	struct gyre_options options;
	struct world *w;
	struct refs *r;

	(void)state;
	gyre_options_init(&options);
	options.journal_limit = 1 << 20;
	w = world_make(&options);
	r = refs_new(w, w->m, 100000);
	expect_status(gyre_array_fill(w->m, r->items, r->length, r), GYRE_JOURNAL_FULL);
	for (size_t i = 0; i < r->length; i++)
		expect(gyre_load(&r->items[i]) == NULL);
	expect_equal(world_stats(w->heap).stores_refused, 1);
	expect(world_stats(w->heap).journal_bytes < options.journal_limit / 2);
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(store_a_little, w));
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
	world_end(w);
}

/*
 * Grace periods are of the process, not of a heap: the collector of one heap waits for every online
 * thread. This thread has left the heap that it closes, but is online as a mutator of another one.
 * It went to join the collector without going offline; the collector was in a grace period for the
 * last boundary and waited for a quiescent state of this thread, which could not announce any while
 * it waited in the join.
 */
static void closing_while_attached_elsewhere(void **state)
{
	struct world *w = *state;

	blocks_never();
	for (int round = 0; round < ROUNDS(40); round++) {
		const struct gyre_type *leaf;
		struct gyre_heap *heap = busy_heap(&leaf);
		struct gyre_mutator *m;

		expect_ok(gyre_attach(heap, 0, &m));
		/* The lengths differ, so that the close meets different phases of an epoch. */
		for (int i = 0; i < round * 397 % 8000; i++) {
			expect(gyre_new(m, leaf) != NULL);
			if (i % 256 == 0) {
				gyre_safepoint(m);
				gyre_safepoint(w->m);
			}
		}
		expect_ok(gyre_detach(m));
		expect_ok(gyre_heap_close(heap));
	}
	did_not_block();
}

struct churn {
	struct gyre_heap *heap;
	const struct gyre_type *leaf;
	_Atomic uint64_t made;
	atomic_bool stop;
};

static void *churn_run(void *arg)
{
	struct churn *churn = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(churn->heap, 0, &m));
	while (!atomic_load(&churn->stop)) {
		for (int i = 0; i < 64; i++)
			expect(gyre_new(m, churn->leaf) != NULL);
		atomic_fetch_add(&churn->made, 64);
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

/*
 * gyre_fork_before waits until the collector stands between two steps. It parked the caller's
 * mutator of the heap it was called for, but this thread has none there: it is online as a mutator
 * of another heap only. A collector that was in a grace period waited for this thread, and this
 * thread for that collector. Here each fork_before comes after the worker has allocated for two
 * boundaries without a safe point of this thread, so the collector is in that grace period or about
 * to enter it.
 */
static void forking_while_attached_elsewhere(void **state)
{
	const uint64_t two_boundaries = 2 * SLAB_BYTES / sizeof(struct leaf);
	struct world *w = *state;
	struct churn churn = { .made = 0 };
	pthread_t worker;

	blocks_never();
	churn.heap = busy_heap(&churn.leaf);
	worker = thread_start(churn_run, &churn);
	for (int round = 0; round < ROUNDS(40); round++) {
		uint64_t until = atomic_load(&churn.made) + two_boundaries;

		while (atomic_load(&churn.made) < until)
			sched_yield();
		expect_ok(gyre_fork_before(churn.heap));
		expect_ok(gyre_fork_parent(churn.heap));
		gyre_safepoint(w->m);
	}
	atomic_store(&churn.stop, true);
	thread_join(worker);
	expect_ok(gyre_heap_close(churn.heap));
	did_not_block();
}

static struct {
	struct gyre_heap *heaps[2];
	pthread_barrier_t together;
	atomic_bool stop;
} twins;

static void *twins_worker(void *arg)
{
	struct gyre_mutator *m[2];

	(void)arg;
	for (size_t i = 0; i < LENGTH(m); i++)
		expect_ok(gyre_attach(twins.heaps[i], 0, &m[i]));
	while (!atomic_load(&twins.stop)) {
		for (size_t i = 0; i < LENGTH(m); i++)
			gyre_safepoint(m[i]);
		sched_yield(); /* for machines with fewer processors than threads here */
	}
	for (size_t i = 0; i < LENGTH(m); i++)
		expect_ok(gyre_detach(m[i]));
	return NULL;
}

static void *twins_verifier(void *arg)
{
	struct gyre_heap *const *heap = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(*heap, 0, &m));
	for (int round = 0; round < ROUNDS(40); round++) {
		expect_ok(gyre_park(m)); /* as grace periods of either heap wait for who is not */
		pthread_barrier_wait(&twins.together);
		expect_ok(gyre_unpark(m));
		world_verify(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

/*
 * A verification stops the mutators of its heap one by one and lets them go when all are at rest.
 * With two heaps that share two threads, the first thread came to rest in a safe point of the first
 * heap and the second thread in one of the second heap. Each collector then waited for the thread
 * that the other one held, which could not reach a safe point of its own heap. The barrier lets the
 * two stops begin together, so that the threads are often caught one in each heap.
 */
static void heaps_with_shared_threads_verify_at_once(void **state)
{
	pthread_t workers[2], verifiers[2];
	const struct gyre_type *leaf;

	(void)state;
	blocks_never();
	expect(pthread_barrier_init(&twins.together, NULL, 2) == 0);
	for (size_t i = 0; i < LENGTH(workers); i++)
		twins.heaps[i] = busy_heap(&leaf);
	for (size_t i = 0; i < LENGTH(workers); i++) {
		workers[i] = thread_start(twins_worker, NULL);
		verifiers[i] = thread_start(twins_verifier, &twins.heaps[i]);
	}
	for (size_t i = 0; i < LENGTH(verifiers); i++)
		thread_join(verifiers[i]);
	atomic_store(&twins.stop, true);
	for (size_t i = 0; i < LENGTH(workers); i++)
		thread_join(workers[i]);
	for (size_t i = 0; i < LENGTH(workers); i++)
		expect_ok(gyre_heap_close(twins.heaps[i]));
	pthread_barrier_destroy(&twins.together);
	did_not_block();
}

static bool child_is_frozen(struct world *w, struct gyre_root *root)
{
	return gyre_unpark(w->m) == GYRE_OK && gyre_new(w->m, w->node) == NULL &&
	       gyre_store(w->m, &root->slot, NULL) == GYRE_FROZEN &&
	       gyre_collect(w->m, NULL) == GYRE_FROZEN && node_is(gyre_load(&root->slot), 1);
}

/*
 * In the child of a fork park and unpark do nothing, so a mutator that was parked at the fork keeps
 * that state for ever. The checks for misuse did not ask whether the heap is frozen before they
 * looked at the state: a child that called unpark and then allocated, as it may, was ended for
 * using a parked mutator. (Without -Dchecks=true there was nothing that could go wrong here.)
 */
static void a_child_may_unpark(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	pid_t child;
	int end = 0;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 1)));
	expect_ok(gyre_park(w->m));
	expect_ok(gyre_fork_before(w->heap));
	child = fork();
	if (child == 0) {
		blocks_never();
		_exit(gyre_fork_child(w->heap) == GYRE_OK && child_is_frozen(w, &root) ? 0 : 1);
	}
	expect_ok(gyre_fork_parent(w->heap));
	expect_ok(gyre_unpark(w->m));
	expect(child > 0 && waitpid(child, &end, 0) == child);
	expect(WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

struct box {
	gyre_ref item;
};

/*
 * Nothing that an object of an acyclic type refers to is traced through it, so a cycle that such an
 * object holds is garbage only when what held the object has been freed: one far pass is not enough
 * for a chain of them.
 */
static void cycles_behind_acyclic_objects(void **state)
{
	const struct gyre_type_desc desc =
		GYRE_TYPE(struct box, GYRE_REFS(GYRE_REF(struct box, item)), .flags = GYRE_ACYCLIC);
	struct world *w = *state;
	const struct gyre_type *type;
	struct gyre_root root;
	struct node *last = NULL;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	for (uint64_t i = 0; i < 8; i++) {
		struct node *a = node_new(w, w->m, i), *b = node_new(w, w->m, i);
		struct box *box = gyre_new(w->m, type);

		expect(box != NULL);
		expect_ok(gyre_init(w->m, &a->left, b));
		expect_ok(gyre_init(w->m, &b->left, a));
		expect_ok(gyre_init(w->m, &a->right, box));
		expect_ok(gyre_init(w->m, &box->item, last));
		last = a;
	}
	expect_ok(gyre_root_init(w->m, &root, last));
	/* Old, and proven live. */
	expect_live(w->m, 24);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_equal(world_collect(w->m), 24);
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(cycles_behind_acyclic_objects),
		cmocka_unit_test(a_heap_at_its_limit_recovers),
		cmocka_unit_test(a_refused_bulk_write_gives_back),
		world_test(closing_while_attached_elsewhere),
		world_test(forking_while_attached_elsewhere),
		cmocka_unit_test(heaps_with_shared_threads_verify_at_once),
		world_test(a_child_may_unpark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
