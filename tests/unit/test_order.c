/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_order.c: the order of finalizers: each graph of up to 4 objects, and random ones of many,
 * against reachability by Warshall's algorithm: if a reaches b, and b does not reach a, then a
 * comes before b; each wanted member is there once, and nothing else. The collector is held. Main
 * thread only.
 */
#include "held.h"

#include "edge.h"

enum { MOST = 96, EXHAUSTIVE = 4 };

struct graph {
	struct world *w;
	struct gyre__collector *c;
	struct gyre_root root;
	unsigned count; /* of members; of those beyond each refers to a member, and some to them */
	struct refs *objects[MOST];
	bool edge[MOST][MOST], reaches[MOST][MOST], wanted[MOST];
};

static struct graph *now;

static unsigned number_of(const void *object)
{
	for (unsigned i = 0; i < MOST; i++)
		if (now->objects[i] == object)
			return i;
	return MOST;
}

static bool is_wanted(const void *object)
{
	return now->wanted[number_of(object)];
}

/* Objects with a slot for each other, all held by a root. */
static void make(struct graph *g, struct world *w)
{
	struct refs *all = refs_new(w, w->m, MOST);

	g->w = w;
	expect_ok(gyre_root_init(w->m, &g->root, all));
	for (unsigned i = 0; i < MOST; i++) {
		g->objects[i] = refs_new(w, w->m, MOST);
		expect_ok(gyre_init(w->m, &all->items[i], g->objects[i]));
	}
	g->c = held_begin(w);
	now = g;
}

static void end(struct graph *g)
{
	for (unsigned i = 0; i < MOST; i++)
		for (unsigned k = 0; k < MOST; k++)
			held_store(&g->objects[i]->items[k], NULL);
	g->c->members.count = 0;
	held_end(g->w);
	expect_live(g->w->m, MOST + 1);
	expect_ok(gyre_root_drop(g->w->m, &g->root));
	expect_live(g->w->m, 0);
}

static void set_edge(struct graph *g, unsigned from, unsigned to, bool there)
{
	g->edge[from][to] = there;
	held_store(&g->objects[from]->items[to], there ? g->objects[to] : NULL);
}

static void close_over(struct graph *g)
{
	unsigned n = g->count;

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n; k++)
			g->reaches[i][k] = g->edge[i][k];
	for (unsigned by = 0; by < n; by++)
		for (unsigned i = 0; i < n; i++)
			for (unsigned k = 0; g->reaches[i][by] && k < n; k++)
				g->reaches[i][k] = g->reaches[i][k] || g->reaches[by][k];
}

/* The members RED, as a verdict leaves them; in the order of their numbers, after a few others. */
static struct gyre__set members_of(struct graph *g, size_t before)
{
	struct gyre__vector *members = &g->c->members;

	expect(gyre__vector_reserve(members, before + g->count));
	for (size_t i = 0; i < before; i++)
		members->items[i] = gyre_load(&g->root.slot);
	for (unsigned i = 0; i < g->count; i++) {
		members->items[before + i] = g->objects[i];
		*gyre__word_of(g->objects[i]) |= GYRE_RED;
	}
	members->count = before + g->count;
	return (struct gyre__set){ .from = before, .count = g->count };
}

static void check(struct graph *g)
{
	struct gyre__set set = members_of(g, g->count % 3);
	void *objects[MOST + 1];
	bool there[MOST] = { false };
	size_t count = 0;

	for (unsigned i = 0; i < g->count; i++)
		count += g->wanted[i];
	objects[count] = g;
	expect(gyre__order_owners(g->c, &set, is_wanted, objects, count));
	expect(objects[count] == g);
	close_over(g);
	for (size_t at = 0; at < count; at++) {
		unsigned i = number_of(objects[at]);

		expect(i < g->count && g->wanted[i] && !there[i]);
		there[i] = true;
		for (size_t later = at + 1; later < count; later++) {
			unsigned k = number_of(objects[later]);

			expect(!g->reaches[k][i] || g->reaches[i][k]);
		}
	}
	expect_equal(g->c->stack.count, 0);
	for (unsigned i = 0; i < g->count; i++) {
		uint64_t *word = gyre__word_of(g->objects[i]);

		expect(gyre__is_red(*word));
		expect_equal(gyre__rc(*word), 1);
		*word = *word & (GYRE_CRC_ONE - 1) & ~GYRE_TRACE;
	}
}

/* All graphs, self references included, of up to 4 objects; all wanted, and one or two not. */
static void every_small_graph(void **state)
{
	static struct graph g;
	unsigned long graphs = 0;

	make(&g, *state);
	for (g.count = 1; g.count <= EXHAUSTIVE; g.count++) {
		unsigned pairs = g.count * g.count;

		for (uint32_t edges = 0; edges < UINT32_C(1) << pairs; edges++) {
			for (unsigned i = 0; i < pairs; i++)
				set_edge(&g, i / g.count, i % g.count, edges >> i & 1);
			for (unsigned i = 0; i < g.count; i++)
				g.wanted[i] = true;
			check(&g);
			g.wanted[edges % g.count] = false;
			check(&g);
			g.wanted[edges / 5 % g.count] = false;
			check(&g);
			graphs++;
		}
		for (unsigned i = 0; i < pairs; i++)
			set_edge(&g, i / g.count, i % g.count, false);
	}
	expect_equal(graphs, 2 + 16 + 512 + 65536);
	end(&g);
}

static uint64_t state_of_random = 0x0123456789abcdef;

static unsigned random_below(unsigned below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return (unsigned)(state_of_random >> 33) % below;
}

/* From a few edges to several an object, so with no cycles, some, and one that is nearly all. And
 * edges from members to what is none, and back. */
static void random_graphs(void **state)
{
	static struct graph g;

	make(&g, *state);
	for (unsigned round = 0; round < (SUPPORT_SLOW ? 100 : 600); round++) {
		unsigned outside = random_below(8), edges;

		g.count = 5 + random_below(MOST - 5 - outside);
		for (unsigned i = 0; i < MOST; i++) {
			g.wanted[i] = random_below(4) != 0 || round % 3 == 0;
			for (unsigned k = 0; k < MOST; k++)
				if (g.edge[i][k])
					set_edge(&g, i, k, false);
		}
		edges = g.count / 2 + random_below(2 * g.count);
		for (unsigned i = 0; i < edges; i++)
			set_edge(&g, random_below(g.count + outside),
				 random_below(g.count + outside), true);
		check(&g);
	}
	end(&g);
}

/* A path as long as may be, met from its end, from its middle, and closed to a ring. */
static void long_paths(void **state)
{
	static struct graph g;

	make(&g, *state);
	g.count = MOST;
	memset(g.wanted, true, sizeof(g.wanted));
	for (unsigned start = 0; start < 3; start++) {
		for (unsigned i = 0; i + 1 < MOST; i++) {
			unsigned from = start == 1 ? MOST - 1 - i : (i + start * 40) % MOST;
			unsigned to = start == 1 ? MOST - 2 - i : (i + 1 + start * 40) % MOST;

			set_edge(&g, from, to, true);
		}
		check(&g);
		if (start < 2)
			for (unsigned i = 0; i < MOST; i++)
				for (unsigned k = 0; k < MOST; k++)
					set_edge(&g, i, k, false);
	}
	for (unsigned i = 0; i < MOST; i++)
		set_edge(&g, i, (i + 1) % MOST, true);
	check(&g);
	end(&g);
}

/* The search has no room for its path: no order, and the members are as they were. */
static void without_room(void **state)
{
	static struct graph g;

	make(&g, *state);
	g.count = 3;
	memset(g.wanted, true, sizeof(g.wanted));
	set_edge(&g, 0, 1, true);
	set_edge(&g, 1, 2, true);
	for (size_t room = 0; room < 3; room++) {
		struct gyre__set set = members_of(&g, 0);
		void *objects[MOST];
		struct gyre__vector stack = held_cramp(&g.c->stack, room);

		expect(!gyre__order_owners(g.c, &set, is_wanted, objects, g.count));
		expect_equal(g.c->stack.count, 0);
		g.c->stack = stack;
		check(&g);
	}
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(every_small_graph),
		world_test(random_graphs),
		world_test(long_paths),
		world_test(without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
