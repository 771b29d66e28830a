/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap_types.c: gyre's types from the types of a file, and the birth and the slots of their
 * objects.
 *
 * One gyre type for each type of the file. Types whose objects never refer to anything are bytes;
 * those that refer to such bytes only are declared acyclic; of the rest every fifth names its slots
 * by a trace callback, the others by layout. Elements are as far apart as makes objects about as
 * large as in the file; where that is not exact, an object gets elements whose slots stay NULL.
 * heap_types runs on the main thread before the workers start, the rest on mutators.
 */
#include "heapmode.h"

#include <stdlib.h>
#include <unistd.h>

#define STRIDE_MAX 256
#define TRACED_STRIDE 32
#define BYTES_MAX ((uint64_t)1 << 46) /* of all objects of a file: more than any machine has */

/* The callbacks see the object's bytes and nothing that the object holds: so they name the same
 * slots from its birth to its death. */
static void trace_stride(const void *object, size_t bytes, gyre_visit_fn visit, void *arg,
			 size_t stride)
{
	const char *at = (const char *)object + sizeof(struct node);
	size_t count = (bytes - sizeof(struct node)) / stride;

	for (size_t i = 0; i < count; i++)
		visit(arg, (const gyre_ref *)(const void *)(at + i * stride));
}

static void trace_dense(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	trace_stride(object, bytes, visit, arg, sizeof(gyre_ref));
}

static void trace_sparse(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	trace_stride(object, bytes, visit, arg, TRACED_STRIDE);
}

static bool register_kind(struct stress_run *run, struct kind *kind, const char *name)
{
	static const struct gyre_refs one_ref[] = { { 0, 1 } };
	struct gyre_type_desc desc = GYRE_TYPE(struct node, .flags = 0);

	desc.name = name;
	desc.trailing.offset = sizeof(struct node);
	desc.trailing.stride = kind->stride;
	desc.trailing.length_offset = offsetof(struct node, length);
	if (kind->shape == SHAPE_LAYOUT || kind->shape == SHAPE_LEAFY) {
		desc.trailing.refs = one_ref;
		desc.trailing.refs_count = 1;
	}
	if (kind->shape == SHAPE_LEAFY)
		desc.flags = GYRE_ACYCLIC;
	if (kind->shape == SHAPE_TRACED)
		desc.trace = kind->stride == TRACED_STRIDE ? trace_sparse : trace_dense;
	return stress_ok(run, gyre_type_register(run->heap, &desc, &kind->type),
			 "gyre_type_register");
}

/* What the objects of one kind have in the file. */
struct census {
	uint64_t bytes, edges; /* of the objects that have edges */
	bool refers_on;        /* to an object that has edges */
};

/* The shape of kind number i, the how many-th with slots; and how far apart they lie. */
static void shape_kind(struct kind *kind, const struct census *c, size_t with_slots)
{
	uint64_t stride;

	if (c->edges == 0) {
		kind->shape = SHAPE_BYTES;
		kind->stride = 1;
		return;
	}
	if (!c->refers_on)
		kind->shape = SHAPE_LEAFY;
	else
		kind->shape = with_slots % 5 == 1 ? SHAPE_TRACED : SHAPE_LAYOUT;
	stride = c->bytes / c->edges / sizeof(gyre_ref) * sizeof(gyre_ref);
	stride = stride < sizeof(gyre_ref) ? sizeof(gyre_ref) : stride;
	kind->stride = stride > STRIDE_MAX ? STRIDE_MAX : (size_t)stride;
	if (kind->shape == SHAPE_TRACED)
		kind->stride = kind->stride >= TRACED_STRIDE ? TRACED_STRIDE : sizeof(gyre_ref);
}

static void take_census(const struct heap_mode *mode, struct census *census)
{
	const struct heapfile *f = &mode->file;

	for (size_t i = 0; i < f->objects; i++) {
		struct census *c = &census[f->type[i] % mode->file_kinds];
		size_t edges = f->first[i + 1] - f->first[i];

		if (edges == 0)
			continue;
		c->edges += edges;
		if (f->bytes[i] > sizeof(struct node))
			c->bytes += f->bytes[i] - sizeof(struct node);
	}
	for (size_t i = 0; i < f->objects; i++)
		for (size_t e = f->first[i]; e < f->first[i + 1]; e++)
			if (census[f->type[f->refs[e]] % mode->file_kinds].edges != 0)
				census[f->type[i] % mode->file_kinds].refers_on = true;
}

/* Whether one copy fits the limit, or the machine's memory where there is none. */
static bool check_size(struct stress_run *run, const struct heap_mode *mode)
{
	const struct heapfile *f = &mode->file;
	uint64_t bytes = 0, limit = run->options->heap_limit;

	if (f->objects == 0 || f->objects > NODES_MAX / 2 || f->edges > UINT64_MAX / 1024) {
		stress_refuse(run, "%s: a graph of %zu objects cannot be built",
			      run->options->operand, f->objects);
		return false;
	}
	if (limit == 0)
		limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	for (size_t i = 0; i < f->objects && bytes <= BYTES_MAX; i++)
		bytes += f->bytes[i] > BYTES_MAX ? BYTES_MAX + 1 : f->bytes[i];
	if (bytes > limit) {
		stress_refuse(run, "%s: its objects take more than the %llu bytes there are",
			      run->options->operand, (unsigned long long)limit);
		return false;
	}
	return true;
}

bool heap_types(struct stress_run *run, struct heap_mode *mode)
{
	const struct heapfile *f = &mode->file;
	struct census *census;
	size_t with_slots = 0;
	bool good = true;

	if (!check_size(run, mode))
		return false;
	mode->file_kinds = f->types < FILE_KINDS_MAX ? f->types : FILE_KINDS_MAX;
	mode->spliced = mode->file_kinds;
	mode->table = mode->file_kinds + 1;
	mode->kinds_count = mode->file_kinds + 2;
	census = calloc(mode->file_kinds, sizeof(*census));
	mode->kinds = calloc(mode->kinds_count, sizeof(*mode->kinds));
	if (census == NULL || mode->kinds == NULL) {
		free(census);
		stress_refuse(run, "no memory for %zu types", mode->file_kinds);
		return false;
	}
	take_census(mode, census);
	for (size_t i = 0; i < mode->file_kinds && good; i++) {
		shape_kind(&mode->kinds[i], &census[i], with_slots);
		with_slots += mode->kinds[i].shape >= SHAPE_LAYOUT;
		good = register_kind(run, &mode->kinds[i], f->name[i]);
	}
	free(census);
	/* What is spliced in is traced, so that both ways are used whatever the file holds. */
	mode->kinds[mode->spliced] = (struct kind){ NULL, SHAPE_TRACED, sizeof(gyre_ref) };
	mode->kinds[mode->table] = (struct kind){ NULL, SHAPE_LAYOUT, sizeof(gyre_ref) };
	return good && register_kind(run, &mode->kinds[mode->spliced], "spliced in") &&
	       register_kind(run, &mode->kinds[mode->table], "table");
}

/* ---- Objects ---- */

struct node *node_new(struct hand *hand, size_t kind, size_t length)
{
	uint64_t identity = (uint64_t)hand->w->index;
	struct node *object;

	identity = identity << IDENTITY_SERIAL_BITS | hand->serial;
	identity = identity << IDENTITY_KIND_BITS | kind;
	object = stress_new(hand->w, hand->mode->kinds[kind].type, length, identity);
	if (object != NULL)
		hand->serial++;
	return object;
}

struct node *node_new_like(struct hand *hand, size_t file_object)
{
	const struct heapfile *f = &hand->mode->file;
	size_t kind = f->type[file_object] % hand->mode->file_kinds;
	size_t stride = hand->mode->kinds[kind].stride;
	size_t edges = f->first[file_object + 1] - f->first[file_object];
	uint64_t bytes = f->bytes[file_object];
	size_t length = 0;

	if (bytes > sizeof(struct node))
		length = (size_t)((bytes - sizeof(struct node) + stride - 1) / stride);
	return node_new(hand, kind, length < edges ? edges : length);
}

enum how how_any(struct stress_rng *rng)
{
	return (enum how)stress_below(rng, HOW_COUNT);
}

static enum gyre_status put_once(struct hand *hand, gyre_ref *slot, const struct node *value,
				 enum how how)
{
	struct gyre_mutator *m = hand->w->m;
	void *old;

	switch (how) {
	case HOW_INIT:
		return gyre_init(m, slot, value);
	case HOW_EXCLUSIVE:
		return gyre_store_exclusive(m, slot, value);
	case HOW_EXCHANGE:
		return gyre_exchange(m, slot, value, &old);
	case HOW_COMPARE:
		/* The slot is this thread's alone, or whoever wins does not matter. */
		old = gyre_load(slot);
		return gyre_compare_exchange(m, slot, &old, value);
	default:
		return gyre_store(m, slot, value);
	}
}

/* The slow half of node_put: a frame costs more than a store that succeeds at once. */
__attribute__((noinline)) static bool put_again(struct hand *hand, const struct node *holder,
						gyre_ref *slot, const struct node *value,
						enum how how, enum gyre_status status)
{
	GYRE_KEEP(hand->w->m, holder, value);

	while (stress_again(hand->w, status))
		status = put_once(hand, slot, value, how);
	return stress_ok(hand->w->run, status, "a store");
}

bool node_put(struct hand *hand, const struct node *holder, gyre_ref *slot,
	      const struct node *value, enum how how)
{
	enum gyre_status status = put_once(hand, slot, value, how);

	if (__builtin_expect(status == GYRE_OK, 1))
		return true;
	return put_again(hand, holder, slot, value, how, status);
}
