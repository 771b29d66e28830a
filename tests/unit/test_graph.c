/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_graph.c: the searches of inspect/ beside the plainest way to know, on random small graphs;
 * their dumps there and back; refused memory; and a list that nothing may recurse along.
 *
 * Invariant: the seed is printed, and GYRE_TEST_SEED repeats it. One thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "search.h"
#include "write.h"

enum { NODES = 9, EDGES = 24, ROOTS = 3, LONG = 1000000 };

static uint64_t seed;
static long refuse_at; /* the call that gets no memory; 0: none */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static bool refused(void)
{
	return refuse_at > 0 && --refuse_at == 0;
}

void *__wrap_malloc(size_t bytes)
{
	return refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return refused() ? NULL : __real_realloc(old, bytes);
}

static uint32_t below(uint32_t bound)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % bound;
}

static char **names(const char *text)
{
	char **list = calloc(1, sizeof(*list));

	assert_non_null(list);
	list[0] = strdup(text);
	return list;
}

static void allocate(struct gyre__graph *g, uint32_t nodes, size_t edges, size_t roots)
{
	memset(g, 0, sizeof(*g));
	g->nodes = nodes;
	g->edges = edges;
	g->roots_count = roots;
	g->types = g->sites = g->names_count = 1;
	g->type = calloc(nodes, sizeof(*g->type));
	g->bytes = calloc(nodes, sizeof(*g->bytes));
	g->address = calloc(nodes, sizeof(*g->address));
	g->counts = calloc(nodes, sizeof(*g->counts));
	g->site = calloc(nodes, sizeof(*g->site));
	g->first = calloc((size_t)nodes + 1, sizeof(*g->first));
	g->to = calloc(edges + 1, sizeof(*g->to));
	g->roots = calloc(roots + 1, sizeof(*g->roots));
	g->type_names = names("a\nb");
	g->site_names = names("file.c:1");
	g->names = names("");
}

static void make_random(struct gyre__graph *g)
{
	uint32_t nodes = 1 + below(NODES), i;
	size_t edges = below(EDGES);

	allocate(g, nodes, edges, below(ROOTS));
	for (i = 0; i < edges; i++) {
		g->to[i] = below(nodes);
		g->first[1 + below(nodes)]++;
	}
	for (i = 0; i < nodes; i++) {
		g->first[i + 1] += g->first[i];
		g->bytes[i] = below(1000);
		g->address[i] = 16 * (i + 1);
		g->counts[i] = below(5);
		g->site[i] = below(2) == 0 ? 0 : GYRE__NO_SITE;
	}
	for (i = 0; i < g->roots_count; i++)
		g->roots[i] = (struct gyre__graph_root){ below(nodes), (enum gyre__holder)below(3),
							 below(2) == 0 ? 0 : UINT32_MAX, below(9) };
}

/* Reachable from the roots, or from one node if from is one, never through without. */
static void plain_reach(const struct gyre__graph *g, uint32_t from, uint32_t without, uint64_t skip,
			unsigned char *seen)
{
	bool more = true;

	memset(seen, 0, NODES);
	for (size_t i = 0; from == GYRE__NO_NODE && i < g->roots_count; i++)
		seen[g->roots[i].node] = g->roots[i].node != without;
	if (from != GYRE__NO_NODE)
		seen[from] = 1;
	while (more) {
		more = false;
		for (uint32_t n = 0; n < g->nodes; n++)
			for (uint64_t e = g->first[n]; seen[n] && e < g->first[n + 1]; e++)
				if (e != skip && g->to[e] != without && !seen[g->to[e]])
					seen[g->to[e]] = more = true;
	}
}

static bool has_edge(const struct gyre__graph *g, uint32_t from, uint32_t to)
{
	for (uint64_t e = g->first[from]; e < g->first[from + 1]; e++)
		if (g->to[e] == to)
			return true;
	return false;
}

static void check_reach(const struct gyre__graph *g)
{
	unsigned char plain[NODES], seen[NODES];

	for (uint64_t skip = 0; skip <= g->edges; skip++) {
		uint64_t edge = skip == g->edges ? UINT64_MAX : skip;

		plain_reach(g, GYRE__NO_NODE, GYRE__NO_NODE, edge, plain);
		assert_true(gyre__graph_reach(g, edge, seen));
		assert_memory_equal(plain, seen, g->nodes);
	}
}

/* The length of a shortest path to each node, by relaxing until nothing changes; 0: none. */
static void plain_lengths(const struct gyre__graph *g, size_t *length)
{
	bool more = true;

	memset(length, 0, NODES * sizeof(*length));
	for (size_t i = 0; i < g->roots_count; i++)
		length[g->roots[i].node] = 1;
	while (more) {
		more = false;
		for (uint32_t n = 0; n < g->nodes; n++)
			for (uint64_t e = g->first[n]; length[n] > 0 && e < g->first[n + 1]; e++) {
				size_t *to = &length[g->to[e]];

				if (*to != 0 && *to <= length[n] + 1)
					continue;
				*to = length[n] + 1;
				more = true;
			}
	}
}

static void check_paths(const struct gyre__graph *g)
{
	size_t lengths[NODES], length, root;
	uint32_t path[NODES];

	plain_lengths(g, lengths);
	for (uint32_t n = 0; n < g->nodes; n++) {
		assert_true(gyre__graph_path(g, n, path, &length, &root));
		assert_int_equal(length, lengths[n]);
		if (length == 0)
			continue;
		assert_int_equal(g->roots[root].node, path[0]);
		assert_int_equal(path[length - 1], n);
		for (size_t i = 1; i < length; i++)
			assert_true(has_edge(g, path[i - 1], path[i]));
	}
}

static void check_reverse(const struct gyre__graph *g)
{
	struct gyre__graph_reverse back;
	uint64_t at = 0;

	assert_true(gyre__graph_reverse(g, &back));
	for (uint32_t to = 0; to < g->nodes; to++) {
		assert_int_equal(back.first[to], at);
		for (uint32_t from = 0; from < g->nodes; from++)
			for (uint64_t e = g->first[from]; e < g->first[from + 1]; e++)
				if (g->to[e] == to)
					assert_int_equal(back.from[at++], from);
	}
	assert_int_equal(back.first[g->nodes], at);
	free(back.first);
	free(back.from);
}

/* Two nodes are of one component if each is reached from the other. */
static void check_components(const struct gyre__graph *g)
{
	struct gyre__components found;
	unsigned char from[NODES][NODES];
	size_t of[NODES];

	memset(of, 0, sizeof(of));
	assert_true(gyre__graph_components(g, &found));
	for (size_t i = 0; i < found.count; i++) {
		assert_true(found.first[i + 1] > found.first[i]);
		if (i > 0)
			assert_true(found.first[i + 1] - found.first[i] <=
				    found.first[i] - found.first[i - 1]);
		for (uint64_t m = found.first[i]; m < found.first[i + 1]; m++) {
			assert_int_equal(of[found.members[m]], 0);
			of[found.members[m]] = i + 1;
		}
	}
	for (uint32_t n = 0; n < g->nodes; n++)
		plain_reach(g, n, GYRE__NO_NODE, UINT64_MAX, from[n]);
	for (uint32_t a = 0; a < g->nodes; a++) {
		bool cyclic = has_edge(g, a, a);

		for (uint32_t b = 0; b < g->nodes; b++) {
			bool both = a != b && from[a][b] && from[b][a];

			cyclic = cyclic || both;
			if (a != b)
				assert_int_equal(both, of[a] != 0 && of[a] == of[b]);
		}
		assert_int_equal(cyclic, of[a] != 0);
	}
	free(found.first);
	free(found.members);
}

/* A node dominates another if the other is not reached without it; the nearest that does is
 * dominated by all the rest. */
static void check_dominators(const struct gyre__graph *g)
{
	uint32_t idom[NODES];
	uint64_t bytes[NODES], objects[NODES], plain_bytes, plain_objects;
	unsigned char all[NODES], without[NODES][NODES];

	plain_reach(g, GYRE__NO_NODE, GYRE__NO_NODE, UINT64_MAX, all);
	for (uint32_t n = 0; n < g->nodes; n++)
		plain_reach(g, GYRE__NO_NODE, n, UINT64_MAX, without[n]);
	assert_true(gyre__graph_dominators(g, idom, bytes, objects));
	for (uint32_t n = 0; n < g->nodes; n++) {
		uint32_t nearest = GYRE__NO_NODE;

		plain_bytes = plain_objects = 0;
		for (uint32_t d = 0; d < g->nodes; d++) {
			if (all[d] && !without[n][d]) {
				plain_objects++;
				plain_bytes += g->bytes[d];
			}
			if (d == n || !all[n] || !all[d] || without[d][n])
				continue;
			if (nearest == GYRE__NO_NODE || !without[nearest][d])
				nearest = d;
		}
		if (!all[n])
			continue;
		assert_int_equal(objects[n], plain_objects);
		assert_int_equal(bytes[n], plain_bytes);
		assert_int_equal(idom[n], nearest);
	}
}

static void check_there_and_back(const struct gyre__graph *g)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	struct gyre__graph h;
	char path[64], error[256] = "";

	assert_true(fd >= 0);
	assert_int_equal(gyre__graph_write(g, fd), GYRE_OK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!gyre__graph_load(&h, path, error, sizeof(error)))
		fail_msg("%s", error);
	close(fd);
	assert_int_equal(h.nodes, g->nodes);
	assert_int_equal(h.edges, g->edges);
	assert_int_equal(h.roots_count, g->roots_count);
	assert_memory_equal(h.type, g->type, g->nodes * sizeof(*g->type));
	assert_memory_equal(h.bytes, g->bytes, g->nodes * sizeof(*g->bytes));
	assert_memory_equal(h.first, g->first, (g->nodes + 1) * sizeof(*g->first));
	if (g->edges > 0)
		assert_memory_equal(h.to, g->to, g->edges * sizeof(*g->to));
	assert_memory_equal(h.address, g->address, g->nodes * sizeof(*g->address));
	assert_memory_equal(h.counts, g->counts, g->nodes * sizeof(*g->counts));
	assert_memory_equal(h.site, g->site, g->nodes * sizeof(*g->site));
	for (size_t i = 0; i < g->roots_count; i++) {
		assert_int_equal(h.roots[i].node, g->roots[i].node);
		assert_int_equal(h.roots[i].holder, g->roots[i].holder);
		assert_int_equal(h.roots[i].name, g->roots[i].name);
		assert_int_equal(h.roots[i].address, g->roots[i].address);
	}
	/* No end of a line in a name, and no name without a byte. */
	assert_string_equal(h.type_names[0], "a b");
	assert_string_equal(h.site_names[0], "file.c:1");
	assert_string_equal(h.names[0], "?");
	gyre__graph_destroy(&h);
}

static void test_random(void **state)
{
	struct gyre__graph g;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		make_random(&g);
		check_reach(&g);
		check_paths(&g);
		check_reverse(&g);
		check_components(&g);
		check_dominators(&g);
		if (i < 300)
			check_there_and_back(&g);
		gyre__graph_destroy(&g);
	}
}

/* One list of a million nodes, which its end closes to a ring if closed. */
static void make_long(struct gyre__graph *g, bool closed)
{
	allocate(g, LONG, closed ? LONG : LONG - 1, 1);
	for (uint32_t i = 0; i < LONG; i++) {
		g->first[i] = i;
		g->bytes[i] = 1;
		if (i < g->edges)
			g->to[i] = (i + 1) % LONG;
	}
	g->first[LONG] = g->edges;
	g->roots[0] = (struct gyre__graph_root){ .node = 0, .name = UINT32_MAX };
}

static void check_long(bool closed)
{
	uint32_t *idom = calloc(LONG, sizeof(*idom)), *path = calloc(LONG, sizeof(*path));
	uint64_t *bytes = calloc(LONG, sizeof(*bytes)), *objects = calloc(LONG, sizeof(*objects));
	unsigned char *seen = calloc(LONG, 1);
	struct gyre__components found;
	struct gyre__graph g;
	size_t length, root;

	make_long(&g, closed);
	assert_true(gyre__graph_reach(&g, LONG / 2, seen));
	assert_true(seen[LONG / 2] && !seen[LONG / 2 + 1]);
	assert_true(gyre__graph_path(&g, LONG - 1, path, &length, &root));
	assert_int_equal(length, LONG);
	assert_true(gyre__graph_components(&g, &found));
	assert_int_equal(found.count, closed);
	assert_int_equal(found.first[found.count], closed ? LONG : 0);
	assert_true(gyre__graph_dominators(&g, idom, bytes, objects));
	assert_int_equal(idom[LONG - 1], LONG - 2);
	assert_int_equal(idom[0], GYRE__NO_NODE);
	assert_int_equal(bytes[1], LONG - 1);
	assert_int_equal(objects[0], LONG);
	free(found.first);
	free(found.members);
	free(idom);
	free(path);
	free(bytes);
	free(objects);
	free(seen);
	gyre__graph_destroy(&g);
}

static void test_long_list(void **state)
{
	(void)state;
	check_long(false);
	check_long(true);
}

/* A list linked in both directions and held by both its ends, as a cache keeps its order: every
 * node can be reached from either side, so none keeps another alive. What walks the list again for
 * each of its nodes would not end here. */
static void test_two_ended_list(void **state)
{
	uint32_t *idom = calloc(LONG, sizeof(*idom));
	uint64_t *bytes = calloc(LONG, sizeof(*bytes)), *objects = calloc(LONG, sizeof(*objects));
	struct gyre__graph g;

	(void)state;
	allocate(&g, LONG, 2 * (LONG - 1), 2);
	g.edges = 0;
	for (uint32_t i = 0; i < LONG; i++) {
		g.first[i] = g.edges;
		g.bytes[i] = UINT64_MAX / LONG * 2; /* half of them is too much for a sum */
		if (i + 1 < LONG)
			g.to[g.edges++] = i + 1;
		if (i > 0)
			g.to[g.edges++] = i - 1;
	}
	g.first[LONG] = g.edges;
	g.roots[0] = (struct gyre__graph_root){ .node = 0, .name = UINT32_MAX };
	g.roots[1] = (struct gyre__graph_root){ .node = LONG - 1, .name = UINT32_MAX };
	assert_true(gyre__graph_dominators(&g, idom, bytes, objects));
	for (uint32_t i = 0; i < LONG; i++) {
		assert_int_equal(idom[i], GYRE__NO_NODE);
		assert_int_equal(objects[i], 1);
		assert_true(bytes[i] == g.bytes[i]);
	}
	g.roots_count = 1;
	assert_true(gyre__graph_dominators(&g, idom, bytes, objects));
	assert_int_equal(idom[LONG - 1], LONG - 2);
	assert_int_equal(objects[1], LONG - 1);
	assert_true(bytes[1] == UINT64_MAX);
	free(idom);
	free(bytes);
	free(objects);
	gyre__graph_destroy(&g);
}

/* One of the calls that take memory; a file for the last. */
static bool call(int which, const struct gyre__graph *g, const char *path, int *nothing)
{
	uint32_t idom[NODES], list[NODES];
	uint64_t bytes[NODES], objects[NODES];
	unsigned char seen[NODES];
	struct gyre__graph_reverse back = { NULL, NULL };
	struct gyre__components found = { 0, NULL, NULL };
	struct gyre__graph loaded;
	size_t length, root;
	char error[256];
	bool good = false;

	switch (which) {
	case 0:
		return gyre__graph_reach(g, UINT64_MAX, seen);
	case 1:
		return gyre__graph_path(g, 0, list, &length, &root);
	case 2:
		good = gyre__graph_reverse(g, &back);
		break;
	case 3:
		good = gyre__graph_components(g, &found);
		break;
	case 4:
		return gyre__graph_dominators(g, idom, bytes, objects);
	default:
		good = gyre__graph_load(&loaded, path, error, sizeof(error));
		if (!good)
			*nothing += loaded.nodes == 0 && strstr(error, "no memory") != NULL;
		gyre__graph_destroy(&loaded);
		return good;
	}
	if (good) {
		free(back.first);
		free(back.from);
		free(found.first);
		free(found.members);
	}
	return good;
}

/* Each call fails as long as one of what it asks for is refused, and then does not. */
static void test_refused_memory(void **state)
{
	int fd = memfd_create("dump", MFD_CLOEXEC), failures, nothing;
	struct gyre__graph g;
	char path[64];

	(void)state;
	allocate(&g, 3, 4, 1);
	for (uint32_t i = 0; i < 4; i++) {
		g.first[i] = i;
		g.to[i] = (i + 1) % 3;
	}
	g.first[3] = 4;
	assert_int_equal(gyre__graph_write(&g, fd), GYRE_OK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int which = 0; which < 6; which++) {
		bool good = false;

		nothing = 0;
		for (failures = -1; !good; failures++) {
			refuse_at = failures + 2;
			good = call(which, &g, path, &nothing);
		}
		refuse_at = 0;
		assert_true(failures >= 1 && failures < 100);
		if (which == 5)
			assert_int_equal(nothing, failures);
	}
	close(fd);
	gyre__graph_destroy(&g);
}

static void test_write_refused(void **state)
{
	struct gyre__graph g;
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	make_random(&g);
	assert_int_equal(gyre__graph_write(&g, -1), GYRE_LIMIT);
	if (full != NULL) {
		assert_int_equal(gyre__graph_write(&g, fileno(full)), GYRE_LIMIT);
		fclose(full);
	}
	gyre__graph_destroy(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),         cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_two_ended_list), cmocka_unit_test(test_refused_memory),
		cmocka_unit_test(test_write_refused),
	};
	const char *given = getenv("GYRE_TEST_SEED");

	seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	print_message("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
