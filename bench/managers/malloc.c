/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc.c: memory by hand has nothing to begin, to end or to report: what is dead was freed at
 * once. Also for counts. Main thread.
 */
#include "manage.h"

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
	*m = NULL;
	return true;
}

void mm_detach(mm_thread m)
{
	(void)m;
}

void mm_collect(mm_thread m)
{
	(void)m;
}

bool mm_settle(mm_thread m, uint64_t live)
{
	(void)m;
	(void)live;
	return true;
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
