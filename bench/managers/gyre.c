/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gyre.c: what gyre does once a run, and its own table of figures. Main thread, but for attaching
 * and detaching.
 */
#include "manage.h"

#include <time.h>

#include "worker.h"

#define SETTLE_POLL_NS 50000
#define SETTLE_LONGEST_NS UINT64_C(30000000000)

const struct gyre_type *mm_types[MM_SHAPES_MAX];
static struct gyre_heap *heap;
static struct gyre_stats marked, measured;

bool mm_open(const struct mm_options *options)
{
	struct gyre_options gyre;

	(void)options;
	gyre_options_init(&gyre);
	gyre.name = "bench";
	gyre.engine = strcmp(MM_NAME, "recycler") == 0 ? GYRE_ENGINE_RECYCLER : GYRE_ENGINE_TAGGED;
	return gyre_heap_open(&heap, &gyre) == GYRE_OK;
}

bool mm_know(const struct mm_shape *shape)
{
	struct gyre_refs refs[MM_REFS_MAX];
	const struct gyre_refs element[] = { { 0, 1 } };
	struct gyre_type_desc desc = {
		.size = sizeof(desc),
		.name = shape->name,
		.object_bytes = shape->bytes,
		.object_align = _Alignof(void *),
		.refs = refs,
		.refs_count = shape->refs_count,
		.flags = shape->acyclic ? GYRE_ACYCLIC : 0,
	};

	for (uint32_t i = 0; i < shape->refs_count; i++)
		refs[i] = (struct gyre_refs){ shape->refs[i], 1 };
	if (shape->trailing != 0)
		desc.trailing = (struct gyre_trailing){ shape->trailing, sizeof(gyre_ref), element,
							1, shape->length };
	return gyre_type_register(heap, &desc, &mm_types[shape->id]) == GYRE_OK;
}

void mm_close(void)
{
	enum gyre_status status = gyre_heap_close(heap);

	if (status != GYRE_OK)
		fprintf(stderr, "%s: the heap could not be closed: %s\n", MM_NAME,
			gyre_status_text(status));
}

bool mm_attach(mm_thread *m)
{
	return gyre_attach(heap, 0, m) == GYRE_OK;
}

void mm_detach(mm_thread m)
{
	(void)gyre_detach(m);
}

void mm_collect(mm_thread m)
{
	(void)gyre_collect(m, NULL);
}

static void read_stats(struct gyre_stats *stats)
{
	stats->size = sizeof(*stats);
	(void)gyre_heap_stats(heap, stats);
}

bool mm_settle(mm_thread m, uint64_t live)
{
	const struct timespec pause = { 0, SETTLE_POLL_NS };
	uint64_t limit = bench_now() + SETTLE_LONGEST_NS;
	struct gyre_stats stats;
	bool settled;

	gyre_park(m);
	do {
		nanosleep(&pause, NULL);
		read_stats(&stats);
		settled = stats.objects_live <= live;
	} while (!settled && bench_now() < limit);
	gyre_unpark(m);
	return settled;
}

void mm_mark(void)
{
	read_stats(&marked);
}

void mm_measured(void)
{
	read_stats(&measured);
}

static double seconds(uint64_t now, uint64_t before)
{
	return (double)(now - before) / 1e9;
}

static void report_phases(const struct gyre_stats *s)
{
	bench_print("gyre_s_wait", seconds(s->phases.wait_ns, marked.phases.wait_ns));
	bench_print("gyre_s_count", seconds(s->phases.count_ns, marked.phases.count_ns));
	bench_print("gyre_s_release", seconds(s->phases.release_ns, marked.phases.release_ns));
	bench_print("gyre_s_verdict", seconds(s->phases.verdict_ns, marked.phases.verdict_ns));
	bench_print("gyre_s_near", seconds(s->phases.near_ns, marked.phases.near_ns));
	bench_print("gyre_s_far", seconds(s->phases.far_ns, marked.phases.far_ns));
	bench_print("gyre_s_flush", seconds(s->phases.flush_ns, marked.phases.flush_ns));
}

/*
 * Journal entries a second, of the measured phase with its drain: of the phase that counts, by its
 * wall time (no clock of the CPU is read in it), and of all that the collector does, by its CPU
 * time.
 */
static void report_entries(void)
{
	double entries = (double)(measured.journal_entries - marked.journal_entries);
	double count = seconds(measured.phases.count_ns, marked.phases.count_ns);
	double whole = seconds(measured.collector_ns, marked.collector_ns);

	if (count > 0)
		bench_print("entries_per_s", entries / count);
	if (whole > 0)
		bench_print("entries_per_collector_s", entries / whole);
}

static void report_delays(const struct gyre_stats *s)
{
	char name[64];

	for (int i = 0; i < GYRE_DELAY_COUNT; i++) {
		const char *cause = gyre_delay_name((enum gyre_delay)i);

		snprintf(name, sizeof(name), "gyre_delay_%s_count", cause);
		bench_print(name, (double)(s->delays[i].count - marked.delays[i].count));
		snprintf(name, sizeof(name), "gyre_delay_%s_p99_us", cause);
		bench_print(name, (double)s->delays[i].p99_ns / 1e3);
		snprintf(name, sizeof(name), "gyre_delay_%s_max_us", cause);
		bench_print(name, (double)s->delays[i].max_ns / 1e3);
	}
}

void mm_report(void)
{
	struct gyre_stats s;
	double freed, entries, born;

	read_stats(&s);
	freed = (double)(s.objects_reclaimed - marked.objects_reclaimed);
	born = (double)(s.objects_allocated - marked.objects_allocated);
	entries = (double)(s.journal_entries - marked.journal_entries);
	bench_print("gyre_epochs", (double)(s.epochs - marked.epochs));
	bench_print("gyre_journal_entries", entries);
	bench_print("gyre_candidates", (double)(s.candidates - marked.candidates));
	bench_print("gyre_near_traced", (double)(s.near_traced - marked.near_traced));
	bench_print("gyre_far_traced", (double)(s.far_traced - marked.far_traced));
	bench_print("gyre_far_passes", (double)(s.far_passes - marked.far_passes));
	bench_print("gyre_sets_found", (double)(s.sets_found - marked.sets_found));
	bench_print("gyre_sets_freed", (double)(s.sets_freed - marked.sets_freed));
	bench_print("gyre_newborns_counted",
		    (double)(s.newborns_counted - marked.newborns_counted));
	bench_print("gyre_views_looked_up", (double)(s.views_looked_up - marked.views_looked_up));
	bench_print("gyre_objects_allocated", born);
	bench_print("gyre_objects_freed", freed);
	if (freed > 0)
		bench_print("gyre_traced_per_freed",
			    (double)(s.near_traced + s.far_traced - marked.near_traced -
				     marked.far_traced) / freed);
	if (born > 0)
		bench_print("gyre_entries_per_object", entries / born);
	bench_print("gyre_collector_cpu_s", seconds(s.collector_ns, marked.collector_ns));
	bench_print("gyre_mapped_max_bytes", (double)s.bytes_mapped_max);
	bench_print("gyre_journal_max_bytes", (double)s.journal_bytes_max);
	report_phases(&s);
	report_entries();
	report_delays(&s);
}
