/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * insist.h: calls that are repeated until the system grants what they need. A call may fail only by
 * a status that its header names, and only if something was refused meanwhile. Any thread.
 */
#ifndef GYRE_TESTS_INSIST_H
#define GYRE_TESTS_INSIST_H

#include "../support.h"

#include "wrap.h"

#define MASK(status) (1u << (status))
#define NO_MEMORY MASK(GYRE_NO_MEMORY)

/* A call that is refused so often will never be granted. */
enum { ANSWERS = 20 * 1000 };

static _Thread_local unsigned answers;

/* Whether the call is done. If not, something must have been refused since refused_before. */
static inline bool granted(enum gyre_status status, unsigned allowed, unsigned refused_before,
			   const char *call)
{
	if (status == GYRE_OK) {
		answers = 0;
		return true;
	}
	if (!(MASK(status) & allowed) || wrap_refused() == refused_before || ++answers > ANSWERS) {
		fprintf(stderr, "%s answered %s, with %u calls refused before and %u after\n", call,
			gyre_status_name(status), refused_before, wrap_refused());
		abort();
	}
	return false;
}

/* Repeats the call until it is granted. */
#define insist(call, allowed)                                                                      \
	do {                                                                                       \
		unsigned refused_before_;                                                          \
		enum gyre_status status_;                                                          \
                                                                                                   \
		do {                                                                               \
			refused_before_ = wrap_refused();                                          \
			status_ = (call);                                                          \
		} while (!granted(status_, (allowed), refused_before_, #call));                    \
	} while (0)

#define made(pointer, call) (((pointer) = (call)) != NULL ? GYRE_OK : GYRE_NO_MEMORY)

#endif
