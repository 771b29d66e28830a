/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exhaustive.c: all directed multigraphs of up to 4 nodes and up to 8 edges, all orders of dropping
 * their roots, against reachability that is computed here.
 *
 * The enumeration. A graph of n nodes is a multiset of at most E of the n * n ordered pairs of
 * nodes (self-references and parallel edges included): C(n * n + E, E) graphs, 735,471 of 4 nodes
 * and 8 edges. A case is a graph and a sequence of k of its nodes: those are referred to by roots,
 * which are dropped in that order; the other n - k nodes live only if they are reached. The
 * collection runs before the first drop and after each one.
 *
 * By default the sequence is 0, 1, .., k - 1 for each k from 0 to n. That is all of them up to
 * renaming: the set of graphs is closed under renaming of nodes, so a graph with another sequence
 * is another graph of the enumeration with this one. What renaming changes is only the order in
 * which the nodes lie in memory. With --full all 65 sequences of distinct nodes (of 4) are run for
 * each graph, so all orders in memory as well.
 *
 * Many cases are built at once and share each collection: the k-th root of all cases of a batch is
 * dropped, the heap collected once, the number of objects compared, and each object that must live
 * is visited. When a batch disagrees it is halved until the case that disagrees alone is found,
 * printed. One thread; no randomness, so no seed.
 *
 * With --ends each case is run with each choice of nodes that have a weak cell, held by an array,
 * and of nodes that have a finalizer. Then also: a cell gives its node while that is reachable, and
 * NULL from then on; a finalizer has run once if its node is not reachable, and not at all
 * otherwise; and of two that have run, an owner's before that of what it reaches, unless each
 * reaches the other.
 */
#include "../support.h"

#include <getopt.h>

#include <gyre/finalize.h>
#include <gyre/weak.h>

enum { NODES = 4, EDGES = 8, ROOM = 50000 };

struct graph_case {
	uint8_t nodes, edges, roots;
	uint8_t order[NODES];  /* the nodes that have roots, in the order of dropping */
	uint8_t pairs[EDGES];  /* 4 * from + to, ascending */
	uint8_t watched, final; /* the nodes that have a cell, and a finalizer, as bit sets */
};

struct vertex {
	uint64_t id, canary;
	size_t length;
	gyre_ref out[];
};

struct run {
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	const struct gyre_type *vertex, *final, *refs;
	struct gyre_root root; /* holds an array with a slot for each node that has a root */
	struct gyre_root cells; /* and one with a slot for each cell */
	struct graph_case *cases;
	struct vertex *(*made)[NODES];
	size_t count;
	uint64_t total, objects, steps;
	uint64_t reclaimed; /* when that was last asked */
	bool full, ends;
};

/* When each finalizer ran, by the number of its vertex; 0: it has not. */
static struct {
	uint32_t *at, count;
	bool wrong; /* one has run twice, or for what was no vertex any more */
} finalized;

static void finalize(struct gyre_mutator *m, void *object)
{
	const struct vertex *v = object;

	if (m == NULL || v->id >= (uint64_t)ROOM * NODES || v->canary != canary_of(v->id) ||
	    finalized.at[v->id] != 0)
		finalized.wrong = true;
	else
		finalized.at[v->id] = ++finalized.count;
}

/* The nodes of c that are reachable when the first dropped of its roots are gone, as a bit set. */
static unsigned reachable(const struct graph_case *c, unsigned dropped)
{
	unsigned set = 0, before;

	for (unsigned i = dropped; i < c->roots; i++)
		set |= 1U << c->order[i];
	do {
		before = set;
		for (unsigned i = 0; i < c->edges; i++) {
			if (set & 1U << c->pairs[i] / NODES)
				set |= 1U << c->pairs[i] % NODES;
		}
	} while (set != before);
	return set;
}

static void print_case(const struct graph_case *c)
{
	fprintf(stderr, "%u nodes, edges", c->nodes);
	for (unsigned i = 0; i < c->edges; i++)
		fprintf(stderr, " %u>%u", c->pairs[i] / NODES, c->pairs[i] % NODES);
	fprintf(stderr, ", roots dropped in the order");
	for (unsigned i = 0; i < c->roots; i++)
		fprintf(stderr, " %u", c->order[i]);
	fprintf(stderr, ", cells 0x%x, finalizers 0x%x\n", c->watched, c->final);
}

static void die(const char *what)
{
	fprintf(stderr, "exhaustive: %s\n", what);
	exit(2);
}

static void must(enum gyre_status status, const char *what)
{
	if (status != GYRE_OK) {
		fprintf(stderr, "exhaustive: %s: %s\n", what, gyre_status_text(status));
		exit(2);
	}
}

static void build_case(struct run *r, const struct graph_case *c, struct vertex **made, uint64_t id)
{
	unsigned degree[NODES] = { 0 };

	for (unsigned i = 0; i < c->edges; i++)
		degree[c->pairs[i] / NODES]++;
	for (unsigned i = 0; i < c->nodes; i++) {
		bool final = c->final & 1U << i;
		struct vertex *v =
			gyre_new_array(r->m, final ? r->final : r->vertex, degree[i]);

		if (!v)
			die("out of memory");
		v->id = id * NODES + i;
		v->canary = canary_of(v->id);
		made[i] = v;
		degree[i] = 0;
	}
	for (unsigned i = 0; i < c->edges; i++) {
		unsigned from = c->pairs[i] / NODES, to = c->pairs[i] % NODES;

		must(gyre_init(r->m, &made[from]->out[degree[from]++], made[to]), "gyre_init");
	}
	r->total += c->nodes;
}

/* The cells of a case, in an array from place at on. */
static void watch_case(struct run *r, const struct graph_case *c, struct vertex *const *made,
		       gyre_ref *at)
{
	for (unsigned i = 0; i < c->nodes; i++) {
		struct gyre_weak *cell;

		if (!(c->watched & 1U << i))
			continue;
		cell = gyre_weak_of(r->m, made[i]);
		if (!cell)
			die("out of memory");
		must(gyre_init(r->m, &at[i], cell), "gyre_init");
	}
}

/* What node reaches by at least one edge, as a bit set. */
static unsigned reached_by(const struct graph_case *c, unsigned node)
{
	unsigned set = 0, before;

	do {
		before = set;
		for (unsigned i = 0; i < c->edges; i++) {
			unsigned from = c->pairs[i] / NODES;

			if (from == node || set & 1U << from)
				set |= 1U << c->pairs[i] % NODES;
		}
	} while (set != before);
	return set;
}

/* Cells and finalizers of a case are as they should be, when set is what can be reached. */
static bool ends_case(struct run *r, const struct graph_case *c, struct vertex *const *made,
		      unsigned set, uint64_t id, gyre_ref *at)
{
	const uint32_t *ran = &finalized.at[id * NODES];

	for (unsigned i = 0; i < c->nodes; i++) {
		bool lives = set & 1U << i;
		unsigned below = reached_by(c, i);

		if (c->watched & 1U << i &&
		    gyre_weak_load(r->m, gyre_load(&at[i])) != (lives ? made[i] : NULL))
			return false;
		if ((ran[i] != 0) != (!lives && c->final & 1U << i))
			return false;
		for (unsigned k = 0; ran[i] != 0 && k < c->nodes; k++)
			if (below & 1U << k && ran[k] != 0 && ran[k] < ran[i] &&
			    !(reached_by(c, k) & 1U << i))
				return false;
	}
	return true;
}

/* Every object that must live is there and refers to what it did. */
static bool visit_case(const struct graph_case *c, struct vertex *const *made, unsigned set,
		       uint64_t id)
{
	unsigned degree[NODES] = { 0 };

	for (unsigned i = 0; i < c->nodes; i++) {
		if (set & 1U << i && (made[i]->id != id * NODES + i ||
				      made[i]->canary != canary_of(made[i]->id)))
			return false;
	}
	for (unsigned i = 0; i < c->edges; i++) {
		unsigned from = c->pairs[i] / NODES, to = c->pairs[i] % NODES;

		if (set & 1U << from && gyre_load(&made[from]->out[degree[from]++]) != made[to])
			return false;
	}
	return true;
}

static void say(void *arg, const void *object, const char *text)
{
	(void)arg;
	fprintf(stderr, "gyre_verify, object %p: %s\n", object, text);
}

static uint64_t reclaimed_so_far(struct run *r)
{
	struct gyre_stats stats = { .size = sizeof(stats) };

	must(gyre_heap_stats(r->heap, &stats), "gyre_heap_stats");
	return stats.objects_reclaimed;
}

/* Collects, until all that is owed to the dead is done. The number of objects reclaimed: with
 * finalizers also by boundaries between two calls, since the last time. */
static uint64_t collect(struct run *r)
{
	uint64_t before = r->reclaimed, reclaimed;

	for (unsigned i = 0; r->ends && i < NODES; i++) {
		must(gyre_collect(r->m, NULL), "gyre_collect");
		must(gyre_finalize_wait(r->m), "gyre_finalize_wait");
	}
	must(gyre_collect(r->m, &reclaimed), "gyre_collect");
	r->reclaimed = reclaimed_so_far(r);
	return r->ends ? r->reclaimed - before : reclaimed;
}

/* Collects and compares. live is the number of objects there were; it becomes what there are. */
static bool compare(struct run *r, size_t from, size_t to, unsigned dropped, uint64_t *live)
{
	struct gyre_verify_report report = { .size = sizeof(report) };
	uint64_t expected = 1 + r->ends; /* the array of roots, and that of cells */
	uint64_t reclaimed = collect(r);
	struct { size_t length; gyre_ref items[]; } *cells = gyre_load(&r->cells.slot);
	bool sound = !finalized.wrong;

	for (size_t i = from; i < to; i++) {
		unsigned set = reachable(&r->cases[i], dropped);

		expected += (unsigned)__builtin_popcount(set);
		expected += (unsigned)__builtin_popcount(r->cases[i].watched);
		sound &= visit_case(&r->cases[i], r->made[i], set, i);
		if (r->ends)
			sound &= ends_case(r, &r->cases[i], r->made[i], set, i,
					   &cells->items[(i - from) * NODES]);
	}
	if (!sound)
		fprintf(stderr, "step %u: an object was lost, or a cell or finalizer is wrong\n",
			dropped);
	if (gyre_verify(r->m, &report, say, NULL) != GYRE_OK) {
		fprintf(stderr, "step %u: gyre_verify disagrees\n", dropped);
		sound = false;
	}
	if (report.objects != expected || *live - reclaimed != expected) {
		fprintf(stderr, "step %u: %llu objects, %llu reclaimed of %llu, %llu reachable\n",
			dropped, (unsigned long long)report.objects, (unsigned long long)reclaimed,
			(unsigned long long)*live, (unsigned long long)expected);
		sound = false;
	}
	*live = report.objects;
	r->steps++;
	return sound;
}

/* Builds the cases from .. to - 1, drops their roots one by one. False: something disagreed. */
static bool run_cases(struct run *r, size_t from, size_t to)
{
	struct { size_t length; gyre_ref items[]; } *roots, *cells = NULL;
	uint64_t live, before = r->total, watched = 0;
	bool sound = true;

	r->reclaimed = reclaimed_so_far(r);
	roots = gyre_new_array(r->m, r->refs, (to - from) * NODES);
	if (!roots)
		die("out of memory");
	must(gyre_store(r->m, &r->root.slot, roots), "gyre_store");
	if (r->ends) {
		cells = gyre_new_array(r->m, r->refs, (to - from) * NODES);
		if (!cells)
			die("out of memory");
		must(gyre_store(r->m, &r->cells.slot, cells), "gyre_store");
		memset(finalized.at, 0, (size_t)ROOM * NODES * sizeof(finalized.at[0]));
		finalized.count = 0;
	}
	for (size_t i = from; i < to; i++) {
		const struct graph_case *c = &r->cases[i];

		build_case(r, c, r->made[i], i);
		if (r->ends)
			watch_case(r, c, r->made[i], &cells->items[(i - from) * NODES]);
		watched += (unsigned)__builtin_popcount(c->watched);
		for (unsigned j = 0; j < c->roots; j++)
			must(gyre_init(r->m, &roots->items[(i - from) * NODES + j],
				       r->made[i][c->order[j]]), "gyre_init");
	}
	live = r->total - before + watched + 1 + r->ends;
	r->objects += live;
	for (unsigned dropped = 0; dropped <= NODES; dropped++) {
		for (size_t i = from; dropped > 0 && i < to; i++) {
			if (dropped <= r->cases[i].roots)
				must(gyre_store_exclusive(
					     r->m, &roots->items[(i - from) * NODES + dropped - 1],
					     NULL), "gyre_store_exclusive");
		}
		sound &= compare(r, from, to, dropped, &live);
	}
	must(gyre_store(r->m, &r->root.slot, NULL), "gyre_store");
	must(gyre_store(r->m, &r->cells.slot, NULL), "gyre_store");
	collect(r);
	return sound;
}

static void open_heap(struct run *r)
{
	const struct gyre_refs out = { 0, 1 };
	const struct gyre_type_desc vertex =
		GYRE_TYPE(struct vertex, GYRE_TRAILING_REFS(struct vertex, out, length));
	struct gyre_type_desc final = vertex;
	const struct gyre_type_desc refs = { .size = sizeof(refs),
					     .name = "roots",
					     .object_bytes = sizeof(size_t),
					     .object_align = 8,
					     .trailing = { 8, 8, &out, 1, 0 } };
	struct gyre_options options;

	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	options.finalizing = GYRE_FINALIZE_HOST;
	final.finalize = finalize;
	finalized.wrong = false;
	must(support_open_heap(&r->heap, &options), "gyre_heap_open");
	must(gyre_type_register(r->heap, &vertex, &r->vertex), "gyre_type_register");
	must(gyre_type_register(r->heap, &final, &r->final), "gyre_type_register");
	must(gyre_type_register(r->heap, &refs, &r->refs), "gyre_type_register");
	must(gyre_attach(r->heap, 0, &r->m), "gyre_attach");
	must(gyre_root_init(r->m, &r->root, NULL), "gyre_root_init");
	must(gyre_root_init(r->m, &r->cells, NULL), "gyre_root_init");
}

/* As run_cases, in a new heap: what the last run should have left is not counted again. */
static bool run_afresh(struct run *r, size_t from, size_t to)
{
	must(gyre_root_drop(r->m, &r->root), "gyre_root_drop");
	must(gyre_root_drop(r->m, &r->cells), "gyre_root_drop");
	must(gyre_detach(r->m), "gyre_detach");
	must(gyre_heap_close(r->heap), "gyre_heap_close");
	open_heap(r);
	return run_cases(r, from, to);
}

/* Halves a batch that disagrees until one case is left that does so alone. */
static void narrow(struct run *r)
{
	size_t from = 0, to = r->count;

	while (to - from > 1) {
		size_t middle = from + (to - from) / 2;

		if (!run_afresh(r, from, middle))
			to = middle;
		else if (!run_afresh(r, middle, to))
			from = middle;
		else
			break; /* only together */
	}
	fprintf(stderr, "exhaustive: disagrees in %zu cases, the first:\n", to - from);
	print_case(&r->cases[from]);
	exit(1);
}

static void flush(struct run *r)
{
	if (r->count > 0 && !run_cases(r, 0, r->count))
		narrow(r);
	r->count = 0;
}

static void add_one(struct run *r, const struct graph_case *c)
{
	r->cases[r->count++] = *c;
	if (r->count == ROOM)
		flush(r);
}

/* With each choice of cells and finalizers, or none. */
static void add_case(struct run *r, const struct graph_case *c)
{
	struct graph_case with = *c;
	unsigned choices = r->ends ? 1U << c->nodes : 1;

	for (unsigned watched = 0; watched < choices; watched++) {
		for (unsigned final = 0; final < choices; final++) {
			with.watched = (uint8_t)watched;
			with.final = (uint8_t)final;
			add_one(r, &with);
		}
	}
}

/* All sequences of distinct nodes that begin with what c has. */
static void add_orders(struct run *r, struct graph_case *c, unsigned used)
{
	add_case(r, c);
	for (unsigned i = 0; i < c->nodes; i++) {
		if (!r->full && i != c->roots)
			continue;
		if (used & 1U << i)
			continue;
		c->order[c->roots++] = (uint8_t)i;
		add_orders(r, c, used | 1U << i);
		c->roots--;
	}
}

/* All multisets of at most edges pairs, none below the last pair of c. */
static void add_graphs(struct run *r, struct graph_case *c, unsigned edges)
{
	unsigned last = c->edges ? c->pairs[c->edges - 1] : 0;

	add_orders(r, c, 0);
	if (c->edges == edges)
		return;
	for (unsigned pair = last; pair < c->nodes * NODES; pair++) {
		if (pair % NODES >= c->nodes)
			continue;
		c->pairs[c->edges++] = (uint8_t)pair;
		add_graphs(r, c, edges);
		c->edges--;
	}
}

static void close_heap(struct run *r)
{
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct gyre_stats stats = { .size = sizeof(stats) };

	must(gyre_root_drop(r->m, &r->root), "gyre_root_drop");
	must(gyre_root_drop(r->m, &r->cells), "gyre_root_drop");
	must(gyre_collect(r->m, NULL), "gyre_collect");
	must(gyre_verify(r->m, &report, say, NULL), "gyre_verify");
	must(gyre_heap_stats(r->heap, &stats), "gyre_heap_stats");
	if (report.objects != 0 || stats.objects_live != 0 || stats.poison_faults != 0 ||
	    stats.objects_reclaimed != r->objects)
		die("objects are left at the end, or were written to when freed");
	must(gyre_detach(r->m), "gyre_detach");
	must(gyre_heap_close(r->heap), "gyre_heap_close");
	free(finalized.at);
	free(r->cases);
	free(r->made);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "full", no_argument, NULL, 'f' },
					       { "ends", no_argument, NULL, 'n' },
					       { "edges", required_argument, NULL, 'e' },
					       { NULL, 0, NULL, 0 } };
	unsigned long edges = EDGES;
	struct run r = { .count = 0 };
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == 'f')
			r.full = true;
		else if (option == 'n')
			r.ends = true;
		else if (option == 'e' && (edges = strtoul(optarg, NULL, 10)) <= EDGES)
			continue;
		else
			die("usage: exhaustive [--full] [--ends] [--edges 0..8]");
	}
	r.cases = calloc(ROOM, sizeof(*r.cases));
	r.made = calloc(ROOM, sizeof(*r.made));
	finalized.at = calloc((size_t)ROOM * NODES, sizeof(finalized.at[0]));
	if (!r.cases || !r.made || !finalized.at)
		die("out of memory");
	open_heap(&r);
	for (unsigned nodes = 1; nodes <= NODES; nodes++) {
		struct graph_case c = { .nodes = (uint8_t)nodes };

		add_graphs(&r, &c, (unsigned)edges);
	}
	flush(&r);
	close_heap(&r);
	printf("exhaustive: %llu objects in graphs of up to %d nodes and %lu edges, %llu steps\n",
	       (unsigned long long)r.total, NODES, edges, (unsigned long long)r.steps);
	return 0;
}
