/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_qsbr.c: hosts that use liburcu's QSBR flavour themselves. A thread that the host registered
 * is attached with the flag or without; gyre neither registers it again (which would end the
 * process) nor changes its state, and boundaries go by what the host announces. The main thread is
 * never registered by the host.
 */
#include "support.h"

#include <urcu/urcu-qsbr.h>

struct host {
	struct world *w;
	unsigned flags;
	struct gate here, go;
	struct gyre_root root;
	_Atomic(bool) stop;
};

/* A thread that does the host's QSBR and gyre's safe points in one loop. */
static void *host_works(void *arg)
{
	struct host *h = arg;
	struct gyre_mutator *m;

	urcu_qsbr_register_thread();
	expect_ok(gyre_attach(h->w->heap, h->flags, &m));
	expect_ok(gyre_root_init(m, &h->root, node_new(h->w, m, 1)));
	gate_open(&h->here, 1);
	for (uint64_t i = 0; !atomic_load(&h->stop); i++) {
		expect_ok(gyre_store(m, &h->root.slot, node_new(h->w, m, i)));
		gyre_safepoint(m);
		expect(urcu_qsbr_read_ongoing()); /* gyre left the state as it was */
		urcu_qsbr_quiescent_state();
		expect(node_is(gyre_load(&h->root.slot), i));
	}
	expect_ok(gyre_root_drop(m, &h->root));
	expect_ok(gyre_detach(m));
	expect(urcu_qsbr_read_ongoing());
	urcu_qsbr_quiescent_state();
	urcu_qsbr_unregister_thread();
	return NULL;
}

/* A thread that parks with the host's state offline, and with it online until it blocks. */
static void *host_sleeps(void *arg)
{
	struct host *h = arg;
	struct gyre_mutator *m;

	urcu_qsbr_register_thread();
	urcu_qsbr_thread_offline();
	expect_ok(gyre_attach(h->w->heap, h->flags, &m));
	expect(!urcu_qsbr_read_ongoing());
	urcu_qsbr_thread_online();
	expect_ok(gyre_root_init(m, &h->root, node_new(h->w, m, 7)));
	expect_ok(gyre_park(m));
	expect(urcu_qsbr_read_ongoing());
	urcu_qsbr_thread_offline();
	gate_open(&h->here, 1);
	gate_wait(&h->go, 1);
	expect_ok(gyre_unpark(m));
	expect(!urcu_qsbr_read_ongoing());
	gyre_safepoint(m);
	expect(!urcu_qsbr_read_ongoing());
	urcu_qsbr_thread_online();
	expect(node_is(gyre_load(&h->root.slot), 7));
	expect_ok(gyre_root_drop(m, &h->root));
	urcu_qsbr_thread_offline();
	world_collect(m); /* waits for boundaries, so the host is offline meanwhile */
	expect(!urcu_qsbr_read_ongoing());
	expect_ok(gyre_detach(m));
	urcu_qsbr_thread_online();
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void host_at_work(struct world *w, unsigned flags)
{
	struct host h = { .w = w, .flags = flags, .here = GATE_CLOSED, .go = GATE_CLOSED };
	pthread_t thread = thread_start(host_works, &h);

	expect_ok(gyre_park(w->m));
	gate_wait(&h.here, 1);
	expect_ok(gyre_unpark(w->m));
	for (uint64_t i = 0; i < (SUPPORT_SLOW ? 3 : 10); i++) {
		node_new(w, w->m, i);
		expect(world_collect(w->m) >= 1);
	}
	world_verify(w->m);
	atomic_store(&h.stop, true);
	expect_ok(gyre_park(w->m));
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
}

static void host_asleep(struct world *w, unsigned flags)
{
	struct host h = { .w = w, .flags = flags, .here = GATE_CLOSED, .go = GATE_CLOSED };
	pthread_t thread = thread_start(host_sleeps, &h);

	expect_ok(gyre_park(w->m));
	gate_wait(&h.here, 1);
	expect_ok(gyre_unpark(w->m));
	for (int i = 0; i < 5; i++)
		expect_live(w->m, 1); /* would hang, did a boundary wait for it */
	expect_ok(gyre_park(w->m));
	gate_open(&h.go, 1);
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
}

static void host_with_the_flag(void **state)
{
	host_at_work(*state, GYRE_ATTACH_QSBR);
	host_asleep(*state, GYRE_ATTACH_QSBR);
}

static void host_without_the_flag(void **state)
{
	host_at_work(*state, 0);
	host_asleep(*state, 0);
}

/* gyre unregisters what it registered: the host may register the thread afterwards, and again. */
static void *register_afterwards(void *arg)
{
	struct world *w = arg;
	struct gyre_mutator *m;

	for (int i = 0; i < 5; i++) {
		expect_ok(gyre_attach(w->heap, 0, &m));
		node_new(w, m, 1);
		gyre_safepoint(m);
		expect_ok(gyre_detach(m));
		urcu_qsbr_register_thread();
		expect(urcu_qsbr_read_ongoing());
		expect_ok(gyre_attach(w->heap, 0, &m));
		node_new(w, m, 1);
		expect_ok(gyre_detach(m));
		urcu_qsbr_unregister_thread();
	}
	return NULL;
}

static void hosts_may_register_afterwards(void **state)
{
	struct world *w = *state;

	expect_ok(gyre_park(w->m));
	thread_join(thread_start(register_afterwards, w));
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
}

/* The host's own grace periods work beside gyre's, with gyre's mutators in the same registry. */
static void the_hosts_grace_periods_pass(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < (SUPPORT_SLOW ? 5 : 20); i++) {
		expect_ok(gyre_park(w->m)); /* offline: the wait below is not for itself */
		urcu_qsbr_synchronize_rcu();
		expect_ok(gyre_unpark(w->m));
		node_new(w, w->m, 1);
		expect_equal(world_collect(w->m), 1);
	}
}

/* A registered thread that ends while attached to gyre, after the host unregistered it. */
static void *die_registered(void *arg)
{
	struct host *h = arg;
	struct gyre_mutator *m;

	urcu_qsbr_register_thread();
	expect_ok(gyre_attach(h->w->heap, GYRE_ATTACH_QSBR, &m));
	expect_ok(gyre_store(m, &h->root.slot, node_new(h->w, m, 6)));
	node_new(h->w, m, 7);
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void host_threads_may_die_attached(void **state)
{
	struct world *w = *state;
	struct host h = { .w = w };

	expect_ok(gyre_root_init(w->m, &h.root, NULL));
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(die_registered, &h));
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 1);
	expect(node_is(gyre_load(&h.root.slot), 6));
	expect_equal(world_stats(w->heap).orphans, 1);
	expect_ok(gyre_root_drop(w->m, &h.root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(host_with_the_flag),
		world_test(host_without_the_flag),
		world_test(hosts_may_register_afterwards),
		world_test(the_hosts_grace_periods_pass),
		world_test(host_threads_may_die_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
