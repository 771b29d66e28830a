/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fork.c: fork with a heap open: the child reads, execs and exits, every other call tells it
 * that the heap is frozen, and the parent goes on as if nothing had been. A child says what was
 * wrong by its line on stderr and its exit status.
 */
#include "support.h"

#include <sys/wait.h>

#define child_expect(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: in the child: %s\n", __FILE__, __LINE__,           \
				#condition);                                                       \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* A tree of 7 nodes; ids as in a heap: children of i are 2i and 2i + 1. */
static struct node *tree(struct world *w, uint64_t id)
{
	struct node *n = node_new(w, w->m, id);

	if (id < 4) {
		expect_ok(gyre_init(w->m, &n->left, tree(w, 2 * id)));
		expect_ok(gyre_init(w->m, &n->right, tree(w, 2 * id + 1)));
	}
	return n;
}

static bool tree_sound(const struct node *n, uint64_t id)
{
	if (!node_is(n, id))
		return false;
	return id >= 4 || (tree_sound(gyre_load(&n->left), 2 * id) &&
			   tree_sound(gyre_load(&n->right), 2 * id + 1));
}

static void child_ends(pid_t child)
{
	int end = 0;

	expect(child > 0 && waitpid(child, &end, 0) == child);
	expect(WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
}

static void child_writes(struct world *w, struct gyre_root *root)
{
	struct node *n = gyre_load(&root->slot);
	void *old = NULL, *expected = gyre_load(&n->left);

	child_expect(gyre_new(w->m, w->node) == NULL);
	child_expect(gyre_new_array(w->m, w->refs, 5) == NULL);
	child_expect(gyre_new_array(w->m, w->bytes, 1 << 20) == NULL);
	child_expect(gyre_store(w->m, &n->left, NULL) == GYRE_FROZEN);
	child_expect(gyre_store_exclusive(w->m, &n->left, n) == GYRE_FROZEN);
	child_expect(gyre_exchange(w->m, &n->left, NULL, &old) == GYRE_FROZEN);
	child_expect(gyre_compare_exchange(w->m, &n->left, &expected, NULL) == GYRE_FROZEN);
	child_expect(gyre_array_fill(w->m, &n->left, 2, NULL) == GYRE_FROZEN);
	child_expect(gyre_array_copy(w->m, &n->left, &n->right, 1) == GYRE_FROZEN);
	child_expect(gyre_store(w->m, &root->slot, NULL) == GYRE_FROZEN);
	n = gyre_load(&((struct node *)gyre_load(&n->left))->left);
	child_expect(gyre_init(w->m, &n->left, n) == GYRE_FROZEN);
	child_expect(gyre_load(&n->left) == NULL);
	child_expect(tree_sound(gyre_load(&root->slot), 1));
}

static void child_manages(struct world *w, struct gyre_root *root)
{
	const struct gyre_type_desc desc = GYRE_TYPE(struct leaf);
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct gyre_snapshot *snapshot;
	struct gyre_root another;
	const struct gyre_type *type;
	struct gyre_mutator *m;

	child_expect(gyre_root_init(w->m, &another, NULL) == GYRE_FROZEN);
	child_expect(gyre_root_move(w->m, &another, root) == GYRE_FROZEN);
	child_expect(gyre_root_drop(w->m, root) == GYRE_FROZEN);
	child_expect(gyre_root_name(w->m, root, "none") == GYRE_FROZEN);
	child_expect(gyre_snapshot_take(w->m, &snapshot) == GYRE_FROZEN);
	child_expect(gyre_dump(w->m, STDERR_FILENO) == GYRE_FROZEN);
	child_expect(gyre_type_register(w->heap, &desc, &type) == GYRE_FROZEN);
	child_expect(gyre_attach(w->heap, 0, &m) == GYRE_FROZEN);
	child_expect(gyre_collect(w->m, NULL) == GYRE_FROZEN);
	child_expect(gyre_verify(w->m, &report, NULL, NULL) == GYRE_FROZEN);
	child_expect(gyre_fork_before(w->heap) == GYRE_FROZEN);
	child_expect(gyre_heap_close(w->heap) == GYRE_FROZEN);
	gyre_collect_soon(w->heap);
}

static void child_looks(struct world *w, struct gyre_root *root)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	struct gyre_type_stats of_type = { .size = sizeof(of_type) };
	struct gyre_thresholds thresholds = { .size = sizeof(thresholds) };

	(void)root;
	child_expect(gyre_type_next(w->heap, NULL) == NULL);
	child_expect(gyre_heap_stats(w->heap, &stats) == GYRE_FROZEN);
	child_expect(gyre_type_stats(w->node, &of_type) == GYRE_FROZEN);
	child_expect(gyre_exempt_all(w->m) == GYRE_FROZEN);
	child_expect(gyre_garbage_clear(w->m) == GYRE_FROZEN);
	child_expect(gyre_profile_start(w->heap, 1) == GYRE_FROZEN);
	child_expect(gyre_thresholds_get(w->heap, &thresholds) == GYRE_FROZEN);
}

/* Safe points, parks and frames do nothing: what was valid stays valid, and none of them blocks. */
static void child_rests(struct world *w, struct gyre_root *root)
{
	struct node *n = gyre_load(&root->slot);
	GYRE_KEEP(w->m, n);

	for (int i = 0; i < 3; i++) {
		gyre_safepoint(w->m);
		gyre_safepoint_slow(w->m);
		gyre_park(w->m);
		gyre_unpark(w->m);
	}
	child_expect(gyre_type_of(n) == w->node);
	child_expect(gyre_mutator_heap(w->m) == w->heap);
	child_expect(tree_sound(n, 1));
}

static pid_t fork_with(struct world *w)
{
	pid_t child;

	expect_ok(gyre_fork_before(w->heap));
	child = fork();
	if (child == 0) {
		alarm(120); /* a call that blocks in the child fails the test */
		child_expect(gyre_fork_child(w->heap) == GYRE_OK);
	} else {
		expect_ok(gyre_fork_parent(w->heap));
	}
	return child;
}

static void the_child_is_frozen(void **state)
{
	static void (*const parts[])(
		struct world *,
		struct gyre_root *) = { child_writes, child_manages, child_looks, child_rests };
	struct world *w = *state;
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, tree(w, 1)));
	for (size_t i = 0; i < LENGTH(parts); i++) {
		pid_t child = fork_with(w);

		if (child == 0) {
			child_expect(tree_sound(gyre_load(&root.slot), 1));
			parts[i](w, &root);
			_exit(0);
		}
		expect_live(w->m, 7); /* the parent goes on */
		child_ends(child);
	}
	expect(tree_sound(gyre_load(&root.slot), 1));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void the_child_may_exec(void **state)
{
	struct world *w = *state;
	pid_t child = fork_with(w);

	if (child == 0) {
		execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
		_exit(2);
	}
	child_ends(child);
	node_new(w, w->m, 1);
	expect_equal(world_collect(w->m), 1);
}

/*
 * fork failed, or was not called at all: gyre_fork_parent undoes. gyre_fork_before is a safe point,
 * so what a frame holds across it lives and what nothing holds may die there.
 */
static void the_parent_goes_on_without_a_child(void **state)
{
	struct world *w = *state;
	struct node *kept = node_new(w, w->m, 100);
	GYRE_KEEP(w->m, kept);

	for (uint64_t i = 0; i < 50; i++) {
		expect_ok(gyre_fork_before(w->heap));
		expect_ok(gyre_fork_parent(w->heap));
		node_new(w, w->m, i);
		expect(node_is(kept, 100));
		if (i % 10 == 0)
			expect_live(w->m, 1);
	}
	expect_live(w->m, 1);
	expect_equal(world_stats(w->heap).objects_reclaimed, 50);
	kept = NULL;
	expect_live(w->m, 0);
}

static void *fork_meanwhile(void *arg)
{
	struct world *w = arg;

	expect_status(gyre_fork_before(w->heap), GYRE_BUSY);
	return NULL;
}

static void two_threads_cannot_fork_at_once(void **state)
{
	struct world *w = *state;

	expect_ok(gyre_fork_before(w->heap));
	thread_join(thread_start(fork_meanwhile, w));
	expect_ok(gyre_fork_parent(w->heap));
	expect_ok(gyre_fork_before(w->heap));
	expect_ok(gyre_fork_parent(w->heap));
}

struct worker {
	struct world *w;
	struct gyre_root root;
	_Atomic(bool) stop;
	_Atomic(uint64_t) rounds;
};

static void *work(void *arg)
{
	struct worker *k = arg;
	struct gyre_mutator *m;

	while (!atomic_load(&k->stop)) {
		expect_ok(gyre_attach(k->w->heap, 0, &m));
		for (uint64_t i = 0; i < 2000; i++) {
			struct node *n = node_new(k->w, m, i);

			expect_ok(gyre_init(m, &n->left, n));
			expect_ok(gyre_store(m, &k->root.slot, n));
			gyre_safepoint(m);
		}
		atomic_fetch_add(&k->rounds, 1);
		expect_ok(gyre_detach(m));
	}
	return NULL;
}

/* The child has a heap of its own, though threads that it does not have were attached to the
 * other: no boundary waits for them. */
static void child_opens_its_own(void)
{
	struct gyre_options options;
	struct world *own;

	gyre_options_init(&options);
	own = world_make(&options);
	for (uint64_t i = 0; i < 3; i++) {
		struct node *n = node_new(own, own->m, i);

		child_expect(gyre_init(own->m, &n->left, n) == GYRE_OK);
		child_expect(world_collect(own->m) == 1);
	}
	world_end(own);
}

static void fork_beside(struct world *w, bool attached)
{
	struct worker workers[2] = { { .w = w }, { .w = w } };
	struct gyre_root root;
	pthread_t threads[2];
	pid_t child;

	expect_ok(gyre_root_init(w->m, &root, tree(w, 1)));
	for (int i = 0; i < 2; i++) {
		expect_ok(gyre_root_init(w->m, &workers[i].root, node_new(w, w->m, 1)));
		threads[i] = thread_start(work, &workers[i]);
	}
	if (!attached)
		expect_ok(gyre_detach(w->m));
	for (int i = 0; i < (SUPPORT_SLOW ? 3 : 8); i++) {
		child = fork_with(w);
		if (child == 0) {
			child_expect(tree_sound(gyre_load(&root.slot), 1));
			child_expect(node_sound(gyre_load(&workers[0].root.slot)));
			child_expect(node_sound(gyre_load(&workers[1].root.slot)));
			/* ThreadSanitizer allows no thread in such a child. */
			if (!SUPPORT_TSAN)
				child_opens_its_own();
			_exit(0);
		}
		if (attached)
			gyre_safepoint(w->m);
		child_ends(child);
	}
	if (!attached)
		expect_ok(gyre_attach(w->heap, 0, &w->m));
	atomic_store(&workers[0].stop, true);
	atomic_store(&workers[1].stop, true);
	expect_ok(gyre_park(w->m));
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 9);
	for (int i = 0; i < 2; i++)
		expect_ok(gyre_root_drop(w->m, &workers[i].root));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void fork_beside_threads_that_run(void **state)
{
	fork_beside(*state, true);
	fork_beside(*state, false);
}

static void fork_with_two_heaps(void **state)
{
	struct world *w = *state, *other;
	struct gyre_options options;
	struct gyre_root root;
	pid_t child;

	gyre_options_init(&options);
	other = world_make(&options);
	expect_ok(gyre_root_init(other->m, &root, tree(other, 1)));
	expect_ok(gyre_fork_before(w->heap));
	expect_ok(gyre_fork_before(other->heap));
	child = fork();
	if (child == 0) {
		child_expect(gyre_fork_child(w->heap) == GYRE_OK);
		child_expect(gyre_fork_child(other->heap) == GYRE_OK);
		child_expect(tree_sound(gyre_load(&root.slot), 1));
		child_expect(gyre_new(w->m, w->node) == NULL);
		child_expect(gyre_new(other->m, other->node) == NULL);
		_exit(0);
	}
	expect_ok(gyre_fork_parent(other->heap));
	expect_ok(gyre_fork_parent(w->heap));
	child_ends(child);
	expect_live(other->m, 7);
	expect_live(w->m, 0);
	expect_ok(gyre_root_drop(other->m, &root));
	world_end(other);
}

/* ---- weak cells and finalizers ---- */

static atomic_uint finalized;

static void count_finalized(struct gyre_mutator *m, void *object)
{
	(void)m;
	(void)object;
	atomic_fetch_add(&finalized, 1);
}

static void child_tells(struct gyre_mutator *m, void *arg)
{
	(void)m;
	(void)arg;
	_exit(3); /* nothing is called in a child */
}

static void child_ends_nothing(struct world *w, struct gyre_weak *cell, struct node *n,
			       struct gyre_weak *cleared, uint64_t id)
{
	uint64_t ran = 7;

	for (int i = 0; i < 3; i++) {
		child_expect(gyre_weak_load(w->m, cell) == n);
		child_expect(gyre_weak_load(w->m, cleared) == NULL);
	}
	child_expect(gyre_weak_of(w->m, n) == NULL);
	child_expect(gyre_weak_notify(w->m, cell, child_tells, NULL, 0, NULL) == GYRE_FROZEN);
	child_expect(gyre_weak_notify(w->m, cleared, child_tells, NULL, 0, NULL) == GYRE_FROZEN);
	child_expect(gyre_weak_unnotify(w->m, cell, id) == GYRE_FROZEN);
	child_expect(gyre_finalize_next(w->m, &ran) == GYRE_FROZEN && ran == 7);
	child_expect(gyre_finalize_wait(w->m) == GYRE_FROZEN);
	child_expect(gyre_finalizer_rearm(w->m, n) == GYRE_FROZEN);
	child_expect(gyre_heap_close(w->heap) == GYRE_FROZEN);
	child_expect(gyre_weak_load(w->m, cell) == n);
}

/* With a batch that waits or runs, and a finalizer thread or none. */
static void fork_with_finalizers(enum gyre_finalizing finalizing)
{
	const struct gyre_type_desc desc = GYRE_TYPE(struct leaf, .finalize = count_finalized);
	const struct gyre_type *type;
	struct gyre_options options;
	struct gyre_root roots[3];
	struct gyre_weak *cell, *cleared;
	struct world *w;
	uint64_t id;

	atomic_store(&finalized, 0);
	gyre_options_init(&options);
	options.finalizing = finalizing;
	w = world_make(&options);
	expect_ok(gyre_type_register(w->heap, &desc, &type));
	expect_ok(gyre_root_init(w->m, &roots[0], node_new(w, w->m, 1)));
	cell = gyre_weak_of(w->m, gyre_load(&roots[0].slot));
	expect_ok(gyre_root_init(w->m, &roots[1], cell));
	expect_ok(gyre_weak_notify(w->m, cell, child_tells, NULL, 0, &id));
	cleared = gyre_weak_of(w->m, node_new(w, w->m, 2));
	expect_ok(gyre_root_init(w->m, &roots[2], cleared));
	world_collect(w->m);
	for (unsigned i = 1; i <= 10; i++) {
		pid_t child;

		expect(gyre_new(w->m, type) != NULL);
		world_collect(w->m);
		child = fork_with(w);
		if (child == 0) {
			child_ends_nothing(w, cell, gyre_load(&roots[0].slot), cleared, id);
			_exit(0);
		}
		expect(gyre_new(w->m, type) != NULL);
		world_collect(w->m);
		expect_ok(gyre_finalize_wait(w->m));
		expect_equal(atomic_load(&finalized), 2 * i);
		child_ends(child);
	}
	expect(gyre_weak_load(w->m, cell) == gyre_load(&roots[0].slot));
	expect_ok(gyre_weak_unnotify(w->m, cell, id));
	for (unsigned i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
	world_end(w);
}

static void finalizers_survive_fork(void **state)
{
	(void)state;
	fork_with_finalizers(GYRE_FINALIZE_THREAD);
	fork_with_finalizers(GYRE_FINALIZE_HOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(the_child_is_frozen),
		world_test(the_child_may_exec),
		world_test(the_parent_goes_on_without_a_child),
		world_test(two_threads_cannot_fork_at_once),
		world_test(fork_beside_threads_that_run),
		world_test(fork_with_two_heaps),
		cmocka_unit_test(finalizers_survive_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
