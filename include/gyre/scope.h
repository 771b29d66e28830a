/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scope.h: closes what was put into it on every way out of a block: a file, a connection, a lock,
 * any pointer with its closing function. Needs no heap and knows of none.
 *
 *	GYRE_SCOPE(scope);
 *	FILE *file = fopen(path, "r");
 *
 *	if (!file || gyre_scope_add(&scope, file, close_file))
 *		...
 *
 * What was added last is closed first, at the end of the block, and also when it is left by return,
 * break, continue or goto; not by longjmp or exit. Scopes nest as their blocks do. A scope is used
 * by one thread at a time. None of the calls is a safe point, unless a closing function reaches
 * one.
 */
#ifndef GYRE_SCOPE_H
#define GYRE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include <gyre/status.h>

/*
 * Closes pointer. 0: done; anything else is remembered (see gyre_scope_close), and the rest is
 * closed all the same. It may use the scope it is called from: what it adds is closed next.
 */
typedef int (*gyre_close_fn)(void *pointer);

struct gyre_scope_item {
	void *pointer;
	gyre_close_fn close;
};

#define GYRE_SCOPE_FEW 4 /* entries that need no memory of their own */

/* The fields are not for the user. All zero is an empty scope; it may be moved as bytes. */
struct gyre_scope {
	struct gyre_scope_item *items; /* NULL: they are in few */
	size_t count, capacity;        /* of items */
	int failed;
	struct gyre_scope_item few[GYRE_SCOPE_FEW];
};

/* Declares a scope that is closed when the block it stands in is left. */
#define GYRE_SCOPE(name)                                                                           \
	__attribute__((cleanup(gyre_scope_leave))) struct gyre_scope name = { .count = 0 }

/* The explicit form, for languages without the attribute: makes an empty scope. */
GYRE_API void gyre_scope_open(struct gyre_scope *scope);

/*
 * From now on the scope closes pointer (which may be NULL: close is then called with it).
 * GYRE_NO_MEMORY: nothing was added; pointer is the caller's still, who closes it and gives up, or
 * makes sure of room before there is anything to close (gyre_scope_reserve). GYRE_INVALID: scope or
 * close is NULL. The first GYRE_SCOPE_FEW need no memory.
 */
GYRE_API enum gyre_status gyre_scope_add(struct gyre_scope *scope, void *pointer,
					 gyre_close_fn close);

/* Makes room, so that the next count calls of gyre_scope_add are sure to succeed. GYRE_NO_MEMORY,
 * GYRE_INVALID. */
GYRE_API enum gyre_status gyre_scope_reserve(struct gyre_scope *scope, size_t count);

/*
 * Takes pointer out without closing it: it outlives the block. If it was added several times, the
 * last one is taken. False: it is not in the scope.
 */
GYRE_API bool gyre_scope_take(struct gyre_scope *scope, const void *pointer);

/*
 * Closes all that is in the scope, the last added first, each after it was taken out. The scope is
 * empty afterwards and may be used again. Returns what the first closing function that failed
 * returned since it was opened or closed last; 0 if none did. Who wants to know closes the scope at
 * the end of the block by this call, and leaving it then has nothing to do.
 */
GYRE_API int gyre_scope_close(struct gyre_scope *scope);

/* What GYRE_SCOPE calls at the end of the block: gyre_scope_close, its answer forgotten. */
GYRE_API void gyre_scope_leave(struct gyre_scope *scope);

#endif
