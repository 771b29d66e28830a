/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * none.c: fresh memory for arenas, up to a limit for the whole run. Any thread.
 */
#include "manage.h"

#include <sys/mman.h>

#define PIECE ((size_t)64 << 20)
#define LIMIT ((size_t)6 << 30)

static _Atomic(size_t) used;

bool mm_open(const struct mm_options *options)
{
	(void)options;
	return true;
}

void mm_close(void)
{
}

bool mm_attach(mm_thread *m)
{
	*m = calloc(1, sizeof(**m));
	return *m != NULL;
}

void mm_detach(mm_thread m)
{
	free(m);
}

void *mm_more(struct mm_arena *arena, size_t bytes)
{
	size_t piece = bytes > PIECE ? bytes : PIECE;
	char *memory;

	/* Relaxed: a sum. */
	if (atomic_fetch_add_explicit(&used, piece, memory_order_relaxed) + piece > LIMIT)
		return NULL;
	memory = mmap(NULL, piece, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	arena->cursor = memory + bytes;
	arena->limit = memory + piece;
	return memory;
}

void mm_collect(mm_thread m)
{
	(void)m;
}

bool mm_settle(mm_thread m, uint64_t live)
{
	(void)m;
	(void)live;
	return false;
}

void mm_mark(void)
{
}

void mm_measured(void)
{
}

void mm_report(void)
{
}
