/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_serve.c: what a heap answers at its socket, where that is, and that it goes on and ends
 * whatever its program does meanwhile: mutators that run, fork, closing. Hostile clients:
 * test_serve_hostile.c.
 */
#include "metrics.h"
#include "serving.h"

#include <sys/wait.h>

static char answer[SERVING_ROOM];

static void serve(struct world *w)
{
	expect_ok(gyre_serve(w->heap, serving_name(), NULL));
}

static void all_requests_are_answered(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	struct gyre_stats before, after;
	char line[64], *text;

	serve(w);
	expect_ok(gyre_root_init(w->m, &root, refs_new(w, w->m, 10)));
	world_collect(w->m);
	text = serving_ask(serving_name(), "help\n", answer);
	expect(strstr(text, "metrics: ") && strstr(text, "\ncollect: ") && strstr(text, "\ndump"));
	expect(metrics_check(serving_ask(serving_name(), "metrics\n", answer)) > 100);
	do {
		before = world_stats(w->heap);
		text = serving_ask(serving_name(), "stats\n", answer);
		after = world_stats(w->heap);
	} while (memcmp(&before, &after, sizeof(after)) != 0);
	snprintf(line, sizeof(line), "\nepochs %llu\n", (unsigned long long)after.epochs);
	expect(strstr(text, line) != NULL);
	snprintf(line, sizeof(line), "\nwait_ns %llu\n", (unsigned long long)after.phases.wait_ns);
	expect(strstr(text, line) != NULL);
	expect(strncmp(text, "heap gyre\npid ", 14) == 0 && strstr(text, "\nenabled 1\n"));
	expect(strstr(text, "\nobjects_live 1\n") != NULL);
	text = serving_ask(serving_name(), "types\n", answer);
	expect(strstr(text, "type 1 ") && strstr(text, " struct refs\n"));
	text = serving_ask(serving_name(), "delays\r\n", answer);
	expect(strncmp(text, "boundary ", 9) == 0 && strstr(text, "\npressure "));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_ok(gyre_serve_stop(w->heap));
	expect_live(w->m, 0);
}

static void what_is_no_request_is_told(void **state)
{
	struct world *w = *state;
	int fd;

	serve(w);
	fd = serving_connect(serving_name());
	serving_refuses(fd, "statistics\n", "error: there is no such request; try help\n\n");
	serving_refuses(fd, "\n", "error: there is no such request; try help\n\n");
	serving_refuses(fd, "stat\n", "error: there is no such request; try help\n\n");
	serving_refuses(fd, "stats now\n", "error: stats takes no argument\n\n");
	close(fd);
	expect_ok(gyre_serve_stop(w->heap));
}

/* A ring that nothing holds goes by a collection that a client asks for; others are answered while
 * it waits for this thread, which comes to no safe point. */
static void a_collection_holds_up_nobody(void **state)
{
	struct world *w = *state;
	char waits[1024] = "";
	struct node *n;
	ssize_t got;
	int fd;

	serve(w);
	n = node_new(w, w->m, 1);
	expect_ok(gyre_store(w->m, &n->left, n));
	fd = serving_connect(serving_name());
	serving_send(fd, "collect\n");
	for (int i = 0; i < 3; i++)
		serving_ask(serving_name(), "stats\n", answer);
	expect(recv(fd, waits, sizeof(waits) - 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	while ((got = recv(fd, waits, sizeof(waits) - 1, MSG_DONTWAIT)) < 0)
		gyre_safepoint(w->m);
	expect(got > 0 && strncmp(waits, "ok\nreclaimed 1\n", 15) == 0);
	close(fd);
	/* A client that goes meanwhile is forgotten. */
	fd = serving_connect(serving_name());
	serving_send(fd, "collect\n");
	close(fd);
	expect_ok(gyre_serve_stop(w->heap));
	expect_live(w->m, 0);
}

/* To a new file, and no other; or it is said that there is no such thing. */
static void dumps_are_written(void **state)
{
	struct world *w = *state;
	int fd;

	serve(w);
	fd = serving_connect(serving_name());
#if __has_include(<gyre/snapshot.h>)
	const char *folder = serving_folder();
	char request[128], path[96], told[128];
	struct gyre_root root;
	struct stat file;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 1)));
	expect_ok(gyre_park(w->m));
	snprintf(path, sizeof(path), "%s/heap", folder);
	snprintf(request, sizeof(request), "dump %s\n", path);
	snprintf(told, sizeof(told), "dumped %s\n", path);
	expect(strcmp(serving_ask(serving_name(), request, answer), told) == 0);
	expect(stat(path, &file) == 0 && file.st_size > 0);
	snprintf(told, sizeof(told), "error: %s: File exists\n\n", path);
	serving_refuses(fd, request, told);
	expect(unlink(path) == 0 && rmdir(folder) == 0);
	expect_ok(gyre_unpark(w->m));
	expect_ok(gyre_root_drop(w->m, &root));
#else
	serving_refuses(fd, "dump\n", "error: dump: not built in\n\n");
#endif
	close(fd);
	expect_ok(gyre_serve_stop(w->heap));
	expect_live(w->m, 0);
}

static void only_looking(void **state)
{
	struct world *w = *state;
	struct gyre_serve_options options = { .size = sizeof(options),
					      .flags = GYRE_SERVE_READ_ONLY };
	int fd;

	expect_ok(gyre_serve(w->heap, serving_name(), &options));
	fd = serving_connect(serving_name());
	serving_refuses(fd, "collect\n", "error: collect: the heap is served for looking only\n\n");
	serving_refuses(fd, "dump /tmp/x\n",
			"error: dump: the heap is served for looking only\n\n");
	close(fd);
	serving_ask(serving_name(), "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
}

static const char *http(const char *request)
{
	int fd = serving_connect(serving_name());
	char *body;

	serving_send(fd, request);
	serving_read_all(fd, answer, sizeof(answer));
	close(fd);
	body = strstr(answer, "\r\n\r\n");
	expect(body != NULL && strstr(answer, "Content-Length: ") != NULL);
	expect_equal(strtoull(strstr(answer, "Content-Length: ") + 16, NULL, 10), strlen(body + 4));
	return body + 4;
}

static void scrapers_are_answered(void **state)
{
	struct world *w = *state;

	serve(w);
	metrics_check(http("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"));
	expect(strncmp(answer, "HTTP/1.1 200 OK\r\n", 17) == 0);
	expect(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	metrics_check(http("GET /metrics?x=1 HTTP/1.0\r\n\r\n"));
	http("GET / HTTP/1.1\r\n\r\n");
	expect(strncmp(answer, "HTTP/1.1 404 ", 13) == 0);
	http("GET /metricsandmore HTTP/1.1\r\n\r\n");
	expect(strncmp(answer, "HTTP/1.1 404 ", 13) == 0);
	http("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
	expect(strncmp(answer, "HTTP/1.1 405 ", 13) == 0);
	expect_ok(gyre_serve_stop(w->heap));
}

static void where_it_is(void **state)
{
	struct world *w = *state;
	const char *folder = serving_folder();
	char path[96], told[96];
	struct stat file;

	setenv("XDG_RUNTIME_DIR", folder, 1);
	snprintf(path, sizeof(path), "%s/gyre-%d.sock", folder, (int)getpid());
	expect_equal(gyre_serve_path(w->heap, told, sizeof(told)), 0);
	expect(told[0] == 0);
	expect_ok(gyre_serve(w->heap, NULL, NULL));
	expect_equal(gyre_serve_path(w->heap, told, sizeof(told)), strlen(path));
	expect(strcmp(told, path) == 0);
	expect_equal(gyre_serve_path(w->heap, told, 5), strlen(path));
	expect(strcmp(told, "/tmp") == 0);
	expect(stat(path, &file) == 0 && S_ISSOCK(file.st_mode));
	expect_equal(file.st_mode & 0777, 0600);
	serving_ask(path, "stats\n", answer);
	expect_status(gyre_serve(w->heap, serving_name(), NULL), GYRE_BUSY);
	expect_ok(gyre_serve_stop(w->heap));
	expect(stat(path, &file) != 0);
	expect_status(gyre_serve_stop(w->heap), GYRE_INVALID);
	expect(serving_try(path) < 0);
	unsetenv("XDG_RUNTIME_DIR");
	snprintf(path, sizeof(path), "/tmp/gyre-%d.sock", (int)getpid());
	expect_ok(gyre_serve(w->heap, NULL, NULL));
	serving_ask(path, "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
	expect(rmdir(folder) == 0);
}

/* A socket that nobody listens to any more. */
static void leave_behind(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	expect(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	close(fd);
}

static void what_is_there_already(void **state)
{
	struct world *w = *state;
	struct gyre_heap *second;
	struct stat file;
	const char *folder = serving_folder();
	char path[96], line[8] = "";
	FILE *kept;

	snprintf(path, sizeof(path), "%s/socket", folder);
	leave_behind(path);
	expect_ok(gyre_serve(w->heap, path, NULL));
	serving_ask(path, "stats\n", answer);
	expect_ok(support_open_heap(&second, NULL));
	expect_status(gyre_serve(second, path, NULL), GYRE_BUSY);
	expect_ok(gyre_serve(second, serving_name(), NULL));
	expect_ok(gyre_serve_stop(w->heap));
	expect_status(gyre_serve(w->heap, serving_name(), NULL), GYRE_BUSY);
	expect_ok(gyre_heap_close(second)); /* ends it as well */
	expect(serving_try(serving_name()) < 0);
	/* What is no socket stays as it is. */
	kept = fopen(path, "w");
	expect(kept != NULL && fputs("kept\n", kept) >= 0 && fclose(kept) == 0);
	expect_status(gyre_serve(w->heap, path, NULL), GYRE_BUSY);
	kept = fopen(path, "r");
	expect(kept != NULL && fgets(line, sizeof(line), kept) && strcmp(line, "kept\n") == 0);
	fclose(kept);
	expect(unlink(path) == 0);
	/* And so does what has taken the place of the socket. */
	expect_ok(gyre_serve(w->heap, path, NULL));
	expect(unlink(path) == 0);
	leave_behind(path);
	expect_ok(gyre_serve_stop(w->heap));
	expect(stat(path, &file) == 0 && unlink(path) == 0);
	expect(rmdir(folder) == 0);
}

static void what_is_refused(void **state)
{
	struct world *w = *state;
	struct gyre_serve_options options = { .size = sizeof(options) };
	char path[200];

	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[108] = 0;
	expect_status(gyre_serve(w->heap, path, NULL), GYRE_LIMIT);
	path[107] = 0;
	expect_ok(gyre_serve(w->heap, path, NULL));
	serving_ask(path, "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
	path[0] = '@';
	expect_ok(gyre_serve(w->heap, path, NULL));
	serving_ask(path, "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
	expect_status(gyre_serve(w->heap, "/nowhere/at/all", NULL), GYRE_INVALID);
	expect_equal(errno, ENOENT);
	expect_status(gyre_serve(w->heap, "", NULL), GYRE_INVALID);
	expect_status(gyre_serve(NULL, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_serve_stop(NULL), GYRE_INVALID);
	expect_equal(gyre_serve_path(NULL, path, sizeof(path)), 0);
	options.clients = 65;
	expect_status(gyre_serve(w->heap, serving_name(), &options), GYRE_INVALID);
	options.clients = 1;
	options.flags = 2;
	expect_status(gyre_serve(w->heap, serving_name(), &options), GYRE_INVALID);
	options.flags = 0;
	options.timeout_ns = UINT64_MAX;
	expect_status(gyre_serve(w->heap, serving_name(), &options), GYRE_INVALID);
	options.timeout_ns = 0;
	options.size--;
	expect_status(gyre_serve(w->heap, serving_name(), &options), GYRE_INVALID);
}

/* Mutators that write, and clients that ask, until the clients have had enough. */
struct many {
	struct world *w;
	atomic_uint clients;
};

static void *mutate(void *arg)
{
	struct many *many = arg;
	struct gyre_mutator *m;
	struct gyre_root root;
	unsigned rounds = 0;

	expect_ok(gyre_attach(many->w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &root, NULL));
	while (atomic_load(&many->clients) > 0) {
		struct node *n = node_new(many->w, m, 1);

		expect_ok(gyre_init(m, &n->left, n));
		expect_ok(gyre_store(m, &root.slot, n));
		gyre_safepoint(m);
		/* The collector has its share, also where it is slowed by ten. */
		if (++rounds % 64 != 0)
			continue;
		expect_ok(gyre_park(m));
		usleep(2000);
		expect_ok(gyre_unpark(m));
	}
	expect_ok(gyre_root_drop(m, &root));
	expect_ok(gyre_detach(m));
	return NULL;
}

static void *ask_on(void *arg)
{
	static const char *const requests[] = { "metrics\n", "types\n", "collect\n", "stats\n",
						"delays\n" };
	struct many *many = arg;
	char *own = malloc(SERVING_ROOM);

	expect(own != NULL);
	for (size_t i = 0; i < LENGTH(requests); i++)
		serving_ask(serving_name(), requests[i], own);
	free(own);
	atomic_fetch_sub(&many->clients, 1);
	return NULL;
}

static void mutators_run_meanwhile(void **state)
{
	struct world *w = *state;
	struct many many = { .w = w, .clients = 4 };
	pthread_t mutators[8], clients[4];

	serve(w);
	for (size_t i = 0; i < LENGTH(mutators); i++)
		mutators[i] = thread_start(mutate, &many);
	for (size_t i = 0; i < LENGTH(clients); i++)
		clients[i] = thread_start(ask_on, &many);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < LENGTH(clients); i++)
		thread_join(clients[i]);
	for (size_t i = 0; i < LENGTH(mutators); i++)
		thread_join(mutators[i]);
	expect_ok(gyre_unpark(w->m));
	expect_ok(gyre_serve_stop(w->heap));
	expect_live(w->m, 0);
}

static void stop_lets_clients_go(void **state)
{
	struct world *w = *state;
	int silent, asks, waits;

	serve(w);
	silent = serving_connect(serving_name());
	asks = serving_connect(serving_name());
	waits = serving_connect(serving_name());
	serving_send(asks, "sta");
	serving_send(waits, "collect\n");
	serving_ask(serving_name(), "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
	expect_equal(serving_read_all(silent, answer, sizeof(answer)), 0);
	expect_equal(serving_read_all(asks, answer, sizeof(answer)), 0);
	serving_read_all(waits, answer, sizeof(answer));
	expect(answer[0] == 0 || strncmp(answer, "ok\nreclaimed ", 13) == 0);
	close(silent);
	close(asks);
	close(waits);
	serve(w); /* the name is free again */
	serving_ask(serving_name(), "stats\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
}

static int child_asks_frozen(struct gyre_heap *heap)
{
	char path[8] = "x";

	if (gyre_fork_child(heap) != GYRE_OK ||
	    gyre_metrics(heap, metrics_take, NULL) != GYRE_FROZEN ||
	    gyre_serve(heap, "@x", NULL) != GYRE_FROZEN || gyre_serve_stop(heap) != GYRE_FROZEN ||
	    gyre_serve_path(heap, path, sizeof(path)) != 0 || path[0] != 0)
		return 1;
	return 0;
}

/* The child holds neither the socket nor a connection open. */
static void forks_hold_nothing_open(void **state)
{
	struct world *w = *state;
	int ready[2], go[2], end, fd;
	pid_t child;
	char c = 0;

	expect(pipe(ready) == 0 && pipe(go) == 0);
	serve(w);
	fd = serving_connect(serving_name());
	serving_refuses(fd, "?\n", "error: there is no such request; try help\n\n");
	expect_ok(gyre_fork_before(w->heap));
	child = fork();
	if (child == 0) {
		close(fd);
		c = (char)child_asks_frozen(w->heap);
		if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
			_exit(2);
		_exit(c);
	}
	expect_ok(gyre_fork_parent(w->heap));
	expect(child > 0 && read(ready[0], &c, 1) == 1);
	serving_ask(serving_name(), "metrics\n", answer);
	expect_ok(gyre_serve_stop(w->heap));
	expect_equal(serving_read_all(fd, answer, sizeof(answer)), 0);
	expect(serving_try(serving_name()) < 0);
	expect(write(go[1], &c, 1) == 1);
	expect(waitpid(child, &end, 0) == child && WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(all_requests_are_answered), world_test(what_is_no_request_is_told),
		world_test(a_collection_holds_up_nobody), world_test(dumps_are_written),
		world_test(only_looking),
		world_test(scrapers_are_answered), world_test(where_it_is),
		world_test(what_is_there_already), world_test(what_is_refused),
		world_test(mutators_run_meanwhile), world_test(stop_lets_clients_go),
		world_test(forks_hold_nothing_open),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
