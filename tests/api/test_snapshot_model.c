/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_snapshot_model.c: snapshots of random graphs beside a model of them that is searched in the
 * plainest way, by reachability alone: what is reachable, how far from a root, what goes without an
 * object or a reference, and what refers to itself.
 */
#include "support.h"

enum { NODES = 24, FAN = 5, GRAPHS = SUPPORT_SLOW ? 15 : 60 };

struct model {
	unsigned to[NODES][FAN], degree[NODES];
	bool rooted[NODES];
	struct refs *objects[NODES];
	uint64_t bytes[NODES];
	struct gyre_root roots[NODES];
	uint32_t nodes[NODES]; /* their numbers in the snapshot */
};

static uint64_t seed;

static unsigned draw(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

/* distance[i]: objects on a shortest path to i; 0: there is none. Without one object (NODES: with
 * all), and without its reference `edge` only if that is less than FAN. */
static void search(const struct model *g, unsigned from, const bool *starts, unsigned without,
		   unsigned edge, unsigned distance[NODES])
{
	unsigned queue[NODES], head = 0, tail = 0;

	memset(distance, 0, NODES * sizeof(*distance));
	for (unsigned i = 0; i < NODES; i++) {
		if ((starts ? !starts[i] : i != from) || (i == without && edge >= FAN))
			continue;
		distance[i] = 1;
		queue[tail++] = i;
	}
	for (; head < tail; head++) {
		unsigned i = queue[head];

		for (unsigned k = 0; k < g->degree[i]; k++) {
			unsigned to = g->to[i][k];

			if (distance[to] || (i == without && k == edge) ||
			    (to == without && edge >= FAN))
				continue;
			distance[to] = distance[i] + 1;
			queue[tail++] = to;
		}
	}
}

static void build(struct world *w, struct model *g, unsigned density)
{
	for (unsigned i = 0; i < NODES; i++) {
		g->objects[i] = refs_new(w, w->m, FAN);
		expect_ok(gyre_root_init(w->m, &g->roots[i], g->objects[i]));
		g->bytes[i] = gyre_object_bytes(g->objects[i]);
		g->degree[i] = draw(density + 1);
		g->rooted[i] = draw(8) == 0;
	}
	for (unsigned i = 0; i < NODES; i++) {
		for (unsigned k = 0; k < g->degree[i]; k++) {
			g->to[i][k] = draw(NODES);
			expect_ok(gyre_store(w->m, &g->objects[i]->items[k],
					     g->objects[g->to[i][k]]));
		}
	}
	world_collect(w->m);
	for (unsigned i = 0; i < NODES; i++)
		if (!g->rooted[i])
			expect_ok(gyre_root_drop(w->m, &g->roots[i]));
}

struct lost {
	uint64_t objects, bytes;
};

/* What is reachable, but not without an object, or one of its references. */
static struct lost lost(const struct model *g, unsigned without, unsigned edge)
{
	struct lost sum = { 0, 0 };
	unsigned with[NODES], left[NODES];

	search(g, 0, g->rooted, NODES, FAN, with);
	search(g, 0, g->rooted, without, edge, left);
	for (unsigned i = 0; i < NODES; i++) {
		if (!with[i] || left[i])
			continue;
		sum.objects++;
		sum.bytes += g->bytes[i];
	}
	return sum;
}

/* The objects may be gone from the heap, but what the snapshot says of them stays. */
static void check_object(struct gyre_snapshot *s, struct model *g, unsigned i, bool reachable,
			 unsigned distance)
{
	struct gyre_snapshot_object o = { .size = sizeof(o) };
	struct gyre_snapshot_holder holder;
	uint64_t objects, bytes;
	uint32_t path[NODES];
	size_t length = NODES;
	struct lost want;

	expect_ok(gyre_snapshot_object(s, g->nodes[i], &o));
	expect_equal(o.references, g->degree[i]);
	expect_ok(gyre_snapshot_path(s, g->nodes[i], path, &length, &holder));
	expect_equal(length, distance);
	if (reachable) {
		expect_equal(path[length - 1], g->nodes[i]);
		expect_equal(path[0], holder.node);
		expect_equal(holder.by, GYRE_HELD_BY_ROOT);
	}
	want = lost(g, i, FAN);
	expect_ok(gyre_snapshot_retained(s, g->nodes[i], GYRE_WHOLE_NODE, &objects, &bytes));
	expect_equal(objects, want.objects);
	expect_equal(bytes, want.bytes);
	for (unsigned k = 0; k < g->degree[i]; k++) {
		want = lost(g, i, k);
		expect_ok(gyre_snapshot_retained(s, g->nodes[i], k, &objects, &bytes));
		expect_equal(objects, want.objects);
		expect_equal(bytes, want.bytes);
	}
}

struct components {
	const struct model *g;
	unsigned component[NODES]; /* 0: in none */
	unsigned count;
	size_t last;
};

static unsigned number_of(const struct model *g, uint32_t node)
{
	for (unsigned i = 0; i < NODES; i++)
		if (g->nodes[i] == node)
			return i;
	expect(!"a node of the graph");
	return 0;
}

static bool add_component(void *arg, const uint32_t *members, size_t count)
{
	struct components *c = arg;

	expect(c->last == 0 || count <= c->last);
	c->last = count;
	c->count++;
	for (size_t k = 0; k < count; k++)
		c->component[number_of(c->g, members[k])] = c->count;
	return true;
}

/* Two are in one component if each reaches the other by a path that has an edge. */
static bool reaches(const struct model *g, unsigned from, unsigned to)
{
	unsigned distance[NODES];

	for (unsigned k = 0; k < g->degree[from]; k++) {
		search(g, g->to[from][k], NULL, NODES, FAN, distance);
		if (distance[to])
			return true;
	}
	return false;
}

static void check_components(struct gyre_snapshot *s, const struct model *g)
{
	struct components c = { .g = g };

	expect_ok(gyre_snapshot_cycles(s, add_component, &c));
	for (unsigned i = 0; i < NODES; i++) {
		for (unsigned k = 0; k < NODES; k++) {
			bool same = reaches(g, i, k) && reaches(g, k, i);

			if (g->nodes[i] == GYRE_NO_NODE || g->nodes[k] == GYRE_NO_NODE)
				continue;
			expect((c.component[i] != 0 && c.component[i] == c.component[k]) == same);
		}
	}
}

static void random_graphs_are_as_their_models(void **state)
{
	struct world *w = *state;
	static struct model g;

	for (unsigned n = 0; n < GRAPHS; n++) {
		struct gyre_snapshot *s = NULL;
		unsigned distance[NODES];

		seed = n;
		build(w, &g, 1 + n % FAN);
		expect_ok(gyre_snapshot_take(w->m, &s));
		search(&g, 0, g.rooted, NODES, FAN, distance);
		for (unsigned i = 0; i < NODES; i++) {
			g.nodes[i] = gyre_snapshot_find(s, g.objects[i]);
			/* Garbage is there still, or not. */
			expect(distance[i] == 0 || g.nodes[i] != GYRE_NO_NODE);
		}
		for (unsigned i = 0; i < NODES; i++)
			if (g.nodes[i] != GYRE_NO_NODE)
				check_object(s, &g, i, distance[i] > 0, distance[i]);
		check_components(s, &g);
		gyre_snapshot_free(s);
		for (unsigned i = 0; i < NODES; i++)
			if (g.rooted[i])
				expect_ok(gyre_root_drop(w->m, &g.roots[i]));
		world_collect(w->m);
	}
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(random_graphs_are_as_their_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
