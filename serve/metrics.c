/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.c: the figures of a heap in the text format of Prometheus, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats). Any thread.
 *
 * Names follow from those of the figures: gyre_ before them, _total behind a counter, and _seconds
 * in place of _ns. Types are told apart by their number, as two may have one name. All samples of a
 * metric stand together, as the format asks for.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"
#include "heap.h"
#include "metrics.h"
#include "text.h"
#include "type.h"

static bool is_counter(const struct gyre__figure *f)
{
	return f->kind == GYRE_COUNTER || f->kind == GYRE_COUNTER_NS;
}

static bool is_time(const struct gyre__figure *f)
{
	return f->kind == GYRE_COUNTER_NS || f->kind == GYRE_GAUGE_NS;
}

static void put_metric(struct gyre__text *out, const char *prefix, const struct gyre__figure *f)
{
	size_t length = strlen(f->name) - (is_time(f) ? strlen("_ns") : 0), i;

	gyre__text_put(out, prefix);
	for (i = 0; i < length; i++)
		gyre__text_char(out, f->name[i]);
	gyre__text_put(out, is_time(f) ? "_seconds" : "");
	gyre__text_put(out, is_counter(f) ? "_total" : "");
}

static void put_value(struct gyre__text *out, const struct gyre__figure *f, const void *stats)
{
	if (is_time(f))
		gyre__text_seconds(out, gyre__figure_of(f, stats));
	else
		gyre__text_number(out, gyre__figure_of(f, stats));
	gyre__text_char(out, '\n');
}

/* The lines before the samples of a metric that a figure is. */
static void put_head(struct gyre__text *out, const char *prefix, const struct gyre__figure *f)
{
	gyre__text_put(out, "# HELP ");
	put_metric(out, prefix, f);
	gyre__text_char(out, ' ');
	gyre__text_put(out, f->help);
	gyre__text_put(out, "\n# TYPE ");
	put_metric(out, prefix, f);
	gyre__text_put(out, is_counter(f) ? " counter\n" : " gauge\n");
}

/* The same of any other metric. */
static void put_heading(struct gyre__text *out, const char *name, const char *kind,
			const char *help)
{
	gyre__text_put(out, "# HELP ");
	gyre__text_put(out, name);
	gyre__text_char(out, ' ');
	gyre__text_put(out, help);
	gyre__text_put(out, "\n# TYPE ");
	gyre__text_put(out, name);
	gyre__text_char(out, ' ');
	gyre__text_put(out, kind);
	gyre__text_char(out, '\n');
}

static void put_label(struct gyre__text *out, const char *before, const char *value)
{
	gyre__text_put(out, before);
	gyre__text_put(out, "=\"");
	gyre__text_name(out, value);
	gyre__text_char(out, '"');
}

/* The metric's name and the heap; further labels and "} " are the caller's. */
static void put_sample(struct gyre__text *out, struct gyre_heap *heap, const char *name)
{
	gyre__text_put(out, name);
	put_label(out, "{heap", heap->name);
}

static void put_info(struct gyre__text *out, struct gyre_heap *heap, const struct gyre_stats *stats)
{
	put_heading(out, "gyre_info", "gauge", "The version and engine of the heap.");
	put_sample(out, heap, "gyre_info");
	put_label(out, ",version", gyre_version());
	put_label(out, ",engine", stats->engine);
	gyre__text_put(out, "} 1\n");
	put_heading(out, "gyre_enabled", "gauge", "Whether cycles are collected by themselves.");
	put_sample(out, heap, "gyre_enabled");
	gyre__text_put(out, gyre_is_enabled(heap) ? "} 1\n" : "} 0\n");
}

static void put_heap(struct gyre__text *out, struct gyre_heap *heap, const struct gyre_stats *stats)
{
	const struct gyre__figure *f;

	for (f = gyre__heap_figures; f->name != NULL; f++) {
		put_head(out, "gyre_", f);
		put_metric(out, "gyre_", f);
		put_sample(out, heap, "");
		gyre__text_put(out, "} ");
		put_value(out, f, stats);
	}
	put_heading(out, "gyre_phase_seconds_total", "counter",
		    "Time that the collector spent in each of its phases.");
	for (f = gyre__phase_figures; f->name != NULL; f++) {
		put_sample(out, heap, "gyre_phase_seconds_total");
		put_label(out, ",phase", f->name);
		gyre__text_put(out, "} ");
		put_value(out, f, stats);
	}
}

static void put_delay(struct gyre__text *out, struct gyre_heap *heap, const char *name, int cause,
		      const char *quantile)
{
	put_sample(out, heap, name);
	put_label(out, ",cause", gyre_delay_name((enum gyre_delay)cause));
	if (quantile != NULL)
		put_label(out, ",quantile", quantile);
	gyre__text_put(out, "} ");
}

static void put_seconds(struct gyre__text *out, uint64_t ns)
{
	gyre__text_seconds(out, ns);
	gyre__text_char(out, '\n');
}

static void put_delays(struct gyre__text *out, struct gyre_heap *heap,
		       const struct gyre_stats *stats)
{
	static const char name[] = "gyre_delay_seconds", max[] = "gyre_delay_seconds_max";
	int cause;

	put_heading(out, name, "summary", "Delays of mutators by cause, since the heap's opening.");
	for (cause = 0; cause < GYRE_DELAY_COUNT; cause++) {
		const struct gyre_delays *d = &stats->delays[cause];

		put_delay(out, heap, name, cause, "0.5");
		put_seconds(out, d->p50_ns);
		put_delay(out, heap, name, cause, "0.99");
		put_seconds(out, d->p99_ns);
		put_delay(out, heap, name, cause, "0.999");
		put_seconds(out, d->p999_ns);
		put_delay(out, heap, "gyre_delay_seconds_sum", cause, NULL);
		put_seconds(out, d->total_ns);
		put_delay(out, heap, "gyre_delay_seconds_count", cause, NULL);
		gyre__text_number(out, d->count);
		gyre__text_char(out, '\n');
	}
	put_heading(out, max, "gauge", "The longest delay of mutators by cause.");
	for (cause = 0; cause < GYRE_DELAY_COUNT; cause++) {
		put_delay(out, heap, max, cause, NULL);
		put_seconds(out, stats->delays[cause].max_ns);
	}
}

static void put_types(struct gyre__text *out, struct gyre_heap *heap)
{
	struct gyre_type_stats stats = { .size = sizeof(stats) };
	const struct gyre__figure *f;
	const struct gyre_type *type;

	for (f = gyre__type_figures; f->name != NULL; f++) {
		put_head(out, "gyre_type_", f);
		for (type = gyre_type_next(heap, NULL); type != NULL && !out->refused;
		     type = gyre_type_next(heap, type)) {
			gyre_type_stats(type, &stats);
			put_metric(out, "gyre_type_", f);
			put_sample(out, heap, "");
			put_label(out, ",type", stats.name);
			gyre__text_put(out, ",id=\"");
			gyre__text_number(out, type->head.id);
			gyre__text_put(out, "\"} ");
			put_value(out, f, &stats);
		}
	}
}

enum gyre_status gyre__metrics_put(struct gyre__text *out, struct gyre_heap *heap)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	enum gyre_status status = gyre_heap_stats(heap, &stats);

	if (status != GYRE_OK)
		return status;
	put_info(out, heap, &stats);
	put_heap(out, heap, &stats);
	put_delays(out, heap, &stats);
	put_types(out, heap);
	return GYRE_OK;
}

enum gyre_status gyre_metrics(struct gyre_heap *heap, gyre_write_fn write, void *arg)
{
	struct gyre__text out;
	enum gyre_status status;

	if (heap == NULL || write == NULL)
		return GYRE_INVALID;
	gyre__text_init(&out, write, arg);
	status = gyre__metrics_put(&out, heap);
	if (status != GYRE_OK)
		return status;
	return gyre__text_flush(&out) ? GYRE_OK : GYRE_LIMIT;
}

static bool write_all(void *arg, const char *text, size_t bytes)
{
	int fd = *(int *)arg;

	while (bytes > 0) {
		ssize_t wrote = write(fd, text, bytes);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return false;
		text += wrote;
		bytes -= (size_t)wrote;
	}
	return true;
}

enum gyre_status gyre_metrics_write(struct gyre_heap *heap, int fd)
{
	return gyre_metrics(heap, write_all, &fd);
}
