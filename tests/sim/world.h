/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.h: what world.c and world_ends.c share. Runs on the coroutines of mutators.
 */
#ifndef GYRE_SIM_WORLD_H
#define GYRE_SIM_WORLD_H

#include "core.h"

/* The calling thread in the heap that it uses. */
static inline struct sim_member *sim_self(void)
{
	return &sim.current->member[sim.current->heap];
}

/* A safe point begins. */
void sim_let_go(void);
/* And ends: what was kept across it is the thread's until the next, whatever the frames say. */
void sim_go_on(void);
void sim_expect(enum gyre_status status, const char *call);
/* Whether the heap may owe anything to dead objects. */
bool sim_owes(void);
/* A heap was opened. */
void sim_ends_reset(void);

#endif
