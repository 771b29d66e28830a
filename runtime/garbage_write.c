/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * garbage_write.c: the edges of kept cycles, and kept cycles as text and as a graph for Graphviz.
 * Mutators, within a visit (garbage.c).
 */
#include <gyre/inspect.h>
#include <inttypes.h>
#include <stdlib.h>

#include "mutator.h"
#include "type.h"

struct numbered {
	const void *object;
	size_t number;
};

static int by_address(const void *left, const void *right)
{
	uintptr_t a = (uintptr_t)((const struct numbered *)left)->object;
	uintptr_t b = (uintptr_t)((const struct numbered *)right)->object;

	return (a > b) - (a < b);
}

struct finding {
	const struct numbered *table;
	size_t count, from;
	gyre_visit_edge_fn visit;
	void *arg;
};

static bool find(void *arg, struct gyre_mutator *m, void *object)
{
	struct finding *finding = arg;
	struct numbered key = { object, 0 };
	const struct numbered *found =
		bsearch(&key, finding->table, finding->count, sizeof(key), by_address);

	(void)m;
	if (found != NULL)
		finding->visit(finding->arg, finding->from, found->number);
	return true;
}

enum gyre_status gyre_cycle_edges(struct gyre_mutator *m, const struct gyre_cycle *cycle,
				  gyre_visit_edge_fn visit, void *arg)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_cycle_edges");
	struct numbered *table;
	struct finding finding;
	size_t i;

	if (status != GYRE_OK)
		return status;
	if (cycle == NULL || cycle->size != sizeof(*cycle) || visit == NULL)
		return GYRE_INVALID;
	table = malloc((cycle->count + 1) * sizeof(*table));
	if (table == NULL)
		return GYRE_NO_MEMORY;
	for (i = 0; i < cycle->count; i++)
		table[i] = (struct numbered){ cycle->objects[i], i };
	qsort(table, cycle->count, sizeof(*table), by_address);
	finding = (struct finding){ table, cycle->count, 0, visit, arg };
	for (i = 0; i < cycle->count; i++) {
		finding.from = i;
		gyre_referents(m, cycle->objects[i], find, &finding);
	}
	free(table);
	return GYRE_OK;
}

/* The edges of a cycle, collected before its visitor parks: pairs of numbers. */
struct edges {
	struct gyre__vector pairs;
	bool starved;
};

static void add_edge(void *arg, size_t from, size_t to)
{
	struct edges *edges = arg;

	if (!gyre__vector_reserve(&edges->pairs, edges->pairs.count + 2)) {
		edges->starved = true;
		return;
	}
	edges->pairs.items[edges->pairs.count++] = (void *)(uintptr_t)from;
	edges->pairs.items[edges->pairs.count++] = (void *)(uintptr_t)to;
}

struct writing {
	FILE *file;
	enum gyre_garbage_format format;
	enum gyre_status status;
};

static void write_text(FILE *file, const struct gyre_cycle *cycle, const struct edges *edges)
{
	size_t i, at = 0;

	fprintf(file, "cycle %" PRIu64 ": %zu objects, %" PRIu64 " bytes\n", cycle->id,
		cycle->count, cycle->bytes);
	for (i = 0; i < cycle->count; i++) {
		fprintf(file, "  %zu: %s at %p:", i,
			gyre__locator_of(cycle->objects[i])->type->name, cycle->objects[i]);
		for (; at < edges->pairs.count && (uintptr_t)edges->pairs.items[at] == i; at += 2)
			fprintf(file, " %zu", (size_t)(uintptr_t)edges->pairs.items[at + 1]);
		fputc('\n', file);
	}
}

/* Within quotes, as the language of Graphviz has it. */
static void write_quoted(FILE *file, const char *text)
{
	for (; *text != 0; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		fputc(*text, file);
	}
}

static void write_dot(FILE *file, const struct gyre_cycle *cycle, const struct edges *edges)
{
	size_t i;

	fprintf(file, "\tsubgraph cluster_%" PRIu64 " {\n\t\tlabel=\"cycle %" PRIu64 "\";\n",
		cycle->id, cycle->id);
	for (i = 0; i < cycle->count; i++) {
		fprintf(file, "\t\tn%" PRIu64 "_%zu [label=\"", cycle->id, i);
		write_quoted(file, gyre__locator_of(cycle->objects[i])->type->name);
		fprintf(file, "\\n%p\"];\n", cycle->objects[i]);
	}
	for (i = 0; i < edges->pairs.count; i += 2)
		fprintf(file, "\t\tn%" PRIu64 "_%zu -> n%" PRIu64 "_%zu;\n", cycle->id,
			(size_t)(uintptr_t)edges->pairs.items[i], cycle->id,
			(size_t)(uintptr_t)edges->pairs.items[i + 1]);
	fprintf(file, "\t}\n");
}

static bool write_cycle(void *arg, struct gyre_mutator *m, const struct gyre_cycle *cycle)
{
	struct writing *writing = arg;
	struct edges edges = { .starved = false };

	writing->status = gyre_cycle_edges(m, cycle, add_edge, &edges);
	if (edges.starved)
		writing->status = GYRE_NO_MEMORY;
	if (writing->status == GYRE_OK) {
		gyre_park(m);
		if (writing->format == GYRE_GARBAGE_DOT)
			write_dot(writing->file, cycle, &edges);
		else
			write_text(writing->file, cycle, &edges);
		gyre_unpark(m);
	}
	gyre__vector_destroy(&edges.pairs);
	return writing->status == GYRE_OK;
}

enum gyre_status gyre_garbage_write(struct gyre_mutator *m, FILE *file,
				    enum gyre_garbage_format format)
{
	struct writing writing = { file, format, GYRE_OK };
	enum gyre_status status;

	if (file == NULL || (unsigned)format > GYRE_GARBAGE_DOT)
		return GYRE_INVALID;
	status = gyre__may_wait(m, "gyre_garbage_write");
	if (status != GYRE_OK)
		return status;
	if (format == GYRE_GARBAGE_DOT)
		fprintf(file, "digraph garbage {\n");
	status = gyre_garbage_visit(m, write_cycle, &writing);
	if (format == GYRE_GARBAGE_DOT)
		fprintf(file, "}\n");
	return status == GYRE_OK ? writing.status : status;
}
