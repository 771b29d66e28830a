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
	X(decrements_at_once, "decrements are applied in their own epoch, not one epoch late")     \
	X(first_to_last, "sets are judged first found first")                                      \
	X(mark_on_revisit, "a trial subtracts an edge only if it leads to a visited object")       \
	X(scan_blackens_white, "what a trial found dead is blackened when it is met again")        \
	X(released_member_lost, "a released member of a refused set is not freed")                 \
	X(one_list_flag, "an object is freed while another list holds it")                         \
	X(freed_root_listed, "the root of a freed set is a candidate again")                       \
	X(settle_without_sum, "what a near trial visited is a set, wherever its edges led")        \
	X(far_clears_late, "a far pass takes an object out of the candidates when it is live")     \
	X(unborn_dies, "an object may die before its birth is counted")                            \
	X(no_snapshot, "what keep frames hold is not counted")                                     \
	X(parked_left_out, "the journal of a parked thread waits until it runs")                   \
	X(exit_left_out, "the last epoch of a thread that left is not sealed")                     \
	X(claimed_anyway, "a thread that did its boundary before the claim is taken for parked")   \
	X(no_exchange, "a store is a load and a store")                                            \
	X(counts_wrap, "a count that overflows goes on from 0")                                    \
	X(no_quiescent_bit, "who waits for a grace period tells nobody")

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
/* A limit that a simulated schedule of few steps and objects could not reach. */
#define GYRE_IF_SIM(simulated, real) (simulated)
#else
#define GYRE_TWIN(name) 0
#define GYRE_IF_SIM(simulated, real) (real)
#endif

#endif
