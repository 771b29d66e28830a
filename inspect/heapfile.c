/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heapfile.c: the reader of object graphs, made for files that nobody vouches for.
 *
 * Runs on the thread that calls heapfile_read. It looks at one character at a time, so a line may
 * be of any length; every number is checked for overflow as it is read, and every index against the
 * count in the first line, whose counts are compared with what was there at the end. The first
 * error is the one reported, and nothing is read after it.
 */
#include "heapfile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define NAME_BYTES_MAX                                                                             \
	4096 /* of a type's name, its end included: longer is no name but an attack */

struct reader {
	gzFile file;
	const char *path;
	struct heapfile *heap;
	size_t declared_objects, declared_edges, declared_roots, declared_types;
	size_t declared_sites, declared_labels;
	size_t name_room, site_room, label_room, type_room, bytes_room, first_room, refs_room;
	size_t root_room, held_room, detail_room;
	size_t detailed; /* objects that detail has an entry for */
	uint64_t version;
	uint64_t line; /* the one being read, from 1 */
	bool failed, ended;
	char *error;
	size_t error_bytes;
	size_t at, filled;
	unsigned char buffer[64 * 1024];
};

/* Keeps the first error only: what follows it is a consequence. Always false. */
__attribute__((format(printf, 3, 4))) static bool refuse(struct reader *r, bool with_line,
							 const char *format, ...)
{
	va_list list;
	int used;

	if (r->failed)
		return false;
	r->failed = true;
	if (with_line)
		used = snprintf(r->error, r->error_bytes, "%s:%llu: ", r->path,
				(unsigned long long)r->line);
	else
		used = snprintf(r->error, r->error_bytes, "%s: ", r->path);
	if (used < 0 || (size_t)used >= r->error_bytes)
		return false;
	va_start(list, format);
	vsnprintf(r->error + used, r->error_bytes - (size_t)used, format, list);
	va_end(list);
	return false;
}

/* An error of the system or of the compressed stream, from the last call of zlib. */
static bool refuse_stream(struct reader *r)
{
	int code = Z_OK;
	const char *text = gzerror(r->file, &code);

	if (code == Z_ERRNO)
		return refuse(r, false, "%s", strerror(errno));
	if (code == Z_BUF_ERROR)
		return refuse(r, true, "the compressed file ends in the middle");
	return refuse(r, true, "the compressed file is damaged: %s", text);
}

/* Gets the next piece of the file; false at its end and after an error. */
static bool fill(struct reader *r)
{
	int got, code = Z_OK;

	if (r->failed || r->ended)
		return false;
	got = gzread(r->file, r->buffer, sizeof(r->buffer));
	if (got < 0)
		return refuse_stream(r);
	r->at = 0;
	r->filled = (size_t)got;
	if (got > 0)
		return true;
	r->ended = true;
	/* A stream that is cut off reads like one that ends, but for what gzerror says. */
	gzerror(r->file, &code);
	return code == Z_OK || code == Z_STREAM_END ? false : refuse_stream(r);
}

/* The next character without taking it; -1 at the end. */
static int peek(struct reader *r)
{
	if (r->at == r->filled && !fill(r))
		return -1;
	return r->buffer[r->at];
}

/* Takes the next character if it is c. */
static bool take(struct reader *r, int c)
{
	if (peek(r) != c)
		return false;
	r->at++;
	return true;
}

static bool take_end_of_line(struct reader *r)
{
	if (take(r, '\n')) {
		r->line++;
		return true;
	}
	if (peek(r) < 0)
		return refuse(r, true, "the file ends in the middle of a line");
	return refuse(r, true, "unexpected character 0x%02x", (unsigned)peek(r));
}

static bool take_word(struct reader *r, const char *word)
{
	for (; *word != '\0'; word++)
		if (!take(r, (unsigned char)*word))
			return false;
	return true;
}

/* A space and a decimal number. what: its name in the error. */
static bool take_number(struct reader *r, const char *what, uint64_t *number)
{
	uint64_t value = 0;
	bool digits = false;
	int c;

	if (!take(r, ' '))
		return refuse(r, true, "%s is missing", what);
	while ((c = peek(r)) >= '0' && c <= '9') {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
			return refuse(r, true, "%s is too large", what);
		digits = true;
		r->at++;
	}
	*number = value;
	return digits || refuse(r, true, "%s is not a number", what);
}

/* The same for a number that must be below bound. */
static bool take_index(struct reader *r, const char *what, size_t bound, size_t *index)
{
	uint64_t number;

	if (!take_number(r, what, &number))
		return false;
	if (number >= bound)
		return refuse(r, true, "%s is %llu, but there are only %zu", what,
			      (unsigned long long)number, bound);
	*index = (size_t)number;
	return true;
}

/* The same for a count in the first line: an array of it must be thinkable at least. */
static bool take_count(struct reader *r, const char *what, size_t *count)
{
	uint64_t number;

	if (!take_number(r, what, &number))
		return false;
	if (number > SIZE_MAX / sizeof(uint64_t) - 1)
		return refuse(r, true, "%s is more than a machine can hold", what);
	*count = (size_t)number;
	return true;
}

/* An array with room for one element more after used of them, or NULL. Doubles, so that it is
 * linear. */
static void *grow(struct reader *r, void *array, size_t used, size_t *room, size_t element)
{
	size_t wanted, bytes;
	void *grown;

	if (used < *room)
		return array;
	wanted = *room < 16 ? 16 : *room * 2;
	grown = NULL;
	if (wanted > *room && !__builtin_mul_overflow(wanted, element, &bytes))
		grown = realloc(array, bytes);
	if (grown == NULL) {
		refuse(r, true, "no memory for %zu records", used);
		return NULL;
	}
	*room = wanted;
	return grown;
}

/* " NAME" after what begins the line: the rest of it. kind: what it is the name of. */
static bool read_name(struct reader *r, const char *kind, size_t declared, char ***list,
		      size_t *count, size_t *room)
{
	char name[NAME_BYTES_MAX];
	char **names;
	size_t length = 0;
	int c;

	if (*count == declared)
		return refuse(r, true, "more %ss than the %zu announced", kind, declared);
	if (!take(r, ' '))
		return refuse(r, true, "the name of the %s is missing", kind);
	while ((c = peek(r)) >= 0 && c != '\n') {
		if (c == '\0')
			return refuse(r, true, "the name of the %s holds a zero byte", kind);
		if (length == sizeof(name) - 1)
			return refuse(r, true, "the name of the %s is over %zu bytes", kind,
				      sizeof(name) - 1);
		name[length++] = (char)c;
		r->at++;
	}
	name[length] = '\0';
	if (length == 0)
		return refuse(r, true, "the name of the %s is empty", kind);
	names = grow(r, *list, *count, room, sizeof(*names));
	if (names == NULL)
		return false;
	*list = names;
	names[*count] = strdup(name);
	if (names[*count] == NULL)
		return refuse(r, true, "no memory for a name");
	++*count;
	return take_end_of_line(r);
}

/* The referents of the object being read, up to the end of its line. */
static bool read_refs(struct reader *r)
{
	struct heapfile *h = r->heap;
	size_t *refs;

	while (peek(r) == ' ') {
		if (h->edges == r->declared_edges)
			return refuse(r, true, "more edges than the %zu announced",
				      r->declared_edges);
		refs = grow(r, h->refs, h->edges, &r->refs_room, sizeof(*refs));
		if (refs == NULL)
			return false;
		h->refs = refs;
		if (!take_index(r, "the number of a referent", r->declared_objects,
				&refs[h->edges]))
			return false;
		h->edges++;
	}
	return take_end_of_line(r);
}

/* Room for one object more in each of the three arrays, and in first for the end of the last. */
static bool grow_objects(struct reader *r)
{
	struct heapfile *h = r->heap;
	size_t *type, *first;
	uint64_t *bytes;

	type = grow(r, h->type, h->objects, &r->type_room, sizeof(*type));
	if (type == NULL)
		return false;
	h->type = type;
	bytes = grow(r, h->bytes, h->objects, &r->bytes_room, sizeof(*bytes));
	if (bytes == NULL)
		return false;
	h->bytes = bytes;
	first = grow(r, h->first, h->objects + 1, &r->first_room, sizeof(*first));
	if (first == NULL)
		return false;
	h->first = first;
	return true;
}

/* "o TYPE BYTES R1 R2 ..." after the o. */
static bool read_object(struct reader *r)
{
	struct heapfile *h = r->heap;
	size_t i = h->objects;

	if (i == r->declared_objects)
		return refuse(r, true, "more objects than the %zu announced", r->declared_objects);
	if (!grow_objects(r) ||
	    !take_index(r, "the number of the type", r->declared_types, &h->type[i]) ||
	    !take_number(r, "the size of the object", &h->bytes[i]) || !read_refs(r))
		return false;
	h->objects = i + 1;
	h->first[i + 1] = h->edges;
	return true;
}

/* Makes detail as long as the other arrays of objects. */
static bool reach_details(struct reader *r)
{
	struct heapfile *h = r->heap;
	struct heapfile_detail *detail;

	while (r->detailed < h->objects) {
		detail = grow(r, h->detail, r->detailed, &r->detail_room, sizeof(*detail));
		if (detail == NULL)
			return false;
		h->detail = detail;
		detail[r->detailed++] = (struct heapfile_detail){ 0, 0, HEAPFILE_NONE };
	}
	return true;
}

/* "i ADDRESS COUNT [SITE]" after the i: of the object in the line before. */
static bool read_detail(struct reader *r)
{
	struct heapfile *h = r->heap;
	struct heapfile_detail *entry;

	if (r->detailed == h->objects)
		return refuse(r, true, "more about an object, but there is none in front of it");
	if (!reach_details(r))
		return false;
	entry = &h->detail[h->objects - 1];
	if (!take_number(r, "the address of the object", &entry->address) ||
	    !take_number(r, "the count of the object", &entry->count))
		return false;
	if (peek(r) == ' ' &&
	    !take_index(r, "the number of the site", r->declared_sites, &entry->site))
		return false;
	return take_end_of_line(r);
}

/* "r N [ADDRESS [LABEL]]" after the r, and the same for frames and others. */
static bool read_root(struct reader *r, enum heapfile_holder holder)
{
	struct heapfile_root held = { holder, HEAPFILE_NONE, 0 }, *list;
	struct heapfile *h = r->heap;
	size_t *root;

	if (h->roots == r->declared_roots)
		return refuse(r, true, "more roots than the %zu announced", r->declared_roots);
	root = grow(r, h->root, h->roots, &r->root_room, sizeof(*root));
	if (root == NULL)
		return false;
	h->root = root;
	list = grow(r, h->held, h->roots, &r->held_room, sizeof(*list));
	if (list == NULL)
		return false;
	h->held = list;
	if (!take_index(r, "the number of the root", r->declared_objects, &root[h->roots]))
		return false;
	if (r->version > 1 && peek(r) == ' ' &&
	    (!take_number(r, "the address of the root", &held.address) ||
	     (peek(r) == ' ' &&
	      !take_index(r, "the number of the label", r->declared_labels, &held.label))))
		return false;
	list[h->roots++] = held;
	return take_end_of_line(r);
}

static bool read_header(struct reader *r)
{
	if (peek(r) < 0)
		return refuse(r, false, "the file is empty");
	if (!take_word(r, "heap"))
		return refuse(r, true, "not a heap file: it does not begin with \"heap\"");
	if (!take_number(r, "the version of the format", &r->version))
		return false;
	if (r->version != 1 && r->version != 2)
		return refuse(r, true, "version %llu of the format is not known, only 1 and 2 are",
			      (unsigned long long)r->version);
	return take_count(r, "the number of objects", &r->declared_objects) &&
	       take_count(r, "the number of edges", &r->declared_edges) &&
	       take_count(r, "the number of roots", &r->declared_roots) &&
	       take_count(r, "the number of types", &r->declared_types) &&
	       (r->version == 1 || (take_count(r, "the number of sites", &r->declared_sites) &&
				    take_count(r, "the number of labels", &r->declared_labels))) &&
	       take_end_of_line(r);
}

/* The rest of a record that begins with c. */
static bool read_record(struct reader *r, int c)
{
	struct heapfile *h = r->heap;

	if (c == 'o')
		return read_object(r);
	if (c == 't')
		return read_name(r, "type", r->declared_types, &h->name, &h->types, &r->name_room);
	if (c == 'r')
		return read_root(r, HEAPFILE_ROOT);
	if (r->version == 1)
		return refuse(r, true, "a line begins with 't', 'o' or 'r', not with 0x%02x",
			      (unsigned)c);
	if (c == 'i')
		return read_detail(r);
	if (c == 'f' || c == 'x')
		return read_root(r, c == 'f' ? HEAPFILE_FRAME : HEAPFILE_OTHER);
	if (c == 's')
		return read_name(r, "site", r->declared_sites, &h->site, &h->sites, &r->site_room);
	if (c == 'n')
		return read_name(r, "label", r->declared_labels, &h->label, &h->labels,
				 &r->label_room);
	return refuse(r, true, "a line begins with one of \"tsnoirfx\", not with 0x%02x",
		      (unsigned)c);
}

static bool read_records(struct reader *r)
{
	int c;

	r->heap->first = grow(r, NULL, 0, &r->first_room, sizeof(size_t));
	if (r->heap->first == NULL)
		return false;
	r->heap->first[0] = 0;
	while ((c = peek(r)) >= 0) {
		r->at++;
		if (!read_record(r, c))
			return false;
	}
	return !r->failed && (r->heap->detail == NULL || reach_details(r));
}

static bool check_count(struct reader *r, const char *what, size_t announced, size_t found)
{
	return announced == found ||
	       refuse(r, true, "the first line announces %zu %s, but the file has %zu", announced,
		      what, found);
}

bool heapfile_read(struct heapfile *heap, const char *path, char *error, size_t error_bytes)
{
	struct reader *r = calloc(1, sizeof(*r));
	bool good;

	memset(heap, 0, sizeof(*heap));
	if (r == NULL) {
		snprintf(error, error_bytes, "%s: no memory", path);
		return false;
	}
	r->path = path;
	r->heap = heap;
	r->line = 1;
	r->error = error;
	r->error_bytes = error_bytes;
	errno = 0;
	r->file = gzopen(path, "rbe");
	if (r->file == NULL) {
		refuse(r, false, "%s", errno != 0 ? strerror(errno) : "no memory");
		free(r);
		return false;
	}
	good = read_header(r) && read_records(r) &&
	       check_count(r, "types", r->declared_types, heap->types) &&
	       check_count(r, "objects", r->declared_objects, heap->objects) &&
	       check_count(r, "edges", r->declared_edges, heap->edges) &&
	       check_count(r, "roots", r->declared_roots, heap->roots) &&
	       check_count(r, "sites", r->declared_sites, heap->sites) &&
	       check_count(r, "labels", r->declared_labels, heap->labels);
	/* gzclose is the last to notice that a compressed file was cut off. */
	if (gzclose(r->file) != Z_OK && good)
		good = refuse(r, false, "the file could not be read to its end");
	if (!good)
		heapfile_free(heap);
	free(r);
	return good;
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

void heapfile_free(struct heapfile *heap)
{
	free_names(heap->name, heap->types);
	free_names(heap->site, heap->sites);
	free_names(heap->label, heap->labels);
	free(heap->type);
	free(heap->bytes);
	free(heap->first);
	free(heap->refs);
	free(heap->root);
	free(heap->held);
	free(heap->detail);
	memset(heap, 0, sizeof(*heap));
}
