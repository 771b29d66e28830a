/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_slab.c: how cells lie in slabs. Every shape there can be: cells are aligned, apart from the
 * side tables, inside the slab, and found again from any of their bytes. Size classes waste little.
 * Large objects have spans that are found, zero, and given back.
 */
#include "support.h"

#include "heap.h"
#include "platform/memory.h"
#include "type.h"

/* What lies before the cells: the words and two bitmaps. */
static size_t tables(size_t cells)
{
	return cells * 8 + (cells + 63) / 64 * 24;
}

static size_t first_of(size_t cells, size_t align)
{
	return (tables(cells) + align - 1) / align * align;
}

static void expect_shape(struct gyre__slab *slab, size_t bytes, size_t align)
{
	const struct gyre__shape *shape = &slab->shape;

	gyre__shape_compute(&slab->shape, bytes, align);
	expect_equal(shape->cell_bytes, bytes);
	expect(shape->cells > 0);
	expect_equal(shape->first % align, 0);
	expect(shape->first >= tables(shape->cells));
	expect((char *)(gyre__freed(slab) + gyre__bitmap_words(slab)) <=
	       (char *)gyre__cell(slab, 0));
	expect(shape->first + shape->cells * bytes <= GYRE_SLAB_BYTES);
	/* No room for one more. */
	expect(first_of(shape->cells + 1, align) + (shape->cells + 1) * bytes > GYRE_SLAB_BYTES);
	for (uint32_t i = 0; i < shape->cells; i++) {
		char *cell = (char *)gyre__cell(slab, i);

		expect_equal((uintptr_t)cell % align, 0);
		expect_equal(gyre__cell_index(slab, cell), i);
		expect_equal(gyre__cell_index(slab, cell + bytes / 2), i);
		expect_equal(gyre__cell_index(slab, cell + bytes - 1), i);
	}
}

static void every_shape_fits(void **state)
{
	char *base = (char *)gyre__map(GYRE_SLAB_BYTES, GYRE_SLAB_BYTES);
	struct gyre__slab slab = { .base = base };
	size_t shapes = 0;

	(void)state;
	expect(base != NULL);
	for (size_t align = 8; align <= 64; align *= 2) {
		for (size_t bytes = align; bytes <= GYRE_SLAB_OBJECT_MAX; bytes += align) {
			expect_shape(&slab, bytes, align);
			shapes++;
		}
	}
	expect_equal(shapes, GYRE_SLAB_OBJECT_MAX / 8 * 15 / 8);
	gyre__unmap(base, GYRE_SLAB_BYTES);
}

/* What a type of arrays with this alignment makes of each size. */
static void expect_classes(struct world *w, size_t align)
{
	const struct gyre_type_desc desc = {
		.size = sizeof(desc), .name = "array", .object_bytes = 8, .object_align = align,
		.trailing = { .offset = 8, .stride = 1, .length_offset = GYRE_NO_LENGTH },
	};
	const struct gyre_type *type;
	uint32_t before = 0;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	for (size_t bytes = 0; bytes <= GYRE_SLAB_OBJECT_MAX; bytes++) {
		uint32_t class = gyre__size_class(bytes);
		size_t cell;

		/* Each class is used, in order of size. */
		expect(class == before || (class == before + 1 && bytes > 0));
		expect(class < type->classes_count);
		cell = type->classes[class].shape.cell_bytes;
		expect(cell >= bytes);
		expect(cell - bytes <= bytes / 8 + (align > 16 ? align : 16));
		if (class != before)
			expect(type->classes[before].shape.cell_bytes >= bytes - 1);
		before = class;
	}
	expect_equal(before, type->classes_count - 1);
	expect_equal(type->classes[before].shape.cell_bytes, GYRE_SLAB_OBJECT_MAX);
}

static void classes_waste_little(void **state)
{
	for (size_t align = 1; align <= 64; align *= 2)
		expect_classes((struct world *)*state, align);
}

/* A new array object of bytes in all. */
static struct bytes *bytes_new(struct world *w, size_t bytes)
{
	struct bytes *b =
		(struct bytes *)gyre_new_array(w->m, w->bytes, bytes - sizeof(struct bytes));

	expect(b != NULL);
	expect_equal(b->length, bytes - sizeof(struct bytes));
	return b;
}

static void expect_large(struct world *w, size_t bytes)
{
	struct bytes *b = bytes_new(w, bytes);
	struct gyre__slab *slab = gyre__slab_of(b);

	expect(slab->class == NULL);
	expect(slab->type == w->bytes);
	expect_equal(gyre__slab_state(slab), GYRE_SLAB_LARGE);
	expect_equal(slab->shape.cells, 1);
	expect(gyre__cell_bytes(slab) >= bytes);
	expect(gyre__cell_bytes(slab) < bytes + GYRE_SLAB_BYTES);
	expect_equal(gyre__cell_index(slab, b), 0);
	expect(gyre__cell(slab, 0) == b);
	expect(gyre__word_of(b) == gyre__words(slab));
	expect((char *)(gyre__freed(slab) + gyre__bitmap_words(slab)) <= (char *)b);
	expect_equal((uintptr_t)b % 64, 0);
	expect(gyre__is_object(w->heap, b) && !gyre__is_object(w->heap, b->data));
	for (size_t i = 0; i < b->length; i += 61)
		expect(b->data[i] == 0);
	expect(b->data[b->length - 1] == 0);
	/* Its last byte is its own: the next one of the kind begins behind it. */
	b->data[b->length - 1] = 0xff;
	expect(b->data + b->length <= (unsigned char *)slab->base + slab->slabs * GYRE_SLAB_BYTES);
	expect(gyre_object_bytes(b) == gyre__cell_bytes(slab));
}

static void large_objects_have_spans(void **state)
{
	static const size_t slabs[] = { 1, 2, 3, 10, GYRE_SPAN_SLABS_MAX - 1, GYRE_SPAN_SLABS_MAX,
					GYRE_SPAN_SLABS_MAX + 1, GYRE_ARENA_SLABS + 1 };
	struct world *w = (struct world *)*state;
	uint64_t before;

	world_collect(w->m);
	before = gyre__counter_get(&w->heap->shared.bytes_mapped);
	expect_large(w, GYRE_SLAB_OBJECT_MAX + 1);
	expect_large(w, GYRE_SLAB_BYTES / 2);
	for (size_t i = 0; i < LENGTH(slabs); i++) {
		/* Round the size at which the word and the bitmaps make one more slab. */
		for (int more = -1; more <= 1; more++)
			expect_large(w, slabs[i] * GYRE_SLAB_BYTES - 64 + (size_t)more);
		/* A second round reuses what the first gave back. */
		if (i % 2 == 1)
			world_collect(w->m);
	}
	expect(gyre__counter_get(&w->heap->shared.bytes_mapped) >= before);
	world_collect(w->m);
	expect_equal(gyre__counter_get(&w->heap->shared.bytes_mapped), before);
	expect_live(w->m, 0);
}

/* Up to the largest size that has a cell, none has a span. */
static void small_objects_have_cells(void **state)
{
	struct world *w = (struct world *)*state;
	uint64_t count = 0;

	for (size_t bytes = sizeof(struct bytes); bytes <= GYRE_SLAB_OBJECT_MAX; bytes += 37) {
		struct bytes *b = bytes_new(w, bytes);
		struct gyre__slab *slab = gyre__slab_of(b);

		expect(slab->class == &w->bytes->classes[gyre__size_class(bytes)]);
		expect(gyre__cell(slab, gyre__cell_index(slab, b)) == b);
		expect(gyre__cell_bytes(slab) >= bytes);
		count++;
	}
	expect_equal(world_collect(w->m), count);
	expect(gyre__slab_of(bytes_new(w, GYRE_SLAB_OBJECT_MAX))->class != NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_fits),
		world_test(classes_waste_little),
		world_test(large_objects_have_spans),
		world_test(small_objects_have_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
