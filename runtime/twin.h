/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * twin.h: broken twins: the rules that can be switched off, so that the simulation can show what
 * each of them holds off. Collector and mutator threads, in the simulation only: in any other build
 * a switch is the constant 0 and leaves no trace.
 */
#ifndef GYRE_TWIN_H
#define GYRE_TWIN_H

/* Name, and what the library does when the rule is broken. */
#define GYRE_TWINS(X)                                                                              \
	X(no_sigma, "a set is freed whatever refers to its members from outside")                  \
	X(no_delta, "a set is freed although a member was touched since it was prepared")          \
	X(decrements_at_once, "decrements are applied in their own epoch, not one epoch late")

#ifdef GYRE_SIM
enum gyre__twin_number {
	GYRE_TWIN_none,
#define GYRE_TWIN_ENUM(name, text) GYRE_TWIN_##name,
	GYRE_TWINS(GYRE_TWIN_ENUM)
#undef GYRE_TWIN_ENUM
	GYRE_TWIN_COUNT
};

extern unsigned gyre__twin; /* the one rule that is broken, if any */
#define GYRE_TWIN(name) (gyre__twin == GYRE_TWIN_##name)
#else
#define GYRE_TWIN(name) 0
#endif

#endif
