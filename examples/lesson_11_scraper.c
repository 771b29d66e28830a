/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_11_scraper.c: a cache of pages with weak values, fed by four threads from the network.
 *
 * The weak map finds every page that is alive, whoever holds it; a short list of the pages that
 * were asked for last keeps those alive. A page that falls off the list, and that no thread is
 * reading, dies, and its entry disappears. A server thread on the loopback interface serves the
 * pages; workers park round the sockets.
 */
#include <gyre/gyre.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 4
#define LOOKUPS 100 /* of each worker; so there are at most 400 requests */
#define PAGES 40
#define RECENT 8

struct page {
	char text[128]; /* as the server sent it */
};
struct recent {
	gyre_ref pages[RECENT]; /* the last one used first */
};
static const struct gyre_type_desc page_desc = GYRE_TYPE(struct page, .refs = NULL);
static const struct gyre_type_desc recent_desc =
	GYRE_TYPE(struct recent, GYRE_REFS(GYRE_REF(struct recent, pages)));
static struct gyre_heap *heap;
static const struct gyre_type *page_type, *recent_type;
static struct gyre_weakmap *cache;
static struct gyre_root recent;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of recent */
static int listener;
static struct sockaddr_in address;

/* Serves until the listening socket is shut down, and counts the requests. */
static void *serve(void *arg)
{
	int fd, *served = arg;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		char request[256] = "";
		unsigned number;

		if (recv(fd, request, sizeof(request) - 1, 0) > 0 &&
		    sscanf(request, "GET /%u HTTP/1.0", &number) == 1)
			*served += dprintf(fd, "HTTP/1.0 200 OK\r\n\r\npage %u", number) > 0;
		close(fd);
	}
	return NULL;
}

/* Fetches a page that is not in the cache, parked: the server may take as long as it likes. Of
 * several threads that do so, one puts its page into the cache, and all use that. */
static struct page *fetch(struct gyre_mutator *m, void *key)
{
	char reply[sizeof(struct page)] = "";
	void *page, *winner;
	int fd, failed;

	if (gyre_park(m) || (fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
		return NULL;
	failed = connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
		 dprintf(fd, "GET /%zu HTTP/1.0\r\n\r\n", (size_t)key) < 0 ||
		 recv(fd, reply, sizeof(reply) - 1, MSG_WAITALL) < 0; /* all until it closes */
	if (close(fd) || gyre_unpark(m) || failed || !strstr(reply, "\r\n\r\npage ") ||
	    !(page = gyre_new(m, page_type)))
		return NULL;
	memcpy(page, reply, sizeof(reply));
	return gyre_weakmap_put_if_absent(m, cache, key, page, &winner) ? NULL : winner;
}

/* Puts the page first; the last one falls off. No safe point while the lock is held. */
static int touch(struct gyre_mutator *m, struct page *page)
{
	struct recent *list = gyre_load(&recent.slot);
	size_t i = 0;
	int failed;

	pthread_mutex_lock(&lock);
	while (i < RECENT - 1 && gyre_load(&list->pages[i]) != page)
		i++;
	failed = gyre_array_copy(m, &list->pages[1], &list->pages[0], i) ||
		 gyre_store(m, &list->pages[0], page);
	pthread_mutex_unlock(&lock);
	return failed;
}

static void *work(void *arg)
{
	unsigned random = (unsigned)(uintptr_t)arg;
	struct gyre_mutator *m;
	struct page *page;
	int i, failed = gyre_attach(heap, 0, &m);

	for (i = 0; i < LOOKUPS && !failed; i++) {
		void *key = (void *)(uintptr_t)(1 + rand_r(&random) % PAGES);

		failed = (!(page = gyre_weakmap_get(m, cache, key)) && !(page = fetch(m, key))) ||
			 strtoul(strrchr(page->text, ' '), NULL, 10) != (uintptr_t)key ||
			 touch(m, page);
		gyre_safepoint(m);
	}
	return failed || gyre_detach(m) ? arg : NULL;
}

int main(void)
{
	socklen_t length = sizeof(address);
	pthread_t server, workers[WORKERS];
	struct gyre_mutator *m;
	int i, failed, served = 0;
	void *result;

	address = (struct sockaddr_in){ AF_INET, 0, { htonl(INADDR_LOOPBACK) }, { 0 } };
	listener = socket(AF_INET, SOCK_STREAM, 0); /* port 0: any that is free */
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) ||
	    listen(listener, WORKERS) ||
	    getsockname(listener, (struct sockaddr *)&address, &length) ||
	    gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &page_desc, &page_type) ||
	    gyre_type_register(heap, &recent_desc, &recent_type) ||
	    gyre_root_init(m, &recent, gyre_new(m, recent_type)) || !gyre_load(&recent.slot) ||
	    gyre_weakmap_open(m, &(struct gyre_keys){ .free = NULL }, &cache) || /* numbers */
	    pthread_create(&server, NULL, serve, &served))
		return 1;
	for (i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, work, (void *)(uintptr_t)(i + 1)))
			return 1;
	for (failed = gyre_park(m), i = 0; i < WORKERS; i++)
		failed |= pthread_join(workers[i], &result) || result;
	shutdown(listener, SHUT_RDWR); /* ends the server's accept */
	if (pthread_join(server, NULL) || failed || gyre_unpark(m) || gyre_collect(m, NULL) ||
	    gyre_finalize_wait(m)) /* the dead have gone from the map when that returns */
		return 1;
	printf("%d look-ups, %d requests, then %zu pages in the cache\n", WORKERS * LOOKUPS, served,
	       gyre_weakmap_count(cache));
	if (gyre_root_drop(m, &recent) || gyre_collect(m, NULL) || gyre_finalize_wait(m))
		return 1;
	printf("without the list: %zu\n", gyre_weakmap_count(cache));
	return gyre_weakmap_close(m, cache) || gyre_detach(m) || gyre_heap_close(heap);
}
