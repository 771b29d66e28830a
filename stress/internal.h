/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * internal.h: what the files of the framework share and modes have no business with.
 *
 * oracle.c keeps what disagreed and the checkpoints, sample.c the series over time, json.c and
 * html.c write both down, main.c puts them together.
 */
#ifndef STRESS_INTERNAL_H
#define STRESS_INTERNAL_H

#include "stress.h"

#include <stdio.h>

/* ---- oracle.c ---- */

#define STRESS_TEXTS_MAX 64 /* disagreements kept as text; all are counted */
#define STRESS_COMPARED_MAX 4096 /* comparisons kept; all are counted */

/* What the heap held at a comparison, after the collection that came before it. */
struct stress_compared {
	uint64_t objects, bytes, allocated, reclaimed;
};

struct stress_oracle {
	pthread_mutex_t lock; /* of all fields but due; a thread that waits on met is parked */
	pthread_cond_t met;

	uint64_t lost, kept, disagreements;
	char *texts[STRESS_TEXTS_MAX];
	size_t texts_count;
	bool refused; /* exit status 2 */

	/* The meeting of a checkpoint: workers that have not returned, those of them that wait, and
	 * the sum of what those that wait or have returned announced. */
	_Atomic(bool) due;
	unsigned present, waiting;
	bool leading;     /* the last to come is collecting and comparing, without the lock */
	uint64_t meeting; /* the number of this meeting; the next begins when it changes */
	uint64_t announced, left;
	uint64_t checkpoints; /* comparisons made, those of stress_expect included */
	double last;          /* when the last checkpoint ended, in seconds of the run */
	struct stress_compared compared[STRESS_COMPARED_MAX];
};

struct stress_oracle *stress_oracle_make(void);
void stress_oracle_free(struct stress_oracle *oracle);
/* Says how many workers are about to start; and that one of them has returned and announces
 * w->left. */
void stress_oracle_begin(struct stress_run *run, unsigned workers);
void stress_oracle_leave(struct stress_worker *w);
/* Calls for a checkpoint if the last one is long enough ago. The sampler's thread. */
void stress_oracle_tick(struct stress_run *run, double now);
/* The same for a worker that begins a round, if rounds tell. */
void stress_oracle_round(struct stress_worker *w);

/* ---- sample.c ---- */

struct stress_sample {
	double t; /* seconds since the run began */
	uint64_t live_bytes, garbage_objects, journal_bytes, rss_bytes;
};

#define STRESS_SAMPLES_MAX 2000 /* when they are used up, every second one is dropped */

struct stress_record {
	struct stress_run *run;
	pthread_t thread;
	pthread_mutex_t lock; /* of ended; the sampler waits on wake */
	pthread_cond_t wake;
	bool ended;
	bool terminal; /* stderr is one */

	/* The sampler's, and everyone's after stress_record_end. */
	uint64_t began_ns, ended_ns;
	struct stress_sample samples[STRESS_SAMPLES_MAX];
	size_t count;
	double spacing, next; /* of samples, in seconds */
	double line_next;     /* when a live line is due */
	double line_t;        /* when the last one was written, and what the figures were then */
	uint64_t line_objects;
	uint64_t rss_max, rss_at_60s;
	struct gyre_stats stats; /* at the end */
};

/* Starts the clock and the sampler, which ends the run when its time is over. NULL: no thread. */
struct stress_record *stress_record_begin(struct stress_run *run);
/* Ends the sampler and takes the last sample; the heap is still open. */
void stress_record_end(struct stress_record *record);
/* Seconds since the run began. Any thread. */
double stress_record_now(const struct stress_record *record);
/* How long the run lasted. After stress_record_end. */
double stress_record_seconds(const struct stress_record *record);

/* The signal handler's word to the sampler, which ends the run. */
extern _Atomic(bool) stress_interrupted;

/* ---- json.c, html.c ---- */

/* Every field of struct gyre_stats that is one number, in its order: X(field). */
#define STRESS_STATS(X)                                                                            \
	X(objects_allocated)                                                                       \
	X(bytes_allocated)                                                                         \
	X(objects_reclaimed)                                                                       \
	X(bytes_reclaimed)                                                                         \
	X(reclaimed_by_count)                                                                      \
	X(reclaimed_by_cycle)                                                                      \
	X(objects_live)                                                                            \
	X(bytes_live)                                                                              \
	X(bytes_mapped)                                                                            \
	X(bytes_mapped_max)                                                                        \
	X(epochs)                                                                                  \
	X(candidates)                                                                              \
	X(candidates_skipped)                                                                      \
	X(near_traced)                                                                             \
	X(far_traced)                                                                              \
	X(far_passes)                                                                              \
	X(sets_found)                                                                              \
	X(sets_freed)                                                                              \
	X(sets_refused_delta)                                                                      \
	X(sets_refused_sigma)                                                                      \
	X(counts_stuck)                                                                            \
	X(trace_faults)                                                                            \
	X(poison_faults)                                                                           \
	X(orphans)                                                                                 \
	X(stalls)                                                                                  \
	X(journal_entries)                                                                         \
	X(journal_bytes)                                                                           \
	X(journal_bytes_max)                                                                       \
	X(stores_refused)                                                                          \
	X(mutators)                                                                                \
	X(mutators_parked)                                                                         \
	X(collector_ns)                                                                            \
	X(newborns_counted)                                                                        \
	X(views_looked_up)                                                                         \
	X(window_stores)                                                                           \
	X(weak_cells)                                                                              \
	X(weak_cleared)                                                                            \
	X(weak_revived)                                                                            \
	X(notices_called)                                                                          \
	X(finalizers_run)                                                                          \
	X(finalizers_waiting)                                                                      \
	X(finalizers_waiting_max)

/* The fields of its member phases. */
#define STRESS_PHASES(X)                                                                           \
	X(wait_ns)                                                                                 \
	X(count_ns)                                                                                \
	X(verdict_ns)                                                                              \
	X(release_ns)                                                                              \
	X(near_ns)                                                                                 \
	X(far_ns)                                                                                  \
	X(flush_ns)

/* Objects visited by trial deletion for each object reclaimed (from 0: nothing was reclaimed). */
double stress_traced_per_freed(const struct gyre_stats *stats);

/* Text as it may stand in a string of JSON, without the quotes. */
void stress_json_text(FILE *out, const char *text);

/* Write the run down after stress_record_end. false: errno says why. */
bool stress_json_write(const struct stress_run *run, const char *path);
bool stress_html_write(const struct stress_run *run, const char *path);

#endif
