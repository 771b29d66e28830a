/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status.h: what a call of gyre answers. Included by every other header; any thread.
 *
 * Nothing in gyre aborts the host for want of memory or for a bad argument: a call that can fail
 * returns one of these (or NULL, where the manual of the call says which status that stands for).
 */
#ifndef GYRE_STATUS_H
#define GYRE_STATUS_H

#if defined(__GNUC__)
#define GYRE_API __attribute__((visibility("default")))
#else
#define GYRE_API
#endif

/* Every status once: name, text. GYRE_OK is 0; the numbers of the others never change. */
#define GYRE_STATUSES(X)                                                                           \
	X(GYRE_OK, 0, "success")                                                                   \
	X(GYRE_INVALID, 1, "an argument is not valid for this call")                               \
	X(GYRE_NO_MEMORY, 2, "the system has no memory left, or the heap is at its limit")         \
	X(GYRE_JOURNAL_FULL, 3, "the journals are at their limit: nothing was stored")             \
	X(GYRE_NO_THREAD, 4, "a thread could not be started")                                      \
	X(GYRE_ATTACHED, 5, "this thread is attached to the heap already")                         \
	X(GYRE_BUSY, 6, "mutators are attached, frames are open or a call is under way")           \
	X(GYRE_FROZEN, 7, "the heap is frozen in the child of a fork")                             \
	X(GYRE_CHANGED, 8, "the slot held another value")                                          \
	X(GYRE_PARKED, 9, "the mutator is parked")                                                 \
	X(GYRE_LIMIT, 10, "a limit of the system or of this build was reached")                    \
	X(GYRE_DISAGREES, 11, "the heap and its collector's account of it disagree")               \
	X(GYRE_CLEARED, 12, "the object of the weak cell is gone")

enum gyre_status {
#define GYRE_STATUS_ENUM(name, number, text) name = number,
	GYRE_STATUSES(GYRE_STATUS_ENUM)
#undef GYRE_STATUS_ENUM
};

/* The text of a status, in English, without a full stop; never NULL. Any thread. */
GYRE_API const char *gyre_status_text(enum gyre_status status);

/* The name of a status as it is spelled in this header; never NULL. Any thread. */
GYRE_API const char *gyre_status_name(enum gyre_status status);

#endif
