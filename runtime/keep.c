/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keep.c: keep frames, a list through the C stack. Runs on the owning mutator thread; the frames
 * are read at its safe points, and by the collector while it has claimed the parked thread.
 *
 * Invariant: head.keeps is the innermost open frame; frames close in the reverse order of opening.
 */
#include "mutator.h"

struct gyre_keep *gyre_keep_enter(struct gyre_mutator *m, struct gyre_keep *keep)
{
	gyre__check_mutator(m, "GYRE_KEEP");
	keep->m = m;
	keep->outer = m->head.keeps;
	m->head.keeps = keep;
	return keep;
}

void gyre_keep_open(struct gyre_mutator *m, struct gyre_keep *keep, void *const *values,
		    size_t count)
{
	keep->addresses = NULL;
	keep->values = (const void *const *)values;
	keep->count = count;
	gyre_keep_enter(m, keep);
}

void gyre_keep_close(struct gyre_keep *keep)
{
#if GYRE_CHECKED
	if (keep->m->head.keeps != keep)
		gyre__misuse("a keep frame is closed that is not the innermost one");
#endif
	keep->m->head.keeps = keep->outer;
}
