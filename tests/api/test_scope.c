/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_scope.c: a scope closes what is in it once, the last added first, on every way out of its
 * block; what was taken out lives on; closing functions that fail and that add; misuse. (Without
 * memory: tests/fault/test_collections.c.)
 */
#include "support.h"

#include <fcntl.h>

/* What was closed, in order, by number. */
static struct {
	int numbers[256];
	size_t count;
} closed;

static int things[256];

static int close_thing(void *thing)
{
	expect(closed.count < LENGTH(closed.numbers));
	closed.numbers[closed.count++] = (int)((int *)thing - things);
	return 0;
}

static int close_badly(void *thing)
{
	close_thing(thing);
	return (int)((int *)thing - things);
}

/* Expects that just these were closed since the last call, in this order. */
static void expect_closed_at(const int *numbers, size_t count, const char *file, int line)
{
	support_equal(closed.count, count, "things closed", file, line);
	for (size_t i = 0; i < count; i++)
		support_equal((uint64_t)closed.numbers[i], (uint64_t)numbers[i], "thing closed",
			      file, line);
	closed.count = 0;
}

#define expect_closed(...)                                                                         \
	expect_closed_at((const int[]){ __VA_ARGS__ },                                             \
			 sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int), __FILE__, __LINE__)
#define expect_none_closed() expect_equal(closed.count, 0)

static void add(struct gyre_scope *scope, int first, int last)
{
	for (int i = first; i <= last; i++)
		expect_ok(gyre_scope_add(scope, &things[i], close_thing));
}

static void the_end_of_the_block_closes(void **state)
{
	(void)state;
	{
		GYRE_SCOPE(scope);

		add(&scope, 1, 3);
		expect_none_closed();
	}
	expect_closed(3, 2, 1);
	{
		GYRE_SCOPE(empty);
		expect_equal(empty.count, 0);
	}
	expect_none_closed();
}

static int returns_early(int early)
{
	GYRE_SCOPE(scope);

	add(&scope, 1, 2);
	if (early == 1)
		return 10;
	add(&scope, 3, 3);
	{
		GYRE_SCOPE(inner);

		add(&inner, 11, 12);
		if (early == 2)
			return 20;
	}
	add(&scope, 4, 4);
	return 30;
}

static void return_closes(void **state)
{
	(void)state;
	expect_equal(returns_early(1), 10);
	expect_closed(2, 1);
	expect_equal(returns_early(2), 20);
	expect_closed(12, 11, 3, 2, 1);
	expect_equal(returns_early(0), 30);
	expect_closed(12, 11, 4, 3, 2, 1);
}

static void break_continue_and_goto_close(void **state)
{
	(void)state;
	for (int i = 0;; i++) {
		GYRE_SCOPE(scope);

		add(&scope, i, i);
		if (i < 2)
			continue;
		add(&scope, 10, 10);
		break;
	}
	expect_closed(0, 1, 10, 2);
	{
		GYRE_SCOPE(outer);

		add(&outer, 1, 1);
		for (int i = 2;; i++) {
			GYRE_SCOPE(scope);

			add(&scope, i, i);
			if (i == 3)
				goto out;
		}
out:
		expect_closed(2, 3);
	}
	expect_closed(1);
}

/* Past the entries that need no memory, and far past. */
static void many_are_closed_in_reverse(void **state)
{
	(void)state;
	for (int count = 0; count < 200; count++) {
		{
			GYRE_SCOPE(scope);

			if (count > 0)
				add(&scope, 1, count);
		}
		expect_equal(closed.count, count);
		for (int i = 0; i < count; i++)
			expect_equal(closed.numbers[i], count - i);
		closed.count = 0;
	}
}

static void what_is_taken_is_not_closed(void **state)
{
	(void)state;
	for (int last = 2; last < 12; last++) {
		for (int taken = 1; taken <= last; taken++) {
			int want = last;

			{
				GYRE_SCOPE(scope);

				add(&scope, 1, last);
				expect(gyre_scope_take(&scope, &things[taken]));
				expect(!gyre_scope_take(&scope, &things[taken]));
				expect(!gyre_scope_take(&scope, &things[0]));
			}
			expect_equal(closed.count, last - 1);
			for (size_t i = 0; i < closed.count; i++, want--) {
				want -= want == taken;
				expect_equal(closed.numbers[i], want);
			}
			closed.count = 0;
		}
	}
}

/* Of a pointer that was added several times the last is taken, and each is closed. */
static void one_pointer_several_times(void **state)
{
	GYRE_SCOPE(scope);

	(void)state;
	add(&scope, 1, 2);
	expect_ok(gyre_scope_add(&scope, &things[1], close_badly));
	add(&scope, 1, 1);
	expect(gyre_scope_take(&scope, &things[1]));
	expect_equal(gyre_scope_close(&scope), 1);
	expect_closed(1, 2, 1);
}

static void closing_functions_fail(void **state)
{
	struct gyre_scope scope;

	(void)state;
	gyre_scope_open(&scope);
	expect_equal(gyre_scope_close(&scope), 0);
	add(&scope, 1, 1);
	expect_ok(gyre_scope_add(&scope, &things[5], close_badly));
	expect_ok(gyre_scope_add(&scope, &things[7], close_badly));
	add(&scope, 2, 2);
	expect_equal(gyre_scope_close(&scope), 7); /* the first that failed; all were closed */
	expect_closed(2, 7, 5, 1);
	expect_equal(gyre_scope_close(&scope), 0);
	add(&scope, 3, 3);
	expect_equal(gyre_scope_close(&scope), 0); /* and it is as good as new */
	expect_closed(3);
}

struct adder {
	struct gyre_scope *scope;
	int left;
};

static int close_and_add(void *arg)
{
	struct adder *adder = (struct adder *)arg;

	close_thing(&things[adder->left]);
	if (adder->left == 0)
		return 0;
	adder->left--;
	add(adder->scope, 40, 41);
	expect_ok(gyre_scope_add(adder->scope, adder, close_and_add));
	add(adder->scope, 50, 50);
	return 0;
}

static void closing_functions_add(void **state)
{
	(void)state;
	{
		GYRE_SCOPE(scope);
		struct adder adder = { &scope, 2 };

		add(&scope, 60, 60);
		expect_ok(gyre_scope_add(&scope, &adder, close_and_add));
		add(&scope, 70, 70);
		expect_equal(gyre_scope_close(&scope), 0);
		expect_closed(70, 2, 50, 1, 50, 0, 41, 40, 41, 40, 60);
		add(&scope, 80, 80);
	}
	expect_closed(80);
}

static int close_and_take(void *arg)
{
	struct adder *adder = (struct adder *)arg;

	expect(!gyre_scope_take(adder->scope, adder)); /* it is out already */
	expect(gyre_scope_take(adder->scope, &things[1]));
	return close_thing(&things[9]);
}

static void closing_functions_take(void **state)
{
	GYRE_SCOPE(scope);
	struct adder adder = { &scope, 0 };

	(void)state;
	add(&scope, 1, 2);
	expect_ok(gyre_scope_add(&scope, &adder, close_and_take));
	expect_equal(gyre_scope_close(&scope), 0);
	expect_closed(9, 2);
}

static void scopes_move(void **state)
{
	(void)state;
	for (int count = 1; count < 10; count++) {
		struct gyre_scope *first = malloc(sizeof(*first)), second;

		expect(first != NULL);
		gyre_scope_open(first);
		add(first, 1, count);
		memcpy(&second, first, sizeof(second));
		free(first);
		add(&second, count + 1, count + 1);
		expect_equal(gyre_scope_close(&second), 0);
		expect_equal(closed.count, count + 1);
		for (int i = 0; i <= count; i++)
			expect_equal(closed.numbers[i], count + 1 - i);
		closed.count = 0;
	}
}

static void misuse_is_answered(void **state)
{
	GYRE_SCOPE(scope);

	(void)state;
	expect_status(gyre_scope_add(NULL, things, close_thing), GYRE_INVALID);
	expect_status(gyre_scope_add(&scope, things, NULL), GYRE_INVALID);
	expect_status(gyre_scope_reserve(NULL, 1), GYRE_INVALID);
	expect(!gyre_scope_take(NULL, things));
	expect_equal(gyre_scope_close(NULL), 0);
	gyre_scope_leave(NULL);
	expect_status(gyre_scope_reserve(&scope, SIZE_MAX), GYRE_NO_MEMORY);
	expect_status(gyre_scope_reserve(&scope, SIZE_MAX / sizeof(struct gyre_scope_item)),
		      GYRE_NO_MEMORY);
	add(&scope, 1, 5);
	expect_status(gyre_scope_reserve(&scope, SIZE_MAX - 3), GYRE_NO_MEMORY);
	expect_equal(gyre_scope_close(&scope), 0);
	expect_closed(5, 4, 3, 2, 1);
}

static int close_file(void *file)
{
	return fclose((FILE *)file);
}

static int read_a_line(char *line, int bytes, int *descriptor)
{
	GYRE_SCOPE(scope);
	FILE *file = fopen("/proc/self/comm", "r");

	expect(file != NULL);
	expect_ok(gyre_scope_add(&scope, file, close_file));
	*descriptor = fileno(file);
	if (fgets(line, bytes, file) == NULL)
		return -1;
	return (int)strlen(line);
}

static void a_file_is_closed(void **state)
{
	char line[64];
	int descriptor;

	(void)state;
	expect(read_a_line(line, sizeof(line), &descriptor) > 0);
	expect(fcntl(descriptor, F_GETFD) == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_the_block_closes),
		cmocka_unit_test(return_closes),
		cmocka_unit_test(break_continue_and_goto_close),
		cmocka_unit_test(many_are_closed_in_reverse),
		cmocka_unit_test(what_is_taken_is_not_closed),
		cmocka_unit_test(one_pointer_several_times),
		cmocka_unit_test(closing_functions_fail),
		cmocka_unit_test(closing_functions_add),
		cmocka_unit_test(closing_functions_take),
		cmocka_unit_test(scopes_move),
		cmocka_unit_test(misuse_is_answered),
		cmocka_unit_test(a_file_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
