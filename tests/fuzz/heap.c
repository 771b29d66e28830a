/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.c: a fuzz target: the reader of heap files, on any bytes. One thread.
 *
 * The reader takes a path, so the bytes lie in a file in memory that has one. Whatever they are,
 * the reader either hands out a graph with every index in range, or refuses with one line of text
 * and hands out nothing. A graph that was taken is written down in the format's plain form and must
 * be read back equal, plain and compressed; and a file cut short by a byte must be refused.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "heapfile.h"

/* In every build: a fuzz target without its judgement is none. */
#define must(condition)                                                                            \
	((condition) ? (void)0 :                                                                   \
		       (void)(fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,    \
				      #condition),                                                 \
			      abort()))

enum { ERROR_BYTES = 200 };

static int memory_file = -1;
static char path[64];

/* Reads the bytes as a file. A refusal leaves one line that begins with the path, and no graph. */
static bool read_bytes(struct heapfile *heap, const void *bytes, size_t length)
{
	char error[ERROR_BYTES];

	memset(error, 1, sizeof(error));
	must(ftruncate(memory_file, 0) == 0);
	must(pwrite(memory_file, bytes, length, 0) == (ssize_t)length);
	if (heapfile_read(heap, path, error, sizeof(error)))
		return true;
	must(memchr(error, 0, sizeof(error)) != NULL);
	must(strncmp(error, path, strlen(path)) == 0 && error[strlen(path)] == ':');
	must(strchr(error, '\n') == NULL);
	must(heap->objects == 0 && heap->edges == 0 && heap->roots == 0 && heap->types == 0);
	must(!heap->name && !heap->type && !heap->bytes && !heap->first && !heap->refs &&
	     !heap->root);
	return false;
}

static void check_graph(const struct heapfile *h)
{
	must(h->first[0] == 0 && h->first[h->objects] == h->edges);
	for (size_t i = 0; i < h->objects; i++)
		must(h->type[i] < h->types && h->first[i] <= h->first[i + 1]);
	for (size_t i = 0; i < h->edges; i++)
		must(h->refs[i] < h->objects);
	for (size_t i = 0; i < h->roots; i++)
		must(h->root[i] < h->objects);
	for (size_t i = 0; i < h->types; i++)
		must(h->name[i][0] != 0 && strchr(h->name[i], '\n') == NULL);
}

/* The graph in the format's plain form; the caller frees it. */
static char *write_down(const struct heapfile *h, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);

	must(out != NULL);
	fprintf(out, "heap 1 %zu %zu %zu %zu\n", h->objects, h->edges, h->roots, h->types);
	for (size_t i = 0; i < h->types; i++)
		fprintf(out, "t %s\n", h->name[i]);
	for (size_t i = 0; i < h->objects; i++) {
		fprintf(out, "o %zu %llu", h->type[i], (unsigned long long)h->bytes[i]);
		for (size_t e = h->first[i]; e < h->first[i + 1]; e++)
			fprintf(out, " %zu", h->refs[e]);
		fputc('\n', out);
	}
	for (size_t i = 0; i < h->roots; i++)
		fprintf(out, "r %zu\n", h->root[i]);
	must(fclose(out) == 0);
	return text;
}

static bool same_words(const void *a, const void *b, size_t count)
{
	return count == 0 || memcmp(a, b, count * sizeof(size_t)) == 0;
}

static void must_be_equal(const struct heapfile *a, const struct heapfile *b)
{
	must(a->objects == b->objects && a->edges == b->edges && a->roots == b->roots &&
	     a->types == b->types);
	must(same_words(a->type, b->type, a->objects));
	must(same_words(a->first, b->first, a->objects + 1));
	must(same_words(a->refs, b->refs, a->edges));
	must(same_words(a->root, b->root, a->roots));
	for (size_t i = 0; i < a->objects; i++)
		must(a->bytes[i] == b->bytes[i]);
	for (size_t i = 0; i < a->types; i++)
		must(strcmp(a->name[i], b->name[i]) == 0);
}

/* Packs the text as gzip does; the caller frees it. */
static unsigned char *pack(const char *text, size_t length, size_t *packed)
{
	z_stream stream = { .next_in = (unsigned char *)text, .avail_in = (uInt)length };
	unsigned char *bytes;

	must(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 1, Z_DEFAULT_STRATEGY) == Z_OK);
	*packed = deflateBound(&stream, length);
	bytes = malloc(*packed);
	must(bytes != NULL);
	stream.next_out = bytes;
	stream.avail_out = (uInt)*packed;
	must(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	*packed = stream.total_out;
	deflateEnd(&stream);
	return bytes;
}

static void read_back(const struct heapfile *h, const void *bytes, size_t length)
{
	struct heapfile again;

	must(read_bytes(&again, bytes, length));
	must_be_equal(h, &again);
	heapfile_free(&again);
	must(!read_bytes(&again, bytes, length - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct heapfile heap;
	unsigned char *packed;
	size_t text_length, packed_length;
	char *text;

	if (memory_file < 0) {
		memory_file = memfd_create("heap", MFD_CLOEXEC);
		must(memory_file >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", memory_file);
	}
	if (!read_bytes(&heap, bytes, length))
		return 0;
	check_graph(&heap);
	text = write_down(&heap, &text_length);
	packed = pack(text, text_length, &packed_length);
	read_back(&heap, text, text_length);
	read_back(&heap, packed, packed_length);
	heapfile_free(&heap);
	free(packed);
	free(text);
	return 0;
}
