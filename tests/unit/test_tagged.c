/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tagged.c: the engine tagged with one mutator: which slots carry which tag, what a slot's
 * first write of an epoch journals, newborns that are counted and those that are not, and what the
 * collector does without memory for its lists of them. The main thread is the mutator; cycles are
 * done one at a time (turn.h).
 */
#include "turn.h"

static void slots_are_journalled_once_an_epoch(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_mutator *m = w->m;
	struct gyre_root root;
	struct node *n = turn_rooted(w, &root, 1);
	struct gyre__collector *c = turn_hold(w);
	void *old, *expected = n;
	uint64_t entries;

	expect_equal(tag_of(&n->left), 0);
	expect_equal(entries_of(m), 0);
	expect_ok(gyre_store(m, &n->left, n));
	expect_equal(entries_of(m), 1);
	expect_equal(tag_of(&n->left), m->tag);
	expect(gyre_load(&n->left) == n);
	expect_equal(m->slots.at[-2], (uintptr_t)&n->left);
	expect_equal(m->slots.at[-1], 0);
	expect_ok(gyre_store(m, &n->left, NULL));
	expect_ok(gyre_store_exclusive(m, &n->left, n));
	expect_ok(gyre_compare_exchange(m, &n->left, &expected, NULL));
	expect_ok(gyre_exchange(m, &n->left, n, &old));
	expect(old == NULL);
	expect_ok(gyre_array_fill(m, &n->left, 1, n));
	expect_equal(entries_of(m), 1);
	/* A comparison that fails writes nothing. */
	expect_status(gyre_compare_exchange(m, &n->right, &expected, n), GYRE_CHANGED);
	expect(expected == NULL);
	expect_equal(tag_of(&n->right), 0);
	expect_ok(gyre_store_exclusive(m, &n->right, n));
	expect_equal(entries_of(m), 2);
	entries = gyre__counter_get(&c->heap->counted.journal_entries);
	turn_whole(w);
	expect_equal(gyre__counter_get(&c->heap->counted.journal_entries), entries + 2);
	expect_equal(tag_of(&n->left) | tag_of(&n->right), 0);
	expect_equal(count_of(n), 3);
	/* The next epoch journals it anew, with what it held at this one's end. */
	expect_ok(gyre_store(m, &n->left, NULL));
	expect_equal(entries_of(m), 1);
	expect_equal(m->slots.at[-1], (uintptr_t)n);
	turn_whole(w);
	expect_equal(count_of(n), 2);
	turn_let_go(w);
	expect_ok(gyre_root_drop(m, &root));
	expect_live(m, 0);
}

static void visit_two(const void *object, size_t size, gyre_visit_fn visit, void *arg)
{
	const struct node *n = (const struct node *)object;

	(void)size;
	visit(arg, &n->left);
	visit(arg, &n->right);
}

/* Nodes whose slots only a callback knows. */
static const struct gyre_type *register_traced(struct world *w)
{
	struct gyre_type_desc desc = { .size = sizeof(desc),
				       .name = "traced",
				       .object_bytes = sizeof(struct node),
				       .object_align = 8,
				       .trace = visit_two };
	const struct gyre_type *traced;

	expect_ok(gyre_type_register(w->heap, &desc, &traced));
	return traced;
}

/* All slots that a cell has room for, not only those that were asked for. */
static void slots_are_born_tagged(void **state)
{
	struct world *w = (struct world *)*state;
	const struct gyre_type *traced = register_traced(w);
	struct refs *r, *large;
	struct node *n, *t;
	size_t slots;

	turn_hold(w);
	n = node_new(w, w->m, 1);
	expect_equal(atomic_load(&n->left.word), w->m->tag);
	expect_equal(atomic_load(&n->right.word), w->m->tag);
	for (size_t length = 0; length < 200; length += 3) {
		r = refs_new(w, w->m, length);
		slots = (gyre__cell_bytes(gyre__slab_of(r)) - sizeof(*r)) / sizeof(r->items[0]);
		expect(slots >= length);
		for (size_t i = 0; i < slots; i++)
			expect_equal(atomic_load(&r->items[i].word), w->m->tag);
		if (length > 0) {
			expect_ok(gyre_init(w->m, &r->items[length - 1], n));
			expect(gyre_load(&r->items[length - 1]) == n);
		}
	}
	expect_equal(entries_of(w->m), 0); /* nothing is journalled for a newborn */
	/* What only a callback knows, and large objects, are born clean. */
	t = (struct node *)gyre_new(w->m, traced);
	large = refs_new(w, w->m, 5000);
	expect_equal(atomic_load(&t->left.word) | atomic_load(&large->items[0].word), 0);
	expect_ok(gyre_store(w->m, &t->left, n));
	expect_ok(gyre_store(w->m, &large->items[4999], n));
	expect_equal(entries_of(w->m), 2);
	turn_let_go(w);
	expect_live(w->m, 0);
}

/* Their entries are dropped, as the scan of a newborn reads all its slots. */
static void newborns_with_entries_are_counted_once(void **state)
{
	struct world *w = (struct world *)*state;
	const struct gyre_type *traced = register_traced(w);
	struct gyre_root roots[2];
	struct node *n, *t, *lost;
	struct refs *large;

	turn_hold(w);
	n = node_new(w, w->m, 1);
	t = (struct node *)gyre_new(w->m, traced);
	lost = (struct node *)gyre_new(w->m, traced);
	large = refs_new(w, w->m, 5000);
	expect_ok(gyre_root_init(w->m, &roots[0], t));
	expect_ok(gyre_root_init(w->m, &roots[1], large));
	expect_ok(gyre_store(w->m, &t->right, n));
	expect_ok(gyre_store(w->m, &lost->right, n));
	for (size_t i = 0; i < 10; i++)
		expect_ok(gyre_store(w->m, &large->items[500 * i], n));
	expect_equal(entries_of(w->m), 12);
	turn_whole(w);
	expect_equal(count_of(n), 11);
	expect_equal(held_word(lost), 0);
	expect_equal(tag_of(&t->right) | tag_of(&large->items[500]), 0);
	turn_whole(w);
	expect_equal(count_of(n), 11);
	turn_let_go(w);
	expect_live(w->m, 3);
	expect_ok(gyre_root_drop(w->m, &roots[0]));
	expect_ok(gyre_root_drop(w->m, &roots[1]));
	expect_live(w->m, 0);
}

static void roots_stay_outside(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_mutator *m = w->m;
	struct gyre_root a, b;
	struct node *n, *k;
	void *old, *expected;

	turn_hold(w);
	n = turn_rooted(w, &a, 1);
	k = node_new(w, m, 2);
	expect_equal(atomic_load(&a.slot.word), (uintptr_t)n | GYRE_TAG_OUTSIDE);
	expect_ok(gyre_exchange(m, &a.slot, k, &old));
	expect(old == n);
	expected = k;
	expect_ok(gyre_compare_exchange(m, &a.slot, &expected, n));
	expect_ok(gyre_store_exclusive(m, &a.slot, k));
	expect_ok(gyre_array_fill(m, &a.slot, 1, n));
	expect_equal(atomic_load(&a.slot.word), (uintptr_t)n | GYRE_TAG_OUTSIDE);
	/* The tag is no part of what is copied. */
	expect_ok(gyre_array_copy(m, &k->left, &a.slot, 1));
	expect_equal(atomic_load(&k->left.word), (uintptr_t)n | m->tag);
	expect_ok(gyre_array_copy(m, &a.slot, &k->left, 1));
	expect_equal(entries_of(m), 0);
	expect_ok(gyre_root_move(m, &b, &a));
	expect_equal(atomic_load(&b.slot.word), (uintptr_t)n | GYRE_TAG_OUTSIDE);
	expect_equal(atomic_load(&a.slot.word), GYRE_TAG_OUTSIDE);
	expect(gyre_load(&a.slot) == NULL);
	turn_whole(w);
	turn_whole(w);
	expect_equal(count_of(n), 1);
	expect_equal(atomic_load(&b.slot.word), (uintptr_t)n | GYRE_TAG_OUTSIDE);
	expect_ok(gyre_root_drop(m, &b));
	expect_equal(atomic_load(&b.slot.word), GYRE_TAG_OUTSIDE);
	turn_let_go(w);
	expect_live(m, 0);
}

/* Cells that were made ready before the switch carry the next epoch's tag after it. */
static void ready_cells_are_tagged_anew(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root root;
	struct refs *keep;
	struct node *before, *after;
	struct turn t;

	turn_hold(w);
	keep = refs_new(w, w->m, 2000);
	expect_ok(gyre_root_init(w->m, &root, keep));
	for (size_t i = 0; i < 40; i++) {
		uintptr_t tag = w->m->tag;

		before = node_new(w, w->m, 2 * i);
		expect_equal(atomic_load(&before->left.word), tag);
		expect_ok(gyre_store(w->m, &keep->items[2 * i], before));
		turn_switch(&t, w);
		expect_equal(w->m->tag, gyre__next_tag(tag));
		after = node_new(w, w->m, 2 * i + 1);
		expect_equal(atomic_load(&after->left.word), w->m->tag);
		expect_equal(atomic_load(&after->right.word), w->m->tag);
		expect_ok(gyre_init(w->m, &after->left, after));
		expect_ok(gyre_store(w->m, &keep->items[2 * i + 1], after));
		turn_end(&t);
	}
	for (size_t i = 0; i < 80; i++)
		expect(node_is((struct node *)gyre_load(&keep->items[i]), i));
	turn_whole(w);
	for (size_t i = 0; i < 80; i++)
		expect_equal(count_of(gyre_load(&keep->items[i])), 1 + i % 2);
	turn_let_go(w);
	expect_live(w->m, 81);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

enum { NEWBORNS = 3000, SURVIVES = 7 };

/* No cell of a slab is young when an epoch has been processed. */
static void none_is_young(const void *object)
{
	const struct gyre__slab *slab = gyre__slab_of(object);

	for (size_t i = 0; i < gyre__bitmap_words(slab); i++)
		expect_equal(gyre__young(slab)[i], 0);
}

static void unreached_newborns_go_uncounted(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = turn_hold(w);
	struct gyre__collector_counters *counted = &w->heap->counted;
	uint64_t reclaimed, met, cycles = 0;
	struct node *n, *last = NULL;
	struct gyre_root root;
	struct refs *keep;

	keep = refs_new(w, w->m, NEWBORNS);
	expect_ok(gyre_root_init(w->m, &root, keep));
	turn_whole(w);
	for (int round = 0; round < 4; round++) {
		reclaimed = gyre__counter_get(&counted->objects_reclaimed);
		met = gyre__counter_get(&counted->newborns_counted);
		for (uint64_t i = 0; i < NEWBORNS; i++) {
			n = node_new(w, w->m, i);
			if (i % SURVIVES == 0) {
				expect_ok(gyre_store(w->m, &keep->items[i], n));
				continue;
			}
			/* Rings of garbage, and garbage that refers to what lives. */
			expect_ok(gyre_init(w->m, &n->left, last));
			expect_ok(gyre_init(w->m, &n->right,
					    i % 2 ? n : gyre_load(&keep->items[0])));
			last = n;
		}
		last = NULL;
		turn_whole(w);
		expect_equal(gyre__counter_get(&counted->newborns_counted) - met,
			     (NEWBORNS + SURVIVES - 1) / SURVIVES);
		/* At once; and from the second round on the survivors of the one before. */
		expect_equal(gyre__counter_get(&counted->objects_reclaimed) - reclaimed,
			     NEWBORNS - (round == 0 ? (NEWBORNS + SURVIVES - 1) / SURVIVES : 0));
		for (uint64_t i = 0; i < NEWBORNS; i += SURVIVES) {
			n = (struct node *)gyre_load(&keep->items[i]);
			expect(node_is(n, i));
			expect_equal(count_of(n), 1);
			none_is_young(n);
			cycles++;
		}
	}
	expect(cycles > 0 && c->tagged.early.count == 0);
	turn_let_go(w);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* A tree of count nodes, node i below node (i - 1) / 2. */
static void make_tree(struct world *w, struct gyre_root *root, size_t count)
{
	struct node **nodes = (struct node **)calloc(count, sizeof(*nodes));

	expect(nodes != NULL);
	for (size_t i = 0; i < count; i++) {
		nodes[i] = node_new(w, w->m, i);
		node_new(w, w->m, 7); /* garbage between them */
		if (i > 0)
			expect_ok(gyre_init(w->m,
					    i % 2 ? &nodes[(i - 1) / 2]->left :
						    &nodes[(i - 1) / 2]->right,
					    nodes[i]));
	}
	expect_ok(gyre_root_init(w->m, root, nodes[0]));
	free(nodes);
}

static uint64_t count_tree(const struct node *n)
{
	if (n == NULL)
		return 0;
	expect(node_sound(n));
	expect_equal(count_of(n), 1);
	expect_equal(held_word(n) & (GYRE_PENDING | GYRE_BORN), GYRE_BORN);
	return 1 + count_tree((struct node *)gyre_load(&n->left)) +
	       count_tree((struct node *)gyre_load(&n->right));
}

/* Newborns that are reached, and the stack of them has room for few or none. */
static void reached_without_a_stack(void **state)
{
	struct world *w = (struct world *)*state;

	for (size_t room = 0; room <= HELD_PLACES; room += 2) {
		struct gyre__collector *c = turn_hold(w);
		struct gyre__vector reached = held_cramp(&c->tagged.reached, room);
		struct gyre_root root;

		make_tree(w, &root, 300);
		turn_whole(w);
		expect(!c->tagged.reached_lost);
		expect_equal(count_tree((struct node *)gyre_load(&root.slot)), 300);
		c->tagged.reached = reached;
		turn_let_go(w);
		expect_live(w->m, 300);
		expect_ok(gyre_root_drop(w->m, &root));
		expect_live(w->m, 0);
	}
}

/* What a thread makes after its switch, and keeps, is counted before its epoch is processed. */
static void early_newborns(struct world *w, bool lost, bool kept)
{
	struct gyre__collector *c = turn_hold(w);
	struct gyre__vector early = c->tagged.early;
	struct node *a, *b;
	void *values[1];
	struct gyre_keep keep;
	struct turn t;

	if (lost)
		early = held_cramp(&c->tagged.early, 0);
	turn_switch(&t, w);
	a = node_new(w, w->m, 1);
	b = node_new(w, w->m, 2);
	expect_ok(gyre_init(w->m, &a->left, b));
	expect_ok(gyre_init(w->m, &b->left, a));
	values[0] = a;
	gyre_keep_open(w->m, &keep, values, 1);
	turn_end(&t);
	/* By the frame, and perhaps by the writes in the window; but not known to be born. */
	expect(count_of(a) >= 1 && !(held_word(a) & GYRE_BORN));
	expect(!(held_word(b) & GYRE_BORN));
	expect_equal(c->tagged.early_lost, lost);
	expect(lost ? c->tagged.early.count == 0 : c->tagged.early.count >= 1);
	if (!kept)
		values[0] = NULL;
	turn_whole(w);
	expect_equal(c->tagged.early.count, 0);
	expect(!c->tagged.early_lost);
	if (kept) {
		expect(held_word(a) & GYRE_BORN && held_word(b) & GYRE_BORN);
		expect(node_is(a, 1) && node_is(b, 2) && gyre_load(&a->left) == b);
		expect_equal(count_of(a), 2); /* the frame and b */
		expect_equal(count_of(b), 1);
	}
	if (lost)
		c->tagged.early = early;
	turn_let_go(w);
	expect_live(w->m, kept ? 2 : 0);
	gyre_keep_close(&keep);
	expect_live(w->m, 0);
}

static void early_newborns_are_reached(void **state)
{
	early_newborns((struct world *)*state, false, true);
	early_newborns((struct world *)*state, false, false);
}

static void early_newborns_without_a_list(void **state)
{
	early_newborns((struct world *)*state, true, true);
	early_newborns((struct world *)*state, true, false);
}

/* A journal of another mutator's, as far as a lookup sees it. */
struct late {
	struct gyre__collector *c;
	struct gyre__chunk chunk;
};

/* Shows the entry when the lookup has begun, and has had time to find nothing. */
static void *show_late(void *arg)
{
	struct late *late = (struct late *)arg;

	while (gyre__counter_get(&late->c->heap->counted.views_looked_up) == 0)
		sched_yield();
	gyre__pause_ns(10000000);
	atomic_store_explicit(&late->chunk.shown, 2, memory_order_release);
	return NULL;
}

static void a_lookup_waits_for_the_entry(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = turn_hold(w);
	struct late late = { .c = c };
	gyre_ref slot = { 0 };
	pthread_t thread;

	late.chunk.entries[0] = (uintptr_t)&slot | GYRE_ENTRY_EARLY;
	late.chunk.entries[1] = (uintptr_t)&late;
	atomic_store_explicit(&w->m->shown, &late.chunk, memory_order_release);
	gyre__view_begin(c);
	thread = thread_start(show_late, &late);
	expect(gyre__view_look_up(c, &slot) == (void *)&late);
	thread_join(thread);
	/* The slot was never in any object: what was found is of no epoch. */
	atomic_store_explicit(&w->m->shown, w->m->slots.open, memory_order_release);
	gyre__view_begin(c);
	turn_let_go(w);
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(slots_are_journalled_once_an_epoch),
		world_test(slots_are_born_tagged),
		world_test(newborns_with_entries_are_counted_once),
		world_test(roots_stay_outside),
		world_test(ready_cells_are_tagged_anew),
		world_test(unreached_newborns_go_uncounted),
		world_test(reached_without_a_stack),
		world_test(early_newborns_are_reached),
		world_test(early_newborns_without_a_list),
		world_test(a_lookup_waits_for_the_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
