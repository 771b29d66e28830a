/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_top.c: gyre-heap top on a heap of this process: the table that it prints once, and what it
 * does on a terminal as keys are pressed. GYRE_TOP is gyre-heap.
 */
#include "serving.h"

#include <pty.h>
#include <sys/wait.h>

static char shown[SERVING_ROOM];

/* Runs it and keeps what it prints. Gives its exit status. */
static int top(const char *arguments)
{
	char command[512];
	size_t length;
	FILE *output;

	snprintf(command, sizeof(command), "%s top %s 2>&1", GYRE_TOP, arguments);
	output = popen(command, "r");
	expect(output != NULL);
	length = fread(shown, 1, sizeof(shown) - 1, output);
	shown[length] = 0;
	return WEXITSTATUS(pclose(output));
}

/* The line that ends so. */
static const char *line_of(const char *end)
{
	const char *found = strstr(shown, end);

	if (found == NULL)
		fprintf(stderr, "no %s in:\n%s", end, shown);
	expect(found != NULL);
	while (found > shown && found[-1] != '\n')
		found--;
	return found;
}

static struct gyre_root root;

/* 100 leaves of 16 bytes and an array that holds them; the array is larger. */
static void fill(struct world *w)
{
	struct refs *r = refs_new(w, w->m, 1000);

	for (size_t i = 0; i < 100; i++)
		expect_ok(gyre_init(w->m, &r->items[i], gyre_new(w->m, w->leaf)));
	expect_ok(gyre_root_init(w->m, &root, r));
	world_collect(w->m);
}

static void empty(struct world *w)
{
	expect_ok(gyre_root_drop(w->m, &root));
	expect_ok(gyre_serve_stop(w->heap));
	expect_live(w->m, 0);
}

static void one_table(void **state)
{
	struct world *w = *state;
	char arguments[128], line[128];
	const char *refs, *leaves;

	fill(w);
	expect_ok(gyre_serve(w->heap, serving_name(), NULL));
	snprintf(arguments, sizeof(arguments), "--once -d 0.05 %s", serving_name());
	expect_equal(top(arguments), 0);
	snprintf(line, sizeof(line), "heap gyre, process %d, engine %s, 1 threads (0 parked)\n",
		 (int)getpid(), support_tagged() ? "tagged" : "recycler");
	expect(strncmp(shown, line, strlen(line)) == 0);
	expect(strstr(shown, "\nlive 101 objects, ") != NULL);
	line_of("0 stalls\n");
	expect_equal(strtoull(line_of("  struct leaf\n"), NULL, 10), 100);
	for (int i = 0; i < GYRE_DELAY_COUNT; i++)
		line_of(gyre_delay_name((enum gyre_delay)i));
	refs = line_of("  struct refs\n");
	leaves = line_of("  struct leaf\n");
	expect(refs < leaves);
	/* Another order, and only the first. */
	snprintf(arguments, sizeof(arguments), "--once -d 0.05 -s o -n 1 %s", serving_name());
	expect_equal(top(arguments), 0);
	line_of("  struct leaf\n");
	expect(strstr(shown, "struct refs") == NULL);
	empty(w);
}

static void a_process_is_found(void **state)
{
	struct world *w = *state;
	const char *folder = serving_folder();
	char arguments[128];

	setenv("XDG_RUNTIME_DIR", folder, 1);
	fill(w);
	snprintf(arguments, sizeof(arguments), "--once -d 0.05 %d", (int)getpid());
	expect_equal(top(arguments), 1);
	expect(strstr(shown, "serves no heap") != NULL);
	expect_ok(gyre_serve(w->heap, NULL, NULL));
	expect_equal(top(arguments), 0);
	expect_equal(strtoull(line_of("  struct leaf\n"), NULL, 10), 100);
	empty(w);
	unsetenv("XDG_RUNTIME_DIR");
	expect(rmdir(folder) == 0);
}

static void what_is_wrong_is_said(void **state)
{
	static const char *const usages[] = { "",           "a b",      "-d 0 a",  "-d x a",
					      "-n -1 a",    "-s x a",   "-s bo a", "--twice a",
					      "-d 9999 @a", "-n '' @a" };

	(void)state;
	for (size_t i = 0; i < LENGTH(usages); i++) {
		expect_equal(top(usages[i]), 2);
		expect(strstr(shown, "usage: ") != NULL);
	}
	expect_equal(top("--once @nobody-is-there"), 1);
	expect(strstr(shown, "@nobody-is-there: Connection refused\n") != NULL);
	expect_equal(top("--once /nowhere"), 1);
	expect(strstr(shown, "/nowhere: No such file or directory\n") != NULL);
	expect_equal(top("''"), 1);
	expect_equal(top("@nobody-is-there"), 1);
}

/* Reads what appears on the terminal until text has. */
static void appears(int terminal, const char *text)
{
	size_t length = 0;
	ssize_t got;

	shown[0] = 0;
	while (strstr(shown, text) == NULL) {
		expect(length + 1 < sizeof(shown));
		got = read(terminal, shown + length, sizeof(shown) - 1 - length);
		if (got <= 0)
			fprintf(stderr, "no %s in:\n%s", text, shown);
		expect(got > 0);
		length += (size_t)got;
		shown[length] = 0;
	}
}

static void press(int terminal, char key)
{
	expect(write(terminal, &key, 1) == 1);
}

static void keys_are_taken(void **state)
{
	struct winsize size = { .ws_row = 40, .ws_col = 100 };
	struct world *w = *state;
	uint64_t collects;
	int terminal, end;
	pid_t child;

	fill(w);
	expect_ok(gyre_serve(w->heap, serving_name(), NULL));
	child = forkpty(&terminal, NULL, NULL, &size);
	if (child == 0) {
		execl(GYRE_TOP, GYRE_TOP, "top", "-d", "0.1", serving_name(), (char *)NULL);
		_exit(127);
	}
	expect(child > 0);
	appears(terminal, "(by bytes)");
	press(terminal, 'o');
	appears(terminal, "(by objects)");
	press(terminal, 'g');
	appears(terminal, "(by growth)");
	expect_ok(gyre_park(w->m));
	collects = world_stats(w->heap).full_collects;
	press(terminal, 'c');
	appears(terminal, "\nreclaimed 0\033");
	expect_equal(world_stats(w->heap).full_collects, collects + 1);
	expect_ok(gyre_unpark(w->m));
	press(terminal, 'q');
	appears(terminal, "\033[?1049l");
	expect(waitpid(child, &end, 0) == child && WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
	close(terminal);
	/* Its heap is served no more: it ends, and says why. */
	child = forkpty(&terminal, NULL, NULL, &size);
	if (child == 0) {
		execl(GYRE_TOP, GYRE_TOP, "top", "-d", "0.1", serving_name(), (char *)NULL);
		_exit(127);
	}
	appears(terminal, "(by bytes)");
	empty(w);
	appears(terminal, "Connection refused");
	expect(waitpid(child, &end, 0) == child && WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 1);
	close(terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(one_table),
		world_test(a_process_is_found),
		cmocka_unit_test(what_is_wrong_is_said),
		world_test(keys_are_taken),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
