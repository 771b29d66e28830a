/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_serve_hostile.c: clients that mean no good, or that other users are. Whatever they do, the
 * next one is answered.
 */
#include "metrics.h"
#include "serving.h"

#include <sys/resource.h>
#include <sys/wait.h>

static char answer[SERVING_ROOM];

static void serve(struct world *w, uint32_t clients, uint64_t timeout_ns)
{
	struct gyre_serve_options options = { .size = sizeof(options),
					      .clients = clients,
					      .timeout_ns = timeout_ns };

	expect_ok(gyre_serve(w->heap, serving_name(), &options));
}

static void still_serves(struct world *w)
{
	serving_ask(serving_name(), "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
}

static void lines_without_end(void **state)
{
	struct world *w = *state;
	char line[1024];
	int fd;

	serve(w, 2, 0);
	memset(line, 'x', sizeof(line));
	fd = serving_connect(serving_name());
	expect(send(fd, line, sizeof(line), MSG_NOSIGNAL) == (ssize_t)sizeof(line));
	serving_read_all(fd, answer, sizeof(answer));
	expect(strcmp(answer, "error: the line is too long\n\n") == 0);
	close(fd);
	/* The longest that is one. */
	line[sizeof(line) - 1] = '\n';
	fd = serving_connect(serving_name());
	expect(send(fd, line, sizeof(line), MSG_NOSIGNAL) == (ssize_t)sizeof(line));
	expect(serving_read(fd, answer, sizeof(answer)) > 0);
	expect(strcmp(answer, "error: there is no such request; try help\n\n") == 0);
	close(fd);
	still_serves(w);
}

static void headers_without_end(void **state)
{
	struct world *w = *state;
	int fd;

	serve(w, 2, 0);
	fd = serving_connect(serving_name());
	serving_send(fd, "GET /metrics HTTP/1.1\r\n");
	for (int i = 0; i < 64; i++)
		serving_send(fd, "x: y\r\n");
	serving_read_all(fd, answer, sizeof(answer));
	expect(strcmp(answer, "error: the header is too long\n\n") == 0);
	close(fd);
	still_serves(w);
}

static void zeros_are_no_request(void **state)
{
	static const char zeros[] = "\0\0stats\0\n";
	struct world *w = *state;
	int fd;

	serve(w, 2, 0);
	fd = serving_connect(serving_name());
	expect(send(fd, zeros, sizeof(zeros) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(zeros) - 1);
	expect(serving_read(fd, answer, sizeof(answer)) > 0);
	expect(strcmp(answer, "error: there is no such request; try help\n\n") == 0);
	close(fd);
	still_serves(w);
}

/* Both places are taken by silence, one of them in the midst of a line, until time is over. */
static void silence_ends(void **state)
{
	struct world *w = *state;
	int silent, half;

	serve(w, 2, 100000000);
	silent = serving_connect(serving_name());
	half = serving_connect(serving_name());
	serving_send(half, "sta");
	expect_equal(serving_read_all(silent, answer, sizeof(answer)), 0);
	expect_equal(serving_read_all(half, answer, sizeof(answer)), 0);
	close(silent);
	close(half);
	still_serves(w);
}

/* One asks for more than the socket holds and takes nothing of it. */
static void answers_that_nobody_takes(void **state)
{
	struct world *w = *state;
	int fd, small = 1;

	serve(w, 1, 100000000);
	fd = serving_connect(serving_name());
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 200; i++)
		if (send(fd, "metrics\n", 8, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	/* There is one place, so this waits until the other is let go. */
	do {
		int second = serving_connect(serving_name());

		send(second, "stats\n", 6, MSG_NOSIGNAL);
		serving_read_all(second, answer, 2);
		close(second);
	} while (answer[0] != 'o');
	close(fd);
	still_serves(w);
}

static void too_many_are_told(void **state)
{
	struct world *w = *state;
	int fds[5], more;

	serve(w, LENGTH(fds), 0);
	for (size_t i = 0; i < LENGTH(fds); i++) {
		fds[i] = serving_connect(serving_name());
		serving_refuses(fds[i], "?\n", "error: there is no such request; try help\n\n");
	}
	for (int i = 0; i < 50; i++) {
		more = serving_connect(serving_name());
		serving_read_all(more, answer, sizeof(answer));
		expect(strcmp(answer, "error: too many clients\n\n") == 0);
		close(more);
	}
	for (size_t i = 0; i < LENGTH(fds); i++) {
		serving_refuses(fds[i], "?\n", "error: there is no such request; try help\n\n");
		close(fds[i]);
	}
	/* They are let go when that is seen. */
	do {
		more = serving_connect(serving_name());
		send(more, "stats\n", 6, MSG_NOSIGNAL);
		serving_read_all(more, answer, 2);
		close(more);
	} while (answer[0] != 'o');
	still_serves(w);
}

static void early_ends(void **state)
{
	static const char *const said[] = { "", "m", "metrics\n", "metrics\nmetrics\n",
					    "GET /metrics HTTP/1.1\r\n\r\n", "collect\n" };
	struct world *w = *state;

	serve(w, 64, 0);
	for (size_t i = 0; i < 60; i++) {
		int fd = serving_try(serving_name());

		if (fd < 0)
			continue;
		send(fd, said[i % LENGTH(said)], strlen(said[i % LENGTH(said)]), MSG_NOSIGNAL);
		if (i % 2)
			shutdown(fd, i % 4 == 1 ? SHUT_RD : SHUT_WR);
		close(fd);
	}
	expect_ok(gyre_serve_stop(w->heap));
	serve(w, 0, 0);
	still_serves(w);
}

/* Many requests at once are answered in turn, also behind the end of what is sent. */
static void requests_in_advance(void **state)
{
	struct world *w = *state;
	int fd;

	serve(w, 1, 0);
	fd = serving_connect(serving_name());
	for (int i = 0; i < 20; i++)
		serving_send(fd, "delays\nnothing\n");
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 20; i++) {
		expect(serving_read(fd, answer, sizeof(answer)) > 0);
		expect(strncmp(answer, "ok\nboundary ", 12) == 0);
		expect(serving_read(fd, answer, sizeof(answer)) > 0);
		expect(strncmp(answer, "error: ", 7) == 0);
	}
	expect_equal(serving_read_all(fd, answer, sizeof(answer)), 0);
	close(fd);
	do {
		fd = serving_connect(serving_name());
		send(fd, "stats\n", 6, MSG_NOSIGNAL);
		serving_read_all(fd, answer, 2);
		close(fd);
	} while (answer[0] != 'o');
	expect_ok(gyre_serve_stop(w->heap));
}

/* Another user is let go without a word. Who may not become one cannot test it. */
static void other_users_are_let_go(void **state)
{
	struct world *w = *state;
	char got[16];
	int end = 0, fd;
	pid_t child;

	if (geteuid() != 0)
		skip();
	serve(w, 2, 0);
	child = fork();
	if (child == 0) {
		if (setresuid(65534, 65534, 65534) != 0)
			_exit(3);
		fd = serving_try(serving_name());
		send(fd, "stats\n", 6, MSG_NOSIGNAL);
		_exit(fd < 0 ? 2 : recv(fd, got, sizeof(got), 0) > 0);
	}
	expect(child > 0 && waitpid(child, &end, 0) == child && WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
	still_serves(w);
}

/* No descriptor is left for a connection: it waits, and is served when there is one. */
static void descriptors_run_out(void **state)
{
	struct world *w = *state;
	struct rlimit before, none;
	int fd;

	serve(w, 2, 0);
	serving_ask(serving_name(), "stats\n", answer);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(fd >= 0);
	expect(getrlimit(RLIMIT_NOFILE, &before) == 0);
	close(fd);
	fd = serving_connect(serving_name());
	close(fd);
	serving_ask(serving_name(), "stats\n", answer);
	none = before;
	none.rlim_cur = (rlim_t)fd + 1; /* for this thread's end only */
	expect(setrlimit(RLIMIT_NOFILE, &none) == 0);
	fd = serving_try(serving_name());
	if (fd >= 0)
		serving_send(fd, "stats\n");
	usleep(50000);
	expect(setrlimit(RLIMIT_NOFILE, &before) == 0);
	expect(fd >= 0);
	expect(serving_read(fd, answer, sizeof(answer)) > 0);
	expect(strncmp(answer, "ok\n", 3) == 0);
	close(fd);
	still_serves(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(lines_without_end),         world_test(headers_without_end),
		world_test(zeros_are_no_request),      world_test(silence_ends),
		world_test(answers_that_nobody_takes), world_test(too_many_are_told),
		world_test(early_ends),                world_test(requests_in_advance),
		world_test(other_users_are_let_go),    world_test(descriptors_run_out),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
