/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_metrics.c: metrics keep to the format of Prometheus and say what gyre_heap_stats and
 * gyre_type_stats say, whatever the names of heap and types are.
 */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>

static struct metrics_text text;

static const char *metrics_of(struct gyre_heap *heap)
{
	text.length = 0;
	expect_ok(gyre_metrics(heap, metrics_take, &text));
	metrics_check(text.bytes);
	return text.bytes;
}

static struct gyre_stats stats_before, stats_after;

/* The heap is at rest: its figures are the same before and after the metrics were taken. */
static const struct gyre_stats *at_rest(struct gyre_heap *heap)
{
	do {
		stats_before = world_stats(heap);
		metrics_of(heap);
		stats_after = world_stats(heap);
	} while (memcmp(&stats_before, &stats_after, sizeof(stats_before)) != 0);
	return &stats_after;
}

#define COUNTERS(X)                                                                                \
	X(objects_allocated)                                                                       \
	X(bytes_allocated)                                                                         \
	X(objects_reclaimed)                                                                       \
	X(bytes_reclaimed)                                                                         \
	X(reclaimed_by_count)                                                                      \
	X(reclaimed_by_cycle)                                                                      \
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
	X(stores_refused)                                                                          \
	X(newborns_counted)                                                                        \
	X(views_looked_up)                                                                         \
	X(window_stores)                                                                           \
	X(weak_cells)                                                                              \
	X(weak_cleared)                                                                            \
	X(weak_revived)                                                                            \
	X(notices_called)                                                                          \
	X(finalizers_run)                                                                          \
	X(near_passes)                                                                             \
	X(full_collects)                                                                           \
	X(census_visits)

#define GAUGES(X)                                                                                  \
	X(objects_live)                                                                            \
	X(bytes_live)                                                                              \
	X(bytes_mapped)                                                                            \
	X(bytes_mapped_max)                                                                        \
	X(journal_bytes)                                                                           \
	X(journal_bytes_max)                                                                       \
	X(mutators)                                                                                \
	X(mutators_parked)                                                                         \
	X(finalizers_waiting)                                                                      \
	X(finalizers_waiting_max)                                                                  \
	X(candidates_waiting)                                                                      \
	X(surviving_bytes)                                                                         \
	X(types)                                                                                   \
	X(exempt)                                                                                  \
	X(garbage_cycles)                                                                          \
	X(garbage_objects)

#define PHASES(X) X(wait) X(count) X(verdict) X(release) X(near) X(far) X(flush)

static void expect_delays(const struct gyre_stats *s)
{
	char series[128];

	for (int i = 0; i < GYRE_DELAY_COUNT; i++) {
		const struct gyre_delays *d = &s->delays[i];
		const struct {
			const char *format;
			uint64_t ns;
		} times[] = {
			{ "gyre_delay_seconds{heap=\"gyre\",cause=\"%s\",quantile=\"0.5\"} ",
			  d->p50_ns },
			{ "gyre_delay_seconds{heap=\"gyre\",cause=\"%s\",quantile=\"0.99\"} ",
			  d->p99_ns },
			{ "gyre_delay_seconds{heap=\"gyre\",cause=\"%s\",quantile=\"0.999\"} ",
			  d->p999_ns },
			{ "gyre_delay_seconds_sum{heap=\"gyre\",cause=\"%s\"} ", d->total_ns },
			{ "gyre_delay_seconds_max{heap=\"gyre\",cause=\"%s\"} ", d->max_ns },
		};

		for (size_t n = 0; n < LENGTH(times); n++) {
			snprintf(series, sizeof(series), times[n].format,
				 gyre_delay_name((enum gyre_delay)i));
			expect_equal(metrics_ns(text.bytes, series), times[n].ns);
		}
		snprintf(series, sizeof(series),
			 "gyre_delay_seconds_count{heap=\"gyre\",cause=\"%s\"} ",
			 gyre_delay_name((enum gyre_delay)i));
		expect_equal(metrics_number(text.bytes, series), d->count);
	}
}

/* Rings and chains die, others live; there is a figure of most kinds. */
static void work(struct world *w, struct gyre_root *root)
{
	expect_ok(gyre_root_init(w->m, root, NULL));
	for (uint64_t i = 0; i < 20000; i++) {
		struct node *n = node_new(w, w->m, i);

		expect_ok(gyre_init(w->m, &n->left, i % 3 ? n : NULL));
		expect_ok(gyre_init(w->m, &n->right, i % 5 ? NULL : gyre_load(&root->slot)));
		expect_ok(gyre_store(w->m, &root->slot, n));
		if (i % 1000 == 0)
			gyre_collect_soon(w->heap);
		gyre_safepoint(w->m);
	}
	world_collect(w->m);
}

static void all_figures_are_there(void **state)
{
	struct world *w = *state;
	const struct gyre_stats *s;
	struct gyre_root root;

	work(w, &root);
	s = at_rest(w->heap);
	expect(s->objects_live > 0 && s->reclaimed_by_cycle > 0 && s->epochs > 0);
#define COUNTER(name)                                                                              \
	expect_equal(metrics_number(text.bytes, "gyre_" #name "_total{heap=\"gyre\"} "), s->name);
	COUNTERS(COUNTER)
#define GAUGE(name)                                                                                \
	expect_equal(metrics_number(text.bytes, "gyre_" #name "{heap=\"gyre\"} "), s->name);
	GAUGES(GAUGE)
#define PHASE(name)                                                                                \
	expect_equal(metrics_ns(text.bytes,                                                        \
				"gyre_phase_seconds_total{heap=\"gyre\",phase=\"" #name "\"} "),  \
		     s->phases.name##_ns);
	PHASES(PHASE)
	expect_equal(metrics_ns(text.bytes, "gyre_collector_seconds_total{heap=\"gyre\"} "),
		     s->collector_ns);
	expect_equal(metrics_ns(text.bytes, "gyre_interval_seconds{heap=\"gyre\"} "),
		     s->interval_ns);
	expect_delays(s);
	expect_equal(metrics_number(text.bytes,
				    support_tagged() ? "gyre_info{heap=\"gyre\",version=\"0.1.0\","
						       "engine=\"tagged\"} " :
						       "gyre_info{heap=\"gyre\",version=\"0.1.0\","
						       "engine=\"recycler\"} "),
		     1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void types_have_figures(void **state)
{
	struct world *w = *state;
	struct gyre_type_stats s = { .size = sizeof(s) };
	struct gyre_root root;
	const char *found;
	char series[160];
	unsigned id;

	work(w, &root);
	at_rest(w->heap);
	expect_ok(gyre_type_stats(w->node, &s));
	found = strstr(text.bytes, "type=\"struct node\",id=\"");
	expect(found != NULL);
	expect(sscanf(found, "type=\"struct node\",id=\"%u\"", &id) == 1);
#define TYPE(metric, value)                                                                        \
	snprintf(series, sizeof(series),                                                           \
		 "gyre_type_" metric "{heap=\"gyre\",type=\"struct node\",id=\"%u\"} ", id);       \
	expect_equal(metrics_number(text.bytes, series), s.value)
	TYPE("objects_live", objects_live);
	TYPE("bytes_live", bytes_live);
	TYPE("objects_allocated_total", objects_allocated);
	TYPE("bytes_allocated_total", bytes_allocated);
	TYPE("objects_reclaimed_total", objects_reclaimed);
	TYPE("bytes_reclaimed_total", bytes_reclaimed);
	TYPE("reclaimed_by_count_total", reclaimed_by_count);
	TYPE("reclaimed_by_cycle_total", reclaimed_by_cycle);
	expect(s.objects_live > 0 && s.reclaimed_by_cycle > 0);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void gyre_enabled_follows(void **state)
{
	struct world *w = *state;

	expect_equal(metrics_number(metrics_of(w->heap), "gyre_enabled{heap=\"gyre\"} "), 1);
	expect_ok(gyre_disable(w->heap));
	expect_equal(metrics_number(metrics_of(w->heap), "gyre_enabled{heap=\"gyre\"} "), 0);
	expect_ok(gyre_enable(w->heap));
}

/* Names that a label must not have as they are; two types with one name are two series. */
static void names_are_escaped(void **state)
{
	static const struct {
		const char *name, *label;
	} names[] = {
		{ "a\"b\\c\nd", "a\\\"b\\\\c\\nd" },
		{ "\x01tab\there\x7f", "?tab?here?" },
		{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xb3",
		  "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xb3" },
		{ "cut \xe2\x82", "cut ??" },
		{ "\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe0\x80\xaf", "?? ??? ???? ???" },
		{ "same", "same" },
		{ "same", "same" },
		{ "", "" },
	};
	struct gyre_heap *heap;
	struct gyre_options options;
	char series[256];

	(void)state;
	gyre_options_init(&options);
	options.name = "he\"ap\n";
	expect_ok(support_open_heap(&heap, &options));
	for (size_t i = 0; i < LENGTH(names); i++) {
		const struct gyre_type_desc desc = { .size = sizeof(desc),
						     .name = names[i].name,
						     .object_bytes = 16,
						     .object_align = 8 };
		const struct gyre_type *type;

		expect_ok(gyre_type_register(heap, &desc, &type));
	}
	metrics_of(heap);
	for (size_t i = 0; i < LENGTH(names); i++) {
		snprintf(series, sizeof(series),
			 "gyre_type_objects_live{heap=\"he\\\"ap\\n\",type=\"%s\",id=\"%zu\"} ",
			 names[i].label, i);
		expect_equal(metrics_number(text.bytes, series), 0);
	}
	expect_ok(gyre_heap_close(heap));
}

static bool refuse_third(void *arg, const char *bytes, size_t count)
{
	(void)bytes;
	(void)count;
	return ++*(unsigned *)arg < 3;
}

static void a_writer_may_refuse(void **state)
{
	struct world *w = *state;
	unsigned calls = 0;
	int ends[2];

	expect_status(gyre_metrics(w->heap, refuse_third, &calls), GYRE_LIMIT);
	expect_equal(calls, 3);
	expect_status(gyre_metrics(NULL, refuse_third, &calls), GYRE_INVALID);
	expect_status(gyre_metrics(w->heap, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_metrics_write(NULL, 1), GYRE_INVALID);
	expect_equal(calls, 3);
	/* Nobody takes what is written: a pipe is full before. */
	expect(pipe(ends) == 0);
	expect(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
	expect(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	expect_status(gyre_metrics_write(w->heap, ends[1]), GYRE_LIMIT);
	expect_equal(errno, EAGAIN);
	close(ends[0]);
	close(ends[1]);
}

static void a_file_has_the_same(void **state)
{
	struct world *w = *state;
	static char read_back[sizeof(text.bytes)];
	FILE *file = tmpfile();
	size_t length;

	expect(file != NULL);
	at_rest(w->heap);
	expect_ok(gyre_metrics_write(w->heap, fileno(file)));
	rewind(file);
	length = fread(read_back, 1, sizeof(read_back), file);
	expect_equal(length, text.length);
	expect_equal(metrics_check(read_back), metrics_check(text.bytes));
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(all_figures_are_there), world_test(types_have_figures),
		world_test(gyre_enabled_follows),  cmocka_unit_test(names_are_escaped),
		world_test(a_writer_may_refuse),   world_test(a_file_has_the_same),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
