/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_heapfile.c: the reader of heap files, on files that are good and on files that lie.
 *
 * Each case is written to a file of its own in the system's directory for such, plain or
 * compressed, and read back. A refusal must name the line that is wrong and leave nothing
 * allocated.
 */
#include "heapfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char good_text[] = "heap 1 4 5 2 2\n"
				"t first kind\n"
				"t second\n"
				"o 0 48 1 1 3\n"
				"o 1 0 1\n"
				"o 0 18446744073709551615\n"
				"o 1 16 0\n"
				"r 0\n"
				"r 0\n";

static void write_bytes(char *path, const void *bytes, size_t length)
{
	static const char stem[] = "/tmp/gyre-heapfile-";
	int fd;

	sprintf(path, "%s%.6d", stem, 0);
	memset(path + strlen(stem), 'X', 6); /* what mkstemp replaces */
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
	close(fd);
}

/* Reads the bytes as a file; true if they were taken. error gets the text without the path. */
static bool read_bytes(struct heapfile *heap, const void *bytes, size_t length, char *error)
{
	char path[64], text[512] = "";
	bool good;

	write_bytes(path, bytes, length);
	good = heapfile_read(heap, path, text, sizeof(text));
	unlink(path);
	if (good)
		return true;
	assert_int_equal(strncmp(text, path, strlen(path)), 0);
	strcpy(error, text + strlen(path));
	assert_null(heap->first);
	assert_null(heap->refs);
	assert_int_equal(heap->objects, 0);
	return false;
}

static void check_good(const struct heapfile *h)
{
	static const size_t first[] = { 0, 3, 4, 4, 5 }, refs[] = { 1, 1, 3, 1, 0 };

	assert_int_equal(h->objects, 4);
	assert_int_equal(h->edges, 5);
	assert_int_equal(h->roots, 2);
	assert_int_equal(h->types, 2);
	assert_string_equal(h->name[0], "first kind");
	assert_string_equal(h->name[1], "second");
	assert_memory_equal(h->first, first, sizeof(first));
	assert_memory_equal(h->refs, refs, sizeof(refs));
	assert_int_equal(h->type[1], 1);
	assert_true(h->bytes[2] == UINT64_MAX);
	assert_int_equal(h->root[1], 0);
}

static void test_plain(void **state)
{
	struct heapfile heap;
	char error[512];

	(void)state;
	assert_true(read_bytes(&heap, good_text, strlen(good_text), error));
	check_good(&heap);
	heapfile_free(&heap);
	assert_null(heap.refs);
}

/* The good text compressed; returns the length of what is in bytes. */
static size_t compress_good(unsigned char *bytes, size_t room)
{
	char path[64];
	FILE *file;
	gzFile out;
	size_t length;

	write_bytes(path, "", 0);
	out = gzopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(gzwrite(out, good_text, (unsigned)strlen(good_text)), strlen(good_text));
	assert_int_equal(gzclose(out), Z_OK);
	file = fopen(path, "rb");
	assert_non_null(file);
	length = fread(bytes, 1, room, file);
	fclose(file);
	unlink(path);
	return length;
}

/* Whole it is read; cut off anywhere or with a changed byte in its data it is never half a
 * graph. */
static void test_compressed(void **state)
{
	unsigned char bytes[1024], damaged[1024];
	struct heapfile heap;
	char error[512];
	size_t length = compress_good(bytes, sizeof(bytes));

	(void)state;
	assert_true(read_bytes(&heap, bytes, length, error));
	check_good(&heap);
	heapfile_free(&heap);
	for (size_t cut = 0; cut < length; cut++)
		assert_false(read_bytes(&heap, bytes, cut, error));
	for (size_t at = 10; at < length; at++) {
		memcpy(damaged, bytes, length);
		damaged[at] ^= 0x11;
		assert_false(read_bytes(&heap, damaged, length, error));
	}
}

/* Every prefix of a good file is refused: no count may be believed. */
static void test_prefixes(void **state)
{
	struct heapfile heap;
	char error[512];

	(void)state;
	for (size_t cut = 0; cut < strlen(good_text); cut++)
		assert_false(read_bytes(&heap, good_text, cut, error));
}

static const char second_text[] = "heap 2 3 2 4 1 2 1\n"
				  "t kind\n"
				  "s one.c:7\n"
				  "s two.c:9\n"
				  "n main thread\n"
				  "o 0 48 1\n"
				  "o 0 16 2\n"
				  "i 4096 3 1\n"
				  "o 0 16\n"
				  "r 0\n"
				  "r 0 8192 0\n"
				  "f 1 0 0\n"
				  "x 2\n";

/* What version 2 adds; what a line leaves out is not known. */
static void test_second_version(void **state)
{
	struct heapfile heap;
	char error[512];

	(void)state;
	assert_true(read_bytes(&heap, second_text, strlen(second_text), error));
	assert_int_equal(heap.sites, 2);
	assert_string_equal(heap.site[1], "two.c:9");
	assert_int_equal(heap.labels, 1);
	assert_string_equal(heap.label[0], "main thread");
	assert_non_null(heap.detail);
	assert_int_equal(heap.detail[0].address, 0);
	assert_true(heap.detail[0].site == HEAPFILE_NONE);
	assert_int_equal(heap.detail[1].address, 4096);
	assert_int_equal(heap.detail[1].count, 3);
	assert_int_equal(heap.detail[1].site, 1);
	assert_true(heap.detail[2].site == HEAPFILE_NONE);
	assert_int_equal(heap.held[0].holder, HEAPFILE_ROOT);
	assert_true(heap.held[0].label == HEAPFILE_NONE);
	assert_int_equal(heap.held[1].address, 8192);
	assert_int_equal(heap.held[1].label, 0);
	assert_int_equal(heap.held[2].holder, HEAPFILE_FRAME);
	assert_int_equal(heap.held[2].label, 0);
	assert_int_equal(heap.held[3].holder, HEAPFILE_OTHER);
	assert_int_equal(heap.root[3], 2);
	heapfile_free(&heap);
	for (size_t cut = 0; cut < strlen(second_text); cut++)
		assert_false(read_bytes(&heap, second_text, cut, error));
}

static void test_second_refused(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "heap 2 0 0 0 0\n", ":1: the number of sites is missing" },
		{ "heap 2 0 0 0 0 0\n", ":1: the number of labels is missing" },
		{ "heap 2 0 0 0 0 0 0 0\n", ":1: unexpected character 0x20" },
		{ "heap 2 0 0 0 0 1 0\n",
		  ":2: the first line announces 1 sites, but the file has 0" },
		{ "heap 2 0 0 0 0 0 1\n",
		  ":2: the first line announces 1 labels, but the file has 0" },
		{ "heap 2 0 0 0 0 0 0\ns a\n", ":2: more sites than the 0 announced" },
		{ "heap 2 0 0 0 0 0 0\nn a\n", ":2: more labels than the 0 announced" },
		{ "heap 2 0 0 0 0 0 0\ni 1 1\n",
		  ":2: more about an object, but there is none in front of it" },
		{ "heap 2 1 0 0 1 0 0\nt a\no 0 8\ni 1 1\ni 1 1\n",
		  ":5: more about an object, but there is none in front of it" },
		{ "heap 2 1 0 0 1 0 0\nt a\no 0 8\ni 1\n",
		  ":4: the count of the object is missing" },
		{ "heap 2 1 0 0 1 1 0\nt a\ns a\no 0 8\ni 1 1 1\n",
		  ":5: the number of the site is 1, but there are only 1" },
		{ "heap 2 1 0 1 1 0 0\nt a\no 0 8\nf 0 0 0\n",
		  ":4: the number of the label is 0, but there are only 0" },
		{ "heap 2 1 0 1 1 0 0\nt a\no 0 8\nx 1\n",
		  ":4: the number of the root is 1, but there are only 1" },
		{ "heap 2 0 0 0 0 0 0\nz\n",
		  ":2: a line begins with one of \"tsnoirfx\", not with 0x7a" },
		{ "heap 1 1 0 1 1\nt a\no 0 8\nr 0 0\n", ":4: unexpected character 0x20" },
		{ "heap 1 1 0 1 1\nt a\no 0 8\nf 0\n",
		  ":4: a line begins with 't', 'o' or 'r', not with 0x66" },
	};
	struct heapfile heap;
	char error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(read_bytes(&heap, cases[i].text, strlen(cases[i].text), error));
		assert_string_equal(error, cases[i].error);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", ": the file is empty" },
		{ "hello\n", ":1: not a heap file: it does not begin with \"heap\"" },
		{ "heap 3 0 0 0 0\n",
		  ":1: version 3 of the format is not known, only 1 and 2 are" },
		{ "heap 1 0 0 0\n", ":1: the number of types is missing" },
		{ "heap 1 0 0 0 0 0\n", ":1: unexpected character 0x20" },
		{ "heap 1 0 0 0 0\r\n", ":1: unexpected character 0x0d" },
		{ "heap 1 18446744073709551615 0 0 0\n",
		  ":1: the number of objects is more than a machine can hold" },
		{ "heap 1 18446744073709551616 0 0 0\n", ":1: the number of objects is too large" },
		{ "heap 1 -1 0 0 0\n", ":1: the number of objects is not a number" },
		{ "heap 1 1000000000000 0 0 1\nt a\no 0 8\n",
		  ":4: the first line announces 1000000000000 objects, but the file has 1" },
		{ "heap 1 1 0 0 1\nt a\no 1 8\n",
		  ":3: the number of the type is 1, but there are only 1" },
		{ "heap 1 1 1 0 1\nt a\no 0 8 1\n",
		  ":3: the number of a referent is 1, but there are only 1" },
		{ "heap 1 1 0 1 1\nt a\no 0 8\n",
		  ":4: the first line announces 1 roots, but the file has 0" },
		{ "heap 1 1 0 1 1\nt a\no 0 8\nr 1\n",
		  ":4: the number of the root is 1, but there are only 1" },
		{ "heap 1 1 0 0 1\nt a\no 0 8\nr 0\n", ":4: more roots than the 0 announced" },
		{ "heap 1 1 0 0 1\nt a\no 0 8 0\n", ":3: more edges than the 0 announced" },
		{ "heap 1 1 0 0 1\nt a\no 0 8\no 0 8\n", ":4: more objects than the 1 announced" },
		{ "heap 1 0 0 0 1\nt a\nt b\n", ":3: more types than the 1 announced" },
		{ "heap 1 0 0 0 2\nt a\n",
		  ":3: the first line announces 2 types, but the file has 1" },
		{ "heap 1 0 0 0 1\nt \n", ":2: the name of the type is empty" },
		{ "heap 1 0 0 0 0\n\n", ":2: a line begins with 't', 'o' or 'r', not with 0x0a" },
		{ "heap 1 0 0 0 0\ngarbage\n",
		  ":2: a line begins with 't', 'o' or 'r', not with 0x67" },
		{ "heap 1 1 1 0 1\nt a\no 0 8  0\n",
		  ":3: the number of a referent is not a number" },
		{ "heap 1 1 0 0 1\nt a\no 0 8x\n", ":3: unexpected character 0x78" },
		{ "heap 1 1 0 0 1\nt a\no 0 99999999999999999999\n",
		  ":3: the size of the object is too large" },
	};
	struct heapfile heap;
	char error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(read_bytes(&heap, cases[i].text, strlen(cases[i].text), error));
		assert_string_equal(error, cases[i].error);
	}
}

static void test_long_name(void **state)
{
	struct heapfile heap;
	char text[8192], error[512];
	size_t head = (size_t)sprintf(text, "heap 1 0 0 0 1\nt ");

	(void)state;
	memset(text + head, 'n', 4095);
	text[head + 4095] = '\n';
	assert_true(read_bytes(&heap, text, head + 4096, error));
	assert_int_equal(strlen(heap.name[0]), 4095);
	heapfile_free(&heap);
	memset(text + head, 'n', 4096);
	text[head + 4096] = '\n';
	assert_false(read_bytes(&heap, text, head + 4097, error));
	assert_string_equal(error, ":2: the name of the type is over 4095 bytes");
	memcpy(text + head, "a\0b\n", 4);
	assert_false(read_bytes(&heap, text, head + 4, error));
	assert_string_equal(error, ":2: the name of the type holds a zero byte");
}

/* One object with a fan-out that no array of fixed size would hold, itself among its referents. */
static void test_fan_out(void **state)
{
	enum { FAN_OUT = 300000 };
	char *text = malloc(FAN_OUT * 2 + 64), error[512];
	struct heapfile heap;
	size_t length;

	(void)state;
	assert_non_null(text);
	length = (size_t)sprintf(text, "heap 1 1 %d 0 1\nt a\no 0 0", FAN_OUT);
	for (int i = 0; i < FAN_OUT; i++) {
		text[length++] = ' ';
		text[length++] = '0';
	}
	text[length++] = '\n';
	assert_true(read_bytes(&heap, text, length, error));
	assert_int_equal(heap.first[1], FAN_OUT);
	heapfile_free(&heap);
	free(text);
}

static void test_unreadable(void **state)
{
	struct heapfile heap;
	char error[512];

	(void)state;
	assert_false(heapfile_read(&heap, "/nonexistent/heap", error, sizeof(error)));
	assert_string_equal(error, "/nonexistent/heap: No such file or directory");
	assert_false(heapfile_read(&heap, "/", error, sizeof(error)));
	assert_string_equal(error, "/: Is a directory");
	/* The text of an error is cut, never written past its end. */
	memset(error, 'x', sizeof(error));
	assert_false(heapfile_read(&heap, "/nonexistent/heap", error, 8));
	assert_string_equal(error, "/nonexi");
	assert_int_equal(error[8], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),          cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_prefixes),       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_name),      cmocka_unit_test(test_fan_out),
		cmocka_unit_test(test_unreadable),     cmocka_unit_test(test_second_version),
		cmocka_unit_test(test_second_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
