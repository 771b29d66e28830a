/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_snapshot_holders.c: what holds an object beside slots, as a snapshot tells it: named roots,
 * weak cells that hang on their objects, finalizers that wait.
 */
#include "snapshots.h"

static const char *name_of_root(struct world *w, const void *object)
{
	static char name[64];
	struct gyre_snapshot *s = take(w->m);
	struct holders h = holders_of(s, find(s, object));

	expect_equal(h.count, 1);
	expect_equal(h.all[0].by, GYRE_HELD_BY_ROOT);
	snprintf(name, sizeof(name), "%s", h.all[0].name == NULL ? "" : h.all[0].name);
	gyre_snapshot_free(s);
	return name;
}

static void roots_have_names(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1), *o = node_new(w, w->m, 2);
	struct gyre_root root, moved;
	static struct gyre_root other; /* there until the heap is closed, with its name */

	expect_ok(gyre_root_init(w->m, &root, n));
	expect_ok(gyre_root_init(w->m, &other, o));
	expect(strcmp(name_of_root(w, n), "") == 0);
	expect_ok(gyre_root_name(w->m, &root, "first"));
	expect_ok(gyre_root_name(w->m, &other, "a name that is longer than the room for names"));
	expect(strcmp(name_of_root(w, n), "first") == 0);
	expect(strcmp(name_of_root(w, o), "a name that is longer than the ") == 0);
	expect_ok(gyre_root_name(w->m, &root, "second"));
	expect(strcmp(name_of_root(w, n), "second") == 0);
	expect_ok(gyre_root_move(w->m, &moved, &root));
	expect(strcmp(name_of_root(w, n), "second") == 0);
	expect_ok(gyre_root_name(w->m, &moved, NULL));
	expect_ok(gyre_root_name(w->m, &moved, NULL));
	expect(strcmp(name_of_root(w, n), "") == 0);
	expect_ok(gyre_root_name(w->m, &moved, "third"));
	expect_ok(gyre_root_drop(w->m, &moved));
	expect_ok(gyre_root_init(w->m, &moved, n = node_new(w, w->m, 3)));
	expect(strcmp(name_of_root(w, n), "") == 0);
	expect_status(gyre_root_name(w->m, &root, "none"), GYRE_INVALID);
	expect_status(gyre_root_name(NULL, &moved, "none"), GYRE_INVALID);
	expect_ok(gyre_root_drop(w->m, &moved));
	expect(strcmp(name_of_root(w, o), "a name that is longer than the ") == 0);
}

/* A cell hangs on its object. */
static void weak_cells_are_references(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1);
	struct gyre_weak *weak = gyre_weak_of(w->m, n);
	struct gyre_snapshot *s;
	GYRE_KEEP(w->m, n);

	expect(weak != NULL);
	world_collect(w->m);
	s = take(w->m);
	expect_equal(total(s).objects, 2);
	expect_equal(total(s).reachable, 2);
	expect_counted(s, n, 0, 1);
	expect_counted(s, weak, 1, 0);
	expect_equal(from(s, n).nodes[0], find(s, weak));
	gyre_snapshot_free(s);
	n = NULL;
}

static void do_nothing(struct gyre_mutator *m, void *object)
{
	(void)m;
	(void)object;
}

/* An object whose finalizer waits is held by something that is neither root nor frame. */
static void what_is_to_be_finalized_is_held(void **state)
{
	struct gyre_options options;
	struct gyre_snapshot *s;
	struct holders h;
	struct world *w;
	struct node *n;
	uint32_t node;

	(void)state;
	gyre_options_init(&options);
	options.finalizing = GYRE_FINALIZE_HOST;
	w = world_make(&options);
	{
		const struct gyre_type_desc desc =
			GYRE_TYPE(struct node, GYRE_REFS(GYRE_REF(struct node, left)),
				  .finalize = do_nothing);
		const struct gyre_type *type;

		expect_ok(gyre_type_register(w->heap, &desc, &type));
		n = gyre_new(w->m, type);
		expect(n != NULL);
		expect_ok(gyre_init(w->m, &n->left, node_new(w, w->m, 1)));
	}
	world_collect(w->m);
	s = take(w->m);
	expect_equal(total(s).objects, 2);
	expect_equal(total(s).reachable, 2);
	node = find(s, n);
	h = holders_of(s, node);
	expect_equal(h.count, 1);
	expect_equal(h.all[0].by, GYRE_HELD_BY_OTHER);
	expect(h.all[0].name == NULL && h.all[0].root == NULL);
	gyre_snapshot_free(s);
	expect_ok(gyre_finalize_next(w->m, NULL));
	expect_live(w->m, 0);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(roots_have_names),
		world_test(weak_cells_are_references),
		cmocka_unit_test(what_is_to_be_finalized_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
