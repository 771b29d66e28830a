/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * program.c: what run.sh looks at with gdb: a heap of known objects that stands still in
 * stop_here. Main thread.
 */
#include <gyre/gyre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct thing {
	gyre_ref self, other;
};

struct gyre_heap *the_heap;
struct gyre_mutator *the_mutator;
struct thing *the_thing;
struct gyre_weak *the_cell;
void *the_large;

__attribute__((noinline)) void stop_here(void);

void stop_here(void)
{
	/* Not empty, so that the call stays. */
	fflush(stdout);
}

static void must(enum gyre_status status)
{
	if (status == GYRE_OK)
		return;
	fprintf(stderr, "%s\n", gyre_status_text(status));
	exit(1);
}

int main(void)
{
	const struct gyre_type_desc thing =
		GYRE_TYPE(struct thing, GYRE_REFS(GYRE_REF(struct thing, self),
						  GYRE_REF(struct thing, other)));
	const struct gyre_type_desc large = { .size = sizeof(large),
					      .name = "large",
					      .object_bytes = 100000,
					      .object_align = 8 };
	const struct gyre_type *thing_type, *large_type;
	struct gyre_options options;
	struct gyre_root roots[3];

	gyre_options_init(&options);
	options.name = "watched";
	if (getenv("GYRE_TEST_ENGINE") && strcmp(getenv("GYRE_TEST_ENGINE"), "recycler") == 0)
		options.engine = GYRE_ENGINE_RECYCLER;
	must(gyre_heap_open(&the_heap, &options));
	must(gyre_type_register(the_heap, &thing, &thing_type));
	must(gyre_type_register(the_heap, &large, &large_type));
	must(gyre_attach(the_heap, 0, &the_mutator));
	gyre_mutator_name(the_mutator, "watcher");
	the_thing = gyre_new(the_mutator, thing_type);
	the_large = gyre_new(the_mutator, large_type);
	if (the_thing == NULL || the_large == NULL)
		return 1;
	/* Counted three times: by a root and by two slots. */
	must(gyre_root_init(the_mutator, &roots[0], the_thing));
	must(gyre_store(the_mutator, &the_thing->self, the_thing));
	must(gyre_store(the_mutator, &the_thing->other, the_thing));
	must(gyre_root_init(the_mutator, &roots[1], the_large));
	the_cell = gyre_weak_of(the_mutator, the_thing);
	must(gyre_root_init(the_mutator, &roots[2], the_cell));
	must(gyre_collect(the_mutator, NULL));
	stop_here();
	for (int i = 0; i < 3; i++)
		must(gyre_root_drop(the_mutator, &roots[i]));
	must(gyre_detach(the_mutator));
	must(gyre_heap_close(the_heap));
	return 0;
}
