/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_04_scope.c: what ends with a block.
 *
 * Memory may wait for a collector; a file, a lock or a connection may not. GYRE_SCOPE closes those
 * on every way out of a block, the last first; GYRE_KEEP keeps objects alive until the block is
 * left; gyre_park and gyre_unpark stand round a call that blocks, so that nobody waits for this
 * thread meanwhile. A second thread collects here while the first hangs in read(2), and only then
 * writes what the first is waiting for: without the park, neither would ever go on.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct message {
	char text[32];
};
static const struct gyre_type_desc desc = GYRE_TYPE(struct message, .refs = NULL);

static struct gyre_heap *heap;
static const struct gyre_type *type;

/* A descriptor with a name, so that the output shows what is closed when. */
struct end {
	int fd;
	const char *name;
};

static int close_end(void *pointer)
{
	struct end *end = pointer;

	printf("  closed the %s end\n", end->name);
	return close(end->fd);
}

static int join(void *thread)
{
	printf("  joined the writer\n");
	return pthread_join(*(pthread_t *)thread, NULL);
}

/* The other thread: collects, and then lets the reader go on with "ping" or with an empty line. */
struct writer {
	int fd;
	const char *line;
};

static void *write_after_collecting(void *arg)
{
	struct writer *writer = arg;
	struct gyre_stats stats = { .size = sizeof(stats) };
	struct gyre_mutator *m;

	if (gyre_attach(heap, 0, &m) || gyre_collect(m, NULL) || gyre_heap_stats(heap, &stats) ||
	    gyre_detach(m))
		return NULL;
	printf("  collected while the reader blocks: %" PRIu64 " of its 2 messages live\n",
	       stats.objects_live);
	if (write(writer->fd, writer->line, 4) != 4)
		perror("write");
	return NULL;
}

/* Reads a line of four bytes from a pipe, by a thread that may be anywhere in its work. 0: done;
 * there are three ways out, and all that was opened is closed on each of them. */
static int exchange(struct gyre_mutator *m, const char *line)
{
	GYRE_SCOPE(scope);
	struct end ends[2] = { { .name = "reading" }, { .name = "writing" } };
	struct message *kept = gyre_new(m, type), *other = gyre_new(m, type);
	struct writer writer = { .line = line };
	pthread_t thread;
	ssize_t got;
	int fds[2];

	GYRE_KEEP(m, kept); /* and not other: it is garbage at the next safe point */
	if (!kept || !other || gyre_scope_reserve(&scope, 3) || pipe(fds))
		return 1;
	ends[0].fd = fds[0];
	ends[1].fd = writer.fd = fds[1];
	gyre_scope_add(&scope, &ends[0], close_end); /* there is room: these cannot fail */
	gyre_scope_add(&scope, &ends[1], close_end);
	snprintf(kept->text, sizeof(kept->text), "got %s", line);
	if (pthread_create(&thread, NULL, write_after_collecting, &writer))
		return 1;
	gyre_scope_add(&scope, &thread, join);

	char answer[5] = "";

	if (gyre_park(m)) /* from here to unpark: nothing of the heap is touched */
		return 1;
	got = read(ends[0].fd, answer, 4);
	if (gyre_unpark(m) || got != 4)
		return 1;
	if (strncmp(answer, "ping", 4) != 0) {
		printf("  not a ping: leaving early\n");
		return 2;
	}
	printf("  the kept message is still there: %s\n", kept->text);
	return 0;
}

int main(void)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	struct gyre_mutator *m;
	int status;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &desc, &type))
		return 1;
	printf("a ping:\n");
	status = exchange(m, "ping");
	printf("answered %d\nsomething else:\n", status);
	if (gyre_collect(m, NULL))
		return 1;
	status = exchange(m, "pong");
	printf("answered %d\n", status);
	if (gyre_collect(m, NULL) || gyre_heap_stats(heap, &stats))
		return 1;
	printf("%" PRIu64 " messages left\n", stats.objects_live);
	return gyre_detach(m) || gyre_heap_close(heap);
}
