/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_disagree.c: a heap that is broken in one way at a time, by hand while the collector stands
 * still, and what gyre_verify says of it. Each breach is mended again, so the teardown's
 * verification finds a sound heap. Main thread only.
 */
#include "held.h"

#include "platform/memory.h"

/* What is to be said, of which object, and how often anything was. */
struct complaint {
	const char *words;
	const void *object;
	unsigned calls, matching;
};

static void note(void *arg, const void *object, const char *text)
{
	struct complaint *c = (struct complaint *)arg;

	c->calls++;
	c->matching += object == c->object && strstr(text, c->words) != NULL;
}

/* One complaint with these words about object, and as many others as there are. */
static void expect_complaint(struct world *w, const void *object, const char *words,
			     uint64_t others)
{
	struct complaint c = { .words = words, .object = object };
	struct gyre_verify_report report = { .size = sizeof(report) };

	expect_status(gyre_verify(w->m, &report, note, &c), GYRE_DISAGREES);
	expect_equal(c.calls, report.disagreements);
	expect_equal(c.matching, 1);
	expect_equal(c.calls, 1 + others);
	/* Without anyone to tell, the answer is the same. */
	expect_status(gyre_verify(w->m, &report, NULL, NULL), GYRE_DISAGREES);
	expect_equal(report.disagreements, 1 + others);
	expect_status(gyre_verify(w->m, NULL, NULL, NULL), GYRE_DISAGREES);
}

static uint64_t set_word(struct world *w, uint64_t *at, uint64_t word)
{
	uint64_t before;

	held_begin(w);
	before = *at;
	*at = word;
	held_end(w);
	return before;
}

static struct node *rooted(struct world *w, struct gyre_root *root, uint64_t id)
{
	struct node *n = node_new(w, w->m, id);

	expect_ok(gyre_root_init(w->m, root, n));
	return n;
}

static void end(struct world *w, struct gyre_root *root)
{
	expect_ok(gyre_root_drop(w->m, root));
	expect_live(w->m, 0);
}

/* A type whose cells leave a rest of the slab behind the last one. */
struct odd {
	gyre_ref ref;
	char bulk[1000 - sizeof(gyre_ref)];
};

static void slots_that_refer_to_no_object(void **state)
{
	const struct gyre_type_desc desc =
		GYRE_TYPE(struct odd, GYRE_REFS(GYRE_REF(struct odd, ref)));
	struct world *w = (struct world *)*state;
	const struct gyre_type *type;
	struct gyre_root root, odd_root;
	struct node *n = rooted(w, &root, 1);
	struct gyre__arena *arena = gyre__arena_of(n);
	struct gyre__slab *slab;
	char *outside, *bad[6];
	struct odd *odd;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	odd = (struct odd *)gyre_new(w->m, type);
	expect(odd != NULL);
	expect_ok(gyre_root_init(w->m, &odd_root, odd));
	slab = gyre__slab_of(odd);
	expect(slab->shape.first + slab->shape.cells * slab->shape.cell_bytes < GYRE_SLAB_BYTES);
	/* An address as an arena of another heap could have, and no arena has. */
	outside = (char *)gyre__map(GYRE_ARENA_BYTES, GYRE_ARENA_BYTES);
	expect(outside != NULL);
	bad[0] = outside + GYRE_SLAB_BYTES;
	bad[1] = (char *)arena + 64;                       /* the arena's own tables */
	bad[2] = (char *)n + 8;                            /* inside an object */
	bad[3] = (char *)gyre__cell(slab, 1);              /* a cell that is vacant */
	bad[4] = (char *)gyre__cell(slab, slab->shape.cells); /* behind the last cell */
	bad[5] = (char *)arena + GYRE_ARENA_BYTES - 4096;  /* a slab that is FREE */
	for (size_t i = 0; i < LENGTH(bad); i++) {
		held_begin(w);
		held_store(&n->left, bad[i]);
		held_end(w);
		expect_complaint(w, n, "which is no object", 0);
		held_begin(w);
		held_store(&n->left, NULL);
		held_end(w);
	}
	gyre__unmap(outside, GYRE_ARENA_BYTES);
	expect_ok(gyre_root_drop(w->m, &odd_root));
	end(w, &root);
}

static void roots_that_refer_to_no_object(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root root;
	struct node *n = rooted(w, &root, 1);

	held_begin(w);
	held_store(&root.slot, (char *)n + 8);
	held_end(w);
	/* And the object has one reference less than counts. */
	expect_complaint(w, NULL, "a root or frame refers to", 1);
	held_begin(w);
	held_store(&root.slot, n);
	held_end(w);
	end(w, &root);
}

static void words_of_vacant_cells(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root root;
	struct node *n = rooted(w, &root, 1);
	struct gyre__slab *slab = gyre__slab_of(n);
	uint32_t last = slab->shape.cells - 1;

	expect_equal(set_word(w, gyre__words(slab) + last, GYRE_RC_ONE), 0);
	expect_complaint(w, gyre__cell(slab, last), "a vacant cell has the word", 0);
	set_word(w, gyre__words(slab) + last, 0);
	end(w, &root);
}

static void words_of_objects(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root root;
	struct node *n = rooted(w, &root, 1);
	uint64_t *word = gyre__word_of(n), sound;

	sound = set_word(w, word, 0);
	/* The root's reference is to nothing then, in both passes of the check. */
	expect_complaint(w, n, "never born", 1);
	set_word(w, word, sound | GYRE_GRAY);
	expect_complaint(w, n, "coloured outside a pass", 0);
	set_word(w, word, sound + GYRE_RC_ONE);
	expect_complaint(w, n, "counted 2, referred to by 1", 0);
	/* Dead, and still in its cell: only what refers to it is wrong. */
	set_word(w, word, sound | GYRE_RELEASED);
	expect_complaint(w, NULL, "which is no object", 0);
	/* Stuck: whatever it counts is right. */
	set_word(w, word, (sound + GYRE_RC_ONE) | GYRE_STUCK);
	world_verify(w->m);
	set_word(w, word, sound);
	end(w, &root);
}

/* Declared acyclic; children are shared, and refer to something that is not. */
struct twig {
	gyre_ref one, two, three;
};

static void cycles_of_acyclic_objects(void **state)
{
	const struct gyre_type_desc desc = GYRE_TYPE(
		struct twig,
		GYRE_REFS(GYRE_REF(struct twig, one), GYRE_REF(struct twig, two),
			  GYRE_REF(struct twig, three)),
		.flags = GYRE_ACYCLIC);
	struct world *w = (struct world *)*state;
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct complaint c = { .words = "declared acyclic" };
	const struct gyre_type *type;
	struct gyre_root root;
	struct twig *t[4];

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	for (size_t i = 0; i < LENGTH(t); i++) {
		t[i] = (struct twig *)gyre_new(w->m, type);
		expect(t[i] != NULL);
	}
	/* t[0] -> t[1] -> t[2] -> t[0], each to t[3] as well, which refers to a node. */
	for (size_t i = 0; i < 3; i++) {
		expect_ok(gyre_init(w->m, &t[i]->one, t[(i + 1) % 3]));
		expect_ok(gyre_init(w->m, &t[i]->two, t[3]));
	}
	expect_ok(gyre_init(w->m, &t[3]->three, node_new(w, w->m, 1)));
	expect_ok(gyre_root_init(w->m, &root, t[0]));
	/* Reachable, it is nobody's concern. */
	expect_live(w->m, 5);
	expect_ok(gyre_root_drop(w->m, &root));
	world_collect(w->m);
	expect_status(gyre_verify(w->m, &report, note, &c), GYRE_DISAGREES);
	/* The cycle is told once, by one of its members. */
	expect_equal(report.disagreements, 1);
	expect_equal(report.unreachable, 5);
	/* The objects are there as long as the cycle is, so it can be cut. */
	expect_ok(gyre_store(w->m, &t[2]->one, NULL));
	expect_live(w->m, 0);
}

/* More slabs than the table of the verifier begins with, in two arenas and a mapping. */
static void many_slabs_are_counted(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[3];
	struct refs *r[LENGTH(roots)];

	for (size_t i = 0; i < LENGTH(roots); i++) {
		r[i] = refs_new(w, w->m, i == 2 ? 4000000 : 500);
		expect_ok(gyre_root_init(w->m, &roots[i], r[i]));
	}
	for (size_t i = 0; i < 2 * 500; i++)
		expect_ok(gyre_init(w->m, &r[i % 2]->items[i / 2], refs_new(w, w->m, 6000)));
	expect_live(w->m, 3 + 2 * 500);
	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(slots_that_refer_to_no_object),
		world_test(roots_that_refer_to_no_object),
		world_test(words_of_vacant_cells),
		world_test(words_of_objects),
		world_test(cycles_of_acyclic_objects),
		world_test(many_slabs_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
