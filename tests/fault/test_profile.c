/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_profile.c: the system refuses memory at the n-th call of a thread that profiles, for every n
 * until nothing is refused; and many calls in a row.
 *
 * Invariants: a call that fails answers that there is no memory and has done nothing, so it is
 * repeated. An allocation that succeeds is a sample or is counted as lost, whatever was refused,
 * and what is a sample is followed to its end. All that was got is given back.
 */
#include "insist.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { NODES = 300, LEAVES = 40 };

/* From two sites; large ones, too, have a table of their own. */
static uint64_t make_objects(struct world *w, struct refs *all)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < NODES; i++, count++) {
		struct node *n;

		insist(made(n, gyre_new(w->m, w->node)), NO_MEMORY);
		insist(gyre_store(w->m, &all->items[i], n), NO_MEMORY);
	}
	for (unsigned i = 0; i < LEAVES; i++, count += 2) {
		struct bytes *b;
		struct leaf *leaf;

		insist(made(leaf, gyre_new(w->m, w->leaf)), NO_MEMORY);
		insist(made(b, gyre_new_array(w->m, w->bytes, 20000)), NO_MEMORY);
		insist(gyre_store(w->m, &all->items[NODES + i], b), NO_MEMORY);
	}
	return count;
}

static struct gyre_profile_totals totals_of(const struct gyre_profile *p)
{
	struct gyre_profile_totals totals = { .size = sizeof(totals) };

	expect_ok(gyre_profile_totals(p, &totals));
	return totals;
}

static void write_both(const struct gyre_profile *p)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);

	expect(fd >= 0);
	insist(gyre_profile_write(p, GYRE_PROFILE_PPROF, fd), NO_MEMORY);
	expect(lseek(fd, 0, SEEK_CUR) > 0);
	insist(gyre_profile_write(p, GYRE_PROFILE_FOLDED, fd), NO_MEMORY);
	close(fd);
}

static void work(struct world *w, struct refs *all)
{
	struct gyre_profile *before, *after;
	struct gyre_profile_totals totals;
	uint64_t made_in_all;

	insist(gyre_profile_start(w->heap, 1), NO_MEMORY);
	made_in_all = make_objects(w, all);
	insist(gyre_profile_take(w->heap, 0, &before), NO_MEMORY);
	totals = totals_of(before);
	expect_equal(totals.allocated.samples + totals.lost, made_in_all);
	expect_equal(totals.allocated.samples, totals.live.samples + totals.freed.samples);
	write_both(before);
	expect_ok(gyre_profile_stop(w->heap));
	for (unsigned i = 0; i < NODES + LEAVES; i++)
		insist(gyre_store(w->m, &all->items[i], NULL), NO_MEMORY);
	wrap_grant();
	world_collect(w->m);
	insist(gyre_profile_take(w->heap, 0, &after), NO_MEMORY);
	expect_ok(gyre_profile_compare(before, after));
	expect_equal(totals_of(after).live.samples, 0);
	expect_equal(totals_of(after).freed.samples, totals.allocated.samples);
	expect_equal(totals_of(after).lost, totals.lost);
	gyre_profile_free(before);
	gyre_profile_free(after);
}

/* Whether anything was refused; *calls: how many there were. */
static bool run(unsigned first, unsigned count, unsigned *calls)
{
	struct wrap_held before = wrap_held(), after;
	struct gyre_options options;
	struct gyre_root root;
	struct refs *all;
	struct world *w;
	bool refused;

	alarm(120);
	gyre_options_init(&options);
	w = world_make(&options);
	all = refs_new(w, w->m, NODES + LEAVES);
	expect_ok(gyre_root_init(w->m, &root, all));
	world_collect(w->m);
	wrap_role = WRAP_MAIN;
	wrap_refuse(WRAP_MAIN, first, count);
	work(w, all);
	wrap_role = WRAP_TEST;
	refused = wrap_refused() > 0;
	*calls = wrap_calls(WRAP_MAIN);
	wrap_grant();
	expect_ok(gyre_root_drop(w->m, &root));
	world_end(w);
	after = wrap_held();
	expect_equal(after.blocks, before.blocks);
	expect_equal(after.bytes_mapped, before.bytes_mapped);
	alarm(0);
	return refused;
}

static void refuse_every(unsigned count)
{
	unsigned n = 1, runs = 0, calls;

	while (run(n, count, &calls)) {
		n += SUPPORT_SANITIZED ? 7 : 1;
		runs++;
	}
	fprintf(stderr, "calls up to %u refused, %u at a time, in %u runs\n", n - 1, count, runs);
	expect(runs > 10);
}

static void nothing_is_refused(void **state)
{
	unsigned calls;

	(void)state;
	expect(!run(1, 0, &calls));
	expect(calls > 60);
}

static void one_call(void **state)
{
	(void)state;
	refuse_every(1);
}

static void many_calls(void **state)
{
	(void)state;
	refuse_every(5);
	refuse_every(60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_refused),
		cmocka_unit_test(one_call),
		cmocka_unit_test(many_calls),
	};

	wrap_role = WRAP_TEST;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
