/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_word.c: the collector word: two counts and the flags do not touch each other, a link fits
 * where the counts were, and trial deletion looks only into what it may. One thread, no heap.
 */
#include "support.h"

#include "word.h"

static const uint64_t counts[] = { 0, 1, 2, 3, 1000, GYRE_COUNT_MAX - 1, GYRE_COUNT_MAX };

static uint64_t word_with(uint64_t rc, uint64_t crc, uint64_t flags)
{
	return crc << GYRE_CRC_SHIFT | rc << GYRE_RC_SHIFT | flags;
}

static void flags_are_apart(void **state)
{
	static const uint64_t flags[] = { GYRE_TRACE,	 GYRE_PURPLE, GYRE_IN_YOUNG,
					  GYRE_IN_TRACE, GYRE_IN_SET, GYRE_ORANGE,
					  GYRE_RELEASED, GYRE_STUCK,  GYRE_BORN,
					  GYRE_PROVEN,   GYRE_PENDING, GYRE_FINALIZED,
					  GYRE_IN_ZEROS, GYRE_EXEMPT };
	uint64_t all = 0;

	(void)state;
	for (size_t i = 0; i < LENGTH(flags); i++) {
		expect_equal(all & flags[i], 0);
		all |= flags[i];
	}
	expect_equal(all, GYRE_FLAGS);
	expect_equal(GYRE_FLAGS & word_with(GYRE_COUNT_MAX, GYRE_COUNT_MAX, 0), 0);
	expect_equal(GYRE_FLAGS | word_with(GYRE_COUNT_MAX, GYRE_COUNT_MAX, 0), UINT64_MAX >> 1);
	expect_equal(GYRE_LISTED & (GYRE_RELEASED | GYRE_BORN | GYRE_ORANGE | GYRE_PURPLE), 0);
	/* The three colours of a trial, and none. */
	expect(gyre__is_gray(GYRE_GRAY) && !gyre__is_red(GYRE_GRAY) &&
	       !gyre__is_newborn(GYRE_GRAY));
	expect(!gyre__is_gray(GYRE_RED) && gyre__is_red(GYRE_RED) && !gyre__is_newborn(GYRE_RED));
	expect(gyre__is_newborn(GYRE_NEWBORN_TRACE) && !gyre__is_gray(GYRE_NEWBORN_TRACE) &&
	       !gyre__is_red(GYRE_NEWBORN_TRACE));
	expect(!gyre__is_gray(~GYRE_TRACE) && !gyre__is_red(~GYRE_TRACE) &&
	       !gyre__is_newborn(~GYRE_TRACE));
}

/* Every count with every other and all or no flags: what is read is what was put in. */
static void counts_are_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(counts); i++) {
		for (size_t j = 0; j < LENGTH(counts); j++) {
			for (int full = 0; full < 2; full++) {
				uint64_t flags = full ? GYRE_FLAGS : 0;
				uint64_t word = word_with(counts[i], counts[j], flags);

				expect_equal(gyre__rc(word), counts[i]);
				expect_equal(gyre__crc(word), counts[j]);
				expect_equal(word & GYRE_FLAGS, flags);
				word = gyre__crc_from_rc(word);
				expect_equal(gyre__rc(word), counts[i]);
				expect_equal(gyre__crc(word), counts[i]);
				expect_equal(word & GYRE_FLAGS, flags);
			}
		}
	}
}

/* One up and one down of either count, up to its edges, changes nothing else. */
static void arithmetic_stays_inside(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(counts); i++) {
		for (size_t j = 0; j < LENGTH(counts); j++) {
			uint64_t word = word_with(counts[i], counts[j], GYRE_FLAGS);

			if (counts[i] < GYRE_COUNT_MAX)
				expect_equal(word + GYRE_RC_ONE,
					     word_with(counts[i] + 1, counts[j], GYRE_FLAGS));
			if (counts[i] > 0)
				expect_equal(word - GYRE_RC_ONE,
					     word_with(counts[i] - 1, counts[j], GYRE_FLAGS));
			if (counts[j] < GYRE_COUNT_MAX)
				expect_equal(word + GYRE_CRC_ONE,
					     word_with(counts[i], counts[j] + 1, GYRE_FLAGS));
			if (counts[j] > 0)
				expect_equal(word - GYRE_CRC_ONE,
					     word_with(counts[i], counts[j] - 1, GYRE_FLAGS));
		}
	}
}

/* Every aligned address that a system gives unasked fits, and the flags stay as they were. */
static void links_come_back(void **state)
{
	(void)state;
	for (unsigned bit = 3; bit < 52; bit++) {
		uint64_t one = (uint64_t)1 << bit;
		uint64_t addresses[] = { one, one - 8, one | 8, one | (one - 8) };

		for (size_t i = 0; i < LENGTH(addresses); i++) {
			void *address = (void *)(uintptr_t)addresses[i];
			uint64_t word = gyre__with_link(UINT64_MAX, address);

			expect(gyre__link(word) == address);
			expect_equal(word & GYRE_FLAGS, GYRE_FLAGS);
			word = gyre__with_link(GYRE_RELEASED | GYRE_BORN, address);
			expect(gyre__link(word) == address);
			expect_equal(word & GYRE_FLAGS, GYRE_RELEASED | GYRE_BORN);
			/* A second link replaces the first. */
			expect(gyre__link(gyre__with_link(word, NULL)) == NULL);
		}
	}
}

/* Every combination of flags, by the rule as word.h words it. */
static void only_what_may_be_traced_is(void **state)
{
	struct gyre__locator cyclic = { .acyclic = 0 }, acyclic = { .acyclic = 1 };
	unsigned traceable = 0;

	(void)state;
	for (uint64_t flags = 0; flags <= GYRE_FLAGS; flags++) {
		for (uint64_t rc = 0; rc < 2; rc++) {
			uint64_t word = word_with(rc, 0, flags);
			bool may = true;

			if (!(flags & GYRE_BORN) || (flags & GYRE_TRACE) == GYRE_NEWBORN_TRACE)
				may = false;
			if (flags & GYRE_RELEASED || flags & GYRE_STUCK || flags & GYRE_IN_SET ||
			    flags & GYRE_EXEMPT)
				may = false;
			if (rc == 0)
				may = false;
			expect(gyre__traceable(word, &cyclic) == may);
			expect(!gyre__traceable(word, &acyclic));
			traceable += may;
		}
	}
	/* Three colours; PURPLE, IN_YOUNG, IN_TRACE, ORANGE, PROVEN, PENDING, FINALIZED and
	 * IN_ZEROS do not matter. */
	expect_equal(traceable, 3 * 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_apart),	   cmocka_unit_test(counts_are_apart),
		cmocka_unit_test(arithmetic_stays_inside), cmocka_unit_test(links_come_back),
		cmocka_unit_test(only_what_may_be_traced_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
