/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_profile_sampled.c: profiles by samples. What is estimated lies within seven standard
 * deviations of what the program did; threads that allocate while profiles start, stop and are read
 * lose no sample; and a leak comes first.
 *
 * The draws of a thread are the same in each run, but epochs end at other objects: so the bounds
 * are met or missed by chance once in 10^11 runs.
 */
#include "profiled.h"

#include <math.h>

NODE_PLACE(make_garbage)
NODE_PLACE(make_kept)
NODE_PLACE(make_cached)
NODE_PLACE(make_leaked)
BYTES_PLACE(make_arrays)

enum { SIGMAS = 7 };

/* The estimate for count objects that are sampled with probability p each is their number times
 * 1 / p, of variance count (1 - p) / p. */
static void expect_near(uint64_t estimate, uint64_t count, size_t bytes, double rate,
			const char *what)
{
	double p = -expm1(-(double)bytes / rate);
	double sigma = sqrt((double)count * (1 - p) / p);
	double off = fabs((double)estimate - (double)count);

	/* An estimate is rounded. */
	if (off > SIGMAS * sigma + 1)
		fprintf(stderr, "%s: %llu estimated, %llu made, sigma %.0f\n", what,
			(unsigned long long)estimate, (unsigned long long)count, sigma);
	expect(off <= SIGMAS * sigma + 1);
}

enum { GARBAGE = 400000, KEPT = 100000, RATE = 4096 };

static void estimates_are_near(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	struct refs *all = refs_new(w, w->m, KEPT);
	struct gyre_profile *p;
	struct gyre_profile_site site;

	expect_ok(gyre_root_init(w->m, &root, all));
	expect_ok(gyre_profile_start(w->heap, RATE));
	for (int i = 0; i < GARBAGE; i++) {
		make_garbage(w, w->m);
		if (i % 4 == 0)
			expect_ok(gyre_init(w->m, &all->items[i / 4], make_kept(w, w->m)));
		if (i % 64 == 0)
			gyre_safepoint(w->m);
	}
	world_collect(w->m);
	p = profile_take(w, 0);
	expect_equal(profile_totals(p).rate_bytes, RATE);
	site = profile_of(p, "make_garbage");
	expect(site.allocated.samples < GARBAGE / 50); /* one in 128 is */
	expect_near(site.allocated.objects, GARBAGE, NODE_BYTES, RATE, "garbage");
	expect_equal(site.freed.samples, site.allocated.samples);
	expect_equal(site.live.objects, 0);
	site = profile_of(p, "make_kept");
	expect_near(site.live.objects, KEPT, NODE_BYTES, RATE, "kept");
	expect_equal(site.live.bytes, (uint64_t)llround((double)site.live.samples * NODE_BYTES /
							-expm1(-(double)NODE_BYTES / RATE)));
	gyre_profile_free(p);
	for (int i = 0; i < KEPT; i += 2)
		expect_ok(gyre_store(w->m, &all->items[i], NULL));
	world_collect(w->m);
	p = profile_take(w, 0);
	site = profile_of(p, "make_kept");
	expect_near(site.live.objects, KEPT / 2, NODE_BYTES, RATE, "half of what was kept");
	expect_near(site.freed.objects, KEPT / 2, NODE_BYTES, RATE, "the other half");
	gyre_profile_free(p);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_ok(gyre_profile_stop(w->heap));
}

/* Small ones end runs, large ones are drawn by themselves: both by size. */
static void arrays_are_sampled_by_size(void **state)
{
	enum { OBJECTS = 3000, RATE_OF_ARRAYS = 40000 };
	static const size_t lengths[] = { 1000, 10000, 20000, 100000 };
	struct world *w = *state;

	expect_ok(gyre_profile_start(w->heap, RATE_OF_ARRAYS));
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		struct gyre_profile *before, *after;
		struct gyre_profile_amount was, is;
		uint64_t cell;

		before = profile_take(w, 0);
		for (int n = 0; n < OBJECTS; n++) {
			make_arrays(w, w->m, lengths[i]);
			gyre_safepoint(w->m);
		}
		after = profile_take(w, 0);
		was = profile_totals(before).allocated;
		is = profile_totals(after).allocated;
		expect(is.samples > was.samples);
		cell = (is.bytes - was.bytes + (is.objects - was.objects) / 2) /
		       (is.objects - was.objects);
		expect(cell >= lengths[i] && cell < 2 * lengths[i] + 65536);
		expect_near(is.objects - was.objects, OBJECTS, cell, RATE_OF_ARRAYS, "arrays");
		gyre_profile_free(before);
		gyre_profile_free(after);
	}
	expect_ok(gyre_profile_stop(w->heap));
	world_collect(w->m);
}

enum { THREADS = 2, TOGGLES = SUPPORT_SLOW ? 6 : 9 };

struct crowd {
	struct world *w;
	atomic_bool over;
	atomic_ullong made;
};

/* Garbage, cycles, and arrays of all sizes, as fast as it goes. */
static void *allocate(void *arg)
{
	struct crowd *crowd = arg;
	struct world *w = crowd->w;
	struct gyre_mutator *m;
	uint64_t made = 0;

	expect_ok(gyre_attach(w->heap, 0, &m));
	for (unsigned i = 0; !atomic_load(&crowd->over); i++, made += 3) {
		struct node *a = make_garbage(w, m), *b = make_kept(w, m);

		expect_ok(gyre_init(m, &a->left, b));
		expect_ok(gyre_init(m, &b->left, a));
		make_arrays(w, m, i % 5000 == 0 ? 50000 : 1 + i % 100);
		if (i % 32 == 0)
			gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	atomic_fetch_add(&crowd->made, made);
	return NULL;
}

static void check_profile(const struct gyre_profile *p)
{
	struct gyre_profile_totals totals = profile_totals(p);
	struct gyre_profile_amount live = { 0 };

	expect_equal(totals.lost, 0);
	expect_equal(totals.allocated.samples, totals.live.samples + totals.freed.samples);
	for (uint32_t i = 0; i < totals.sites; i++) {
		struct gyre_profile_site site = profile_site(p, i);

		expect(site.old.samples <= site.live.samples);
		expect_equal(site.allocated.samples, site.live.samples + site.freed.samples);
		profile_add(&live, site.live);
	}
	expect_equal(live.samples, totals.live.samples);
}

/* The main thread is attached in one run and parked in the other. */
static void crowded(struct world *w, bool parked)
{
	static const size_t rates[] = { 1, 512, 64 << 10 };
	struct crowd crowd = { .w = w };
	struct gyre_profile *p, *last = NULL;
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(allocate, &crowd);
	if (parked)
		expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < TOGGLES; i++) {
		expect_ok(gyre_profile_start(w->heap, rates[i % LENGTH(rates)]));
		p = profile_take(w, i % 2 ? 0 : 1000000);
		check_profile(p);
		expect_ok(gyre_profile_stop(w->heap));
		if (last != NULL)
			expect_ok(gyre_profile_compare(last, p));
		gyre_profile_free(last);
		last = p;
	}
	if (parked)
		expect_ok(gyre_unpark(w->m));
	expect(profile_totals(last).allocated.samples > 0);
	gyre_profile_free(last);
	expect_ok(gyre_park(w->m));
	atomic_store(&crowd.over, true);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	world_collect(w->m);
	p = profile_take(w, 0);
	check_profile(p);
	expect_equal(profile_totals(p).live.samples, 0);
	expect(profile_totals(p).freed.samples > 0);
	gyre_profile_free(p);
}

static void threads_lose_no_sample(void **state)
{
	crowded(*state, false);
	crowded(*state, true);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void rest(unsigned ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000L };

	nanosleep(&t, NULL);
}

/* Two generations with time between them; asked for what was born before its middle. */
static void old_objects_are_counted(void **state)
{
	struct world *w = *state;
	struct gyre_root roots[2];
	uint64_t first, middle, asked;
	struct gyre_profile *p;
	struct gyre_profile_site site;

	expect_ok(gyre_profile_start(w->heap, 1));
	expect_ok(gyre_root_init(w->m, &roots[0], make_cached(w, w->m)));
	first = now_ns();
	rest(5);
	middle = now_ns();
	do {
		rest(40);
		expect_ok(gyre_root_init(w->m, &roots[1], make_kept(w, w->m)));
		asked = now_ns();
		p = profile_take(w, asked - middle);
		if (now_ns() - asked < 35 * 1000000)
			break;
		/* Somebody held us up: what is young now is old by the time of the survey. */
		gyre_profile_free(p);
		expect_ok(gyre_root_drop(w->m, &roots[1]));
	} while (true);
	site = profile_of(p, "make_cached");
	expect_equal(site.live.objects, 1);
	expect_equal(site.old.objects, 1);
	site = profile_of(p, "make_kept");
	expect(site.live.objects >= 1);
	expect_equal(site.old.objects, 0);
	expect(profile_passes(p, 0, "make_cached"));
	expect(profile_site(p, 0).score == 1);
	expect(profile_site(p, 0).oldest_ns >= asked - first);
	expect(profile_site(p, 0).oldest_ns <= now_ns() - first + 1000000 * 100);
	gyre_profile_free(p);
	expect_ok(gyre_profile_stop(w->heap));
	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
}

/* A service with a cache that is always as full and always another, much garbage, and a leak that
 * is smaller than both. */
enum { CACHED = 8000, REQUESTS = 20000, LEAKED = REQUESTS / 20 };

struct service {
	struct world *w;
	struct gyre_root cache, leak;
	unsigned served;
};

/* Always called from the same place, or there would be two sites of everything. */
static void serve(struct service *s)
{
	struct world *w = s->w;
	struct refs *cache = gyre_load(&s->cache.slot);

	for (unsigned i = 0; i < REQUESTS; i++, s->served++) {
		make_garbage(w, w->m);
		expect_ok(gyre_store(w->m, &cache->items[s->served % CACHED],
				     make_cached(w, w->m)));
		if (i % 20 == 0) {
			struct node *n = make_leaked(w, w->m);

			expect_ok(gyre_init(w->m, &n->left, gyre_load(&s->leak.slot)));
			expect_ok(gyre_store(w->m, &s->leak.slot, n));
		}
		if (i % 16 == 0)
			gyre_safepoint(w->m);
	}
	world_collect(w->m);
}

/* Serves for a while, so many times, each followed by a profile. */
__attribute__((PROFILED_ALONE)) static void serve_and_take(struct service *s, unsigned times,
							   struct gyre_profile **profiles)
{
	for (unsigned i = 0; i < times; i++) {
		serve(s);
		profiles[i] = profile_take(s->w, 1000000);
		rest(5);
	}
}

static void find_leak(struct world *w, size_t rate)
{
	struct service s = { .w = w };
	struct gyre_profile *profiles[2], *before, *after;
	struct gyre_profile_site site;

	expect_ok(gyre_root_init(w->m, &s.cache, refs_new(w, w->m, CACHED)));
	expect_ok(gyre_root_init(w->m, &s.leak, NULL));
	expect_ok(gyre_profile_start(w->heap, rate));
	serve_and_take(&s, LENGTH(profiles), profiles);
	before = profiles[0];
	after = profiles[1];
	expect(profile_passes(after, 0, "make_cached")); /* most of what lives */
	expect_ok(gyre_profile_compare(before, after));
	expect(profile_passes(after, 0, "make_leaked"));
	site = profile_site(after, 0);
	expect(site.score > 0.3 && site.score <= 1);
	expect(profile_totals(after).sites < 2 || profile_site(after, 1).score <= site.score);
	expect_near((uint64_t)site.grown_objects, LEAKED, NODE_BYTES, (double)rate, "leaked");
	expect_near(site.live.objects, 2 * LEAKED, NODE_BYTES, (double)rate, "leaked in all");
	gyre_profile_free(before);
	gyre_profile_free(after);
	expect_ok(gyre_profile_stop(w->heap));
	expect_ok(gyre_root_drop(w->m, &s.cache));
	expect_ok(gyre_root_drop(w->m, &s.leak));
}

static void a_leak_comes_first(void **state)
{
	find_leak(*state, 1);
}

static void a_leak_comes_first_by_samples(void **state)
{
	find_leak(*state, 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(estimates_are_near),
		world_test(arrays_are_sampled_by_size),
		world_test(threads_lose_no_sample),
		world_test(old_objects_are_counted),
		world_test(a_leak_comes_first),
		world_test(a_leak_comes_first_by_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
