/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bdwgc.c: starting bdwgc, weak cells. Main thread, but for mm_attach, mm_detach and the cells.
 */
#include "manage.h"

#include "worker.h"

bool mm_open(const struct mm_options *options)
{
	(void)options;
	GC_INIT();
#ifdef MM_INCREMENTAL
	GC_enable_incremental();
#endif
	return true;
}

void mm_close(void)
{
}

/* gc.h has pthread_create register the thread, and GC_INIT the main one. */
bool mm_attach(mm_thread *m)
{
	*m = NULL;
	return GC_thread_is_registered() != 0;
}

void mm_detach(mm_thread m)
{
	(void)m; /* the end of the thread does it */
}

void mm_collect(mm_thread m)
{
	(void)m;
	GC_gcollect();
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
	bench_print("bdwgc_collections", (double)GC_get_gc_no());
	bench_print("bdwgc_heap_bytes", (double)GC_get_heap_size());
}

/* The cell is a word that the collector does not scan, and clears with its object. */
struct mm_cell *mm_weak_of(mm_thread m, const void *object)
{
	GC_hidden_pointer *cell = GC_MALLOC_ATOMIC_UNCOLLECTABLE(sizeof(*cell));

	(void)m;
	if (cell == NULL)
		return NULL;
	*cell = GC_HIDE_POINTER(object);
	if (GC_GENERAL_REGISTER_DISAPPEARING_LINK((void **)cell, object) != GC_SUCCESS)
		return NULL;
	return (struct mm_cell *)cell;
}

void *mm_weak_reveal(void *cell)
{
	GC_hidden_pointer hidden = *(const GC_hidden_pointer *)cell;

	return hidden == 0 ? NULL : GC_REVEAL_POINTER(hidden);
}
