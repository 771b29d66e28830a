/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.h: the socket that a heap is served at: making it, and removing its file. The thread that
 * calls gyre_serve makes it, the one that stops it ends it.
 */
#ifndef GYRE_SERVE_LISTEN_H
#define GYRE_SERVE_LISTEN_H

#include <gyre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct gyre__listener {
	int fd; /* -1: none. Does not block, is closed by exec */
	struct sockaddr_un address;
	socklen_t length;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* as gyre_serve_path tells it */
	dev_t device; /* of the file; 0 and 0 of an abstract name */
	ino_t inode;
};

/* path as in gyre_serve. GYRE_BUSY, GYRE_LIMIT, GYRE_INVALID (errno is set). */
enum gyre_status gyre__listen(struct gyre__listener *listener, const char *path);

/* Closes it, and removes the file if it is the listener's own still. */
void gyre__listener_end(struct gyre__listener *listener);

#endif
