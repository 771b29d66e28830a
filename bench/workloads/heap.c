/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.c: the object graphs of two real programs, built and dropped again and again. An object has
 * the slots that it has in the file and no other contents. On each thread by itself; the graph
 * itself, in plain arrays, is thread 0's.
 *
 * Invariant: the objects are numbered in the order in which a walk in breadth from number 0, which
 * holds the roots, first meets them. So each is made when the slot that holds it from then on is
 * filled, and one who cuts all slots from the last object to the first never cuts one of the dead.
 *
 * A file may say that nothing leads to an object: the first of those that nothing else leads to is
 * one more root. With --live only so many objects of the file are taken, and the edges among them.
 */
#include "workloads/node.h"

#include "heapfile.h"

struct graph {
	size_t objects, edges;
	size_t *first; /* objects + 1: object i has to[first[i]] to to[first[i + 1] - 1] */
	uint32_t *to;
};

struct heap {
	struct graph graph; /* thread 0's */
	bool ready;         /* it is read */
	struct holder **table;
	size_t made;
	struct mm_root root; /* of the first */
	bool rooted;
};

/* ---- From the file, once ---- */

/* A walk in breadth over the first count objects of a file. */
struct walk {
	const struct heapfile *file;
	size_t count, roots, seen;
	uint32_t *number; /* of each object of the file, from 1; 0: not seen */
	size_t *queue, *root;
};

static void see(struct walk *walk, size_t object)
{
	if (object >= walk->count || walk->number[object] != 0)
		return;
	walk->queue[walk->seen++] = object;
	walk->number[object] = (uint32_t)walk->seen;
}

/* From what stands at place in the queue to all that it leads to. */
static void follow(struct walk *walk, size_t place)
{
	const struct heapfile *file = walk->file;

	for (; place < walk->seen; place++) {
		size_t object = walk->queue[place];

		for (size_t e = file->first[object]; e < file->first[object + 1]; e++)
			see(walk, file->refs[e]);
	}
}

static void find_roots(struct walk *walk)
{
	const struct heapfile *file = walk->file;

	for (size_t i = 0; i < file->roots; i++) {
		if (file->root[i] >= walk->count)
			continue;
		walk->root[walk->roots++] = file->root[i];
		see(walk, file->root[i]);
	}
	follow(walk, 0);
	for (size_t i = 0; i < walk->count; i++) {
		if (walk->number[i] != 0)
			continue;
		walk->root[walk->roots++] = i;
		see(walk, i);
		follow(walk, walk->seen - 1);
	}
}

/* Numbers the objects anew, now that all roots are known, and writes their edges. */
static void write_graph(struct walk *walk, struct graph *graph)
{
	const struct heapfile *file = walk->file;

	memset(walk->number, 0, walk->count * sizeof(*walk->number));
	walk->seen = 0;
	for (size_t i = 0; i < walk->roots; i++) {
		see(walk, walk->root[i]);
		graph->to[graph->edges++] = walk->number[walk->root[i]];
	}
	follow(walk, 0);
	graph->objects = walk->count + 1;
	for (size_t i = 0; i < walk->count; i++) {
		size_t object = walk->queue[i];

		graph->first[i + 1] = graph->edges;
		for (size_t e = file->first[object]; e < file->first[object + 1]; e++)
			if (file->refs[e] < walk->count)
				graph->to[graph->edges++] = walk->number[file->refs[e]];
	}
	graph->first[graph->objects] = graph->edges;
}

static bool order_graph(const struct heapfile *file, struct graph *graph, size_t count)
{
	struct walk walk = { .file = file, .count = count };
	bool done;

	walk.number = calloc(count + 1, sizeof(*walk.number));
	walk.queue = calloc(count + 1, sizeof(*walk.queue));
	walk.root = calloc(count + file->roots + 1, sizeof(*walk.root));
	graph->first = calloc(count + 2, sizeof(*graph->first));
	graph->to = calloc(file->edges + file->roots + count + 1, sizeof(*graph->to));
	done = walk.number != NULL && walk.queue != NULL && walk.root != NULL &&
	       graph->first != NULL && graph->to != NULL && count < UINT32_MAX;
	if (done) {
		find_roots(&walk);
		write_graph(&walk, graph);
	}
	free(walk.number);
	free(walk.queue);
	free(walk.root);
	return done;
}

static bool read_graph(struct graph *graph, const char *path, uint64_t limit)
{
	struct heapfile file;
	char error[256];
	bool done;

	if (!heapfile_read(&file, path, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return false;
	}
	done = order_graph(&file, graph,
			   limit != 0 && limit < file.objects ? (size_t)limit : file.objects);
	heapfile_free(&file);
	return done;
}

static bool begin_with(struct bench_thread *t, const char *path)
{
	struct heap *heap = t->own, *first = t->first->own;

	if (t == t->first)
		heap->ready = read_graph(&heap->graph, path, t->options->live);
	if (first == NULL || !first->ready)
		return false;
	heap->table = calloc(first->graph.objects, sizeof(*heap->table));
	return heap->table != NULL;
}

static bool begin_debian(struct bench_thread *t)
{
	return begin_with(t, BENCH_HEAPS "/debian.heap.gz");
}

static bool begin_cpython(struct bench_thread *t)
{
	return begin_with(t, BENCH_HEAPS "/cpython.heap.gz");
}

/* ---- What is measured ---- */

static struct holder *make(struct bench_thread *t, const struct graph *graph, struct heap *heap)
{
	size_t object = heap->made;
	struct holder *holder =
		mm_new_array(t->m, &holder_shape, graph->first[object + 1] - graph->first[object]);

	if (holder != NULL)
		heap->table[heap->made++] = holder;
	return holder;
}

static bool build(struct bench_thread *t, const struct graph *graph, struct heap *heap)
{
	struct holder *top = make(t, graph, heap);

	if (top == NULL)
		return false;
	heap->rooted = mm_root_open(t->m, &heap->root, top);
	mm_release(t->m, top);
	for (size_t from = 0; heap->rooted && from < graph->objects; from++) {
		struct holder *holder = heap->table[from];

		for (size_t e = graph->first[from]; e < graph->first[from + 1]; e++) {
			struct holder *fresh = NULL;

			if (graph->to[e] == heap->made && (fresh = make(t, graph, heap)) == NULL)
				return false;
			if (!mm_store(t->m, &holder->items[e - graph->first[from]],
				      heap->table[graph->to[e]]))
				return false;
			mm_release(t->m, fresh);
			if (e % BENCH_BATCH == 0)
				mm_safepoint(t->m);
		}
	}
	return heap->rooted;
}

static void drop(struct bench_thread *t, struct heap *heap)
{
	for (size_t i = heap->made; MM_COUNTS && i-- > 0;) {
		struct holder *holder = heap->table[i];

		for (size_t s = 0; s < holder->length; s++)
			mm_cut(t->m, &holder->items[s]);
	}
	if (heap->rooted)
		mm_root_close(t->m, &heap->root);
	heap->rooted = false;
	for (size_t i = 0; MM_BY_HAND && i < heap->made; i++)
		mm_free(t->m, heap->table[i]);
	heap->made = 0;
	mm_safepoint(t->m);
}

static uint64_t turn(struct bench_thread *t)
{
	const struct heap *first = t->first->own;
	struct heap *heap = t->own;
	uint64_t made = 0;

	if (build(t, &first->graph, heap))
		made = heap->made;
	drop(t, heap);
	t->allocated += made;
	return made;
}

static void end(struct bench_thread *t)
{
	struct heap *heap = t->own;

	free(heap->table);
	free(heap->graph.first);
	free(heap->graph.to);
}

static void report(const struct bench_thread *threads, unsigned count)
{
	const struct heap *heap = threads[0].own;

	(void)count;
	bench_print("heap_objects", (double)heap->graph.objects);
	bench_print("heap_edges", (double)heap->graph.edges);
}

const struct bench_workload bench_heap_debian = {
	.name = "heap-debian",
	.unit = "Mobj/s",
	.kind = "throughput",
	.what = "Debian's packages and what they depend on, 63,666 objects, built and dropped",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct heap),
	.begin = begin_debian,
	.turn = turn,
	.end = end,
	.report = report,
};

const struct bench_workload bench_heap_cpython = {
	.name = "heap-cpython",
	.unit = "Mobj/s",
	.kind = "throughput",
	.what = "a CPython process with syntax trees, 468,392 objects, built and dropped",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct heap),
	.begin = begin_cpython,
	.turn = turn,
	.end = end,
	.report = report,
};
