/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * twin.h: broken twins: the rules that can be switched off, so that the simulation can show what
 * each of them holds off. Collector and mutator threads, in the simulation only: in any other build
 * a switch is the constant 0 and leaves no trace.
 */
#ifndef GYRE_TWIN_H
#define GYRE_TWIN_H

/* Engines in which a broken rule must be noticed. */
#define GYRE_IN_RECYCLER 1
#define GYRE_IN_TAGGED 2
#define GYRE_IN_BOTH 3

/* Name, engines, and what the library does when the rule is broken. */
#define GYRE_TWINS(X)                                                                              \
	X(no_sigma, GYRE_IN_BOTH, "a set is freed whatever refers to its members from outside")    \
	X(no_delta, GYRE_IN_RECYCLER,                                                              \
	  "a set is freed although a member was touched since it was prepared")                    \
	X(decrements_at_once, GYRE_IN_BOTH,                                                        \
	  "decrements are applied in their own epoch, not one epoch late")                         \
	X(first_to_last, GYRE_IN_BOTH, "sets are judged first found first")                        \
	X(mark_on_revisit, GYRE_IN_BOTH,                                                           \
	  "a trial subtracts an edge only if it leads to a visited object")                        \
	X(scan_blackens_white, GYRE_IN_BOTH,                                                       \
	  "what a trial found dead is blackened when it is met again")                             \
	X(released_member_lost, GYRE_IN_RECYCLER,                                                  \
	  "a released member of a refused set is not freed")                                       \
	X(one_list_flag, GYRE_IN_BOTH, "an object is freed while another list holds it")           \
	X(freed_root_listed, GYRE_IN_BOTH, "the root of a freed set is a candidate again")         \
	X(settle_without_sum, GYRE_IN_BOTH,                                                        \
	  "what a near trial visited is a set, wherever its edges led")                            \
	X(far_clears_late, GYRE_IN_BOTH,                                                           \
	  "a far pass takes an object out of the candidates when it is live")                      \
	X(unborn_dies, GYRE_IN_BOTH, "an object may die before its birth is counted")              \
	X(no_snapshot, GYRE_IN_BOTH, "what keep frames hold is not counted")                       \
	X(parked_left_out, GYRE_IN_BOTH, "the journal of a parked thread waits until it runs")     \
	X(exit_left_out, GYRE_IN_BOTH, "the last epoch of a thread that left is not sealed")       \
	X(claimed_anyway, GYRE_IN_BOTH,                                                            \
	  "a thread that did its boundary before the claim is taken for parked")                   \
	X(no_exchange, GYRE_IN_BOTH, "a store is a load and a store")                              \
	X(counts_wrap, GYRE_IN_BOTH, "a count that overflows goes on from 0")                      \
	X(no_quiescent_bit, GYRE_IN_BOTH, "who waits for a grace period tells nobody")             \
	X(group_unasked, GYRE_IN_BOTH,                                                             \
	  "a weak load does not ask whether its object is about to die")                           \
	X(dies_unarmed, GYRE_IN_BOTH, "a set with weak cells dies without a boundary in between")  \
	X(no_touch, GYRE_IN_RECYCLER, "weak loads leave no trace for the delta test")              \
	X(touch_not_looked_back, GYRE_IN_RECYCLER,                                                 \
	  "a weak load that another thread's note has overwritten is not told of")                 \
	X(made_since_missed, GYRE_IN_TAGGED,                                                       \
	  "a weak cell that was made after its set was found dead is not noticed")                 \
	X(creation_uncounted, GYRE_IN_TAGGED,                                                      \
	  "an object is not counted over the boundary after it got a weak cell")                   \
	X(groups_of_one, GYRE_IN_BOTH, "each weak cell of a set is cleared for itself")            \
	X(zeros_forgotten, GYRE_IN_BOTH,                                                           \
	  "a weakly referenced object that was revived is no candidate")                           \
	X(purple_cleared, GYRE_IN_RECYCLER, "an increment makes an object no candidate any more")  \
	X(finalized_again, GYRE_IN_BOTH, "a finalizer that has run runs again")                    \
	X(not_pinned, GYRE_IN_BOTH, "what is finalized is not counted for that")                   \
	X(unpinned_early, GYRE_IN_BOTH, "what is finalized is unpinned before its finalizer runs") \
	X(newborn_final_forgotten, GYRE_IN_TAGGED,                                                 \
	  "a newborn with a finalizer is freed like any other")                                    \
	X(special_not_suspected, GYRE_IN_TAGGED,                                                   \
	  "a newborn with a finalizer that only garbage reaches is no candidate")                  \
	X(census_takes_members, GYRE_IN_RECYCLER,                                                  \
	  "a census pins members of candidate sets, and the verdict is not told")                  \
	X(exempt_forgotten, GYRE_IN_BOTH,                                                          \
	  "what was exempt is no candidate when it is so no more")                                 \
	X(kept_unpinned, GYRE_IN_BOTH, "the members of a kept cycle are not pinned")               \
	X(open_blackens, GYRE_IN_TAGGED, "a trial follows slots that the open epoch has written")  \
	X(remains_at_once, GYRE_IN_TAGGED,                                                         \
	  "what remains of a refused set is judged again in the same processing")                  \
	X(let_go_at_once, GYRE_IN_BOTH, "a cleared weak cell is let go in the same processing")    \
	X(no_snoop, GYRE_IN_TAGGED, "what is stored in a window is not counted at its boundary")   \
	X(unborn_not_snooped, GYRE_IN_TAGGED,                                                      \
	  "a laggard's store into a newborn of the next epoch that was born clean is not snooped") \
	X(laggard_retags, GYRE_IN_TAGGED,                                                          \
	  "a write that finds the next epoch's tag takes it for an old one")                       \
	X(plain_in_window, GYRE_IN_TAGGED, "a write in a window does not exchange")                \
	X(open_subtracted, GYRE_IN_TAGGED,                                                         \
	  "a trial subtracts slots that the open epoch has written")                               \
	X(view_is_now, GYRE_IN_TAGGED,                                                             \
	  "a slot that the open epoch has written is seen as it is now")                           \
	X(newborn_entries, GYRE_IN_TAGGED,                                                         \
	  "the entries of newborns are counted beside their scan")                                 \
	X(early_forgotten, GYRE_IN_TAGGED,                                                         \
	  "a newborn that was counted before its epoch does not count as reached")                 \
	X(no_hold, GYRE_IN_TAGGED,                                                                 \
	  "a slab is handed out while a journal has entries of its dead cells")                    \
	X(snooped_kept, GYRE_IN_TAGGED, "a snapshot is kept that has more than the frames hold")   \
	X(unsealed_kept, GYRE_IN_TAGGED,                                                           \
	  "a snapshot is kept though the thread ran since its journal was sealed")                 \
	X(gone_at_once, GYRE_IN_TAGGED, "a thread that left within a boundary ends with it")       \
	X(newcomer_plain, GYRE_IN_TAGGED,                                                          \
	  "a thread that attaches in a window does not take part in it")                           \
	X(not_retagged, GYRE_IN_TAGGED,                                                            \
	  "cells made ready in one epoch are handed out in the next")                              \
	X(released_entries, GYRE_IN_TAGGED, "the entries of released objects are counted")         \
	X(decrements_first, GYRE_IN_TAGGED,                                                        \
	  "what slots held is counted down before what they hold is counted up")                   \
	X(cleaned_by_store, GYRE_IN_TAGGED, "a tag is taken from a slot by a load and a store")    \
	X(lookup_does_not_wait, GYRE_IN_TAGGED,                                                    \
	  "a slot whose entry is not there yet is seen as it is now")                              \
	X(shown_first, GYRE_IN_TAGGED, "an entry is shown before it is written")                   \
	X(lost_forgotten, GYRE_IN_TAGGED,                                                          \
	  "a newborn that found no place in a list is not looked for")                             \
	X(clean_not_sought, GYRE_IN_TAGGED, "entries of slots that were clean are not looked up")  \
	X(starved_not_searched, GYRE_IN_TAGGED,                                                    \
	  "what found no room in the table of a view is not looked for")

#ifdef GYRE_SIM
enum gyre__twin_number {
	GYRE_TWIN_none,
#define GYRE_TWIN_ENUM(name, engines, text) GYRE_TWIN_##name,
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
