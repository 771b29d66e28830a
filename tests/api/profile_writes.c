/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile_writes.c: a program with known sites that writes its profile in both formats, to the
 * files that it is called with, and prints what must be in them: "place type" and the four values
 * of pprof. check_profile.py reads the files with a decoder of its own and compares.
 */
#include "profiled.h"

#include <fcntl.h>

NODE_PLACE(make_kept)
NODE_PLACE(make_garbage)
BYTES_PLACE(make_arrays)

enum { KEPT = 300, GARBAGE = 1000, ARRAYS = 200, ARRAY_BYTES = 40000 };

static void write_to(const struct gyre_profile *p, enum gyre_profile_format format,
		     const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	expect(fd >= 0);
	expect_ok(gyre_profile_write(p, format, fd));
	expect(close(fd) == 0);
}

static void print_place(const struct gyre_profile *p, const char *place, const char *type)
{
	struct gyre_profile_site site = profile_of(p, place);

	printf("%s\t%s\t%llu\t%llu\t%llu\t%llu\n", place, type,
	       (unsigned long long)site.live.objects, (unsigned long long)site.live.bytes,
	       (unsigned long long)site.allocated.objects,
	       (unsigned long long)site.allocated.bytes);
}

static void run(struct world *w, const char *pprof, const char *folded)
{
	struct gyre_root root;
	struct refs *all = refs_new(w, w->m, KEPT + ARRAYS);
	struct gyre_profile *p;

	expect_ok(gyre_root_init(w->m, &root, all));
	expect_ok(gyre_profile_start(w->heap, 1));
	for (int i = 0; i < KEPT; i++)
		expect_ok(gyre_init(w->m, &all->items[i], make_kept(w, w->m)));
	for (int i = 0; i < GARBAGE; i++)
		make_garbage(w, w->m);
	for (int i = 0; i < ARRAYS; i++) {
		struct bytes *b = make_arrays(w, w->m, ARRAY_BYTES);

		if (i % 2)
			expect_ok(gyre_init(w->m, &all->items[KEPT + i], b));
	}
	world_collect(w->m);
	p = profile_take(w, 0);
	expect_equal(profile_of(p, "make_kept").live.objects, KEPT);
	write_to(p, GYRE_PROFILE_PPROF, pprof);
	write_to(p, GYRE_PROFILE_FOLDED, folded);
	print_place(p, "make_kept", "struct node");
	print_place(p, "make_garbage", "struct node");
	print_place(p, "make_arrays", "struct bytes");
	gyre_profile_free(p);
	expect_ok(gyre_root_drop(w->m, &root));
}

int main(int argc, char **argv)
{
	struct gyre_options options;
	struct world *w;

	if (argc != 3)
		return 2;
	gyre_options_init(&options);
	w = world_make(&options);
	run(w, argv[1], argv[2]);
	world_end(w);
	return 0;
}
