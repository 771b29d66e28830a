/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tagged_profile.c: the draws that say which allocations are sampled, one by one and where
 * each run ends at a boundary; and what the collector knows of a sample.
 */
#include "turn.h"

#include <math.h>

#include "profile.h"
#include "side.h"

/* count of so many were drawn that have probability p each: within seven standard deviations. */
static void expect_share(uint64_t count, uint64_t of, double p)
{
	double off = fabs((double)count - (double)of * p);

	if (off > 7 * sqrt((double)of * p * (1 - p)) + 1)
		fprintf(stderr, "%llu of %llu, with probability %f\n", (unsigned long long)count,
			(unsigned long long)of, p);
	expect(off <= 7 * sqrt((double)of * p * (1 - p)) + 1);
}

/* The number that goes by is geometric, cut at what was asked for. */
static void draws_are_geometric(void **state)
{
	static const struct {
		size_t bytes;
		uint64_t rate;
	} cases[] = { { 32, 32 }, { 32, 4096 }, { 5000, 4096 }, { 16, 512 << 10 } };
	enum { DRAWS = 200000, CELLS = 64 };
	struct world *w = *state;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		double p = -expm1(-(double)cases[i].bytes / (double)cases[i].rate);
		uint64_t first = 0, second = 0, none = 0;

		expect_ok(gyre_profile_start(w->heap, cases[i].rate));
		for (int n = 0; n < DRAWS; n++) {
			uint32_t passed = gyre__sample_after(w->m, cases[i].bytes, CELLS);

			expect(passed <= CELLS);
			first += passed == 0;
			second += passed == 1;
			none += passed == CELLS;
		}
		expect_share(first, DRAWS, p);
		expect_share(second, DRAWS, (1 - p) * p);
		expect_share(none, DRAWS, pow(1 - p, CELLS));
		expect_ok(gyre_profile_stop(w->heap));
		expect(fabs(gyre__sample_weight(cases[i].bytes, cases[i].rate) * p - 1) < 1e-9);
	}
	expect_ok(gyre_profile_start(w->heap, 1));
	expect_equal(gyre__sample_after(w->m, 16, CELLS), 0);
	expect(gyre__sample_weight(16, 1) == 1);
	expect_ok(gyre_profile_stop(w->heap));
}

/* What was drawn for the objects behind a boundary must weigh neither less nor more: one or two
 * nodes an epoch, of which two in five are sampled. */
static void boundaries_change_no_chances(void **state)
{
	enum { ROUNDS = 1500, RATE = 64 };
	struct world *w = *state;
	uint64_t made = 0, sampled = 0;

	turn_hold(w);
	expect_ok(gyre_profile_start(w->heap, RATE));
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i <= round % 2; i++, made++)
			sampled += gyre__side_get(node_new(w, w->m, 1), GYRE_SIDE_SAMPLE) != NULL;
		turn_whole(w);
	}
	expect_share(sampled, made, -expm1(-(double)sizeof(struct node) / RATE));
	expect_ok(gyre_profile_stop(w->heap));
	node_new(w, w->m, 1);
	expect_equal(w->m->sample_rate, 0);
	turn_let_go(w);
}

struct look {
	const struct node *sampled, *plain;
	uint32_t sites[2];
};

static void look_at(struct gyre__collector *c, void *arg)
{
	struct look *look = arg;

	(void)c;
	look->sites[0] = gyre__site_of(look->sampled);
	look->sites[1] = gyre__site_of(look->plain);
}

static void the_collector_knows_sites(void **state)
{
	struct world *w = *state;
	struct look look;
	struct gyre_root roots[2];
	char text[4096];

	expect_equal(gyre__sites_count(w->heap), 0);
	expect_equal(gyre__site_name(w->heap, 0, text, sizeof(text)), 0);
	look.plain = turn_rooted(w, &roots[0], 1);
	expect_ok(gyre_profile_start(w->heap, 1));
	look.sampled = turn_rooted(w, &roots[1], 2);
	expect_ok(gyre_profile_stop(w->heap));
	expect_ok(gyre_park(w->m));
	gyre__collector_errand(w->heap, look_at, &look);
	expect_ok(gyre_unpark(w->m));
	expect_equal(look.sites[0], 0);
	expect_equal(look.sites[1], GYRE_NO_SITE);
	expect_equal(gyre__sites_count(w->heap), 1);
	expect(gyre__site_name(w->heap, 0, text, sizeof(text)) > 0);
	expect(strchr(text, '<') != NULL);
	/* A slab with samples is no other to how objects die. */
	expect(gyre__has_any(gyre__locator_of(look.sampled), GYRE_SPECIAL_SAMPLED));
	expect_equal(gyre__special(gyre__locator_of(look.sampled)), 0);
	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(draws_are_geometric),
		world_test(boundaries_change_no_chances),
		world_test(the_collector_knows_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
