/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_serve.c: serving a heap without memory, threads or descriptors: each call says so and leaves
 * nothing behind, a client whose answer cannot be kept is told, and it works once there is memory
 * again. Main thread, and the one that serves.
 */
#include "../api/serving.h"
#include "wrap.h"

static char answer[SERVING_ROOM];

/* Each call that gyre_serve makes is refused in turn; *path leaves no file behind. */
static void serving_without(void **state)
{
	struct world *w = *state;
	const char *folder = serving_folder();
	enum gyre_status status = GYRE_OK;
	char path[96];
	unsigned n, seen = 0;

	snprintf(path, sizeof(path), "%s/socket", folder);
	for (n = 1; n < 100; n++) {
		wrap_role = WRAP_MAIN;
		wrap_refuse(WRAP_MAIN, n, 1);
		status = gyre_serve(w->heap, path, NULL);
		wrap_role = WRAP_TEST;
		wrap_grant();
		if (status == GYRE_OK)
			break;
		expect(status == GYRE_NO_MEMORY || status == GYRE_NO_THREAD ||
		       status == GYRE_LIMIT);
		seen |= 1u << status;
		expect(access(path, F_OK) != 0);
		expect_equal(gyre_serve_path(w->heap, NULL, 0), 0);
	}
	expect_ok(status);
	expect(seen & 1u << GYRE_NO_MEMORY && seen & 1u << GYRE_NO_THREAD &&
	       seen & 1u << GYRE_LIMIT);
	serving_ask(path, "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
	expect(rmdir(folder) == 0);
}

static void an_answer_without_memory(void **state)
{
	struct world *w = *state;
	int fd;

	expect_ok(gyre_serve(w->heap, serving_name(), NULL));
	fd = serving_connect(serving_name());
	/* The library's own threads have the collector's role. */
	wrap_refuse(WRAP_COLLECTOR, 1, UINT32_MAX);
	serving_refuses(fd, "metrics\n", "error: out of memory\n\n");
	serving_refuses(fd, "types\n", "error: out of memory\n\n");
	expect(wrap_refused() >= 2);
	wrap_grant();
	serving_send(fd, "metrics\n");
	expect(serving_read(fd, answer, sizeof(answer)) > 3 && strncmp(answer, "ok\n", 3) == 0);
	close(fd);
	/* By HTTP, too. */
	fd = serving_connect(serving_name());
	wrap_refuse(WRAP_COLLECTOR, 1, UINT32_MAX);
	serving_send(fd, "GET /metrics HTTP/1.1\r\n\r\n");
	serving_read_all(fd, answer, sizeof(answer));
	expect(wrap_refused() > 0);
	wrap_grant();
	expect(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
	expect(strstr(answer, "\r\n\r\nout of memory") != NULL);
	close(fd);
	expect_ok(gyre_serve_stop(w->heap));
}

/* What is got is given back, by stopping and by closing. */
static void nothing_is_kept(void **state)
{
	struct wrap_held before, after;
	struct gyre_heap *heap;
	int fd, round;

	(void)state;
	before = wrap_held();
	for (round = 0; round < 2; round++) {
		expect_ok(support_open_heap(&heap, NULL));
		expect_ok(gyre_serve(heap, serving_name(), NULL));
		serving_ask(serving_name(), "metrics\n", answer);
		fd = serving_connect(serving_name());
		serving_refuses(fd, "?\n", "error: there is no such request; try help\n\n");
		serving_send(fd, "metrics\n");
		serving_read(fd, answer, sizeof(answer));
		if (round == 0)
			expect_ok(gyre_serve_stop(heap));
		expect_ok(gyre_heap_close(heap));
		close(fd);
	}
	after = wrap_held();
	expect_equal(after.blocks, before.blocks);
	expect_equal(after.threads, before.threads);
	expect_equal(after.bytes_mapped, before.bytes_mapped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(serving_without),
		world_test(an_answer_without_memory),
		cmocka_unit_test(nothing_is_kept),
	};

	wrap_role = WRAP_TEST;
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
