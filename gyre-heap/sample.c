/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.c: a client of the socket at which a heap is served. See sample.h. One thread.
 *
 * Invariant: what the other end sends is not trusted to be what gyre would send: it is bounded, and
 * a line that cannot be read is left out.
 */
#include "sample.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)64 << 20)
#define PATIENCE_S 60

static bool is_socket(const char *path)
{
	struct stat file;

	return stat(path, &file) == 0 && S_ISSOCK(file.st_mode);
}

/* The naming rule of gyre_serve: this user's directory, that of the user whose process it is, or
 * /tmp. */
static bool find_process(long pid, char *path, size_t bytes)
{
	const char *folder = getenv("XDG_RUNTIME_DIR");
	struct stat process;
	char name[64];

	snprintf(name, sizeof(name), "/proc/%ld", pid);
	if (folder != NULL && folder[0]) {
		snprintf(path, bytes, "%s/gyre-%ld.sock", folder, pid);
		if (is_socket(path))
			return true;
	}
	if (stat(name, &process) == 0) {
		snprintf(path, bytes, "/run/user/%u/gyre-%ld.sock", (unsigned)process.st_uid, pid);
		if (is_socket(path))
			return true;
	}
	snprintf(path, bytes, "/tmp/gyre-%ld.sock", pid);
	return is_socket(path);
}

bool sample_find(const char *what, char *path, size_t bytes, char *why, size_t why_bytes)
{
	char *end;
	long pid = strtol(what, &end, 10);

	if (!what[0] || *end || pid <= 0) {
		snprintf(path, bytes, "%s", what);
		if (what[0] && strlen(what) < sizeof(((struct sockaddr_un *)0)->sun_path))
			return true;
		snprintf(why, why_bytes, "%s is neither a process nor the path of a socket", what);
		return false;
	}
	if (find_process(pid, path, bytes))
		return true;
	snprintf(why, why_bytes,
		 "process %ld serves no heap where it would by default (the last place looked at "
		 "is %s); give the path of its socket",
		 pid, path);
	return false;
}

static int connect_to(const char *path, char *why, size_t why_bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = 0;
	else
		length++;
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	    connect(fd, (const struct sockaddr *)&address, length) == 0)
		return fd;
	snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* All up to the end of the connection. */
static char *receive(int fd, char *why, size_t why_bytes)
{
	size_t length = 0, room = 65536;
	char *text = malloc(room);
	ssize_t got = 1;

	while (text != NULL && got > 0) {
		if (length + 1 == room) {
			char *more = room < ANSWER_MAX ? realloc(text, room *= 2) : NULL;

			if (more == NULL)
				free(text);
			text = more;
			continue;
		}
		got = recv(fd, text + length, room - 1 - length, 0);
		if (got > 0)
			length += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	if (text == NULL) {
		snprintf(why, why_bytes, "no memory for the answer");
	} else if (got < 0) {
		snprintf(why, why_bytes, "no answer: %s", strerror(errno));
		free(text);
		text = NULL;
	} else {
		text[length] = 0;
	}
	return text;
}

char *sample_ask(const char *path, const char *request, char *why, size_t why_bytes)
{
	int fd = connect_to(path, why, why_bytes);
	size_t length = strlen(request);
	char *text = NULL;

	if (fd < 0)
		return NULL;
	if (send(fd, request, length, MSG_NOSIGNAL) == (ssize_t)length &&
	    shutdown(fd, SHUT_WR) == 0)
		text = receive(fd, why, why_bytes);
	else
		snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
	close(fd);
	return text;
}

/* The next of several answers, without its "ok", cut off behind it. NULL: it is none. */
static char *next_answer(char **rest)
{
	char *begin = *rest, *end = strstr(begin, "\n\n");

	if (end == NULL || strncmp(begin, "ok\n", 3) != 0)
		return NULL;
	end[1] = 0;
	*rest = end + 2;
	return begin + 3;
}

static bool read_types(struct sample *s, char *text)
{
	char *line, *end;
	size_t lines = 0;

	for (line = text; (line = strchr(line, '\n')) != NULL; line++)
		lines++;
	s->types = calloc(lines + 1, sizeof(s->types[0]));
	if (s->types == NULL)
		return false;
	for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		struct sample_type *t = &s->types[s->types_count];
		int at = 0;

		*end = 0;
		if (sscanf(line,
			   "type %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			   " %" SCNu64 "%n",
			   &t->objects, &t->bytes, &t->allocated, &t->allocated_bytes, &t->by_count,
			   &t->by_cycle, &at) != 6 ||
		    line[at] != ' ')
			continue;
		t->name = line + at + 1;
		s->types_count++;
	}
	return true;
}

static void read_delays(struct sample *s, const char *text)
{
	const char *line;

	for (line = text; *line && s->delays_count < SAMPLE_DELAYS; line = strchr(line, '\n') + 1) {
		struct sample_delay *d = &s->delays[s->delays_count];

		s->delays_count += sscanf(line,
					  "%15s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
					  " %" SCNu64 " %" SCNu64,
					  d->cause, &d->count, &d->total_ns, &d->p50_ns, &d->p99_ns,
					  &d->p999_ns, &d->max_ns) == 7;
	}
}

bool sample_take(struct sample *sample, const char *path, char *why, size_t why_bytes)
{
	char *rest, *types, *delays;
	struct timespec now;

	sample_free(sample);
	sample->text = sample_ask(path, "stats\ntypes\ndelays\n", why, why_bytes);
	if (sample->text == NULL)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->at_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	rest = sample->text;
	if ((sample->stats = next_answer(&rest)) != NULL &&
	    (types = next_answer(&rest)) != NULL && (delays = next_answer(&rest)) != NULL &&
	    read_types(sample, types)) {
		read_delays(sample, delays);
		return true;
	}
	snprintf(why, why_bytes, "%s answers %.*s", path, (int)strcspn(rest, "\n"),
		 *rest ? rest : "nothing");
	sample_free(sample);
	return false;
}

void sample_free(struct sample *sample)
{
	free(sample->text);
	free(sample->types);
	memset(sample, 0, sizeof(*sample));
}

/* What follows a name and a blank. */
static const char *value_of(const struct sample *sample, const char *name)
{
	size_t length = strlen(name);
	const char *line = sample->stats;

	while (line != NULL && *line) {
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			return line + length + 1;
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	return "";
}

uint64_t sample_figure(const struct sample *sample, const char *name)
{
	return strtoull(value_of(sample, name), NULL, 10);
}

void sample_word(const struct sample *sample, const char *name, char *word, size_t bytes)
{
	const char *value = value_of(sample, name);

	snprintf(word, bytes, "%.*s", (int)strcspn(value, "\n"), value);
}
