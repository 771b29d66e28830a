/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn.h: mutator threads that change a graph at random and know what it must look like, for tests
 * in which something goes wrong around them.
 *
 * Each thread has a table of nodes behind a root, and the nodes refer to each other, with cycles;
 * beside it a shadow of who refers to whom, by number. Whatever a thread meets is compared with the
 * shadow; at the end the heap must hold exactly what the shadows reach. Calls may be refused at
 * limits (NULL, GYRE_NO_MEMORY, GYRE_JOURNAL_FULL): such a step has not happened.
 *
 * Invariant: a table and its shadow belong to one thread, and to the main thread once it is joined.
 * Everything random comes from the seed, which GYRE_SEED in the environment sets.
 */
#ifndef GYRE_TESTS_CHURN_H
#define GYRE_TESTS_CHURN_H

#include "../support.h"

enum { CHURN_TABLE = 48, CHURN_NODES = 1 << 18 };

struct churn {
	struct world *w;
	struct gyre_mutator *m;
	struct gyre_root table;
	uint64_t random, steps, refused;
	uint32_t nodes; /* made so far; their numbers begin at 1, and 0 stands for NULL */
	uint32_t held[CHURN_TABLE];
	uint32_t left[CHURN_NODES], right[CHURN_NODES];
	bool reached[CHURN_NODES];
	uint32_t stack[CHURN_NODES];
};

static inline uint64_t churn_seed(void)
{
	const char *text = getenv("GYRE_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 0x5eed;

	fprintf(stderr, "GYRE_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline uint32_t churn_random(struct churn *c, uint32_t below)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (uint32_t)(c->random >> 32) % below;
}

static inline bool churn_done(struct churn *c, enum gyre_status status)
{
	if (status == GYRE_OK)
		return true;
	expect(status == GYRE_NO_MEMORY || status == GYRE_JOURNAL_FULL);
	c->refused++;
	return false;
}

static inline gyre_ref *churn_slot(struct churn *c, uint32_t i)
{
	return &((struct refs *)gyre_load(&c->table.slot))->items[i];
}

/* The node in place i of the table, which must be the one that the shadow says. */
static inline struct node *churn_at(struct churn *c, uint32_t i)
{
	struct node *n = gyre_load(churn_slot(c, i));

	expect(c->held[i] == 0 ? n == NULL : node_is(n, c->held[i]));
	return n;
}

/* Attaches the calling thread; random says what it will do. */
static inline struct churn *churn_begin(struct world *w, uint64_t random)
{
	struct churn *c = calloc(1, sizeof(*c));
	struct refs *table;

	expect(c != NULL);
	c->w = w;
	c->random = random * UINT64_C(0x9e3779b97f4a7c15) | 1;
	expect_ok(gyre_attach(w->heap, 0, &c->m));
	table = gyre_new_array(c->m, w->refs, CHURN_TABLE);
	expect(table != NULL);
	expect_ok(gyre_root_init(c->m, &c->table, table));
	return c;
}

static inline void churn_new(struct churn *c)
{
	uint32_t from = churn_random(c, CHURN_TABLE), to = churn_random(c, CHURN_TABLE);
	uint32_t id = c->nodes + 1;
	struct node *n = id < CHURN_NODES ? gyre_new(c->m, c->w->node) : NULL;

	if (n == NULL) {
		c->refused++;
		return;
	}
	expect(n->id == 0 && n->canary == 0);
	n->id = id;
	n->canary = canary_of(id);
	if (!churn_done(c, gyre_init(c->m, &n->left, churn_at(c, from))) ||
	    !churn_done(c, gyre_store(c->m, churn_slot(c, to), n)))
		return;
	c->nodes = id;
	c->left[id] = c->held[from];
	c->held[to] = id;
}

/* A node of the table refers to another, or to nothing, from now on. */
static inline void churn_link(struct churn *c)
{
	uint32_t at = churn_random(c, CHURN_TABLE), to = churn_random(c, CHURN_TABLE);
	bool cut = churn_random(c, 4) == 0, left = churn_random(c, 2) == 0;
	struct node *n = churn_at(c, at), *value = cut ? NULL : churn_at(c, to);
	uint32_t *shadow;
	gyre_ref *slot;
	void *old;

	if (n == NULL)
		return;
	slot = left ? &n->left : &n->right;
	shadow = left ? &c->left[n->id] : &c->right[n->id];
	old = gyre_load(slot);
	expect(*shadow == 0 ? old == NULL : node_is(old, *shadow));
	if (!churn_done(c, churn_random(c, 2) ? gyre_store(c->m, slot, value) :
						gyre_compare_exchange(c->m, slot, &old, value)))
		return;
	*shadow = value ? (uint32_t)value->id : 0;
}

static inline void churn_drop(struct churn *c)
{
	uint32_t at = churn_random(c, CHURN_TABLE);
	void *old;

	if (!churn_done(c, gyre_exchange(c->m, churn_slot(c, at), NULL, &old)))
		return;
	expect(c->held[at] == 0 ? old == NULL : node_is(old, c->held[at]));
	c->held[at] = 0;
}

static inline void churn_walk(struct churn *c)
{
	const struct node *n = churn_at(c, churn_random(c, CHURN_TABLE));

	for (int i = 0; n != NULL && i < 16; i++) {
		bool left = churn_random(c, 2) == 0;
		uint32_t id = left ? c->left[n->id] : c->right[n->id];

		n = gyre_load(left ? &n->left : &n->right);
		expect(id == 0 ? n == NULL : node_is(n, id));
	}
}

static inline void churn_step(struct churn *c)
{
	switch (churn_random(c, 8)) {
	case 0:
	case 1:
	case 2:
		churn_new(c);
		break;
	case 3:
	case 4:
		churn_link(c);
		break;
	case 5:
		churn_drop(c);
		break;
	default:
		churn_walk(c);
	}
	if (++c->steps % 16 == 0)
		gyre_safepoint(c->m);
}

/* The thread leaves; its table stays behind its root. */
static inline void churn_leave(struct churn *c)
{
	expect_ok(gyre_detach(c->m));
}

static inline void churn_reach(struct churn *c, uint32_t id, size_t *top)
{
	if (id == 0 || c->reached[id])
		return;
	c->reached[id] = true;
	c->stack[(*top)++] = id;
}

/* The objects that must be alive: the table, and what the shadow reaches. */
static inline uint64_t churn_alive(struct churn *c)
{
	uint64_t alive = 1;
	size_t top = 0;

	memset(c->reached, 0, sizeof(c->reached));
	for (uint32_t i = 0; i < CHURN_TABLE; i++)
		churn_reach(c, c->held[i], &top);
	while (top > 0) {
		uint32_t id = c->stack[--top];

		alive++;
		churn_reach(c, c->left[id], &top);
		churn_reach(c, c->right[id], &top);
	}
	return alive;
}

/* The main thread judges the heap by the shadows of all, drops them, and frees them. */
static inline void churn_judge(struct world *w, struct churn **all, size_t count)
{
	uint64_t alive = 0;

	for (size_t i = 0; i < count; i++)
		alive += churn_alive(all[i]);
	expect_live(w->m, alive);
	for (size_t i = 0; i < count; i++) {
		for (uint32_t at = 0; at < CHURN_TABLE; at++)
			churn_at(all[i], at);
		expect_ok(gyre_root_drop(w->m, &all[i]->table));
		free(all[i]);
	}
	expect_live(w->m, 0);
}

#endif
