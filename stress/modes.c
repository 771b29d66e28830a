/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes.c: the table of modes, in the order in which --help shows them. Read by every thread,
 * written by none.
 */
#include "stress.h"

const struct stress_mode *const stress_modes[] = {
	&stress_mode_heap,
	&stress_mode_churn,
	&stress_mode_rings,
	&stress_mode_trees,
	&stress_mode_lru,
	&stress_mode_hubs,
	&stress_mode_lists,
	&stress_mode_ggauss,
	&stress_mode_threads,
	&stress_mode_weak,
	&stress_mode_finalizers,
	&stress_mode_cache,
	NULL,
};
