/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c: making a socket to listen at. See listen.h.
 *
 * Invariant: a file is removed only if it is a socket of this user to which nobody listens. Nobody
 * can begin to between the look and the removal: who makes or replaces a socket here holds the lock
 * of its directory.
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/wait.h"

#define BACKLOG 16
/* How long the lock of a directory is waited for: it is held for a few system calls. */
#define LOCK_TRIES 200
#define LOCK_PAUSE_NS 5000000

static enum gyre_status of_errno(void)
{
	switch (errno) {
	case EMFILE:
	case ENFILE:
		return GYRE_LIMIT;
	case ENOMEM:
	case ENOBUFS:
		return GYRE_NO_MEMORY;
	case EADDRINUSE:
		return GYRE_BUSY;
	default:
		return GYRE_INVALID;
	}
}

/* The path, or that of the naming rule; and the address. */
static bool name(struct gyre__listener *l, const char *path)
{
	size_t room = sizeof(l->path), length;
	const char *folder;

	if (path != NULL) {
		length = strlen(path);
		if (length >= room)
			return false;
		memcpy(l->path, path, length + 1);
	} else {
		folder = secure_getenv("XDG_RUNTIME_DIR");
		if (folder == NULL || folder[0] != '/')
			folder = "/tmp";
		length = (size_t)snprintf(l->path, room, "%s/gyre-%ld.sock", folder,
					  (long)getpid());
		if (length >= room)
			return false;
	}
	memset(&l->address, 0, sizeof(l->address));
	l->address.sun_family = AF_UNIX;
	memcpy(l->address.sun_path, l->path, length + 1);
	l->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	/* An abstract name begins with a 0 and has none at its end: see unix(7). */
	if (l->path[0] == '@') {
		l->address.sun_path[0] = 0;
		l->length--;
	}
	return true;
}

/* Whether the file was left behind. Connecting tells: a socket that is full is alive as well. */
static bool is_stale(const struct gyre__listener *l)
{
	struct stat file;
	bool refused;
	int fd;

	if (lstat(l->path, &file) != 0 || !S_ISSOCK(file.st_mode) || file.st_uid != geteuid())
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)&l->address, l->length) != 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* Locks the directory of the file; -1: that was not to be had. Others may hold the lock of one that
 * all may read, such as /tmp, so it is not waited for without end. */
static int lock_directory(const struct gyre__listener *l)
{
	char folder[sizeof(l->path)];
	char *slash;
	int fd, tries;

	memcpy(folder, l->path, sizeof(folder));
	slash = strrchr(folder, '/');
	if (slash == NULL)
		strcpy(folder, ".");
	else
		slash[slash == folder] = 0;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (tries = 0; fd >= 0 && tries < LOCK_TRIES; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		gyre__pause_ns(LOCK_PAUSE_NS);
	}
	if (fd >= 0) {
		close(fd);
		errno = EADDRINUSE;
	}
	return -1;
}

static bool bind_there(struct gyre__listener *l)
{
	const struct sockaddr *address = (const struct sockaddr *)&l->address;

	if (bind(l->fd, address, l->length) == 0)
		return true;
	if (errno != EADDRINUSE || l->path[0] == '@')
		return false;
	if (!is_stale(l)) {
		errno = EADDRINUSE;
		return false;
	}
	return unlink(l->path) == 0 && bind(l->fd, address, l->length) == 0;
}

static bool begin(struct gyre__listener *l)
{
	struct stat file;

	/* Before it has a name, so that it never is there for others. See also who is answered. */
	if (fchmod(l->fd, 0600) != 0 || !bind_there(l))
		return false;
	if (l->path[0] != '@' && lstat(l->path, &file) == 0) {
		l->device = file.st_dev;
		l->inode = file.st_ino;
	}
	return listen(l->fd, BACKLOG) == 0;
}

enum gyre_status gyre__listen(struct gyre__listener *listener, const char *path)
{
	enum gyre_status status = GYRE_OK;
	int lock = -1, error;

	memset(listener, 0, sizeof(*listener));
	listener->fd = -1;
	if (!name(listener, path))
		return GYRE_LIMIT;
	if (listener->path[0] != '@') {
		lock = lock_directory(listener);
		if (lock < 0)
			return of_errno();
	}
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0 || !begin(listener)) {
		error = errno;
		status = of_errno();
		gyre__listener_end(listener);
		errno = error;
	}
	if (lock >= 0) {
		/* Also of a copy that a child of a fork may have. */
		flock(lock, LOCK_UN);
		close(lock);
	}
	return status;
}

void gyre__listener_end(struct gyre__listener *listener)
{
	struct stat file;

	if (listener->inode != 0 && lstat(listener->path, &file) == 0 &&
	    file.st_dev == listener->device && file.st_ino == listener->inode)
		unlink(listener->path);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}
