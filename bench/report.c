/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c: what the rounds say: a table for a reader, JSON for a program. Runs on the main thread
 * after the last round.
 *
 * A ratio is the median of the rounds' ratios, each taken within one round, where both managers met
 * about the same machine: to mimalloc if it is there, else to malloc; for stores, to the plain one.
 */
#include "micro.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const micro_workload_names[MICRO_WORKLOADS] = {
	[MICRO_CHURN] = "churn",       [MICRO_RINGS] = "rings", [MICRO_STORES4K] = "stores4k",
	[MICRO_STORES1M] = "stores1m", [MICRO_WEAK] = "weak",
};

const char *const micro_manager_names[MICRO_MANAGERS] = {
	[MICRO_TAGGED] = "tagged", [MICRO_RECYCLER] = "recycler", [MICRO_MALLOC] = "malloc",
	[MICRO_CALLOC] = "calloc", [MICRO_MIMALLOC] = "mimalloc", [MICRO_MI_ZALLOC] = "mi_zalloc",
	[MICRO_PLAIN] = "plain",   [MICRO_PEEK] = "peek",
};

struct quartiles {
	double low, median, high;
};

/* ---- Figures of a cell ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value below which a part of the sorted values lies, between its neighbours in proportion. */
static double quantile(const double *sorted, unsigned count, double part)
{
	double place = part * (count - 1);
	unsigned below = (unsigned)place;
	unsigned above = below + 1 < count ? below + 1 : below;

	return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

static struct quartiles quartiles_of(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return (struct quartiles){
		quantile(values, count, 0.25),
		quantile(values, count, 0.5),
		quantile(values, count, 0.75),
	};
}

static double field(const struct micro_sample *sample, size_t offset)
{
	return *(const double *)((const char *)sample + offset);
}

/* Of a field of struct micro_sample, by its offset, over the rounds. */
static struct quartiles over_rounds(const struct micro_cell *cell, unsigned rounds, size_t offset)
{
	double values[MICRO_ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++)
		values[i] = field(&cell->samples[i], offset);
	return quartiles_of(values, rounds);
}

#define OVER(cell, name) over_rounds(cell, options->rounds, offsetof(struct micro_sample, name))

/* The cell that a cell is compared with: the same workload and number of threads. */
static const struct micro_cell *base_of(const struct micro_options *options,
					const struct micro_cell *cells, size_t count,
					const struct micro_cell *cell)
{
	enum micro_manager manager = MICRO_PLAIN;

	if (!micro_is_access(cell->workload))
		manager = options->mimalloc != NULL ? MICRO_MIMALLOC : MICRO_MALLOC;
	for (size_t i = 0; i < count; i++)
		if (cells[i].workload == cell->workload && cells[i].threads == cell->threads &&
		    cells[i].manager == manager)
			return &cells[i];
	return cell;
}

static struct quartiles ratios(const struct micro_cell *cell, const struct micro_cell *base,
			       unsigned rounds, size_t offset)
{
	double values[MICRO_ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++) {
		double divisor = field(&base->samples[i], offset);

		/* A clock may stand still over a tiny measurement. */
		values[i] = divisor > 0 ? field(&cell->samples[i], offset) / divisor : 0;
	}
	return quartiles_of(values, rounds);
}

static uint64_t left_of(const struct micro_cell *cell, unsigned rounds)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < rounds; i++)
		left += cell->samples[i].left;
	return left;
}

static uint64_t mapped_of(const struct micro_cell *cell, unsigned rounds)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < rounds; i++)
		if (cell->samples[i].mapped_max > most)
			most = cell->samples[i].mapped_max;
	return most;
}

/* ---- The table ---- */

static void print_head(const struct micro_options *options)
{
	bool mimalloc = options->mimalloc != NULL;

	printf("ns for each operation (an object made and dropped; a store), medians of %u rounds\n"
	       "  wall, own   time and CPU time of a thread; [quartiles] of the former\n"
	       "  ratio       of wall and of own to %s (stores: to plain), within a round\n"
	       "  cpu, drain  CPU time of the process meanwhile, and to collect the rest after\n"
	       "  traced, cand, counted  objects traced, made candidates and counted as newborns\n"
	       "  looked, window         values looked up in open journals, stores in windows\n"
	       "                         (these five for each operation)\n"
	       "  epochs      boundaries while the threads ran; MiB mapped at most\n\n",
	       options->rounds, mimalloc ? "mimalloc" : "malloc");
	printf("%-9s%2s  %-10s%7s %15s %6s %7s %6s %7s %7s", "workload", "T", "manager", "wall",
	       "[quartiles]", "ratio", "own", "ratio", "cpu", "drain");
	printf(" %7s%8s%8s%8s%8s %6s %4s %4s\n", "traced", "cand", "counted", "looked", "window",
	       "epochs", "MiB", "left");
}

static void print_cell(const struct micro_options *options, const struct micro_cell *cell,
		       const struct micro_cell *base)
{
	struct quartiles wall = OVER(cell, wall);
	char range[32];

	snprintf(range, sizeof(range), "[%.2f %.2f]", wall.low, wall.high);
	printf("%-9s%2u  %-10s%7.2f %15s %6.2f %7.2f %6.2f %7.2f %7.2f",
	       micro_workload_names[cell->workload], cell->threads,
	       micro_manager_names[cell->manager], wall.median, range,
	       ratios(cell, base, options->rounds, offsetof(struct micro_sample, wall)).median,
	       OVER(cell, own).median,
	       ratios(cell, base, options->rounds, offsetof(struct micro_sample, own)).median,
	       OVER(cell, cpu).median, OVER(cell, drain).median);
	if (micro_is_gyre(cell->manager))
		printf(" %7.4f%8.4f%8.4f%8.4f%8.4f %6.0f %4.0f %4" PRIu64,
		       OVER(cell, near_traced).median + OVER(cell, far_traced).median,
		       OVER(cell, candidates).median, OVER(cell, counted).median,
		       OVER(cell, looked_up).median, OVER(cell, window_stores).median,
		       OVER(cell, epochs).median,
		       (double)mapped_of(cell, options->rounds) / (1 << 20),
		       left_of(cell, options->rounds));
	putchar('\n');
}

void micro_table(const struct micro_options *options, const struct micro_cell *cells, size_t count)
{
	print_head(options);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && (cells[i].workload != cells[i - 1].workload ||
			      cells[i].threads != cells[i - 1].threads))
			putchar('\n');
		print_cell(options, &cells[i], base_of(options, cells, count, &cells[i]));
	}
	fflush(stdout);
}

/* ---- JSON ---- */

static const struct {
	const char *name;
	size_t offset;
	bool gyre; /* only gyre has it */
} json_fields[] = {
	{ "wall_ns", offsetof(struct micro_sample, wall), false },
	{ "own_ns", offsetof(struct micro_sample, own), false },
	{ "cpu_ns", offsetof(struct micro_sample, cpu), false },
	{ "drain_ns", offsetof(struct micro_sample, drain), false },
	{ "operations", offsetof(struct micro_sample, operations), false },
	{ "near_traced", offsetof(struct micro_sample, near_traced), true },
	{ "far_traced", offsetof(struct micro_sample, far_traced), true },
	{ "candidates", offsetof(struct micro_sample, candidates), true },
	{ "newborns_counted", offsetof(struct micro_sample, counted), true },
	{ "views_looked_up", offsetof(struct micro_sample, looked_up), true },
	{ "window_stores", offsetof(struct micro_sample, window_stores), true },
	{ "epochs", offsetof(struct micro_sample, epochs), true },
};

#define JSON_FIELDS (sizeof(json_fields) / sizeof(json_fields[0]))

static void json_quartiles(FILE *file, const char *name, struct quartiles q)
{
	fprintf(file, ",\n     \"%s\": {\"median\": %.9g, \"quartiles\": [%.9g, %.9g]", name,
		q.median, q.low, q.high);
}

static void json_cell(FILE *file, const struct micro_options *options,
		      const struct micro_cell *cell, const struct micro_cell *base)
{
	bool gyre = micro_is_gyre(cell->manager);

	fprintf(file,
		"    {\"workload\": \"%s\", \"manager\": \"%s\", \"threads\": %u, "
		"\"base\": \"%s\"",
		micro_workload_names[cell->workload], micro_manager_names[cell->manager],
		cell->threads, micro_manager_names[base->manager]);
	json_quartiles(file, "ratio",
		       ratios(cell, base, options->rounds, offsetof(struct micro_sample, wall)));
	fputc('}', file);
	json_quartiles(file, "own_ratio",
		       ratios(cell, base, options->rounds, offsetof(struct micro_sample, own)));
	fputc('}', file);
	for (size_t f = 0; f < JSON_FIELDS; f++) {
		if (json_fields[f].gyre && !gyre)
			continue;
		json_quartiles(file, json_fields[f].name,
			       over_rounds(cell, options->rounds, json_fields[f].offset));
		fputs(", \"rounds\": [", file);
		for (unsigned i = 0; i < options->rounds; i++)
			fprintf(file, "%s%.9g", i == 0 ? "" : ", ",
				field(&cell->samples[i], json_fields[f].offset));
		fputs("]}", file);
	}
	if (gyre)
		fprintf(file, ",\n     \"bytes_mapped_max\": %" PRIu64 ", \"left\": %" PRIu64,
			mapped_of(cell, options->rounds), left_of(cell, options->rounds));
	fputc('}', file);
}

bool micro_json(const struct micro_options *options, const struct micro_cell *cells, size_t count)
{
	FILE *file = fopen(options->json, "w");
	bool written;

	if (file == NULL) {
		fprintf(stderr, "micro: %s: %s\n", options->json, strerror(errno));
		return false;
	}
	fprintf(file,
		"{\"rounds\": %u, \"seconds\": %.9g, \"operations\": %" PRIu64
		", \"large\": %zu,\n \"cells\": [\n",
		options->rounds, options->operations == 0 ? options->seconds : 0.0,
		options->operations, options->large);
	for (size_t i = 0; i < count; i++) {
		json_cell(file, options, &cells[i], base_of(options, cells, count, &cells[i]));
		fputs(i + 1 < count ? ",\n" : "\n", file);
	}
	fputs("  ]}\n", file);
	written = ferror(file) == 0;
	written = fclose(file) == 0 && written;
	if (!written)
		fprintf(stderr, "micro: %s: not written\n", options->json);
	return written;
}
