/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.c: checking and compiling type descriptions. Any thread; the registry's lock guards the
 * list.
 *
 * Invariant: every offset that the collector will follow has been checked here to lie, aligned, in
 * the part of the object that every object of the type has.
 */
#include "type.h"

#include <stdlib.h>
#include <string.h>

#include "heap.h"

#define ALIGN_MAX 64
#define SIZE_CLASSES 64 /* 8 of 16 to 128 bytes, then 8 to each doubling up to 16 KiB */

uint32_t gyre__size_class(size_t bytes)
{
	uint32_t exponent;

	if (bytes <= 128)
		return bytes == 0 ? 0 : (uint32_t)((bytes + 15) / 16 - 1);
	exponent = 63 - (uint32_t)__builtin_clzll(bytes - 1);
	return 8 + (exponent - 7) * 8 +
	       (uint32_t)((bytes - 1 - ((size_t)1 << exponent)) >> (exponent - 3));
}

static size_t size_of_class(uint32_t class)
{
	uint32_t exponent, step;

	if (class < 8)
		return (class + 1) * (size_t)16;
	exponent = 7 + (class - 8) / 8;
	step = (class - 8) % 8;
	return ((size_t)1 << exponent) + ((size_t)(step + 1) << (exponent - 3));
}

/* The slots of refs lie in bytes, aligned and apart; *count gets their number. */
static bool refs_valid(const struct gyre_refs *refs, size_t refs_count, size_t bytes, size_t *count)
{
	size_t i, j;

	*count = 0;
	if (refs_count > 0 && refs == NULL)
		return false;
	for (i = 0; i < refs_count; i++) {
		size_t end;

		if (refs[i].offset % _Alignof(gyre_ref) != 0 || refs[i].offset > bytes ||
		    refs[i].count > (bytes - refs[i].offset) / sizeof(gyre_ref))
			return false;
		end = refs[i].offset + refs[i].count * sizeof(gyre_ref);
		for (j = 0; j < i; j++)
			if (refs[i].offset < refs[j].offset + refs[j].count * sizeof(gyre_ref) &&
			    refs[j].offset < end)
				return false;
		*count += refs[i].count;
	}
	return true;
}

static bool trailing_valid(const struct gyre_type_desc *desc, size_t *count)
{
	const struct gyre_trailing *t = &desc->trailing;

	*count = 0;
	if (t->stride == 0)
		return t->refs_count == 0;
	if (t->offset > desc->object_bytes + ALIGN_MAX || t->offset > UINT32_MAX ||
	    t->stride > UINT32_MAX)
		return false;
	if (t->length_offset != GYRE_NO_LENGTH &&
	    (t->length_offset % _Alignof(size_t) != 0 || t->length_offset > t->offset ||
	     t->offset - t->length_offset < sizeof(size_t)))
		return false;
	if (!refs_valid(t->refs, t->refs_count, t->stride, count))
		return false;
	return *count == 0 ||
	       (t->offset % _Alignof(gyre_ref) == 0 && t->stride % _Alignof(gyre_ref) == 0);
}

/* Slots of the fixed part must end before the trailing array begins. */
static bool parts_apart(const struct gyre_type_desc *desc)
{
	size_t i;

	if (desc->trailing.stride == 0)
		return true;
	for (i = 0; i < desc->refs_count; i++)
		if (desc->refs[i].offset + desc->refs[i].count * sizeof(gyre_ref) >
		    desc->trailing.offset)
			return false;
	return true;
}

static bool desc_valid(const struct gyre_type_desc *desc, size_t *fixed, size_t *element)
{
	size_t align = desc->object_align;

	/* The sizes there have been. */
	if (desc->size != sizeof(*desc) && desc->size != offsetof(struct gyre_type_desc, finalize))
		return false;
	if (desc->name == NULL || desc->object_bytes > PTRDIFF_MAX / 2)
		return false;
	if (align == 0 || (align & (align - 1)) != 0 || align > ALIGN_MAX)
		return false;
	if ((desc->flags & ~(unsigned)GYRE_ACYCLIC) != 0)
		return false;
	if (!refs_valid(desc->refs, desc->refs_count, desc->object_bytes, fixed) ||
	    !trailing_valid(desc, element) || !parts_apart(desc))
		return false;
	if (*fixed > UINT32_MAX / sizeof(uint32_t) || desc->object_bytes > UINT32_MAX)
		return *fixed == 0 && desc->trace == NULL;
	return desc->trace == NULL || (*fixed == 0 && *element == 0);
}

static bool compile_offsets(const struct gyre_refs *refs, size_t refs_count, size_t count,
			    uint32_t **offsets)
{
	size_t i, j, n = 0;

	*offsets = NULL;
	if (count == 0)
		return true;
	*offsets = malloc(count * sizeof(**offsets));
	if (*offsets == NULL)
		return false;
	for (i = 0; i < refs_count; i++)
		for (j = 0; j < refs[i].count; j++)
			(*offsets)[n++] = (uint32_t)(refs[i].offset + j * sizeof(gyre_ref));
	return true;
}

static size_t round_up(size_t bytes, size_t align)
{
	return (bytes + align - 1) & ~(align - 1);
}

static bool compile_classes(struct gyre_type *type)
{
	size_t align = type->object_align < 8 ? 8 : type->object_align;
	size_t bytes = type->object_bytes < 8 ? 8 : type->object_bytes;
	uint32_t i;

	if (type->trailing_stride == 0) {
		if (bytes > GYRE_SLAB_OBJECT_MAX)
			return true;
		type->classes_count = 1;
	} else {
		type->classes_count = SIZE_CLASSES;
	}
	type->classes = calloc(type->classes_count, sizeof(*type->classes));
	if (type->classes == NULL)
		return false;
	for (i = 0; i < type->classes_count; i++) {
		size_t size = type->trailing_stride == 0 ? bytes : size_of_class(i);

		gyre__shape_compute(&type->classes[i].shape, round_up(size, align), align);
	}
	if (type->classes_count == 1)
		type->head.cell_bytes = type->classes[0].shape.cell_bytes;
	return true;
}

static void type_free(struct gyre_type *type)
{
	if (type == NULL)
		return;
	free(type->name);
	free(type->offsets);
	free(type->element_offsets);
	free(type->classes);
	free(type);
}

static struct gyre_type *compile(struct gyre_heap *heap, const struct gyre_type_desc *desc,
				 size_t fixed, size_t element)
{
	struct gyre_type *type = calloc(1, sizeof(*type) + sizeof(*type->counted));

	if (type == NULL)
		return NULL;
	type->counted = (struct gyre__type_counters *)(type + 1);
	type->heap = heap;
	type->object_bytes = desc->object_bytes;
	type->object_align = desc->object_align;
	type->trace = desc->trace;
	type->finalize = desc->size == sizeof(*desc) ? desc->finalize : NULL;
	type->trailing_offset = desc->trailing.offset;
	type->trailing_stride = desc->trailing.stride;
	type->trailing_length_offset = desc->trailing.length_offset;
	type->offsets_count = (uint32_t)fixed;
	type->element_count = (uint32_t)element;
	type->declared_acyclic = (desc->flags & GYRE_ACYCLIC) != 0;
	type->acyclic =
		type->declared_acyclic || (fixed == 0 && element == 0 && desc->trace == NULL);
	type->name = strdup(desc->name);
	if (type->name == NULL ||
	    !compile_offsets(desc->refs, desc->refs_count, fixed, &type->offsets) ||
	    !compile_offsets(desc->trailing.refs, desc->trailing.refs_count, element,
			     &type->element_offsets) ||
	    !compile_classes(type)) {
		type_free(type);
		return NULL;
	}
	return type;
}

enum gyre_status gyre_type_register(struct gyre_heap *heap, const struct gyre_type_desc *desc,
				    const struct gyre_type **type)
{
	struct gyre_type *made;
	size_t fixed, element;
	bool listed;

	if (heap == NULL || desc == NULL || type == NULL || !desc_valid(desc, &fixed, &element))
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	made = compile(heap, desc, fixed, element);
	if (made == NULL)
		return GYRE_NO_MEMORY;
	if (made->finalize != NULL && !gyre__finalizer_start(heap)) {
		type_free(made);
		return GYRE_NO_THREAD;
	}
	gyre__lock_take(&heap->registry.lock);
	listed = heap->types_count < GYRE_TYPES_MAX;
	if (listed) {
		made->head.id = heap->types_count++;
		made->next = heap->types;
		heap->types = made;
	}
	gyre__lock_drop(&heap->registry.lock);
	if (!listed) {
		type_free(made);
		return GYRE_LIMIT;
	}
	*type = made;
	return GYRE_OK;
}

void gyre__types_destroy(struct gyre_heap *heap)
{
	while (heap->types != NULL) {
		struct gyre_type *type = heap->types;

		heap->types = type->next;
		type_free(type);
	}
}

uint32_t gyre__types_count(struct gyre_heap *heap)
{
	uint32_t count;

	gyre__lock_take(&heap->registry.lock);
	count = heap->types_count;
	gyre__lock_drop(&heap->registry.lock);
	return count;
}

const struct gyre_type *gyre_type_next(struct gyre_heap *heap, const struct gyre_type *type)
{
	/* In the child of a fork the lock is held for ever. */
	if (heap == NULL || gyre__frozen(heap))
		return NULL;
	if (type != NULL)
		return type->next;
	gyre__lock_take(&heap->registry.lock);
	type = heap->types;
	gyre__lock_drop(&heap->registry.lock);
	return type;
}

const char *gyre_type_name(const struct gyre_type *type)
{
	return type->name;
}

bool gyre_type_is_acyclic(const struct gyre_type *type)
{
	return type->acyclic;
}

const struct gyre_type *gyre_type_of(const void *object)
{
	return gyre__locator_of(object)->type;
}

size_t gyre_object_bytes(const void *object)
{
	return gyre__cell_bytes(gyre__slab_of(object));
}
