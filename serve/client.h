/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.h: one connection of the socket: lines come in, answers go out, one after another. The
 * serving thread, which never waits here: a client that neither sends nor takes anything costs its
 * place for the timeout.
 *
 * A line is at most GYRE_LINE_MAX bytes with its end. Plain: a request a line; the answer is "ok",
 * lines, and an empty line, or "error: why" and an empty line. HTTP, told by the first line:
 * /metrics, and the connection ends behind the answer.
 */
#ifndef GYRE_SERVE_CLIENT_H
#define GYRE_SERVE_CLIENT_H

#include "answer.h"

#define GYRE_LINE_MAX 1024

enum gyre__client_state {
	GYRE_CLIENT_READS,  /* what is asked */
	GYRE_CLIENT_WAITS,  /* for a collection that was asked for */
	GYRE_CLIENT_WRITES, /* the answer */
	GYRE_CLIENT_ENDS,   /* is to be let go */
};

struct gyre__client {
	int fd; /* -1: none; got and given back under the heap's serving lock */
	enum gyre__client_state state;
	uint64_t since_ns; /* begin of the request, or of the answer */
	bool http, last;   /* the answer is the last */
	uint32_t lines;    /* of the request so far */
	size_t got;
	char line[GYRE_LINE_MAX];
	char http_line[64]; /* what HTTP asks for, until its header ends */
	struct gyre__answer answer;
	char head[256];
	struct gyre__part {
		const char *at;
		size_t left;
	} parts[3]; /* what is to be sent: before the answer, the answer, behind it */
};

/* A new connection, whose descriptor is set. */
void gyre__client_begin(struct gyre__client *client, struct gyre_heap *heap, unsigned flags);
/* Does what can be done without waiting, up to the end of one answer: others have their turn. */
void gyre__client_goes_on(struct gyre__client *client);
/* Whether a further line has come in already. */
bool gyre__client_is_ready(const struct gyre__client *client);
/* What its memory is given back for. The descriptor is the server's to close. */
void gyre__client_end(struct gyre__client *client);

#endif
