/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_snapshot.c: what a snapshot says of small heaps that nobody writes to: each object,
 * reference and holder is in it, each once, and the answers to questions are those that can be told
 * by looking at the graph.
 */
#include "snapshots.h"

static bool count_node(void *arg, uint32_t node)
{
	(void)node;
	++*(unsigned *)arg;
	return true;
}

static void an_empty_heap_is_empty(void **state)
{
	struct world *w = *state;
	struct gyre_snapshot *s = take(w->m);
	struct gyre_snapshot_totals sum = total(s);
	unsigned count = 0;

	expect_equal(sum.objects, 0);
	expect_equal(sum.references, 0);
	expect_equal(sum.holders, 0);
	expect_equal(sum.reachable, 0);
	expect_equal(sum.exact, support_tagged());
	expect_equal(gyre_snapshot_find(s, w), GYRE_NO_NODE);
	expect_ok(gyre_snapshot_unreachable(s, count_node, &count));
	expect_equal(count, 0);
	gyre_snapshot_free(s);
	gyre_snapshot_free(NULL);
}

/* A root holds a, a holds b twice, b holds itself and c; a frame holds c. */
static void each_edge_and_holder_is_there(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);
	struct leaf *c = gyre_new(w->m, w->leaf);
	struct gyre_snapshot *s;
	struct gyre_root root;
	struct holders h;
	struct edges e;
	GYRE_KEEP(w->m, c);

	gyre_mutator_name(w->m, "the one that keeps");
	expect_ok(gyre_root_init(w->m, &root, a));
	expect_ok(gyre_init(w->m, &a->left, b));
	expect_ok(gyre_init(w->m, &a->right, b));
	expect_ok(gyre_init(w->m, &b->left, b));
	expect_ok(gyre_init(w->m, &b->right, c));
	s = take(w->m);
	expect_equal(total(s).objects, 3);
	expect_equal(total(s).references, 4);
	expect_equal(total(s).holders, 2);
	expect_equal(total(s).reachable, 3);
	expect_counted(s, a, 0, 1);
	expect_counted(s, b, 3, 0);
	expect_counted(s, c, 1, 1);
	e = from(s, b);
	expect_equal(e.count, 2);
	expect_equal(e.nodes[0], find(s, b));
	expect_equal(e.nodes[1], find(s, c));
	e = to(s, b);
	expect_equal(e.indices[0] + e.indices[1] + e.indices[2], 1);
	h = holders_of(s, find(s, a));
	expect_equal(h.all[0].by, GYRE_HELD_BY_ROOT);
	expect(h.all[0].root == &root && h.all[0].name == NULL);
	h = holders_of(s, find(s, c));
	expect_equal(h.all[0].by, GYRE_HELD_BY_FRAME);
	expect(h.all[0].root == NULL && strcmp(h.all[0].name, "the one that keeps") == 0);
	expect_equal(holders_of(s, GYRE_NO_NODE).count, 2);
	expect(strcmp(object_of(s, a).type, "struct node") == 0);
	expect(strcmp(object_of(s, c).type, "struct leaf") == 0);
	expect_equal(object_of(s, a).bytes, gyre_object_bytes(a));
	expect(object_of(s, a).site == NULL);
	gyre_snapshot_free(s);
	expect_ok(gyre_root_drop(w->m, &root));
}

static bool add_type(void *arg, const char *name, uint64_t objects, uint64_t bytes)
{
	uint64_t *sums = arg;

	if (strcmp(name, "struct refs") == 0) {
		sums[0] += objects;
		sums[1] += bytes;
	}
	sums[2] += objects;
	return true;
}

/* Arrays in slabs, in a span and in a mapping of their own, and what only a callback knows. */
static void trace_pair(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const struct node *n = object;

	expect(bytes >= sizeof(*n));
	visit(arg, &n->right);
	visit(arg, &n->left);
}

static void objects_of_any_size_are_there(void **state)
{
	struct world *w = *state;
	const struct gyre_type_desc desc = GYRE_TYPE(struct node, .trace = trace_pair);
	static const size_t lengths[] = { 0, 1, 100, 3000, 1500000 };
	struct refs *arrays[LENGTH(lengths)];
	uint64_t sums[3] = { 0 }, bytes = 0;
	const struct gyre_type *type;
	struct gyre_snapshot *s;
	struct gyre_root root;
	struct node *traced;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	traced = gyre_new(w->m, type);
	expect(traced != NULL);
	expect_ok(gyre_root_init(w->m, &root, traced));
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		arrays[i] = refs_new(w, w->m, lengths[i]);
		bytes += gyre_object_bytes(arrays[i]);
		if (i > 0)
			expect_ok(
				gyre_init(w->m, &arrays[i]->items[lengths[i] - 1], arrays[i - 1]));
	}
	expect_ok(gyre_init(w->m, &traced->left, arrays[LENGTH(lengths) - 1]));
	expect_ok(gyre_init(w->m, &traced->right, traced));
	s = take(w->m);
	expect_equal(total(s).objects, 1 + LENGTH(lengths));
	expect_equal(total(s).reachable, 1 + LENGTH(lengths));
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		expect_counted(s, arrays[i], 1, 0);
		expect_equal(from(s, arrays[i]).count, i > 0);
		if (i > 0)
			expect_equal(from(s, arrays[i]).nodes[0], find(s, arrays[i - 1]));
		expect_equal(gyre_snapshot_find(s, (char *)arrays[i] + 8), GYRE_NO_NODE);
	}
	expect_equal(from(s, traced).nodes[0], find(s, traced));
	expect_equal(gyre_snapshot_find(s, (char *)arrays[4] + (32 << 20)), GYRE_NO_NODE);
	expect_ok(gyre_snapshot_types(s, add_type, sums));
	expect_equal(sums[0], LENGTH(lengths));
	expect_equal(sums[1], bytes);
	expect_equal(sums[2], 1 + LENGTH(lengths));
	gyre_snapshot_free(s);
	expect_ok(gyre_root_drop(w->m, &root));
}

/* Drops a ring of three and takes a snapshot; whether the ring was still there. */
static bool ring_is_garbage(struct world *w)
{
	struct gyre_snapshot *s;
	struct node *ring[3];
	struct gyre_root root;
	unsigned garbage = 0;
	uint64_t objects;

	for (size_t i = 0; i < 3; i++)
		ring[i] = node_new(w, w->m, i);
	for (size_t i = 0; i < 3; i++)
		expect_ok(gyre_init(w->m, &ring[i]->left, ring[(i + 1) % 3]));
	expect_ok(gyre_root_init(w->m, &root, ring[0]));
	expect_live(w->m, 4);
	expect_ok(gyre_root_drop(w->m, &root));
	s = take(w->m);
	objects = total(s).objects;
	expect_equal(total(s).reachable, 1);
	expect_ok(gyre_snapshot_unreachable(s, count_node, &garbage));
	expect_equal(garbage, objects - 1);
	if (objects > 1) {
		expect_equal(objects, 4);
		for (size_t i = 0; i < 3; i++)
			expect_counted(s, ring[i], 1, 0);
	}
	gyre_snapshot_free(s);
	return objects > 1;
}

/* The last decrement of a root comes an epoch late: if no boundary comes between the drop and the
 * call, the ring is in the snapshot, and nothing holds it, whatever its counts say. */
static void garbage_is_unreachable(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	unsigned tries = 0;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 1)));
	while (!ring_is_garbage(w))
		expect(++tries < 1000);
	expect_ok(gyre_root_drop(w->m, &root));
}

struct found_cycles {
	size_t sizes[8];
	unsigned count;
};

static bool add_cycle(void *arg, const uint32_t *members, size_t count)
{
	struct found_cycles *f = arg;

	expect(members != NULL && f->count < LENGTH(f->sizes));
	f->sizes[f->count++] = count;
	return true;
}

struct found_retainers {
	uint32_t nodes[16], by[16];
	uint64_t objects[16], bytes[16];
	unsigned count;
};

static bool add_retainer(void *arg, uint32_t node, uint32_t by, uint64_t objects, uint64_t bytes)
{
	struct found_retainers *f = arg;

	expect(f->count < LENGTH(f->nodes));
	f->nodes[f->count] = node;
	f->by[f->count] = by;
	f->objects[f->count] = objects;
	f->bytes[f->count++] = bytes;
	return true;
}

/* root -> 0 -> 1 -> 2 -> 3 -> 1, 0 -> 4, 3 -> 4, 4 -> 5 -> 5. */
static void questions_are_answered(void **state)
{
	struct world *w = *state;
	static const unsigned edges[][2] = { { 0, 1 }, { 1, 2 }, { 2, 3 }, { 3, 1 },
					     { 0, 4 }, { 3, 4 }, { 4, 5 }, { 5, 5 } };
	struct gyre_snapshot_holder holder = { 0 };
	struct found_retainers retainers = { .count = 0 };
	struct found_cycles cycles = { .count = 0 };
	uint64_t objects, bytes, each;
	struct gyre_snapshot *s;
	struct gyre_root root;
	struct node *n[6];
	uint32_t path[6];
	size_t length = 6;

	for (size_t i = 0; i < LENGTH(n); i++)
		n[i] = node_new(w, w->m, i);
	for (size_t i = 0; i < LENGTH(edges); i++) {
		struct node *at = n[edges[i][0]];

		expect_ok(gyre_store(w->m, gyre_load(&at->left) ? &at->right : &at->left,
				     n[edges[i][1]]));
	}
	expect_ok(gyre_root_init(w->m, &root, n[0]));
	s = take(w->m);
	each = gyre_object_bytes(n[0]);
	expect_ok(gyre_snapshot_path(s, find(s, n[3]), path, &length, &holder));
	expect_equal(length, 4);
	for (size_t i = 0; i < 4; i++)
		expect_equal(path[i], find(s, n[i]));
	expect(holder.root == &root && holder.node == path[0]);
	length = 2;
	expect_status(gyre_snapshot_path(s, find(s, n[5]), path, &length, &holder), GYRE_LIMIT);
	expect_equal(length, 3);
	expect_equal(path[1], find(s, n[4]));
	expect_ok(gyre_snapshot_retained(s, find(s, n[1]), GYRE_WHOLE_NODE, &objects, &bytes));
	expect_equal(objects, 3);
	expect_equal(bytes, 3 * each);
	expect_ok(gyre_snapshot_retained(s, find(s, n[0]), 0, &objects, &bytes));
	expect_equal(objects, 3);
	expect_ok(gyre_snapshot_retained(s, find(s, n[0]), 1, &objects, &bytes));
	expect_equal(objects, 0);
	expect_ok(gyre_snapshot_retained(s, find(s, n[4]), 0, &objects, &bytes));
	expect_equal(objects, 1);
	expect_equal(bytes, each);
	expect_ok(gyre_snapshot_cycles(s, add_cycle, &cycles));
	expect_equal(cycles.count, 2);
	expect_equal(cycles.sizes[0], 3);
	expect_equal(cycles.sizes[1], 1);
	expect_ok(gyre_snapshot_retainers(s, add_retainer, &retainers));
	expect_equal(retainers.count, 6);
	expect_equal(retainers.nodes[0], find(s, n[0]));
	expect_equal(retainers.by[0], GYRE_NO_NODE);
	expect_equal(retainers.objects[0], 6);
	expect_equal(retainers.nodes[1], find(s, n[1]));
	expect_equal(retainers.by[1], find(s, n[0]));
	expect_equal(retainers.bytes[1], 3 * each);
	gyre_snapshot_free(s);
	expect_ok(gyre_root_drop(w->m, &root));
}

/* A snapshot says what was, when all is gone, and when its heap is. */
static void a_snapshot_outlives_its_heap(void **state)
{
	struct gyre_options options;
	struct gyre_snapshot *s;
	struct world *w;
	struct node *n;

	(void)state;
	gyre_options_init(&options);
	w = world_make(&options);
	n = node_new(w, w->m, 1);
	{
		GYRE_KEEP(w->m, n);
		s = take(w->m);
	}
	world_end(w);
	expect_equal(total(s).reachable, 1);
	expect(strcmp(object_of(s, n).type, "struct node") == 0);
	gyre_snapshot_free(s);
}

static void a_dump_is_written(void **state)
{
	static const char *const lines[] = {
		"heap 2 2 1 1 1 0 ", "t struct node\n", "n ", "o 0 ", "i ", "o 0 ", "i ", "f "
	};
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1);
	FILE *file = tmpfile();
	char line[128];
	GYRE_KEEP(w->m, n);

	expect(file != NULL);
	expect_ok(gyre_init(w->m, &n->left, node_new(w, w->m, 2)));
	expect_ok(gyre_dump(w->m, fileno(file)));
	rewind(file);
	for (size_t i = 0; i < LENGTH(lines); i++) {
		expect(fgets(line, sizeof(line), file) != NULL);
		expect(strncmp(line, lines[i], strlen(lines[i])) == 0);
	}
	fclose(file);
	expect_status(gyre_dump(w->m, -1), GYRE_LIMIT);
	expect_status(gyre_dump(NULL, 1), GYRE_INVALID);
}

static void misuse_is_answered(void **state)
{
	struct world *w = *state;
	struct gyre_snapshot_object object = { .size = sizeof(object) };
	struct gyre_snapshot_totals totals = { .size = 1 };
	struct gyre_snapshot_holder holder;
	struct gyre_snapshot *s = NULL;
	struct edges e = { .count = 0 };
	struct node *n = node_new(w, w->m, 1);
	uint64_t objects, bytes;
	size_t length = 1;
	GYRE_KEEP(w->m, n);

	expect_status(gyre_snapshot_take(NULL, &s), GYRE_INVALID);
	expect_status(gyre_snapshot_take(w->m, NULL), GYRE_INVALID);
	expect_ok(gyre_park(w->m));
	expect_status(gyre_snapshot_take(w->m, &s), GYRE_PARKED);
	expect_status(gyre_dump(w->m, 1), GYRE_PARKED);
	expect_ok(gyre_unpark(w->m));
	expect(s == NULL);
	s = take(w->m);
	expect_status(gyre_snapshot_total(s, &totals), GYRE_INVALID);
	expect_status(gyre_snapshot_total(s, NULL), GYRE_INVALID);
	expect_status(gyre_snapshot_object(s, 1, &object), GYRE_INVALID);
	object.size = 0;
	expect_status(gyre_snapshot_object(s, 0, &object), GYRE_INVALID);
	expect_status(gyre_snapshot_types(s, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_snapshot_referents(s, 1, add_edge, &e), GYRE_INVALID);
	expect_status(gyre_snapshot_referents(s, 0, NULL, &e), GYRE_INVALID);
	expect_status(gyre_snapshot_referrers(s, 1, add_edge, &e), GYRE_INVALID);
	expect_status(gyre_snapshot_holders(s, 1, add_holder, &e), GYRE_INVALID);
	expect_status(gyre_snapshot_path(s, 0, NULL, &length, &holder), GYRE_INVALID);
	expect_status(gyre_snapshot_path(s, 0, NULL, NULL, &holder), GYRE_INVALID);
	expect_status(gyre_snapshot_retained(s, 0, 0, &objects, &bytes), GYRE_INVALID);
	expect_status(gyre_snapshot_retained(s, 1, GYRE_WHOLE_NODE, &objects, &bytes),
		      GYRE_INVALID);
	expect_status(gyre_snapshot_unreachable(s, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_snapshot_cycles(s, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_snapshot_retainers(NULL, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_snapshot_write(NULL, 1), GYRE_INVALID);
	length = 0;
	expect_status(gyre_snapshot_path(s, 0, NULL, &length, &holder), GYRE_LIMIT);
	expect_equal(length, 1);
	gyre_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(an_empty_heap_is_empty),
		world_test(each_edge_and_holder_is_there),
		world_test(objects_of_any_size_are_there),
		world_test(garbage_is_unreachable),
		world_test(questions_are_answered),
		cmocka_unit_test(a_snapshot_outlives_its_heap),
		world_test(a_dump_is_written),
		world_test(misuse_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
