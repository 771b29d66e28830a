/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serving.h: a client of the socket that a heap is served at, which waits for each answer. Any
 * thread.
 */
#ifndef GYRE_TESTS_SERVING_H
#define GYRE_TESTS_SERVING_H

#include "support.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SERVING_ROOM (256 << 10)

/* A name without a file that no other process has. */
static inline const char *serving_name(void)
{
	static char name[64];

	/* First by the main thread, before it has others; and the same in its children. */
	if (!name[0])
		snprintf(name, sizeof(name), "@gyre-test-%d", (int)getpid());
	return name;
}

/* -1: nobody listens there. */
static inline int serving_try(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect(fd >= 0);
	strcpy(address.sun_path, path);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	else
		length++;
	if (connect(fd, (struct sockaddr *)&address, length) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int serving_connect(const char *path)
{
	int fd = serving_try(path);

	expect(fd >= 0);
	return fd;
}

static inline void serving_send(int fd, const char *text)
{
	expect(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* An empty directory of this process. */
static inline const char *serving_folder(void)
{
	static char folder[64];

	snprintf(folder, sizeof(folder), "/tmp/gyre-test-%d", (int)getpid());
	expect(mkdir(folder, 0700) == 0);
	return folder;
}

/* Reads up to and with an empty line, or to the end, which is the answer 0. Else its length. */
static inline size_t serving_read(int fd, char *answer, size_t room)
{
	size_t length = 0;

	answer[0] = 0;
	while (length < 2 || memcmp(answer + length - 2, "\n\n", 2) != 0) {
		ssize_t got;

		expect(length + 1 < room);
		got = recv(fd, answer + length, 1, 0);
		if (got <= 0) {
			expect(got == 0 || errno == ECONNRESET);
			return 0;
		}
		answer[++length] = 0;
	}
	return length;
}

/* All up to the end of the connection. */
static inline size_t serving_read_all(int fd, char *answer, size_t room)
{
	size_t length = 0;
	ssize_t got;

	while ((got = recv(fd, answer + length, room - 1 - length, 0)) > 0)
		length += (size_t)got;
	expect(got == 0 || errno == ECONNRESET);
	answer[length] = 0;
	return length;
}

/* One request on a connection of its own, by which the answer is found to be "ok"; what follows
 * that. */
static inline char *serving_ask(const char *path, const char *request, char *answer)
{
	int fd = serving_connect(path);

	expect(answer != NULL);
	serving_send(fd, request);
	shutdown(fd, SHUT_WR); /* the only one, so the answer ends with the connection */
	serving_read_all(fd, answer, SERVING_ROOM);
	close(fd);
	if (strncmp(answer, "ok\n", 3) != 0) {
		fprintf(stderr, "%.20s answered ", request);
		fwrite(answer, 1, strnlen(answer, 200), stderr);
	}
	expect(strncmp(answer, "ok\n", 3) == 0);
	expect(strcmp(answer + strlen(answer) - 2, "\n\n") == 0);
	answer[strlen(answer) - 1] = 0; /* the empty line */
	return answer + 3;
}

static inline void serving_refuses(int fd, const char *request, const char *error)
{
	char answer[1024];

	serving_send(fd, request);
	expect(serving_read(fd, answer, sizeof(answer)) > 0);
	if (strcmp(answer, error) != 0)
		fprintf(stderr, "answered %s", answer);
	expect(strcmp(answer, error) == 0);
}

#endif
