/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event_loop.c: a server with one event loop, one thread. The safe point stands at the top of the
 * loop, where the program holds no object in a variable; everything that lives on hangs on a root.
 * So no keep frame is needed anywhere.
 *
 * Sessions refer to the server and the server to them, and each session to its last messages, which
 * refer back: a session that closes is a cycle that nothing but gyre takes apart.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdio.h>

#define SESSIONS 64
#define EVENTS 100000

struct server {
	gyre_ref sessions[SESSIONS];
};

struct session {
	gyre_ref server, last;
	unsigned long messages;
};

struct message {
	gyre_ref session, previous;
	unsigned long number;
};

static const struct gyre_type_desc server_desc =
	GYRE_TYPE(struct server, GYRE_REFS(GYRE_REF(struct server, sessions)));
static const struct gyre_type_desc session_desc =
	GYRE_TYPE(struct session,
		  GYRE_REFS(GYRE_REF(struct session, server), GYRE_REF(struct session, last)));
static const struct gyre_type_desc message_desc =
	GYRE_TYPE(struct message,
		  GYRE_REFS(GYRE_REF(struct message, session), GYRE_REF(struct message, previous)));

struct loop {
	struct gyre_mutator *m;
	const struct gyre_type *server_type, *session_type, *message_type;
	struct gyre_root server;
};

/* Opens the session if slot is empty, closes it after its eighth message, else adds a message. */
static enum gyre_status handle(struct loop *loop, unsigned long event)
{
	struct server *server = gyre_load(&loop->server.slot);
	gyre_ref *slot = &server->sessions[event * 31 % SESSIONS];
	struct session *session = gyre_load(slot);
	struct message *message;

	if (!session) {
		session = gyre_new(loop->m, loop->session_type);
		if (!session)
			return GYRE_NO_MEMORY;
		if (gyre_init(loop->m, &session->server, server))
			return GYRE_JOURNAL_FULL;
		return gyre_store(loop->m, slot, session);
	}
	if (session->messages == 8)
		return gyre_store(loop->m, slot, NULL);

	message = gyre_new(loop->m, loop->message_type);
	if (!message)
		return GYRE_NO_MEMORY;
	message->number = session->messages++;
	if (gyre_init(loop->m, &message->session, session) ||
	    gyre_init(loop->m, &message->previous, gyre_load(&session->last)))
		return GYRE_JOURNAL_FULL;
	return gyre_store(loop->m, &session->last, message);
}

static int run(struct gyre_heap *heap, struct loop *loop)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	unsigned long event;
	void *server;

	if (gyre_type_register(heap, &server_desc, &loop->server_type) ||
	    gyre_type_register(heap, &session_desc, &loop->session_type) ||
	    gyre_type_register(heap, &message_desc, &loop->message_type))
		return 1;
	server = gyre_new(loop->m, loop->server_type);
	if (!server || gyre_root_init(loop->m, &loop->server, server))
		return 1;
	for (event = 0; event < EVENTS; event++) {
		gyre_safepoint(loop->m); /* no object in a variable: nothing to keep */
		if (handle(loop, event))
			return 1;
	}
	if (gyre_root_drop(loop->m, &loop->server) || gyre_collect(loop->m, NULL) ||
	    gyre_heap_stats(heap, &stats))
		return 1;
	printf("%d events, %" PRIu64 " objects made, %" PRIu64 " left\n", EVENTS,
	       stats.objects_allocated, stats.objects_live);
	return 0;
}

int main(void)
{
	struct loop loop;
	struct gyre_heap *heap;
	int failed;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &loop.m))
		return 1;
	failed = run(heap, &loop);
	return failed || gyre_detach(loop.m) || gyre_heap_close(heap);
}
