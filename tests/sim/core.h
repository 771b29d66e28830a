/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core.h: the inside of the simulation: threads as coroutines, the clock, the schedulers, the
 * trace, the oracle. Nothing here is for scenarios; see sim.h for what is.
 *
 * One thread of the system runs it all. A coroutine is left only inside gyre__sim_yield and
 * sim_block; between two of those it is alone. What decides anything (seed, steps, simulated time)
 * is in struct sim, set up anew for each schedule, so a schedule is a function of its seed.
 */
#ifndef GYRE_SIM_CORE_H
#define GYRE_SIM_CORE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "sim.h"
#include "yield.h"

#define SIM_THREADS 32
#define SIM_KEYS 8
#define SIM_HELD 48
#define SIM_HEAPS 2
#define SIM_STEP_NS 100        /* simulated time of one step */
#define SIM_FAIR_STEPS 100000  /* from here on every thread gets its turn */
#define SIM_MOST_STEPS 1000000 /* a schedule that has not ended by then is a livelock */

enum sim_site_kind { SIM_SITE_NEW, SIM_SITE_POINT, SIM_SITE_COUNTER, SIM_SITE_SLAB_STATE };

enum sim_state { SIM_RUNNABLE, SIM_WAITING, SIM_ENDED };

/* What the scheduler does, drawn from a schedule's seed. */
enum sim_kind { SIM_WALK, SIM_PCT, SIM_ROBIN, SIM_SEARCH };

#define SIM_CHANGES 8
#define SIM_CHOICES 65536

struct sim_plan {
	uint64_t seed; /* its lowest bit: the engine; the rest decides all else */
	enum sim_kind kind;
	unsigned calm_bits; /* random walk: a switch at one step in 2^calm_bits */
	unsigned changes;   /* PCT: d - 1; round-robin: pre-emptions */
	uint64_t horizon;   /* steps in which the changes lie */
	uint64_t change_at[SIM_CHANGES];
	bool jumpy;    /* the clock leaps now and then */
	bool spurious; /* events wake without cause now and then */
	/* While the scenario starves: refused is one call in 2^refuse_bits (0: none), and those
	 * from number refuse_at on, refuse_run in a row. */
	unsigned refuse_bits;
	uint64_t refuse_at, refuse_run;
	bool refuse_given; /* by the command line and not by the seed */
};

/* Exhaustive search: the choices of the last schedule, and how far the next one follows them. */
struct sim_search {
	unsigned bound; /* pre-emptions */
	uint16_t chosen[SIM_CHOICES], options[SIM_CHOICES];
	bool forced[SIM_CHOICES]; /* the thread could not go on, so the choice is no pre-emption */
	unsigned depth, follow;   /* choices of the schedule; how many are prescribed */
	unsigned spent;           /* pre-emptions of this schedule */
	bool overflow;
};

/* A thread in a heap. */
struct sim_member {
	struct gyre_mutator *m;
	bool is_parked;
	const void *held[SIM_HELD];
	unsigned held_count;
};

struct sim_thread {
	char name[16];
	unsigned number;
	enum sim_state state;
	const void *waits_for;
	const char *why;
	const struct gyre__site *where;
	uint64_t deadline; /* while WAITING; UINT64_MAX: none */
	bool timed_out;
	bool begun;
	uint64_t priority; /* PCT: the highest runs */
	jmp_buf context;
	ucontext_t first;
	char *stack;
	void (*run)(void *arg);
	void *arg;
	void *leavings[SIM_KEYS];
	/* QSBR, see qsbr.c. */
	uint64_t reader; /* the grace period it has seen; 0: offline */
	bool registered, ours;
	unsigned attached, parked;
	struct sim_member member[SIM_HEAPS];
	unsigned heap; /* in which it works now */
	uint64_t refused; /* calls, by sim_refuse */
};

struct sim_step {
	const struct gyre__site *site;
	const void *address;
	uint64_t step;
	unsigned thread;
};

#define SIM_TRACE 256 /* a power of two */
#define SIM_SHOWN 200

struct sim {
	const struct sim_scenario *scenario;
	struct sim_plan plan;
	struct sim_thread threads[SIM_THREADS];
	unsigned count;
	struct sim_thread *current; /* NULL: the driver runs */
	uint32_t runnable;          /* by thread number */
	uint64_t clock, next_deadline;
	uint64_t steps, contested_steps;
	unsigned change; /* the next of plan.change_at */
	bool contested;  /* the scheduler may pre-empt */
	bool muted;      /* the oracle looks: no point counts */
	bool verbose;    /* print each step */
	uint64_t schedule_random, program_random;
	struct sim_step trace[SIM_TRACE];
	uint64_t noted; /* steps and other events in the trace, so far */
	bool starves;	/* calls may be refused */
	uint64_t end; /* stands for the graph that was left, when sim_finish looked at it */
	uint64_t asked, refused; /* calls that may be and that were, so far */
	struct gyre_heap *heaps[SIM_HEAPS];
	void (*failed)(void); /* if set, ends the process when a schedule has failed */
	/* Totals over schedules. */
	uint64_t schedules, all_steps;
};

extern struct sim sim;
extern struct sim_search sim_search;

/* core.c */
struct sim_thread *sim_thread_make(const char *name, void (*run)(void *arg), void *arg);
/* The current thread waits for object, until sim_wake or the deadline; false: it was the deadline.
 * May return although nothing happened to object. */
bool sim_block(const void *object, const char *why, uint64_t deadline);
void sim_wake(const void *object);
void sim_run_schedule(const struct sim_scenario *scenario, const struct sim_plan *plan);
/* Adds to the trace, without being a step. */
void sim_note(const struct gyre__site *site, const void *address);
bool sim_chance(unsigned one_in);
uint64_t sim_random(uint64_t *state);

/* schedule.c */
void sim_plan_make(struct sim_plan *plan, uint64_t seed);
/* The engine of a schedule's heaps. */
static inline enum gyre_engine sim_engine_of(uint64_t seed)
{
	return seed & 1 ? GYRE_ENGINE_TAGGED : GYRE_ENGINE_RECYCLER;
}
void sim_plan_describe(const struct sim_plan *plan, char *text, size_t bytes);
/* The thread that goes on; forced: the current one cannot. */
unsigned sim_choose(bool forced);
void sim_thread_enters(struct sim_thread *thread);
/* Goes to the next schedule of a search; false: there is none. */
bool sim_search_next(void);

/* platform.c, qsbr.c, memory.c */
void sim_platform_reset(void);
void sim_qsbr_reset(void);
void sim_leavings_end(struct sim_thread *thread);
void sim_memory_check(void); /* nothing of the schedule is left; nothing was written after free */
/* Whether a call of the library for memory, a thread or a key fails now. */
bool sim_refuse(const struct gyre__site *call);
#define SIM_REFUSE(call)                                                                           \
	__extension__({                                                                            \
		static const struct gyre__site sim_site_ = { call, "REFUSED", SIM_SITE_POINT };    \
		sim_refuse(&sim_site_);                                                            \
	})
bool sim_in_arena(const void *address);
bool sim_is_journal_bytes(const void *address); /* of a heap of the schedule */

/* oracle.c */
void sim_oracle_reset(void);
void sim_oracle_access(const struct gyre__site *site, const void *address);
void sim_oracle_thread_ends(struct sim_thread *thread);

/* oracle_print.c */
/* Names an address, for the trace: object and slot, or of whom the word is. */
void sim_describe(const void *address, char *text, size_t bytes);
void sim_print_graph(void);

/* report.c */
void sim_print_step(const struct sim_step *step);
/* Where a failure is left for a parent process, if there is one. */
struct sim_outcome {
	bool failed;
	char scenario[32], what[256];
	uint64_t schedules;
};
extern struct sim_outcome *sim_outcome;
void sim_catch_signals(void);

#endif
