/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yield.h: the points that the deterministic simulation needs to be told of. Any thread.
 *
 * The simulation finds every atomic access and every wait by itself. What is left are hand-overs
 * that are no atomic access of ours, and the instant at which an object ceases to exist. In any
 * other build both macros are empty and look at nothing.
 */
#ifndef GYRE_PLATFORM_YIELD_H
#define GYRE_PLATFORM_YIELD_H

#ifdef GYRE_SIM
/* Another thread may go on here; name says at what, address on which object. */
#define GYRE_YIELD(name, address) GYRE_SIM_POINT(name, address)
/* The cell of object is free from here on. */
#define GYRE_FREEING(object) gyre__sim_freeing(object)
#define GYRE_FREEING_MATTERS 1
#else
#define GYRE_YIELD(name, address) ((void)0)
#define GYRE_FREEING(object) ((void)0)
#define GYRE_FREEING_MATTERS 0
#endif

#endif
