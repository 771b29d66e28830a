/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.c: the commands about a whole heap: summary, types, cycles, dominators, sites, diff. One
 * thread.
 *
 * Invariant: what is equal in what a list is sorted by stands in the order of the dump, so that an
 * answer is the same each time.
 */
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "print.h"
#include "search.h"

/* A line of types, sites or dominators. */
struct row {
	const char *name;
	uint64_t objects, bytes;
	uint32_t index;
};

static int by_index(const struct row *a, const struct row *b)
{
	return (a->index > b->index) - (a->index < b->index);
}

static int more_bytes(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return a->bytes != b->bytes ? (a->bytes < b->bytes) - (a->bytes > b->bytes)
				    : by_index(a, b);
}

static int more_objects(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return a->objects != b->objects ? (a->objects < b->objects) - (a->objects > b->objects)
					: by_index(a, b);
}

static int by_name(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : by_index(a, b);
}

static void sort_rows(struct row *rows, uint32_t count, enum heap_sort sort)
{
	qsort(rows, count, sizeof(*rows),
	      sort == SORT_BYTES     ? more_bytes
	      : sort == SORT_OBJECTS ? more_objects
				     : by_name);
}

static void print_rows(const struct command *c, struct row *rows, uint32_t count, const char *what)
{
	uint64_t i;

	sort_rows(rows, count, c->sort);
	printf("%12s %14s  %s\n", "objects", "bytes", what);
	for (i = 0; i < count && (c->limit == 0 || i < c->limit); i++) {
		printf("%12" PRIu64 " %14" PRIu64 "  ", rows[i].objects, rows[i].bytes);
		heap_print_text(stdout, rows[i].name);
		fputc('\n', stdout);
	}
	heap_print_left_off(count, c->limit);
}

static struct row *type_rows(const struct gyre__graph *g)
{
	struct row *rows = heap_array(g->types, sizeof(*rows));
	uint32_t i;

	for (i = 0; i < g->types; i++)
		rows[i] = (struct row){ .name = g->type_names[i], .index = i };
	for (i = 0; i < g->nodes; i++) {
		rows[g->type[i]].objects++;
		rows[g->type[i]].bytes += g->bytes[i];
	}
	return rows;
}

int heap_types(struct command *c)
{
	struct row *rows = type_rows(&c->graph);

	print_rows(c, rows, c->graph.types, "type");
	free(rows);
	return HEAP_OK;
}

int heap_sites(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	struct row *rows = heap_array((uint64_t)g->sites + 1, sizeof(*rows));
	uint32_t i;

	if (g->site == NULL || g->sites == 0) {
		free(rows);
		printf("this dump has no allocation sites\n");
		return HEAP_NOTHING;
	}
	for (i = 0; i <= g->sites; i++)
		rows[i] = (struct row){ i < g->sites ? g->site_names[i] : "(not known)", 0, 0, i };
	for (i = 0; i < g->nodes; i++) {
		struct row *row = &rows[g->site[i] == GYRE__NO_SITE ? g->sites : g->site[i]];

		row->objects++;
		row->bytes += g->bytes[i];
	}
	print_rows(c, rows, g->sites + (rows[g->sites].objects > 0), "allocated at");
	free(rows);
	return HEAP_OK;
}

/* Of how many components there is more than one member: the others, which come last, are single
 * objects that refer to themselves. */
static size_t of_many(const struct gyre__components *found)
{
	size_t count = found->count;

	while (count > 0 && found->first[count] - found->first[count - 1] == 1)
		count--;
	return count;
}

int heap_summary(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	unsigned char *seen = heap_array(g->nodes, 1);
	uint64_t bytes = 0, reachable = 0, reachable_bytes = 0, holders[3] = { 0, 0, 0 };
	struct gyre__components found;
	uint32_t i;
	size_t r;

	if (!gyre__graph_reach(g, UINT64_MAX, seen) || !gyre__graph_components(g, &found))
		heap_starved();
	for (i = 0; i < g->nodes; i++) {
		bytes += g->bytes[i];
		reachable += seen[i];
		reachable_bytes += seen[i] ? g->bytes[i] : 0;
	}
	for (r = 0; r < g->roots_count; r++)
		holders[g->roots[r].holder]++;
	printf("objects     %12" PRIu32 "  %14" PRIu64 " bytes\n", g->nodes, bytes);
	printf("reachable   %12" PRIu64 "  %14" PRIu64 " bytes\n", reachable, reachable_bytes);
	printf("garbage     %12" PRIu64 "  %14" PRIu64 " bytes\n", g->nodes - reachable,
	       bytes - reachable_bytes);
	printf("references  %12zu\n", g->edges);
	printf("types       %12" PRIu32 "\n", g->types);
	printf("sites       %12" PRIu32 "\n", g->sites);
	printf("roots       %12" PRIu64 "  and %" PRIu64 " frames, %" PRIu64 " held otherwise\n",
	       holders[GYRE_HOLDER_ROOT], holders[GYRE_HOLDER_FRAME], holders[GYRE_HOLDER_OTHER]);
	printf("components  %12zu  of %" PRIu64 " objects, the largest of %" PRIu64 "\n",
	       found.count, found.first[found.count], found.count > 0 ? found.first[1] : 0);
	free(found.first);
	free(found.members);
	free(seen);
	return HEAP_OK;
}

static uint64_t bytes_of(const struct gyre__graph *g, const struct gyre__components *found,
			 size_t i)
{
	uint64_t bytes = 0, m;

	for (m = found->first[i]; m < found->first[i + 1]; m++)
		bytes += g->bytes[found->members[m]];
	return bytes;
}

int heap_cycles(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	struct gyre__components found;
	size_t i;

	if (!gyre__graph_components(g, &found))
		heap_starved();
	printf("%zu components of more than one object, "
	       "%zu objects that refer to themselves only\n",
	       of_many(&found), found.count - of_many(&found));
	printf("%10s %12s %14s\n", "component", "objects", "bytes");
	for (i = 0; i < found.count && (c->limit == 0 || i < c->limit); i++) {
		uint64_t m, shown = 0, count = found.first[i + 1] - found.first[i];

		printf("%10zu %12" PRIu64 " %14" PRIu64 "\n", i + 1, count, bytes_of(g, &found, i));
		if (c->members == HEAP_UNASKED)
			continue;
		for (m = found.first[i]; m < found.first[i + 1]; m++, shown++) {
			if (c->members != 0 && shown == c->members)
				break;
			printf("    ");
			heap_print_node(g, found.members[m]);
			fputc('\n', stdout);
		}
		if (shown < count)
			printf("    ... and %" PRIu64 " more members (--members 0 shows all)\n",
			       count - shown);
	}
	heap_print_left_off(found.count, c->limit);
	free(found.first);
	free(found.members);
	return HEAP_OK;
}

int heap_dominators(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	struct heap_retained r = heap_dominate(g);
	struct row *rows = heap_array(g->nodes, sizeof(*rows));
	uint32_t i, count = 0;

	for (i = 0; i < g->nodes; i++)
		if (r.reachable[i])
			rows[count++] = (struct row){ "", r.objects[i], r.bytes[i], i };
	sort_rows(rows, count, SORT_BYTES);
	printf("%14s %12s %10s  %s\n", "retained bytes", "objects", "within", "object");
	for (i = 0; i < count && (c->limit == 0 || i < c->limit); i++) {
		printf("%14" PRIu64 " %12" PRIu64 " ", rows[i].bytes, rows[i].objects);
		if (r.idom[rows[i].index] == GYRE__NO_NODE)
			printf("%10s  ", "-");
		else
			printf("%10" PRIu32 "  ", r.idom[rows[i].index]);
		heap_print_node(g, rows[i].index);
		fputc('\n', stdout);
	}
	heap_print_left_off(count, c->limit);
	free(rows);
	heap_retained_free(&r);
	return HEAP_OK;
}

/* ---- diff ---- */

struct change {
	const char *name;
	int64_t objects, bytes; /* what the second has more */
};

/* Changes by name: adds up what stands under the same one. */
static int change_by_name(const void *left, const void *right)
{
	return strcmp(((const struct change *)left)->name, ((const struct change *)right)->name);
}

static uint64_t size_of(int64_t change)
{
	return change < 0 ? -(uint64_t)change : (uint64_t)change;
}

static int larger_change(const void *left, const void *right)
{
	const struct change *a = left, *b = right;
	uint64_t x = size_of(a->bytes), y = size_of(b->bytes);

	return x != y ? (x < y) - (x > y) : change_by_name(left, right);
}

static uint32_t add_changes(struct change *changes, uint32_t count, const struct gyre__graph *g,
			    uint64_t sign)
{
	struct row *rows = type_rows(g);
	uint32_t i;

	/* As unsigned numbers, since sizes in a file may be any. */
	for (i = 0; i < g->types; i++)
		changes[count++] = (struct change){ rows[i].name, (int64_t)(rows[i].objects * sign),
						    (int64_t)(rows[i].bytes * sign) };
	free(rows);
	return count;
}

static uint32_t add_up(struct change *changes, uint32_t count)
{
	uint32_t i, kept = 0, changed = 0;

	qsort(changes, count, sizeof(*changes), change_by_name);
	for (i = 0; i < count; i++) {
		if (kept > 0 && strcmp(changes[kept - 1].name, changes[i].name) == 0) {
			changes[kept - 1].objects += changes[i].objects;
			changes[kept - 1].bytes = (int64_t)((uint64_t)changes[kept - 1].bytes +
							    (uint64_t)changes[i].bytes);
		} else {
			changes[kept++] = changes[i];
		}
	}
	for (i = 0; i < kept; i++)
		if (changes[i].objects != 0 || changes[i].bytes != 0)
			changes[changed++] = changes[i];
	qsort(changes, changed, sizeof(*changes), larger_change);
	return changed;
}

int heap_diff(struct command *c)
{
	struct gyre__graph other;
	struct change *changes;
	uint32_t count;
	uint64_t i;
	char error[512];

	if (!gyre__graph_load(&other, c->files[1], error, sizeof(error)))
		return heap_trouble("%s", error);
	changes = heap_array((uint64_t)c->graph.types + other.types, sizeof(*changes));
	count = add_changes(changes, 0, &c->graph, UINT64_MAX);
	count = add_up(changes, add_changes(changes, count, &other, 1));
	printf("%+12" PRId64 " objects, %+" PRId64 " references\n",
	       (int64_t)other.nodes - (int64_t)c->graph.nodes,
	       (int64_t)other.edges - (int64_t)c->graph.edges);
	printf("%12s %14s  %s\n", "objects", "bytes", "type");
	for (i = 0; i < count && (c->limit == 0 || i < c->limit); i++) {
		printf("%+12" PRId64 " %+14" PRId64 "  ", changes[i].objects, changes[i].bytes);
		heap_print_text(stdout, changes[i].name);
		fputc('\n', stdout);
	}
	heap_print_left_off(count, c->limit);
	free(changes);
	gyre__graph_destroy(&other);
	return HEAP_OK;
}
