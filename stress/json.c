/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c: every figure of a run as one JSON object. Runs on the main thread after the sampler has
 * ended. The keys are listed in docs/stress.md and do not change their meaning.
 */
#include "internal.h"

#include <inttypes.h>

double stress_traced_per_freed(const struct gyre_stats *stats)
{
	if (stats->objects_reclaimed == 0)
		return 0;
	return (double)(stats->near_traced + stats->far_traced) / (double)stats->objects_reclaimed;
}

/* The length of the UTF-8 sequence at text, or 0 where there is none. */
static int utf8_length(const unsigned char *text)
{
	int length = text[0] < 0x80   ? 1
		     : text[0] < 0xc2 ? 0
		     : text[0] < 0xe0 ? 2
		     : text[0] < 0xf0 ? 3
				      : 4;

	if (text[0] > 0xf4)
		return 0;
	for (int i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

void stress_json_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at != '\0') {
		int length = utf8_length(at);

		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || length == 0) /* no text, such as a name of a file may hold */
			fprintf(out, "\\u%04x", length == 0 ? 0xfffdU : (unsigned)*at);
		else
			fwrite(at, 1, (size_t)length, out);
		at += length == 0 ? 1 : length;
	}
}

static void write_string(FILE *out, const char *key, const char *text)
{
	fprintf(out, "  \"%s\": \"", key);
	stress_json_text(out, text);
	fprintf(out, "\",\n");
}

static void write_number(FILE *out, const char *key, uint64_t number)
{
	fprintf(out, "  \"%s\": %" PRIu64 ",\n", key, number);
}

static void write_verdict(FILE *out, const struct stress_run *run)
{
	const struct stress_oracle *o = run->oracle;

	write_string(out, "verdict", o->disagreements == 0 ? "sound" : "unsound");
	write_string(out, "mode", run->mode->name);
	if (run->options->operand != NULL)
		write_string(out, "file", run->options->operand);
	write_string(out, "engine", run->record->stats.engine);
	write_number(out, "seed", run->options->seed);
	write_number(out, "threads", run->options->threads);
	fprintf(out, "  \"seconds\": %.3f,\n", stress_record_seconds(run->record));
	write_number(out, "lost", o->lost);
	write_number(out, "kept", o->kept);
	write_number(out, "disagreements", o->disagreements);
	write_number(out, "checkpoints", o->checkpoints);
	fprintf(out, "  \"compared\": [");
	for (size_t i = 0; i < o->checkpoints && i < STRESS_COMPARED_MAX; i++)
		fprintf(out,
			"%s\n    {\"objects\": %" PRIu64 ", \"bytes\": %" PRIu64
			", \"allocated\": %" PRIu64 ", \"reclaimed\": %" PRIu64 "}",
			i == 0 ? "" : ",", o->compared[i].objects, o->compared[i].bytes,
			o->compared[i].allocated, o->compared[i].reclaimed);
	fprintf(out, "],\n");
	fprintf(out, "  \"texts\": [");
	for (size_t i = 0; i < o->texts_count; i++) {
		fprintf(out, "%s\n    \"", i == 0 ? "" : ",");
		stress_json_text(out, o->texts[i]);
		fputc('"', out);
	}
	fprintf(out, "],\n  \"parameters\": {");
	for (size_t i = 0; i < STRESS_PARAMS_MAX && run->mode->params[i].name != NULL; i++)
		fprintf(out, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ", run->mode->params[i].name,
			run->options->params[i]);
	fprintf(out, "},\n  \"figures\": {");
	for (size_t i = 0; i < STRESS_FIGURES_MAX && run->figures[i].name != NULL; i++)
		fprintf(out, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ", run->figures[i].name,
			run->figures[i].value);
	fprintf(out, "},\n");
}

static void write_pauses(FILE *out, const struct gyre_stats *s)
{
	fprintf(out, "  \"pauses_ns\": {");
	for (int i = 0; i < GYRE_DELAY_COUNT; i++) {
		const struct gyre_delays *d = &s->delays[i];

		fprintf(out,
			"%s\n    \"%s\": {\"count\": %" PRIu64 ", \"total\": %" PRIu64
			", \"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64
			", \"max\": %" PRIu64 "}",
			i == 0 ? "" : ",", gyre_delay_name((enum gyre_delay)i), d->count,
			d->total_ns, d->p50_ns, d->p99_ns, d->p999_ns, d->max_ns);
	}
	fprintf(out, "\n  },\n");
}

static void write_stats(FILE *out, const struct gyre_stats *s)
{
#define WRITE_FIELD(field) write_number(out, #field, s->field);
	STRESS_STATS(WRITE_FIELD)
#undef WRITE_FIELD
	fprintf(out, "  \"phases\": {");
#define WRITE_PHASE(field) fprintf(out, "\"" #field "\": %" PRIu64 ", ", s->phases.field);
	STRESS_PHASES(WRITE_PHASE)
#undef WRITE_PHASE
	/* The last has no comma after it: the sum is as good an end as any. */
	fprintf(out, "\"sum_ns\": %" PRIu64 "},\n",
		s->phases.wait_ns + s->phases.count_ns + s->phases.verdict_ns +
			s->phases.release_ns + s->phases.near_ns + s->phases.far_ns +
			s->phases.flush_ns);
	fprintf(out, "  \"traced_per_freed\": %.6f,\n", stress_traced_per_freed(s));
}

static void write_series(FILE *out, const struct stress_record *r)
{
	fprintf(out, "  \"series\": [");
	for (size_t i = 0; i < r->count; i++) {
		const struct stress_sample *s = &r->samples[i];

		fprintf(out,
			"%s\n    {\"t\": %.3f, \"live_bytes\": %" PRIu64
			", \"garbage_objects\": %" PRIu64 ", \"journal_bytes\": %" PRIu64
			", \"rss_bytes\": %" PRIu64 "}",
			i == 0 ? "" : ",", s->t, s->live_bytes, s->garbage_objects,
			s->journal_bytes, s->rss_bytes);
	}
	fprintf(out, "\n  ]\n");
}

bool stress_json_write(const struct stress_run *run, const char *path)
{
	const struct stress_record *r = run->record;
	FILE *out = fopen(path, "we");
	bool good;

	if (out == NULL)
		return false;
	fprintf(out, "{\n");
	write_verdict(out, run);
	write_pauses(out, &r->stats);
	write_stats(out, &r->stats);
	write_number(out, "rss_bytes", r->count == 0 ? 0 : r->samples[r->count - 1].rss_bytes);
	write_number(out, "rss_bytes_max", r->rss_max);
	if (r->rss_at_60s != 0)
		write_number(out, "rss_bytes_at_60s", r->rss_at_60s);
	write_string(out, "gyre_version", gyre_version());
	write_series(out, r);
	fprintf(out, "}\n");
	good = ferror(out) == 0;
	return fclose(out) == 0 && good;
}
