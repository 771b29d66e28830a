/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pace.c: when a boundary is due, when a far pass is, how far it is behind, and what mutators
 * are delayed for it: each rule at its edge. The collector is held, and the figures that it goes by
 * are set by hand and put back. Main thread only.
 */
#include "held.h"

#include "engine.h"
#include "pressure.h"

#define EPOCH ((uint64_t)1 << 20)
#define DELAY_NS 1000000
#define HOUR_NS (3600u * (uint64_t)1000000000)

/* Epochs as long as can be: time makes no boundary due. */
static int slow_setup(void **state)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.epoch_ns = HOUR_NS;
	options.epoch_bytes = EPOCH;
	options.delay_ns = DELAY_NS;
	options.journal_limit = 16 * EPOCH;
	options.far_percent = 100;
	*state = world_make(&options);
	return 0;
}

static void set_volume(struct world *w, uint64_t bytes)
{
	atomic_store(&w->heap->pressure.volume, bytes);
}

static void boundaries_are_due(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = held_begin(w);
	uint64_t boundary_ns = c->boundary_ns;

	set_volume(w, EPOCH - 1);
	expect(gyre__boundary_due(c)); /* somebody wants something: this test holds it */
	c->thorough = true;
	expect(!gyre__boundary_due(c)); /* who asks for a collection waits for this one */
	set_volume(w, EPOCH);
	expect(gyre__boundary_due(c));
	set_volume(w, 0);
	c->boundary_ns = gyre__now_ns() - HOUR_NS;
	expect(gyre__boundary_due(c));
	c->boundary_ns = boundary_ns;
	c->thorough = false;
	held_end(w);
}

/* The length of an epoch after one of so many entries and deaths that took so long. */
static uint64_t interval_after(struct gyre__collector *c, uint64_t entries, uint64_t dead,
			       uint64_t took_ns)
{
	const struct gyre__collector_counters *counted = &c->heap->counted;

	/* What was counted up to the last epoch: so much less. */
	c->pace.entries = gyre__counter_get(&counted->journal_entries) - entries;
	c->pace.dead = gyre__counter_get(&counted->objects_reclaimed) - dead;
	gyre__pace_adapt(c, took_ns);
	expect_equal(c->pace.entries, gyre__counter_get(&counted->journal_entries));
	expect_equal(c->pace.dead, gyre__counter_get(&counted->objects_reclaimed));
	return c->pace.interval_ns;
}

/* Sixteen times what the last one took, up to 256 times what was asked for; not where an eighth of
 * the entries were deaths, nor in an engine that has an entry for each write. */
static void epochs_last_by_their_cost(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = held_begin(w);
	bool longer = w->heap->engine->coalesces;
	uint64_t interval_ns = c->pace.interval_ns;

	expect_equal(interval_after(c, 800, 0, HOUR_NS / 32), HOUR_NS);
	expect_equal(interval_after(c, 800, 99, HOUR_NS / 4), longer ? 4 * HOUR_NS : HOUR_NS);
	expect_equal(interval_after(c, 800, 0, 20 * HOUR_NS), longer ? 256 * HOUR_NS : HOUR_NS);
	expect_equal(interval_after(c, 800, 100, HOUR_NS), HOUR_NS);
	expect_equal(interval_after(c, 0, 0, HOUR_NS), HOUR_NS); /* nothing was written */
	c->pace.interval_ns = interval_ns;
	held_end(w);
}

/* The heap looks as if so many bytes had survived. */
static void survive(struct gyre__collector *c, uint64_t bytes)
{
	const struct gyre__collector_counters *counted = &c->heap->counted;
	size_t at = gyre__counter_get(&counted->epochs) % GYRE_YOUNG_EPOCHS;

	c->allocated_at[at] = gyre__counter_get(&counted->bytes_reclaimed) + bytes;
	expect_equal(gyre__surviving_bytes(c), bytes);
}

/* A fourth of what has survived, within bounds. */
static uint64_t volume_after(struct gyre__collector *c, uint64_t surviving)
{
	survive(c, surviving);
	gyre__pace_adapt(c, 0);
	expect_equal(gyre__pressure_epoch(c->heap), c->pace.volume);
	return c->pace.volume;
}

static void the_volume_grows_with_what_survives(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = held_begin(w);

	expect_equal(volume_after(c, 0), EPOCH);
	expect_equal(volume_after(c, 4 * EPOCH), EPOCH);
	expect_equal(volume_after(c, 20 * EPOCH), 5 * EPOCH);
	expect_equal(volume_after(c, 32 * EPOCH), 8 * EPOCH);
	expect_equal(volume_after(c, 1000 * EPOCH), 8 * EPOCH);
	w->heap->options.heap_limit = 96 * EPOCH;
	expect_equal(volume_after(c, 1000 * EPOCH), 3 * EPOCH);
	w->heap->options.heap_limit = 0;
	/* A boundary is due by it, and a delay. */
	expect_equal(volume_after(c, 20 * EPOCH), 5 * EPOCH);
	c->thorough = true;
	set_volume(w, 5 * EPOCH - 1);
	expect(!gyre__boundary_due(c));
	set_volume(w, 5 * EPOCH);
	expect(gyre__boundary_due(c));
	c->thorough = false;
	set_volume(w, 20 * EPOCH);
	expect_equal(gyre__pressure_delay_ns(w->heap), 0);
	set_volume(w, 80 * EPOCH);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS);
	set_volume(w, 0);
	expect_equal(volume_after(c, 0), EPOCH);
	held_end(w);
}

static void far_passes_are_due(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre__far before;
	uint32_t idle;

	node_new(w, w->m, 1);
	c = held_begin(w);
	before = c->far;
	idle = c->pace.idle_epochs;
	c->pace.idle_epochs = 0;
	expect_equal(gyre__counter_get(&w->heap->counted.objects_reclaimed), 1);
	/* More was reclaimed than was old: nothing is known to survive. */
	memset(c->allocated_at, 0, sizeof(c->allocated_at));
	expect_equal(gyre__surviving_bytes(c), 0);
	/* 100 percent more than the last one left, and two epochs. */
	c->far.base_bytes = 100 * EPOCH;
	c->far.ended_ns = gyre__now_ns(); /* its rest is not over */
	c->far.left = 1;
	survive(c, 202 * EPOCH);
	expect(!gyre__far_due(c));
	survive(c, 202 * EPOCH + 1);
	expect(gyre__far_due(c));
	c->far.left = 0;
	expect(!gyre__far_due(c)); /* nothing to begin from */
	c->far.left = 1;
	c->far.settling = true;
	expect(!gyre__far_due(c)); /* what the last one found is not judged yet */
	c->far.settling = false;
	c->thorough = true;
	expect(!gyre__far_due(c));
	c->thorough = false;
	c->far.phase = GYRE_FAR_MARK;
	expect(!gyre__far_due(c));
	c->far.phase = GYRE_FAR_IDLE;
	/* A heap that does not grow: a second, or 20 times what the last one took. */
	survive(c, 1);
	c->far.ended_ns = gyre__now_ns() - 2000000000;
	c->far.spent_ns = 0;
	expect(gyre__far_due(c));
	c->far.spent_ns = HOUR_NS;
	expect(!gyre__far_due(c));
	/* When nothing happens, at once. */
	c->pace.idle_epochs = 8;
	expect(gyre__far_due(c));
	c->pace.idle_epochs = 7;
	expect(!gyre__far_due(c));
	c->far.ended_ns = gyre__now_ns() - 20 * HOUR_NS;
	expect(gyre__far_due(c));
	c->far = before;
	c->pace.idle_epochs = idle;
	held_end(w);
}

static uint32_t lag_of(struct gyre__collector *c, uint64_t surviving)
{
	survive(c, surviving);
	gyre__publish_lag(c);
	return atomic_load(&c->heap->pressure.lag);
}

/* A far pass that the heap outgrows slows mutators: from a quarter over what called for it, to
 * twice that. */
static void a_late_far_pass_is_felt(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = held_begin(w);
	uint64_t base = c->far.base_bytes, due = 202 * EPOCH, from = due + due / 4 + 4 * EPOCH;

	c->far.base_bytes = 100 * EPOCH;
	expect_equal(lag_of(c, 3 * from), 0); /* no pass is under way */
	c->far.phase = GYRE_FAR_SCAN;
	expect_equal(lag_of(c, from), 0);
	expect_equal(gyre__pressure_delay_ns(w->heap), 0);
	expect_equal(lag_of(c, from + from / 2), 500);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS / 2);
	expect_equal(lag_of(c, 2 * from), 1000);
	expect_equal(lag_of(c, 9 * from), 1000);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS);
	/* The mutator is told when it takes memory next. */
	expect_equal(atomic_load(&w->m->head.poll) & GYRE_POLL_PRESSURE, 0);
	gyre__pressure_add(w->m, 1);
	expect(atomic_load(&w->m->head.poll) & GYRE_POLL_PRESSURE);
	set_volume(w, 0);
	c->far.phase = GYRE_FAR_IDLE;
	expect_equal(lag_of(c, 3 * from), 0);
	expect_equal(gyre__pressure_delay_ns(w->heap), 0);
	c->far.base_bytes = base;
	memset(c->allocated_at, 0, sizeof(c->allocated_at));
	held_end(w);
	expect_equal(atomic_load(&w->m->head.poll) & GYRE_POLL_PRESSURE, 0);
}

/* The delay by debt and by journals: nothing, in proportion, everything; the longer of the two. */
static void delays_grow_with_the_debt(void **state)
{
	struct world *w = (struct world *)*state;
	uint64_t journals, limit = 16 * EPOCH;

	held_begin(w);
	journals = gyre__counter_get(&w->heap->shared.journal_bytes);
	expect(journals <= limit / 4);
	set_volume(w, 4 * EPOCH);
	expect_equal(gyre__pressure_delay_ns(w->heap), 0);
	set_volume(w, 10 * EPOCH);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS / 2);
	set_volume(w, 16 * EPOCH);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS);
	set_volume(w, 7 * EPOCH);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS / 4);
	gyre__counter_set(&w->heap->shared.journal_bytes, limit / 4 + limit / 4 * 3 / 2);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS / 2);
	gyre__counter_set(&w->heap->shared.journal_bytes, limit);
	expect_equal(gyre__pressure_delay_ns(w->heap), DELAY_NS);
	gyre__pressure_wait(w->heap, DELAY_NS); /* nobody relieves it: it ends all the same */
	gyre__counter_set(&w->heap->shared.journal_bytes, journals);
	set_volume(w, 0);
	gyre__pressure_wait(w->heap, HOUR_NS); /* there is nothing to wait for */
	held_end(w);
}

/* Whether so many bytes more of journal wake the collector. */
static bool journal_wakes(struct world *w, size_t bytes)
{
	struct gyre__requests *r = &w->heap->collector->requests;
	bool awake;

	gyre__lock_take(&r->lock);
	r->awake = false;
	gyre__lock_drop(&r->lock);
	gyre__pressure_journal(w->m, bytes);
	gyre__lock_take(&r->lock);
	awake = r->awake;
	gyre__lock_drop(&r->lock);
	return awake;
}

/* An eighth of their limit since the boundary, whatever is being processed meanwhile; in an engine
 * that has an entry for each write they are debt like any other. */
static void journals_call_for_a_boundary(void **state)
{
	struct world *w = (struct world *)*state;
	uint64_t journals, share = 16 * EPOCH / 8;

	held_begin(w);
	journals = gyre__counter_get(&w->heap->shared.journal_bytes);
	gyre__pressure_boundary(w->heap);
	if (w->heap->engine->coalesces) {
		gyre__counter_set(&w->heap->shared.journal_bytes, share);
		expect(!journal_wakes(w, share - 1));
		expect(journal_wakes(w, 1));
		expect(!journal_wakes(w, share - 1));
		expect(journal_wakes(w, 1));
		gyre__pressure_boundary(w->heap);
		expect(!journal_wakes(w, share - 1));
	} else {
		expect(!journal_wakes(w, EPOCH - 1));
		expect(journal_wakes(w, 1));
	}
	gyre__pressure_boundary(w->heap);
	gyre__counter_set(&w->heap->shared.journal_bytes, journals);
	held_end(w);
}

static void unfinished_work_is_known(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = held_begin(w);
	struct gyre__chunk chunk;

	expect(!gyre__work_pending(c));
	c->journal_before = &chunk;
	expect(gyre__work_pending(c));
	c->journal_before = NULL;
	c->births_before = &chunk;
	expect(gyre__work_pending(c));
	c->births_before = NULL;
	c->young.count = 1;
	expect(gyre__work_pending(c));
	c->young.count = 0;
	c->aged.count = 1;
	expect(gyre__work_pending(c));
	c->aged.count = 0;
	c->sets_count = 1;
	expect(gyre__work_pending(c));
	c->sets_count = 0;
	c->far.phase = GYRE_FAR_MARK;
	expect(gyre__work_pending(c));
	c->far.phase = GYRE_FAR_IDLE;
	expect(!gyre__work_pending(c));
	held_end(w);
}

/* A heap in which nothing happens is looked at half as often each time, down to once a second or
 * two; when something happens, at once. That the test holds it ends each wait. */
static void an_idle_heap_is_left_alone(void **state)
{
	struct gyre_options options;
	struct gyre__collector *c;
	uint64_t most = 0;
	struct world *w;

	(void)state;
	gyre_options_init(&options);
	options.epoch_ns = 1000000;
	w = world_make(&options);
	c = held_begin(w);
	c->idle = true;
	c->idle_ns = options.epoch_ns;
	for (int i = 0; i < 20; i++) {
		uint64_t before = c->idle_ns;

		gyre__wait_for_work(c);
		expect(c->idle_ns == 2 * before || before >= 1000000000);
		most = c->idle_ns;
	}
	expect(most >= 1000000000 && most < 2000000000);
	c->idle = false;
	gyre__wait_for_work(c);
	expect_equal(c->idle_ns, options.epoch_ns);
	c->idle = true;
	gyre__wait_for_work(c);
	c->far.phase = GYRE_FAR_MARK;
	gyre__wait_for_work(c);
	expect_equal(c->idle_ns, options.epoch_ns);
	c->far.phase = GYRE_FAR_IDLE;
	held_end(w);
	world_end(w);
}

#define slow_test(f) cmocka_unit_test_setup_teardown(f, slow_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		slow_test(boundaries_are_due),
		slow_test(epochs_last_by_their_cost),
		slow_test(journals_call_for_a_boundary),
		slow_test(the_volume_grows_with_what_survives),
		slow_test(far_passes_are_due),
		slow_test(a_late_far_pass_is_felt),
		slow_test(delays_grow_with_the_debt),
		slow_test(unfinished_work_is_known),
		cmocka_unit_test(an_idle_heap_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
