/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h: what a scenario of the simulation is written with. Runs in coroutines.
 *
 * A scenario is one function. It opens a heap, attaches, builds what it starts from, parks, starts
 * its mutators, joins them, and finishes:
 *
 *	static void run(void)
 *	{
 *		sim_open(NULL);
 *		sim_attach();
 *		... sim_root_set(0, sim_new()); ...
 *		sim_park();
 *		sim_start("mover", mover, NULL);
 *		sim_join();
 *		sim_unpark();
 *		sim_finish();
 *	}
 *
 * The scheduler pre-empts between sim_join's begin and its end only; what comes before and after
 * runs until it waits (sim_contest changes that).
 *
 * Every call here that reads or writes a slot, or is a safe point, does the call of gyre of the
 * same name for the mutator of the calling thread, and tells the oracle what the thread may rely
 * on: a pointer that was loaded or made is held until the thread's next safe point. The oracle
 * knows the true graph from memory itself: from the roots that were set here, from the keep frames,
 * and from what threads hold, through the slots of the objects. It fails the schedule when an
 * object is freed that this graph reaches, or a slot of a freed object is accessed by anyone.
 *
 * Rules: objects are made by sim_new and sim_new_of only; a pointer is not used after a safe point
 * unless it was kept; nothing here is random but by sim_pick, and nothing depends on an address.
 */
#ifndef GYRE_SIM_H
#define GYRE_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/gyre.h>

struct sim_scenario {
	const char *name;
	const char *text; /* one line */
	void (*run)(void);
	bool small; /* few enough steps for an exhaustive search */
	bool alike; /* what is left at the end is the same in every schedule, with both engines */
};

/* All scenarios; each is defined in one of scenarios_*.c. */
#define SIM_SCENARIOS(X)                                                                           \
	X(random_program)                                                                          \
	X(moved_edges)                                                                             \
	X(moved_edge)                                                                              \
	X(doubled_edges)                                                                           \
	X(chain)                                                                                   \
	X(diamond)                                                                                 \
	X(refurbish)                                                                               \
	X(revived)                                                                                 \
	X(one_epoch)                                                                               \
	X(unborn)                                                                                  \
	X(promises)                                                                                \
	X(far_moved)                                                                               \
	X(visitors)                                                                                \
	X(claimed)                                                                                 \
	X(pressure)                                                                                \
	X(collectors)                                                                              \
	X(closing)                                                                                 \
	X(two_heaps)                                                                               \
	X(arrays)                                                                                  \
	X(host)                                                                                    \
	X(stalled)                                                                                 \
	X(runners)                                                                                 \
	X(sticky)                                                                                  \
	X(one_slot)                                                                                \
	X(newborns)                                                                                \
	X(comers)                                                                                  \
	X(dead_cell)                                                                               \
	X(kinds)                                                                                   \
	X(far_doubled)                                                                             \
	X(two_writers)                                                                             \
	X(lone_program)                                                                            \
	X(stragglers)                                                                              \
	X(ends_program)                                                                    \
	X(weak_zero)                                                                       \
	X(weak_short)                                                                      \
	X(weak_ring)                                                                       \
	X(weak_leader)                                                                             \
	X(weak_noted)                                                                              \
	X(weak_cut)                                                                        \
	X(weak_late)                                                                       \
	X(weak_taken)                                                                              \
	X(weak_pair)                                                                               \
	X(weak_newborns)                                                                   \
	X(weak_revived)                                                                    \
	X(weak_holders)                                                                    \
	X(weak_blackened)                                                                  \
	X(attachments)                                                                     \
	X(final_newborns)                                                                  \
	X(final_chain)                                                                     \
	X(final_writes)                                                                    \
	X(final_rearm)                                                                     \
	X(final_mortal)                                                                    \
	X(final_closing)                                                                   \
	X(ends_starved)                                                                    \
	X(census)                                                                          \
	X(exempt)                                                                          \
	X(kept_garbage)                                                                    \
	X(starved)

#define SIM_SCENARIO_EXTERN(name) extern const struct sim_scenario sim_scenario_##name;
SIM_SCENARIOS(SIM_SCENARIO_EXTERN)
#undef SIM_SCENARIO_EXTERN

/* Defines a scenario that is run by the function `run`. */
#define SIM_SCENARIO(id, run, small, text)                                                         \
	const struct sim_scenario sim_scenario_##id = { #id, text, run, small, false }
/* The same for one that ends alike. */
#define SIM_SCENARIO_ALIKE(id, run, small, text)                                                   \
	const struct sim_scenario sim_scenario_##id = { #id, text, run, small, true }

/* The object of scenarios that need no type of their own. */
#define SIM_SLOTS 3
struct sim_node {
	gyre_ref slot[SIM_SLOTS];
	uint64_t filler[61]; /* a cell of 512 bytes: few cells, so short walks over a slab */
};

#define SIM_ROOTS 16
#define SIM_KEPT 4

/* A failure of the schedule: prints what, the seed and the last steps, and ends the process. */
__attribute__((noreturn, format(printf, 1, 2))) void sim_fail(const char *format, ...);
#define sim_check(condition)                                                                       \
	((condition) ? (void)0 : sim_fail("%s: %s is not true", __func__, #condition))

/* The heap. Options that make things happen with few objects: a boundary each 20 us of simulated
 * time, that is 200 steps. */
void sim_options(struct gyre_options *options);
/* Opens the schedule's heap and registers struct sim_node; options NULL: those of sim_options. */
void sim_open(const struct gyre_options *options);
struct gyre_heap *sim_heap(void);
/* There may be two heaps; each call is about the one that its thread uses, 0 at first. */
void sim_use(unsigned heap);
const struct gyre_type *sim_node_type(void);
/* With the calling thread attached and unparked and no other: collects, compares what is left with
 * the true graph, verifies, drops all roots, collects, and expects nothing to be left; detaches,
 * closes. */
void sim_finish(void);
/* The usual end of a scenario whose thread is parked: joins, unparks, finishes. */
void sim_end(void);
/* Closes the heap with what is in it. GYRE_BUSY: threads are attached. */
enum gyre_status sim_close(void);

/* Threads. */
void sim_start(const char *name, void (*run)(void *arg), void *arg);
/* Waits until all started threads have ended. The caller is parked or not attached. */
void sim_join(void);
void sim_contest(bool on);
void sim_sleep(uint64_t ns); /* a mutator that is not parked holds up boundaries */
/* As the host: its own registration with QSBR, which gyre must leave alone. sim_host_seen: the
 * grace period that the thread was last quiescent in; 0: it is offline. */
void sim_host_register(void);
void sim_host_unregister(void);
void sim_host_quiescent(void);
void sim_host_offline(void);
uint64_t sim_host_seen(void);

/*
 * From here on calls of the library for memory, a thread or a key fail, as the schedule's plan has
 * it; until it is switched off, by sim_finish at the latest. The calls below that were refused for
 * that are simply made again, but for sim_collect, which may then leave garbage.
 */
void sim_starve(bool on);
/* Calls that were refused to the calling thread. */
uint64_t sim_refused(void);
/* Whether the call is done. Fails the schedule if it failed, unless for memory that was refused to
 * this thread since there were `before` refusals. */
bool sim_granted(enum gyre_status status, uint64_t before, const char *call);
#define sim_insist(call)                                                                           \
	for (uint64_t sim_before_ = sim_refused(); !sim_granted(call, sim_before_, #call);         \
	     sim_before_ = sim_refused())

/* A number below n, from the seed. */
unsigned sim_pick(unsigned n);

/* The calling thread as a mutator. */
void sim_attach(void);
void sim_attach_host(void); /* with GYRE_ATTACH_QSBR */
void sim_detach(void);
struct gyre_mutator *sim_mutator(void);
void *sim_new(void); /* a struct sim_node; fails the schedule without memory */
/* Two of them that refer to each other by their slots 0; gives the first. */
void *sim_new_cycle(void);
/* Of any type, with trailing length; slots: where its references are, one after another. NULL
 * without memory. */
void *sim_new_of(const struct gyre_type *type, size_t length, size_t slots_offset, size_t slots);
gyre_ref *sim_slot(void *node, unsigned i);
void *sim_load(const gyre_ref *slot);
void sim_store(gyre_ref *slot, void *value);
void sim_init(gyre_ref *slot, void *value);
void *sim_exchange(gyre_ref *slot, void *value);
bool sim_compare_exchange(gyre_ref *slot, void *expected, void *value);

/* Roots, by number; made at first use, where no other thread may use it. Setting one is a store. */
void sim_root_set(unsigned i, void *value);
void *sim_root_get(unsigned i);
gyre_ref *sim_root_slot(unsigned i);

/*
 * Weak cells, attachments and finalizers. The oracle knows which object a cell is of, that an
 * object holds its cell and its attachment, and what batches of finalizers have pinned. It fails
 * the schedule when a cell is null while its object is reachable, gives an object after it was
 * null, or one that leads to an object that was found dead; when a finalizer runs twice, on an
 * object that does not have all that it reaches, or not at all; when a callback is called twice,
 * too early, after it was taken back, or not at all though it was registered with
 * GYRE_NOTICE_ALWAYS.
 *
 * sim_finals: after sim_open, if the scenario has objects with finalizers. fn runs on the finalizer
 * thread, or in the calls below that may run batches, and may make all calls of a mutator.
 */
void sim_finals(void (*fn)(void *node));
void *sim_new_final(void); /* a struct sim_node with a finalizer */
void *sim_new_leaf(void);  /* the same, of a type that is declared acyclic */
bool sim_is_leaf(const void *node);
bool sim_was_finalized(const void *node);
void sim_rearm(const void *node);
/* Objects that are there and still to be finalized. */
unsigned sim_owed(void);
struct gyre_weak *sim_weak_of(const void *object);
void *sim_weak_load(const struct gyre_weak *cell);
/* False: the cell is null. */
bool sim_notify(struct gyre_weak *cell, unsigned flags);
/* Takes a registration of the cell back, if there is one. */
void sim_unnotify(struct gyre_weak *cell);
/* NULL: key has none, and make is false. */
gyre_ref *sim_attachment(void *key, bool make);
/* Safe points, as below. The first gives whether anything ran. */
bool sim_finalize_next(void);
void sim_finalize_wait(void);

/* Visits nodes, of the whole heap or those that refer to node, until visit gives false; what that
 * last visit was of, or NULL. Safe points; visit may do what a mutator may. */
void *sim_census(bool (*visit)(void *node));
void *sim_referrers(const void *node, bool (*visit)(void *node));
/* Safe points, too. Exempt: sim_collect may leave garbage meanwhile, and must not be called. The
 * visitor of kept cycles gets the first member of each. */
void sim_exempt(bool on);
void sim_garbage_visit(bool (*visit)(uint64_t id, void *node));
void sim_garbage_drop(uint64_t id);
void sim_garbage_clear(void);

/* Safe points. What the thread held is held no more. */
void sim_safepoint(void);
void sim_park(void);
void sim_unpark(void);
/* Also fails the schedule if something that was garbage at the call is still there afterwards. */
void sim_collect(void);
void sim_verify(void);
void sim_collect_soon(void); /* not a safe point */
/* Parked until so many boundaries have been completed. */
void sim_boundaries(unsigned count);

/* A keep frame of `values`, count pointers; no safe point. */
void sim_keep(struct gyre_keep *keep, void **values, size_t count);
void sim_unkeep(struct gyre_keep *keep);

/* The epoch that the calling thread is in, and the one that the last boundary, which may not be
 * complete yet, begins. */
uint64_t sim_epoch(void);
/* Whether the calling thread has done some of the handshakes of a boundary, and not all. */
bool sim_in_window(void);
uint64_t sim_newest_epoch(void);
/* Far passes so far. */
uint64_t sim_far_passes(void);

/* The number of an object that is there, and whether the one of this number is there still. */
uint32_t sim_number(const void *object);
bool sim_is_live(uint32_t number);
/* Objects of the heap that are not freed yet, as the oracle knows them. */
unsigned sim_live(void);

/* The thread will rely on object until its next safe point; for pointers that did not come from a
 * call above. */
void sim_hold(const void *object);

#endif
