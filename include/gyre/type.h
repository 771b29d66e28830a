/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.h: how a program tells gyre where the references of its objects are.
 *
 * A type is declared, not called back: the offsets of its reference slots, fixed arrays of slots,
 * and at most one trailing array whose length is fixed at the birth of each object. The collector
 * reads the slots of an object while mutators run, so where the slots are must never depend on
 * anything that changes during the object's life. Types live as long as their heap.
 */
#ifndef GYRE_TYPE_H
#define GYRE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/slot.h>
#include <gyre/status.h>

struct gyre_heap;
struct gyre_type; /* opaque; made by gyre_type_register, owned by the heap */

/* The part of a type that inline functions read. Not for the user. */
struct gyre_type_head {
	uint32_t id;
	uint32_t cell_bytes; /* of every object, if they all have the same size */
};

/* count reference slots, one after another, the first at offset (bytes from the object's start). */
struct gyre_refs {
	size_t offset;
	size_t count;
};

/*
 * The trailing array: elements of stride bytes that begin at offset, each with the reference slots
 * in refs (offsets from the start of the element; none for an array of bytes). The number of
 * elements is given to gyre_new_array and never changes. When length_offset is not GYRE_NO_LENGTH,
 * gyre_new_array writes the number there, as a size_t; gyre itself never reads it back.
 */
struct gyre_trailing {
	size_t offset;
	size_t stride; /* 0: the type has no trailing array */
	const struct gyre_refs *refs;
	size_t refs_count;
	size_t length_offset;
};

#define GYRE_NO_LENGTH SIZE_MAX

/*
 * The second choice, for objects whose slots no table can describe. trace is called on the
 * collector thread, and on any thread that calls gyre_referents, gyre_cycle_edges or
 * gyre_garbage_write, several at once, while mutators run, and must call visit(arg, slot) once for
 * each reference slot of object. Its contract:
 *   - it names the same slots at every call from the object's birth (an all-zero object of bytes
 *     bytes) to its death; a slot that is unused holds NULL;
 *   - every slot lies inside the object;
 *   - it reads references with gyre_load only, and other fields only if they never change after the
 *     object's first publication;
 *   - it takes no lock, allocates nothing, calls nothing else of gyre, and does not block.
 * A slot outside the object is ignored, counted and logged in every build; a debug build also calls
 * trace twice and compares, and aborts with the type's name if the contract is broken.
 */
typedef void (*gyre_visit_fn)(void *arg, const gyre_ref *slot);
typedef void (*gyre_trace_fn)(const void *object, size_t bytes, gyre_visit_fn visit, void *arg);

/*
 * A finalizer: called once for an object that was found dead, before it is freed; see finalize.h.
 * The object and all that it reaches are intact; m may do all that a mutator may: store, allocate,
 * take weak cells (those of the dying read NULL), lock, park, collect, and make the object live
 * again by storing it where it is reached.
 */
struct gyre_mutator;
typedef void (*gyre_finalize_fn)(struct gyre_mutator *m, void *object);

enum gyre_type_flags {
	/*
	 * No object of this type is ever part of a cycle: it refers to nothing that can reach it
	 * again. Such objects are counted and never traced. Types without slots are known to be
	 * acyclic. A cycle through a type declared so is never reclaimed; gyre_verify reports it.
	 */
	GYRE_ACYCLIC = 1,
};

/* Describes a type. Everything it points to is copied by gyre_type_register. */
struct gyre_type_desc {
	size_t size; /* sizeof(struct gyre_type_desc), filled in by GYRE_TYPE */
	const char *name;
	size_t object_bytes; /* the fixed part: sizeof the struct */
	size_t object_align; /* a power of two, at most 64 */
	const struct gyre_refs *refs;
	size_t refs_count;
	struct gyre_trailing trailing;
	gyre_trace_fn trace;       /* then refs and trailing.refs must be empty */
	unsigned flags;            /* enum gyre_type_flags */
	gyre_finalize_fn finalize; /* NULL: none */
};

/* struct node { gyre_ref next, prev; }: GYRE_TYPE(struct node, .refs = ..., .refs_count = ...) */
#define GYRE_TYPE(T, ...)                                                                          \
	{                                                                                          \
		.size = sizeof(struct gyre_type_desc), .name = #T, .object_bytes = sizeof(T),      \
		.object_align = _Alignof(T), __VA_ARGS__                                           \
	}

/* One field that is a gyre_ref, or a fixed array of them, as an entry of a struct gyre_refs
 * array. */
#define GYRE_REF(T, field)                                                                         \
	{                                                                                          \
		offsetof(T, field), sizeof(((T *)0)->field) / sizeof(gyre_ref)                     \
	}

/* .refs and .refs_count of a desc from a list: GYRE_REFS(GYRE_REF(struct node, next), ...). */
#define GYRE_REFS(...)                                                                             \
	.refs = (const struct gyre_refs[]){ __VA_ARGS__ },                                         \
	.refs_count = sizeof((const struct gyre_refs[]){ __VA_ARGS__ }) / sizeof(struct gyre_refs)

/* A trailing flexible array member of gyre_ref, its length kept in the size_t member length. */
#define GYRE_TRAILING_REFS(T, field, length)                                                       \
	.trailing = { offsetof(T, field), sizeof(gyre_ref),                                        \
		      (const struct gyre_refs[]){ { 0, 1 } }, 1, offsetof(T, length) }

/* A trailing flexible array member without references, its length kept in the size_t member
 * length. */
#define GYRE_TRAILING_BYTES(T, field, length)                                                      \
	.trailing = { offsetof(T, field), sizeof(((T *)0)->field[0]), NULL, 0, offsetof(T, length) }

/*
 * Makes a type of heap from desc; *type is valid until the heap is closed. Any thread, attached or
 * not; not a safe point. GYRE_INVALID: a slot is misaligned, outside the fixed part or the element,
 * two slots overlap, the alignment is not a power of two or over 64, the size field is unknown.
 * GYRE_LIMIT: the heap has 65,535 types already. GYRE_NO_THREAD: the type has a finalizer, and the
 * thread for it could not be started. GYRE_NO_MEMORY, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_type_register(struct gyre_heap *heap,
					     const struct gyre_type_desc *desc,
					     const struct gyre_type **type);

/* The name the type was registered with. Any thread. */
GYRE_API const char *gyre_type_name(const struct gyre_type *type);

/* Whether objects of the type are never traced: by layout or by declaration. Any thread. */
GYRE_API bool gyre_type_is_acyclic(const struct gyre_type *type);

/* The type of an object that is valid now. Any attached thread; not a safe point. */
GYRE_API const struct gyre_type *gyre_type_of(const void *object);

/* The bytes of an object's cell: at least what was asked for at its birth. Any attached thread. */
GYRE_API size_t gyre_object_bytes(const void *object);

#endif
