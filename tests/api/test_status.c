/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_status.c: names and texts of the statuses, the version, the names of the delays. One thread,
 * no heap.
 */
#include "support.h"

static void statuses_have_names_and_texts(void **state)
{
	static const struct {
		enum gyre_status status;
		int number;
		const char *name, *text;
	} all[] = {
#define ROW(name, number, text) { name, number, #name, text },
		GYRE_STATUSES(ROW)
#undef ROW
	};

	(void)state;
	expect_equal(GYRE_OK, 0);
	for (size_t i = 0; i < LENGTH(all); i++) {
		assert_int_equal(all[i].status, all[i].number);
		assert_string_equal(gyre_status_name(all[i].status), all[i].name);
		assert_string_equal(gyre_status_text(all[i].status), all[i].text);
		expect(all[i].text[strlen(all[i].text) - 1] != '.');
		for (size_t j = 0; j < i; j++) {
			expect(all[i].status != all[j].status);
			expect(strcmp(all[i].text, all[j].text) != 0);
		}
	}
}

/* The numbers are part of the binary interface: written out again, so that no edit moves one. */
static void status_numbers_never_change(void **state)
{
	(void)state;
	expect_equal(GYRE_OK, 0);
	expect_equal(GYRE_INVALID, 1);
	expect_equal(GYRE_NO_MEMORY, 2);
	expect_equal(GYRE_JOURNAL_FULL, 3);
	expect_equal(GYRE_NO_THREAD, 4);
	expect_equal(GYRE_ATTACHED, 5);
	expect_equal(GYRE_BUSY, 6);
	expect_equal(GYRE_FROZEN, 7);
	expect_equal(GYRE_CHANGED, 8);
	expect_equal(GYRE_PARKED, 9);
	expect_equal(GYRE_LIMIT, 10);
	expect_equal(GYRE_DISAGREES, 11);
}

static void unknown_statuses_have_a_text(void **state)
{
	static const int strange[] = { -1, 12, 1000, INT32_MAX, INT32_MIN };

	(void)state;
	for (size_t i = 0; i < LENGTH(strange); i++) {
		const char *name = gyre_status_name((enum gyre_status)strange[i]);
		const char *text = gyre_status_text((enum gyre_status)strange[i]);

		expect(name && name[0]);
		expect(text && text[0]);
		expect(strcmp(name, "GYRE_OK") != 0);
	}
}

static void version_matches_the_header(void **state)
{
	char want[64];

	(void)state;
	snprintf(want, sizeof(want), "%d.%d.%d", GYRE_VERSION_MAJOR, GYRE_VERSION_MINOR,
		 GYRE_VERSION_PATCH);
	assert_string_equal(gyre_version(), want);
}

static void delays_have_names(void **state)
{
	(void)state;
	expect_equal(GYRE_DELAY_COUNT, 4);
	assert_string_equal(gyre_delay_name(GYRE_DELAY_BOUNDARY), "boundary");
	assert_string_equal(gyre_delay_name(GYRE_DELAY_JOURNAL), "journal");
	assert_string_equal(gyre_delay_name(GYRE_DELAY_ALLOCATION), "allocation");
	assert_string_equal(gyre_delay_name(GYRE_DELAY_PRESSURE), "pressure");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses_have_names_and_texts),
		cmocka_unit_test(status_numbers_never_change),
		cmocka_unit_test(unknown_statuses_have_a_text),
		cmocka_unit_test(version_matches_the_header),
		cmocka_unit_test(delays_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
