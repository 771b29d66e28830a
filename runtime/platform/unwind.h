/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unwind.h: the frames of the calling thread, and what lies at an address of code. Any thread.
 */
#ifndef GYRE_PLATFORM_UNWIND_H
#define GYRE_PLATFORM_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Return addresses of the calling thread's frames, innermost first, from the frame on that returns
 * to from (all, if there is none). The number of them, at most room. Takes no memory and no lock
 * of ours; by the tables of exception handling, so it is sound in code without frame pointers, and
 * ends at code without tables.
 */
unsigned gyre__unwind(const void **frames, unsigned room, const void *from);

/* What the dynamic linker knows of an address. */
struct gyre__symbol {
	const char *function; /* NULL: not known */
	uintptr_t offset;     /* in the function; else in the file */
	const char *file;     /* NULL: not known */
};

struct gyre__symbol gyre__symbol_of(const void *address);

/* A part of the process's memory that holds code. */
struct gyre__mapping {
	uint64_t start, end, offset;
	const char *file; /* valid during the call; "" if it has none */
};

/* Calls visit for each of them, in the order of addresses, until it returns false. False: it did,
 * or they cannot be read. */
bool gyre__mappings_each(bool (*visit)(const struct gyre__mapping *mapping, void *arg), void *arg);

#endif
