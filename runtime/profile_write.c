/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile_write.c: profiles as other programs read them: pprof's profile.proto, and folded stacks;
 * and names of backtraces. Any thread.
 *
 * A message of profile.proto is a row of fields, each a key (number << 3 | kind) and a value: a
 * varint (kind 0), or bytes behind their length (kind 2), which a message within it is as well
 * (github.com/google/pprof, proto/profile.proto; protobuf.dev, "Encoding"). Strings are named by
 * their place in a table, 0 being the empty one. Tables are written as their entries are found,
 * which readers must take in any order: locations, functions and strings are numbered as they come.
 *
 * Invariant: what is appended to text that has had no memory is dropped; that is looked at once, at
 * the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/unwind.h"
#include "profile_read.h"

/* Text or a message that grows. */
struct text {
	char *at;
	size_t count, room;
	bool lost;
};

static void append(struct text *text, const void *bytes, size_t count)
{
	size_t room = text->room == 0 ? 256 : text->room;
	char *grown;

	while (room - text->count < count)
		room *= 2;
	if (room != text->room && !text->lost) {
		grown = realloc(text->at, room);
		text->lost = grown == NULL;
		if (grown != NULL) {
			text->at = grown;
			text->room = room;
		}
	}
	if (text->lost)
		return;
	memcpy(text->at + text->count, bytes, count);
	text->count += count;
}

static void append_string(struct text *text, const char *string)
{
	append(text, string, strlen(string));
}

/* What a frame is called: its code is before what it returns to. */
static void name_frame(struct text *text, const void *frame, bool with_offset)
{
	struct gyre__symbol symbol = gyre__symbol_of((const char *)frame - 1);
	char offset[32];

	if (symbol.function != NULL) {
		append_string(text, symbol.function);
	} else if (symbol.file != NULL) {
		const char *slash = strrchr(symbol.file, '/');

		append_string(text, slash != NULL ? slash + 1 : symbol.file);
	}
	if (symbol.function != NULL && !with_offset)
		return;
	snprintf(offset, sizeof(offset), "+0x%" PRIxPTR, symbol.offset + 1);
	append_string(text, symbol.function != NULL || symbol.file != NULL ? offset : offset + 1);
}

size_t gyre__stack_name(const void *const *frames, uint32_t depth, char *buffer, size_t bytes)
{
	struct text text = { 0 };
	size_t length = 0;
	uint32_t i;

	for (i = 0; i < depth; i++) {
		if (i > 0)
			append_string(&text, " < ");
		name_frame(&text, frames[i], true);
	}
	if (depth == 0 || text.lost)
		append_string(&text, "?");
	if (text.at != NULL && !text.lost)
		length = text.count;
	if (bytes > 0) {
		size_t kept = length < bytes ? length : bytes - 1;

		if (kept > 0)
			memcpy(buffer, text.at, kept);
		buffer[kept] = 0;
	}
	free(text.at);
	return length;
}

/* Numbers of the fields that are written. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_DEFAULT_TYPE = 14,
	VALUE_TYPE = 1,
	VALUE_UNIT = 2,
	SAMPLE_LOCATION = 1,
	SAMPLE_VALUE = 2,
	SAMPLE_LABEL = 3,
	LABEL_KEY = 1,
	LABEL_STRING = 2,
	MAPPING_ID = 1,
	MAPPING_START = 2,
	MAPPING_LIMIT = 3,
	MAPPING_OFFSET = 4,
	MAPPING_FILE = 5,
	LOCATION_ID = 1,
	LOCATION_MAPPING = 2,
	LOCATION_ADDRESS = 3,
	LOCATION_LINE = 4,
	LINE_FUNCTION = 1,
	FUNCTION_ID = 1,
	FUNCTION_NAME = 2,
	FUNCTION_SYSTEM_NAME = 3,
};

static void append_varint(struct text *text, uint64_t value)
{
	unsigned char bytes[10];
	size_t count = 0;

	do {
		bytes[count] = (unsigned char)(value & 127);
		value >>= 7;
		if (value != 0)
			bytes[count] |= 128;
		count++;
	} while (value != 0);
	append(text, bytes, count);
}

static void put_number(struct text *text, unsigned field, uint64_t value)
{
	append_varint(text, field << 3);
	append_varint(text, value);
}

static void put_bytes(struct text *text, unsigned field, const void *bytes, size_t count)
{
	append_varint(text, field << 3 | 2);
	append_varint(text, count);
	append(text, bytes, count);
}

/* Puts message as a field and empties it. */
static void put_message(struct text *text, unsigned field, struct text *message)
{
	text->lost |= message->lost;
	if (!message->lost)
		put_bytes(text, field, message->at, message->count);
	message->count = 0;
}

/* A table of what has a number already: by key, a word; numbers begin at 1. */
struct numbers {
	struct number {
		uint64_t key, number;
	} * slots;
	size_t count, room;
	bool lost;
};

static struct number *slot_of(const struct numbers *numbers, uint64_t key)
{
	size_t i = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (numbers->room - 1);

	while (numbers->slots[i].number != 0 && numbers->slots[i].key != key)
		i = (i + 1) & (numbers->room - 1);
	return &numbers->slots[i];
}

static bool grow(struct numbers *numbers)
{
	struct numbers old = *numbers;
	size_t i;

	numbers->room = old.room == 0 ? 256 : old.room * 2;
	numbers->slots = calloc(numbers->room, sizeof(*numbers->slots));
	if (numbers->slots == NULL) {
		*numbers = old;
		numbers->lost = true;
		return false;
	}
	for (i = 0; i < old.room; i++)
		if (old.slots[i].number != 0)
			*slot_of(numbers, old.slots[i].key) = old.slots[i];
	free(old.slots);
	return true;
}

/* The number of key; *is_new: it has just got it. 0 without memory. */
static uint64_t number_of(struct numbers *numbers, uint64_t key, bool *is_new)
{
	struct number *slot;

	*is_new = false;
	if (2 * numbers->count >= numbers->room && !grow(numbers))
		return 0;
	slot = slot_of(numbers, key);
	if (slot->number == 0) {
		slot->key = key;
		slot->number = ++numbers->count;
		*is_new = true;
	}
	return slot->number;
}

struct writer {
	struct text out, message, inner;
	struct numbers locations, functions;
	uint64_t strings; /* so far, the empty one included */
	struct gyre__mapping *mappings;
	size_t mappings_count, mappings_room;
};

/* The number of a string, which is not looked for: few occur twice. */
static uint64_t put_string(struct writer *w, const char *string)
{
	put_bytes(&w->out, PROFILE_STRING, string, strlen(string));
	return w->strings++;
}

static bool add_mapping(const struct gyre__mapping *mapping, void *arg)
{
	struct writer *w = arg;
	size_t room = w->mappings_room == 0 ? 64 : 2 * w->mappings_room;

	if (w->mappings_count == w->mappings_room) {
		struct gyre__mapping *grown = realloc(w->mappings, room * sizeof(*grown));

		w->out.lost |= grown == NULL;
		if (grown == NULL)
			return false;
		w->mappings = grown;
		w->mappings_room = room;
	}
	put_number(&w->message, MAPPING_ID, w->mappings_count + 1);
	put_number(&w->message, MAPPING_START, mapping->start);
	put_number(&w->message, MAPPING_LIMIT, mapping->end);
	put_number(&w->message, MAPPING_OFFSET, mapping->offset);
	put_number(&w->message, MAPPING_FILE, put_string(w, mapping->file));
	put_message(&w->out, PROFILE_MAPPING, &w->message);
	w->mappings[w->mappings_count] = *mapping;
	w->mappings[w->mappings_count++].file = NULL;
	return true;
}

/* The number of the mapping that address lies in; 0: none. */
static uint64_t mapping_of(const struct writer *w, uint64_t address)
{
	size_t low = 0, high = w->mappings_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (w->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < w->mappings_count && w->mappings[low].start <= address ? low + 1 : 0;
}

/* The function at an address, which begins offset before it. */
static uint64_t function_of(struct writer *w, uint64_t address, const struct gyre__symbol *symbol)
{
	bool is_new;
	uint64_t number = number_of(&w->functions, address - symbol->offset, &is_new), name;

	if (!is_new)
		return number;
	name = put_string(w, symbol->function);
	put_number(&w->inner, FUNCTION_ID, number);
	put_number(&w->inner, FUNCTION_NAME, name);
	put_number(&w->inner, FUNCTION_SYSTEM_NAME, name);
	put_message(&w->out, PROFILE_FUNCTION, &w->inner);
	return number;
}

static uint64_t location_of(struct writer *w, const void *frame)
{
	const char *at = (const char *)frame - 1;
	struct gyre__symbol symbol;
	uint64_t address = (uintptr_t)at, number, function;
	struct text location = { 0 };
	bool is_new;

	number = number_of(&w->locations, address, &is_new);
	if (!is_new)
		return number;
	put_number(&location, LOCATION_ID, number);
	put_number(&location, LOCATION_MAPPING, mapping_of(w, address));
	put_number(&location, LOCATION_ADDRESS, address);
	symbol = gyre__symbol_of(at);
	if (symbol.function != NULL) {
		function = function_of(w, address, &symbol);
		put_number(&w->inner, LINE_FUNCTION, function);
		put_message(&location, LOCATION_LINE, &w->inner);
	}
	put_message(&w->out, PROFILE_LOCATION, &location);
	free(location.at);
	return number;
}

static void put_value_type(struct writer *w, unsigned field, const char *type, const char *unit)
{
	put_number(&w->message, VALUE_TYPE, put_string(w, type));
	put_number(&w->message, VALUE_UNIT, put_string(w, unit));
	put_message(&w->out, field, &w->message);
}

static void put_sample(struct writer *w, const struct gyre__profile_place *place,
		       const struct gyre__profile_line *line, uint64_t key)
{
	const struct gyre__profile_sums *sums = &line->sums;
	uint32_t i;

	for (i = 0; i < place->frames_count; i++)
		put_number(&w->message, SAMPLE_LOCATION, location_of(w, place->frames[i]));
	put_number(&w->message, SAMPLE_VALUE, (uint64_t)(sums->live.objects + 0.5));
	put_number(&w->message, SAMPLE_VALUE, (uint64_t)(sums->live.bytes + 0.5));
	put_number(&w->message, SAMPLE_VALUE, (uint64_t)(sums->allocated.objects + 0.5));
	put_number(&w->message, SAMPLE_VALUE, (uint64_t)(sums->allocated.bytes + 0.5));
	put_number(&w->inner, LABEL_KEY, key);
	put_number(&w->inner, LABEL_STRING, put_string(w, line->name));
	put_message(&w->message, SAMPLE_LABEL, &w->inner);
	put_message(&w->out, PROFILE_SAMPLE, &w->message);
}

static void write_pprof(const struct gyre_profile *p, struct writer *w)
{
	const struct gyre__profile_line *line;
	uint64_t key;
	uint32_t i;

	put_string(w, "");
	put_value_type(w, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
	put_value_type(w, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
	put_value_type(w, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
	put_value_type(w, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
	put_value_type(w, PROFILE_PERIOD_TYPE, "space", "bytes");
	put_number(&w->out, PROFILE_PERIOD, p->rate);
	put_number(&w->out, PROFILE_DEFAULT_TYPE, put_string(w, "inuse_space"));
	key = put_string(w, "type");
	/* Without them a reader has the names that are there. */
	gyre__mappings_each(add_mapping, w);
	for (i = 0; i < p->count; i++)
		for (line = p->order[i]->lines; line != NULL; line = line->next)
			put_sample(w, p->order[i], line, key);
}

static void write_folded(const struct gyre_profile *p, struct writer *w)
{
	char number[32];
	uint32_t i, n;

	for (i = 0; i < p->count; i++) {
		const struct gyre__profile_place *place = p->order[i];

		if (place->sums.live.samples == 0)
			continue;
		for (n = place->frames_count; n > 0; n--) {
			name_frame(&w->out, place->frames[n - 1], false);
			append(&w->out, n > 1 ? ";" : " ", 1);
		}
		if (place->frames_count == 0)
			append_string(&w->out, "? ");
		snprintf(number, sizeof(number), "%.0f\n", place->sums.live.bytes);
		append_string(&w->out, number);
	}
}

static bool write_all(int fd, const char *at, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, at, count);

		if (written < 0 && errno != EINTR)
			return false;
		if (written > 0) {
			at += written;
			count -= (size_t)written;
		}
	}
	return true;
}

enum gyre_status gyre_profile_write(const struct gyre_profile *p, enum gyre_profile_format format,
				    int fd)
{
	struct writer w = { 0 };
	enum gyre_status status = GYRE_OK;

	if (p == NULL || fd < 0 || (unsigned)format > GYRE_PROFILE_FOLDED)
		return GYRE_INVALID;
	if (format == GYRE_PROFILE_PPROF)
		write_pprof(p, &w);
	else
		write_folded(p, &w);
	if (w.out.lost || w.message.lost || w.inner.lost || w.locations.lost || w.functions.lost)
		status = GYRE_NO_MEMORY;
	else if (!write_all(fd, w.out.at, w.out.count))
		status = GYRE_LIMIT;
	free(w.out.at);
	free(w.message.at);
	free(w.inner.at);
	free(w.locations.slots);
	free(w.functions.slots);
	free(w.mappings);
	return status;
}
