/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.c: serving a heap at a socket: the thread that does it, and starting and stopping it. What
 * is not said to be called by others runs on the serving thread, which is no mutator and holds up
 * nobody.
 *
 * Invariants: the heap has at most one server. All of the server but its descriptors and `stop` is
 * the serving thread's while that runs; those are written under the heap's serving lock, so that
 * the child of a fork can close them.
 */
#include <gyre/serve.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "heap.h"
#include "listen.h"
#include "mutator.h"
#include "platform/qsbr.h"

#define STACK ((size_t)256 << 10)
#define CLIENTS 8
#define CLIENTS_MAX 64
#define TIMEOUT_NS 10000000000u
#define HOUR_NS ((uint64_t)3600 * 1000000000u)
/* Between two looks whether a collection has ended that a client waits for. */
#define LOOK_NS 5000000
/* Without a descriptor for a new connection, nobody is let in for so long. */
#define DEAF_NS 100000000

struct gyre__server {
	struct gyre_heap *heap;
	struct gyre__thread thread;
	struct gyre__bell bell; /* rings: stop */
	struct gyre__listener listener;
	bool stop;
	unsigned flags;
	uint64_t timeout_ns, deaf_until_ns;
	uint32_t clients_count;
	struct pollfd polled[2 + CLIENTS_MAX]; /* the bell, the listener, the clients */
	struct gyre__client clients[];
};

static bool stopping(struct gyre__server *s)
{
	bool stop;

	gyre__lock_take(&s->heap->serving.lock);
	stop = s->stop;
	gyre__lock_drop(&s->heap->serving.lock);
	return stop;
}

static void close_one(struct gyre__server *s, int *fd)
{
	gyre__lock_take(&s->heap->serving.lock);
	close(*fd);
	*fd = -1;
	gyre__lock_drop(&s->heap->serving.lock);
}

static void let_go(struct gyre__server *s, struct gyre__client *client)
{
	gyre__client_end(client);
	close_one(s, &client->fd);
}

/* Whether the other end is of the same user, or root: as it was when it connected. */
static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void refuse_client(struct gyre__server *s, struct gyre__client *client)
{
	static const char text[] = "error: too many clients\n\n";

	/* It fits into the buffer of a new connection; who is gone already is not told. */
	send(client->fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
	close_one(s, &client->fd);
}

/* Lets one in who waits; false: there is nobody. */
static bool let_in(struct gyre__server *s)
{
	struct gyre__client none = { .fd = -1 }, *client = &none;
	uint32_t i;

	for (i = 0; i < s->clients_count && client == &none; i++)
		if (s->clients[i].fd < 0)
			client = &s->clients[i];
	gyre__lock_take(&s->heap->serving.lock);
	client->fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	gyre__lock_drop(&s->heap->serving.lock);
	if (client->fd < 0)
		return false;
	if (!may_ask(client->fd))
		close_one(s, &client->fd);
	else if (client == &none)
		refuse_client(s, client);
	else
		gyre__client_begin(client, s->heap, s->flags);
	return true;
}

static void let_all_in(struct gyre__server *s)
{
	while (let_in(s))
		;
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		s->deaf_until_ns = gyre__now_ns() + DEAF_NS; /* rare: no descriptor for a client */
}

/* Lets go whose time is over or whose turn has ended; the time until the next one's is over. */
static uint64_t tend(struct gyre__server *s, uint64_t now)
{
	uint64_t rest = GYRE_FOREVER;
	uint32_t i;

	for (i = 0; i < s->clients_count; i++) {
		struct gyre__client *client = &s->clients[i];
		uint64_t spent = now - client->since_ns, left = LOOK_NS;

		if (client->fd < 0)
			continue;
		if (client->state != GYRE_CLIENT_WAITS) {
			if (client->state == GYRE_CLIENT_ENDS || spent >= s->timeout_ns) {
				let_go(s, client);
				continue;
			}
			left = gyre__client_is_ready(client) ? 0 : s->timeout_ns - spent;
		}
		rest = left < rest ? left : rest;
	}
	if (s->deaf_until_ns > now && s->deaf_until_ns - now < rest)
		rest = s->deaf_until_ns - now;
	return rest;
}

static void wait_for_any(struct gyre__server *s)
{
	uint64_t now = gyre__now_ns(), rest = tend(s, now);
	uint32_t i;

	s->polled[0] = (struct pollfd){ .fd = s->bell.fd, .events = POLLIN };
	s->polled[1] = (struct pollfd){ .fd = s->deaf_until_ns > now ? -1 : s->listener.fd,
					.events = POLLIN };
	for (i = 0; i < s->clients_count; i++) {
		const struct gyre__client *client = &s->clients[i];

		s->polled[2 + i] = (struct pollfd){ .fd = client->fd };
		if (client->state == GYRE_CLIENT_READS)
			s->polled[2 + i].events = POLLIN;
		else if (client->state == GYRE_CLIENT_WRITES)
			s->polled[2 + i].events = POLLOUT;
	}
	/* In ms, rounded up: at worst it looks a little late. */
	if (poll(s->polled, 2 + s->clients_count,
		 rest == GYRE_FOREVER ? -1 : (int)((rest + 999999) / 1000000)) < 0)
		for (i = 0; i < 2 + s->clients_count; i++)
			s->polled[i].revents = 0;
}

static void run(void *server)
{
	struct gyre__server *s = server;
	uint32_t i;

	while (!stopping(s)) {
		wait_for_any(s);
		for (i = 0; i < s->clients_count; i++) {
			struct gyre__client *client = &s->clients[i];
			short events = s->polled[2 + i].revents;

			if (client->fd < 0 || stopping(s))
				continue;
			if ((events & (POLLHUP | POLLERR)) && !(events & POLLIN))
				client->state = GYRE_CLIENT_ENDS; /* nobody takes an answer */
			else if (events != 0 || client->state == GYRE_CLIENT_WAITS ||
				 gyre__client_is_ready(client))
				gyre__client_goes_on(client);
		}
		if (s->polled[1].revents != 0)
			let_all_in(s);
	}
	for (i = 0; i < s->clients_count; i++)
		if (s->clients[i].fd >= 0)
			let_go(s, &s->clients[i]);
}

/* The child of a fork, whose only thread has the lock: the parent's connections are not held open
 * by it. */
static void forget(struct gyre__server *s)
{
	uint32_t i;

	close(s->listener.fd);
	close(s->bell.fd);
	for (i = 0; i < s->clients_count; i++)
		if (s->clients[i].fd >= 0)
			close(s->clients[i].fd);
}

static bool read_options(struct gyre_serve_options *all, const struct gyre_serve_options *options)
{
	memset(all, 0, sizeof(*all));
	if (options != NULL) {
		if (options->size != sizeof(*all))
			return false;
		*all = *options;
	}
	if (all->clients == 0)
		all->clients = CLIENTS;
	if (all->timeout_ns == 0)
		all->timeout_ns = TIMEOUT_NS;
	return all->clients <= CLIENTS_MAX && all->timeout_ns <= HOUR_NS &&
	       (all->flags & ~(unsigned)GYRE_SERVE_READ_ONLY) == 0;
}

/* Any thread. Without the thread that is to run. */
static enum gyre_status make(struct gyre_heap *heap, const char *path,
			     const struct gyre_serve_options *all, struct gyre__server **server)
{
	struct gyre__server *s = calloc(1, sizeof(*s) + all->clients * sizeof(s->clients[0]));
	enum gyre_status status;
	uint32_t i;

	if (s == NULL)
		return GYRE_NO_MEMORY;
	s->heap = heap;
	s->flags = all->flags;
	s->timeout_ns = all->timeout_ns;
	s->clients_count = all->clients;
	for (i = 0; i < all->clients; i++)
		s->clients[i].fd = -1;
	if (!gyre__bell_init(&s->bell)) {
		free(s);
		return GYRE_LIMIT; /* rare: no descriptor to end serving by */
	}
	status = gyre__listen(&s->listener, path);
	if (status != GYRE_OK) {
		gyre__bell_destroy(&s->bell);
		free(s);
		return status;
	}
	*server = s;
	return GYRE_OK;
}

static void destroy(struct gyre__server *s)
{
	gyre__listener_end(&s->listener);
	gyre__bell_destroy(&s->bell);
	free(s);
}

/* Any thread, as the last who knows of it. */
static void end(struct gyre__server *s)
{
	struct gyre_heap *heap = s->heap;
	int cancelled = gyre__uncancelled(); /* closing is a point of cancellation */

	/* A dump that has begun waits for a grace period; this thread may be attached elsewhere. */
	gyre__qsbr_park();
	gyre__lock_take(&heap->serving.lock);
	gyre__bell_ring(&s->bell);
	gyre__lock_drop(&heap->serving.lock);
	gyre__thread_join(&s->thread);
	gyre__lock_take(&heap->serving.lock);
	heap->serving.server = NULL;
	destroy(s);
	gyre__lock_drop(&heap->serving.lock);
	gyre__qsbr_unpark();
	gyre__cancelled_as(cancelled);
}

/* The server, which the caller is to end; NULL: there is none, or somebody else ends it. */
static struct gyre__server *begin_to_end(struct gyre_heap *heap)
{
	struct gyre__server *s;

	gyre__lock_take(&heap->serving.lock);
	s = heap->serving.server;
	if (s != NULL && s->stop)
		s = NULL;
	if (s != NULL)
		s->stop = true;
	gyre__lock_drop(&heap->serving.lock);
	return s;
}

/* gyre_heap_close. */
static void stop_at_close(struct gyre_heap *heap)
{
	struct gyre__server *s = begin_to_end(heap);

	if (s != NULL)
		end(s);
}

/* The socket is there, and its thread from now on. Lock held. */
static enum gyre_status start(struct gyre_heap *heap, struct gyre__server *s)
{
	char name[16];

	memcpy(name, heap->name, sizeof(name));
	name[13] = 0;
	strcat(name, "/s");
	if (!gyre__thread_start(&s->thread, name, STACK, run, s)) {
		destroy(s);
		return GYRE_NO_THREAD;
	}
	heap->serving.stop = stop_at_close;
	heap->serving.forget = forget;
	heap->serving.server = s;
	return GYRE_OK;
}

enum gyre_status gyre_serve(struct gyre_heap *heap, const char *path,
			    const struct gyre_serve_options *options)
{
	struct gyre_serve_options all;
	struct gyre__server *s;
	enum gyre_status status;
	int cancelled;

	if (heap == NULL || (path != NULL && !path[0]) || !read_options(&all, options)) {
		errno = EINVAL;
		return GYRE_INVALID;
	}
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	/* In one hold of the lock, which a fork waits for: its child knows of every descriptor. */
	cancelled = gyre__uncancelled();
	gyre__lock_take(&heap->serving.lock);
	status = heap->serving.server != NULL ? GYRE_BUSY : make(heap, path, &all, &s);
	if (status == GYRE_OK)
		status = start(heap, s);
	gyre__lock_drop(&heap->serving.lock);
	gyre__cancelled_as(cancelled);
	return status;
}

enum gyre_status gyre_serve_stop(struct gyre_heap *heap)
{
	struct gyre__server *s;
	struct gyre_mutator *m;
	bool parked;

	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	s = begin_to_end(heap);
	if (s == NULL)
		return GYRE_INVALID;
	/* A dump may be waiting for this very thread's boundary. */
	m = gyre__leavings_get(&heap->leavings);
	parked = m != NULL && gyre_park(m) == GYRE_OK;
	end(s);
	if (parked)
		gyre_unpark(m);
	return GYRE_OK;
}

size_t gyre_serve_path(struct gyre_heap *heap, char *path, size_t bytes)
{
	const char *whole = "";
	size_t length, copied;

	if (path != NULL && bytes > 0)
		path[0] = 0;
	if (heap == NULL || gyre__frozen(heap))
		return 0;
	gyre__lock_take(&heap->serving.lock);
	if (heap->serving.server != NULL)
		whole = heap->serving.server->listener.path;
	length = strlen(whole);
	if (path != NULL && bytes > 0) {
		copied = length < bytes ? length : bytes - 1;
		memcpy(path, whole, copied);
		path[copied] = 0;
	}
	gyre__lock_drop(&heap->serving.lock);
	return length;
}
