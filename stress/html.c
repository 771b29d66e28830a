/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * html.c: a run as one page of HTML that needs nothing but itself: no scripts, no fonts, no images
 * from elsewhere. Runs on the main thread after the sampler has ended.
 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define CHART_WIDTH 900.0
#define CHART_HEIGHT 240.0
#define CHART_LEFT 70.0
#define CHART_BOTTOM 28.0
#define CHART_TOP 10.0

static const char style[] =
	":root{--ground:#fafaf8;--card:#fff;--ink:#1d2328;--soft:#66707a;--line:#dfe3e6;"
	"--a:#2a6fbb;--b:#c2571a;--c:#2b8a5f;--d:#8a4fa8;--good:#1e7d4f;--bad:#b3261e}"
	"@media(prefers-color-scheme:dark){:root{--ground:#14181c;--card:#1c2227;--ink:#e6eaed;"
	"--soft:#98a3ad;--line:#323a42;--a:#6aa9ea;--b:#e8935a;--c:#5fc295;--d:#c08ade;"
	"--good:#5fc295;--bad:#ff8a80}}"
	"*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);"
	"font:15px/1.5 system-ui,sans-serif}main{max-width:980px;margin:0 auto;padding:32px 20px}"
	"h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:0 0 2px}"
	"p{margin:0 0 12px;color:var(--soft)}section{background:var(--card);"
	"border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:18px 0;"
	"overflow-x:auto}.verdict{border-left:6px solid var(--good)}"
	".verdict.unsound{border-left-color:var(--bad)}.sound h1{color:var(--good)}"
	".unsound h1{color:var(--bad)}.tiles{display:grid;gap:14px;margin-top:14px;"
	"grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}.tiles b{display:block;"
	"font-size:21px;font-variant-numeric:tabular-nums}.tiles span{color:var(--soft);"
	"font-size:13px}svg{display:block;width:100%;height:auto;min-width:560px}"
	"svg text{fill:var(--soft);font:12px system-ui,sans-serif}.grid{stroke:var(--line)}"
	".key{font-size:13px;color:var(--soft);margin:8px 0 0}"
	".key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin:0 5px 0 14px}"
	".key i:first-child{margin-left:0}"
	"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
	"th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line)}"
	"td+td,th+th{text-align:right}td+td{white-space:nowrap}th{font-weight:600}"
	"pre{white-space:pre-wrap;margin:0;font-size:13px;color:var(--bad)}"
	"@media print{body{background:#fff}section{break-inside:avoid}}";

static void write_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

/* 1234567 as 1,234,567: tables are read by people. */
static void write_grouped(FILE *out, uint64_t number)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			fputc(',', out);
		fputc(digits[i], out);
	}
}

static void format_ns(char *text, size_t bytes, double ns)
{
	if (ns < 1e3)
		snprintf(text, bytes, "%.0f ns", ns);
	else if (ns < 1e6)
		snprintf(text, bytes, "%.3g &micro;s", ns / 1e3);
	else if (ns < 1e9)
		snprintf(text, bytes, "%.3g ms", ns / 1e6);
	else
		snprintf(text, bytes, "%.3g s", ns / 1e9);
}

static void format_large(char *text, size_t bytes, double value, const char *unit)
{
	if (value >= 1e9)
		snprintf(text, bytes, "%.3g %s%s", value / 1e9, "G", unit);
	else if (value >= 1e6)
		snprintf(text, bytes, "%.3g %s%s", value / 1e6, "M", unit);
	else if (value >= 1e3)
		snprintf(text, bytes, "%.3g %s%s", value / 1e3, "k", unit);
	else
		snprintf(text, bytes, "%.3g %s", value, unit);
}

/* ---- The head ---- */

static void write_tile(FILE *out, const char *value, const char *what)
{
	fprintf(out, "<div><b>%s</b><span>%s</span></div>", value, what);
}

static void write_tiles(FILE *out, const struct stress_run *run)
{
	const struct gyre_stats *s = &run->record->stats;
	double seconds = stress_record_seconds(run->record);
	uint64_t worst = 0;
	char text[64];

	for (int i = 0; i < GYRE_DELAY_COUNT; i++)
		worst = s->delays[i].max_ns > worst ? s->delays[i].max_ns : worst;
	fprintf(out, "<div class=tiles>");
	format_large(text, sizeof(text), (double)s->objects_allocated, "");
	write_tile(out, text, "objects allocated");
	format_large(text, sizeof(text), seconds > 0 ? (double)s->objects_allocated / seconds : 0,
		     "/s");
	write_tile(out, text, "objects a second");
	format_large(text, sizeof(text), (double)s->reclaimed_by_cycle, "");
	write_tile(out, text, "reclaimed in cycles");
	format_ns(text, sizeof(text), (double)worst);
	write_tile(out, text, "longest delay of a mutator");
	format_large(text, sizeof(text), (double)run->record->rss_max, "B");
	write_tile(out, text, "largest resident size");
	snprintf(text, sizeof(text), "%.2f", stress_traced_per_freed(s));
	write_tile(out, text, "traced per object freed");
	snprintf(text, sizeof(text), "%" PRIu64, run->oracle->checkpoints);
	write_tile(out, text, "comparisons with the shadow");
	fprintf(out, "</div>");
}

static void write_head(FILE *out, const struct stress_run *run)
{
	const struct stress_oracle *o = run->oracle;
	const char *verdict = o->disagreements == 0 ? "sound" : "unsound";

	fprintf(out,
		"<!doctype html><html lang=en><meta charset=utf-8>"
		"<meta name=viewport content=\"width=device-width,initial-scale=1\">"
		"<title>gyre-stress %s: %s</title><style>%s</style><main>"
		"<section class=\"verdict %s\"><h1>%s</h1><p>gyre-stress %s",
		run->mode->name, verdict, style, verdict,
		o->disagreements == 0 ? "Sound" : "Unsound", run->mode->name);
	if (run->options->operand != NULL) {
		fputc(' ', out);
		write_text(out, run->options->operand);
	}
	fprintf(out,
		", engine %s: %u thread%s, seed %" PRIu64 ", %.1f seconds, gyre %s. Lost %" PRIu64
		", kept %" PRIu64 ", disagreements %" PRIu64 ".</p>",
		run->record->stats.engine, run->options->threads,
		run->options->threads == 1 ? "" : "s", run->options->seed,
		stress_record_seconds(run->record), gyre_version(), o->lost, o->kept,
		o->disagreements);
	if (o->texts_count != 0)
		fprintf(out, "<pre>");
	for (size_t i = 0; i < o->texts_count; i++) {
		write_text(out, o->texts[i]);
		fputc('\n', out);
	}
	if (o->texts_count != 0)
		fprintf(out, "</pre>");
	write_tiles(out, run);
	fprintf(out, "</section>\n");
}

/* ---- Pauses ---- */

static const char *const bar_colours[4] = { "var(--c)", "var(--a)", "var(--d)", "var(--b)" };
static const char *const bar_names[4] = { "p50", "p99", "p99.9", "max" };

/* Where ns lies on an axis from 10 ns to 10^decades ns. */
static double log_place(double ns, double decades)
{
	return ns <= 10 ? 0 : (log10(ns) - 1) / (decades - 1);
}

static void write_pause_bars(FILE *out, const struct gyre_delays *d, double top, double decades)
{
	const uint64_t values[4] = { d->p50_ns, d->p99_ns, d->p999_ns, d->max_ns };
	char text[64];

	for (int k = 0; k < 4; k++) {
		double y = top + k * 15.0;
		double width = log_place((double)values[k], decades) * (CHART_WIDTH - 210);

		format_ns(text, sizeof(text), (double)values[k]);
		fprintf(out,
			"<rect x=110 y=%.1f width=%.1f height=11 rx=2 fill=\"%s\"><title>%s: %s"
			"</title></rect><text x=%.1f y=%.1f>%s</text>",
			y, width < 1 ? 1 : width, bar_colours[k], bar_names[k], text, 118 + width,
			y + 10, text);
	}
}

static void write_pauses(FILE *out, const struct gyre_stats *s)
{
	double decades = 4, height = GYRE_DELAY_COUNT * 78.0;
	char text[64];

	for (int i = 0; i < GYRE_DELAY_COUNT; i++)
		if (s->delays[i].max_ns > 0 && ceil(log10((double)s->delays[i].max_ns)) > decades)
			decades = ceil(log10((double)s->delays[i].max_ns));
	fprintf(out,
		"<section><h2>Delays of mutators, by cause</h2>"
		"<p>Logarithmic axis; a delay is what a thread was held up for at one time.</p>"
		"<svg viewBox=\"0 0 %.0f %.0f\" role=img "
		"aria-label=\"Delays of mutators by cause\">",
		CHART_WIDTH, height + 26);
	for (int e = 1; e <= (int)decades; e++) {
		double x = 110 + log_place(pow(10, e), decades) * (CHART_WIDTH - 210);

		format_ns(text, sizeof(text), pow(10, e));
		fprintf(out,
			"<line class=grid x1=%.1f x2=%.1f y1=0 y2=%.0f />"
			"<text x=%.1f y=%.0f text-anchor=middle>%s</text>",
			x, x, height, x, height + 18, text);
	}
	for (int i = 0; i < GYRE_DELAY_COUNT; i++) {
		const struct gyre_delays *d = &s->delays[i];
		double top = i * 78.0 + 8;

		fprintf(out, "<text x=0 y=%.1f>%s</text><text x=0 y=%.1f>", top + 12,
			gyre_delay_name((enum gyre_delay)i), top + 28);
		write_grouped(out, d->count);
		fprintf(out, " times</text>");
		if (d->count != 0)
			write_pause_bars(out, d, top, decades);
	}
	fprintf(out, "</svg><p class=key>");
	for (int k = 0; k < 4; k++)
		fprintf(out, "<i style=\"background:%s\"></i>%s", bar_colours[k], bar_names[k]);
	fprintf(out, "</p></section>\n");
}

/* ---- Over time ---- */

struct line {
	const char *name, *colour;
	size_t offset; /* of a uint64_t in struct stress_sample */
};

static double value_of(const struct stress_sample *sample, const struct line *line)
{
	uint64_t value;

	memcpy(&value, (const char *)sample + line->offset, sizeof(value));
	return (double)value;
}

/* A round number, at least value, that four lines of a grid divide well. */
static double round_up(double value)
{
	static const double steps[] = { 1, 2, 4, 6, 8, 10 };
	double unit = value <= 4 ? 1 : pow(10, floor(log10(value)));

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (value <= steps[i] * unit)
			return steps[i] * unit < 4 ? 4 : steps[i] * unit;
	return value;
}

static void write_axes(FILE *out, double top_value, double seconds, const char *unit)
{
	double plot = CHART_HEIGHT - CHART_BOTTOM - CHART_TOP;
	char text[64];

	for (int g = 0; g <= 4; g++) {
		double y = CHART_TOP + plot * (1 - g / 4.0);
		double x = CHART_LEFT + (CHART_WIDTH - CHART_LEFT - 20) * g / 4.0;

		format_large(text, sizeof(text), top_value * g / 4.0, unit);
		fprintf(out,
			"<line class=grid x1=%.0f x2=%.0f y1=%.1f y2=%.1f />"
			"<text x=%.0f y=%.1f text-anchor=end>%s</text>"
			"<text x=%.1f y=%.0f text-anchor=middle>%.3g s</text>",
			CHART_LEFT, CHART_WIDTH - 20, y, y, CHART_LEFT - 8, y + 4, text, x,
			CHART_HEIGHT - 6, seconds * g / 4.0);
	}
}

static void write_chart(FILE *out, const struct stress_record *r, const char *title,
			const char *text, const char *unit, const struct line *lines, size_t count)
{
	double seconds = r->count == 0 ? 1 : r->samples[r->count - 1].t, top = 0;
	double plot = CHART_HEIGHT - CHART_BOTTOM - CHART_TOP;

	seconds = seconds <= 0 ? 1 : seconds;
	for (size_t l = 0; l < count; l++)
		for (size_t i = 0; i < r->count; i++)
			top = fmax(top, value_of(&r->samples[i], &lines[l]));
	top = round_up(top);
	fprintf(out,
		"<section><h2>%s</h2><p>%s</p><svg viewBox=\"0 0 %.0f %.0f\" role=img "
		"aria-label=\"%s\">",
		title, text, CHART_WIDTH, CHART_HEIGHT, title);
	write_axes(out, top, seconds, unit);
	for (size_t l = 0; l < count; l++) {
		fprintf(out,
			"<polyline fill=none stroke=\"%s\" stroke-width=1.6 "
			"stroke-linejoin=round points=\"",
			lines[l].colour);
		for (size_t i = 0; i < r->count; i++)
			fprintf(out, "%.1f,%.1f ",
				CHART_LEFT +
					(CHART_WIDTH - CHART_LEFT - 20) * r->samples[i].t / seconds,
				CHART_TOP + plot * (1 - value_of(&r->samples[i], &lines[l]) / top));
		fprintf(out, "\"/>");
	}
	fprintf(out, "</svg><p class=key>");
	for (size_t l = 0; l < count; l++)
		fprintf(out, "<i style=\"background:%s\"></i>%s", lines[l].colour, lines[l].name);
	fprintf(out, "</p></section>\n");
}

static void write_charts(FILE *out, const struct stress_record *r)
{
	static const struct line memory[] = {
		{ "resident size of the process", "var(--d)",
		  offsetof(struct stress_sample, rss_bytes) },
		{ "objects", "var(--a)", offsetof(struct stress_sample, live_bytes) },
		{ "journals", "var(--b)", offsetof(struct stress_sample, journal_bytes) },
	};
	static const struct line garbage[] = {
		{ "objects", "var(--c)", offsetof(struct stress_sample, garbage_objects) },
	};

	write_chart(out, r, "Memory",
		    "Objects are those allocated and not reclaimed; the resident size holds the "
		    "shadows, too.",
		    "B", memory, sizeof(memory) / sizeof(memory[0]));
	write_chart(out, r, "Garbage not reclaimed yet",
		    "Objects in the heap that the shadows do not know as reachable: an estimate "
		    "between checkpoints.",
		    "", garbage, 1);
}

/* ---- The collector's table ---- */

static void write_row(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, "<tr><td>");
	for (; *name != '\0'; name++)
		fputc(*name == '_' ? ' ' : *name, out);
	fprintf(out, "</td><td>");
	write_grouped(out, value);
	fprintf(out, "</td></tr>");
}

/* What the mode itself counted. */
static void write_figures(FILE *out, const struct stress_run *run)
{
	if (run->figures[0].name == NULL)
		return;
	fprintf(out, "<section><h2>The mode</h2><table><tr><th>Figure</th><th>Value</th></tr>");
	for (size_t i = 0; i < STRESS_FIGURES_MAX && run->figures[i].name != NULL; i++)
		write_row(out, run->figures[i].name, run->figures[i].value);
	fprintf(out, "</table></section>\n");
}

static void write_tables(FILE *out, const struct gyre_stats *s)
{
	fprintf(out,
		"<section><h2>The collector</h2><table><tr><th>Figure</th><th>Value</th></tr>");
#define WRITE_ROW(field) write_row(out, #field, s->field);
	STRESS_STATS(WRITE_ROW)
#undef WRITE_ROW
	fprintf(out, "</table></section><section><h2>Its time, by phase</h2><p>Wall time in ns.</p>"
		     "<table><tr><th>Phase</th><th>ns</th></tr>");
#define WRITE_PHASE(field) write_row(out, #field, s->phases.field);
	STRESS_PHASES(WRITE_PHASE)
#undef WRITE_PHASE
	fprintf(out, "</table></section>\n");
}

bool stress_html_write(const struct stress_run *run, const char *path)
{
	FILE *out = fopen(path, "we");
	bool good;

	if (out == NULL)
		return false;
	write_head(out, run);
	write_pauses(out, &run->record->stats);
	write_charts(out, run->record);
	write_figures(out, run);
	write_tables(out, &run->record->stats);
	fprintf(out, "</main></html>\n");
	good = ferror(out) == 0;
	return fclose(out) == 0 && good;
}
