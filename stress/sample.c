/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.c: the clock of a run, its figures over time, and the live line.
 *
 * One thread, not attached to the heap: it reads the statistics, which stop nobody, and counters
 * that the workers publish. It ends the run when its time is over or the user interrupts, and calls
 * for checkpoints. What it has recorded is read by others only after it has ended.
 */
#include "internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS UINT64_C(50000000) /* how late the end of a run or a checkpoint may be called */
#define TERMINAL_LINE_SECONDS 0.5

_Atomic(bool) stress_interrupted;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

double stress_record_now(const struct stress_record *r)
{
	return (double)(clock_ns() - r->began_ns) / 1e9;
}

uint64_t stress_rate(const struct stress_run *run, uint64_t count)
{
	return (uint64_t)((double)count / stress_record_now(run->record));
}

double stress_record_seconds(const struct stress_record *r)
{
	return (double)(r->ended_ns - r->began_ns) / 1e9;
}

static uint64_t rss_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What the shadows know as reachable; roughly, since they say so now and then. */
static uint64_t reachable_objects(const struct stress_run *run)
{
	uint64_t sum = atomic_load_explicit(&run->main->reachable, memory_order_relaxed);

	for (unsigned i = 0; i < run->options->threads; i++)
		sum += atomic_load_explicit(&run->workers[i].reachable, memory_order_relaxed);
	return sum;
}

static void keep_sample(struct stress_record *r, const struct stress_sample *sample)
{
	if (r->count == STRESS_SAMPLES_MAX) {
		for (size_t i = 0; i < STRESS_SAMPLES_MAX / 2; i++)
			r->samples[i] = r->samples[2 * i];
		r->count = STRESS_SAMPLES_MAX / 2;
		r->spacing *= 2;
	}
	r->samples[r->count++] = *sample;
}

/* Reads all figures; keeps them if a sample is due, or if it is the last. */
static void sample(struct stress_record *r, double now, bool last)
{
	uint64_t reachable = reachable_objects(r->run);
	struct stress_sample s = { .t = now };

	if (!stress_ok(r->run, gyre_heap_stats(r->run->heap, &r->stats), "gyre_heap_stats"))
		return;
	s.live_bytes = r->stats.bytes_live;
	s.journal_bytes = r->stats.journal_bytes;
	s.rss_bytes = rss_bytes();
	if (r->stats.objects_live > reachable)
		s.garbage_objects = r->stats.objects_live - reachable;
	if (s.rss_bytes > r->rss_max)
		r->rss_max = s.rss_bytes;
	if (r->rss_at_60s == 0 && now >= 60)
		r->rss_at_60s = s.rss_bytes;
	if (now >= r->next || last) {
		keep_sample(r, &s);
		r->next = now + r->spacing;
	}
}

static void worst_pauses(const struct gyre_stats *stats, double *p99_us, double *max_us)
{
	uint64_t p99 = 0, max = 0;

	for (int i = 0; i < GYRE_DELAY_COUNT; i++) {
		if (stats->delays[i].p99_ns > p99)
			p99 = stats->delays[i].p99_ns;
		if (stats->delays[i].max_ns > max)
			max = stats->delays[i].max_ns;
	}
	*p99_us = (double)p99 / 1e3;
	*max_us = (double)max / 1e3;
}

/* The line of a moment. The pauses are those of the worst cause so far. */
static void live_line(struct stress_record *r, double now)
{
	const struct gyre_stats *s = &r->stats;
	double span = now - r->line_t, rate = 0, p99, max;

	if (span > 0)
		rate = (double)(s->objects_allocated - r->line_objects) / span;
	worst_pauses(s, &p99, &max);
	fprintf(stderr,
		"%s%6.1f s  %8.0f k objects/s  reclaimed %.2f M (%.2f M in cycles)  heap %.1f MB"
		"  journals %.1f MB  pauses p99 %.0f us, max %.0f us%s",
		r->terminal ? "\r" : "", now, rate / 1e3, (double)s->objects_reclaimed / 1e6,
		(double)s->reclaimed_by_cycle / 1e6, (double)s->bytes_live / 1e6,
		(double)s->journal_bytes / 1e6, p99, max, r->terminal ? "\033[K" : "\n");
	r->line_t = now;
	r->line_objects = s->objects_allocated;
	r->line_next = now + (r->terminal ? TERMINAL_LINE_SECONDS : r->run->options->report_every);
}

static void tick(struct stress_record *r)
{
	const struct stress_options *options = r->run->options;
	double now = stress_record_now(r);

	/* Relaxed: see stress_stopped; the handler publishes nothing else. */
	if (atomic_load_explicit(&stress_interrupted, memory_order_relaxed)) {
		atomic_store_explicit(&r->run->stop, true, memory_order_relaxed);
		/* Another one ends the program; one that came twice at once does not. */
		signal(SIGINT, SIG_DFL);
	}
	if (options->seconds > 0 && now >= options->seconds)
		atomic_store_explicit(&r->run->stop, true, memory_order_relaxed);
	stress_oracle_tick(r->run, now);
	sample(r, now, false);
	if (!options->quiet && now >= r->line_next)
		live_line(r, now);
}

static void *sampler_main(void *arg)
{
	struct stress_record *r = arg;
	struct timespec until;
	uint64_t next = clock_ns();

	pthread_mutex_lock(&r->lock);
	while (!r->ended) {
		pthread_mutex_unlock(&r->lock);
		tick(r);
		/* No catching up: after a tick that took long the next one is a whole pause
		 * away. */
		next = clock_ns() + TICK_NS;
		until.tv_sec = (time_t)(next / 1000000000);
		until.tv_nsec = (long)(next % 1000000000);
		pthread_mutex_lock(&r->lock);
		while (!r->ended && clock_ns() < next)
			pthread_cond_timedwait(&r->wake, &r->lock, &until);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct stress_record *stress_record_begin(struct stress_run *run)
{
	struct stress_record *r = calloc(1, sizeof(*r));
	pthread_condattr_t attributes;

	if (r == NULL)
		return NULL;
	r->run = run;
	r->stats.size = sizeof(r->stats);
	r->terminal = isatty(STDERR_FILENO) == 1;
	r->spacing = 0.1;
	r->line_next = r->terminal ? TERMINAL_LINE_SECONDS : run->options->report_every;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	r->began_ns = clock_ns();
	if (pthread_create(&r->thread, NULL, sampler_main, r) != 0) {
		free(r);
		return NULL;
	}
	return r;
}

void stress_record_end(struct stress_record *r)
{
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	r->ended_ns = clock_ns();
	sample(r, stress_record_seconds(r), true);
	if (!r->run->options->quiet && r->terminal) {
		live_line(r, stress_record_seconds(r));
		fputc('\n', stderr);
	}
}
