/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.c: reading requests and sending answers. See client.h. The serving thread.
 *
 * Invariant: nothing is read while an answer is on its way, so what a client can have the library
 * keep is one line and one answer.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/wait.h"

#define HEADER_LINES 64 /* of HTTP */

void gyre__client_begin(struct gyre__client *client, struct gyre_heap *heap, unsigned flags)
{
	client->state = GYRE_CLIENT_READS;
	client->since_ns = gyre__now_ns();
	client->http = client->last = false;
	client->got = 0;
	client->lines = 0;
	memset(&client->answer, 0, sizeof(client->answer));
	client->answer.heap = heap;
	client->answer.flags = flags;
	gyre__answer_begin(&client->answer);
}

void gyre__client_end(struct gyre__client *client)
{
	gyre__answer_end(&client->answer);
}

static void set_parts(struct gyre__client *client, const char *body, size_t length,
		      const char *behind)
{
	client->parts[0] = (struct gyre__part){ client->head, strlen(client->head) };
	client->parts[1] = (struct gyre__part){ body, length };
	client->parts[2] = (struct gyre__part){ behind, strlen(behind) };
	client->since_ns = gyre__now_ns();
	client->state = GYRE_CLIENT_WRITES;
}

static void write_http(struct gyre__client *client, const char *code, const char *kind,
		       const char *body, size_t length)
{
	snprintf(client->head, sizeof(client->head),
		 "HTTP/1.1 %s\r\nContent-Type: text/plain; %scharset=utf-8\r\n"
		 "Content-Length: %zu\r\nConnection: close\r\n\r\n",
		 code, kind, length);
	client->last = true;
	set_parts(client, body, length, "");
}

/* The answer is whole. */
static void write_answer(struct gyre__client *client)
{
	const struct gyre__answer *a = &client->answer;

	if (client->http && a->error[0])
		write_http(client, "503 Service Unavailable", "", a->error, strlen(a->error));
	else if (client->http)
		write_http(client, "200 OK", "version=0.0.4; ", a->bytes, a->length);
	else if (a->error[0]) {
		strcpy(client->head, "error: ");
		set_parts(client, a->error, strlen(a->error), "\n\n");
	} else {
		strcpy(client->head, "ok\n");
		set_parts(client, a->bytes, a->length, "\n");
	}
}

static void answer(struct gyre__client *client, const char *request)
{
	gyre__answer_to(&client->answer, request);
	if (gyre__answer_done(&client->answer))
		write_answer(client);
	else
		client->state = GYRE_CLIENT_WAITS;
}

/* The header of a request by HTTP has ended. */
static void answer_http(struct gyre__client *client)
{
	static const char lost[] = "only /metrics is here\n", not_get[] = "only GET is here\n";
	const char *path = strchr(client->http_line, ' ');
	size_t length = path == NULL ? 0 : strcspn(path + 1, " ?");

	if (strncmp(client->http_line, "GET ", 4) != 0)
		write_http(client, "405 Method Not Allowed", "", not_get, sizeof(not_get) - 1);
	else if (length == strlen("/metrics") && strncmp(path + 1, "/metrics", length) == 0)
		answer(client, "metrics");
	else
		write_http(client, "404 Not Found", "", lost, sizeof(lost) - 1);
}

static void refuse(struct gyre__client *client, const char *why)
{
	client->last = true;
	strcpy(client->head, "error: ");
	set_parts(client, why, strlen(why), "\n\n");
}

static void take_line(struct gyre__client *client, char *line)
{
	size_t length = strlen(line);

	if (++client->lines > HEADER_LINES) {
		refuse(client, "the header is too long");
		return;
	}
	if (length > 0 && line[length - 1] == '\r')
		line[--length] = 0;
	if (client->http) {
		if (length == 0)
			answer_http(client);
	} else if (strstr(line, " HTTP/1.") != NULL) {
		client->http = true;
		snprintf(client->http_line, sizeof(client->http_line), "%s", line);
	} else {
		answer(client, line);
	}
}

/* Takes the first line that has come in whole. False: there is none. */
static bool next_line(struct gyre__client *client)
{
	char line[GYRE_LINE_MAX];
	char *end = memchr(client->line, '\n', client->got);
	size_t length;

	if (end == NULL)
		return false;
	length = (size_t)(end - client->line);
	memcpy(line, client->line, length);
	line[length] = 0;
	client->got -= length + 1;
	memmove(client->line, end + 1, client->got);
	take_line(client, line);
	return true;
}


/* Reads what there is. False: there is nothing now. */
static bool receive(struct gyre__client *client)
{
	ssize_t got;

	if (client->got == sizeof(client->line)) {
		refuse(client, "the line is too long");
		return true;
	}
	got = recv(client->fd, client->line + client->got, sizeof(client->line) - client->got, 0);
	if (got > 0)
		client->got += (size_t)got;
	else if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	else
		client->state = GYRE_CLIENT_ENDS;
	return true;
}

/* Sends what it takes now. */
static void send_on(struct gyre__client *client)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		struct gyre__part *part = &client->parts[i];

		while (part->left > 0) {
			ssize_t sent = send(client->fd, part->at, part->left, MSG_NOSIGNAL);

			if (sent < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			if (sent < 0) {
				client->state = GYRE_CLIENT_ENDS;
				return;
			}
			part->at += sent;
			part->left -= (size_t)sent;
		}
	}
	client->state = client->last ? GYRE_CLIENT_ENDS : GYRE_CLIENT_READS;
	client->since_ns = gyre__now_ns();
	client->lines = 0;
}

bool gyre__client_is_ready(const struct gyre__client *client)
{
	return client->state == GYRE_CLIENT_READS &&
	       memchr(client->line, '\n', client->got) != NULL;
}

void gyre__client_goes_on(struct gyre__client *client)
{
	for (;;) {
		switch (client->state) {
		case GYRE_CLIENT_READS:
			if (!next_line(client) && !receive(client))
				return;
			break;
		case GYRE_CLIENT_WAITS:
			if (!gyre__answer_done(&client->answer))
				return;
			write_answer(client);
			break;
		case GYRE_CLIENT_WRITES:
			send_on(client);
			return;
		case GYRE_CLIENT_ENDS:
			return;
		}
	}
}
