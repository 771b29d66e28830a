/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.h: watching a heap from outside of its program: its figures as metrics, and a socket at
 * which the library itself answers.
 *
 * Neither stops anybody: metrics are the figures of stats.h in the text format 0.0.4 of Prometheus,
 * and a heap that is served has one thread more, with all signals blocked, which sleeps until
 * somebody asks. Nothing is served unless the program says so. What can be asked, and what each
 * metric means: docs/watching.md. A program that shows it as it changes: gyre-heap top.
 */
#ifndef GYRE_SERVE_H
#define GYRE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

struct gyre_heap;

/* Takes the next bytes of a text; false: it cannot, and is not called any more. No lock of gyre is
 * held; it may call what does not wait for the collector. */
typedef bool (*gyre_write_fn)(void *arg, const char *text, size_t bytes);

/*
 * Writes all figures of gyre_heap_stats, and of gyre_type_stats for each type, as metrics; some
 * hundred bytes at a time, with no memory of its own. Any thread; not a safe point. GYRE_LIMIT:
 * write answered false. GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_metrics(struct gyre_heap *heap, gyre_write_fn write, void *arg);

/* The same to a descriptor. GYRE_LIMIT: it cannot be written, see errno. */
GYRE_API enum gyre_status gyre_metrics_write(struct gyre_heap *heap, int fd);

enum gyre_serve_flags {
	/* What looks is served; what makes the heap or its program do something (collect, dump) is
	 * not. */
	GYRE_SERVE_READ_ONLY = 1,
};

/* A field that is 0 means its default. */
struct gyre_serve_options {
	size_t size;         /* sizeof(struct gyre_serve_options), set by the caller */
	uint32_t clients;    /* served at once, at most 64; 8. The next is told so and let go */
	uint64_t timeout_ns; /* for a client to send a request, and to take an answer; 10 s */
	unsigned flags;      /* enum gyre_serve_flags */
};

/*
 * Serves the heap at a Unix socket, until gyre_serve_stop or gyre_heap_close. path is that of a
 * file, or "@name": a name without a file (an abstract one). NULL: gyre-PID.sock in
 * $XDG_RUNTIME_DIR, or in /tmp if that is not set. options may be NULL. Processes of the same user
 * (effective uid) and of root are answered, all others are let go. A file that a socket has left
 * behind to which nobody listens is replaced; any other file is not. Any thread; not a safe point.
 * GYRE_BUSY: the heap is served already, or there is something else at path. GYRE_LIMIT: path is
 * too long (107 bytes), or there is no descriptor. GYRE_INVALID: path cannot be made (see errno),
 * an option is out of range or its size unknown. GYRE_NO_MEMORY, GYRE_NO_THREAD, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_serve(struct gyre_heap *heap, const char *path,
				     const struct gyre_serve_options *options);

/*
 * Lets all clients go, ends the thread and removes the file. Waits for a dump that is under way; a
 * safe point if the thread is attached, which is parked meanwhile. Any thread; in other heaps that
 * it is attached to it must be parked, as for gyre_collect. GYRE_INVALID: the heap is not served;
 * GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_serve_stop(struct gyre_heap *heap);

/* Where the heap is served, copied as far as bytes reach, with a 0 at the end; "" if it is not. Any
 * thread. Gives the length of the whole. */
GYRE_API size_t gyre_serve_path(struct gyre_heap *heap, char *path, size_t bytes);

#endif
